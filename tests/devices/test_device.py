"""A device as its clients see it: the original as ever, its shadow beside it, and how one is found from the other."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import zeep
from lxml import etree
from requests import Session
from requests.auth import HTTPBasicAuth
from town import (
    DEMAND_REQUEST,
    GET_DEMAND,
    GET_TARIFF,
    GET_TARIFF_REQUEST,
    PASSWORD,
    SET_TARIFF,
    USER,
    Device,
    Grid,
    Town,
    operator,
    plain,
    tariff,
    wait_for,
)

from gossip_ws.core.peers import Role
from gossip_ws.dpws.messages import ADHOC, Generation, Probe, ProbeMatches, Resolve, ResolveMatches
from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.names import DEVICE, GRID, METERING, PEERS, REPORT, TARIFF, WSA, WSA_2004, WSD, WSD_2005, qname
from gossip_ws.kernel.terms import Variant
from gossip_ws.wire.discovery import decode, encode
from gossip_ws.wire.envelope import Addressing, Envelope, build, message_id, parse
from gossip_ws.wire.generation import DRAFT
from gossip_ws.wire.metadata import (
    GET,
    GET_METADATA,
    GET_RESPONSE,
    get_request,
    read_get_metadata_response,
    read_get_response,
    write_get_metadata,
)
from gossip_ws.wire.soap import read_fault
from gossip_ws.wire.wsdl import read_policies

WSDL = {"w": "http://schemas.xmlsoap.org/wsdl/", "wsp": "http://www.w3.org/ns/ws-policy"}


def client(device: Device, path: str, user: str = "", password: str = "") -> Any:
    """zeep, with the WSDL that the device itself hands out."""
    session = Session()
    session.trust_env = False
    if user:
        session.auth = HTTPBasicAuth(user, password)
    return zeep.Client(device.url(path) + "?wsdl", transport=zeep.Transport(session=session))


@pytest.fixture(scope="module")
def announced() -> Iterator[Device]:
    """One that takes part in discovery."""
    town = Town()
    yield town.open(Role.METER, "grid://town/7/7", discover=True)
    town.close()


# -- the original


def test_a_plain_client_is_served_as_ever(town: Grid) -> None:
    version = town.push()
    left = town.settled()
    held = client(town.appliance, "/Tariff").service.GetTariff()
    assert (held.id, held.version, len(held.band)) == ("winter", version, 3)
    assert [band.price for band in held.band] == [Decimal("0.10"), Decimal("0.11"), Decimal("0.12")]
    (row,) = client(town.appliance, "/Metering").service.GetDemand(day="2026-11-21")
    assert (row.category, sum(row.energyWh)) == ("Appliance", 900)
    (row,) = client(town.top, "/Metering").service.GetDemand()
    assert row.energyWh == [0, 0, 0]
    (row,) = client(town.meter, "/Metering").service.GetMeasurement()
    assert (row.voltage, row.phaseAngle, row.power) == (230.0, 1.0, 100.0)
    # No gossip comes of it.
    assert town.settled() == left


def test_a_tariff_at_the_originals_address_stays_there(town: Grid) -> None:
    version = town.push()
    left = town.settled()
    reply = town.top.post("/Tariff", plain(SET_TARIFF, tariff(version + 1)), **operator())
    assert (reply.status, reply.body) == (202, b"")
    assert town.settled() == left
    assert town.top.host.tariffs.held(USER).version == version + 1  # type: ignore[union-attr]
    assert town.versions()[1:] == [version] * 4


def test_a_fault_of_the_service_reaches_a_plain_client(announced: Device) -> None:
    with pytest.raises(zeep.exceptions.Fault, match="no tariff has been set yet") as caught:
        client(announced, "/Tariff").service.GetTariff()
    assert caught.value.subcodes == [etree.QName(TARIFF, "NoTariff")]


def test_a_legacy_message_has_no_addressing_and_is_told_by_its_body(town: Grid) -> None:
    """Nor does its SOAPAction matter, nor the action of the media type."""
    town.push()
    frame = build(Addressing(), GET_TARIFF_REQUEST)
    frame = frame.replace(b"<s12:Header></s12:Header>", b"")
    assert b"Header" not in frame
    reply = town.meter.post(
        "/Tariff", frame, content_type=f'application/soap+xml; action="{SET_TARIFF}"', SOAPAction='"urn:other"'
    )
    assert (reply.status, reply.payload.tag) == (200, qname(TARIFF, "GetTariffResponse"))
    assert reply.envelope.addressing.relates_to == ()
    pulled = town.top.post("/Metering/gossip", build(Addressing(), DEMAND_REQUEST), **operator())
    assert (pulled.status, pulled.payload.tag) == (200, qname(METERING, "GetDemandResponse"))


@pytest.mark.parametrize("path", ["/Tariff", "/Metering/gossip"])
def test_a_device_is_addressed_by_its_own_name_or_any_of_its_transport_addresses(town: Grid, path: str) -> None:
    town.push()
    action, body = (GET_TARIFF, GET_TARIFF_REQUEST) if path == "/Tariff" else (GET_DEMAND, DEMAND_REQUEST)
    url = town.top.url(path)
    for to in ("", town.top.id, url, f"{WSA}/anonymous", f"http://meter.example:8080{path}", url + "?x"):
        reply = town.top.post(path, plain(action, body, to=to, message_id="urn:uuid:9"), **operator())
        assert (reply.status, reply.relates_to) == (200, "urn:uuid:9")
        assert reply.envelope.addressing.action == f"{action}Response"


# -- WSDL and policy


@pytest.mark.parametrize(
    ("path", "port_type", "gossiping"),
    [
        ("/Tariff", "Tariff", {"SetTariff", "TariffChanged"}),
        ("/Metering", "Metering", {"GetDemand", "GetMeasurement", "DemandAlarm"}),
    ],
)
def test_each_wsdl_tells_what_gossips_and_where_both_are(
    town: Grid, path: str, port_type: str, gossiping: set[str]
) -> None:
    documents = {side: town.meter.get(side + "?wsdl=complete").body for side in (path, path + "/gossip")}
    original, shadow = (etree.fromstring(document) for document in documents.values())
    for document in documents.values():
        told = read_policies(document)
        assert {one.operation for one in told} == gossiping
        for one in told:
            assert (one.addresses.hosted, one.addresses.shadow) == (
                town.meter.url(path),
                town.meter.url(path + "/gossip"),
            )
            assert (one.policy.variant, one.policy.binding) == (Variant.EAGER_PUSH, Binding.UDP)
            assert (one.policy.fanout, one.policy.rounds) == (None, None)
            assert bool(one.policy.aggregate) == one.operation.startswith("Get")
    assert original.xpath("string(//w:portType/@name)", namespaces=WSDL) == port_type
    assert shadow.xpath("string(//w:portType/@name)", namespaces=WSDL) == port_type + "Gossip"
    operations = shadow.xpath("//w:portType/w:operation/@name", namespaces=WSDL)
    assert set(operations) == gossiping  # type: ignore[arg-type]
    assert not original.xpath("//*[@location[starts-with(., 'http')]][local-name() = 'import']")


def test_the_peer_service_does_not_gossip(town: Grid) -> None:
    assert read_policies(town.meter.get("/Peers?wsdl").body) == ()
    peers = client(town.substation, "/Peers").service.GetPeers(max=10)
    assert {peer.device for peer in peers.peer} == {town.top.id, town.meter.id, town.other_meter.id}
    narrow = client(town.substation, "/Peers").service.GetPeers(
        type=[qname(GRID, "SmartMeter")], scope=["grid://town/1/2"], max=10
    )
    assert [peer.device for peer in narrow.peer] == [town.other_meter.id]


# -- metadata


def test_a_get_tells_the_services_and_their_shadows(town: Grid) -> None:
    """WSDBIT 1.5"""
    device = town.meter
    reply = device.post("/device", plain(GET, b"", to=device.id, message_id="urn:uuid:10"))
    assert (reply.status, reply.relates_to) == (200, "urn:uuid:10")
    assert reply.envelope.addressing.action == GET_RESPONSE
    metadata = read_get_response(reply.payload)
    assert metadata.relationship is not None
    assert metadata.relationship.host is not None
    assert metadata.relationship.host.device == device.id
    assert metadata.relationship.host.types == (DEVICE, qname(GRID, "SmartMeter"))
    hosted = {hosted.addresses[0]: hosted.types[0] for hosted in metadata.relationship.hosted}
    assert hosted == {
        device.url("/Tariff"): qname(TARIFF, "Tariff"),
        device.url("/Tariff/gossip"): qname(TARIFF, "TariffGossip"),
        device.url("/Metering"): qname(METERING, "Metering"),
        device.url("/Metering/gossip"): qname(METERING, "MeteringGossip"),
        device.url("/Peers"): qname(PEERS, "Peers"),
        device.url("/Report"): qname(REPORT, "Report"),
        device.url("/Report/gossip"): qname(REPORT, "ReportGossip"),
    }
    assert len({one.service_id for one in metadata.relationship.hosted}) == 7


@pytest.mark.parametrize("path", ["/Tariff", "/Tariff/gossip"])
def test_a_service_tells_its_part_and_its_wsdl(town: Grid, path: str) -> None:
    reply = town.meter.post(path, plain(GET_METADATA, write_get_metadata()))
    told = read_get_metadata_response(reply.payload)
    assert told.relationship is not None
    assert [one.addresses for one in told.relationship.hosted] == [(town.meter.url(path),)]
    assert {one.addresses.shadow for one in read_policies(told.wsdl)} == {town.meter.url("/Tariff/gossip")}


# -- directed discovery


def test_a_directed_probe(announced: Device) -> None:
    """WSDBIT 1.4"""
    asked = Probe(message_id(), (qname(GRID, "SmartMeter"),), ("grid://town/7",))
    reply = announced.post("/device", encode(asked))
    found = decode(reply.body)
    assert isinstance(found, ProbeMatches)
    (target,) = found.matches
    assert (target.device, target.scopes) == (announced.id, ("grid://town/7/7",))
    assert target.xaddrs == (announced.url("/device"),)
    assert found.relates_to == asked.message_id
    other = decode(announced.post("/device", encode(Probe(message_id(), (), ("grid://elsewhere",)))).body)
    assert isinstance(other, ProbeMatches)
    assert other.matches == ()


def test_a_probe_and_a_resolve_by_datagram(announced: Device) -> None:
    found = decode(announced.datagram(encode(Probe(message_id(), (DEVICE,), ())), answered=True))
    assert isinstance(found, ProbeMatches)
    assert [target.device for target in found.matches] == [announced.id]
    resolved = decode(announced.datagram(encode(Resolve(message_id=message_id(), device=announced.id)), answered=True))
    assert isinstance(resolved, ResolveMatches)
    assert resolved.match is not None
    assert resolved.match.xaddrs == (announced.url("/device"),)


def test_a_matching_rule_that_nobody_knows_is_told_as_discovery_has_it(announced: Device) -> None:
    asked = Probe(message_id(), (), ("grid://town",), "urn:by:guessing")
    reply = announced.post("/device", encode(asked))
    assert reply.fault() == (400, "Sender", qname(WSD, "MatchingRuleNotSupported"))
    assert (reply.envelope.addressing.action, reply.relates_to) == (f"{WSD}/fault", asked.message_id)
    announced.datagram(encode(asked))


def test_the_generation_before_is_answered_in_kind(announced: Device) -> None:
    """WS-Discovery 2005/04, DPWS 2006/02 and WS-Addressing 2004/08, at the same addresses."""
    probe = Probe(message_id(), (DEVICE,), generation=Generation.DRAFT)
    for frame in (announced.post("/device", encode(probe)).body, announced.datagram(encode(probe), answered=True)):
        assert b">wsdp:Device " in frame
        found = decode(frame)
        assert isinstance(found, ProbeMatches)
        assert found.generation is Generation.DRAFT
        assert [target.device for target in found.matches] == [announced.id]
    resolve = Resolve(announced.id, message_id(), generation=Generation.DRAFT)
    resolved = decode(announced.datagram(encode(resolve), answered=True))
    assert isinstance(resolved, ResolveMatches)
    assert resolved.match is not None
    told = announced.post("/device", get_request(announced.id, DRAFT)).envelope
    assert (told.addressing.wsa, told.addressing.action) == (WSA_2004, GET_RESPONSE)
    metadata = read_get_response(told.payload)
    assert metadata == read_get_response(announced.post("/device", get_request(announced.id)).envelope.payload)
    assert metadata.relationship is not None
    assert metadata.relationship.host is not None
    assert metadata.relationship.host.types == (DEVICE, qname(GRID, "SmartMeter"))


def test_the_generation_before_may_call_and_is_faulted_in_kind(announced: Device) -> None:
    def asked(action: str, body: bytes, reply_to: str = "") -> Envelope:
        said = Addressing(action, "urn:uuid:12", announced.url("/Metering"), reply_to, wsa=WSA_2004)
        return announced.post("/Metering", build(said, body)).envelope

    answer = asked(GET_DEMAND, DEMAND_REQUEST)
    assert answer.addressing.wsa == WSA_2004
    assert answer.addressing.relates_to == ((f"{WSA}/reply", "urn:uuid:12"),)
    assert answer.addressing.action == f"{GET_DEMAND}Response"
    for envelope, local in (
        (asked("urn:none", DEMAND_REQUEST), "ActionNotSupported"),
        (asked(GET_DEMAND, DEMAND_REQUEST, "http://127.0.0.9/"), "InvalidMessageInformationHeader"),
    ):
        fault = read_fault(envelope)
        assert fault is not None
        assert fault.subcode == qname(WSA_2004, local)
        assert fault.subsubcode is None
        assert envelope.addressing.action == f"{WSA_2004}/fault"
        assert envelope.addressing.relates_to == ((f"{WSA}/reply", "urn:uuid:12"),)
    rule = Probe("urn:uuid:13", (), ("grid://town",), "urn:by:guessing", generation=Generation.DRAFT)
    envelope = announced.post("/device", encode(rule)).envelope
    fault = read_fault(envelope)
    assert fault is not None
    assert fault.subcode == qname(WSD_2005, "MatchingRuleNotSupported")
    assert f"{WSD_2005}/rfc2396".encode() in fault.detail
    assert (envelope.addressing.wsa, envelope.addressing.action) == (WSA_2004, f"{WSD_2005}/fault")


def test_discovery_answers_at_the_devices_own_address_only(announced: Device) -> None:
    for path in ("/Tariff", "/Tariff/gossip"):
        frame = encode(Probe(message_id(), (), ()))
        reply = announced.post(path, frame.replace(ADHOC.encode(), b"%b/anonymous" % WSA.encode()))
        assert reply.fault() == (400, "Sender", qname(WSA, "ActionNotSupported"))


# -- both transports


def test_the_same_operation_by_datagram(town: Grid) -> None:
    version = town.push()
    left = town.settled()
    for to in (str(town.meter.udp.at("/Tariff")), town.meter.url("/Tariff"), town.meter.id):
        frame = plain(GET_TARIFF, GET_TARIFF_REQUEST, to=to, message_id="urn:uuid:11")
        answer = parse(town.meter.datagram(frame, answered=True))
        assert answer.addressing.relates_to == ((f"{WSA}/reply", "urn:uuid:11"),)
        assert answer.addressing.action == f"{GET_TARIFF}Response"
        assert answer.payload is not None
        assert answer.payload.findtext(f".//{{{TARIFF}}}version") == str(version)
    frame = plain(GET_DEMAND, DEMAND_REQUEST, to=town.appliance.url("/Metering"))
    payload = parse(town.appliance.datagram(frame, answered=True)).payload
    assert payload is not None
    assert sum(int(one.text or "") for one in payload.iter(qname(METERING, "energyWh"))) == 900
    # Each answer is a datagram of its own, and nothing else left.
    assert town.settled() == left


def test_a_reply_that_no_datagram_holds_is_not_sent() -> None:
    """48 bands are 6 KiB."""
    town = Town()
    try:
        device = town.open(Role.METER, "grid://town/8/8", key=town.operator)
        assert device.post("/Tariff", plain(SET_TARIFF, tariff(1, bands=48)), **operator()).status == 202
        device.datagram(plain(GET_TARIFF, GET_TARIFF_REQUEST, to=device.id))
        assert device.counters["reply too large for a datagram"] == 1
        assert device.post("/Tariff", plain(GET_TARIFF, GET_TARIFF_REQUEST)).status == 200
    finally:
        town.close()


def test_a_push_and_a_pull_by_plain_clients(town: Grid) -> None:
    """They know nothing of gossip: the address is another, that is all."""
    version = town.next_version()
    pushed = client(town.top, "/Tariff/gossip", USER, PASSWORD).service
    band = [{"fromMinute": 0, "toMinute": 1440, "price": "0.5"}]
    given = {"id": "flat", "version": version, "start": "2026-01-01T00:00:00Z", "end": "2036-01-01T00:00:00Z"}
    assert pushed.SetTariff(tariff={**given, "band": band}) is None
    wait_for(lambda: town.versions() == [version] * 5)
    # One price all day: the task runs at its own time.
    (row,) = client(town.top, "/Metering/gossip", USER, PASSWORD).service.GetDemand(day="2026-11-21")
    assert (row.category, row.energyWh) == ("mixed", [0, 900, 0])
    town.push()
    # The night is the cheapest now.
    (row,) = client(town.top, "/Metering/gossip", USER, PASSWORD).service.GetDemand(day="2026-11-21")
    assert row.energyWh == [900, 0, 0]
    with pytest.raises(zeep.exceptions.Fault, match="does not sign"):
        client(town.top, "/Metering/gossip").service.GetDemand(day="2026-11-21")


def test_a_connection_serves_many_requests(town: Grid) -> None:
    """Bad ones between good ones, on one connection."""
    good = plain(GET_DEMAND, DEMAND_REQUEST)
    with socket.create_connection((town.meter.host.http.host, town.meter.host.http.port), timeout=5) as sock:
        for frame, status in ((good, b"200"), (b"junk", b"400"), (good, b"200"), (good[:-9], b"400"), (good, b"200")):
            head = f"POST /Metering HTTP/1.1\r\nHost: x\r\nContent-Length: {len(frame)}\r\n\r\n"
            sock.sendall(head.encode() + frame)
            received = b""
            while b"</s12:Envelope>" not in received:
                received += sock.recv(65_536)
            assert received.split(b" ", 2)[1] == status
