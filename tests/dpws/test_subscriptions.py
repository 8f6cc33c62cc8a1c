"""Subscriptions at a device's event sources: an input, and the whole list of effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from gossip_ws.dpws.eventing import ACTIONS, BY_GOSSIP, PUSH, Ending, Granted, Reference, Subscribe
from gossip_ws.dpws.subscriptions import (
    Deliver,
    DeliverAgain,
    Effect,
    End,
    EventingConfig,
    Offer,
    Spread,
    SubscriptionManager,
    SweepDue,
)
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import FaultCode, LocalError, RemoteError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DPWS, WSA, WSE

CHANGED, ALARM = "http://city.example/tariff/Changed", "http://city.example/tariff/Alarm"
OFFER = Offer("/Tariff", (CHANGED, ALARM), gossips=True)
SINK = Reference("http://127.0.0.9:4000/sink", (b"<p:Room xmlns:p='urn:p'>7</p:Room>",))
END_TO = Reference("http://127.0.0.9:4000/end")
WANTED = Subscribe(notify_to=SINK, end_to=END_TO, expires=60.0, filter=(CHANGED,))
NUMBERS = count()


def at(seconds: float) -> Instant:
    return Instant(100.0 + seconds, 1_800_000_000.0 + seconds)


def subscribe(
    manager: SubscriptionManager, request: Subscribe = WANTED, *, id: str = "", host: str = "h", now: float = 0.0
) -> tuple[Granted, list[Effect]]:
    id = id or f"s{next(NUMBERS)}"
    return manager.subscribe(OFFER, request, id=id, manager=f"http://d/{id}", host=host, now=at(now))


def refused(call: Callable[[], object]) -> tuple[FaultCode, str]:
    with pytest.raises(RemoteError) as caught:
        call()
    return caught.value.fault.code, caught.value.fault.subcode


def test_what_is_asked_for_is_granted_and_the_first_subscription_starts_the_sweep() -> None:
    manager = SubscriptionManager()
    granted, effects = subscribe(manager, id="a")
    assert granted == Granted(Reference("http://d/a"), 60.0)
    assert effects == [SetTimer(SweepDue(), 10.0)]
    assert subscribe(manager)[1] == []


def test_who_asks_for_no_time_gets_an_hour_and_nobody_more_than_a_week() -> None:
    manager = SubscriptionManager()
    assert subscribe(manager, replace(WANTED, expires=None))[0].expires == 3_600.0
    granted, _ = subscribe(manager, replace(WANTED, expires=1e9), id="long")
    assert granted.expires == 604_800.0
    assert manager.renew("long", None, at(1)) == 3_600.0


def test_an_event_goes_to_each_that_wants_it_and_waits_behind_the_one_on_its_way() -> None:
    manager = SubscriptionManager()
    subscribe(manager, id="a")
    subscribe(manager, replace(WANTED, filter=None), id="b")
    assert manager.fire("/Tariff", CHANGED, b"1", at(1)) == [
        Deliver("a", 1, SINK, CHANGED, b"1"),
        Deliver("b", 1, SINK, CHANGED, b"1"),
    ]
    # Only b wants it, and still has the first one on its way.
    assert manager.fire("/Tariff", ALARM, b"2", at(1)) == []
    assert manager.delivered("a", True, at(1)) == []
    assert manager.delivered("b", True, at(1)) == [Deliver("b", 2, SINK, ALARM, b"2")]
    assert manager.delivered("b", True, at(1)) == []
    assert manager.delivered("b", True, at(1)) == [Dropped("delivery of a subscription that has ended")]
    assert manager.fire("/Metering", CHANGED, b"3", at(1)) == [], "of another event source"


@pytest.mark.parametrize(
    ("filter", "matched"),
    [
        (None, {CHANGED, ALARM}),
        ((CHANGED,), {CHANGED}),
        (("http://CITY.example/tariff",), {CHANGED, ALARM}),
        (("urn:else", ALARM), {ALARM}),
        (("http://city.example/tar",), None),
        (("http://city.example/tariff/changed",), None),
        ((CHANGED + "/more",), None),
        ((), None),
    ],
)
def test_a_filter_compares_segment_by_segment(filter: tuple[str, ...] | None, matched: set[str] | None) -> None:
    request = replace(WANTED, filter=filter)
    if matched is None:
        assert refused(lambda: OFFER.matching(request)) == (FaultCode.SENDER, f"{{{DPWS}}}FilterActionNotSupported")
    else:
        assert OFFER.matching(request) == matched


def test_after_its_time_a_subscription_is_told_nothing_and_then_forgotten() -> None:
    manager = SubscriptionManager()
    subscribe(manager, id="a")
    assert manager.status("a", at(20)) == 40.0
    assert manager.renew("a", 30.0, at(40)) == 30.0
    assert len(manager.fire("/Tariff", CHANGED, b"1", at(69))) == 1
    assert manager.fire("/Tariff", CHANGED, b"2", at(70)) == []
    assert manager.timer(SweepDue(), at(69)) == [SetTimer(SweepDue(), 10.0)]
    assert len(manager) == 1
    assert manager.timer(SweepDue(), at(80)) == []
    assert len(manager) == 0
    assert subscribe(manager)[1] == [SetTimer(SweepDue(), 10.0)], "the sweep starts anew"


def test_what_there_is_not_is_neither_renewed_nor_asked_about_nor_ended() -> None:
    manager = SubscriptionManager()
    subscribe(manager, id="a")
    subscribe(manager, id="b")
    manager.unsubscribe("a", at(1))
    for id, now in (("a", 1), ("never", 1), ("b", 61)):
        assert refused(lambda id=id, now=now: manager.renew(id, 9.0, at(now))) == (  # type: ignore[misc]
            FaultCode.RECEIVER,
            f"{{{WSE}}}UnableToRenew",
        )
        for call in (manager.status, manager.unsubscribe):
            assert refused(lambda call=call, id=id, now=now: call(id, at(now))) == (  # type: ignore[misc]
                FaultCode.SENDER,
                f"{{{WSE}}}InvalidMessage",
            )
    assert manager.fire("/Tariff", CHANGED, b"1", at(1)) == []


@pytest.mark.parametrize("expires", [0.0, -5.0])
def test_a_time_that_is_over_is_refused(expires: float) -> None:
    manager = SubscriptionManager()
    subcode = f"{{{WSE}}}InvalidExpirationTime"
    assert refused(lambda: subscribe(manager, replace(WANTED, expires=expires))) == (FaultCode.SENDER, subcode)
    subscribe(manager, id="a")
    assert refused(lambda: manager.renew("a", expires, at(1))) == (FaultCode.SENDER, subcode)
    assert manager.status("a", at(1)) == 59.0


@pytest.mark.parametrize("address", ["https://h/", "urn:uuid:1", f"{WSA}/anonymous", "soap.udp://h:1/", "http://"])
@pytest.mark.parametrize("which", ["notify_to", "end_to"])
def test_an_address_that_no_event_can_be_sent_to_is_refused(which: str, address: str) -> None:
    manager = SubscriptionManager()
    request = replace(WANTED, **{which: Reference(address)})
    assert refused(lambda: subscribe(manager, request)) == (FaultCode.SENDER, f"{{{WSA}}}DestinationUnreachable")
    assert len(manager) == 0


def test_another_mode_is_refused_with_the_one_that_there_is() -> None:
    manager = SubscriptionManager()
    for offer, mode in ((OFFER, "urn:other"), (replace(OFFER, gossips=False), BY_GOSSIP)):
        request = replace(WANTED, mode=mode)
        with pytest.raises(RemoteError) as caught:
            manager.subscribe(offer, request, id="a", manager="", host="h", now=at(0))
        assert caught.value.fault.subcode == f"{{{WSE}}}DeliveryModeRequestedUnavailable"
        assert PUSH.encode() in caught.value.fault.detail
    assert refused(lambda: subscribe(manager, replace(WANTED, notify_to=None)))[1] == f"{{{WSE}}}InvalidMessage"
    assert ACTIONS.startswith(DPWS)


def test_quotas_hold_for_a_host_and_for_all_and_the_expired_make_room() -> None:
    manager = SubscriptionManager(EventingConfig(subscriptions=3, per_host=2))
    full = (FaultCode.RECEIVER, f"{{{WSE}}}EventSourceUnableToProcess")
    subscribe(manager, host="one", id="a")
    subscribe(manager, host="one")
    assert refused(lambda: subscribe(manager, host="one")) == full
    subscribe(manager, host="two")
    assert refused(lambda: subscribe(manager, host="three")) == full
    # Those by gossip are counted by themselves: they cost no queue.
    subscribe(manager, Subscribe(mode=BY_GOSSIP), host="one")
    manager.unsubscribe("a", at(1))
    subscribe(manager, host="one", now=1)
    assert refused(lambda: subscribe(manager, host="four", now=59)) == full
    subscribe(manager, host="four", now=60)


def test_a_dead_sink_is_tried_three_times_and_its_subscription_ends() -> None:
    manager = SubscriptionManager()
    subscribe(manager, id="a")
    (first,) = manager.fire("/Tariff", CHANGED, b"1", at(0))
    manager.fire("/Tariff", CHANGED, b"2", at(0))
    assert manager.delivered("a", False, at(1)) == [SetTimer(DeliverAgain("a"), 1.0)]
    assert manager.fire("/Tariff", CHANGED, b"3", at(1)) == [], "it waits"
    assert manager.timer(DeliverAgain("a"), at(2)) == [first]
    assert manager.delivered("a", False, at(3)) == [SetTimer(DeliverAgain("a"), 2.0)]
    assert manager.timer(DeliverAgain("a"), at(5)) == [first]
    assert manager.delivered("a", False, at(6)) == [
        End(END_TO, "http://d/a", Ending.DELIVERY_FAILURE, "not taken 3 times")
    ]
    assert len(manager) == 0
    assert manager.timer(DeliverAgain("a"), at(7)) == [Dropped("stale timer")]


def test_a_sink_that_takes_an_event_after_all_starts_with_a_clean_slate() -> None:
    manager = SubscriptionManager()
    subscribe(manager, id="a")
    manager.fire("/Tariff", CHANGED, b"1", at(0))
    for _ in range(2):
        manager.delivered("a", False, at(1))
        manager.timer(DeliverAgain("a"), at(2))
    assert manager.delivered("a", True, at(3)) == []
    manager.fire("/Tariff", CHANGED, b"2", at(4))
    assert manager.delivered("a", False, at(5)) == [SetTimer(DeliverAgain("a"), 1.0)]


def test_a_slow_sink_fills_its_own_queue_and_loses_its_own_subscription() -> None:
    manager = SubscriptionManager(EventingConfig(queue=3))
    subscribe(manager, id="slow")
    subscribe(manager, replace(WANTED, end_to=None), id="quick")
    for number in range(4):
        effects = manager.fire("/Tariff", CHANGED, b"%d" % number, at(number))
        assert Deliver("quick", number + 1, SINK, CHANGED, b"%d" % number) in effects
        assert manager.delivered("quick", True, at(number)) == []
    assert effects[0] == End(END_TO, "http://d/slow", Ending.DELIVERY_FAILURE, "events come faster than they are taken")
    assert len(manager) == 1


def test_events_for_those_who_want_them_by_gossip_are_spread_once() -> None:
    manager = SubscriptionManager(EventingConfig(per_host=1_000))
    for number in range(1_000):
        subscribe(manager, Subscribe(mode=BY_GOSSIP, filter=(CHANGED,), scopes=(f"grid://c/{number % 3}",)))
    subscribe(manager, id="push")
    assert manager.fire("/Tariff", CHANGED, b"1", at(1)) == [
        Deliver("push", 1, SINK, CHANGED, b"1"),
        Spread(CHANGED, b"1", ("grid://c/0", "grid://c/1", "grid://c/2")),
    ]
    assert manager.fire("/Tariff", ALARM, b"1", at(1)) == []


@pytest.mark.parametrize("areas", [[(f"grid://c/{n}",) for n in range(9)], [("grid://c/1",), ()]])
def test_more_scopes_than_a_message_names_or_none_at_all_mean_everywhere(areas: list[tuple[str, ...]]) -> None:
    manager = SubscriptionManager()
    for scopes in areas:
        subscribe(manager, Subscribe(mode=BY_GOSSIP, scopes=scopes))
    assert manager.fire("/Tariff", CHANGED, b"1", at(1)) == [Spread(CHANGED, b"1", ())]


def test_a_device_that_goes_says_so_to_whoever_asked_for_it() -> None:
    manager = SubscriptionManager()
    subscribe(manager, id="a")
    subscribe(manager, replace(WANTED, end_to=None))
    subscribe(manager, Subscribe(mode=BY_GOSSIP, end_to=END_TO), id="g")
    status = Ending.SOURCE_SHUTTING_DOWN
    assert manager.close() == [
        End(END_TO, f"http://d/{id}", status, "the device is shutting down") for id in ("a", "g")
    ]
    assert manager.close() == []
    assert refused(lambda: subscribe(manager)) == (FaultCode.RECEIVER, f"{{{WSE}}}EventSourceUnableToProcess")
    assert manager.fire("/Tariff", CHANGED, b"1", at(1)) == []


def test_a_configuration_that_makes_no_sense_is_refused() -> None:
    for wrong in ({"queue": 0}, {"retry": 0.0}, {"default_expires": 9e9}):
        with pytest.raises(LocalError):
            EventingConfig(**wrong)  # type: ignore[arg-type]
