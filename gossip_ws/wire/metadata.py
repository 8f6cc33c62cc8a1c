"""Metadata on the wire: the Bodies of WS-Transfer Get and WS-MetadataExchange GetMetadata, both directions, in both
generations of DPWS.

Writes and reads Body elements; the one envelope is that of a Get, which has nothing in its Body. Fetches nothing: a
section that lies elsewhere stays a location.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from lxml import etree

from gossip_ws.dpws.metadata import (
    MAX_HOSTED,
    MAX_TEXTS,
    Host,
    Hosted,
    Metadata,
    Relationship,
    ServiceMetadata,
    Text,
    ThisDevice,
    ThisModel,
)
from gossip_ws.kernel.errors import LocalError, sender_fault
from gossip_ws.kernel.names import DPWS, WSA, DeviceId, QName, qname, split
from gossip_ws.wire.envelope import Addressing, attribute, build, message_id, parser, text, write_epr
from gossip_ws.wire.generation import DRAFT, OASIS, Names
from gossip_ws.wire.qnames import read_qnames, read_uri, too_many, write_qnames

S = TypeVar("S")
T = TypeVar("T")

TRANSFER: Final = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
MEX: Final = "http://schemas.xmlsoap.org/ws/2004/09/mex"
GET: Final = TRANSFER + "/Get"
GET_RESPONSE: Final = TRANSFER + "/GetResponse"
GET_METADATA: Final = MEX + "/GetMetadata/Request"
GET_METADATA_RESPONSE: Final = MEX + "/GetMetadata/Response"
"""Actions. The Body of a Get is empty."""

THIS_MODEL: Final = DPWS + "/ThisModel"
THIS_DEVICE: Final = DPWS + "/ThisDevice"
RELATIONSHIP: Final = DPWS + "/Relationship"
WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
"""Dialects of metadata sections; that of a WSDL is also its namespace."""
HOSTING: Final = DPWS + "/host"
"""The type of the relationship between a device and what it hosts."""

MAX_SECTIONS: Final = 64

_METADATA = qname(MEX, "Metadata")
_SECTION = qname(MEX, "MetadataSection")
_LOCATION = qname(MEX, "Location")
_REFERENCE = qname(MEX, "MetadataReference")
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_DEFINITIONS = qname(WSDL, "definitions")


def write_get_response(metadata: Metadata, names: Names = OASIS) -> bytes:
    """What a device answers to a Get: ThisModel, ThisDevice and, where it hosts something, Relationship."""
    sections = [
        _section(f"{names.dpws}/ThisModel", _write_model(metadata.model, names)),
        _section(f"{names.dpws}/ThisDevice", _write_device(metadata.device, names)),
    ]
    if metadata.relationship is not None:
        sections.append(_relationship(metadata.relationship, names))
    return _metadata("".join(sections), names).encode()


def get_request(device: str, names: Names = OASIS) -> bytes:
    """The envelope that asks a device, by its own URI or by an address, for its metadata (WS-Transfer Get)."""
    # WS-Addressing 2004/08 has no default for where a reply goes.
    reply_to = f"{WSA}/anonymous" if names is DRAFT else ""
    return build(Addressing(GET, message_id(), device, reply_to, wsa=names.wsa), b"")


def write_get_metadata(dialect: str = "") -> bytes:
    """The request: for all sections, or those of one dialect."""
    inner = f"<wsx:Dialect>{text(dialect)}</wsx:Dialect>" if dialect else ""
    return f'<wsx:GetMetadata xmlns:wsx="{MEX}">{inner}</wsx:GetMetadata>'.encode()


def write_get_metadata_response(metadata: ServiceMetadata, dialect: str = "", names: Names = OASIS) -> bytes:
    """What a hosted service answers to GetMetadata: its own part of the Relationship, and its WSDL. With `dialect`,
    only the sections of that dialect, which may be none. Raises LocalError when the WSDL is no XML."""
    sections = []
    if metadata.relationship is not None and dialect in ("", f"{names.dpws}/Relationship"):
        sections.append(_relationship(metadata.relationship, names))
    if dialect in ("", WSDL):
        if metadata.wsdl:
            sections.append(_section(WSDL, _embedded(metadata.wsdl)))
        elif metadata.wsdl_location:
            sections.append(_section(WSDL, f"<wsx:Location>{text(metadata.wsdl_location)}</wsx:Location>"))
    return _metadata("".join(sections), names).encode()


def of_service(
    relationship: Relationship, service_id: str, *, wsdl: bytes = b"", wsdl_location: str = ""
) -> ServiceMetadata:
    """The part of a device's metadata that one hosted service tells: the same host, itself alone. Raises
    LocalError when the device hosts no such service, or both forms of the WSDL are given."""
    own = Relationship(relationship.host, (relationship.service(service_id),))
    return ServiceMetadata(own, wsdl, wsdl_location)


def read_get_metadata(payload: etree._Element | None) -> str:
    """The dialect that a GetMetadata asks for, empty for all. Raises RemoteError."""
    if payload is None or payload.tag != qname(MEX, "GetMetadata"):
        raise sender_fault("Malformed", "the Body is not wsx:GetMetadata")
    dialect = _one(payload, qname(MEX, "Dialect"))
    return "" if dialect is None else read_uri(dialect.text, "Dialect")


def read_get_response(payload: etree._Element | None) -> Metadata:
    """What a device said of itself. Sections of unknown dialects are passed over; several Relationship
    sections make one. Raises RemoteError when it is malformed, out of bounds, or lacks ThisModel or ThisDevice."""
    model: ThisModel | None = None
    device: ThisDevice | None = None
    relations: list[etree._Element] = []
    for dialect, content in _sections(payload):
        if _is(content, dialect, "ThisModel"):
            _once(model, "ThisModel")
            model = _checked(_read_model, content)
        elif _is(content, dialect, "ThisDevice"):
            _once(device, "ThisDevice")
            device = _checked(_read_device, content)
        elif _is_hosting(content, dialect):
            relations.append(content)
    if model is None or device is None:
        raise sender_fault("Malformed", "a GetResponse has a ThisModel and a ThisDevice (R2038, R2039)")
    return Metadata(model, device, _read_relationship(relations))


def read_get_metadata_response(payload: etree._Element | None) -> ServiceMetadata:
    """What a hosted service said of itself; the first WSDL, inline or by its location. Raises RemoteError."""
    relations: list[etree._Element] = []
    wsdl, location = b"", ""
    for dialect, content in _sections(payload):
        if _is_hosting(content, dialect):
            relations.append(content)
        elif dialect == WSDL and not wsdl and not location:
            if content.tag == _LOCATION:
                location = read_uri(content.text, "Location")
            elif content.tag == _DEFINITIONS:
                wsdl = etree.tostring(content, with_tail=False)
    return ServiceMetadata(_read_relationship(relations), wsdl, location)


def _metadata(sections: str, names: Names) -> str:
    declared = f'xmlns:{names.prefix}="{names.dpws}" xmlns:wsa="{names.wsa}"'
    return f'<wsx:Metadata xmlns:wsx="{MEX}" {declared}>{sections}</wsx:Metadata>'


def _section(dialect: str, content: str) -> str:
    return f'<wsx:MetadataSection Dialect="{dialect}">{content}</wsx:MetadataSection>'


def _write_model(model: ThisModel, names: Names) -> str:
    inner = "".join(
        (
            _texts("Manufacturer", model.manufacturer, names),
            _optional("ManufacturerUrl", model.manufacturer_url, names),
            _texts("ModelName", model.model_name, names),
            _optional("ModelNumber", model.model_number, names),
            _optional("ModelUrl", model.model_url, names),
            _optional("PresentationUrl", model.presentation_url, names),
        )
    )
    return _element("ThisModel", inner, names)


def _write_device(device: ThisDevice, names: Names) -> str:
    inner = "".join(
        (
            _texts("FriendlyName", device.friendly_name, names),
            _optional("FirmwareVersion", device.firmware_version, names),
            _optional("SerialNumber", device.serial_number, names),
        )
    )
    return _element("ThisDevice", inner, names)


def _relationship(relationship: Relationship, names: Names) -> str:
    host, inner = relationship.host, ""
    if host is not None:
        # Before 1.1 a host has a ServiceId, as what it hosts has.
        service = _element("ServiceId", text(host.device), names) if names is DRAFT else ""
        inner = _element("Host", write_epr(host.device) + _types(host.types, names) + service, names)
    for hosted in relationship.hosted:
        service = _element("ServiceId", text(hosted.service_id), names)
        addresses = "".join(map(write_epr, hosted.addresses))
        inner += _element("Hosted", addresses + _types(hosted.types, names) + service, names)
    tag = f"{names.prefix}:Relationship"
    return _section(f"{names.dpws}/Relationship", f'<{tag} Type="{names.dpws}/host">{inner}</{tag}>')


def _types(types: tuple[QName, ...], names: Names) -> str:
    return write_qnames(f"{names.prefix}:Types", names.said(types))


def _texts(name: str, texts: tuple[Text, ...], names: Names) -> str:
    parts = []
    for one in texts:
        lang = f" xml:lang={attribute(one.lang)}" if one.lang else ""
        parts.append(_element(name, text(one.value), names, lang))
    return "".join(parts)


def _optional(name: str, value: str, names: Names) -> str:
    return _element(name, text(value), names) if value else ""


def _element(name: str, content: str, names: Names, attributes: str = "") -> str:
    return f"<{names.prefix}:{name}{attributes}>{content}</{names.prefix}:{name}>"


def _embedded(wsdl: bytes) -> str:
    """A document as an element: without its XML declaration, and with every namespace that it declares, since names in
    its attribute values use them."""
    try:
        root = etree.fromstring(wsdl, parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise LocalError(f"the WSDL is no XML: {error}") from None
    return etree.tostring(root, encoding="unicode", with_tail=False)


def _sections(payload: etree._Element | None) -> Iterator[tuple[str, etree._Element]]:
    """(dialect, the element of the section): exactly one in each."""
    if payload is None or payload.tag != _METADATA:
        raise sender_fault("Malformed", "the Body is not wsx:Metadata (R2044)")
    sections = payload.findall(_SECTION)
    if len(sections) > MAX_SECTIONS:
        raise too_many("metadata sections", MAX_SECTIONS)
    for section in sections:
        if len(section) != 1:
            raise sender_fault("Malformed", "a metadata section has one element, a reference or a location")
        if section[0].tag != _REFERENCE:
            yield read_uri(section.get("Dialect"), "Dialect"), section[0]


def _names(element: etree._Element) -> Names:
    """The generation that an element of DPWS is of."""
    return DRAFT if split(QName(str(element.tag)))[0] == DRAFT.dpws else OASIS


def _is(element: etree._Element, dialect: str, name: str) -> bool:
    """Is it the section of that name, under its own generation's dialect?"""
    namespace = _names(element).dpws
    return element.tag == qname(namespace, name) and dialect == f"{namespace}/{name}"


