"""SOAP 1.2 faults, replies and the mustUnderstand rule, and the faults of WS-Addressing: what every service has in
common on the wire.

Knows no gossip and no operation. Subcodes are always namespace-qualified, their prefix declared where it is
used: strict peers refuse an unqualified one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lxml import etree

from gossip_ws.kernel.errors import Fault, FaultCode, RemoteError
from gossip_ws.kernel.names import DPWS, SOAP12, WSA, WSA_2004, WSD, WSD_2005, WSE, QName, qname, split
from gossip_ws.wire.envelope import (
    MAX_URI,
    Addressing,
    Envelope,
    addressing,
    attribute,
    build,
    canonical,
    content_prefixes,
    message_id,
    text,
    unwrap,
)

FAULT_ACTION: Final = WSA + "/soap/fault"
"""WS-Addressing 1.0 SOAP binding section 6, for faults of SOAP itself and those that no WSDL gives an action of
their own."""
DEFINED_FAULT_ACTIONS: Final = {namespace: namespace + "/fault" for namespace in (WSA, WSD, WSD_2005, DPWS, WSE)}
"""Of the faults that WS-Addressing, WS-Discovery, DPWS and WS-Eventing define, by the namespace of their subcode."""
ADDRESSING_HEADERS: Final = frozenset(
    qname(namespace, name)
    for namespace in (WSA, WSA_2004)
    for name in ("To", "Action", "MessageID", "RelatesTo", "From", "ReplyTo", "FaultTo")
)
PREFIXES: Final = {WSA: "wsa", WSD: "wsd", DPWS: "dpws", WSE: "wse"}
"""Of the namespaces that faults come from: some peers compare text."""
MAX_REASON: Final = 1_024
"""Characters of a fault's reason that are sent or read; a longer one is cut."""
MAX_DETAIL: Final = 16_384
"""Octets of a fault's detail that are sent or read; a longer one is left out."""

_FAULT: Final = qname(SOAP12, "Fault")
_CODE: Final = qname(SOAP12, "Code")
_SUBCODE: Final = qname(SOAP12, "Subcode")
_VALUE: Final = qname(SOAP12, "Value")
_TEXT: Final = qname(SOAP12, "Reason") + "/" + qname(SOAP12, "Text")
_DETAIL: Final = qname(SOAP12, "Detail")
_MUST_UNDERSTAND: Final = qname(SOAP12, "mustUnderstand")
_ROLE: Final = qname(SOAP12, "role")
# SOAP 1.2 part 1 section 2.2: the roles that a device at the end of the path plays.
_OURS: Final = frozenset(("", f"{SOAP12}/role/next", f"{SOAP12}/role/ultimateReceiver"))
_CODES: Final = {code.value: code for code in FaultCode}
_MESSAGE_IDS: Final = (qname(WSA, "MessageID"), qname(WSA_2004, "MessageID"))
# SOAP 1.2 part 1 section 5.4.7: what the sender may send instead.
_UPGRADE: Final = b'<s12:Upgrade><s12:SupportedEnvelope qname="s12:Envelope"/></s12:Upgrade>'


def fault_envelope(fault: Fault, relates_to: str = "", blocks: bytes = b"") -> bytes:
    """The envelope that tells `fault` to whoever sent the message `relates_to` (its wsa:MessageID, if any)."""
    namespace = split(fault.subcode)[0]
    subcode = _subcode(fault.subcode, _subcode(fault.subsubcode) if fault.subsubcode else "")
    if fault.code is FaultCode.VERSION_MISMATCH:
        blocks += _UPGRADE
    detail = b"<s12:Detail>%b</s12:Detail>" % fault.detail if 0 < len(fault.detail) <= MAX_DETAIL else b""
    head = (
        f"<s12:Fault><s12:Code><s12:Value>s12:{fault.code.value}</s12:Value>{subcode}</s12:Code>"
        f'<s12:Reason><s12:Text xml:lang="en">{text(fault.reason[:MAX_REASON])}</s12:Text></s12:Reason>'
    )
    action = DEFINED_FAULT_ACTIONS.get(namespace, FAULT_ACTION)
    return reply_envelope(action, relates_to, b"%b%b</s12:Fault>" % (head.encode(), detail), blocks)


def _subcode(name: QName, inner: str = "") -> str:
    namespace, local = split(name)
    if not namespace or namespace == SOAP12:
        return ""
    prefix = PREFIXES.get(namespace, "f")
    value = f"<s12:Value xmlns:{prefix}={attribute(namespace)}>{prefix}:{text(local)}</s12:Value>"
    return f"<s12:Subcode>{value}{inner}</s12:Subcode>"


def reply_envelope(action: str, relates_to: str, body: bytes, blocks: bytes = b"") -> bytes:
    """The reply to the message `relates_to` (empty: it had no id), around a canonical `body` element."""
    relations = ((WSA + "/reply", relates_to),) if relates_to else ()
    return build(Addressing(action, message_id(), relates_to=relations), body, blocks)


