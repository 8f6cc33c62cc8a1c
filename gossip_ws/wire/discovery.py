"""WS-Discovery on the wire: octets <-> the messages of `dpws.messages`.

Knows no state and no rule of matching. Reading is strict where a message would be used wrongly (counts, sizes,
numbers, an AppSequence that is missing) and takes what is unknown for an extension.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lxml import etree

from gossip_ws.dpws.messages import (
    ADHOC,
    MAX_MATCHES,
    MAX_SCOPES,
    MAX_TYPES,
    MAX_UINT32,
    MAX_XADDRS,
    AppSequence,
    Bye,
    Generation,
    Hello,
    Message,
    Probe,
    ProbeMatches,
    Resolve,
    ResolveMatches,
    Target,
)
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.names import WSA, DeviceId, qname
from gossip_ws.wire.envelope import MAX_ENVELOPE, REPLY, Addressing, Envelope, attribute, build, parse, text, write_epr
from gossip_ws.wire.generation import BOTH, NAMES, OASIS, Names
from gossip_ws.wire.qnames import read_qnames, read_uri, read_uris, too_many, write_qnames

MAX_ID: Final = 256
"""Characters of a message id and octets of a device's: an answer repeats them, and has to fit a datagram."""

_SUPPRESSION = "Suppression"
"""What the Hello of a proxy that relates to a request is to it, in the generation's namespace."""
_MAX_DIGITS = 20


def encode(message: Message) -> bytes:
    """One envelope, in the message's generation; every copy that is sent is these octets."""
    names = NAMES[message.generation]
    relates_to, relation, app = "", REPLY, None
    match message:
        case Hello(target=target):
            name, app, relates_to = "Hello", message.app, message.relates_to
            relation = names.action(_SUPPRESSION)
            inner = _write_target(target, names)
        case Bye():
            name, app = "Bye", message.app
            # The draft has no MetadataVersion here.
            version = message.metadata_version if names is OASIS else None
            inner = write_epr(message.device) + _write_version(version)
        case Probe():
            name = "Probe"
            inner = write_qnames("wsd:Types", names.said(message.types)) + _write_scopes(
                message.scopes, message.match_by
            )
        case ProbeMatches():
            name, app, relates_to = "ProbeMatches", message.app, message.relates_to
            inner = "".join(
                f"<wsd:ProbeMatch>{_write_target(match, names)}</wsd:ProbeMatch>" for match in message.matches
            )
        case Resolve():
            name = "Resolve"
            inner = write_epr(message.device)
        case ResolveMatches():
            name, app, relates_to = "ResolveMatches", message.app, message.relates_to
            found = message.match
            inner = f"<wsd:ResolveMatch>{_write_target(found, names)}</wsd:ResolveMatch>" if found else ""
    addressing = Addressing(
        action=names.action(name),
        message_id=message.message_id,
        to=names.adhoc if message.to == ADHOC else message.to,
        reply_to=message.reply_to if isinstance(message, Probe | Resolve) else "",
        relates_to=((relation, relates_to),) if relates_to else (),
        wsa=names.wsa,
    )
    opening = f'<wsd:{name} xmlns:wsd="{names.wsd}" xmlns:wsa="{names.wsa}"'
    body = f"{opening}>{inner}</wsd:{name}>" if inner else f"{opening}/>"
    return build(addressing, body.encode(), _write_app(app, names.wsd).encode() if app else b"")


def decode(received: bytes | Envelope, limit: int = MAX_ENVELOPE) -> Message | None:
    """The message in an envelope (parsed already, or of at most `limit` octets); None when it is none of
    discovery. Raises RemoteError when it is malformed or out of bounds."""
    envelope = parse(received, limit) if isinstance(received, bytes) else received
    namespace, slash, name = envelope.addressing.action.rpartition("/")
    for names in BOTH:
        if slash and namespace == names.wsd and name in _READERS:
            payload = envelope.payload
            if payload is None or payload.tag != names.tag(name):
                raise sender_fault("Malformed", f"the Body of a {name} is not wsd:{name}")
            message_id = envelope.addressing.message_id
            if not message_id or len(message_id) > MAX_ID:
                raise sender_fault("MessageAddressingHeaderRequired", "a MessageID is needed", namespace=WSA)
            return _READERS[name](_Reader(names, envelope, payload, message_id))
    return None


