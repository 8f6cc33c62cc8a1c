"""One peer by itself: reports in, shifts out, and what it remembers."""

from __future__ import annotations

from random import Random

import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.candidates import MOST_ROUTES
from gossip_ws.routing.charges import CEILING
from gossip_ws.routing.cost import marginal
from gossip_ws.routing.kinds import Pattern, overlay
from gossip_ws.routing.owner import HASTE, Owner
from gossip_ws.routing.peer import MOST_MOVES, GradientReport, Peer, Shift
from gossip_ws.routing.pricing import rise

TRIANGLE = {(0, 1): 10.0, (0, 2): 10.0, (2, 1): 10.0}


def tell(peer: Peer, seq: int, at: float, **loads: float) -> None:
    for link, kb in TRIANGLE.items():
        peer.receive(GradientReport(link, seq, at, kb, loads.get(f"l{link[0]}{link[1]}", 0.0), 1))


def test_nobody_moves_to_where_nothing_was_heard_from() -> None:
    peer = Peer(0, TRIANGLE, {1: 9.0})
    peer.receive(GradientReport((0, 1), 1, 0, 10.0, 9.0, 1))
    assert peer.step(0) == ()
    assert peer.flows == {(0, 1): 9.0}


def test_flow_moves_until_both_paths_cost_the_same() -> None:
    peer = Peer(0, TRIANGLE, {1: 9.0})
    for now in range(40):
        loads = peer.loads
        for link, kb in TRIANGLE.items():
            peer.receive(GradientReport(link, now + 1, now, kb, loads.get(link, 0.0), 1 if link in loads else 0))
        moved = peer.step(now)
        assert all(shift.kb > 0 for shift in moved)
    direct, around = peer.flows[0, 1], peer.flows[0, 2, 1]
    assert direct + around == pytest.approx(9.0)
    assert 10 / (10 - direct) ** 2 == pytest.approx(2 * 10 / (10 - around) ** 2, rel=1e-4)
    assert peer.gap == pytest.approx(0.0, abs=1e-3)


def test_an_old_report_and_a_strange_link_are_not_heard() -> None:
    peer = Peer(0, TRIANGLE, {1: 9.0})
    fresh = GradientReport((0, 1), 5, 0, 10.0, 9.0, 1)
    assert peer.receive(fresh)
    assert not peer.receive(fresh)
    assert not peer.receive(GradientReport((0, 1), 4, 9, 10.0, 1.0, 1))
    assert not peer.receive(GradientReport((1, 0), 9, 9, 10.0, 1.0, 1))


def test_the_own_move_is_counted_once_before_and_after_a_report_tells_of_it() -> None:
    peer = Peer(0, TRIANGLE, {1: 9.0})
    tell(peer, 1, 0, l01=9.0)
    first = peer.step(0)
    assert isinstance(first[0], Shift)
    left = peer.loads[0, 1]
    gap = peer.gap
    # The same loads, measured later: they contain the move now, and nothing else has changed.
    tell(peer, 2, 1, l01=left, l02=9.0 - left, l21=9.0 - left)
    assert peer.gap == pytest.approx(gap)


def test_flow_leaves_a_link_that_has_failed() -> None:
    peer = Peer(0, TRIANGLE, {1: 5.0})
    tell(peer, 1, 0, l01=5.0)
    peer.receive(GradientReport((0, 1), 2, 1, 0.0, 5.0, 1))
    peer.step(1)
    assert peer.flows == {(0, 2, 1): pytest.approx(5.0)}


def test_an_owner_numbers_its_reports_and_asks_first_what_an_empty_link_costs() -> None:
    owner = Owner((0, 1), 10.0)
    assert owner.report(3, 4.5, 2) == GradientReport((0, 1), 1, 3, 10.0, 4.5, 2, 0.1)
    assert owner.report(4, 4.5, 2).seq == 2


