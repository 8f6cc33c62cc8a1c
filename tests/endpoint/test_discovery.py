"""A device looks for whom it belongs to, and asks where its Peer Service is."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from bench import Hands, Memory

from gossip_ws.dpws.discovery import TargetService
from gossip_ws.dpws.messages import AppSequence, Bye, Hello, Probe, ProbeMatches, Target
from gossip_ws.dpws.metadata import Host, Hosted, Metadata, Relationship, Text, ThisDevice, ThisModel
from gossip_ws.endpoint.discovery import PEER_PORT_TYPE, Discovery, Listener, Wish
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.names import DEVICE, GRID, WSD, DeviceId, qname
from gossip_ws.wire.discovery import decode, encode
from gossip_ws.wire.envelope import message_id
from gossip_ws.wire.metadata import GET_RESPONSE, write_get_response
from gossip_ws.wire.soap import reply_envelope

SUBSTATION = qname(GRID, "SubstationController")
_TOLD = ((DEVICE, SUBSTATION), ("grid://t/1",), ("http://10.0.0.7:8080/device",))
PARENT = Target(DeviceId("urn:uuid:00000000-0000-4000-8000-0000000000aa"), *_TOLD)
SOURCE = Address(Binding.UDP, "10.0.0.7", 3702)
PEERS = "http://10.0.0.7:8080/Peers"


class Aloud(Memory):
    """A network that may multicast."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []

    def multicast(self, frame: bytes) -> None:
        self.heard.append(frame)


class Seeking:
    """A meter that looks for its substation."""

    def __init__(self) -> None:
        self.network, self.clock, dice = Aloud(), Hands(), Random(5)
        own = Target(DeviceId("urn:uuid:00000000-0000-4000-8000-000000000001"), (DEVICE,), ("grid://t/1/1",), ())
        self.enrolled: list[Address] = []
        self.is_enrolled = False
        self.number = 0
        self.discovery = Discovery(
            TargetService(own, instance_id=1, dice=dice),
            self.network,
            self.clock,
            dice,
            parent=Wish((SUBSTATION,), ("grid://t/1",)),
            enrol=self.enrolled.append,
            is_enrolled=lambda: self.is_enrolled,
        )
        self.listener = Listener(self.clock)
        self.listener.add(self.discovery)
        self.discovery.start()
        self.clock.turn(3.0)

    def said(self, kind: type) -> list[object]:
        """Distinct messages; each is repeated on the wire."""
        return [message for message in map(decode, dict.fromkeys(self.network.heard)) if isinstance(message, kind)]

    def matched(self, *targets: Target) -> None:
        probe = self.said(Probe)[-1]
        assert isinstance(probe, Probe)
        self.number += 1
        matches = ProbeMatches(targets, AppSequence(1, self.number), message_id(), probe.message_id)
        self.discovery.unicast(matches, SOURCE)


def described(*addresses: str) -> bytes:
    hosted = tuple(Hosted((one,), (PEER_PORT_TYPE,), f"urn:{n}") for n, one in enumerate(addresses))
    metadata = Metadata(
        ThisModel((Text("m", "en"),), (Text("n", "en"),)),
        ThisDevice((Text("d", "en"),)),
        Relationship(Host(PARENT.device, PARENT.types), hosted),
    )
    return reply_envelope(GET_RESPONSE, "", write_get_response(metadata))


def test_it_says_hello_and_probes_for_its_parent() -> None:
    meter = Seeking()
    (hello,) = meter.said(Hello)
    assert isinstance(hello, Hello)
    assert hello.target.scopes == ("grid://t/1/1",)
    probe = meter.said(Probe)[0]
    assert isinstance(probe, Probe)
    assert (probe.types, probe.scopes) == ((SUBSTATION,), ("grid://t/1",))


def test_it_asks_the_parent_once_where_its_peer_service_is() -> None:
    meter = Seeking()
    for _ in range(3):
        meter.matched(PARENT)
    ((_, to, done),) = meter.network.asked
    assert str(to) == PARENT.xaddrs[0]
    done(described(PEERS))
    assert meter.enrolled == [Address.parse(PEERS)]
    meter.is_enrolled = True
    probes = len(meter.said(Probe))
    meter.clock.turn(300.0)
    assert len(meter.said(Probe)) == probes


def test_a_parent_that_takes_it_in_no_more_is_looked_for_anew() -> None:
    """It moved, or another one is in its place, and its Hello was lost."""
    meter = Seeking()
    meter.matched(PARENT)
    meter.network.asked.pop()[2](described(PEERS))
    meter.is_enrolled = True
    meter.clock.turn(300.0)
    probes = len(meter.said(Probe))
    meter.is_enrolled = False
    seconds = 0
    while len(meter.said(Probe)) == probes:
        seconds += 1
        assert seconds <= 90
        meter.clock.turn(1.0)
    meter.matched(replace(PARENT, xaddrs=("http://10.0.0.99:8080/device",), metadata_version=2))
    ((_, to, _),) = meter.network.asked
    assert to.host == "10.0.0.99"