def _is_hosting(element: etree._Element, dialect: str) -> bool:
    kind = element.get("Type", "").strip()
    return _is(element, dialect, "Relationship") and kind == f"{_names(element).dpws}/host"


def _child(element: etree._Element, name: str) -> QName:
    """A child of an element of DPWS is of the same generation."""
    return qname(_names(element).dpws, name)


def _read_model(element: etree._Element) -> ThisModel:
    return ThisModel(
        manufacturer=_read_texts(element, "Manufacturer"),
        model_name=_read_texts(element, "ModelName"),
        manufacturer_url=_read_text(element, "ManufacturerUrl"),
        model_number=_read_text(element, "ModelNumber"),
        model_url=_read_text(element, "ModelUrl"),
        presentation_url=_read_text(element, "PresentationUrl"),
    )


def _read_device(element: etree._Element) -> ThisDevice:
    return ThisDevice(
        friendly_name=_read_texts(element, "FriendlyName"),
        firmware_version=_read_text(element, "FirmwareVersion"),
        serial_number=_read_text(element, "SerialNumber"),
    )


def _read_relationship(elements: list[etree._Element]) -> Relationship | None:
    """All hosting relationships as one; None when there is none."""
    if not elements:
        return None
    host: Host | None = None
    hosted: list[Hosted] = []
    for element in elements:
        found = _one(element, _child(element, "Host"))
        if found is not None:
            one = _checked(_read_host, found)
            if host is not None and one.device != host.device:
                raise sender_fault("Malformed", "two hosts in one device's metadata")
            host = one
        services = element.findall(_child(element, "Hosted"))
        if len(hosted) + len(services) > MAX_HOSTED:
            raise too_many("hosted services", MAX_HOSTED)
        hosted += [_checked(_read_hosted, service) for service in services]
    return _checked(lambda hosts: Relationship(hosts, tuple(hosted)), host)


