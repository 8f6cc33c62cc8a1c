"""A stranger's WSDL 1.1, read for what the profile asks of it. Fetches nothing: what lies elsewhere is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from gossip_ws.kernel.names import DPWS, QName, qname, split
from gossip_ws.wire.metadata import WSDL

SOAP12_BINDING: Final = "http://schemas.xmlsoap.org/wsdl/soap12/"
_XSD: Final = "http://www.w3.org/2001/XMLSchema"
_XML: Final = "http://www.w3.org/XML/1998/namespace"
_WSAM: Final = "http://www.w3.org/2007/05/addressing/metadata"
_WSAW: Final = "http://www.w3.org/2006/05/addressing/wsdl"
_WSE: Final = "http://schemas.xmlsoap.org/ws/2004/08/eventing"
_POLICIES: Final = ("http://www.w3.org/ns/ws-policy", "http://schemas.xmlsoap.org/ws/2004/09/policy")
_ID: Final = qname("http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd", "Id")
MAX_NAMED: Final = 256
"""Imports, port types and actions of one contract that are looked at."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What the WSDLs of one hosted service say together."""

    port_types: tuple[QName, ...]
    event_sources: tuple[QName, ...]
    """Port types marked as event sources (WS-Eventing)."""
    outputs: tuple[str, ...]
    """Actions of the operations that the service begins, of event sources only."""
    one_way: dict[str, str]
    """The Body element of each one-way operation, and its action."""
    elsewhere: tuple[str, ...]
    """Imports whose target is not inside the documents."""
    without_soap12: tuple[QName, ...]
    """Port types that no SOAP 1.2 binding is for."""
    not_document_literal: tuple[str, ...]
    """SOAP 1.2 bindings and operations of another style or use."""
    is_profiled: bool
    """Does a SOAP 1.2 binding refer to a policy with the devices profile?"""


def read_contract(documents: list[etree._Element]) -> Contract:
    """Of the `wsdl:definitions` that a service gave, or what stands in their place."""
    port_types: dict[QName, etree._Element] = {}
    bindings: list[etree._Element] = []
    for root in documents:
        for port_type in root.iterfind(qname(WSDL, "portType")):
            port_types[_own_name(root, port_type)] = port_type
        bindings += root.iterfind(qname(WSDL, "binding"))
    soap12 = [binding for binding in bindings if binding.find(qname(SOAP12_BINDING, "binding")) is not None]
    bound = {_reference(binding, "type") for binding in soap12}
    profiles = frozenset(_profiles(documents))
    sources = tuple(name for name, found in port_types.items() if _is_source(found))
    outputs = [
        _action(operation, "output", name)
        for name in sources
        for operation in port_types[name].iterfind(qname(WSDL, "operation"))
        if _begins(operation) == "output"
    ]
    return Contract(
        port_types=tuple(port_types)[:MAX_NAMED],
        event_sources=sources,
        outputs=tuple(outputs)[:MAX_NAMED],
        one_way=dict(_one_way(documents, port_types)),
        elsewhere=tuple(dict.fromkeys(_elsewhere(documents)))[:MAX_NAMED],
        without_soap12=tuple(name for name in port_types if name not in bound),
        not_document_literal=tuple(dict.fromkeys(_other_style(soap12)))[:MAX_NAMED],
        is_profiled=any(_is_profiled(binding, profiles) for binding in soap12),
    )


def _own_name(root: etree._Element, element: etree._Element) -> QName:
    return qname(root.get("targetNamespace", ""), element.get("name", ""))


def _reference(element: etree._Element, attribute: str) -> QName:
    prefix, colon, local = element.get(attribute, "").strip().rpartition(":")
    return qname(element.nsmap.get(prefix if colon else None) or "", local)


def _is_source(port_type: etree._Element) -> bool:
    return port_type.get(qname(_WSE, "EventSource"), "").strip() in ("true", "1")


