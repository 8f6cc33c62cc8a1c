"""Metadata on the wire: order and number of elements by a schema written down from the specification, and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from gossip_ws.dpws.metadata import (
    Host,
    Hosted,
    Metadata,
    Relationship,
    ServiceMetadata,
    Text,
    ThisDevice,
    ThisModel,
)
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.kernel.names import DEVICE, DPWS, DPWS_2006, GRID, METERING, TARIFF, WSA, WSA_2004, DeviceId, qname
from gossip_ws.wire.envelope import parser
from gossip_ws.wire.generation import DRAFT
from gossip_ws.wire.metadata import (
    HOSTING,
    MEX,
    RELATIONSHIP,
    THIS_DEVICE,
    THIS_MODEL,
    WSDL,
    of_service,
    read_get_metadata,
    read_get_metadata_response,
    read_get_response,
    write_get_metadata,
    write_get_metadata_response,
    write_get_response,
)

XS = "http://www.w3.org/2001/XMLSchema"
EPR_ANY = f'<xs:any namespace="{WSA}" processContents="skip"'
DPWS_SCHEMA = etree.XMLSchema(
    etree.fromstring(f"""
<xs:schema xmlns:xs="{XS}" xmlns:p="{DPWS}" targetNamespace="{DPWS}" elementFormDefault="qualified">
  <xs:import namespace="http://www.w3.org/XML/1998/namespace"/>
  <xs:complexType name="Text"><xs:simpleContent><xs:extension base="p:Field">
    <xs:anyAttribute namespace="##other" processContents="skip"/></xs:extension></xs:simpleContent></xs:complexType>
  <xs:simpleType name="Field"><xs:restriction base="xs:string"><xs:maxLength value="255"/></xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="Types"><xs:list itemType="xs:QName"/></xs:simpleType>
  <xs:element name="ThisModel"><xs:complexType><xs:sequence>
    <xs:element name="Manufacturer" type="p:Text" maxOccurs="unbounded"/>
    <xs:element name="ManufacturerUrl" type="xs:anyURI" minOccurs="0"/>
    <xs:element name="ModelName" type="p:Text" maxOccurs="unbounded"/>
    <xs:element name="ModelNumber" type="p:Field" minOccurs="0"/>
    <xs:element name="ModelUrl" type="xs:anyURI" minOccurs="0"/>
    <xs:element name="PresentationUrl" type="xs:anyURI" minOccurs="0"/>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="ThisDevice"><xs:complexType><xs:sequence>
    <xs:element name="FriendlyName" type="p:Text" maxOccurs="unbounded"/>
    <xs:element name="FirmwareVersion" type="p:Field" minOccurs="0"/>
    <xs:element name="SerialNumber" type="p:Field" minOccurs="0"/>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="Relationship"><xs:complexType><xs:sequence>
    <xs:element name="Host" minOccurs="0"><xs:complexType><xs:sequence>
      {EPR_ANY}/>
      <xs:element name="Types" type="p:Types" minOccurs="0"/>
    </xs:sequence></xs:complexType></xs:element>
    <xs:element name="Hosted" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
      {EPR_ANY} maxOccurs="unbounded"/>
      <xs:element name="Types" type="p:Types"/>
      <xs:element name="ServiceId" type="xs:anyURI"/>
    </xs:sequence></xs:complexType></xs:element>
  </xs:sequence><xs:attribute name="Type" type="xs:anyURI" use="required"/></xs:complexType>
  <xs:unique name="id"><xs:selector xpath="p:Hosted"/><xs:field xpath="p:ServiceId"/></xs:unique></xs:element>
</xs:schema>""")
)
MEX_SCHEMA = etree.XMLSchema(
    etree.fromstring(f"""
