import pytest

from gossip_ws.consensus.instance import Device, Feeder, Instance
from gossip_ws.consensus.log import Agreement
from gossip_ws.consensus.optimum import jain, least_transport, matched, transport, transport_ratio

LINE = Feeder((0, 0, 1, 2), (0, 10, 10, 10))
BUS = {"a": 0, "b": 1, "c": 2, "d": 3}


def trade(seller, buyer, *watts):
    return Agreement("x", seller, buyer, watts, 1, 0, 0.0)


def test_each_period_matches_what_is_given_or_what_is_needed_whichever_is_less():
    devices = (Device("a", 0, (5, 5, 0)), Device("b", 1, (-3, -9, -1)), Device("c", 2, (1, 0, 0)))
    assert matched(Instance(LINE, devices, 3)) == 3 + 5
    assert matched(Instance(LINE, devices, 3), among={"b", "c"}) == 1


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
