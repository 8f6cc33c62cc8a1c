"""A device's event sources where no socket adds anything: what counts as taken, and what is gossiped for whom."""

from __future__ import annotations

import pytest
from bench import Bench, tariff

from gossip_ws.core.messages import Gossip
from gossip_ws.dpws.eventing import BY_GOSSIP, Ending, Granted, Reference, Subscribe
from gossip_ws.kernel.errors import LocalError, RemoteError, sender_fault
from gossip_ws.kernel.names import TARIFF, qname
from gossip_ws.ports import Frame
from gossip_ws.security.development import DevelopmentVerifier
from gossip_ws.wire.envelope import Addressing, build, message_id, parse
from gossip_ws.wire.eventing import (
    SUBSCRIBE,
    SUBSCRIPTION_END,
    UNSUBSCRIBE,
    addressed,
    read_subscribe_response,
    read_subscription_end,
    write_subscribe,
    write_unsubscribe,
)
from gossip_ws.wire.soap import fault_envelope

CHANGED = f"{TARIFF}:TariffChanged"
PUSH = Subscribe(Reference("http://10.0.0.9:80/sink"), Reference("http://10.0.0.9:80/end"), expires=600.0)
BODY = (
    tariff(1)
    .replace(b"SetTariff", b"TariffChanged")
    .replace(b"<t:tariff>", b"<t:device>urn:uuid:1</t:device><t:tariff>", 1)
)


def bench_with(*requests: Subscribe, path: str = "/Tariff", children: int = 1) -> Bench:
    bench = Bench(DevelopmentVerifier(), children=children)
    for request in requests:
        subscribe(bench, request, path)
    return bench


def subscribe(bench: Bench, request: Subscribe, path: str = "/Tariff") -> Granted:
    answer = bench.post(path, build(Addressing(SUBSCRIBE, message_id()), write_subscribe(request)))
    assert answer.status == 200, answer.body
    return read_subscribe_response(parse(answer.body).payload, 0.0)


def gossiped(bench: Bench) -> list[Gossip]:
    found = [bench.codec.decode(frame) for frame, _ in bench.network.sent]
    return [one for one in found if isinstance(one, Gossip)]


@pytest.mark.parametrize(
    ("reply", "counter"),
    [
        (b"", "events delivered"),
        (build(Addressing("urn:a"), b""), "events delivered"),
        (None, "events not taken"),
        (b"<html>Not Found</html>", "events not taken"),
        (fault_envelope(sender_fault("No", "no").fault), "events not taken"),
    ],
)
def test_an_event_is_taken_by_an_answer_that_is_no_fault(reply: Frame | None, counter: str) -> None:
    bench = bench_with(PUSH)
    bench.endpoint.notify(CHANGED, BODY)
    ((frame, to, done),) = bench.network.asked
    assert (str(to), parse(frame).addressing.action) == ("http://10.0.0.9:80/sink", CHANGED)
    done(reply)
    assert bench.endpoint.counters[counter] == 1
    bench.clock.turn(5.0)
    assert len(bench.network.asked) == (1 if counter == "events delivered" else 2)
    bench.endpoint.notify(CHANGED, BODY)
    ids = {parse(frame).addressing.message_id for frame, _, _ in bench.network.asked}
    assert len(ids) == (2 if counter == "events delivered" else 1)


def test_the_end_is_told_to_end_to_and_the_attempts_are_a_while_apart() -> None:
    bench = bench_with(PUSH)
    bench.endpoint.notify(CHANGED, BODY)
    for pause in (1.0, 2.0):
        bench.network.asked[-1][2](None)
        before = len(bench.network.asked)
        bench.clock.turn(pause - 0.1)
        assert len(bench.network.asked) == before
        bench.clock.turn(0.2)
        assert len(bench.network.asked) == before + 1
    ids = {parse(frame).addressing.message_id for frame, _, _ in bench.network.asked}
    assert len(ids) == 1, "one event, however often it is sent"
    bench.network.asked[-1][2](None)
    ((frame, to),) = bench.network.sent
    envelope = parse(frame)
    assert (str(to), envelope.addressing.action) == ("http://10.0.0.9:80/end", SUBSCRIPTION_END)
    assert read_subscription_end(envelope.payload).status == Ending.DELIVERY_FAILURE