<xs:schema xmlns:xs="{XS}" xmlns:m="{MEX}" targetNamespace="{MEX}" elementFormDefault="qualified">
  <xs:element name="GetMetadata"><xs:complexType><xs:sequence>
    <xs:element name="Dialect" type="xs:anyURI" minOccurs="0"/>
    <xs:element name="Identifier" type="xs:anyURI" minOccurs="0"/>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="Metadata"><xs:complexType><xs:sequence>
    <xs:element name="MetadataSection" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:choice>
      <xs:any namespace="##other" processContents="skip"/>
      <xs:element name="Location" type="xs:anyURI"/>
    </xs:choice><xs:attribute name="Dialect" type="xs:anyURI" use="required"/></xs:complexType></xs:element>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>""")
)

ME = DeviceId("urn:uuid:00000000-0000-4000-8000-000000000001")
TARIFF_SERVICE = Hosted(
    ("http://127.0.0.5:8080/tariff", "http://[fd00::1]/tariff?a&b"), (qname(TARIFF, "Tariff"),), "Tariff"
)
METERING_SERVICE = Hosted(
    ("http://127.0.0.5:8080/metering",), (qname(METERING, "Metering"), qname(TARIFF, "X")), "urn:m"
)
RELATION = Relationship(Host(ME, (DEVICE, qname(GRID, "SmartMeter"))), (TARIFF_SERVICE, METERING_SERVICE))
FULL = Metadata(
    ThisModel(
        (Text("Zähler & Söhne", "de"), Text("Meters & Sons", "en")),
        (Text("<M>"),),
        "http://example.org/?a=1&b=2",
        "M-1",
        "http://example.org/m",
        "http://127.0.0.5/",
    ),
    ThisDevice((Text("Cellar", "en"), Text("Keller", "de")), "1.2", "0001"),
    RELATION,
)
LEAST = Metadata(ThisModel((Text("x"),), (Text("y"),)), ThisDevice((Text("z"),)), None)

DOCUMENT = f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- a contract -->
<wsdl:definitions xmlns:wsdl="{WSDL}" xmlns:tns="{TARIFF}" xmlns:xs="{XS}" targetNamespace="{TARIFF}">
  <wsdl:message name="In"><wsdl:part name="p" element="tns:SetTariff"/></wsdl:message>
</wsdl:definitions>
""".encode()


def element(octets: bytes) -> etree._Element:
    return etree.fromstring(octets, parser())


def check(octets: bytes) -> list[tuple[str | None, str]]:
    """Valid in all its parts; (dialect, local name) of each section."""
    root = element(octets)
    MEX_SCHEMA.assertValid(root)
    found = []
    for section in root:
        (content,) = section
        if content.tag.startswith(f"{{{DPWS}}}"):
            DPWS_SCHEMA.assertValid(element(etree.tostring(content)))
        found.append((section.get("Dialect"), etree.QName(content).localname))
    return found


def test_get_response_has_model_device_and_relationship() -> None:
    octets = write_get_response(FULL)
    assert check(octets) == [
        (THIS_MODEL, "ThisModel"),
        (THIS_DEVICE, "ThisDevice"),
        (RELATIONSHIP, "Relationship"),
    ]
    assert read_get_response(element(octets)) == FULL


@pytest.mark.parametrize("metadata", [FULL, LEAST])
def test_the_generation_before(metadata: Metadata) -> None:
    """DPWS 2006/02: other namespaces, and a ServiceId of the host that 1.1 has no more."""
    octets = write_get_response(metadata, DRAFT)
    assert read_get_response(element(octets)) == metadata
    for namespace in (DPWS, WSA):
        assert namespace.encode() not in octets
    later = octets.replace(DPWS_2006.encode(), DPWS.encode()).replace(WSA_2004.encode(), WSA.encode())
    without = later.replace(f"<wsdp:ServiceId>{ME}</wsdp:ServiceId>".encode(), b"")
    assert (len(without) < len(later)) == (metadata is FULL)
    check(without)


def test_what_a_hosted_service_tells_in_the_generation_before() -> None:
    told = of_service(RELATION, "Tariff", wsdl_location="http://127.0.0.5:8080/tariff?wsdl")
    assert read_get_metadata_response(element(write_get_metadata_response(told, names=DRAFT))) == told
    only = write_get_metadata_response(told, f"{DPWS_2006}/Relationship", DRAFT)
    assert read_get_metadata_response(element(only)) == of_service(RELATION, "Tariff")


