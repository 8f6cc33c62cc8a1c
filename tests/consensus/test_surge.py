import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid

from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.log import Kind, Record
from gossip_ws.consensus.outcome import Scheme, balance
from gossip_ws.consensus.surge import Step, Surge, judged, steps, surged, taken
from gossip_ws.kernel.errors import LocalError

WATTS = 1_000
AT = 60


def sunny(devices, seed):
    """A grid in which something is left when all is matched: half of what is needed is given twice."""
    instance = grid(devices, seed)
    return replace(
        instance,
        devices=tuple(
            replace(one, watts=tuple(3 * watts if watts > 0 else watts for watts in one.watts))
            for one in instance.devices
        ),
    )


INSTANCE = sunny(64, 1)
HIERARCHY = build(INSTANCE)
TAKEN = taken(INSTANCE, 0.5, Random(1))


def rises(found):
    """W more in each step, by device."""
    before = Counter()
    for step in found:
        yield step.at, {device: watts - before[device] for device, watts in step.more.items()}
        before.update({device: watts - before[device] for device, watts in step.more.items()})


def test_who_gives_nothing_is_taken():
    consumers = {device.id for device in INSTANCE.devices if max(device.watts) <= 0}
    assert set(TAKEN) < consumers
    assert len(TAKEN) == round(0.5 * len(consumers))
    assert set(taken(INSTANCE, 1.0, Random(1))) == consumers


def test_without_a_bound_all_come_on_at_once():
    assert steps(Surge(AT, TAKEN, WATTS), HIERARCHY, Random(1)) == [Step(AT, dict.fromkeys(TAKEN, WATTS))]


def test_randomised_starts_come_one_after_the_other():
    found = steps(Surge(AT, TAKEN, WATTS, within=20), HIERARCHY, Random(1))
    assert {device: watts for step in found for device, watts in step.more.items()} == dict.fromkeys(TAKEN, WATTS)
    assert sum(len(step.more) for step in found) == len(TAKEN), "each of them at once, when its time has come"
    assert len(found) > 5
    assert all(AT <= step.at < AT + 20 for step in found)


@pytest.mark.parametrize("within", [0, 20])
def test_no_nano_grid_rises_faster_than_its_bound(within):
    ramp = 700
    found = steps(Surge(AT, TAKEN, WATTS, within=within, ramp=ramp), HIERARCHY, Random(1))
    for _, rise in rises(found):
        by_cluster = Counter()
        for device, watts in rise.items():
            assert watts > 0
            by_cluster[HIERARCHY.home[device]] += watts
        assert max(by_cluster.values()) <= ramp
    assert sum(sum(rise.values()) for _, rise in rises(found)) == WATTS * len(TAKEN)


@pytest.mark.parametrize("bounds", [{}, {"within": 20}, {"ramp": 700}])
def test_what_a_surge_needs_is_matched_again(bounds):
    found = steps(Surge(AT, TAKEN, WATTS, **bounds), HIERARCHY, Random(1))
    outcome = balance(Scheme.PAIRWISE, INSTANCE, HIERARCHY, Conditions(), Random(1), steps=found)
    before = balance(Scheme.PAIRWISE, INSTANCE, HIERARCHY, Conditions(), Random(1))
    assert outcome.violations == ()
    assert outcome.matched == outcome.optimum == before.matched + WATTS * len(TAKEN)
    came = outcome.surge
    assert came is not None
    assert (came.devices, came.watts) == (len(TAKEN), WATTS * len(TAKEN))
    assert came.least < 1
    assert came.recovered is not None
    assert came.recovered >= came.lasted - 1
    if bounds:
        assert came.steepest < came.watts / 2
    else:
        assert came.steepest == came.watts


def test_what_is_never_matched_is_not_called_recovered():
    """A log in which nobody agrees on anything after the surge."""
    found = [Step(AT, {INSTANCE.devices[0].id: WATTS})]
    seller, buyer = INSTANCE.devices[:2]
    log = (Record(seller.id, 0, 1.0, Kind.COMMITTED, 0, "a/0.0", buyer.id, 1, (5,)),)
    came = judged(INSTANCE, found, {seller.id: log})
    assert came.recovered is None
    assert came.least < 0.1


def test_a_surge_adds_to_every_period():
    device = INSTANCE.devices[3]
    (now,) = (one for one in surged(INSTANCE, {device.id: 7}).devices if one.id == device.id)
    assert now.watts == tuple(watts - 7 for watts in device.watts)


@pytest.mark.parametrize("wrong", [{"at": -1.0}, {"watts": 0}, {"within": -1.0}, {"ramp": -1}])
def test_a_surge_of_nothing_is_refused(wrong):
    with pytest.raises(LocalError):
        replace(Surge(AT, TAKEN, WATTS), **wrong)


def test_a_surge_that_never_ends_is_refused():
    with pytest.raises(LocalError, match="at most 1000 are simulated"):
        steps(Surge(AT, TAKEN, 1_000_000, ramp=8), HIERARCHY, Random(1))