def _begins(operation: etree._Element) -> str:
    """`input` or `output`, whichever is first: who speaks first."""
    for child in operation:
        if child.tag in (qname(WSDL, "input"), qname(WSDL, "output")):
            return etree.QName(child).localname
    return ""


def _action(operation: etree._Element, direction: str, port_type: QName) -> str:
    """As written, else by the default pattern of WS-Addressing 1.0 Metadata section 4.4.4."""
    part = operation.find(qname(WSDL, direction))
    if part is None:
        return ""
    for namespace in (_WSAM, _WSAW):
        if written := part.get(qname(namespace, "Action"), "").strip():
            return written
    namespace, local = split(port_type)
    separator = ":" if namespace.startswith("urn:") else "/"
    default = operation.get("name", "") + (direction.capitalize() if len(operation.findall("*")) > 1 else "")
    return separator.join((namespace.rstrip("/"), local, part.get("name") or default))


def _one_way(documents: list[etree._Element], port_types: dict[QName, etree._Element]) -> Iterator[tuple[str, str]]:
    elements = {
        _own_name(root, message): _reference(part, "element")
        for root in documents
        for message in root.iterfind(qname(WSDL, "message"))
        for part in message.iterfind(qname(WSDL, "part"))
    }
    for name, port_type in port_types.items():
        for operation in port_type.iterfind(qname(WSDL, "operation")):
            taken = operation.find(qname(WSDL, "input"))
            if taken is not None and operation.find(qname(WSDL, "output")) is None:
                element = elements.get(_reference(taken, "message"))
                if element:
                    yield element, _action(operation, "input", name)


def _elsewhere(documents: list[etree._Element]) -> Iterator[str]:
    """Locations that lead outside, and imported namespaces that nothing inside defines."""
    inside = {root.get("targetNamespace", "") for root in documents}
    for root in documents:
        schemas = list(root.iterfind(f"{qname(WSDL, 'types')}/{qname(_XSD, 'schema')}"))
        defined = inside | {schema.get("targetNamespace", "") for schema in schemas} | {_XSD, _XML}
        for found in root.iterfind(qname(WSDL, "import")):
            yield found.get("location", "") or found.get("namespace", "")
        for schema in schemas:
            for name in ("import", "include", "redefine"):
                for found in schema.iterfind(qname(_XSD, name)):
                    location, namespace = found.get("schemaLocation", ""), found.get("namespace", "")
                    if location or name != "import":
                        yield location or name
                    elif namespace not in defined:
                        yield namespace


def _other_style(bindings: list[etree._Element]) -> Iterator[str]:
    for binding in bindings:
        soap = binding.find(qname(SOAP12_BINDING, "binding"))
        style = soap.get("style", "document") if soap is not None else "document"
        for operation in binding.iterfind(qname(WSDL, "operation")):
            own = operation.find(qname(SOAP12_BINDING, "operation"))
            told = own.get("style", style) if own is not None else style
            uses = {body.get("use", "literal") for body in operation.iterfind(f"*/{qname(SOAP12_BINDING, 'body')}")}
            if told != "document" or uses - {"literal"}:
                yield operation.get("name", "")


def _profiles(documents: list[etree._Element]) -> Iterator[str]:
    """What the policies that hold the devices profile are called."""
    for namespace in _POLICIES:
        for policy in (one for root in documents for one in root.iterfind(qname(namespace, "Policy"))):
            if _holds_profile(policy):
                yield from (name for name in (policy.get(_ID), policy.get("Name")) if name)


def _is_profiled(binding: etree._Element, profiles: frozenset[str]) -> bool:
    """By a policy inside the binding, or one that it refers to."""
    for namespace in _POLICIES:
        references = binding.iterfind(qname(namespace, "PolicyReference"))
        if not profiles.isdisjoint(found.get("URI", "").removeprefix("#") for found in references):
            return True
        if any(map(_holds_profile, binding.iterfind(qname(namespace, "Policy")))):
            return True
    return False


def _holds_profile(policy: etree._Element) -> bool:
    return next(policy.iter(qname(DPWS, "Profile")), None) is not None
