"""SOAP 1.1 for clients that know no better: a thin shell, inside of which everything is SOAP 1.2.

A request is rewritten before anybody looks at it, its reply after everybody is done. What is refused is refused by
those who refuse it in SOAP 1.2: here only size and form are looked at. Knows no operation and no transport.
"""

from __future__ import annotations

from typing import Any, Final

from lxml import etree

from gossip_ws.kernel.errors import Fault, FaultCode
from gossip_ws.kernel.names import SOAP12, WSA, qname, split
from gossip_ws.wire.envelope import MAX_REPLY, parse, parser, read_root
from gossip_ws.wire.soap import PREFIXES, read_fault

SOAP11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
MEDIA_TYPE: Final = "text/xml"
CONTENT_TYPE: Final = f"{MEDIA_TYPE}; charset=utf-8"

_ENVELOPE: Final = qname(SOAP11, "Envelope")
_NEXT: Final = "http://schemas.xmlsoap.org/soap/actor/next"
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_CODES: Final = {FaultCode.SENDER: "Client", FaultCode.RECEIVER: "Server"}


def is_legacy(content_type: str) -> bool:
    """Is this the media type of SOAP 1.1? Whoever sends it reads no fault in SOAP 1.2, whatever is in the body."""
    return content_type.partition(";")[0].strip().lower() == MEDIA_TYPE


def may_be_soap11(frame: bytes, content_type: str) -> bool:
    """Is `to_soap12` worth its while? The name of the envelope alone decides, but only a parser finds that."""
    return is_legacy(content_type) or SOAP11.encode() in frame


def to_soap12(frame: bytes) -> bytes | None:
    """The SOAP 1.2 envelope that says the same, None when the frame is no SOAP 1.1 envelope. Raises RemoteError when it
    is too large or not well-formed."""
    root = read_root(frame)
    if root.tag != _ENVELOPE:
        return None
    made = _rewritten(root, SOAP11, SOAP12, "s12")
    for block in made.iterfind(f"{{{SOAP12}}}Header/*"):
        required, actor = (block.attrib.pop(qname(SOAP11, name), "") for name in ("mustUnderstand", "actor"))
        if required:
            block.set(qname(SOAP12, "mustUnderstand"), required)
        if actor:
            block.set(qname(SOAP12, "role"), f"{SOAP12}/role/next" if actor == _NEXT else actor)
    return etree.tostring(made)


def to_soap11(reply: bytes) -> bytes:
    """The SOAP 1.1 envelope that says the same as a reply or a fault of this device."""
    made = _rewritten(read_root(reply, MAX_REPLY), SOAP12, SOAP11, "soap")
    header, body = made
    for block in header.findall(f"{{{SOAP12}}}*"):
        # What SOAP 1.2 says beside its own faults has no place here.
        header.remove(block)
    fault = read_fault(parse(reply, MAX_REPLY))
    if fault is not None:
        of_headers = fault.code not in _CODES or split(fault.subcode)[0] == WSA
        body[:] = [_written(fault, of_headers)]
        if of_headers and fault.detail:
            # WS-Addressing 1.0 SOAP binding section 6.2: the detail is for what was wrong with the Body.
            etree.SubElement(header, qname(WSA, "FaultDetail")).append(etree.fromstring(fault.detail, parser()))
    return etree.tostring(made)


def _written(fault: Fault, of_headers: bool) -> etree._Element:
    """Only the code is qualified; there is one, so the most specific that the fault has (as WS-Addressing binds it)."""
    namespace, local = split(fault.subsubcode or fault.subcode)
    if fault.code not in _CODES or not namespace:
        namespace, local = SOAP11, _CODES.get(fault.code, fault.code.value)
    prefix = "soap" if namespace == SOAP11 else PREFIXES.get(namespace, "f")
    made = etree.Element(qname(SOAP11, "Fault"), nsmap={"soap": SOAP11})
    etree.SubElement(made, "faultcode", nsmap={prefix: namespace}).text = f"{prefix}:{local}"
    etree.SubElement(made, "faultstring", {_LANG: "en"}).text = fault.reason
    if not of_headers:
        detail = etree.SubElement(made, "detail")
        if fault.detail:
            detail.append(etree.fromstring(fault.detail, parser()))
    return made


def _rewritten(root: etree._Element, old: str, new: str, prefix: str) -> etree._Element:
    """The same envelope in another namespace: its own elements are new, what is in them is moved. Prefixes are kept
    where they are declared, because names in content may use them."""
    made = etree.Element(qname(new, "Envelope"), nsmap={prefix: new} | _declared(root, old))
    for part in root:
        namespace, local = split(qname("", str(part.tag)))
        if namespace != old or local not in ("Header", "Body"):
            made.append(part)
            continue
        renamed = etree.SubElement(made, qname(new, local), nsmap=_declared(part, old))
        renamed.extend(list(part))
    return made


def _declared(element: etree._Element, without: str) -> Any:
    # Any: lxml's stubs take no default namespace, lxml does.
    return {prefix: namespace for prefix, namespace in element.nsmap.items() if namespace != without}