def test_a_parent_that_is_elsewhere_now_is_asked_again_and_one_that_has_more_addresses_is_not() -> None:
    meter = Seeking()
    meter.matched(PARENT)
    meter.network.asked.pop()[2](described(PEERS))
    there = "http://10.0.0.99:8080/"
    both = replace(PARENT, xaddrs=(there + "device", *PARENT.xaddrs), metadata_version=2)
    gone = replace(both, xaddrs=both.xaddrs[:1], metadata_version=3)
    meter.listener.receive(encode(Hello(both, AppSequence(1, 7), message_id())), SOURCE)
    assert not meter.network.asked
    meter.listener.receive(encode(Hello(gone, AppSequence(1, 8), message_id())), SOURCE)
    ((_, to, done),) = meter.network.asked
    assert str(to) == there + "device"
    done(described(there + "Peers"))
    assert meter.enrolled == [Address.parse(PEERS), Address.parse(there + "Peers")]


def test_addresses_that_come_and_go_end_no_search() -> None:
    """Each change asks for a parent; there may be so many Probes open, and then the next is due as ever."""
    meter = Seeking()
    for number in range(40):
        meter.discovery.moved((f"http://10.0.0.{number}:8080/device",))
    meter.clock.turn(10.0)
    before = len(meter.said(Probe))
    meter.clock.turn(60.0)
    assert len(meter.said(Probe)) > before


def test_who_answers_as_a_parent_again_and_again_under_other_names_is_not_remembered_for_ever() -> None:
    meter = Seeking()
    for number in range(100):
        name = DeviceId(f"urn:uuid:00000000-0000-4000-8000-{number + 4096:012x}")
        meter.listener.receive(encode(Hello(replace(PARENT, device=name), AppSequence(1, 1), message_id())), SOURCE)
        meter.network.asked.pop()[2](described(PEERS))
    # The first is asked once more: it was forgotten.
    first = replace(PARENT, device=DeviceId(f"urn:uuid:00000000-0000-4000-8000-{4096:012x}"), metadata_version=2)
    meter.listener.receive(encode(Hello(first, AppSequence(1, 2), message_id())), SOURCE)
    assert len(meter.network.asked) == 1


@pytest.mark.parametrize("reply", [None, b"junk", described(), described("urn:not-http"), described("ftp://x/")])
def test_one_that_says_nothing_useful_may_be_asked_again(reply: bytes | None) -> None:
    meter = Seeking()
    meter.matched(PARENT)
    (_, _, done) = meter.network.asked.pop()
    done(reply)
    assert meter.enrolled == []
    assert meter.discovery.counters["no Peer Service found"] == 1
    meter.matched(PARENT)
    (_, _, done) = meter.network.asked.pop()
    done(described(PEERS))
    assert meter.enrolled == [Address.parse(PEERS)]


@pytest.mark.parametrize("xaddrs", [(), ("soap.udp://10.0.0.7:1/",), ("nonsense",), ("http://:80",)])
def test_one_without_an_http_address_is_not_asked(xaddrs: tuple[str, ...]) -> None:
    meter = Seeking()
    meter.matched(Target(PARENT.device, PARENT.types, PARENT.scopes, xaddrs))
    assert meter.network.asked == []


def test_nobody_else_is_asked() -> None:
    """Matches that match nothing: another kind of device, another area, itself."""
    meter = Seeking()
    meter.matched(
        Target(PARENT.device, (DEVICE,), PARENT.scopes, PARENT.xaddrs),
        Target(PARENT.device, PARENT.types, ("grid://t/2",), PARENT.xaddrs),
        Target(meter.discovery.target.device, PARENT.types, PARENT.scopes, PARENT.xaddrs),
    )
    assert meter.network.asked == []


def test_it_probes_again_less_and_less_often() -> None:
    meter = Seeking()
    counts = []
    for _ in range(4):
        meter.clock.turn(60.0)
        counts.append(len(meter.said(Probe)))
    assert counts == sorted(counts)
    assert 4 <= counts[-1] <= 10


