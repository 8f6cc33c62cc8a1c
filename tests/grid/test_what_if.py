"""A tariff on a whole grid: every Wh is delivered, where it may be, and nobody pays more; what peaks come of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.population import Grid, choose, load
from gossip_ws.grid.profiles import Jitter
from gossip_ws.grid.tariff import PERIOD, Prices
from gossip_ws.grid.tasks import Task, cheapest, cost, drawn, placed, tasks_of
from gossip_ws.grid.what_if import what_if
from gossip_ws.kernel.errors import LocalError

DAY = "2016-01-20"
NIGHT: Prices = (Decimal("0.12"), Decimal("0.30"), Decimal("0.38"))


@pytest.fixture(scope="module")
def rural() -> Grid:
    return load("1-MVLV-rural-all-2-sw")


@pytest.fixture(scope="module")
def village() -> Grid:
    return load("1-LV-rural1--2-sw")


def announced(grid: Grid, day: str, seed: int) -> Iterator[Task]:
    """Every task of the grid, as its appliances announce them."""
    for device in (*grid.meters(), *grid.appliances()):
        energy = grid.profiles.energy(device.profile, day, device.power, Jitter.draw(seed, device.scope))
        yield from tasks_of(device.kind, energy, device.power)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    ready = draw(st.integers(0, 1439))
    finish_by = draw(st.integers(ready + 1, 1440))
    seconds = draw(st.integers(1, (finish_by - ready) * 60))
    own = [draw(st.integers(0, 9999)) if ready < 480 * (p + 1) and 480 * p < finish_by else 0 for p in range(3)]
    return Task(Kind.HOME_CHARGER, sum(own), seconds, (own[0], own[1], own[2]), ready, finish_by)


few = st.sampled_from([Decimal("-0.05"), Decimal("0.10"), Decimal("0.20")])


@given(tasks(), st.tuples(few, few, few), st.integers(0, 1000))
def test_a_drawn_start_is_as_cheap_as_the_first_and_done_in_time(task: Task, prices: Prices, seed: int) -> None:
    spans = cheapest(task, prices)
    if not spans:
        assert placed(task, prices) == task.own
        return
    start = drawn(task, prices, spans, Random(seed))
    assert task.ready <= start <= task.finish_by - task.minutes
    assert cost(task.run(start), prices) == cost(placed(task, prices), prices) < cost(task.own, prices)
    assert sum(task.run(start)) == task.energy


@given(tasks(), st.tuples(few, few, few))
def test_no_start_outside_of_the_spans_is_cheapest(task: Task, prices: Prices) -> None:
    assume(task.minutes <= PERIOD)
    # With whole Wh in every minute nothing is rounded where a period ends.
    first, second, third = (wh * task.minutes for wh in task.own)
    whole = replace(task, energy=task.energy * task.minutes, own=(first, second, third))
    spans = cheapest(whole, prices)
    assume(spans)
    least = cost(whole.run(spans[0].start), prices)
    every = range(whole.ready, whole.finish_by - whole.minutes + 1)
    found = [minute for minute in every if cost(whole.run(minute), prices) == least]
    assert found == [minute for span in spans for minute in span]


def test_every_cheapest_minute_is_drawn_by_somebody() -> None:
    task = Task(Kind.HOME_CHARGER, 6000, 475 * 60, (0, 0, 6000))
    spans = cheapest(task, NIGHT)
    assert [*spans] == [range(5), range(5, 6)]
    dice = Random(1)
    assert {drawn(task, NIGHT, spans, dice) for _ in range(100)} == set(range(6))


def test_all_energy_is_delivered_by_the_plan_of_the_appliances(village: Grid) -> None:
    """The same sums as by asking each appliance's own planner, one task at a time."""
    everything = [*announced(village, DAY, 3)]
    found = what_if(village, DAY, NIGHT, 3)
    own = [sum(task.own[p] for task in everything) for p in range(3)]
    moved = [sum(placed(task, NIGHT)[p] for task in everything) for p in range(3)]
    assert [*found.before.periods] == own
    assert [*found.together.demand.periods] == moved
    assert sum(own) == sum(moved) == sum(found.random.demand.periods) > 0
    shifted = sum(abs(placed(task, NIGHT)[p] - task.own[p]) for task in everything for p in range(3))
    assert found.together.moved == shifted // 2


def test_nobody_pays_more_and_random_starts_cost_the_same(rural: Grid) -> None:
    found = what_if(choose(rural, 200, 1), DAY, NIGHT, 1)
    assert found.before.cost == cost(found.before.periods, NIGHT)
    assert found.together.demand.cost < found.before.cost
    assert found.random.demand.cost == found.together.demand.cost
    assert found.random.moving == found.together.moving > 0


def test_a_flat_tariff_moves_nothing(village: Grid) -> None:
    found = what_if(village, DAY, (Decimal("0.3"),) * 3, 1)
    assert found.before == found.together.demand == found.random.demand
    assert found.together.moved == found.together.moving == 0
    assert found.together.rebound is None


def test_the_curve_adds_up_to_the_periods(village: Grid) -> None:
    found = what_if(village, DAY, NIGHT, 1)
    runs = found.together.moving
    for demand in (found.before, found.together.demand, found.random.demand):
        for period, wh in enumerate(demand.periods):
            curve = sum(demand.watts[32 * period : 32 * (period + 1)]) / 4
            # A run over a period's end puts whole Wh on each side of it.
            assert abs(curve - wh) <= (runs if demand is not found.before else 1e-6)
        assert sum(demand.watts) / 4 == pytest.approx(sum(demand.periods), rel=1e-9)


def test_before_a_tariff_the_curve_is_that_of_the_profiles(village: Grid) -> None:
    found = what_if(village, DAY, NIGHT, 1)
    devices = [one for one in (*village.meters(), *village.appliances()) if not one.kind.feeds_in]
    for quarter in (0, 33, 80):
        measured = sum(
            village.profiles.power(one.profile, DAY, quarter, one.power, Jitter.draw(1, one.scope)) for one in devices
        )
        # Whole Wh of a period differ from the profile by half a Wh.
        assert found.before.watts[quarter] == pytest.approx(measured, rel=1e-3)


def test_all_cars_at_once_are_a_new_peak_and_random_starts_are_not(rural: Grid) -> None:
    """The night is cheap, and it begins at midnight."""
    town = choose(rural, 540, 1)
    found = what_if(town, DAY, NIGHT, 1)
    cars = found.together.kinds[Kind.HOME_CHARGER]
    assert cars.moving == cars.tasks > 50
    rebound = found.together.rebound
    assert rebound is not None
    assert (rebound, rebound.quarter) == (found.together.demand.peak, 0)
    assert rebound.watts > 1.2 * found.before.peak.watts
    assert found.random.demand.peak.watts < found.before.peak.watts
    # By hand: the first quarter hour of every task that starts at midnight, and what stays.
    started, stays = 0.0, 0
    for task in announced(town, DAY, 1):
        if not cheapest(task, NIGHT):
            stays += task.own[0]
        elif cheapest(task, NIGHT)[0].start == 0:
            started += task.energy * 60 / task.minutes * min(15, task.minutes) / 15
    assert started < rebound.watts < started + stays / 4


def test_a_day_without_profiles_is_refused(village: Grid) -> None:
    with pytest.raises(LocalError, match="no profiles for '2020-02-30'"):
        what_if(village, "2020-02-30", NIGHT, 1)
