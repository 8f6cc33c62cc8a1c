"""A client that knows SOAP 1.1 only, at the addresses that everybody else uses: the same services, the same limits."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import zeep
from lxml import etree
from requests import Session
from requests.auth import HTTPBasicAuth
from town import (
    DEADLINE,
    DEMAND_REQUEST,
    GET_TARIFF,
    GET_TARIFF_REQUEST,
    PASSWORD,
    SET_TARIFF,
    USER,
    Device,
    Grid,
    Reply,
    Town,
    operator,
    plain,
    tariff,
    wait_for,
)

from gossip_ws.core.peers import Role
from gossip_ws.kernel.names import GOSSIP, METERING, SOAP12, TARIFF, WSA, qname
from gossip_ws.wire.envelope import MAX_ENVELOPE
from gossip_ws.wire.metadata import GET_METADATA, write_get_metadata

SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
TEXT_XML = "text/xml; charset=utf-8"
S = {"s": SOAP11, "wsa": WSA}


@pytest.fixture(scope="module")
def meter() -> Iterator[Device]:
    town = Town()
    yield town.open(Role.METER, "grid://legacy/1/1", key=town.operator)
    town.close()


def legacy(body: bytes, header: bytes = b"") -> bytes:
    """As clients make it that know nothing of WS-Addressing."""
    return b'<e:Envelope xmlns:e="%b">%b<e:Body>%b</e:Body></e:Envelope>' % (SOAP11.encode(), header, body)


def post(device: Device, path: str, frame: bytes, **headers: str) -> Reply:
    return device.post(path, frame, content_type=TEXT_XML, **{"SOAPAction": '""', **headers})


def body(reply: Reply) -> etree._Element:
    """The element in the Body of a SOAP 1.1 envelope."""
    root = etree.fromstring(reply.body)
    assert root.tag == qname(SOAP11, "Envelope")
    (payload,) = root.findall("s:Body/*", S)
    return payload


def fault(reply: Reply) -> tuple[int, str]:
    """(HTTP status, the fault's code)."""
    told = body(reply)
    assert told.tag == qname(SOAP11, "Fault")
    code = told.find("faultcode")
    assert code is not None
    assert told.findtext("faultstring")
    prefix, _, local = (code.text or "").partition(":")
    return reply.status, qname(code.nsmap[prefix], local)


def bound(device: Device, path: str, port: str, user: str = "") -> Any:
    """zeep, with the WSDL that the device hands out for SOAP 1.1; its one port is `port`."""
    session = Session()
    session.trust_env = False
    if user:
        session.auth = HTTPBasicAuth(user, PASSWORD)
    client = zeep.Client(device.url(path) + "?wsdl=soap11", transport=zeep.Transport(session=session))
    ((name, _),) = ((name, one) for service in client.wsdl.services.values() for name, one in service.ports.items())
    assert name == port
    return client.service


def test_the_original_and_the_shadow_are_called_by_the_wsdl_for_soap_11(town: Grid) -> None:
    town.push()
    version = town.next_version()
    band = [{"fromMinute": 0, "toMinute": 1440, "price": "0.5"}]
    given = {"id": "flat", "start": "2026-01-01T00:00:00Z", "end": "2036-01-01T00:00:00Z", "band": band}
    shadow = bound(town.top, "/Tariff/gossip", "TariffGossipSoap11", USER)
    assert shadow.SetTariff(tariff={**given, "version": version}) is None
    wait_for(lambda: town.versions() == [version] * 5)
    held = bound(town.meter, "/Tariff", "TariffSoap11").GetTariff()
    assert (held.version, held.band[0].price) == (version, Decimal("0.5"))
    (row,) = bound(town.top, "/Metering/gossip", "MeteringGossipSoap11", USER).GetDemand(day="2026-11-21")
    assert (row.category, sum(row.energyWh)) == ("mixed", 900)
    with pytest.raises(zeep.exceptions.Fault, match="supersede") as caught:
        shadow.SetTariff(tariff={**given, "version": version - 1})
    assert caught.value.code.endswith(":StaleVersion")


def test_a_plain_message_is_answered_in_soap_11(meter: Device) -> None:
    assert (post(meter, "/Tariff", legacy(tariff(1)), **operator()).status, meter.version) == (202, 1)
    reply = post(meter, "/Tariff", legacy(GET_TARIFF_REQUEST))
    assert (reply.status, body(reply).tag) == (200, qname(TARIFF, "GetTariffResponse"))
    pulled = post(meter, "/Metering/gossip", legacy(DEMAND_REQUEST), **operator())
    assert (pulled.status, body(pulled).tag) == (200, qname(METERING, "GetDemandResponse"))
    assert etree.fromstring(pulled.body).find(f"s:Header/{{{GOSSIP}}}Report", S) is not None


def test_the_media_type_is_that_of_soap_11_and_gzip_is_spoken(meter: Device) -> None:
    connection = http.client.HTTPConnection(meter.host.http.host, meter.host.http.port, DEADLINE)
    headers = {"Content-Type": "text/xml", "Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    try:
        connection.request("POST", "/Metering", gzip.compress(legacy(DEMAND_REQUEST)), headers)
        response = connection.getresponse()
        assert (response.status, response.getheader("Content-Type")) == (200, TEXT_XML)
        assert SOAP12.encode() not in response.read()
    finally:
        connection.close()


def test_the_envelopes_name_decides_not_the_media_type(meter: Device) -> None:
    told = meter.post("/Metering", legacy(DEMAND_REQUEST), content_type="application/soap+xml")
    assert (told.status, body(told).tag) == (200, qname(METERING, "GetDemandResponse"))
    frame = plain(f"{METERING}:GetDemand", DEMAND_REQUEST)
    assert meter.post("/Metering", frame, content_type="text/xml").payload.tag == qname(METERING, "GetDemandResponse")


def test_addressing_works_as_in_soap_12(meter: Device) -> None:
    header = (
        f'<e:Header xmlns:wsa="{WSA}"><wsa:Action>{METERING}:GetDemand</wsa:Action>'
        f"<wsa:MessageID>urn:uuid:1</wsa:MessageID><wsa:To>%s</wsa:To></e:Header>"
    )
    good = legacy(DEMAND_REQUEST, (header % meter.url("/Metering")).encode())
    reply = post(meter, "/Metering", good)
    root = etree.fromstring(reply.body)
    assert (reply.status, root.findtext("s:Header/wsa:RelatesTo", namespaces=S)) == (200, "urn:uuid:1")
    wrong = post(meter, "/Metering", legacy(DEMAND_REQUEST, (header % "urn:uuid:2").encode()))
    assert fault(wrong) == (500, qname(WSA, "DestinationUnreachable"))
    root = etree.fromstring(wrong.body)
    assert root.findtext("s:Header/wsa:RelatesTo", namespaces=S) == "urn:uuid:1"
    assert root.findtext("s:Header/wsa:FaultDetail/wsa:ProblemIRI", namespaces=S) == "urn:uuid:2"
    mismatch = post(meter, "/Metering", good, SOAPAction=f'"{GET_TARIFF}"')
    assert fault(mismatch) == (500, qname(WSA, "ActionMismatch"))


def test_metadata_of_a_service_with_its_wsdl(meter: Device) -> None:
    header = f'<e:Header xmlns:wsa="{WSA}"><wsa:Action>{GET_METADATA}</wsa:Action></e:Header>'.encode()
    told = body(post(meter, "/Tariff/gossip", legacy(write_get_metadata(), header)))
    assert told.find(".//{*}definitions/{*}portType[@name='TariffGossip']") is not None


UNKNOWN = f'<e:Header><x:Pay xmlns:x="urn:x" xmlns:e="{SOAP11}" e:mustUnderstand="1"/></e:Header>'.encode()
LARGE = legacy(GET_TARIFF_REQUEST).ljust(MAX_ENVELOPE + 1)


@pytest.mark.parametrize("path", ["/Tariff", "/Tariff/gossip"])
@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (legacy(b'<Other xmlns="urn:x"/>'), qname(WSA, "ActionNotSupported")),
        (legacy(f'<SetTariff xmlns="{TARIFF}"/>'.encode()), qname(GOSSIP, "InvalidPayload")),
        (legacy(tariff(3), UNKNOWN), qname(SOAP11, "MustUnderstand")),
        (LARGE, qname(GOSSIP, "TooLarge")),
        (b"<!DOCTYPE a>" + legacy(tariff(3)), qname(GOSSIP, "Malformed")),
        (b'<!DOCTYPE a [<!ENTITY e "x">]>' + legacy(b"<a>&e;</a>"), qname(GOSSIP, "Malformed")),
        (legacy(tariff(3)) * 2, qname(GOSSIP, "Malformed")),
        (legacy(tariff(3) + tariff(4)), qname(GOSSIP, "Malformed")),
        (b"a tariff, please", qname(GOSSIP, "Malformed")),
        (b"", qname(GOSSIP, "Malformed")),
    ],
    ids=[
        "unknown",
        "invalid",
        "not understood",
        "large",
        "DTD",
        "entity",
        "two roots",
        "two bodies",
        "words",
        "nothing",
    ],
)
def test_what_soap_12_refuses_is_refused_in_words_of_soap_11(meter: Device, path: str, frame: bytes, code: str) -> None:
    before = meter.version
    assert fault(post(meter, path, frame, **operator())) == (500, code)
    assert meter.version == before


def test_who_may_not_in_soap_12_may_not_here(meter: Device) -> None:
    for path in ("/Tariff", "/Tariff/gossip"):
        assert fault(post(meter, path, legacy(tariff(9)))) == (500, qname(GOSSIP, "NotAuthorised"))


def test_a_fault_of_the_service_has_a_detail_because_it_is_about_the_body(meter: Device) -> None:
    assert post(meter, "/Tariff", legacy(tariff(6)), **operator()).status == 202
    stale = post(meter, "/Tariff", legacy(tariff(5)), **operator())
    assert fault(stale) == (500, qname(TARIFF, "StaleVersion"))
    assert body(stale).find("detail") is not None


@pytest.mark.parametrize("path", ["/device", "/gossip"])
def test_devices_among_themselves_speak_soap_12(meter: Device, path: str) -> None:
    frame = plain(SET_TARIFF, tariff(9)).replace(SOAP12.encode(), SOAP11.encode())
    assert post(meter, path, frame).fault() == (500, "VersionMismatch", "")
