"""A discovery proxy at its addresses: managed mode over HTTP, datagrams, the group, and what is junk."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from bench import HOST, Hands, Memory

from gossip_ws.dpws.messages import ADHOC, AppSequence, Bye, Generation, Hello, Probe, ProbeMatches, Resolve, Target
from gossip_ws.dpws.proxy import DiscoveryProxy
from gossip_ws.endpoint.proxy import PROXY_PATH, ProxyServer
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import Fault
from gossip_ws.kernel.homes import Home, Local
from gossip_ws.kernel.names import DEVICE, DISCOVERY_PROXY, WSA, WSA_2004, WSD, WSD_2005, DeviceId, qname
from gossip_ws.ports import Caller, Request, Response
from gossip_ws.wire.discovery import decode, encode
from gossip_ws.wire.envelope import Addressing, build, message_id, parse
from gossip_ws.wire.soap import read_fault

URL = f"http://{HOST}:8081{PROXY_PATH}"
DEVICE_HOST = "10.0.0.5"
METER = Target(DeviceId("urn:uuid:5"), (DEVICE,), ("grid://t/1/5",), (f"http://{DEVICE_HOST}:8080/device",))
UDP = Address(Binding.UDP, DEVICE_HOST, 3702)
APP = AppSequence(5, 1)


class Loud(Memory):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []

    def multicast(self, frame: bytes) -> None:
        self.heard.append(frame)


class Proxy:
    """One at its place, without sockets."""

    def __init__(self) -> None:
        self.network, self.clock, dice = Loud(), Hands(), Random(5)
        own = Target(DeviceId("urn:uuid:dd"), (DISCOVERY_PROXY,), (), (URL,))
        self.server = ProxyServer(DiscoveryProxy(own, instance_id=3, dice=dice), self.network, self.clock, dice)
        self.server.start()

    def post(self, frame: bytes, path: str = PROXY_PATH, method: str = "POST", host: str = DEVICE_HOST) -> Response:
        answers: list[Response] = []
        caller = Caller(Address(Binding.HTTP, host, 50_000), HOST)
        self.server.handle(Request(frame, caller, method, path, content_type="application/soap+xml"), answers.append)
        (answer,) = answers
        return answer

    def datagram(self, frame: bytes, source: Address = UDP) -> None:
        def never(response: Response) -> None:
            raise AssertionError("what answers a datagram is repeated")

        self.server.handle(Request(frame, Caller(source, HOST)), never)

    def found(self, generation: Generation = Generation.OASIS) -> list[DeviceId]:
        answer = self.post(encode(Probe(message_id(), (DEVICE,), to=URL, generation=generation)))
        assert answer.status == 200
        matches = decode(answer.body)
        assert isinstance(matches, ProbeMatches)
        assert matches.generation is generation
        return [match.device for match in matches.matches]


def fault(answer: Response) -> Fault:
    found = read_fault(parse(answer.body))
    assert found is not None
    return found


def test_managed_mode_over_http() -> None:
    proxy = Proxy()
    assert proxy.found() == []
    assert proxy.post(encode(Hello(METER, APP, message_id(), URL))) == Response(202)
    assert proxy.found() == [METER.device]
    assert proxy.found(Generation.DRAFT) == [METER.device]
    resolved = proxy.post(encode(Resolve(METER.device, message_id(), to=URL)))
    assert METER.xaddrs[0].encode() in resolved.body
    assert proxy.post(encode(Bye(METER.device, AppSequence(5, 2), message_id(), to=URL))) == Response(202)
    assert proxy.found() == []


@pytest.mark.parametrize(
    ("asker", "order"),
    [("10.0.9.9", (1, 2, 0)), ("fd00::9", (2, 1, 0)), ("fe80::9%eth0", (0, 2, 1))],
)
def test_who_asks_is_told_of_a_device_first_what_it_may_reach(asker: str, order: tuple[int, ...]) -> None:
    """A device names its link-local address first to a proxy of its link; to another link it means nothing."""
    proxy = Proxy()
    told = tuple(f"http://{host}:80/device" for host in ("[fe80::5]", DEVICE_HOST, "[fd00::5]"))
    proxy.post(encode(Hello(replace(METER, xaddrs=told), APP, message_id(), URL)))
    for request in (Probe(message_id(), (DEVICE,), to=URL), Resolve(METER.device, message_id(), to=URL)):
        answer = decode(proxy.post(encode(request), host=asker).body)
        match = answer.matches[0] if isinstance(answer, ProbeMatches) else getattr(answer, "match", None)
        assert isinstance(match, Target)
        assert match.xaddrs == tuple(told[n] for n in order)


def test_nobody_is_registered_from_elsewhere() -> None:
    proxy = Proxy()
    assert proxy.post(encode(Hello(METER, APP, message_id())), host="10.0.0.66") == Response(202)
    assert proxy.found() == []
    assert proxy.server.counters["not from an address that it names"] == 1


@pytest.mark.parametrize(("generation", "namespace"), [(Generation.OASIS, WSD), (Generation.DRAFT, WSD_2005)])
def test_a_rule_that_nobody_knows(generation: Generation, namespace: str) -> None:
    probe = Probe(message_id(), (), ("a:b",), "urn:mine", generation=generation)
    answer = Proxy().post(encode(probe))
    assert answer.status == 400
    assert fault(answer).subcode == qname(namespace, "MatchingRuleNotSupported")
    envelope = parse(answer.body)
    assert envelope.addressing.wsa == (WSA_2004 if generation is Generation.DRAFT else WSA)
    assert envelope.addressing.relates_to == ((f"{WSA}/reply", probe.message_id),)


def test_what_is_not_its_business() -> None:
    proxy = Proxy()
    probe = encode(Probe(message_id()))
    assert proxy.post(probe, "/device") == Response(404)
    assert proxy.post(b"", method="GET") == Response(405)
    elsewhere = build(Addressing("urn:other", message_id(), URL), b"")
    assert fault(proxy.post(elsewhere)).subcode == qname(WSA, "ActionNotSupported")
    misled = probe.replace(ADHOC.encode(), b"http://10.0.0.1/elsewhere")
    assert fault(proxy.post(misled)).subcode == qname(WSA, "DestinationUnreachable")
    for junk in (b"", b"<a/>", b"\xff" * 90, probe[:-9], b"<!DOCTYPE x><x/>"):
        assert proxy.post(junk).status in (400, 500)
        proxy.datagram(junk)
        proxy.server.receive(junk, UDP)
    assert proxy.network.sent == []


def test_the_group_is_heard_and_quieted() -> None:
    proxy = Proxy()
    proxy.server.receive(encode(Hello(METER, APP, message_id())), UDP)
    assert proxy.found() == [METER.device]
    asker = Address(Binding.UDP, "10.0.0.9", 40_000)
    probe = Probe(message_id(), (DEVICE,))
    for _ in range(2):
        proxy.server.receive(encode(probe), asker)
    proxy.clock.turn(0.5)
    (first, to), (second, _) = proxy.network.sent
    assert (to, first) == (asker, second)
    hello = decode(first)
    assert isinstance(hello, Hello)
    assert (hello.relates_to, hello.target.xaddrs) == (probe.message_id, (URL,))


def test_a_datagram_to_it_alone_is_answered_within_a_datagram() -> None:
    proxy = Proxy()
    proxy.server.receive(encode(Hello(METER, APP, message_id())), UDP)
    proxy.datagram(encode(Probe(message_id(), (DEVICE,))))
    proxy.clock.turn(0.5)
    assert len(proxy.network.sent) == 2
    for number in range(30):
        other = Target(DeviceId(f"urn:uuid:o{number}"), (DEVICE,), METER.scopes, METER.xaddrs)
        proxy.datagram(encode(Hello(other, APP, message_id())))
    proxy.datagram(encode(Probe(message_id(), (DEVICE,))))
    assert proxy.server.counters["reply too large for a datagram"] == 1
    assert len(proxy.found()) == 31
    proxy.datagram(encode(Probe(message_id(), match_by="urn:mine")))
    assert proxy.server.counters["MatchingRuleNotSupported"] == 1


def test_it_joins_and_the_dead_leave() -> None:
    proxy = Proxy()
    proxy.server.receive(encode(Hello(METER, APP, message_id())), UDP)
    proxy.clock.turn(3.0)
    said = [decode(frame) for frame in dict.fromkeys(proxy.network.heard)]
    assert {type(message) for message in said} == {Probe, Hello}
    proxy.clock.turn(170.0)
    for last in (False, True):
        ((frame, to, done),) = proxy.network.asked
        proxy.network.asked.clear()
        assert str(to) == METER.xaddrs[0]
        probe = decode(frame)
        assert isinstance(probe, Probe)
        assert proxy.found() == [METER.device]
        done(None)
        assert bool(proxy.found()) is not last
    heard = len(proxy.network.heard)
    proxy.server.stop()
    assert isinstance(decode(proxy.network.heard[heard]), Bye)


def test_who_asks_is_told_first_the_address_that_it_reaches() -> None:
    homes = tuple(
        Home(Local(host, name, number, 24), None, Address(Binding.HTTP, host, 8081))
        for number, (host, name) in enumerate(((HOST, "eth0"), ("10.0.7.1", "eth1")))
    )
    own = Target(DeviceId("urn:uuid:dd"), (DISCOVERY_PROXY,), (), (URL,))
    network, clock, dice = Loud(), Hands(), Random(5)
    proxy = DiscoveryProxy(own, instance_id=3, dice=dice)
    server = ProxyServer(proxy, network, clock, dice, lambda: homes)
    server.start()
    there = "http://10.0.7.1:8081/proxy"
    # Quieted by a Hello that names the address on its own link.
    server.receive(encode(Probe(message_id(), (DEVICE,))), Address(Binding.UDP, "10.0.7.9", 3702))
    said = decode(network.sent[-1][0])
    assert isinstance(said, Hello)
    assert said.target.xaddrs == (there, URL)
    # Asked at one address it tells that one first, from wherever it was asked.
    answers: list[Response] = []
    caller = Caller(Address(Binding.HTTP, DEVICE_HOST, 50_000), "10.0.7.1")
    asking = encode(Probe(message_id(), (DISCOVERY_PROXY,), to=URL))
    server.handle(Request(asking, caller, "POST", PROXY_PATH), answers.append)
    matches = decode(answers[0].body)
    assert isinstance(matches, ProbeMatches)
    assert [match.xaddrs for match in matches.matches] == [(there, URL)]
