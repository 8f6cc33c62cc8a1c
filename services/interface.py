"""Spyne's interface document, mended into the WSDL and the schema that this project promises.

The complete form (gossip_ws.wire.wsdl makes the others of it): SOAP 1.2 document/literal; the portType named after the
service; `wsam:Action` on every message and the same soapAction; no output where there is no reply, no input where only
the device speaks, and the portType an event source then; no location to fetch anything from; the same octets in every
process. Knows Spyne's interface objects and nothing of calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lxml import etree
from spyne.util.etreeconv import root_dict_to_etree

from gossip_ws.kernel.contract import Operation
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import WSE
from gossip_ws.kernel.terms import Style
from gossip_ws.services import _spyne
from gossip_ws.wire.envelope import text
from gossip_ws.wire.eventing import EVENT_SOURCE

PLACEHOLDER: Final = "urn:gossip-ws:2026:address"
"""The service's address in a WSDL that is not of any one device."""

WSAM: Final = "http://www.w3.org/2007/05/addressing/metadata"
_WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
_SOAP: Final = "http://schemas.xmlsoap.org/wsdl/soap12/"
_XS: Final = "http://www.w3.org/2001/XMLSchema"
_NAMESPACES: Final = {"w": _WSDL, "s": _SOAP, "xs": _XS}
_QNAMES: Final = ("message", "type", "binding", "element", "base", "ref")
_TOP: Final = [f"{{{_WSDL}}}{name}" for name in ("types", "message", "portType", "binding", "service")]


def build(interface: Any, operations: Mapping[str, Operation]) -> tuple[bytes, etree.XMLSchema]:
    """(the WSDL at PLACEHOLDER, its schema compiled). `operations` by action, all of the one service."""
    # Spyne declares the WS-Addressing of 2003; nothing in its document uses it.
    interface.nsmap.pop("wsa", None)
    interface.nsmap["wsam"] = WSAM
    interface.nsmap["wse"] = WSE
    document = _spyne.Wsdl11(interface)
    document.build_interface_document(PLACEHOLDER)
    root = document.root_elt
    by_name = {operation.name: operation for operation in operations.values()}
    for element in _find(root, "//w:operation"):
        _mend_operation(element, by_name[element.get("name", "")])
    for operation in by_name.values():
        if operation.style is Style.ONE_WAY:
            _drop_response(root, operation.name)
    if any(operation.is_notification for operation in by_name.values()):
        for port_type in root.findall(f"{{{_WSDL}}}portType"):
            port_type.set(EVENT_SOURCE, "true")
    _fill_documentation(root)
    _put_in_order(root)
    _drop_unused_prefixes(root)
    etree.indent(root, space=" ")
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8"), _compiled(root)


def _fill_documentation(root: etree._Element) -> None:
    """What a docstring says, without its indentation, which Python leaves in it up to 3.12."""
    for element in root.iter(f"{{{_WSDL}}}documentation", f"{{{_XS}}}documentation"):
        element.text = " ".join((element.text or "").split())


def at(document: bytes, address: str) -> bytes:
    """The WSDL of the service at `address`."""
    return document.replace(PLACEHOLDER.encode(), text(address).replace('"', "&quot;").encode())


def element_of(detail: dict[str, Any]) -> etree._Element:
    """The element that a Spyne fault's detail, a dict with one key, stands for."""
    element = root_dict_to_etree(detail)
    if not isinstance(element, etree._Element):
        raise LocalError("a fault's detail is a dict with one key")
    return element


def _find(root: etree._Element, path: str) -> list[etree._Element]:
    found = root.xpath(path, namespaces=_NAMESPACES)
    return [element for element in found if isinstance(element, etree._Element)] if isinstance(found, list) else []


