import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid, moved

from gossip_ws.consensus.ability import Ability, Need, Storage
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


def pool(*devices):
    return Instance(LINE, tuple(Device(f"d{n}", 1, *device) for n, device in enumerate(devices)), 3)


def can_wait(*needs):
    return ((0, 0, 0), "", Ability(tuple(Need(*need) for need in needs)))


def stores(*numbers):
    return ((0, 0, 0), "", Ability((), Storage(*numbers)))


def test_a_need_that_can_wait_makes_room_for_one_that_cannot():
    fixed = ((-5, 0, 0),)
    assert matched(pool(((5, 5, 0),), fixed, can_wait((5, 5, 0, 2)))) == 10
    assert matched(pool(((5, 5, 0),), fixed, can_wait((5, 5, 0, 1)))) == 5
    assert matched(pool(((5, 5, 0),), fixed, can_wait((5, 3, 0, 2)))) == 8
    assert matched(pool(((5, 5, 9),), fixed, can_wait((5, 5, 0, 2), (1, 1, 2, 3)))) == 11


def test_storage_brings_a_surplus_to_a_later_need_and_never_to_an_earlier_one():
    assert matched(pool(((5, 0, 0),), ((0, 0, -5),), stores(9, 9, 9))) == 5
    assert matched(pool(((0, 0, 5),), ((-5, 0, 0),), stores(9, 9, 9))) == 0
    assert matched(pool(((0, 0, 5),), ((-5, 0, 0),), stores(9, 9, 9, 4))) == 4
    assert matched(pool(((5, 0, 0),), ((0, 0, -5),), stores(3, 9, 9))) == 3
    assert matched(pool(((5, 0, 0),), ((0, 0, -5),), stores(9, 2, 9))) == 2
    assert matched(pool(((5, 0, 0),), ((0, 0, -5),), stores(9, 9, 1))) == 1
    # Full twice: what comes out in the second period makes room for more.
    assert matched(pool(((3, 3, 0),), ((0, -3, -3),), stores(3, 9, 9))) == 6


@pytest.mark.parametrize("seed", range(12))
def test_the_optimum_is_that_of_a_linear_programme(seed):
    linprog = pytest.importorskip("scipy.optimize").linprog
    instance = moved(grid(10, seed, 5, watts=20), seed, 0.5, 0.3)
    columns, most = [], []

    def variable(worth, top):
        columns.append(-worth)
        most.append(top)
        return len(columns) - 1

    def row(terms):
        return [sum(sign for number, sign in terms if number == column) for column in range(len(columns))]

    balance = [[] for _ in range(instance.periods)]
    rows = []
    for device in instance.devices:
        for period, watts in enumerate(device.watts):
            balance[period].append((variable(int(watts < 0), abs(watts)), 1 if watts > 0 else -1))
        for need in device.ability.needs:
            taken = [variable(1, need.most) for _ in range(need.since, need.finish_by)]
            for period, number in enumerate(taken, need.since):
                balance[period].append((number, -1))
            rows.append(([(number, 1) for number in taken], need.energy))
        if (storage := device.ability.storage) is not None:
            level = []
            for period in range(instance.periods):
                charge, discharge = variable(0, storage.charge), variable(0, storage.discharge)
                balance[period] += [(charge, -1), (discharge, 1)]
                level += [(charge, 1), (discharge, -1)]
                rows.append((list(level), storage.capacity - storage.initial))
                rows.append(([(number, -sign) for number, sign in level], storage.initial))
    found = linprog(
        columns,
        A_ub=[row(terms) for terms, _ in rows] or None,
        b_ub=[top for _, top in rows] or None,
        A_eq=[row(terms) for terms in balance],
        b_eq=[0] * instance.periods,
        bounds=[(0, top) for top in most],
    )
    assert matched(instance) == pytest.approx(-found.fun)


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
