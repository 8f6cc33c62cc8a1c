"""One device as WS-Discovery sees it: an input, and the whole list of effects."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from gossip_ws.dpws.config import DiscoveryConfig
from gossip_ws.dpws.discovery import HelloDue, MatchDue, State, TargetService
from gossip_ws.dpws.effects import Effect, Multicast, Unicast
from gossip_ws.dpws.matching import STRCMP0
from gossip_ws.dpws.messages import (
    ADHOC,
    AppSequence,
    Bye,
    Generation,
    Hello,
    Probe,
    ProbeMatches,
    Resolve,
    ResolveMatches,
    Target,
)
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import ANONYMOUS, DEVICE, GRID, WSA, WSD, DeviceId, qname

METER = qname(GRID, "SmartMeter")
ME = DeviceId("urn:uuid:00000000-0000-4000-8000-000000000001")
TARGET = Target(ME, (DEVICE, METER), ("grid://city/ssc-3/sm-1",), ("http://127.0.0.5:8080/device",), 7)
SOURCE = Address.parse("soap.udp://127.0.0.9:49152")
NOW = Instant(100.0, 1_700_000_000.0)


def service(**config: object) -> TargetService:
    return TargetService(TARGET, instance_id=1000, dice=Random(1), config=DiscoveryConfig(**config))  # type: ignore[arg-type]


def joined(**config: object) -> TargetService:
    one = service(**config)
    (due,) = one.start()
    assert isinstance(due, SetTimer)
    one.timer(due.timer, NOW)
    return one


def only(effects: list[Effect]) -> Effect:
    (effect,) = effects
    return effect


def fire(one: TargetService, effects: list[Effect]) -> Effect:
    timer = only(effects)
    assert isinstance(timer, SetTimer)
    return only(one.timer(timer.timer, NOW))


def test_start_says_hello_after_a_random_delay_of_at_most_app_max_delay() -> None:
    delays = []
    for seed in range(200):
        effect = only(TargetService(TARGET, instance_id=1, dice=Random(seed)).start())
        assert isinstance(effect, SetTimer)
        delays.append(effect.delay)
    assert 0 <= min(delays) < 0.1
    assert 2.4 < max(delays) <= 2.5

    one = service()
    effect = only(one.start())
    assert isinstance(effect, SetTimer)
    assert effect.timer == HelloDue(ME, 1)
    hello = only(one.timer(effect.timer, NOW))
    assert isinstance(hello, Multicast)
    assert isinstance(hello.message, Hello)
    assert hello.message == Hello(TARGET, AppSequence(1000, 1), hello.message.message_id, ADHOC)
    assert hello.message.message_id.startswith("urn:uuid:")
    assert one.state is State.JOINED


def test_stop_says_bye_at_once_and_what_was_due_is_stale() -> None:
    one = joined()
    waiting = only(one.receive(Probe("urn:m:1"), SOURCE, NOW))
    bye = only(one.stop())
    assert isinstance(bye, Multicast)
    assert isinstance(bye.message, Bye)
    assert (bye.message.device, bye.message.app, bye.message.metadata_version) == (ME, AppSequence(1000, 2), 7)
    assert isinstance(waiting, SetTimer)
    assert one.timer(waiting.timer, NOW) == [Dropped("stale timer")]
    assert one.receive(Probe("urn:m:2"), SOURCE, NOW) == [Dropped("not started")]
    assert one.stop() == []


def test_it_rejoins_with_the_same_metadata_version() -> None:
    one = joined()
    one.stop()
    hello = fire(one, one.start())
    assert isinstance(hello, Multicast)
    assert isinstance(hello.message, Hello)
    assert hello.message.target == TARGET
    assert hello.message.app == AppSequence(1000, 3)
    with pytest.raises(LocalError):
        one.start()


def test_a_matching_multicast_probe_is_answered_to_its_source_after_a_delay() -> None:
    one = joined()
    probe = Probe("urn:m:1", (METER,), ("grid://CITY/ssc-3",))
    effect = only(one.receive(probe, SOURCE, NOW))
    assert isinstance(effect, SetTimer)
    assert effect.timer == MatchDue(ME, 1, probe, SOURCE)
    assert 0 <= effect.delay <= 2.5
    answer = only(one.timer(effect.timer, NOW))
    assert isinstance(answer, Unicast)
    assert answer.to == SOURCE
    assert isinstance(answer.message, ProbeMatches)
    assert answer.message == ProbeMatches(
        (TARGET,), AppSequence(1000, 2), answer.message.message_id, "urn:m:1", ANONYMOUS
    )


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Probe("urn:m:1", (qname(GRID, "Appliance"),)), "no match"),
        (Probe("urn:m:1", (), ("grid://city/SSC-3",)), "no match"),
        (Probe("urn:m:1", (), ("grid://city",), STRCMP0), "no match"),
        (Probe("urn:m:1", (), (), WSD + "/mine"), "matching rule not supported"),
        (Resolve(DeviceId("urn:uuid:other"), "urn:m:1"), "no match"),
        (Probe("urn:m:1", reply_to="http://victim.example/"), "reply address not anonymous"),
        (Bye(ME, AppSequence(1, 1), "urn:m:1"), "not for a target service"),
    ],
)
def test_silence_on_multicast(message: Probe | Resolve | Bye, reason: str) -> None:
    assert joined().receive(message, SOURCE, NOW) == [Dropped(reason)]


def test_a_copy_is_answered_once() -> None:
    one = joined(remembered=2)
    probe = Probe("urn:m:1")
    assert len(one.receive(probe, SOURCE, NOW)) == 1
    assert one.receive(probe, SOURCE, NOW) == [Dropped("duplicate")]
    one.receive(Probe("urn:m:2"), SOURCE, NOW)
    one.receive(Probe("urn:m:3"), SOURCE, NOW)
    # The memory holds two: the oldest is forgotten, no more.
    assert one.receive(Probe("urn:m:3"), SOURCE, NOW) == [Dropped("duplicate")]
    assert isinstance(only(one.receive(probe, SOURCE, NOW)), SetTimer)


def test_a_flood_of_probes_draws_a_bounded_number_of_answers() -> None:
    one = joined(pending=3)
    effects = [only(one.receive(Probe(f"urn:m:{n}"), SOURCE, NOW)) for n in range(10)]
    timers = [effect for effect in effects if isinstance(effect, SetTimer)]
    assert len(timers) == 3
    assert effects[3:] == [Dropped("too many answers waiting")] * 7
    one.timer(timers[0].timer, NOW)
    assert isinstance(only(one.receive(Probe("urn:m:99"), SOURCE, NOW)), SetTimer)


def test_resolve_is_answered_with_the_addresses() -> None:
    one = joined()
    answer = fire(one, one.receive(Resolve(ME, "urn:m:1"), SOURCE, NOW))
    assert isinstance(answer, Unicast)
    assert isinstance(answer.message, ResolveMatches)
    assert answer.message.match == TARGET
    assert answer.message.relates_to == "urn:m:1"


def test_directed_requests_are_answered_at_once_and_with_nothing_when_nothing_matches() -> None:
    one = joined()
    found = one.directed(Probe("urn:m:1", (METER,)), NOW)
    assert isinstance(found, ProbeMatches)
    assert found.matches == (TARGET,)
    missed = one.directed(Probe("urn:m:2", (qname(GRID, "Appliance"),)), NOW)
    assert isinstance(missed, ProbeMatches)
    assert missed.matches == ()
    assert (found.app.message_number, missed.app.message_number) == (2, 3)
    assert found.message_id != missed.message_id
    resolved = one.directed(Resolve(DeviceId("urn:uuid:other"), "urn:m:3"), NOW)
    assert isinstance(resolved, ResolveMatches)
    assert resolved.match is None


def test_directed_requests_that_earn_a_fault() -> None:
    with pytest.raises(RemoteError) as unsupported:
        joined().directed(Probe("urn:m:1", match_by="urn:mine"), NOW)
    assert unsupported.value.fault.subcode == qname(WSD, "MatchingRuleNotSupported")
    with pytest.raises(RemoteError) as elsewhere:
        joined().directed(Probe("urn:m:1", reply_to="http://victim.example/"), NOW)
    assert elsewhere.value.fault.subcode == qname(WSA, "InvalidAddressingHeader")


def test_changed_metadata_raises_the_version_and_says_hello_once() -> None:
    one = joined()
    due = one.metadata_changed(scopes=("grid://city/ssc-4/sm-1",))
    assert one.metadata_changed() == []
    hello = fire(one, due)
    assert isinstance(hello, Multicast)
    assert isinstance(hello.message, Hello)
    assert hello.message.target == replace(TARGET, scopes=("grid://city/ssc-4/sm-1",), metadata_version=9)
    assert one.receive(Probe("urn:m:1", (), ("grid://city/ssc-3",)), SOURCE, NOW) == [Dropped("no match")]


def test_hello_and_bye_in_each_generation_and_answers_in_the_one_asked() -> None:
    one = service(announce=(Generation.OASIS, Generation.DRAFT))
    (due,) = one.start()
    assert isinstance(due, SetTimer)
    said = [effect.message for effect in one.timer(due.timer, NOW) if isinstance(effect, Multicast)]
    said += [effect.message for effect in one.stop() if isinstance(effect, Multicast)]
    assert [type(message) for message in said] == [Hello, Hello, Bye, Bye]
    assert [message.generation for message in said] == [Generation.OASIS, Generation.DRAFT] * 2
    assert len({message.message_id for message in said}) == 4
    assert [message.app.message_number for message in said] == [1, 2, 3, 4]  # type: ignore[union-attr]
    for generation in Generation:
        for request in (Probe("urn:m:1", generation=generation), Resolve(ME, "urn:m:2", generation=generation)):
            assert one.directed(request, NOW).generation is generation
    for announce in ((), (Generation.DRAFT, Generation.DRAFT)):
        with pytest.raises(LocalError):
            DiscoveryConfig(announce=announce)


def test_a_proxy_is_told_what_the_group_is_told_and_told_again() -> None:
    proxy = Address.parse("http://127.0.0.77:8081/proxy")
    one = TargetService(TARGET, instance_id=1000, dice=Random(1), proxy=proxy)
    (due,) = one.start()
    assert isinstance(due, SetTimer)
    group, alone, again = one.timer(due.timer, NOW)
    assert isinstance(group, Multicast)
    assert isinstance(alone, Unicast)
    assert isinstance(alone.message, Hello)
    assert (alone.to, alone.message.to, alone.message.target) == (proxy, str(proxy), TARGET)
    assert isinstance(again, SetTimer)
    assert 90 <= again.delay <= 110
    # A change is told at once; the next time to tell it again stays as it was.
    (changed,) = one.metadata_changed(xaddrs=())
    assert isinstance(changed, SetTimer)
    assert [type(effect) for effect in one.timer(changed.timer, NOW)] == [Multicast, Unicast]
    assert [type(effect) for effect in one.timer(again.timer, NOW)] == [Unicast, SetTimer]
    group, alone = one.stop()
    assert isinstance(alone, Unicast)
    assert isinstance(alone.message, Bye)
    assert alone.message.app.message_number == 7
    assert one.timer(again.timer, NOW) == [Dropped("stale timer")]


def test_what_is_said_again_unchanged_is_no_change() -> None:
    one = joined()
    assert one.metadata_changed(types=TARGET.types, scopes=TARGET.scopes, xaddrs=TARGET.xaddrs) == []
    assert one.target == TARGET


def test_a_datagram_to_the_device_alone_is_answered_once() -> None:
    one = joined()
    probe = Probe("urn:m:1", (METER,))
    answer = only(one.asked(probe, SOURCE, NOW))
    assert isinstance(answer, Unicast)
    assert answer.to == SOURCE
    assert isinstance(answer.message, ProbeMatches)
    assert answer.message.relates_to == "urn:m:1"
    assert one.asked(probe, SOURCE, NOW) == [Dropped("duplicate")]


def test_a_flood_of_datagrams_to_the_device_alone_draws_a_bounded_number_of_answers() -> None:
    one = joined(answers=3)
    effects = [only(one.asked(Probe(f"urn:m:{n}", (METER,)), SOURCE, NOW)) for n in range(10)]
    assert [isinstance(effect, Unicast) for effect in effects] == [True] * 3 + [False] * 7
    assert effects[3:] == [Dropped("too many requests by datagram")] * 7
    # Over HTTP a source is not forged.
    assert one.directed(Probe("urn:m:10", (METER,)), NOW).relates_to == "urn:m:10"
    # What was dropped is no copy: asked again a third of a second later it is answered.
    assert isinstance(only(one.asked(Probe("urn:m:9", (METER,)), SOURCE, Instant(100.4, NOW.wall))), Unicast)


def test_metadata_that_changes_while_off_is_told_at_the_next_start() -> None:
    one = service()
    assert one.metadata_changed(xaddrs=()) == []
    hello = fire(one, one.start())
    assert isinstance(hello, Multicast)
    assert isinstance(hello.message, Hello)
    assert hello.message.target == replace(TARGET, xaddrs=(), metadata_version=8)


@pytest.mark.parametrize(
    "change",
    [
        {"types": (METER,)},
        {"scopes": ("no uri",)},
        {"scopes": ("relative",)},
        {"xaddrs": ("http://a b/",)},
        {"metadata_version": 2**32},
        {"scopes": tuple(f"grid://city/{n}" for n in range(33))},
        {"scopes": ("grid://city/" + "x" * 2800,)},
    ],
)
def test_a_device_that_must_not_describe_itself_so(change: dict[str, object]) -> None:
    with pytest.raises(LocalError):
        TargetService(replace(TARGET, **change), instance_id=1, dice=Random(1))  # type: ignore[arg-type]


def test_a_refused_change_changes_nothing() -> None:
    one = joined()
    with pytest.raises(LocalError):
        one.metadata_changed(types=(METER,))
    assert one.target == TARGET


def test_an_instance_id_is_32_bits_and_the_config_makes_sense() -> None:
    with pytest.raises(LocalError):
        TargetService(TARGET, instance_id=2**32, dice=Random(1))
    for bad in ({"match_timeout": 1.0}, {"pending": 0}, {"answers": 0}, {"sequence_memory": 1.0}):
        with pytest.raises(LocalError):
            DiscoveryConfig(**bad)  # type: ignore[arg-type]
