"""What nodes say to one another besides the gossip itself: the Bodies of the table "Between nodes" in
docs/wire.md, and the `g:Report` block of the entry's reply. Knows no envelope and no address.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import Final

from lxml import etree

from gossip_ws.core.messages import (
    Ack,
    Advert,
    DeviceReply,
    Digest,
    Fetch,
    MembershipMessage,
    Merge,
    Partial,
    Ping,
    Prune,
    Receipt,
    Standing,
    Tally,
)
from gossip_ws.core.replies import MAX_PARTS
from gossip_ws.kernel.estimate import Estimate
from gossip_ws.kernel.names import GOSSIP, DeviceId, GossipId, qname
from gossip_ws.kernel.terms import Gathering, Variant
from gossip_ws.wire.envelope import Addressing, Envelope, attribute, canonical, content_prefixes
from gossip_ws.wire.estimates import encode_estimate
from gossip_ws.wire.membership import MEMBERSHIP, write_membership
from gossip_ws.wire.replies import FAULT, REPLIES, gossip_id, read_fault, read_replies, write_fault, write_replies
from gossip_ws.wire.terms import GATHERINGS, by_value, too_many
from gossip_ws.wire.values import (
    MAX_COUNT,
    MAX_DEVICE,
    Attributes,
    attributes,
    base64,
    device,
    integer,
    malformed,
    octets,
    one_of,
    truth,
)

Written = Partial | Merge | Digest | Advert | Fetch | Prune | MembershipMessage
"""What has no shorter way, as `short` is."""
NodeMessage = Written | Receipt | Ping | Ack

ABOUT: Final = GOSSIP + ":about"
"""The relationship type of what a node says about a gossip id."""
MAX_COVER: Final = 256
"""Children in the cover of a partial."""
MAX_BYPASSING: Final = 2
"""Askers that an orphan's partial passes by."""
MAX_HELD: Final = 2_048
"""Ids in a digest."""
MAX_ADVERTISED: Final = 64
"""Ids in an advert or a fetch."""
REPORT: Final = qname(GOSSIP, "Report")

_ID_PREFIX: Final = GOSSIP + ":id:"
_OPEN: Final = f'xmlns:g="{GOSSIP}"'
_DIGEST_PART: Final = 8
_STANDINGS: Final = by_value(Standing)
_VARIANTS: Final = by_value(Variant)
_VALUE: Final = qname(GOSSIP, "Value")


def related(about: GossipId) -> tuple[str, str]:
    """What `wsa:RelatesTo` says of a message about `about`: relationship type and message id."""
    return ABOUT, _ID_PREFIX + about.hex()


def write_node_message(message: Written) -> tuple[str, tuple[tuple[str, str], ...], bytes]:
    """(name of the action, relations, Body)."""
    sender = f"{_OPEN} Sender={attribute(message.sender)}"
    match message:
        case Partial():
            bypassing = f" Bypassing={attribute(' '.join(message.bypassing))}" if message.bypassing else ""
            cover = f' Cover="{base64(b"".join(message.cover))}"' if message.cover else ""
            part = f' Part="{message.part}" Parts="{message.parts}"' if message.parts > 1 else ""
            head = f"<g:Partial {sender}{_write_tally(message.tally)}{cover}{bypassing}{part}>".encode()
            value = b"<g:Value>%b</g:Value>" % message.value if message.value else b""
            replies = write_replies(message.replies) if message.replies else b""
            fault = write_fault(message.fault) if message.fault else b""
            return "Partial", (related(message.about),), b"%b%b%b%b</g:Partial>" % (head, value, replies, fault)
        case Merge():
            reply = ' Reply="true"' if message.wants_reply else ""
            value = b"<g:Value>%b</g:Value>" % message.value if message.value else b""
            head = f"<g:Merge {sender}{reply}>".encode()
            return "Merge", (related(message.about),), b"%b%b</g:Merge>" % (head, value)
        case Digest():
            return "Digest", (), f'<g:Digest {sender} Held="{base64(b"".join(message.held))}"/>'.encode()
        case Advert():
            ids = base64(b"".join(message.ids))
            return "Advert", (), f'<g:Advert {sender} Variant="{message.variant.value}" Ids="{ids}"/>'.encode()
        case Fetch():
            graft = ' Graft="true"' if message.graft else ""
            return "Fetch", (), f'<g:Fetch {sender} Ids="{base64(b"".join(message.ids))}"{graft}/>'.encode()
        case Prune():
            return "Prune", (), f"<g:Prune {sender}/>".encode()
        case _:
            return type(message).__name__, (), write_membership(message)


def read_node_message(name: str, addressing: Addressing, payload: etree._Element | None) -> NodeMessage:
    """The message of an action `urn:gossip-ws:2026:NAME`, NAME one of `NODE_NAMES`. Raises RemoteError."""
    if payload is None or payload.tag != qname(GOSSIP, name):
        malformed(f"the Body of a {name} is not g:{name}")
    if name in MEMBERSHIP:
        return MEMBERSHIP[name](payload)
    return NODE_MESSAGES[name](addressing, payload)


def encode_report(
    about: GossipId, tally: Tally, gathering: Gathering = Gathering.TREE, estimate: Estimate | None = None
) -> bytes:
    """The header block that says what the entry's reply stands for, and a second one if it is an estimate."""
    told = "" if gathering is Gathering.TREE else f' Gathering="{gathering.value}"'
    if estimate is not None:
        told += f' Error="{estimate.error:.4g}"'
    report = f'<g:Report {_OPEN} Id="{about.hex()}"{_write_tally(tally)}{told}/>'.encode()
    return report if estimate is None else report + encode_estimate(estimate)


