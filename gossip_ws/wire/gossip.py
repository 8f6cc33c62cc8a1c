"""The codec: gossip frames <-> messages, the canonical form, the gossip id (docs/wire.md).

Judges form only: whose signature it is and whether it may do this is a Verifier's business. The forward
path serialises no tree: what the origin fixed travels on as the octets that were hashed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Final

from lxml import etree

from gossip_ws.core.messages import Ack, Content, Gossip, Hop, Message, Ping, Receipt, Signature
from gossip_ws.kernel.errors import LocalError, RemoteError, sender_fault
from gossip_ws.kernel.names import GOSSIP, SOAP12, WSA, WSD, DeviceId, GossipId, qname
from gossip_ws.kernel.terms import Terms, Tier
from gossip_ws.ports import Frame
from gossip_ws.wire.envelope import (
    MAX_ENVELOPE,
    MAX_URI,
    Addressing,
    addressing,
    attribute,
    build,
    canonical,
    content_prefixes,
    message_id,
    parser,
    text,
    unwrap,
)
from gossip_ws.wire.nodes import (
    NODE_NAMES,
    REPORT,
    decode_report,
    encode_report,
    read_node_message,
    write_node_message,
)
from gossip_ws.wire.short import read_short, write_short
from gossip_ws.wire.signatures import SECURITY, read_security, write_security
from gossip_ws.wire.soap import ADDRESSING_HEADERS, understand
from gossip_ws.wire.terms import (
    MAX_SPREAD,
    TERMS,
    TIERS,
    WANTED,
    TermsReader,
    decode_wanted,
    encode_wanted,
    too_many,
    write_terms,
)
from gossip_ws.wire.values import (
    MAX_DEVICE,
    SOAP_ATTRIBUTES,
    attributes,
    device,
    integer,
    malformed,
    milliseconds,
    one_of,
    only,
    seconds,
    truth,
)

__all__ = ["XmlCodec", "decode_report", "decode_wanted", "encode_report", "encode_wanted"]

MAX_ANCESTORS: Final = 12
HEADROOM: Final = 1_536
"""Octets of an envelope that the origin leaves for what each hop writes."""

_ACTION: Final = qname(WSA, "Action")
_HOP: Final = qname(GOSSIP, "Hop")
_ANCESTOR: Final = qname(GOSSIP, "Ancestor")
_KNOWN: Final = ADDRESSING_HEADERS | {_HOP, TERMS, SECURITY, WANTED, REPORT}
_FIXED_PART: Final = frozenset((_ACTION, TERMS, SECURITY))
_HOP_ATTRIBUTES = SOAP_ATTRIBUTES | frozenset(["Sender", "Tier", "Rounds", "Hops", "AgeMs", "RemainingMs", "Receipt"])
_PREAMBLE: Final = b"gossip-ws 1\n"

_HEAD: Final = f'<s12:Envelope xmlns:s12="{SOAP12}" xmlns:wsa="{WSA}" xmlns:wsd="{WSD}"><s12:Header>'
_HEAD_OCTETS: Final = _HEAD.encode()
_START: Final = f"{_HEAD}<wsa:To>{GOSSIP}</wsa:To><wsa:MessageID>"
_BODY: Final = b'</s12:Header><s12:Body wsd:Id="B">'
_END: Final = b"</s12:Body></s12:Envelope>"
# What `_START` declares: a listed prefix of these is declared around every body, whoever made it.
_DECLARED: Final = frozenset(("s12", "wsa", "wsd"))

# A frame up to its fixed part exactly as `_write_hop` writes it: the way in which devices hear one another.
# Nothing in it can open what it does not close, so what follows it stands where it stood in the frame that
# it was first read from.
_PLAIN: Final = rb"[^\"<&\x00-\x1f\x7f-\xff]"
_RELAYED: Final = re.compile(
    re.escape(_START.encode())
    + rb"urn:uuid:[0-9a-f-]{36}</wsa:MessageID>"
    + rb'<g:Hop xmlns:g="%b" Sender="(%b{1,256})" Tier="(wan|fan|han)"' % (GOSSIP.encode(), _PLAIN)
    + rb' Rounds="([0-9]{1,5})" Hops="([0-9]{1,4})" AgeMs="([0-9]{1,8})"'
    + rb'(?: RemainingMs="([0-9]{1,8})")?( Receipt="true")?>'
    + rb"((?:<g:Ancestor>%b{1,256}</g:Ancestor>){0,12})</g:Hop>" % _PLAIN
)
_TIERS: Final = {tier.value.encode(): tier for tier in Tier}
_BETWEEN: Final = "</g:Ancestor><g:Ancestor>"
_EDGE: Final = len("<g:Ancestor>")

_MAX_REMEMBERED: Final = 512 * 1024


class XmlCodec:
    """The Codec of ports. One serves all devices of a process: it holds nothing but a memory of contents
    by their sealed octets, 512 KiB of them at most, the oldest forgotten first, so that the second copy of
    a message costs no parsing, and what TermsReader remembers. What is in it was well-formed; that says
    nothing of who made it.

    Content that arrives without a `g:Hop`, signed by a client that is no device, is given a Hop whose
    sender is the empty device id, `hops` and `age` 0, and the tier and all rounds of the terms' first
    budget: the entry device writes its own tier's into it.
    """

    def __init__(self) -> None:
        self._contents: dict[bytes, Content] = {}
        self._remembered = 0
        self._terms = TermsReader()

    def decode(self, frame: Frame) -> Message | None:
        """None when the envelope carries no gossip. Raises RemoteError when it is malformed or out of bounds."""
        if len(frame) > MAX_ENVELOPE:
            raise sender_fault("TooLarge", f"envelope of {len(frame)} octets, at most {MAX_ENVELOPE} are taken")
        short = read_short(frame)
        if short is not None:
            return short
        relayed = _RELAYED.match(frame)
        if relayed is not None:
            fixed_part = frame[relayed.end() :]
            remembered = self._contents.get(fixed_part)
            if remembered is not None:
                return Gossip(remembered, _relayed_hop(relayed, remembered.terms))
            headers, payload = unwrap(_HEAD_OCTETS + fixed_part)
            found = {block.tag: block for block in headers}
        if relayed is None or len(found) < len(headers) or not found.keys() <= _FIXED_PART:
            relayed = None
            headers, payload = unwrap(frame)
            found = {block.tag: block for block in headers}
        fixed = found.get(TERMS)
        if fixed is None:
            if relayed is not None or _HOP in found:
                malformed("a Hop without Terms")
            return self._between_nodes(found, headers, payload)
        if not found.keys() <= _KNOWN:
            understand(headers, _KNOWN)
        if len(found) < len(headers):
            # Only RelatesTo may repeat; this finds what else does.
            addressing(headers)
            for name in (TERMS, _HOP, SECURITY):
                if sum(block.tag == name for block in headers) > 1:
                    raise sender_fault("DuplicateHeader", f"header block more than once: {name}")
        action = (found[_ACTION].text or "").strip() if _ACTION in found else ""
        if not action or len(action) > MAX_URI:
            malformed("gossip without a wsa:Action, or one that is too long")
        signature = read_security(found[SECURITY]) if SECURITY in found else None
        content = self._content(action, fixed, payload, signature)
        if relayed is not None:
            hop = _relayed_hop(relayed, content.terms)
        elif _HOP in found:
            hop = _read_hop(found[_HOP], content.terms)
        elif len(content.sealed) > MAX_ENVELOPE - HEADROOM:
            raise _too_large(len(content.sealed))
        else:
            hop = _entry_hop(content.terms)
        self._remember(content)
        return Gossip(content, hop)

    def encode(self, message: Message) -> Frame:
        """With a fresh wsa:MessageID. The same bytes serve every target.

        A Gossip fits an envelope by construction; a Partial does if its value does, which is its
        sender's to see to.
        """
        if isinstance(message, Gossip):
            return b"".join((_write_hop(message.hop).encode(), message.content.sealed))
        if isinstance(message, Receipt | Ping | Ack):
            return write_short(message)
        name, relations, body = write_node_message(message)
        return build(Addressing(f"{GOSSIP}:{name}", message_id(), GOSSIP, relates_to=relations), body)

    def seal(self, action: str, terms: Terms, body: bytes, sign: Callable[[GossipId], Signature | None]) -> Content:
        """Fix a message at its origin: canonical form, id, signature.

        The terms of the result are as they read on the wire: whole microseconds and milliseconds. Raises
        RemoteError when the envelope, the filter or a list is too large or the terms are not possible:
        they may be what a caller wanted; LocalError when `body` is neither empty nor one XML element, or what
        `sign` gives is no signature.
        """
        try:
            element = etree.fromstring(body, parser()) if body else None
        except (etree.XMLSyntaxError, ValueError) as error:
            raise LocalError(f"not an XML element: {error}") from None
        prefixes = content_prefixes(element) if element is not None else ()
        # Read back as any receiver will: in the namespaces of the envelope, within the limits.
        fixed = write_terms(terms, prefixes).encode()
        head, _ = _action(action)
        frame = b"".join((_HEAD_OCTETS, head, fixed, _BODY, body, _END))
        headers, payload = unwrap(frame, MAX_ENVELOPE - HEADROOM)
        content = self._content(action, headers[-1], payload, None)
        signature = sign(content.id)
        if signature is not None:
            content = self._content(action, headers[-1], payload, signature)
        if len(content.sealed) > MAX_ENVELOPE - HEADROOM:
            raise _too_large(len(content.sealed))
        return content

    def _content(
        self, action: str, fixed: etree._Element, payload: etree._Element | None, signature: Signature | None
    ) -> Content:
        terms_octets = canonical(fixed)
        terms, prefixes = self._terms.read(fixed, terms_octets)
        body = b""
        if payload is not None:
            body = canonical(payload, prefixes)
            if prefixes and not _DECLARED.isdisjoint(prefixes):
                _check_stable(body, prefixes)
        head, hashed = _action(action)
        sizes = len(terms_octets).to_bytes(8, "big"), len(body).to_bytes(8, "big")
        digest = sha256(b"".join((_PREAMBLE, hashed, sizes[0], terms_octets, sizes[1], body))).digest()
        security = write_security(signature) if signature is not None else b""
        return Content(
            id=GossipId(digest),
            action=action,
            terms=terms,
            body=body,
            signature=signature,
            sealed=b"".join((head, terms_octets, security, _BODY, body, _END)),
        )

    def _remember(self, content: Content) -> None:
        if content.sealed in self._contents:
            return
        self._contents[content.sealed] = content
        self._remembered += len(content.sealed)
        while self._remembered > _MAX_REMEMBERED:
            oldest = next(iter(self._contents))
            del self._contents[oldest]
            self._remembered -= len(oldest)

    def _between_nodes(
        self, found: dict[str, etree._Element], headers: tuple[etree._Element, ...], payload: etree._Element | None
    ) -> Message | None:
        action = (found[_ACTION].text or "").strip() if _ACTION in found else ""
        namespace, _, name = action.rpartition(":")
        if namespace != GOSSIP or name not in NODE_NAMES:
            return None
        understand(headers, _KNOWN)
        return read_node_message(name, addressing(headers), payload)


@lru_cache(maxsize=256)
def _action(action: str) -> tuple[bytes, bytes]:
    """The header block, and what of it is hashed."""
    uri = action.encode()
    return f'<wsa:Action wsd:Id="A">{text(action)}</wsa:Action>'.encode(), len(uri).to_bytes(8, "big") + uri


def _check_stable(body: bytes, prefixes: tuple[str, ...]) -> None:
    """A body that borrows `wsa` from a client's own envelope would read, and hash, differently in ours."""
    _, payload = unwrap(b"".join((_HEAD_OCTETS, _BODY, body, _END)), 2 * MAX_ENVELOPE)
    if payload is None or canonical(payload, prefixes) != body:
        malformed(f"Prefixes of {sorted(_DECLARED)} have to be declared by the Body's element itself")


