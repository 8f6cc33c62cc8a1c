"""A discovery proxy: whom it holds, what it answers, whom it quiets, and how the dead leave."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from gossip_ws.dpws.config import DiscoveryConfig
from gossip_ws.dpws.discovery import octets
from gossip_ws.dpws.effects import Check, Effect, Found, Lost, Multicast, Unicast
from gossip_ws.dpws.messages import (
    MAX_MATCHES,
    AppSequence,
    Bye,
    Generation,
    Hello,
    Message,
    Probe,
    ProbeMatches,
    Resolve,
    ResolveMatches,
    Target,
)
from gossip_ws.dpws.proxy import MAX_ANSWER, DiscoveryProxy, ProxyConfig, SweepDue
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import ANONYMOUS, DEVICE, DISCOVERY_PROXY, GRID, DeviceId, qname
from gossip_ws.wire.discovery import encode
from gossip_ws.wire.envelope import MAX_ENVELOPE

METER = qname(GRID, "SmartMeter")
ME = DeviceId("urn:uuid:00000000-0000-4000-8000-0000000000dd")
OWN = Target(ME, (DISCOVERY_PROXY,), (), ("http://10.0.9.9:8081/proxy",))
ASKER = Address.parse("soap.udp://10.0.8.8:49152")


def at(seconds: float) -> Instant:
    return Instant(1_000.0 + seconds, 1_700_000_000.0 + seconds)


def target(number: int = 1, **change: object) -> Target:
    scopes, xaddrs = (f"grid://t/1/{number}",), (f"http://{host(number)}:8080/device",)
    return replace(Target(DeviceId(f"urn:uuid:{number}"), (DEVICE, METER), scopes, xaddrs, 3), **change)  # type: ignore[arg-type]


def host(number: int) -> str:
    return f"10.0.{number // 250}.{number % 250 + 1}"


def source(number: int = 1) -> Address:
    return Address.parse(f"soap.udp://{host(number)}:3702")


def app(number: int, instance: int = 100) -> AppSequence:
    return AppSequence(instance, number)


def hello(number: int = 1, sequence: int = 1, **change: object) -> Hello:
    return Hello(target(number, **change), app(sequence), f"urn:m:{number}:{sequence}")


def started(**config: object) -> DiscoveryProxy:
    one = DiscoveryProxy(OWN, instance_id=7, dice=Random(3), config=ProxyConfig(**config))  # type: ignore[arg-type]
    one.start(at(0))
    return one


def holding(*numbers: int, **config: object) -> DiscoveryProxy:
    one = started(**config)
    for number in numbers:
        assert one.hear(hello(number), source(number), at(0)) == [Found(target(number))]
    return one


def probed(one: DiscoveryProxy, probe: Probe) -> set[DeviceId]:
    answer = one.answer(probe, at(1))
    assert isinstance(answer, ProbeMatches)
    assert answer.relates_to == probe.message_id
    return {match.device for match in answer.matches}


def test_it_joins_asks_who_is_there_and_leaves() -> None:
    one = DiscoveryProxy(OWN, instance_id=7, dice=Random(3))
    effects = one.start(at(0))
    assert [effect.message for effect in effects if isinstance(effect, Multicast)] == [
        Probe(effects[1].message.message_id)  # type: ignore[union-attr]
    ]
    assert SetTimer(SweepDue(1), 15.0) in effects
    (due,) = (effect for effect in effects[:1] if isinstance(effect, SetTimer))
    (said,) = one.timer(due.timer, at(1))
    assert isinstance(said, Multicast)
    assert isinstance(said.message, Hello)
    assert DISCOVERY_PROXY in said.message.target.types
    (left,) = one.stop()
    assert isinstance(left, Multicast)
    assert isinstance(left.message, Bye)
    assert one.timer(SweepDue(1), at(15)) == [Dropped("stale timer")]
    with pytest.raises(LocalError):
        DiscoveryProxy(replace(OWN, types=(DEVICE,)), instance_id=7, dice=Random(3))


def test_it_answers_for_all_that_it_holds() -> None:
    one = holding(1, 2, 3)
    assert probed(one, Probe("urn:m:a", (METER,), ("grid://t/1",))) == {"urn:uuid:1", "urn:uuid:2", "urn:uuid:3"}
    assert probed(one, Probe("urn:m:b", (), ("grid://t/1/2",))) == {"urn:uuid:2"}
    assert probed(one, Probe("urn:m:c", (qname(GRID, "Appliance"),))) == set()
    assert probed(one, Probe("urn:m:d", (DISCOVERY_PROXY,))) == {ME}
    for device, found in ((target(2).device, target(2)), (ME, OWN), (DeviceId("urn:uuid:none"), None)):
        answer = one.answer(Resolve(device, "urn:m:e", generation=Generation.DRAFT), at(1))
        assert isinstance(answer, ResolveMatches)
        assert (answer.match, answer.generation) == (found, Generation.DRAFT)
    for wrong in (Probe("urn:m:f", match_by="urn:mine"), Probe("urn:m:g", reply_to="http://victim.example/")):
        with pytest.raises(RemoteError):
            one.answer(wrong, at(1))


def test_its_own_sequence_grows_with_each_answer() -> None:
    one = holding(1)
    numbers = [one.answer(Probe(f"urn:m:{n}"), at(1)).app for n in range(3)]
    assert [number.message_number for number in numbers] == [1, 2, 3]
    assert {number.instance_id for number in numbers} == {7}


def test_bye_and_news_are_judged_as_a_client_judges_them() -> None:
    one = holding(1, 2)
    assert one.hear(Bye(target(1).device, app(0), "urn:m:b"), source(1), at(1)) == [Dropped("stale")]
    assert one.hear(Bye(target(1).device, app(2), "urn:m:c"), source(1), at(1)) == [Lost(target(1).device)]
    assert one.hear(hello(2, 1, metadata_version=9), source(2), at(1)) == [Dropped("stale")]
    moved = target(2, scopes=("grid://t/2/2",), metadata_version=4)
    assert one.hear(Hello(moved, app(2), "urn:m:d"), source(2), at(1)) == [Found(moved)]
    assert probed(one, Probe("urn:m:e")) == {moved.device, ME}
    assert probed(one, Probe("urn:m:f", (), ("grid://t/1",))) == set()


def test_nobody_registers_or_moves_or_removes_somebody_else() -> None:
    one = holding(1)
    stranger = source(66)
    for message in (hello(2), Bye(target(1).device, app(9), "urn:m:b")):
        assert one.hear(message, stranger, at(1)) == [Dropped("not from an address that it names")]
    taken = target(1, xaddrs=(f"http://{host(66)}:8080/device",), metadata_version=9)
    asked = one.hear(Hello(taken, app(9), "urn:m:c"), stranger, at(1))
    assert asked == [Dropped("held at another address"), Check(target(1).device, Address.parse(target(1).xaddrs[0]))]
    assert one.registered == (target(1),)
    # It has moved indeed: where it was nobody answers any more.
    (again,) = one.checked(target(1).device, False, at(6))
    assert isinstance(again, Check)
    assert one.checked(target(1).device, False, at(11)) == [Lost(target(1).device), Found(taken)]
    assert one.registered == (taken,)


def test_one_that_still_answers_has_not_moved() -> None:
    one = holding(1)
    taken = target(1, xaddrs=(f"http://{host(66)}:8080/device",), metadata_version=9)
    one.hear(Hello(taken, app(9), "urn:m:c"), source(66), at(1))
    assert one.checked(target(1).device, True, at(2)) == []
    assert one.registered == (target(1),)
    # Should it fall silent later, the stranger's word is forgotten.
    (asked, _) = one.timer(SweepDue(1), at(200))
    assert isinstance(asked, Check)
    one.checked(target(1).device, False, at(205))
    assert one.checked(target(1).device, False, at(210)) == [Lost(target(1).device)]
    assert one.registered == ()


@pytest.mark.parametrize(
    ("xaddr", "from_host"),
    [
        ("http://[fd00::7]:8080/device", "fd00::7"),
        ("https://10.0.0.2:8443/device", "10.0.0.2"),
        ("http://10.0.0.2/device", "10.0.0.2"),
        ("http://[fe80::7]/device", "fe80::7%eth0"),
    ],
)
def test_an_address_is_named_however_it_is_written(xaddr: str, from_host: str) -> None:
    one = started()
    there = replace(source(), host=from_host)
    assert one.hear(hello(xaddrs=("http://10.9.9.9/", xaddr)), there, at(0)) == [
        Found(target(xaddrs=("http://10.9.9.9/", xaddr)))
    ]


def test_a_hello_without_addresses_is_resolved() -> None:
    """WSDAPI never says them in a Hello."""
    one = started()
    asked, _ = one.hear(hello(xaddrs=()), source(), at(0))
    assert isinstance(asked, Multicast)
    assert isinstance(asked.message, Resolve)
    assert probed(one, Probe("urn:m:a", (METER,))) == set()
    answer = ResolveMatches(target(), app(2), "urn:m:b", asked.message.message_id)
    assert one.hear(answer, source(66), at(1)) == [Dropped("not from an address that it names")]
    assert one.hear(answer, source(), at(1)) == [Found(target())]


def suppressed(effects: list[Effect]) -> Hello:
    (effect,) = effects
    assert isinstance(effect, Unicast)
    assert effect.to == ASKER
    assert isinstance(effect.message, Hello)
    return effect.message


@pytest.mark.parametrize("generation", Generation)
def test_who_asks_the_group_is_asked_to_ask_here(generation: Generation) -> None:
    one = started()
    for request in (
        Probe("urn:m:1", (METER,), generation=generation),
        Resolve(target().device, "urn:m:2", generation=generation),
    ):
        said = suppressed(one.receive(request, ASKER, at(1)))
        assert (said.target, said.relates_to, said.to) == (OWN, request.message_id, ANONYMOUS)
        assert said.generation is generation
        assert one.receive(request, ASKER, at(1)) == [Dropped("duplicate")]


def test_who_looks_for_a_proxy_is_answered_as_by_any_device() -> None:
    one = started()
    for request in (Probe("urn:m:1", (DISCOVERY_PROXY,)), Resolve(ME, "urn:m:2")):
        (due,) = one.receive(request, ASKER, at(1))
        assert isinstance(due, SetTimer)
        (said,) = one.timer(due.timer, at(2))
        assert isinstance(said, Unicast)
        assert isinstance(said.message, ProbeMatches | ResolveMatches)


def test_a_flood_with_forged_sources_draws_little() -> None:
    one = started(suppressions=3)
    effects = [one.receive(Probe(f"urn:m:{n}"), ASKER, at(1 + n / 100)) for n in range(10)]
    assert sum(isinstance(effect, Unicast) for (effect,) in effects) == 3
    assert effects[-1] == [Dropped("too many requests to suppress")]
    suppressed(one.receive(Probe("urn:m:99"), ASKER, at(2.5)))
    aimed = Probe("urn:m:98", reply_to="http://victim.example/")
    assert one.receive(aimed, ASKER, at(9)) == [Dropped("reply address not anonymous")]


def test_the_dead_leave_and_the_quiet_stay() -> None:
    one = holding(1, 2)
    checks = [effect for effect in one.timer(SweepDue(1), at(151)) if isinstance(effect, Check)]
    assert [check.device for check in checks] == [target(1).device, target(2).device]
    # Both are being asked.
    assert one.timer(SweepDue(1), at(152)) == [SetTimer(SweepDue(1), 15.0)]
    assert one.checked(target(1).device, True, at(153)) == []
    assert [type(effect) for effect in one.checked(target(2).device, False, at(156))] == [Check]
    assert one.checked(target(2).device, False, at(161)) == [Lost(target(2).device)]
    assert one.registered == (target(1),)
    assert one.checked(target(2).device, True, at(162)) == [Dropped("left meanwhile")]
    assert one.timer(SweepDue(1), at(167)) == [SetTimer(SweepDue(1), 15.0)]


def test_one_that_is_alive_at_any_of_its_addresses_stays() -> None:
    one = started()
    there = target(xaddrs=(f"http://{host(7)}:8080/gone", f"http://{host(1)}:8080/a", f"http://{host(1)}:8080/b"))
    one.hear(Hello(there, app(1), "urn:m:1"), source(), at(0))
    asked, _ = one.timer(SweepDue(1), at(151))
    assert asked == Check(there.device, there.http[0])
    assert one.checked(there.device, False, at(156)) == [Check(there.device, there.http[1])]
    assert one.checked(there.device, True, at(157)) == []
    assert one.registered == (there,)
    # It has left once none of them answers.
    one.timer(SweepDue(1), at(400))
    assert one.checked(there.device, False, at(405)) == [Check(there.device, there.http[1])]
    assert one.checked(there.device, False, at(410)) == [Check(there.device, there.http[2])]
    assert one.checked(there.device, False, at(415)) == [Lost(there.device)]


def test_one_that_cannot_be_asked_stays_for_its_lease() -> None:
    one = started()
    unasked = target(xaddrs=(f"https://{host(1)}:8443/device",))
    one.hear(Hello(unasked, app(1), "urn:m:1"), source(), at(0))
    assert one.timer(SweepDue(1), at(599)) == [SetTimer(SweepDue(1), 15.0)]
    assert one.timer(SweepDue(1), at(601)) == [Lost(unasked.device), SetTimer(SweepDue(1), 15.0)]


def test_no_more_than_a_few_are_asked_at_a_time() -> None:
    one = holding(*range(40), checks=5)
    assert sum(isinstance(effect, Check) for effect in one.timer(SweepDue(1), at(200))) == 5


def test_the_registry_is_bounded_and_no_host_fills_it() -> None:
    one = holding(*range(8), registered=8)
    one.hear(hello(8), source(8), at(1))
    assert len(one.registered) == 8
    assert target(0) not in one.registered
    crowd = started(registered=8, per_host=2)
    same = {"xaddrs": target(1).xaddrs}
    effects = [crowd.hear(hello(number, **same), source(1), at(0)) for number in range(10)]
    assert effects[3] == [Found(target(3, **same))]
    assert effects[4:] == [[Dropped("too many devices of one host")]] * 6
    assert crowd.hear(hello(77), source(77), at(1)) == [Found(target(77))]


def test_entries_without_addresses_lock_nobody_out() -> None:
    one = started(registered=16, per_host=4)
    for number in range(100, 140):
        one.hear(hello(number, xaddrs=()), source(number), at(0))
    # Who says nothing of addresses comes in still, in the place of another such one.
    one.hear(hello(1, xaddrs=()), source(1), at(1))
    assert target(1, xaddrs=()) in one.registered
    assert len(one.registered) < 16
    # And so does who names them, up to the share of his host.
    for number in range(2, 6):
        assert one.hear(hello(number), source(number), at(2)) == [Found(target(number))]
    answer = one.hear(hello(1, sequence=2), source(1), at(3))
    assert answer == [Found(target(1))]


@pytest.mark.parametrize("generation", Generation)
def test_an_answer_fits_an_envelope_and_the_next_one_names_others(generation: Generation) -> None:
    many = range(300)
    one = holding(*many)
    seen = set()
    for n in range(60):
        answer = one.answer(Probe(f"urn:m:{n}", (METER,), generation=generation), at(1))
        assert isinstance(answer, ProbeMatches)
        assert 20 < len(answer.matches) <= MAX_MATCHES
        assert len(encode(answer)) <= MAX_ENVELOPE
        seen |= {match.device for match in answer.matches}
    assert len(seen) == len(many)


def test_the_largest_descriptions_fit_too() -> None:
    one = started()
    scopes = tuple(f"grid://t/{'&' * 6}{number}" for number in range(32))
    for number in range(30):
        large = target(number, scopes=scopes)
        assert octets(large) > 1_000
        one.hear(Hello(large, app(1), f"urn:m:{number}"), source(number), at(0))
    answer = one.answer(Probe("x" * 256, (METER,)), at(1))
    assert isinstance(answer, ProbeMatches)
    assert MAX_ANSWER / 2 < len(encode(answer)) <= MAX_ENVELOPE


@pytest.mark.parametrize(
    "message",
    [
        ProbeMatches((target(),), app(1), "urn:m:1", "urn:nobody"),
        ResolveMatches(None, app(1), "urn:m:1", "urn:nobody"),
        Bye(DeviceId("urn:uuid:none"), app(1), "urn:m:1"),
    ],
)
def test_what_nobody_asked_for_changes_nothing(message: Message) -> None:
    one = started()
    (effect,) = one.hear(message, source(), at(0))
    assert isinstance(effect, Dropped)
    assert one.registered == ()


def test_a_datagram_is_answered_once() -> None:
    one = holding(1)
    probe = Probe("urn:m:1", (METER,))
    (answer,) = one.asked(probe, ASKER, at(1))
    assert isinstance(answer, Unicast)
    assert answer.to == ASKER
    assert one.asked(probe, ASKER, at(1)) == [Dropped("duplicate")]


def test_a_flood_of_datagrams_draws_little_and_http_is_answered() -> None:
    one = DiscoveryProxy(OWN, instance_id=7, dice=Random(3), discovery=DiscoveryConfig(answers=3))
    effects = [one.asked(Probe(f"urn:m:{n}"), ASKER, at(1)) for n in range(10)]
    assert sum(isinstance(effect, Unicast) for (effect,) in effects) == 3
    assert effects[-1] == [Dropped("too many requests by datagram")]
    assert probed(one, Probe("urn:m:10")) == {ME}


@pytest.mark.parametrize("bad", [{"registered": 0}, {"checks": 0}, {"sweep": 0.0}, {"lease": 0.0}])
def test_a_config_that_makes_no_sense(bad: dict[str, float]) -> None:
    with pytest.raises(LocalError):
        ProxyConfig(**bad)  # type: ignore[arg-type]


def test_one_that_moved_says_so_and_asks_its_new_links() -> None:
    one = DiscoveryProxy(OWN, instance_id=7, dice=Random(3))
    first = next(one_of.timer for one_of in one.start(at(0)) if isinstance(one_of, SetTimer))
    assert one.timer(first, at(3))
    there = ("http://10.0.9.10:8081/proxy",)
    effects = one.moved(there, at(4))
    assert [effect.message.__class__ for effect in effects if isinstance(effect, Multicast)] == [Probe]
    hello_due = next(effect.timer for effect in effects if isinstance(effect, SetTimer))
    (said,) = (effect.message for effect in one.timer(hello_due, at(7)) if isinstance(effect, Multicast))
    assert isinstance(said, Hello)
    assert (said.target.xaddrs, said.target.metadata_version) == (there, OWN.metadata_version + 1)
    # Links that come and go faster than a Probe ends are not asked each time.
    assert any(isinstance(effect, Dropped) for _ in range(20) for effect in one.moved(there, at(8)))