def decode_gathering(envelope: Envelope) -> Gathering:
    """How the values of the reply came together: where nobody says, by a tree. Raises RemoteError."""
    block = envelope.header(REPORT)
    values = attributes(block) if block is not None else {}
    return one_of(values, "Gathering", GATHERINGS, Gathering.TREE)


def decode_report(envelope: Envelope) -> tuple[GossipId, Tally] | None:
    """What the reply stands for; None when nobody says. Raises RemoteError."""
    block = envelope.header(REPORT)
    if block is None:
        return None
    values = attributes(block)
    return gossip_id(values.get("Id", "")), _read_tally(values)


def _read_receipt(addressing: Addressing, payload: etree._Element) -> Receipt:
    values = attributes(payload)
    standing = one_of(values, "Standing", _STANDINGS)
    return Receipt(_about(addressing), device(values), standing, integer(values, "Part", MAX_PARTS, 1, least=1))


def _read_partial(addressing: Addressing, payload: etree._Element) -> Partial:
    values = attributes(payload)
    value, fault = b"", None
    replies: tuple[DeviceReply, ...] = ()
    parts = integer(values, "Parts", MAX_PARTS, 1, least=1)
    for child in payload:
        if child.tag == _VALUE and not value and len(child) == 1:
            value = canonical(child[0], content_prefixes(child[0]))
        elif child.tag == FAULT and fault is None:
            fault = read_fault(child)
        elif child.tag == REPLIES and not replies:
            replies = read_replies(child)
        else:
            malformed("a Partial holds one Value with one element in it, one Replies, or one Fault")
    return Partial(
        about=_about(addressing),
        sender=device(values),
        tally=_read_tally(values),
        value=value,
        cover=_parts(values, "Cover", MAX_COVER),
        fault=fault,
        bypassing=_bypassing(values),
        replies=replies,
        part=integer(values, "Part", parts, 1, least=1),
        parts=parts,
    )


def _bypassing(values: Attributes) -> tuple[DeviceId, ...]:
    names = values.get("Bypassing", "").split(maxsplit=MAX_BYPASSING)
    if len(names) > MAX_BYPASSING or any(len(name) > MAX_DEVICE for name in names):
        raise too_many("askers passed by", MAX_BYPASSING)
    return tuple(DeviceId(name) for name in names)


def _read_merge(addressing: Addressing, payload: etree._Element) -> Merge:
    values = attributes(payload)
    value = b""
    for child in payload:
        if child.tag != _VALUE or value or len(child) != 1:
            malformed("a Merge holds one Value with one element in it, or nothing")
        value = canonical(child[0], content_prefixes(child[0]))
    return Merge(_about(addressing), device(values), value, truth(values, "Reply"))


def _read_digest(addressing: Addressing, payload: etree._Element) -> Digest:
    values = attributes(payload)
    return Digest(device(values), _parts(values, "Held", MAX_HELD))


def _read_advert(addressing: Addressing, payload: etree._Element) -> Advert:
    values = attributes(payload)
    return Advert(device(values), one_of(values, "Variant", _VARIANTS), _parts(values, "Ids", MAX_ADVERTISED))


def _read_fetch(addressing: Addressing, payload: etree._Element) -> Fetch:
    values = attributes(payload)
    return Fetch(device(values), _parts(values, "Ids", MAX_ADVERTISED), truth(values, "Graft"))


def _read_prune(addressing: Addressing, payload: etree._Element) -> Prune:
    return Prune(device(attributes(payload)))


NODE_MESSAGES: Final[dict[str, Callable[[Addressing, etree._Element], NodeMessage]]] = {
    "Receipt": _read_receipt,
    "Partial": _read_partial,
    "Merge": _read_merge,
    "Digest": _read_digest,
    "Advert": _read_advert,
    "Fetch": _read_fetch,
    "Prune": _read_prune,
}
NODE_NAMES: Final = NODE_MESSAGES.keys() | MEMBERSHIP.keys()


def _parts(values: Attributes, name: str, most: int) -> tuple[bytes, ...]:
    joined = values.get(name, "")
    # Counted before it is decoded: base64 has four characters for three octets.
    if len(joined) // 4 * 3 > _DIGEST_PART * most + 2:
        raise too_many(f"digests in {name}", most)
    found = octets(values, name, _DIGEST_PART * most)
    if len(found) % _DIGEST_PART:
        malformed(f"{name} is not a list of digests of {_DIGEST_PART} octets")
    return tuple(found[start : start + _DIGEST_PART] for start in range(0, len(found), _DIGEST_PART))


def _about(addressing: Addressing) -> GossipId:
    found = [target for kind, target in addressing.relates_to if kind == ABOUT]
    if len(found) != 1:
        malformed(f"not one RelatesTo of the type {ABOUT}")
    return gossip_id(found[0].removeprefix(_ID_PREFIX))


def _write_tally(tally: Tally) -> str:
    contributors, expected, missing, failed, late, uncertain = astuple(tally)
    return (
        f' Contributors="{contributors}" Expected="{expected}" Missing="{missing}" Failed="{failed}"'
        f' Late="{late}" Uncertain="{uncertain}"'
    )


def _read_tally(values: Attributes) -> Tally:
    tally = Tally(
        contributors=integer(values, "Contributors", MAX_COUNT),
        expected=integer(values, "Expected", MAX_COUNT),
        missing=integer(values, "Missing", MAX_COUNT, 0),
        failed=integer(values, "Failed", MAX_COUNT, 0),
        late=integer(values, "Late", MAX_COUNT, 0),
        uncertain=integer(values, "Uncertain", MAX_COUNT, 0),
    )
    if tally.contributors + tally.missing + tally.failed + tally.late + tally.uncertain != tally.expected:
        malformed("the counts do not add up to Expected")
    return tally