def test_an_event_that_is_none_by_its_schema_goes_to_nobody() -> None:
    bench = bench_with(PUSH)
    with pytest.raises(RemoteError):
        bench.endpoint.notify(CHANGED, BODY.replace(b"winter", b""))
    for action in (f"{TARIFF}:SetTariff", "urn:nothing"):
        with pytest.raises(LocalError):
            bench.endpoint.notify(action, BODY)
    assert bench.network.asked == []


def test_one_gossip_for_all_who_want_it_so_and_none_when_they_are_gone() -> None:
    bench = bench_with(Subscribe(mode=BY_GOSSIP, scopes=("grid://t/1",)), children=3)
    other = subscribe(bench, Subscribe(mode=BY_GOSSIP, filter=(CHANGED,), scopes=("grid://t/1",)))
    bench.endpoint.notify(CHANGED, BODY)
    told = gossiped(bench)
    assert {one.content.action for one in told} == {CHANGED}
    assert {one.content.terms.scopes for one in told} == {("grid://t/1",)}
    assert len({one.content.id for one in told}) == 1
    assert bench.endpoint.counters["events gossiped"] == 1
    bench.clock.turn(3_601.0)  # the first has expired by then, and the second had asked for no more
    bench.network.sent.clear()
    bench.endpoint.notify(CHANGED, BODY)
    assert gossiped(bench) == []
    path = other.manager.address.partition("8080")[2]
    assert bench.post(path, addressed(UNSUBSCRIBE, other.manager, write_unsubscribe())).status == 400


def test_what_gossip_brings_is_told_at_the_shadow_and_only_there() -> None:
    bench = bench_with(PUSH)
    subscribe(bench, Subscribe(Reference("http://10.0.0.8:80/shadow"), expires=600.0), "/Tariff/gossip")
    publisher = bench_with(Subscribe(mode=BY_GOSSIP), children=1)
    publisher.endpoint.notify(CHANGED, BODY)
    (message,) = gossiped(publisher)
    for _ in range(2):  # a duplicate is no second event
        bench.datagram(bench.codec.encode(message))
    ((frame, to, _),) = bench.network.asked
    assert str(to) == "http://10.0.0.8:80/shadow"
    payload = parse(frame).payload
    assert payload is not None
    assert payload.findtext(qname(TARIFF, "device")) == "urn:uuid:1"


def test_what_a_service_gossips_to_everybody_its_own_subscribers_hear_too() -> None:
    bench = bench_with(PUSH, Subscribe(mode=BY_GOSSIP))
    bench.endpoint.originate(CHANGED, BODY)
    assert [str(to) for _, to, _ in bench.network.asked] == ["http://10.0.0.9:80/sink"]
    assert len({one.content.id for one in gossiped(bench)}) == 1


def test_a_device_that_goes_waits_for_those_it_tells_and_takes_nobody_on() -> None:
    bench = bench_with(PUSH, Subscribe(mode=BY_GOSSIP, end_to=Reference("http://10.0.0.7:80/end")))
    gone: list[bool] = []
    bench.endpoint.down(lambda: gone.append(True))
    ends = list(bench.network.asked)
    assert {str(to) for _, to, _ in ends} == {"http://10.0.0.9:80/end", "http://10.0.0.7:80/end"}
    late = bench.post("/Tariff", build(Addressing(SUBSCRIBE, message_id()), write_subscribe(PUSH)))
    assert (late.status, b"EventSourceUnableToProcess" in late.body) == (500, True)
    for _, _, done in ends:
        assert gone == []
        done(b"")
    assert gone == [True]