def _entry_hop(terms: Terms) -> Hop:
    tier, rounds = (terms.budgets[0].tier, terms.budgets[0].rounds) if terms.budgets else (Tier.HAN, 0)
    return Hop(sender=DeviceId(""), tier=tier, rounds=rounds, hops=0, age=0.0, remaining=terms.timeout)


def _write_hop(hop: Hop) -> str:
    remaining = f' RemainingMs="{milliseconds(hop.remaining)}"' if hop.remaining else ""
    receipt = ' Receipt="true"' if hop.receipt else ""
    ancestors = "".join([f"<g:Ancestor>{text(one)}</g:Ancestor>" for one in hop.ancestors]) if hop.ancestors else ""
    return (
        f"{_START}{message_id()}{_open_hop(hop.sender)}"
        f' Tier="{hop.tier.value}" Rounds="{hop.rounds}" Hops="{hop.hops}" AgeMs="{milliseconds(hop.age)}"'
        f"{remaining}{receipt}>{ancestors}</g:Hop>"
    )


@lru_cache(maxsize=1024)
def _open_hop(sender: DeviceId) -> str:
    """A process has few devices that send."""
    return f'</wsa:MessageID><g:Hop xmlns:g="{GOSSIP}" Sender={attribute(sender)}'


def _relayed_hop(relayed: re.Match[bytes], terms: Terms) -> Hop:
    """What `_read_hop` reads, of a frame that `_RELAYED` matches."""
    sender, tier_name, rounds, hops, age, remaining, receipt, ancestors = relayed.groups()
    tier = _TIERS[tier_name]
    left = int(rounds)
    if left > terms.budget(tier).rounds:
        raise _over_budget(left, tier)
    chain = ancestors.decode()[_EDGE : -_EDGE - 1].split(_BETWEEN) if ancestors else ()
    return Hop(
        DeviceId(sender.decode()),
        tier,
        left,
        int(hops),
        int(age) / 1000,
        int(remaining) / 1000 if remaining else 0.0,
        tuple(map(DeviceId, chain)),
        receipt is not None,
    )


