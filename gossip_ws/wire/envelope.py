"""SOAP 1.2 envelopes with WS-Addressing 1.0 or 2004/08: the one hardened parser, and the one canonical form."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from os import urandom
from typing import Final

from lxml import etree

from gossip_ws.kernel.errors import Fault, FaultCode, RemoteError, sender_fault
from gossip_ws.kernel.names import ANONYMOUS, SOAP12, WSA, WSA_2004, QName, qname

MAX_ENVELOPE: Final = 32_767
"""Octets; DPWS 1.1 MAX_ENVELOPE_SIZE."""
MAX_REPLY: Final = 2 * 1024 * 1024
"""Octets of a reply of ours that is put into other words: metadata with the largest WSDL in it."""
MAX_UDP_ENVELOPE: Final = 4_096
"""Octets; DPWS 1.1 MAX_UDP_ENVELOPE_SIZE."""
MAX_URI: Final = 2_048
"""Octets; DPWS 1.1 R0025/R0027."""

_ENVELOPE = f"{{{SOAP12}}}Envelope"
_HEADER = f"{{{SOAP12}}}Header"
_BODY = f"{{{SOAP12}}}Body"
_WSA = f"{{{WSA}}}"
_ENDPOINTS = frozenset((_WSA + "ReplyTo", _WSA + "FaultTo"))
_ONCE = frozenset(_WSA + name for name in ("To", "Action", "MessageID", "From", "ReplyTo", "FaultTo"))
REPLY: Final = WSA + "/reply"
_WSA_2004 = f"{{{WSA_2004}}}"
_ANONYMOUS_2004 = WSA_2004 + "/role/anonymous"
_REPLY_2004 = WSA_2004 + "/Reply"
# What XML 1.0 cannot carry even escaped (section 2.2, Char).
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Character data and attribute values with nothing in them to escape or replace: almost all that is written.
_PLAIN_TEXT = re.compile("[\t\n\x20-\x25\x27-\x3b\x3d\x3f-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
_PLAIN_VALUE = re.compile("[\x20\x21\x23-\x25\x27-\x3b\x3d\x3f-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
_QUALIFIER = re.compile(r"([^\W\d][\w.\-]*):")
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


@dataclass(frozen=True, slots=True)
class Addressing:
    """The WS-Addressing properties of one message; empty where the header is absent. `wsa` is the namespace they were
    said in, or are to be; the anonymous address and the reply are named as in 1.0 whichever it is."""

    action: str = ""
    message_id: str = ""
    to: str = ""
    reply_to: str = ""
    fault_to: str = ""
    relates_to: tuple[tuple[str, str], ...] = ()
    """(relationship type, message id) pairs. A type that is a qualified name, as in 2004/08, is `namespace/local`."""
    wsa: str = WSA


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed envelope. `payload` is the element child of the Body, None when the Body is empty."""

    addressing: Addressing
    headers: tuple[etree._Element, ...]
    payload: etree._Element | None

    def header(self, name: QName) -> etree._Element | None:
        """The header block of that name. Raises RemoteError when it stands there twice."""
        found = [block for block in self.headers if block.tag == name]
        if len(found) > 1:
            raise sender_fault("DuplicateHeader", f"header block more than once: {name}")
        return found[0] if found else None


def parser() -> etree.XMLParser:
    """A fresh hardened parser: no DTD loaded, no entity resolved, no network, bounded depth and text."""
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


_PARSER = parser()


