"""What spreads between five devices, and how: octets, bindings, areas, and children that lie."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree
from town import (
    DEADLINE,
    DEMAND_REQUEST,
    GET_DEMAND,
    SET_TARIFF,
    Device,
    Grid,
    Town,
    as_entry,
    operator,
    plain,
    signed,
    tariff,
    terms,
    wait_for,
)

from gossip_ws.core.messages import Ack, Gossip, Partial, Ping, Receipt, Standing, Tally
from gossip_ws.core.peers import Peer, Role
from gossip_ws.endpoint.server import GOSSIP_PATH
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.names import GOSSIP, GRID, METERING, PEERS, DeviceId, qname
from gossip_ws.kernel.terms import Budget, Filter, Style, Tier, Wanted
from gossip_ws.ports import HostedService
from gossip_ws.services import (
    Array,
    ComplexModel,
    Integer,
    Service,
    SpyneHosted,
    aggregate,
    gossip_enabled,
    reading,
    rpc,
)
from gossip_ws.services.peer_client import GET_PEERS, REGISTER, get_peers_request, register_request
from gossip_ws.services.tariff import HeldTariff
from gossip_ws.wire.envelope import canonical, parse
from gossip_ws.wire.gossip import XmlCodec, encode_wanted
from gossip_ws.wire.nodes import decode_report

SHADOW = "/Tariff/gossip"
DEMAND = "/Metering/gossip"


@pytest.fixture
def deliveries(town: Grid) -> Iterator[Counter[DeviceId]]:
    """How often each device's Tariff service took a tariff during the test."""
    town.settled()
    counts: Counter[DeviceId] = Counter()
    added = []
    for device in town.devices:

        def told(_: HeldTariff, id: DeviceId = device.id) -> None:
            counts[id] += 1

        device.host.tariffs.listeners.append(told)
        added.append((device, told))
    yield counts
    for device, told in added:
        device.host.tariffs.listeners.remove(told)


def everywhere(town: Grid, version: int) -> None:
    wait_for(lambda: town.versions() == [version] * len(town.devices), f"version {version}")
    town.settled()


def bodies(town: Grid, version: int) -> set[bytes]:
    """The octets of that tariff at every device that got it from another."""
    wanted = f">{version}</".encode()
    return {body for device in town.devices for body in device.codec.bodies.values() if wanted in body}


def energies(payload: etree._Element) -> list[int]:
    return [int(one.text or "") for one in payload.iter(qname(METERING, "energyWh"))]


# -- octets and deliveries


@pytest.mark.parametrize("entry", ["top", "substation", "meter", "appliance"])
def test_what_its_own_key_signed_enters_anywhere_and_arrives_octet_by_octet(
    town: Grid, deliveries: Counter[DeviceId], entry: str
) -> None:
    """Without credentials: the signature is what counts."""
    version = town.next_version()
    content = signed(town.client, SET_TARIFF, tariff(version))
    reply = getattr(town, entry).post(SHADOW, as_entry(content))
    assert (reply.status, reply.body) == (202, b"")
    everywhere(town, version)
    assert deliveries == Counter(device.id for device in town.devices)
    payload = parse(as_entry(content)).payload
    assert payload is not None
    assert bodies(town, version) == {content.body} == {canonical(payload)}
    assert {device.host.tariffs.current.issuer for device in town.devices} == {town.client.id}  # type: ignore[union-attr]


def test_it_enters_by_datagram_too(town: Grid, deliveries: Counter[DeviceId]) -> None:
    version = town.next_version()
    town.meter.datagram(as_entry(signed(town.client, SET_TARIFF, tariff(version))))
    everywhere(town, version)
    assert deliveries == Counter(device.id for device in town.devices)


def test_what_a_caller_wrote_arrives_in_its_canonical_form(town: Grid, deliveries: Counter[DeviceId]) -> None:
    version = town.next_version()
    odd = tariff(version).replace(b"<t:tariff>", b"<t:tariff   xmlns:unused='urn:u' ><!-- a remark -->\r\n\t")
    odd = odd.replace(b"winter", b"<![CDATA[winter & <summer>]]>")
    frame = plain(SET_TARIFF, odd)
    assert town.top.post(SHADOW, frame, **operator()).status == 202
    everywhere(town, version)
    payload = parse(frame).payload
    assert payload is not None
    assert bodies(town, version) == {canonical(payload)}
    assert deliveries == Counter(device.id for device in town.devices)
    assert {device.host.tariffs.current.id for device in town.devices} == {"winter & <summer>"}  # type: ignore[union-attr]