def _read_hop(element: etree._Element, terms: Terms) -> Hop:
    values = attributes(element)
    only(values, _HOP_ATTRIBUTES, "Hop")
    tier = one_of(values, "Tier", TIERS)
    rounds = integer(values, "Rounds", MAX_SPREAD)
    if rounds > terms.budget(tier).rounds:
        raise _over_budget(rounds, tier)
    if len(element) > MAX_ANCESTORS:
        raise too_many("ancestors", MAX_ANCESTORS)
    ancestors = []
    for child in element:
        if child.tag != _ANCESTOR or not child.text or len(child.text) > MAX_DEVICE:
            malformed("a Hop holds nothing but ancestors, each a device's address")
        ancestors.append(DeviceId(child.text))
    return Hop(
        sender=device(values),
        tier=tier,
        rounds=rounds,
        hops=integer(values, "Hops", MAX_SPREAD),
        age=seconds(values, "AgeMs"),
        remaining=seconds(values, "RemainingMs", 0.0),
        ancestors=tuple(ancestors),
        receipt=truth(values, "Receipt"),
    )


def _over_budget(rounds: int, tier: Tier) -> RemoteError:
    return sender_fault("OverBudget", f"{rounds} rounds left in {tier.value}, where the terms give fewer")


def _too_large(size: int) -> RemoteError:
    return sender_fault("TooLarge", f"{size} octets are fixed, an envelope leaves {MAX_ENVELOPE - HEADROOM} for them")