def read_root(frame: bytes, limit: int = MAX_ENVELOPE) -> etree._Element:
    """The root of what may be an envelope. Raises RemoteError; size is looked at before anything else."""
    if len(frame) > limit:
        raise sender_fault("TooLarge", f"envelope of {len(frame)} octets, at most {limit} are taken")
    try:
        root = etree.fromstring(frame, _PARSER)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        raise sender_fault("Malformed", f"not well-formed XML: {error}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise sender_fault("Malformed", "a SOAP envelope has no document type (SOAP 1.2 part 1 section 5)")
    return root


def unwrap(frame: bytes, limit: int = MAX_ENVELOPE) -> tuple[tuple[etree._Element, ...], etree._Element | None]:
    """The header blocks and the element in the Body of one SOAP 1.2 envelope; addressing is not looked at.

    Raises RemoteError.
    """
    root = read_root(frame, limit)
    if root.tag != _ENVELOPE:
        raise RemoteError(
            Fault(FaultCode.VERSION_MISMATCH, qname(SOAP12, "VersionMismatch"), f"not a SOAP 1.2 envelope: {root.tag}")
        )
    children = list(root)
    headers: tuple[etree._Element, ...] = ()
    if children and children[0].tag == _HEADER:
        headers = tuple(children.pop(0))
    if len(children) != 1 or children[0].tag != _BODY:
        raise sender_fault("Malformed", "an envelope is an optional Header and one Body")
    body = list(children[0])
    if len(body) > 1:
        raise sender_fault("Malformed", "more than one element in the Body: only document/literal is spoken here")
    return headers, body[0] if body else None


def parse(frame: bytes, limit: int = MAX_ENVELOPE) -> Envelope:
    """Read one SOAP 1.2 envelope with its addressing. Raises RemoteError."""
    headers, payload = unwrap(frame, limit)
    return Envelope(addressing(headers), headers, payload)


def text(value: str) -> str:
    """`value` as character data: escaped, and without what XML cannot carry at all."""
    if _PLAIN_TEXT.fullmatch(value):
        return value
    return _escaped(value).replace("\r", "&#13;")


def attribute(value: str) -> str:
    """`value` as a quoted attribute value: escaped, and without what XML cannot carry at all."""
    if _PLAIN_VALUE.fullmatch(value):
        return f'"{value}"'
    escaped = _escaped(value).replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;")
    if '"' not in escaped:
        return f'"{escaped}"'
    return f"'{escaped}'" if "'" not in escaped else '"{}"'.format(escaped.replace('"', "&quot;"))


def _escaped(value: str) -> str:
    # By hand: xml.sax.saxutils brings urllib.request, and with it mail, HTTP and TLS: 2 MiB of a meter's memory.
    clean = _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", value)
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def canonical(element: etree._Element, prefixes: tuple[str, ...] = ()) -> bytes:
    """Exclusive canonical XML 1.0 without comments; `prefixes` as InclusiveNamespaces PrefixList."""
    return etree.tostring(
        element,
        method="c14n",
        exclusive=True,
        with_comments=False,
        with_tail=False,
        inclusive_ns_prefixes=list(prefixes) or None,
    )


def content_prefixes(element: etree._Element) -> tuple[str, ...]:
    """The prefixes that qualified names in the content of `element` may use: `xsi:type`, a QName's text.

    No schema is asked, so every `prefix:` whose prefix is declared counts: one too many is harmless, one
    too few would leave a name without its namespace. Sorted. Raises RemoteError for an `xsi:type` without a
    prefix in a default namespace that no element's name uses: lxml's canonical form cannot keep that.
    """
    found: set[str] = set()
    for node in element.iter():
        kind = node.get(_XSI_TYPE)
        if kind is not None and ":" not in kind and not _keeps_default(node, element):
            raise sender_fault("Malformed", f"xsi:type without a prefix: {kind[:64]!r}")
        for value in (node.text, None if node is element else node.tail, *node.values()):
            if isinstance(value, str) and ":" in value:
                declared = node.nsmap
                found.update(prefix for prefix in _QUALIFIER.findall(value) if prefix in declared)
    return tuple(sorted(found))


def _keeps_default(node: etree._Element, top: etree._Element) -> bool:
    """Is there no default namespace at `node`, or does an element from there up to `top` render it?"""
    default = node.nsmap.get(None)
    current: etree._Element | None = node
    while default and current is not None:
        if not current.prefix and current.nsmap.get(None) == default:
            return True
        current = None if current is top else current.getparent()
    return not default


def message_id() -> str:
    """A fresh `urn:uuid:`, random (RFC 9562, version 4). Every hop makes one; uuid.uuid4 takes three times as long."""
    digits = urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def write_epr(address: str) -> str:
    """The `wsa:EndpointReference` of who has nothing but an address, of either generation: the prefix says which."""
    return f"<wsa:EndpointReference><wsa:Address>{text(address)}</wsa:Address></wsa:EndpointReference>"


def build(properties: Addressing, body: bytes, blocks: bytes = b"") -> bytes:
    """An envelope around `body` and further header `blocks`; both are taken verbatim, so each must
    declare the namespaces it uses (the canonical form does)."""
    # Peers of 2004/08 were seen that compare prefixes.
    soap = "s12"
    if properties.wsa == WSA_2004:
        soap, properties = "soap", _said_2004(properties)
    headers = []
    if properties.to:
        headers.append(f"<wsa:To>{text(properties.to)}</wsa:To>")
    if properties.action:
        headers.append(f"<wsa:Action>{text(properties.action)}</wsa:Action>")
    if properties.message_id:
        headers.append(f"<wsa:MessageID>{text(properties.message_id)}</wsa:MessageID>")
    if properties.reply_to:
        headers.append(f"<wsa:ReplyTo><wsa:Address>{text(properties.reply_to)}</wsa:Address></wsa:ReplyTo>")
    for kind, related in properties.relates_to:
        if kind == REPLY:
            kind_attribute = ""
        elif properties.wsa == WSA_2004:
            namespace, _, local = kind.rpartition("/")
            kind_attribute = f" xmlns:wsd={attribute(namespace)} RelationshipType={attribute('wsd:' + local)}"
        else:
            kind_attribute = f" RelationshipType={attribute(kind)}"
        headers.append(f"<wsa:RelatesTo{kind_attribute}>{text(related)}</wsa:RelatesTo>")
    return b"".join(
        (
            f'<{soap}:Envelope xmlns:{soap}="{SOAP12}" xmlns:wsa="{properties.wsa}"><{soap}:Header>'.encode(),
            "".join(headers).encode(),
            blocks,
            f"</{soap}:Header><{soap}:Body>".encode(),
            body,
            f"</{soap}:Body></{soap}:Envelope>".encode(),
        )
    )


def addressing(headers: tuple[etree._Element, ...]) -> Addressing:
    """The WS-Addressing properties among the header blocks. Raises RemoteError when one stands there twice, is too
    long, or is an endpoint without an address."""
    found: dict[str, str] = {}
    relates_to: list[tuple[str, str]] = []
    for block in headers:
        tag = block.tag
        if not tag.startswith(_WSA):
            continue
        if tag in _ONCE:
            if tag in found:
                raise header_fault("InvalidCardinality", QName(tag), "more than once")
            value = block.text if len(block) == 0 else block.findtext(_WSA + "Address")
            found[tag] = (value or "").strip()
            if len(found[tag]) > MAX_URI:
                raise header_fault("InvalidAddress", QName(tag), f"more than {MAX_URI} octets")
            if tag in _ENDPOINTS and not found[tag]:
                raise header_fault("MissingAddressInEPR", QName(tag), "an endpoint without an address")
        elif tag == _WSA + "RelatesTo":
            relates_to.append((block.get("RelationshipType", REPLY), (block.text or "").strip()))
    if not found and not relates_to:
        return _addressing_2004(headers)
    return Addressing(
        action=found.get(_WSA + "Action", ""),
        message_id=found.get(_WSA + "MessageID", ""),
        to=found.get(_WSA + "To", ""),
        reply_to=found.get(_WSA + "ReplyTo", ""),
        fault_to=found.get(_WSA + "FaultTo", ""),
        relates_to=tuple(relates_to),
    )


def header_fault(kind: str, header: QName, reason: str) -> RemoteError:
    """A WS-Addressing header that is wrong: `kind` is the subsubcode (WS-Addressing 1.0 SOAP binding section 6.4.1)."""
    local = header.rpartition("}")[2]
    detail = f'<wsa:ProblemHeaderQName xmlns:wsa="{WSA}">wsa:{text(local)}</wsa:ProblemHeaderQName>'
    subcode, subsubcode = qname(WSA, "InvalidAddressingHeader"), qname(WSA, kind)
    return RemoteError(Fault(FaultCode.SENDER, subcode, f"wsa:{local}: {reason}", detail.encode(), subsubcode))


def _addressing_2004(headers: tuple[etree._Element, ...]) -> Addressing:
    """The same of WS-Addressing 2004/08, with the URIs of 1.0."""
    found: dict[str, str] = {}
    relates_to: list[tuple[str, str]] = []
    for block in headers:
        if not block.tag.startswith(_WSA_2004):
            continue
        name = block.tag.removeprefix(_WSA_2004)
        if name == "RelatesTo":
            relates_to.append((_relationship_2004(block), (block.text or "").strip()))
            continue
        value = ((block.text if len(block) == 0 else block.findtext(_WSA_2004 + "Address")) or "").strip()
        if name in found or len(value) > MAX_URI:
            raise header_fault(
                "InvalidCardinality", QName(block.tag), f"more than once, or of more than {MAX_URI} octets"
            )
        found[name] = ANONYMOUS if value == _ANONYMOUS_2004 else value
    if not found and not relates_to:
        return Addressing()
    return Addressing(
        action=found.get("Action", ""),
        message_id=found.get("MessageID", ""),
        to=found.get("To", ""),
        reply_to=found.get("ReplyTo", ""),
        fault_to=found.get("FaultTo", ""),
        relates_to=tuple(relates_to),
        wsa=WSA_2004,
    )


def _relationship_2004(block: etree._Element) -> str:
    prefix, colon, local = block.get("RelationshipType", "").strip().rpartition(":")
    if not local:
        return REPLY
    kind = f"{block.nsmap.get(prefix if colon else None, '')}/{local}"
    return REPLY if kind == _REPLY_2004 else kind


def _said_2004(properties: Addressing) -> Addressing:
    to, reply_to = (
        _ANONYMOUS_2004 if address == ANONYMOUS else address for address in (properties.to, properties.reply_to)
    )
    return replace(properties, to=to, reply_to=reply_to)