def read_fault(envelope: Envelope) -> Fault | None:
    """The fault in the Body; None when it holds none. What is missing or odd in it reads as empty."""
    payload = envelope.payload
    if payload is None or payload.tag != _FAULT:
        return None
    code = payload.find(_CODE)
    kind, subcode, subsubcode = FaultCode.RECEIVER, QName(""), None
    if code is not None:
        kind = _CODES.get(split(_qualified(code.find(_VALUE)))[1], FaultCode.RECEIVER)
        subcode = _qualified(code.find(f"{_SUBCODE}/{_VALUE}"))
        subsubcode = _qualified(code.find(f"{_SUBCODE}/{_SUBCODE}/{_VALUE}")) or None
    reason = (payload.findtext(_TEXT) or "").strip()[:MAX_REASON]
    detail = payload.find(_DETAIL)
    octets = canonical(detail[0], content_prefixes(detail[0])) if detail is not None and len(detail) else b""
    return Fault(kind, subcode, reason, octets if len(octets) <= MAX_DETAIL else b"", subsubcode)


class NotUnderstood(RemoteError):
    """A MustUnderstand fault. `blocks`: the header block that names what was not understood."""

    def __init__(self, name: QName) -> None:
        reason = f"a header block that has to be understood is not: {name}"
        super().__init__(Fault(FaultCode.MUST_UNDERSTAND, qname(SOAP12, "MustUnderstand"), reason[:MAX_REASON]))
        namespace, local = split(name)
        prefix, declared = ("x:", f" xmlns:x={attribute(namespace)}") if namespace else ("", "")
        self.blocks: Final = f"<s12:NotUnderstood qname={attribute(prefix + local)}{declared}/>".encode()


def understand(blocks: Iterable[etree._Element], known: frozenset[QName] | frozenset[str]) -> None:
    """Raises NotUnderstood for a block that is meant for us, has to be understood and is not `known` (SOAP 1.2 part 1
    section 5.4.8)."""
    for block in blocks:
        if block.tag not in known and block.get(_MUST_UNDERSTAND, "0").strip() in ("1", "true"):
            if block.get(_ROLE, "") not in _OURS:
                continue
            raise NotUnderstood(QName(str(block.tag)))


def read_understood(frame: bytes, known: frozenset[QName] | frozenset[str]) -> Envelope:
    """Read one envelope. What is wrong comes to light in the order of SOAP 1.2: another version, a block that is not
    understood, then whatever else the sender did. Raises RemoteError."""
    headers, payload = unwrap(frame)
    understand(headers, known)
    return Envelope(addressing(headers), headers, payload)


def message_id_of(frame: bytes) -> str:
    """The wsa:MessageID of an envelope with which something else may be wrong; empty when it cannot be told."""
    try:
        headers, _ = unwrap(frame)
    except RemoteError:
        return ""
    found = [(block.text or "").strip() for block in headers if block.tag in _MESSAGE_IDS]
    return found[0] if len(found) == 1 and len(found[0]) <= MAX_URI else ""


def action_not_supported(action: str, reason: str) -> RemoteError:
    """WS-Addressing 1.0 SOAP binding section 6.4.4."""
    detail = f'<wsa:ProblemAction xmlns:wsa="{WSA}"><wsa:Action>{text(action)}</wsa:Action></wsa:ProblemAction>'
    subcode = qname(WSA, "ActionNotSupported")
    return RemoteError(Fault(FaultCode.SENDER, subcode, reason, detail.encode() if action else b""))


def header_required(local: str) -> RemoteError:
    """Who addresses a message has to say this as well (section 6.4.2). `local`: the header's name in WS-Addressing."""
    detail = f'<wsa:ProblemHeaderQName xmlns:wsa="{WSA}">wsa:{local}</wsa:ProblemHeaderQName>'
    subcode = qname(WSA, "MessageAddressingHeaderRequired")
    return RemoteError(Fault(FaultCode.SENDER, subcode, f"wsa:{local} is missing", detail.encode()))


def destination_unreachable(to: str) -> RemoteError:
    """A wsa:To that is not of this device (section 6.4.3)."""
    detail = f'<wsa:ProblemIRI xmlns:wsa="{WSA}">{text(to)}</wsa:ProblemIRI>'
    reason = f"not an address of this device: {to}"
    return RemoteError(Fault(FaultCode.SENDER, qname(WSA, "DestinationUnreachable"), reason, detail.encode()))


def _qualified(element: etree._Element | None) -> QName:
    """A QName in content, its prefix resolved where it stands; empty when it has none."""
    if element is None or not element.text:
        return QName("")
    prefix, colon, local = element.text.strip().rpartition(":")
    namespace = element.nsmap.get(prefix if colon else None, "")
    return qname(namespace, local)