# -- bindings


def bindings(town: Grid, marks: list[int]) -> set[Binding]:
    """Of the messages that left since, receipts apart."""
    return {
        to.binding
        for device, mark in zip(town.devices, marks, strict=True)
        for frame, to in device.network.sent[mark:]
        if b"g:Terms" in frame
    }


@pytest.mark.parametrize("binding", list(Binding))
def test_the_header_chooses_the_binding(town: Grid, binding: Binding) -> None:
    town.settled()
    marks = [len(device.network.sent) for device in town.devices]
    version = town.next_version()
    frame = plain(SET_TARIFF, tariff(version), encode_wanted(Wanted(binding=binding)))
    assert town.top.post(SHADOW, frame, **operator()).status == 202
    everywhere(town, version)
    assert bindings(town, marks) == {binding}
    marks = [len(device.network.sent) for device in town.devices]
    pulled = town.top.post(
        DEMAND, plain(GET_DEMAND, DEMAND_REQUEST, encode_wanted(Wanted(binding=binding))), **operator()
    )
    assert sum(energies(pulled.payload)) == 900
    assert bindings(town, marks) == {binding}


def test_what_no_datagram_holds_goes_by_http(town: Grid, deliveries: Counter[DeviceId]) -> None:
    """48 bands, though the policy says datagrams."""
    town.settled()
    marks = [len(device.network.sent) for device in town.devices]
    version = town.next_version()
    body = tariff(version, bands=48)
    assert len(body) > 4_096
    assert town.top.post(SHADOW, plain(SET_TARIFF, body), **operator()).status == 202
    everywhere(town, version)
    assert bindings(town, marks) == {Binding.HTTP}
    assert deliveries == Counter(device.id for device in town.devices)
    assert all(device.counters["too large for a datagram"] == 0 for device in town.devices)


# -- who is meant


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        (Wanted(types=(qname(GRID, "SmartMeter"),)), ["meter", "other_meter"]),
        (Wanted(scopes=("grid://town/1/1",)), ["meter", "appliance"]),
        (Wanted(scopes=("grid://town/1/2", "grid://town/1/1/1")), ["other_meter", "appliance"]),
        (Wanted(scopes=("grid://other",)), []),
    ],
)
def test_a_push_is_delivered_where_it_is_meant_for(
    town: Grid, deliveries: Counter[DeviceId], wanted: Wanted, meant: list[str]
) -> None:
    """Not at the device either where it enters and that only passes it on."""
    version = town.next_version()
    frame = plain(SET_TARIFF, tariff(version), encode_wanted(wanted))
    assert town.top.post(SHADOW, frame, **operator()).status == 202
    expected = Counter(getattr(town, name).id for name in meant)
    wait_for(lambda: deliveries == expected)
    town.settled()
    assert deliveries == expected
    town.push()


def test_a_signed_request_is_answered_over_either_binding(town: Grid) -> None:
    town.push()
    for post in (True, False):
        content = signed(town.client, GET_DEMAND, DEMAND_REQUEST, terms(Style.REQUEST_RESPONSE))
        frame = as_entry(content)
        if post:
            reply = town.top.post(DEMAND, frame)
            assert reply.status == 200
            answer = reply.envelope
        else:
            answer = parse(town.top.datagram(frame, answered=True))
        assert answer.addressing.relates_to[0][1] == parse(frame).addressing.message_id
        report = decode_report(answer)
        assert report == (content.id, Tally(5, 5))
        assert answer.payload is not None
        assert energies(answer.payload) == [900, 0, 0]


def test_a_group_that_is_too_small_is_not_told_apart(town: Grid) -> None:
    block = encode_wanted(Wanted(scopes=("grid://town/1/1/1",), min_group=2))
    reply = town.top.post(DEMAND, plain(GET_DEMAND, DEMAND_REQUEST, block, message_id="urn:uuid:12"), **operator())
    assert reply.fault() == (500, "Receiver", qname(GOSSIP, "GroupTooSmall"))
    assert reply.relates_to == "urn:uuid:12"
    report = decode_report(reply.envelope)
    assert report is not None
    assert report[1].contributors == 1


