"""Peers chosen by what the way to each costs: how it is measured, and that nobody is starved."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from builders import NOW, address, at, content, device, gossip, node, peer

from gossip_ws.core.choice import Choice
from gossip_ws.core.config import NodeConfig, PeerSelection
from gossip_ws.core.effects import MeasureWays, PullNews
from gossip_ws.core.messages import Ack, Digest, Gossip, Ping
from gossip_ws.core.peers import PeerTable, Role
from gossip_ws.core.prices import BY_CHANCE, FEWEST, LEAST_OF_ONE, LONGEST, OPEN, PATIENCE, TOLERATED, Prices
from gossip_ws.core.ring import Ring
from gossip_ws.kernel.effects import Send, SetTimer
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import DeviceId
from gossip_ws.kernel.terms import Budget, Tier

CHEAP, DEAR = TOLERATED / 5, 2.0
NOBODY = DeviceId("")


def pings(effects):
    return [one for one in effects if isinstance(one, Send) and isinstance(one.message, Ping)]


def table_of(*names: str) -> PeerTable:
    table = PeerTable(Role.SUBSTATION, 4096)
    for name in names:
        assert table.put(peer(name), 1e9, proven=True)
    return table


def prices_of(table: PeerTable, seed: int = 1) -> Prices:
    config = NodeConfig(device=device("ssc1"), role=Role.SUBSTATION, udp=address("ssc1"))
    return Prices(config, table, Random(seed))


class Clock:
    """Measures ways by the round trips that it is given, one after the other."""

    def __init__(self, prices: Prices, table: PeerTable) -> None:
        self.prices = prices
        self.time = 0.0
        self.names = {one.udp: one.device for one in table if one.udp is not None}

    def turn(self, trips: dict[DeviceId, float | None]) -> None:
        """Each peer once. None: no answer."""
        for _ in self.names:
            self.time += PATIENCE * 1.01
            _, ping = self.prices.round(at(self.time))
            (to,) = ping.to
            trip = trips[self.names[to]]
            if trip is not None:
                ack = Ack(self.names[to], ping.message.nonce)
                assert self.prices.acked(ack, to, at(self.time + trip)) is not None


def measured(count: int, dear: int, seed: int = 1) -> tuple[Prices, list, set[DeviceId]]:
    """Prices of so many peers, of which the first `dear` have been dear for some turns."""
    table = table_of(*(f"ssc{number}" for number in range(2, 2 + count)))
    prices = prices_of(table, seed)
    those = {device(f"ssc{number}") for number in range(2, 2 + dear)}
    clock = Clock(prices, table)
    for _ in range(4):
        clock.turn({one.device: DEAR if one.device in those else CHEAP for one in table})
    return prices, list(table), those


def test_by_chance_alone_nothing_is_measured():
    ssc = node("ssc1", peer("ssc2"))
    assert not any(isinstance(one, SetTimer) and isinstance(one.timer, MeasureWays) for one in ssc.start(NOW))
    assert ssc.timer(MeasureWays(), NOW) == []


def test_parents_and_equals_are_measured_in_turn_and_children_are_not():
    sm = node("sm1", peer("ssc1"), peer("sm2"), peer("sm3"), peer("ied1"), peer_selection=PeerSelection.GRADIENT)
    assert SetTimer in {type(one) for one in sm.start(NOW) if isinstance(getattr(one, "timer", None), MeasureWays)}
    for turn in range(2):
        asked = []
        for number in range(3):
            timer, ping = sm.timer(MeasureWays(), at(turn * 10 + number * 2.0))
            assert isinstance(timer.timer, MeasureWays)
            assert 1.6 <= timer.delay <= 2.4
            asked += ping.to
        assert sorted(asked) == sorted([address("ssc1"), address("sm2"), address("sm3")])


def test_a_device_alone_waits_for_others():
    prices = prices_of(table_of())
    (timer,) = prices.round(NOW)
    assert timer.timer == MeasureWays()


def test_the_price_is_the_square_of_the_round_trip_over_the_least():
    table = table_of("ssc2")
    prices, other = prices_of(table), device("ssc2")
    clock = Clock(prices, table)
    assert prices.price(other) is None
    clock.turn({other: 0.02})
    assert prices.price(other) == pytest.approx(0.02)
    clock.turn({other: 0.06})
    # Half way to it, and the least forgives a thirty-second part of the difference.
    assert prices.price(other) == pytest.approx(0.04**2 / (0.02 + 0.02 / 32))
    for _ in range(300):
        clock.turn({other: 0.06})
    assert prices.price(other) == pytest.approx(0.06, rel=0.01), "a way that is longer for good is not congested"


def test_a_lost_ping_makes_a_way_dearer_and_a_late_answer_counts():
    table = table_of("ssc2")
    prices, other = prices_of(table), device("ssc2")
    clock = Clock(prices, table)
    clock.turn({other: 0.02})
    _, lost = prices.round(at(10))
    prices.round(at(10.5))
    assert prices.price(other) == pytest.approx(0.02), "not yet"
    prices.round(at(11.1))
    assert prices.price(other) == pytest.approx(0.04**2 / 0.02)
    prices.round(at(11.3))
    assert prices.price(other) == pytest.approx(0.04**2 / 0.02), "it is lost once"
    assert prices.acked(Ack(other, lost.message.nonce), address("ssc2"), at(13.0)) == peer("ssc2")
    assert prices.price(other) > 1.52**2 / 0.07
    for _ in range(40):
        clock.time = max(clock.time, 20)
        clock.turn({other: None})
    assert prices.price(other) <= LONGEST**2 / 0.02


@pytest.mark.parametrize(("trip", "most"), [(0.0, 1e-3), (1e6, LONGEST)])
def test_a_round_trip_that_cannot_be_is_no_price(trip: float, most: float):
    """A clock that stands still between two readings, or an answer that is an hour late."""
    table = table_of("ssc2", "ssc3")
    prices, everybody = prices_of(table), list(table)
    for number in range(2):
        _, ping = prices.round(at(number))
        other = next(one for one in everybody if one.udp in ping.to)
        assert prices.acked(Ack(other.device, ping.message.nonce), other.udp, at(number + trip)) == other
    for one in everybody:
        price = prices.price(one.device)
        assert price is not None
        assert 0 < price <= most
        assert prices.weight(one.device) == 1.0
    assert prices.ease == 1.0


def test_only_who_was_asked_answers_and_once():
    table = table_of("ssc2", "ssc3")
    prices = prices_of(table)
    _, ping = prices.round(NOW)
    asked = next(one for one in table if one.udp in ping.to)
    other = next(one for one in table if one.udp not in ping.to)
    nonce = ping.message.nonce
    assert prices.acked(Ack(other.device, nonce), other.udp, at(0.1)) is None
    assert prices.acked(Ack(asked.device, nonce), other.udp, at(0.1)) is None
    assert prices.acked(Ack(asked.device, b"guessed"), asked.udp, at(0.1)) is None
    assert prices.acked(Ack(asked.device, nonce), asked.udp, at(0.1)) == asked
    assert prices.acked(Ack(asked.device, nonce), asked.udp, at(0.2)) is None


def test_an_answer_is_a_sign_of_life():
    ssc = node("ssc1", peer("ssc2"), peer_selection=PeerSelection.GRADIENT)
    _, ping = ssc.timer(MeasureWays(), NOW)
    ssc.peers.mark_down(device("ssc2"))
    ssc.receive(Ack(device("ssc2"), ping.message.nonce), address("ssc2"), at(0.1))
    assert not ssc.peers.is_down(device("ssc2"))


def test_what_is_remembered_is_bounded_by_the_table():
    table = table_of(*(f"ssc{number}" for number in range(2, 102)))
    prices = prices_of(table)
    for number in range(300):
        prices.round(at(number / 1000))
    assert len(prices._open) == OPEN
    assert len(prices._ways) == 100, "those that made room count as lost"
    for number in range(3, 102):
        table.forget(device(f"ssc{number}"))
    for number in range(300):
        prices.round(at(1 + number))
    assert set(prices._ways) == {device("ssc2")}


def test_the_dead_are_not_measured():
    table = table_of("ssc2", "ssc3")
    prices = prices_of(table)
    table.mark_down(device("ssc3"))
    assert {ping.to for number in range(6) for ping in pings(prices.round(at(number)))} == {(address("ssc2"),)}


def test_what_is_not_known_or_hardly_dearer_weighs_as_much_as_the_cheapest():
    prices, _, dear = measured(20, 5)
    weights = {prices.weight(device(f"ssc{number}")) for number in range(7, 22)}
    assert weights == {1.0}
    assert prices.weight(device("ssc99")) == 1.0
    assert max(prices.weight(one) for one in dear) < 1 / 16


@pytest.mark.parametrize("fanout", [1, FEWEST])
def test_of_a_small_fanout_nothing_is_spared(fanout: int):
    prices, everybody, _ = measured(20, 10)
    draws, without = 4000, everybody[-1].device
    counted = Counter(one.device for _ in range(draws) for one in prices.sample(everybody, fanout, without))
    assert len(counted) == 19
    assert sum(counted.values()) == fanout * draws
    assert min(counted.values()) > 0.7 * max(counted.values())


@pytest.mark.parametrize("fanout", [5, 14, 40])
def test_the_dear_get_the_copies_that_nobody_is_spared_and_no_others(fanout: int):
    """Two for those beside the device, one for anybody; the others by weight, and these are next to nothing."""
    prices, everybody, dear = measured(60, 20)
    draws, counted = 3000, Counter[DeviceId]()
    without = everybody[-1].device
    for _ in range(draws):
        chosen = prices.sample(everybody, fanout, without)
        assert len({one.device for one in chosen}) == len(chosen) <= fanout
        counted.update(one.device for one in chosen)
    assert set(counted) == {one.device for one in everybody[:-1]}
    always = {device for device, count in counted.items() if count == draws}
    beside = {one.device for one in Ring(device("ssc1")).beside(everybody)}
    assert beside == always or fanout == 40
    seldom = dear - beside
    weight = prices.weight(next(iter(dear)))
    by_chance = BY_CHANCE / (len(counted) - len(beside))
    for one in seldom:
        assert 0.6 * by_chance < counted[one] / draws < 1.4 * (by_chance + weight)
    if fanout < 40:
        assert sum(counted.values()) == fanout * draws
    else:
        # Every cheap one, and of the dear ones no more than those that are never spared.
        assert min(counted[one.device] for one in everybody[20:-1]) > 0.97 * draws
        assert sum(counted.values()) < 43 * draws


def test_where_few_are_cheap_a_message_still_goes_to_some():
    prices, everybody, _ = measured(8, 7)
    for _ in range(200):
        chosen = prices.sample(everybody, 6, NOBODY)
        assert FEWEST <= len(chosen) <= 6
        assert len({one.device for one in chosen}) == len(chosen)


def test_all_dear_are_all_alike():
    prices, everybody, _ = measured(30, 30)
    counted = Counter(one.device for _ in range(3000) for one in prices.sample(everybody, 10, NOBODY))
    for one in Ring(device("ssc1")).beside(everybody):
        assert counted.pop(one.device) == 3000
    assert len(counted) == 28
    assert min(counted.values()) > 0.78 * max(counted.values())
    assert prices.ease == 1.0, "they were never cheaper: this is how long things take here"


def test_whose_own_link_is_congested_sends_less_and_asks_more():
    table = table_of(*(f"ssc{number}" for number in range(2, 22)))
    prices, everybody = prices_of(table), list(table)
    clock = Clock(prices, table)
    assert prices.patience() == 1.0
    for seconds, copies in ((0.06, 12), (0.06, 12), (0.5, 4)):
        clock.turn({one.device: seconds for one in everybody})
        clock.turn({one.device: seconds for one in everybody})
        assert {len(prices.sample(everybody, 12, NOBODY)) for _ in range(20)} == {copies}
    assert len(prices.sample(everybody, 3, NOBODY)) == 3
    assert prices.patience() == LEAST_OF_ONE
    for _ in range(8):
        clock.turn({one.device: 0.06 for one in everybody})
    assert (prices.ease, prices.patience()) == (1.0, 1.0)
    assert len(prices.sample(everybody, 12, NOBODY)) == 12


def test_a_device_that_is_spared_asks_for_news_sooner():
    ssc = node("ssc1", *(peer(f"ssc{number}") for number in range(2, 6)), peer_selection=PeerSelection.GRADIENT)

    def waits() -> float:
        due = (one.delay for _ in range(60) for one in ssc.timer(PullNews(), at(time)) if isinstance(one, SetTimer))
        return max(due)

    time = 0.0
    for trip in (0.06, 0.9):
        for _ in range(16):
            time += PATIENCE * 1.01
            _, ping = ssc.timer(MeasureWays(), at(time))
            (to,) = ping.to
            other = next(one.device for one in ssc.peers if one.udp == to)
            ssc.receive(Ack(other, ping.message.nonce), to, at(time + trip))
        assert (waits() > 10) == (trip < 0.1)


def test_as_many_as_there_are_and_none_of_none():
    prices, everybody, _ = measured(4, 2)
    assert {one.device for one in prices.sample(everybody, 9, NOBODY)} == {one.device for one in everybody}
    assert prices.sample(everybody, 0, NOBODY) == []
    assert prices.sample((), 5, NOBODY) == []


def test_one_is_drawn_by_weight_too():
    prices, everybody, dear = measured(40, 20)
    counted = Counter(prices.one(everybody).device for _ in range(8000))
    assert len(counted) == 40
    share = sum(counted[one] for one in dear) / 8000
    assert share == pytest.approx(LEAST_OF_ONE / (1 + LEAST_OF_ONE), rel=0.15)
    assert prices.one(everybody[:1]) == everybody[0]


def test_who_can_give_the_same_is_asked_in_order_of_price():
    prices, _, _ = measured(6, 2)
    far, near, near_too = device("ssc2"), device("ssc5"), device("ssc6")
    assert prices.in_turn([far, near_too, near]) == [near_too, near, far]
    assert Choice(Random(1)).in_turn([far, near]) == [far, near]


def test_the_same_seed_chooses_the_same():
    def draws() -> list:
        prices, everybody, _ = measured(30, 10, seed=4)
        return [prices.sample(everybody, 6, NOBODY) for _ in range(50)]

    assert draws() == draws()


def test_a_node_passes_messages_and_digests_by_price():
    names = [f"ssc{number}" for number in range(2, 42)]
    ssc = node("ssc1", *map(peer, names), peer_selection=PeerSelection.GRADIENT, max_burst=1000)
    dear = {address(name) for name in names[:20]}
    time = 0.0
    for _ in range(4 * len(names)):
        time += PATIENCE * 1.01
        _, ping = ssc.timer(MeasureWays(), at(time))
        (to,) = ping.to
        name = next(name for name in names if address(name) == to)
        ack = Ack(device(name), ping.message.nonce)
        ssc.receive(ack, to, at(time + (DEAR if to in dear else CHEAP)))
    sent = Counter[bool]()
    wide = Budget(Tier.WAN, 12, 4)
    for number in range(200):
        what = content(f"news {number}", budgets=(wide,), issued=at(time).wall, expires=at(time + 60).wall)
        for one in ssc.receive(gossip("ssc41", what), address("ssc41"), at(time)):
            if isinstance(one, Send) and isinstance(one.message, Gossip):
                sent.update(to in dear for to in one.to)
    assert sum(sent.values()) == 200 * 12
    assert sent[True] < sent[False] / 2
    asked = Counter(
        one.to[0] in dear
        for _ in range(400)
        for one in ssc.ask_for_news(at(time))
        if isinstance(one, Send) and isinstance(one.message, Digest)
    )
    assert asked[True] < asked[False] / 2


def test_measurements_take_time():
    with pytest.raises(LocalError, match="take time"):
        NodeConfig(device=device("ssc1"), role=Role.SUBSTATION, udp=address("ssc1"), price_period=0.0)
