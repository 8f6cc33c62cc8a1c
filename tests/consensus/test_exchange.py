"""What areas exchange with the grid, against sums made by hand, and against identities of whole simulated grids."""

import sys
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid

from gossip_ws.consensus.checker import left_over
from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.exchange import Exchange, exchanges
from gossip_ws.consensus.log import Kind, Record
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.run import Run
from gossip_ws.consensus.vector import minus, plus, total

AREAS = {"pv": "north", "car": "north", "heat": "south"}


def offered(device, *offers, day=0):
    return tuple(Record(device, number, 0.0, Kind.OFFERED, day=day, watts=watts) for number, watts in enumerate(offers))


def sold(log, peer, *watts, day=0):
    made = Record(log[0].device, len(log), 1.0, Kind.COMMITTED, day=day, agreement=f"{peer}", peer=peer, watts=watts)
    return (*log, made)


def test_trades_within_an_area_and_between_areas_are_told_apart():
    pv = sold(sold(offered("pv", (10, 0)), "car", 4, 0), "heat", 5, 0)
    found = exchanges({"pv": pv, "car": offered("car", (-4, -2)), "heat": offered("heat", (-9, 0))}, AREAS, 0)
    assert found == {
        "north": Exchange((10, 0), (4, 2), (4, 0), (5, 0), (0, 0), (1, 0), (0, 2)),
        "south": Exchange((0, 0), (9, 0), (0, 0), (0, 0), (5, 0), (0, 0), (4, 0)),
    }


def test_another_day_is_another_sum():
    pv = sold(offered("pv", (10,)), "car", 4)
    car = offered("car", (-4,))
    later = (*pv, Record("pv", len(pv), 2.0, Kind.OFFERED, day=1, watts=(3,)))
    assert exchanges({"pv": later, "car": car}, AREAS, 1) == {
        "north": Exchange((3,), (0,), (0,), (0,), (0,), (3,), (0,))
    }
    assert exchanges({"pv": later, "car": car}, AREAS, 0)["north"].left_given == (6,)


def test_who_offers_less_than_it_has_promised_has_nothing_left():
    log = sold(offered("pv", (10,)), "car", 8)
    less = (*log, Record("pv", len(log), 2.0, Kind.OFFERED, watts=(5,)))
    found = exchanges({"pv": less, "car": offered("car", (-8,))}, AREAS, 0)["north"]
    assert (found.given, found.within, found.left_given) == ((5,), (8,), (0,))


@pytest.mark.parametrize("seed", range(3))
def test_of_a_whole_grid_the_sums_are_those_of_the_checker(seed):
    instance = grid(96, seed, 3, area=24)
    hierarchy = build(instance)
    trace = Run(instance, hierarchy, Conditions(loss=0.1), Random(seed)).run()
    assert trace.settled
    areas = {device.id: device.area for device in instance.devices}
    found = exchanges(trace.logs, areas, 0)
    assert list(found) == list(dict.fromkeys(areas.values()))
    for one in found.values():
        # Nothing that is agreed changes what an area gives and needs in all.
        assert minus(plus(one.left_given, one.sold), plus(one.left_needed, one.bought)) == minus(one.given, one.needed)
        assert one.left_given == minus(one.given, plus(one.within, one.sold))
        assert one.left_needed == minus(one.needed, plus(one.within, one.bought))
    everything = list(found.values())
    assert total((one.sold for one in everything), 3) == total((one.bought for one in everything), 3)
    assert sum(sum(one.within) + sum(one.sold) for one in everything) == matched(instance)
    # The checker adds up otherwise, from the bottom of the tree to its top.
    net = minus(total((one.left_given for one in everything), 3), total((one.left_needed for one in everything), 3))
    assert left_over(trace.logs, hierarchy)[hierarchy.depth][hierarchy.top] == net