# -- a filter that is allowed, and slow


NS = "urn:example:ledger"


class Entry(ComplexModel):
    __namespace__ = NS
    amount = reading(Integer, 0, 9, min_occurs=250, max_occurs=250)


@gossip_enabled(Read=aggregate("sum"))
class Ledger(Service):
    @rpc(_returns=Array(Entry))
    def Read(ctx: Any) -> Any:
        return [Entry(amount=[1] * 250)]


def ledger(gossip: Any) -> HostedService:
    return SpyneHosted(Ledger, NS)


def test_a_filter_that_hangs_costs_its_sender_a_fault() -> None:
    """Allowed by the check, slow on many numbers: its worker is ended, the device has noticed nothing."""
    town = Town(actions=frozenset({f"{NS}:Read", SET_TARIFF}))
    try:
        device = town.open(Role.METER, "grid://t/1/1", key=town.operator, services=(ledger,))
        slow = (
            f'<xsl:stylesheet version="1.0" g:forms="same" xmlns:g="{GOSSIP}" exclude-result-prefixes="g" '
            'xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><a>'
            '<xsl:for-each select="//*"><xsl:for-each select="//*"><xsl:value-of select="sum(//*//*//*)"/>'
            "</xsl:for-each></xsl:for-each></a></xsl:template></xsl:stylesheet>"
        )
        request = f'<Read xmlns="{NS}"/>'.encode()
        asked = plain(
            f"{NS}:Read", request, encode_wanted(Wanted(filter=Filter(stylesheet=slow))), message_id="urn:x:1"
        )
        reply = device.post("/Ledger/gossip", asked, **operator())
        status, _, subcode = reply.fault()
        assert (status, subcode) in {(400, qname(GOSSIP, "FilterFailed")), (500, qname(GOSSIP, "FilterFailed"))}
        assert reply.relates_to == "urn:x:1"
        report = decode_report(reply.envelope)
        assert report is not None
        assert (report[1].contributors, report[1].failed) == (0, 1)
        good = device.post("/Ledger/gossip", plain(f"{NS}:Read", request), **operator())
        assert [one.text for one in good.payload.iter(qname(NS, "amount"))] == ["1"] * 250
        assert device.post(SHADOW, plain(SET_TARIFF, tariff(1)), **operator()).status == 202
    finally:
        town.close()


# -- children that are none, or lie


class Puppet:
    """A child that a test plays: it has an address, answers its challenge, and says what it is told to."""

    def __init__(self, town: Town, parent: Device, *, subtree: int = 1, number: int = 1) -> None:
        self.parent = parent
        self.codec = XmlCodec()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((f"{town.network}.9.{number}", 0))
        self.socket.settimeout(DEADLINE)
        host, port = self.socket.getsockname()
        self.peer = Peer(
            DeviceId(f"urn:uuid:{number:08x}-0000-4000-8000-000000000009"),
            Role.METER,
            (qname(GRID, "SmartMeter"),),
            ("grid://t/1/9",),
            Address(Binding.UDP, host, port, GOSSIP_PATH),
            None,
            subtree,
        )

    def register(self, source: str = "", **changed: Any) -> Any:
        frame = plain(REGISTER, register_request(replace(self.peer, **changed)))
        return self.parent.post("/Peers", frame, source=source or self.socket.getsockname()[0])

    def hear(self) -> Any:
        return self.codec.decode(self.socket.recv(65_535))

    def say(self, message: Any) -> None:
        self.socket.sendto(self.codec.encode(message), (self.parent.udp.host, self.parent.udp.port))

    def enrol(self) -> None:
        assert self.register().status == 200
        challenge = self.hear()
        assert isinstance(challenge, Ping)
        self.say(Ack(self.peer.device, challenge.nonce))
        wait_for(lambda: self.parent.host.endpoint.peers.get(self.peer.device))

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def substation() -> Iterator[tuple[Town, Device]]:
    town = Town()
    yield town, town.open(Role.SUBSTATION, "grid://t/1", key=town.operator, node={"peers_per_host": 2})
    town.close()