def test_the_generations_are_not_mixed() -> None:
    octets = write_get_response(FULL, DRAFT).replace(f"{DPWS_2006}/ThisModel".encode(), THIS_MODEL.encode())
    with pytest.raises(RemoteError):
        read_get_response(element(octets))


def test_a_device_that_hosts_nothing() -> None:
    octets = write_get_response(LEAST)
    assert check(octets) == [(THIS_MODEL, "ThisModel"), (THIS_DEVICE, "ThisDevice")]
    assert read_get_response(element(octets)) == LEAST


def test_a_hosted_service_repeats_the_relationship_with_itself_alone() -> None:
    metadata = of_service(RELATION, "Tariff", wsdl_location="http://127.0.0.5:8080/tariff?wsdl")
    octets = write_get_metadata_response(metadata)
    assert check(octets) == [(RELATIONSHIP, "Relationship"), (WSDL, "Location")]
    read = read_get_metadata_response(element(octets))
    assert read == metadata
    assert read.relationship == Relationship(RELATION.host, (TARIFF_SERVICE,))
    with pytest.raises(LocalError):
        of_service(RELATION, "Nothing")


def test_an_inline_wsdl_keeps_the_namespaces_that_its_attributes_use() -> None:
    octets = write_get_metadata_response(of_service(RELATION, "Tariff", wsdl=DOCUMENT))
    assert check(octets) == [(RELATIONSHIP, "Relationship"), (WSDL, "definitions")]
    read = read_get_metadata_response(element(octets))
    definitions = element(read.wsdl)
    assert definitions.tag == qname(WSDL, "definitions")
    assert definitions.nsmap["tns"] == TARIFF
    assert definitions.find(f".//{{{WSDL}}}part").get("element") == "tns:SetTariff"  # type: ignore[union-attr]


def test_a_wsdl_cut_out_keeps_what_was_declared_around_it() -> None:
    around = (
        f'<m:Metadata xmlns:m="{MEX}" xmlns:w="{WSDL}" xmlns:tns="{TARIFF}"><m:MetadataSection Dialect="{WSDL}">'
        '<w:definitions><w:part element="tns:SetTariff"/></w:definitions>tail</m:MetadataSection></m:Metadata>'
    )
    read = read_get_metadata_response(element(around.encode()))
    assert element(read.wsdl).nsmap["tns"] == TARIFF
    assert b"tail" not in read.wsdl


def test_only_the_dialect_that_was_asked_for() -> None:
    metadata = of_service(RELATION, "Tariff", wsdl=DOCUMENT)
    for dialect, expected in (
        (WSDL, [(WSDL, "definitions")]),
        (RELATIONSHIP, [(RELATIONSHIP, "Relationship")]),
        (THIS_MODEL, []),
    ):
        request = write_get_metadata(dialect)
        MEX_SCHEMA.assertValid(element(request))
        assert read_get_metadata(element(request)) == dialect
        assert check(write_get_metadata_response(metadata, dialect)) == expected
    assert read_get_metadata(element(write_get_metadata())) == ""


def test_a_wsdl_that_is_no_xml_is_our_own_fault() -> None:
    with pytest.raises(LocalError):
        write_get_metadata_response(ServiceMetadata(None, wsdl=b"definitions"))


def test_neither_relationship_nor_wsdl() -> None:
    octets = write_get_metadata_response(ServiceMetadata(None))
    assert check(octets) == []
    assert read_get_metadata_response(element(octets)) == ServiceMetadata(None)


def get_response(*extra: str, model: str = "", device: str = "") -> etree._Element:
    model = model or "<p:Manufacturer>a</p:Manufacturer><p:ModelName>b</p:ModelName>"
    device = device or "<p:FriendlyName>c</p:FriendlyName>"
    return element(
        (
            f'<m:Metadata xmlns:m="{MEX}" xmlns:p="{DPWS}" xmlns:a="{WSA}">'
            f'<m:MetadataSection Dialect="{THIS_MODEL}"><p:ThisModel>{model}</p:ThisModel></m:MetadataSection>'
            f'<m:MetadataSection Dialect="{THIS_DEVICE}"><p:ThisDevice>{device}</p:ThisDevice></m:MetadataSection>'
            f"{''.join(extra)}</m:Metadata>"
        ).encode()
    )