def _mend_operation(element: etree._Element, operation: Operation) -> None:
    # Only meaningful for RPC style (WSDL 1.1 section 2.4.6).
    element.attrib.pop("parameterOrder", "")
    for soap in element.findall(f"{{{_SOAP}}}operation"):
        soap.set("soapAction", operation.action)
    in_port_type = element.getparent().tag == f"{{{_WSDL}}}portType"  # type: ignore[union-attr]
    for message in element.findall(f"{{{_WSDL}}}input"):
        if in_port_type:
            message.set(f"{{{WSAM}}}Action", operation.action)
    if operation.is_notification:
        # WSDL 1.1 section 2.4.4: what a one-way operation takes is what a notification gives.
        for message in element.findall(f"{{{_WSDL}}}output"):
            element.remove(message)
        for message in element.findall(f"{{{_WSDL}}}input"):
            message.tag = f"{{{_WSDL}}}output"
        return
    for message in element.findall(f"{{{_WSDL}}}output"):
        if operation.style is Style.ONE_WAY:
            element.remove(message)
        elif in_port_type:
            message.set(f"{{{WSAM}}}Action", operation.reply_action)


def _drop_response(root: etree._Element, name: str) -> None:
    """The message and the schema components of a response that is never sent."""
    for path in ("//w:message", "//xs:schema/xs:element", "//xs:schema/xs:complexType"):
        for element in _find(root, f"{path}[@name='{name}Response']"):
            element.getparent().remove(element)  # type: ignore[union-attr]


def _put_in_order(root: etree._Element) -> None:
    """Spyne walks sets: without this the document differs from process to process."""
    root[:] = sorted(root, key=lambda element: _TOP.index(element.tag))
    for types in root.findall(f"{{{_WSDL}}}types"):
        types[:] = sorted(types, key=lambda schema: schema.get("targetNamespace") or "")
    kinds = [f"{{{_XS}}}{name}" for name in ("import", "simpleType", "complexType", "element")]
    for schema in _find(root, "//xs:schema"):
        schema[:] = sorted(
            schema, key=lambda part: (kinds.index(part.tag), part.get("name") or part.get("namespace") or "")
        )
        for part in schema.findall(f"{{{_XS}}}import"):
            part.attrib.pop("schemaLocation", "")


def _drop_unused_prefixes(root: etree._Element) -> None:
    """Keep those that qualified names in attribute values need; the serialiser sees only names."""
    in_values = {str(element.get(name, "")).partition(":")[0] for element in root.iter() for name in _QNAMES}
    etree.cleanup_namespaces(root, keep_ns_prefixes=[prefix for prefix in root.nsmap if prefix in in_values])


class _Together(etree.Resolver):
    """Gives one of a WSDL's schemas to another that imports it; nothing else can be had."""

    def __init__(self, schemas: dict[str, bytes]) -> None:
        self._schemas = schemas

    def resolve(self, url: str, pubid: str, context: Any) -> Any:  # type: ignore[override]
        if url not in self._schemas:
            raise LocalError(f"a schema imports {url}, which the service does not declare")
        return self.resolve_string(self._schemas[url], context, base_url=url)


def _compiled(root: etree._Element) -> etree.XMLSchema:
    schemas: dict[str, bytes] = {}
    for schema in _find(root, "w:types/xs:schema"):
        copy = etree.fromstring(etree.tostring(schema))
        for part in copy.findall(f"{{{_XS}}}import"):
            part.set("schemaLocation", _location(part.get("namespace") or ""))
        schemas[_location(schema.get("targetNamespace") or "")] = etree.tostring(copy)
    parser = etree.XMLParser(no_network=True, resolve_entities=False)
    parser.resolvers.add(_Together(schemas))
    # One that imports all: so it matters not which namespace the messages are in.
    imports = "".join(
        f'<xs:import namespace="{text(location.partition(":")[2])}" schemaLocation="{text(location)}"/>'
        for location in schemas
    )
    return etree.XMLSchema(etree.fromstring(f'<xs:schema xmlns:xs="{_XS}">{imports}</xs:schema>'.encode(), parser))


def _location(namespace: str) -> str:
    return f"schema:{namespace}"