def test_the_listener_counts_junk_and_answers_a_probe_that_matches() -> None:
    meter = Seeking()
    for junk in (b"", b"\xff" * 90, b"<a/>", encode(Probe("urn:uuid:1", (), ()))[:-20]):
        meter.listener.receive(junk, SOURCE)
    assert sum(meter.listener.counters.values()) == 4
    assert meter.network.sent == []
    meter.listener.receive(encode(Probe(message_id(), (DEVICE,), ("grid://t",))), SOURCE)
    meter.clock.turn(3.0)
    assert {to for _, to in meter.network.sent} == {SOURCE}
    found = decode(meter.network.sent[0][0])
    assert isinstance(found, ProbeMatches)
    assert [target.device for target in found.matches] == [meter.discovery.target.device]
    sent = len(meter.network.sent)
    meter.listener.receive(encode(Probe(message_id(), (SUBSTATION,), ())), SOURCE)
    meter.clock.turn(3.0)
    assert len(meter.network.sent) == sent


def with_security(frame: bytes) -> bytes:
    """Signed as in WS-Discovery 1.1 section 8, by whom nobody can know."""
    security = (
        f'<d:Security xmlns:d="{WSD}"><d:Sig Scheme="http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01/rsa" '
        'KeyId="Dx42" Refs="A B" Sig="AAAA"/></d:Security>'
    )
    assert frame.count(b"</s12:Header>") == 1
    return frame.replace(b"</s12:Header>", security.encode() + b"</s12:Header>")


def test_a_signed_probe_is_answered_and_a_signed_hello_believed_as_if_they_were_not() -> None:
    """Compact signatures are neither checked nor made."""
    meter = Seeking()
    meter.listener.receive(with_security(encode(Probe(message_id(), (DEVICE,), ("grid://t",)))), SOURCE)
    meter.clock.turn(3.0)
    found = decode(meter.network.sent[0][0])
    assert isinstance(found, ProbeMatches)
    assert [target.device for target in found.matches] == [meter.discovery.target.device]
    assert b"Security" not in meter.network.sent[0][0]
    hello = Hello(PARENT, AppSequence(1, 1), message_id())
    meter.listener.receive(with_security(encode(hello)), SOURCE)
    ((_, to, _),) = meter.network.asked
    assert str(to) == PARENT.xaddrs[0]
    assert not meter.listener.counters


def test_a_datagram_to_the_device_alone_is_answered_once_and_repeated() -> None:
    meter = Seeking()
    probe = Probe(message_id(), (DEVICE,))
    for _ in range(3):
        assert meter.discovery.unicast(probe, SOURCE) == b""
    meter.clock.turn(1.0)
    assert len(meter.network.sent) == 2
    assert meter.network.sent[0] == meter.network.sent[1]
    # Nothing matches: over a datagram too the one who asked this device alone is told so.
    meter.discovery.unicast(Probe(message_id(), (SUBSTATION,)), SOURCE)
    found = decode(meter.network.sent[-1][0])
    assert isinstance(found, ProbeMatches)
    assert found.matches == ()


def test_a_datagram_above_the_limit_is_dropped() -> None:
    meter = Seeking()
    probe = encode(Probe(message_id(), (DEVICE,)))
    for octets in (4_096, 4_097):
        padded = probe.replace(b"<s12:Body>", b"<s12:Body>" + b" " * (octets - len(probe)))
        meter.listener.receive(padded, SOURCE)
    assert meter.listener.counters == {"TooLarge": 1}
    meter.clock.turn(3.0)
    assert len(meter.network.sent) == 2


def test_a_directed_probe_by_an_unknown_rule_is_a_fault() -> None:
    meter = Seeking()
    with pytest.raises(RemoteError) as caught:
        meter.discovery.unicast(Probe(message_id(), (), ("a:b",), "urn:my-rule"), SOURCE)
    assert caught.value.fault.subcode.endswith("MatchingRuleNotSupported")


def test_it_says_bye() -> None:
    meter = Seeking()
    meter.discovery.stop()
    (bye,) = meter.said(Bye)
    assert isinstance(bye, Bye)
    assert bye.device == meter.discovery.target.device
    meter.listener.remove(meter.discovery.target.device)
    sent = len(meter.network.sent)
    meter.listener.receive(encode(Probe(message_id(), (DEVICE,), ())), SOURCE)
    meter.clock.turn(3.0)
    assert len(meter.network.sent) == sent


def test_parents_that_do_not_describe_themselves_make_it_neither_probe_without_end_nor_give_up() -> None:
    """Two of them, and each answers each Probe: were a failure a Probe at once, each round would be twice the last."""
    meter = Seeking()
    other = Target(DeviceId("urn:uuid:00000000-0000-4000-8000-0000000000bb"), *_TOLD)
    for _ in range(40):
        before = len(meter.said(Probe))
        meter.matched(PARENT, other)
        while meter.network.asked:
            meter.network.asked.pop()[2](None)
        meter.clock.turn(0.5)
        assert len(meter.said(Probe)) - before <= 1
    assert 3 <= len(meter.said(Probe)) <= 8
    meter.matched(PARENT)
    meter.network.asked.pop()[2](described(PEERS))
    assert meter.enrolled == [Address.parse(PEERS)]