@dataclass(frozen=True, slots=True)
class _Reader:
    """One envelope while it is read."""

    names: Names
    envelope: Envelope
    payload: etree._Element
    message_id: str

    def hello(self) -> Message:
        # The only Hello that relates to something is a proxy's: suppression, by a relationship type of its own.
        kind = self.names.action(_SUPPRESSION)
        related = [target for relation, target in self.envelope.addressing.relates_to if relation == kind]
        relates_to = related[0][:MAX_ID] if related else ""
        return Hello(self.target(self.payload), self.app(), self.message_id, self.to(), relates_to, self.generation)

    def bye(self) -> Message:
        version = self.child(self.payload, "MetadataVersion")
        number = None if version is None else _uint(version.text, "MetadataVersion")
        return Bye(self.epr(self.payload), self.app(), self.message_id, number, self.to(), self.generation)

    def probe(self) -> Message:
        types, scopes = self.child(self.payload, "Types"), self.child(self.payload, "Scopes")
        match_by = scopes.get("MatchBy", "").strip() if scopes is not None else ""
        return Probe(
            message_id=self.message_id,
            types=() if types is None else self.names.heard(read_qnames(types, "Types", MAX_TYPES)),
            scopes=() if scopes is None else read_uris(scopes.text, "Scopes", MAX_SCOPES),
            match_by=read_uri(match_by, "MatchBy") if match_by else "",
            to=self.to(),
            reply_to=self.envelope.addressing.reply_to,
            generation=self.generation,
        )

    def probe_matches(self) -> Message:
        found = self.payload.findall(self.names.tag("ProbeMatch"))
        if len(found) > MAX_MATCHES:
            raise too_many("matches", MAX_MATCHES)
        matches = tuple(self.target(match) for match in found)
        return ProbeMatches(matches, self.app(), self.message_id, self.relates_to(), self.to(), self.generation)

    def resolve(self) -> Message:
        reply_to = self.envelope.addressing.reply_to
        return Resolve(self.epr(self.payload), self.message_id, self.to(), reply_to, self.generation)

    def resolve_matches(self) -> Message:
        found = self.child(self.payload, "ResolveMatch")
        match = None if found is None else self.target(found)
        return ResolveMatches(match, self.app(), self.message_id, self.relates_to(), self.to(), self.generation)

    def target(self, element: etree._Element) -> Target:
        types, scopes = self.child(element, "Types"), self.child(element, "Scopes")
        xaddrs, version = self.child(element, "XAddrs"), self.child(element, "MetadataVersion")
        if version is None:
            raise sender_fault("Malformed", "MetadataVersion is missing")
        return Target(
            device=self.epr(element),
            types=() if types is None else self.names.heard(read_qnames(types, "Types", MAX_TYPES)),
            scopes=() if scopes is None else read_uris(scopes.text, "Scopes", MAX_SCOPES),
            xaddrs=() if xaddrs is None else read_uris(xaddrs.text, "XAddrs", MAX_XADDRS),
            metadata_version=_uint(version.text, "MetadataVersion"),
        )

    def app(self) -> AppSequence:
        block = self.envelope.header(self.names.tag("AppSequence"))
        if block is None:
            raise sender_fault("Malformed", "AppSequence is missing (WS-Discovery 1.1 section 7)")
        sequence = block.get("SequenceId", "").strip()
        return AppSequence(
            _uint(block.get("InstanceId"), "InstanceId"),
            _uint(block.get("MessageNumber"), "MessageNumber"),
            read_uri(sequence, "SequenceId", MAX_ID) if sequence else "",
        )

    def relates_to(self) -> str:
        related = [target for kind, target in self.envelope.addressing.relates_to if kind == REPLY]
        if len(related) != 1 or not 0 < len(related[0]) <= MAX_ID:
            raise sender_fault("InvalidAddressingHeader", "an answer relates to one message", namespace=WSA)
        return related[0]

    def to(self) -> str:
        to = self.envelope.addressing.to
        return ADHOC if to == self.names.adhoc else to

    def epr(self, element: etree._Element) -> DeviceId:
        reference = _one(element, qname(self.names.wsa, "EndpointReference"))
        address = None if reference is None else _one(reference, qname(self.names.wsa, "Address"))
        return DeviceId(read_uri(None if address is None else address.text, "the endpoint's address", MAX_ID))

    def child(self, element: etree._Element, name: str) -> etree._Element | None:
        return _one(element, self.names.tag(name))

    @property
    def generation(self) -> Generation:
        return self.names.generation


_READERS: Final[dict[str, Callable[[_Reader], Message]]] = {
    "Hello": _Reader.hello,
    "Bye": _Reader.bye,
    "Probe": _Reader.probe,
    "ProbeMatches": _Reader.probe_matches,
    "Resolve": _Reader.resolve,
    "ResolveMatches": _Reader.resolve_matches,
}


def _one(element: etree._Element, tag: str) -> etree._Element | None:
    found = element.findall(tag)
    if len(found) > 1:
        raise sender_fault("Malformed", f"more than once: {tag}")
    return found[0] if found else None


def _uint(value: str | None, what: str) -> int:
    """An xs:unsignedInt. Raises RemoteError."""
    digits = (value or "").strip()
    if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS:
        number = int(digits)
        if number <= MAX_UINT32:
            return number
    raise sender_fault("Malformed", f"{what} is no unsigned 32-bit integer: {digits[:32]!r}")


def _write_target(target: Target, names: Names) -> str:
    xaddrs = f"<wsd:XAddrs>{text(' '.join(target.xaddrs))}</wsd:XAddrs>" if target.xaddrs else ""
    return "".join(
        (
            write_epr(target.device),
            write_qnames("wsd:Types", names.said(target.types)),
            _write_scopes(target.scopes),
            xaddrs,
            _write_version(target.metadata_version),
        )
    )


def _write_scopes(scopes: tuple[str, ...], match_by: str = "") -> str:
    if not scopes and not match_by:
        return ""
    rule = f" MatchBy={attribute(match_by)}" if match_by else ""
    return f"<wsd:Scopes{rule}>{text(' '.join(scopes))}</wsd:Scopes>"


def _write_version(version: int | None) -> str:
    return "" if version is None else f"<wsd:MetadataVersion>{version}</wsd:MetadataVersion>"


def _write_app(app: AppSequence, wsd: str) -> str:
    sequence = f" SequenceId={attribute(app.sequence)}" if app.sequence else ""
    numbers = f'InstanceId="{app.instance_id}"{sequence} MessageNumber="{app.message_number}"'
    return f'<wsd:AppSequence xmlns:wsd="{wsd}" {numbers}/>'