def listed(device: Device) -> list[str]:
    """Whom the Peer Service gives out."""
    reply = device.post("/Peers", plain(GET_PEERS, get_peers_request()))
    return [str(one.text) for one in reply.payload.iter(qname(PEERS, "device"))]


def test_a_child_that_claims_more_than_it_registered(substation: tuple[Town, Device]) -> None:
    town, device = substation
    liar = Puppet(town, device, subtree=3)
    liar.enrol()
    try:
        content = signed(town.client, GET_DEMAND, DEMAND_REQUEST, terms(Style.REQUEST_RESPONSE))
        answers: list[Any] = []
        asking = town.later(lambda: answers.append(device.post(DEMAND, as_entry(content))))
        asked = liar.hear()
        assert isinstance(asked, Gossip)
        liar.say(Receipt(content.id, liar.peer.device, Standing.TAKEN))
        row = b'<g:Row N="50"><g:Key>x</g:Key><g:Values>1000000 0 0</g:Values></g:Row>'
        value = b'<g:Rows xmlns:g="%b">%b</g:Rows>' % (GOSSIP.encode(), row)
        for _ in range(4):
            liar.say(Partial(content.id, liar.peer.device, Tally(50, 50), value))
        asking.join(DEADLINE)
        (reply,) = answers
        assert device.counters["partial of more than its subtree"] == 4
        report = decode_report(reply.envelope)
        assert report == (content.id, Tally(contributors=1, expected=4, failed=3))
        assert energies(reply.payload) == [0, 0, 0]
    finally:
        liar.close()


@pytest.mark.parametrize("values", [b"1000000000000 0 0", b"-5 0 0", b"1 2", b"a b c", b""])
def test_a_child_with_numbers_that_no_meter_has(substation: tuple[Town, Device], values: bytes) -> None:
    town, device = substation
    liar = Puppet(town, device)
    liar.enrol()
    try:
        content = signed(town.client, GET_DEMAND, DEMAND_REQUEST, terms(Style.REQUEST_RESPONSE))
        answers: list[Any] = []
        asking = town.later(lambda: answers.append(device.post(DEMAND, as_entry(content))))
        assert isinstance(liar.hear(), Gossip)
        row = b'<g:Row N="1"><g:Key>x</g:Key><g:Values>%b</g:Values></g:Row>' % values
        value = b'<g:Rows xmlns:g="%b">%b</g:Rows>' % (GOSSIP.encode(), row)
        liar.say(Partial(content.id, liar.peer.device, Tally(1, 1), value))
        asking.join(DEADLINE)
        (reply,) = answers
        report = decode_report(reply.envelope)
        assert report == (content.id, Tally(contributors=1, expected=2, failed=1))
        assert energies(reply.payload) == [0, 0, 0]
    finally:
        liar.close()


def test_a_registration_counts_once_its_address_has_answered(substation: tuple[Town, Device]) -> None:
    town, device = substation
    puppet = Puppet(town, device)
    try:
        assert puppet.register().status == 200
        assert listed(device) == []
        challenge = puppet.hear()
        puppet.say(Ack(puppet.peer.device, b"a guess"))
        wait_for(lambda: device.counters["challenge not met"] == 1)
        assert listed(device) == []
        puppet.say(Ack(puppet.peer.device, challenge.nonce))
        wait_for(lambda: listed(device) == [puppet.peer.device])
    finally:
        puppet.close()


