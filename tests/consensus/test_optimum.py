from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip_ws.consensus.instance import Device, Feeder, Flexible, Instance
from gossip_ws.consensus.log import Agreement
from gossip_ws.consensus.optimum import jain, largest_flow, least_transport, matched, transport, transport_ratio

LINE = Feeder((0, 0, 1, 2), (0, 10, 10, 10))
BUS = {"a": 0, "b": 1, "c": 2, "d": 3}


def trade(seller, buyer, *watts):
    return Agreement("x", seller, buyer, watts, 1, 0, 0.0)


def test_each_period_matches_what_is_given_or_what_is_needed_whichever_is_less():
    devices = (Device("a", 0, (5, 5, 0)), Device("b", 1, (-3, -9, -1)), Device("c", 2, (1, 0, 0)))
    assert matched(Instance(LINE, devices, 3)) == 3 + 5
    assert matched(Instance(LINE, devices, 3), among={"b", "c"}) == 1


def test_what_can_wait_makes_room_for_what_cannot():
    devices = (
        Device("pv", 0, (10, 10)),
        Device("early", 1, (0, 0), flexible=Flexible(10, 10, 0, 1)),
        Device("whenever", 2, (0, 0), flexible=Flexible(10, 10, 0, 2)),
    )
    assert matched(Instance(LINE, devices, 2)) == 20


window = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 3)).filter(
    lambda one: one[2] < one[3]
)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=3, max_size=3), st.lists(window, max_size=3))
def test_the_largest_flow_is_as_large_as_trying_everything_finds(left, windows):
    taken = largest_flow(left, windows)
    for row, (energy, watts, ready, finish_by) in zip(taken, windows, strict=True):
        assert sum(row) <= energy
        assert all(0 <= use <= (watts if ready <= period < finish_by else 0) for period, use in enumerate(row))
    assert all(sum(row[period] for row in taken) <= left[period] for period in range(3))
    # Hall's condition, all subsets of periods: what lies outside of a subset is the most that it lets through.
    cuts = (
        sum(left[p] for p in range(3) if inside[p])
        + sum(
            min(energy, watts * sum(not inside[p] for p in range(ready, finish_by)))
            for energy, watts, ready, finish_by in windows
        )
        for inside in product([False, True], repeat=3)
    )
    assert sum(map(sum, taken)) == min(cuts)


def test_pairs_that_cross_go_further_than_they_have_to():
    crossing = [trade("a", "d", 5), trade("c", "b", 5)]
    assert transport(LINE, BUS, crossing) == 5 * 30 + 5 * 10
    assert least_transport(LINE, BUS, crossing) == 5 * 10 + 5 * 10
    assert transport_ratio(LINE, BUS, crossing) == pytest.approx(2.0)
    assert transport_ratio(LINE, BUS, [trade("a", "b", 5), trade("c", "d", 5)]) == 1.0
    assert transport_ratio(LINE, BUS, []) == 1.0


def test_periods_do_not_cancel_one_another():
    assert least_transport(LINE, BUS, [trade("a", "b", 5, 0), trade("b", "a", 0, 5)]) == 100


def test_fairness_is_one_for_equals_and_one_of_n_for_a_winner():
    assert jain([2, 2, 2]) == 1.0
    assert jain([1, 0, 0, 0]) == 0.25
    assert jain([]) == jain([0, 0]) == 1.0