def _read_host(element: etree._Element) -> Host:
    addresses = _read_addresses(element)
    if len(addresses) != 1:
        raise LocalError("a host has one endpoint reference")
    return Host(DeviceId(addresses[0]), _read_types(element))


def _read_hosted(element: etree._Element) -> Hosted:
    return Hosted(_read_addresses(element), _read_types(element), _read_text(element, "ServiceId"))


def _read_addresses(element: etree._Element) -> tuple[str, ...]:
    wsa = _names(element).wsa
    found = element.findall(qname(wsa, "EndpointReference"))
    if len(found) > MAX_TEXTS:
        raise too_many("endpoint references", MAX_TEXTS)
    addresses = (reference.findtext(qname(wsa, "Address")) for reference in found)
    return tuple(read_uri(address, "an endpoint's address") for address in addresses)


def _read_types(element: etree._Element) -> tuple[QName, ...]:
    types = _one(element, _child(element, "Types"))
    return () if types is None else _names(element).heard(read_qnames(types, "Types", MAX_TEXTS))


def _read_texts(element: etree._Element, name: str) -> tuple[Text, ...]:
    found = element.findall(_child(element, name))
    if len(found) > MAX_TEXTS:
        raise too_many(name, MAX_TEXTS)
    return tuple(Text((one.text or "").strip(), one.get(_LANG, "")) for one in found)


def _read_text(element: etree._Element, name: str) -> str:
    found = _one(element, _child(element, name))
    return "" if found is None else (found.text or "").strip()


def _checked(make: Callable[[S], T], source: S) -> T:
    """What our own types refuse at construction is the sender's fault when it was read."""
    try:
        return make(source)
    except LocalError as error:
        raise sender_fault("Malformed", str(error)) from None


def _once(held: object, name: str) -> None:
    if held is not None:
        raise sender_fault("Malformed", f"{name} more than once")


def _one(element: etree._Element, tag: str) -> etree._Element | None:
    found = element.findall(tag)
    if len(found) > 1:
        raise sender_fault("Malformed", f"more than once: {tag}")
    return found[0] if found else None
