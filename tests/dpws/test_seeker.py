"""The client side of discovery: what it asks, whom it believes, and when."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from gossip_ws.dpws.config import DiscoveryConfig
from gossip_ws.dpws.effects import Effect, Found, Lost, Multicast, ProbeEnded, Unicast
from gossip_ws.dpws.messages import (
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
from gossip_ws.dpws.seeker import ProbeOver, ProxySilent, ResolveOver, Seeker
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DEVICE, DISCOVERY_PROXY, GRID, DeviceId, qname

METER = qname(GRID, "SmartMeter")
SOURCE = Address.parse("soap.udp://127.0.0.9:3702")
STALE = [Dropped("stale")]


def at(seconds: float) -> Instant:
    return Instant(seconds, 1_700_000_000.0 + seconds)


def target(number: int = 1, **change: object) -> Target:
    device = DeviceId(f"urn:uuid:{number}")
    base = Target(device, (DEVICE, METER), (f"grid://city/ssc-3/sm-{number}",), (f"http://127.0.0.{number}/",), 5)
    return replace(base, **change)  # type: ignore[arg-type]


def app(number: int, instance: int = 100, sequence: str = "") -> AppSequence:
    return AppSequence(instance, number, sequence)


def seeker(**config: object) -> Seeker:
    return Seeker(dice=Random(1), config=DiscoveryConfig(**config))  # type: ignore[arg-type]


def hear(one: Seeker, message: Message, seconds: float = 0.0) -> list[Effect]:
    return one.receive(message, SOURCE, at(seconds))


def probe_of(effects: list[Effect]) -> Probe:
    asked = effects[0]
    assert isinstance(asked, Multicast | Unicast)
    assert isinstance(asked.message, Probe)
    return asked.message


def test_probe_collects_matches_until_match_timeout() -> None:
    one = seeker()
    effects = one.probe(at(0), types=(METER,), scopes=("grid://city/ssc-3",))
    probe = probe_of(effects)
    assert effects == [
        Multicast(Probe(probe.message_id, (METER,), ("grid://city/ssc-3",))),
        SetTimer(ProbeOver(probe.message_id), 10.0),
    ]
    for number in (1, 2):
        found = ProbeMatches((target(number),), app(1), f"urn:m:{number}", probe.message_id)
        assert hear(one, found, 1.0) == [Found(target(number))]
        # The datagram is repeated: same octets, same number.
        assert hear(one, found, 1.1) == STALE
    assert one.timer(ProbeOver(probe.message_id), at(10)) == [ProbeEnded(probe.message_id, (target(1), target(2)))]
    assert one.devices == (target(1), target(2))
    assert one.timer(ProbeOver(probe.message_id), at(10)) == [Dropped("stale timer")]
    late = ProbeMatches((target(3),), app(1), "urn:m:3", probe.message_id)
    assert hear(one, late, 10.1) == [Dropped("match of no open Probe")]


def test_an_answer_after_the_timeout_is_late_even_when_the_timer_is_too() -> None:
    one = seeker()
    probe = probe_of(one.probe(at(0)))
    late = ProbeMatches((target(),), app(1), "urn:m:1", probe.message_id)
    assert hear(one, late, 10.01) == [Dropped("match of no open Probe")]


def test_an_answer_to_nobodys_probe_or_that_does_not_match_is_dropped() -> None:
    one = seeker()
    probe = probe_of(one.probe(at(0), types=(METER,), scopes=("grid://city/ssc-3",)))
    unasked = ProbeMatches((target(),), app(1), "urn:m:1", "urn:elsewhere")
    assert hear(one, unasked) == [Dropped("match of no open Probe")]
    for wrong in (target(types=(DEVICE,)), target(scopes=("grid://city/ssc-4",))):
        match = ProbeMatches((wrong,), app(1), "urn:m:1", probe.message_id)
        assert hear(one, match) == [Dropped("match that does not match")]
    # Types and scopes are optional in a match.
    silent = target(types=(), scopes=())
    assert hear(one, ProbeMatches((silent,), app(1), "urn:m:1", probe.message_id)) == [Found(silent)]


def test_an_entry_without_addresses_is_resolved() -> None:
    one = seeker()
    probe = probe_of(one.probe(at(0)))
    bare = target(xaddrs=())
    effects = hear(one, ProbeMatches((bare,), app(1), "urn:m:1", probe.message_id), 1.0)
    asked = effects[0]
    assert isinstance(asked, Multicast)
    resolve = asked.message
    assert isinstance(resolve, Resolve)
    assert effects == [
        Multicast(Resolve(bare.device, resolve.message_id)),
        SetTimer(ResolveOver(resolve.message_id), 10.0),
    ]
    assert one.devices == ()
    # Asked again meanwhile: one Resolve is enough.
    assert hear(one, Hello(bare, app(2), "urn:m:2"), 1.5) == [Dropped("being resolved")]
    answer = ResolveMatches(target(types=(), scopes=()), app(3), "urn:m:3", resolve.message_id)
    # What the ResolveMatches leaves out, the ProbeMatches told.
    assert hear(one, answer, 2.0) == [Found(target())]
    assert hear(one, answer, 2.1) == [Dropped("match of no open Resolve")]
    assert one.timer(ResolveOver(resolve.message_id), at(11)) == [Dropped("stale timer")]
    assert one.timer(ProbeOver(probe.message_id), at(10)) == [ProbeEnded(probe.message_id, (target(),))]


def test_who_was_heard_in_the_draft_is_resolved_and_found_in_it() -> None:
    one = seeker()
    probe = probe_of(one.probe(at(0), generation=Generation.DRAFT))
    assert probe.generation is Generation.DRAFT
    bare = ProbeMatches((target(xaddrs=()),), app(1), "urn:m:1", probe.message_id, generation=Generation.DRAFT)
    asked = hear(one, bare)[0]
    assert isinstance(asked, Multicast)
    assert asked.message.generation is Generation.DRAFT
    answer = ResolveMatches(target(), app(2), "urn:m:2", asked.message.message_id, generation=Generation.DRAFT)
    assert hear(one, answer) == [Found(target(), Generation.DRAFT)]


def test_a_resolve_that_nobody_or_somebody_else_answers() -> None:
    one = seeker(resolves=1)
    effects = hear(one, Hello(target(xaddrs=()), app(1), "urn:m:1"))
    asked = effects[0]
    assert isinstance(asked, Multicast)
    other = ResolveMatches(target(2), app(1), "urn:m:2", asked.message.message_id)
    assert hear(one, other) == [Dropped("resolves nothing")]
    assert hear(one, replace(other, match=None)) == [Dropped("resolves nothing")]
    assert hear(one, Hello(target(3, xaddrs=()), app(1), "urn:m:3")) == [Dropped("too many Resolves open")]
    assert one.timer(ResolveOver(asked.message.message_id), at(10)) == [Dropped("not resolved")]
    assert one.devices == ()


def test_addresses_already_told_in_this_metadata_version_need_no_resolve() -> None:
    one = seeker()
    hear(one, Hello(target(), app(1), "urn:m:1"))
    assert hear(one, Hello(target(xaddrs=()), app(2), "urn:m:2")) == [Found(target())]
    changed = hear(one, Hello(target(xaddrs=(), metadata_version=6), app(3), "urn:m:3"))
    assert isinstance(changed[0], Multicast)


def test_hello_and_bye_update_what_is_known() -> None:
    one = seeker()
    assert hear(one, Bye(target().device, app(1), "urn:m:0")) == [Dropped("not known")]
    assert hear(one, Hello(target(), app(1), "urn:m:1")) == [Found(target())]
    moved = target(xaddrs=("http://127.0.0.99/",), metadata_version=6)
    assert hear(one, Hello(moved, app(2), "urn:m:2")) == [Found(moved)]
    bye = Bye(target().device, app(3), "urn:m:3")
    assert hear(one, bye) == [Lost(target().device)]
    assert hear(one, bye) == [Dropped("not known")]
    assert one.devices == ()
    # A copy of the Hello that was overtaken by the Bye does not revive the device.
    assert hear(one, Hello(moved, app(2), "urn:m:2")) == STALE
    assert hear(one, Hello(moved, app(4), "urn:m:4")) == [Found(moved)]


@pytest.mark.parametrize(
    ("sequence", "version", "stale"),
    [
        (app(10), 5, True),  # a copy
        (app(9), 5, True),  # overtaken
        (app(11), 5, False),
        (app(11), 4, True),  # lower MetadataVersion of the same run
        (app(11), 6, False),
        (app(1, instance=99), 6, True),  # a run before this one
        (app(1, instance=101), 5, False),  # restarted
        (app(1, instance=101), 4, False),  # restarted, versions start anew
        (app(1, sequence="urn:other"), 5, False),  # numbers of another sequence do not compare
    ],
)
def test_what_is_stale(sequence: AppSequence, version: int, stale: bool) -> None:
    one = seeker()
    hear(one, Hello(target(), app(10), "urn:m:1"))
    news = target(metadata_version=version)
    assert hear(one, Hello(news, sequence, "urn:m:2")) == (STALE if stale else [Found(news)])


def test_a_stale_bye_loses_nobody() -> None:
    one = seeker()
    hear(one, Hello(target(), app(10), "urn:m:1"))
    assert hear(one, Bye(target().device, app(9), "urn:m:2")) == STALE
    assert hear(one, Bye(target().device, app(1, instance=99), "urn:m:3")) == STALE
    assert one.devices == (target(),)


def test_a_forged_huge_instance_does_not_lock_a_device_out_for_ever() -> None:
    one = seeker(sequence_memory=60.0)
    hear(one, Hello(target(metadata_version=2**32 - 1), app(2**32 - 1, instance=2**32 - 1), "urn:m:1"), 0.0)
    honest = Hello(target(), app(1), "urn:m:2")
    assert hear(one, honest, 59.0) == STALE
    assert hear(one, honest, 61.0) == [Found(target())]


def test_the_sequence_of_a_proxy_says_nothing_of_the_devices() -> None:
    one = seeker()
    hear(one, Hello(target(1), app(500, instance=9000), "urn:m:1"))
    probe = probe_of(one.probe(at(0)))
    both = ProbeMatches((target(1), target(2)), app(1, instance=5), "urn:m:2", probe.message_id)
    assert hear(one, both) == [Found(target(1)), Found(target(2))]
    assert hear(one, Hello(target(1), app(499, instance=9000), "urn:m:3")) == STALE


def test_only_what_is_of_interest_is_followed() -> None:
    one = Seeker(dice=Random(1), own=target(9).device, types=(METER,), scopes=("grid://city/ssc-3",))
    assert hear(one, Hello(target(1), app(1), "urn:m:1")) == [Found(target(1))]
    assert hear(one, Hello(target(2, types=(DEVICE,)), app(1), "urn:m:2")) == [Dropped("not of interest")]
    assert hear(one, Hello(target(2, scopes=("grid://city/ssc-4",)), app(1), "urn:m:3")) == [Dropped("not of interest")]
    assert hear(one, Hello(target(9), app(1), "urn:m:4")) == [Dropped("own")]
    # A device that is known and moves away is still news.
    away = target(1, scopes=("grid://city/ssc-4",), metadata_version=6)
    assert hear(one, Hello(away, app(2), "urn:m:5")) == [Found(away)]


def test_the_memory_is_bounded_and_forgets_those_that_left_first() -> None:
    one = seeker(known=3)
    for number in (1, 2, 3):
        hear(one, Hello(target(number), app(1), f"urn:m:{number}"))
    hear(one, Bye(target(2).device, app(2), "urn:m:b"))
    hear(one, Hello(target(4), app(1), "urn:m:4"))
    assert one.devices == (target(1), target(3), target(4))
    hear(one, Hello(target(1), app(2), "urn:m:5"))
    hear(one, Hello(target(5), app(1), "urn:m:6"))
    assert one.devices == (target(4), target(1), target(5))
    assert not one.knows(target(3).device)


def test_a_directed_probe_and_the_limit_of_open_ones() -> None:
    one = seeker(probes=1)
    to = Address.parse("http://127.0.0.5:8080/device")
    effects = one.probe(at(0), to=to)
    probe = probe_of(effects)
    assert effects[0] == Unicast(Probe(probe.message_id), to)
    with pytest.raises(LocalError):
        one.probe(at(0))
    one.timer(ProbeOver(probe.message_id), at(10))
    one.probe(at(10))
    with pytest.raises(LocalError):
        one.probe(at(0), match_by="urn:mine")


def test_requests_are_not_for_a_seeker() -> None:
    assert hear(seeker(), Probe("urn:m:1")) == [Dropped("not for a seeker")]


# -- the discovery proxy

PROXY = Target(DeviceId("urn:uuid:dp"), (DISCOVERY_PROXY,), (), ("http://127.0.0.77:8081/proxy",))
AT_PROXY = Address.parse(PROXY.xaddrs[0])


def suppression(request: Message, number: int = 1) -> Hello:
    return Hello(PROXY, app(number), f"urn:m:s:{number}", "anonymous", request.message_id)


def switched() -> tuple[Seeker, Probe, Probe]:
    """A seeker, what it asked the group, and then the proxy."""
    one = seeker()
    probe = probe_of(one.probe(at(0), types=(METER,)))
    effects = hear(one, suppression(probe), 0.1)
    asked = probe_of(effects)
    assert effects == [Unicast(asked, AT_PROXY), SetTimer(ProxySilent(asked.message_id), 5.0)]
    assert replace(asked, message_id=probe.message_id) == probe
    assert asked.message_id != probe.message_id
    return one, probe, asked


def test_it_asks_the_proxy_that_suppresses_and_takes_its_answer_for_the_same_probe() -> None:
    one, probe, asked = switched()
    assert one.proxy == AT_PROXY
    # The sequence of a proxy is not the device's, however many it names.
    hear(one, ProbeMatches((target(1),), app(900, 9_000), "urn:m:1", asked.message_id), 0.2)
    assert hear(one, Hello(target(1), app(1), "urn:m:h"), 0.3) == [Found(target(1))]
    assert hear(one, ProbeMatches((target(2),), app(1), "urn:m:2", probe.message_id), 0.4) == [Found(target(2))]
    assert one.timer(ProxySilent(asked.message_id), at(5.1)) == [Dropped("stale timer")]
    assert one.timer(ProbeOver(probe.message_id), at(10)) == [ProbeEnded(probe.message_id, (target(1), target(2)))]
    late = ProbeMatches((target(3),), app(901, 9_000), "urn:m:3", asked.message_id)
    assert hear(one, late, 10.1) == [Dropped("match of no open Probe")]


def test_what_it_asks_next_goes_to_the_proxy_alone() -> None:
    one, _, _ = switched()
    effects = one.probe(at(1))
    assert [type(effect) for effect in effects] == [Unicast, SetTimer, SetTimer]
    assert isinstance(effects[0], Unicast)
    assert effects[0].to == AT_PROXY
    resolving = hear(one, Hello(target(4, xaddrs=()), app(1), "urn:m:4"), 1.0)
    assert isinstance(resolving[0], Unicast)
    assert isinstance(resolving[0].message, Resolve)
    answer = ResolveMatches(target(4), app(902, 9_000), "urn:m:5", resolving[0].message.message_id)
    assert hear(one, answer, 1.1) == [Found(target(4))]


def test_a_silent_proxy_sends_it_back_to_the_group() -> None:
    one, _, asked = switched()
    second = one.probe(at(1))
    assert one.timer(ProxySilent(asked.message_id), at(5.1)) == [
        # The first was asked of the group already; the second is now, under the id that was kept for it.
        Multicast(replace(probe_of(second), message_id=_over(second)))
    ]
    assert one.proxy is None
    assert one.timer(ProxySilent(probe_of(second).message_id), at(6)) == [Dropped("stale timer")]
    found = ProbeMatches((target(1),), app(1), "urn:m:1", _over(second))
    assert hear(one, found, 6.0) == [Found(target(1))]
    assert isinstance(one.probe(at(7))[0], Multicast)


def test_its_bye_sends_it_back_as_well() -> None:
    one, _, _ = switched()
    second = one.probe(at(1))
    assert one.knows(PROXY.device)
    assert hear(one, Bye(PROXY.device, app(2), "urn:m:b"), 2.0) == [
        Multicast(replace(probe_of(second), message_id=_over(second)))
    ]
    assert one.proxy is None
    assert not one.knows(PROXY.device)


def _over(effects: list[Effect]) -> str:
    (timer,) = (
        effect.timer for effect in effects if isinstance(effect, SetTimer) and isinstance(effect.timer, ProbeOver)
    )
    return timer.message_id


def test_a_proxy_it_was_told_of_is_asked_first_each_time() -> None:
    one = Seeker(dice=Random(1), proxy=AT_PROXY)
    for start in (0, 20):
        effects = one.probe(at(start))
        assert isinstance(effects[0], Unicast)
        fallback = one.timer(ProxySilent(probe_of(effects).message_id), at(start + 5))
        assert fallback == [Multicast(replace(probe_of(effects), message_id=_over(effects)))]
        one.timer(ProbeOver(_over(effects)), at(start + 10))


def test_only_a_proxy_that_knows_an_open_request_is_listened_to() -> None:
    one = seeker()
    probe = probe_of(one.probe(at(0)))
    unasked = [
        replace(suppression(probe), relates_to="urn:guessed"),
        replace(suppression(probe), target=replace(PROXY, types=(DEVICE,))),
    ]
    for message in unasked:
        assert hear(one, message) == [Dropped("suppresses nothing")]
    assert one.proxy is None
    hear(one, suppression(probe))
    other = replace(PROXY, device=DeviceId("urn:uuid:dp2"), xaddrs=("http://127.0.0.66/",))
    assert hear(one, replace(suppression(probe), target=other)) == [Dropped("own proxy in use")]
    assert one.proxy == AT_PROXY
    # One without an address of HTTP is asked where it is.
    another = seeker()
    effects = hear(another, replace(suppression(probe_of(another.probe(at(0)))), target=replace(PROXY, xaddrs=())))
    assert isinstance(effects[0], Unicast)
    assert effects[0].to == SOURCE


def test_requests_at_the_proxy_count_once() -> None:
    one = seeker(probes=2, resolves=1)
    hear(one, suppression(probe_of(one.probe(at(0)))))
    one.probe(at(0))
    with pytest.raises(LocalError):
        one.probe(at(0))
    resolving = hear(one, Hello(target(xaddrs=()), app(1), "urn:m:1"))
    assert isinstance(resolving[0], Unicast)
    assert hear(one, Hello(target(2, xaddrs=()), app(1), "urn:m:2")) == [Dropped("too many Resolves open")]