@pytest.mark.parametrize("load", [0.0, 2.0, 8.0, 9.5])
def test_an_asked_price_comes_to_the_marginal_cost_of_a_load_that_stays(load: float) -> None:
    owner = Owner((0, 1), 10.0)
    prices = [owner.report(now, load, 2).price or 0.0 for now in range(600)]
    assert prices == sorted(prices)
    assert prices[-1] == pytest.approx(marginal(load, 10.0), rel=0.02)


def test_a_price_moves_by_the_time_that_has_passed_not_by_how_often_somebody_asks() -> None:
    often, seldom = Owner((0, 1), 10.0), Owner((0, 1), 10.0)
    for now in (0, 0, 0, 2, 2, 2):
        price = often.report(now, 8.0, 2).price
    assert [seldom.report(now, 8.0, 2).price for now in (0, 2)][-1] == price
    assert price is not None
    assert price > 0.1


def test_a_link_that_stays_overloaded_hastens_its_price() -> None:
    owner = Owner((0, 1), 10.0)
    prices = [owner.report(now, 10.5, 1).price or 0.0 for now in range(12)]
    for now in (1, 5, 11):
        calm = HASTE * rise(prices[now - 1], 10.5, 10.0, 1)
        assert prices[now] - prices[now - 1] == pytest.approx((1 + 0.1 * now) * calm)
    before = owner.report(12, 9.9, 1).price or 0.0
    after = owner.report(13, 10.5, 1).price or 0.0
    assert after - before == pytest.approx(1.1 * HASTE * rise(before, 10.5, 10.0, 1))


def test_a_link_that_has_failed_asks_nothing_and_goes_on_from_its_price_when_it_is_back() -> None:
    owner = Owner((0, 1), 10.0)
    for now in range(20):
        asked = owner.report(now, 9.0, 2).price
    owner.capacity = 0.0
    for now in range(20, 40):
        assert owner.report(now, 0.0, 0).price is None
    owner.capacity = 10.0
    back = [owner.report(now, 0.0, 0).price or 0.0 for now in range(40, 60)]
    assert asked is not None
    # Not as an empty link's, so not all come at once; but as nobody does, it falls.
    assert 0.5 * asked < back[0] < asked
    assert back == sorted(back, reverse=True)
    assert back[-1] == pytest.approx(0.1, rel=0.5)


def test_a_source_fills_no_link_above_its_ceiling_however_little_is_asked() -> None:
    peer = Peer(0, TRIANGLE, {1: 9.0})
    loads = {(0, 1): 9.0, (0, 2): 9.0, (2, 1): 0.0}
    for link, kb in TRIANGLE.items():
        # Of one link the report is old: prices count, not shares.
        at = 0 if link == (2, 1) else 1
        peer.receive(GradientReport(link, 1, at, kb, loads[link], 1, 9.0 if link == (0, 1) else 0.1))
    moved = peer.step(1)
    assert sum(shift.kb for shift in moved) == pytest.approx(0.7 / 2, rel=0.9)
    assert 9.0 + sum(shift.kb for shift in moved) <= CEILING * 10.0


def test_a_target_needs_a_path() -> None:
    with pytest.raises(LocalError):
        Peer(1, TRIANGLE, {0: 1.0})


def test_memory_is_bounded_whatever_is_reported() -> None:
    dice = Random(5)
    instance = overlay(12, Pattern.ALL_TO_ALL, dice)
    peer = Peer(0, instance.capacity, instance.demands[0])
    links = list(instance.capacity)
    for now in range(300):
        # Some links are never heard of again, so no report counts the own moves there.
        for link in links if now == 0 else links[: len(links) // 2]:
            load = dice.uniform(0, 1.2) * instance.capacity[link]
            peer.receive(GradientReport(link, now + 1, now, instance.capacity[link], load, dice.randrange(12)))
        peer.step(now)
    assert max(len(moves) for moves in peer._moves) <= MOST_MOVES
    assert max(len(one.routes) for one in peer._commodities) <= MOST_ROUTES
    assert sum(peer.flows.values()) == pytest.approx(sum(instance.demands[0].values()))
