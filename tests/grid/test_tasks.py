"""A tariff moves tasks: energy is conserved, windows are respected, nothing becomes dearer."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.population import load
from gossip_ws.grid.tariff import Band, Prices, Tariff
from gossip_ws.grid.tasks import Task, cost, place, placed, tasks_of
from gossip_ws.kernel.errors import LocalError


def tariff(*prices: str) -> Tariff:
    """One price a period."""
    return Tariff("t", 1, 0.0, 1.0, tuple(Band(480 * k, 480 * (k + 1), Decimal(p)) for k, p in enumerate(prices)))


NIGHT = tariff("0.10", "0.30", "0.40")

prices = st.lists(st.decimals(-1, 2, places=4), min_size=3, max_size=3)
days = st.tuples(*[st.integers(0, 50_000)] * 3)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    ready = draw(st.integers(0, 1439))
    finish_by = draw(st.integers(ready + 1, 1440))
    seconds = draw(st.integers(1, (finish_by - ready) * 60))
    own = [draw(st.integers(0, 9999)) if ready < 480 * (p + 1) and 480 * p < finish_by else 0 for p in range(3)]
    return Task(Kind.HOME_CHARGER, sum(own), seconds, (own[0], own[1], own[2]), ready, finish_by)


@given(tasks(), prices)
def test_a_placed_task_keeps_energy_window_and_cost(task: Task, raw: list[Decimal]) -> None:
    three: Prices = (raw[0], raw[1], raw[2])
    result = placed(task, three)
    assert sum(result) == task.energy
    assert min(result) >= 0
    assert not any(wh for period, wh in enumerate(result) if not task.allows(period))
    assert cost(result, three) <= cost(task.own, three)
    # As cheap as at every minute it could have started, but for the Wh that a period's end rounds down.
    slack = 2 * (max(three) - min(three)) / 1000
    every = range(task.ready, task.finish_by - task.minutes + 1, 7)
    assert cost(result, three) <= min(cost(task.run(start), three) for start in every) + slack


@given(st.sampled_from(Kind), days, st.integers(1, 30_000), prices)
def test_a_days_tasks_are_the_days_energy(kind: Kind, energy: tuple[int, int, int], power: int, raw: list[str]) -> None:
    announced = tasks_of(kind, energy, power)
    plain = place(announced, None)
    assert plain == ((0, 0, 0) if kind.feeds_in else energy)
    changed = tariff(*map(str, raw))
    after = place(announced, changed)
    assert sum(after) == sum(plain)
    assert cost(after, changed.prices()) <= cost(plain, changed.prices())


@given(tasks())
def test_a_run_is_split_where_a_period_ends(task: Task) -> None:
    for start in task.starts():
        assert task.ready <= start <= task.finish_by - task.minutes
        assert sum(task.run(start)) == task.energy


def test_a_run_over_a_periods_end() -> None:
    task = Task(Kind.HOME_CHARGER, 1001, 4 * 3600, (0, 0, 1001))
    assert task.run(420) == (250, 751, 0)
    assert task.run(0) == (1001, 0, 0)


def test_a_car_charges_at_night() -> None:
    evening = tasks_of(Kind.HOME_CHARGER, (0, 2000, 9000), 3700)
    assert place(evening, None) == (0, 2000, 9000)
    assert place(evening, NIGHT) == (11_000, 0, 0)


def test_a_car_that_needs_more_than_the_cheap_period_takes_its_neighbour() -> None:
    (task,) = tasks_of(Kind.HOME_CHARGER, (0, 10_000, 20_000), 3000)
    assert task.minutes == 600
    assert placed(task, NIGHT.prices()) == (24_000, 6000, 0)


def test_a_car_at_work_is_charged_at_work() -> None:
    assert place(tasks_of(Kind.WORK_CHARGER, (0, 7400, 0), 3700), tariff("0.3", "0.3", "0.1")) == (0, 0, 7400)
    assert place(tasks_of(Kind.WORK_CHARGER, (0, 11_100, 0), 3700), tariff("0.3", "0.3", "0.1")) == (0, 3700, 7400)
    # Two hours before eight o'clock are all that the night has of a working day.
    assert place(tasks_of(Kind.WORK_CHARGER, (0, 11_100, 0), 3700), NIGHT) == (7400, 3700, 0)


def test_a_heat_pump_preheats_one_period_at_most() -> None:
    announced = tasks_of(Kind.HEAT_PUMP, (1000, 1000, 1000), 3000)
    assert place(announced, tariff("0.1", "0.2", "0.3")) == (1300, 1000, 700)
    assert place(announced, tariff("0.3", "0.2", "0.1")) == (1000, 1000, 1000)


def test_a_household_washes_when_it_is_cheap_but_not_at_night() -> None:
    announced = tasks_of(Kind.HOUSEHOLD, (1000, 3000, 5000), 2000)
    assert place(announced, tariff("0.3", "0.1", "0.3")) == (900, 3600, 4500)
    assert place(announced, tariff("0.1", "0.3", "0.3")) == (1800, 2700, 4500)


def test_what_cannot_wait_does_not_move() -> None:
    for kind in (Kind.BUSINESS, Kind.FARM):
        assert place(tasks_of(kind, (10, 20, 30), 2000), NIGHT) == (10, 20, 30)


def test_what_feeds_in_requires_nothing() -> None:
    for kind in (Kind.PHOTOVOLTAIC, Kind.STORAGE):
        assert tasks_of(kind, (10, 20, 30), 2000) == ()
        assert place((), NIGHT) == (0, 0, 0)


def test_a_tariff_without_differences_moves_nothing() -> None:
    task = Task(Kind.HOME_CHARGER, 30, 3600, (0, 10, 20))
    assert place([task], tariff("0.2", "0.2", "0.2")) == task.own


def test_a_village_shifts_to_the_night() -> None:
    """The demand after a push differs from before, and adds up to the same."""
    grid = load("1-LV-rural1--2-sw")
    devices = [*grid.meters(), *grid.appliances()]
    announced = [
        task
        for device in devices
        for task in tasks_of(
            device.kind, grid.profiles.energy(device.profile, "2016-01-19", device.power), device.power
        )
    ]
    before, after = place(announced, None), place(announced, NIGHT)
    assert sum(before) == sum(after)
    assert after[0] > before[0] * 1.1
    assert after[2] < before[2]


@pytest.mark.parametrize(
    "fields",
    [
        {"energy": 5},
        {"own": (-1, 0, 2)},
        {"ready": 500},
        {"finish_by": 1441},
        {"finish_by": 0},
        {"duration": 0},
        {"duration": 1441 * 60},
        {"ready": 400, "finish_by": 420, "duration": 3600},
    ],
)
def test_no_task(fields: dict[str, object]) -> None:
    with pytest.raises(LocalError):
        Task(**{"kind": Kind.HEAT_PUMP, "energy": 1, "duration": 60, "own": (1, 0, 0), **fields})