def relation(inner: str, kind: str = HOSTING) -> str:
    content = f'<p:Relationship Type="{kind}">{inner}</p:Relationship>'
    return f'<m:MetadataSection Dialect="{RELATIONSHIP}">{content}</m:MetadataSection>'


def hosted(service_id: str, types: str = "p:T", address: str = "http://x/") -> str:
    epr = f"<a:EndpointReference><a:Address>{address}</a:Address></a:EndpointReference>"
    return f"<p:Hosted>{epr}<p:Types>{types}</p:Types><p:ServiceId>{service_id}</p:ServiceId></p:Hosted>"


HOST = f"<p:Host><a:EndpointReference><a:Address>{ME}</a:Address></a:EndpointReference></p:Host>"


def test_what_other_stacks_send_is_read() -> None:
    other = '<m:MetadataSection Dialect="urn:other"><x xmlns="urn:x"/></m:MetadataSection>'
    reference = f'<m:MetadataSection Dialect="{WSDL}"><m:MetadataReference/></m:MetadataSection>'
    payload = get_response(
        other,
        relation(HOST + hosted("one", "p:T p:U")),
        reference,
        relation(hosted("two")),
        relation(hosted("three"), "urn:another-relationship"),
    )
    read = read_get_response(payload)
    assert read.relationship is not None
    assert read.relationship.host == Host(ME, ())
    assert [service.service_id for service in read.relationship.hosted] == ["one", "two"]
    assert read.relationship.hosted[0].types == (qname(DPWS, "T"), qname(DPWS, "U"))
    without_host = read_get_response(get_response(relation(hosted("one"))))
    assert without_host.relationship == replace(
        read.relationship, host=None, hosted=(replace(read.relationship.hosted[0], types=(qname(DPWS, "T"),)),)
    )


MODEL_SECTION = f'<m:MetadataSection Dialect="{THIS_MODEL}"><p:ThisModel/></m:MetadataSection>'


@pytest.mark.parametrize(
    "payload",
    [
        None,
        element(b"<x/>"),
        element(f'<Metadata xmlns="{MEX}"/>'.encode()),
        element(f'<Metadata xmlns="{MEX}"><MetadataSection/></Metadata>'.encode()),
        get_response(MODEL_SECTION),
        get_response("<m:MetadataSection><x/></m:MetadataSection>"),
        get_response('<m:MetadataSection Dialect="urn:x"><x/><y/></m:MetadataSection>'),
        get_response('<m:MetadataSection Dialect="urn:x"><x/></m:MetadataSection>' * 65),
        get_response(model="<p:Manufacturer>a</p:Manufacturer>"),
        get_response(model="<p:Manufacturer>a</p:Manufacturer>" * 17 + "<p:ModelName>b</p:ModelName>"),
        get_response(device="<p:SerialNumber>1</p:SerialNumber>"),
        get_response(device=f"<p:FriendlyName>{'x' * 256}</p:FriendlyName>"),
        get_response(device="<p:FriendlyName>c</p:FriendlyName>" + "<p:SerialNumber>1</p:SerialNumber>" * 2),
        get_response(relation(HOST + HOST)),
        get_response(relation(HOST), relation(HOST.replace(ME, "urn:uuid:2"))),
        get_response(relation("<p:Host/>")),
        get_response(relation(hosted("one") + hosted("one"))),
        get_response(relation(hosted(""))),
        get_response(relation(hosted("one", ""))),
        get_response(relation(hosted("one", "nowhere:T"))),
        get_response(relation(hosted("one", address=""))),
        get_response(relation(hosted("one", address="http://x/" + "y" * 2040))),
        get_response(relation("".join(hosted(f"s{n}") for n in range(257)))),
    ],
)
def test_what_is_malformed_or_too_much_is_the_senders_fault(payload: etree._Element | None) -> None:
    with pytest.raises(RemoteError):
        read_get_response(payload)


def test_a_request_that_is_none() -> None:
    for payload in (None, element(b"<x/>"), element(f'<GetMetadata xmlns="{MEX}"><Dialect/></GetMetadata>'.encode())):
        with pytest.raises(RemoteError):
            read_get_metadata(payload)
