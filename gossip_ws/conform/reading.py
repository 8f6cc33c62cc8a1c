"""Envelopes of strangers, read leniently: what is missing or odd is for a rule to find, so nothing here raises.

The readers of `wire` take a message or refuse it whole; a tester has to see past one mistake to judge the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lxml import etree

from gossip_ws.kernel.names import SOAP12, WSA, WSD, QName, qname
from gossip_ws.wire.envelope import REPLY, parser

MAX_READ: Final = 1_048_576
"""Octets of an envelope or a document that is looked into."""
MAX_WORDS: Final = 64
"""Types, scopes and addresses of one list that are looked at."""
_MAX_SUBCODES: Final = 8


def read_xml(octets: bytes) -> etree._Element | None:
    """The root element; None for what is no XML, too large, or has a document type."""
    if not 0 < len(octets) <= MAX_READ:
        return None
    try:
        root = etree.fromstring(octets, parser())
    except (etree.XMLSyntaxError, ValueError, LookupError):
        return None
    return root if root.getroottree().docinfo.internalDTD is None else None


@dataclass(frozen=True, slots=True)
class Code:
    """A fault's code or one of its subcodes: the name, and whether a namespace belonged to it."""

    name: QName
    is_qualified: bool


@dataclass(frozen=True, slots=True)
class FaultSeen:
    """`codes`: the code itself, then the subcodes from the outside in. `detail`: names of the detail's children."""

    codes: tuple[Code, ...]
    reason: str
    detail: tuple[str, ...]

    def has(self, *names: QName) -> bool:
        """Is one of the names among the codes?"""
        return any(code.name in names for code in self.codes)

    def __str__(self) -> str:
        codes = "/".join(code.name.rpartition("}")[2] or "?" for code in self.codes) or "without a code"
        return f"fault {codes}: {self.reason}" if self.reason else f"fault {codes}"


@dataclass(frozen=True, slots=True)
class Message:
    """An envelope of any SOAP version. `headers` and `body` are empty where it has none."""

    root: etree._Element
    headers: tuple[etree._Element, ...]
    body: tuple[etree._Element, ...]

    @property
    def is_soap12(self) -> bool:
        return self.root.tag == qname(SOAP12, "Envelope")

    @property
    def payload(self) -> etree._Element | None:
        return self.body[0] if self.body else None

    def holds(self, name: QName) -> bool:
        """Is `name` the only element of the Body?"""
        return len(self.body) == 1 and self.body[0].tag == name

    def values(self, local: str) -> list[str]:
        """The texts of the WS-Addressing headers of that name."""
        return [_text(block) for block in self.headers if block.tag == qname(WSA, local)]

    @property
    def action(self) -> str:
        return next(iter(self.values("Action")), "")

    @property
    def message_id(self) -> str:
        return next(iter(self.values("MessageID")), "")

    @property
    def relates_to(self) -> tuple[str, ...]:
        """What it is a reply to; an absent relationship type is that of a reply."""
        related = qname(WSA, "RelatesTo")
        blocks = [block for block in self.headers if block.tag == related]
        return tuple(_text(block) for block in blocks if block.get("RelationshipType", REPLY).strip() == REPLY)

    @property
    def fault(self) -> FaultSeen | None:
        payload = self.payload
        if payload is None or payload.tag != qname(SOAP12, "Fault"):
            return None
        codes: list[Code] = []
        level = payload.find(qname(SOAP12, "Code"))
        while level is not None and len(codes) < _MAX_SUBCODES:
            codes.append(_code(level.find(qname(SOAP12, "Value"))))
            level = level.find(qname(SOAP12, "Subcode"))
        reason = payload.findtext(f"{qname(SOAP12, 'Reason')}/{qname(SOAP12, 'Text')}") or ""
        detail = payload.find(qname(SOAP12, "Detail"))
        return FaultSeen(
            tuple(codes), reason.strip(), tuple(child.tag for child in detail) if detail is not None else ()
        )


def read(octets: bytes) -> Message | None:
    """None for what is no XML with a root called Envelope."""
    root = read_xml(octets)
    if root is None or etree.QName(root).localname != "Envelope":
        return None
    namespace = etree.QName(root).namespace or ""
    header, body = root.find(qname(namespace, "Header")), root.find(qname(namespace, "Body"))
    return Message(root, tuple(header) if header is not None else (), tuple(body) if body is not None else ())


@dataclass(frozen=True, slots=True)
class AppSequenceSeen:
    """`instance_id` and `message_number` are None where they are no unsigned 32-bit integer."""

    instance_id: int | None
    message_number: int | None
    sequence: str


@dataclass(frozen=True, slots=True)
class MatchSeen:
    """What a device says of itself in a match or a Hello. `version` is None when it is missing or no number,
    `types` None where there is no such element."""

    epr: str
    types: tuple[QName, ...] | None
    scopes: tuple[str, ...]
    xaddrs: tuple[str, ...]
    version: int | None


def app_sequence(message: Message) -> AppSequenceSeen | None:
    block = next((block for block in message.headers if block.tag == qname(WSD, "AppSequence")), None)
    if block is None:
        return None
    return AppSequenceSeen(
        uint(block.get("InstanceId")), uint(block.get("MessageNumber")), block.get("SequenceId", "").strip()
    )


def matches(message: Message) -> tuple[MatchSeen, ...]:
    """Of a ProbeMatches or ResolveMatches; empty for anything else."""
    payload = message.payload
    for name in ("Probe", "Resolve"):
        if payload is not None and payload.tag == qname(WSD, f"{name}Matches"):
            return tuple(map(match, payload.findall(qname(WSD, f"{name}Match"))[:MAX_WORDS]))
    return ()


def match(element: etree._Element) -> MatchSeen:
    types = element.find(qname(WSD, "Types"))
    return MatchSeen(
        epr=epr_address(element),
        types=None if types is None else names_in(types),
        scopes=_words(element, "Scopes"),
        xaddrs=_words(element, "XAddrs"),
        version=uint(element.findtext(qname(WSD, "MetadataVersion"))),
    )


def epr_address(element: etree._Element) -> str:
    """The address in the endpoint reference that is a child of `element`; empty when it has none."""
    return (element.findtext(f"{qname(WSA, 'EndpointReference')}/{qname(WSA, 'Address')}") or "").strip()


def names_in(element: etree._Element) -> tuple[QName, ...]:
    """The qualified names in an element's text; one without a declared prefix stays without a namespace."""
    return tuple(_resolved(word, element) for word in (element.text or "").split()[:MAX_WORDS])


def uint(content: str | None) -> int | None:
    """An xs:unsignedInt."""
    digits = (content or "").strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 16):
        return None
    number = int(digits)
    return number if number < 2**32 else None


def _words(element: etree._Element, name: str) -> tuple[str, ...]:
    return tuple((element.findtext(qname(WSD, name)) or "").split()[:MAX_WORDS])


def _text(block: etree._Element) -> str:
    content = block.text if len(block) == 0 else block.findtext(qname(WSA, "Address"))
    return (content or "").strip()


def _code(value: etree._Element | None) -> Code:
    if value is None or not (value.text or "").strip():
        return Code(QName(""), False)
    name = _resolved((value.text or "").strip(), value)
    return Code(name, name.startswith("{"))


def _resolved(word: str, element: etree._Element) -> QName:
    prefix, colon, local = word.rpartition(":")
    return qname(element.nsmap.get(prefix if colon else None) or "", local)