MALFORMED: dict[str, tuple[Callable[[bytes], bytes], str, str]] = {
    "no number of devices": (lambda body: re.sub(rb"<p:subtree>1<", b"<p:subtree>0<", body), GOSSIP, "InvalidPayload"),
    "a million devices more": (
        lambda body: re.sub(rb"<p:subtree>1<", b"<p:subtree>9999999<", body),
        GOSSIP,
        "InvalidPayload",
    ),
    "a role that is none": (
        lambda body: body.replace(b"SmartMeter</p:role", b"King</p:role"),
        GOSSIP,
        "InvalidPayload",
    ),
    "no role": (lambda body: re.sub(rb"<p:role>.*</p:role>", b"", body), GOSSIP, "InvalidPayload"),
    "a negative incarnation": (lambda body: body.replace(b"n>0<", b"n>-1<"), GOSSIP, "InvalidPayload"),
    "an address that is none": (lambda body: body.replace(b"soap.udp://", b"gopher://"), PEERS, "BadEntry"),
    "a name for an address": (lambda body: re.sub(rb"udp://[0-9.]+", b"udp://printer", body), GOSSIP, "NotYours"),
    "another host's address": (lambda body: re.sub(rb"udp://[0-9.]+", b"udp://10.0.0.1", body), GOSSIP, "NotYours"),
    "no address": (lambda body: re.sub(rb"<p:udp>.*</p:udp>", b"", body), PEERS, "BadEntry"),
    "an identity that is none": (lambda body: re.sub(rb"urn:uuid:[^<]+", b"me", body), GOSSIP, "BadRegistration"),
    "seventeen scopes": (
        lambda body: body.replace(b"<p:udp>", b"<p:scope>a:b</p:scope>" * 16 + b"<p:udp>"),
        GOSSIP,
        "InvalidPayload",
    ),
}


@pytest.mark.parametrize(("change", "namespace", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_a_registration_that_is_malformed(
    substation: tuple[Town, Device], change: Callable[[bytes], bytes], namespace: str, reason: str
) -> None:
    town, device = substation
    puppet = Puppet(town, device)
    try:
        body = change(register_request(puppet.peer))
        assert body != register_request(puppet.peer)
        reply = device.post("/Peers", plain(REGISTER, body), source=puppet.socket.getsockname()[0])
        assert reply.fault() == (400, "Sender", qname(namespace, reason))
        assert device.network.sent == []
        puppet.enrol()
    finally:
        puppet.close()


def test_nobody_registers_another(substation: tuple[Town, Device]) -> None:
    """Nor takes a registered device's place, or makes it leave."""
    town, device = substation
    puppet = Puppet(town, device)
    try:
        puppet.enrol()
        sent = len(device.network.sent)
        thief = f"{town.network}.9.99"
        moved = replace(puppet.peer.udp, host=thief)  # type: ignore[type-var]
        assert puppet.register(source=thief).fault() == (400, "Sender", qname(GOSSIP, "NotYours"))
        assert puppet.register(udp=moved, incarnation=9).fault() == (400, "Sender", qname(GOSSIP, "NotYours"))
        body = register_request(replace(puppet.peer, incarnation=2**62))
        puppet.socket.sendto(plain(REGISTER, body, to=device.url("/Peers")), (device.udp.host, device.udp.port))
        wait_for(lambda: device.counters["NotYours"] == 3)
        assert listed(device) == [puppet.peer.device]
        assert len(device.network.sent) == sent
    finally:
        puppet.close()


def test_a_host_registers_so_many_and_no_more(substation: tuple[Town, Device]) -> None:
    town, device = substation
    puppet = Puppet(town, device)
    try:
        for number in range(2):
            assert puppet.register(device=f"urn:uuid:{number:08x}-0000-4000-8000-00000000000a").status == 200
        sent = len(device.network.sent)
        over = puppet.register(device="urn:uuid:00000009-0000-4000-8000-00000000000a")
        assert over.fault() == (500, "Receiver", qname(GOSSIP, "QuotaReached"))
        assert len(device.network.sent) == sent
        other = Puppet(town, device, number=2)
        other.enrol()
        other.close()
    finally:
        puppet.close()


def test_a_budget_of_nothing_reaches_those_that_a_parent_serves(town: Grid) -> None:
    """Rounds 0: no sampling, and everybody has a parent."""
    version = town.next_version()
    nothing = tuple(Budget(tier, 0, 0) for tier in Tier)
    frame = plain(SET_TARIFF, tariff(version), encode_wanted(Wanted(budgets=nothing)))
    assert town.substation.post(SHADOW, as_entry(signed(town.client, SET_TARIFF, tariff(version)))).status == 202
    everywhere(town, version)
    assert town.top.post(SHADOW, frame.replace(b">%d<" % version, b">%d<" % (version + 1)), **operator()).status == 202
    wait_for(lambda: town.top.version == version + 1)
    town.settled()
    town.next_version()
    town.push()
