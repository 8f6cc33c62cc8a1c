"""What the planner promises is kept, and the shipped tables are what it says."""

from __future__ import annotations

from fractions import Fraction
from heapq import heappop, heappush
from random import Random

import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.theory import coverage, exact, tables
from gossip_ws.theory.planner import (
    ASTRAY,
    LATE,
    POPULATIONS,
    Goal,
    dead,
    defaults,
    fanout_for_all,
    fanout_for_coverage,
    rounds_for,
    rounds_of,
)
from gossip_ws.theory.reach import Push


def test_the_shipped_tables_are_the_planners() -> None:
    assert defaults() == tables.WIDE_AREA
    assert defaults(goal=Goal.COVERAGE, target=0.99) == tables.FIELD_AREA


def test_known_plans() -> None:
    """The closed form says 13 for the first: among a hundred devices targets are distinct, and one fewer will do."""
    assert fanout_for_all(100, 0.05, 0.05) == 12
    assert fanout_for_all(1000, 0.1, 0.1) == 17


@pytest.mark.parametrize("n", [8, 20, 32, 60])
def test_the_plan_is_below_the_closed_form_and_keeps_the_promise(n: int) -> None:
    fanout = fanout_for_all(n, 0.1, 0.1)
    assert fanout < coverage.fanout_all_reached(n, 0.1, 0.1, 0.999)
    gone = dead(n, 0.1)
    assert exact.reached(n, fanout, Fraction(1, 10), gone)[-1] >= Fraction(999, 1000)
    assert exact.reached(n, fanout - 1, Fraction(1, 10), gone)[-1] < Fraction(999, 1000)


@pytest.mark.parametrize("n", [2, 3, 5, 9, 17, 33, 60])
def test_the_planned_rounds_lose_next_to_nothing(n: int) -> None:
    fanout = fanout_for_coverage(n, 0.1, 0.1)
    limited = exact.mean_coverage(n, fanout, 0.1, dead(n, 0.1), rounds_for(n, fanout, 0.1, 0.1))
    assert exact.mean_coverage(n, fanout, 0.1, dead(n, 0.1)) - limited < 1e-3


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("n", [3, 9, 24, 40])
def test_with_the_planned_rounds_everyone_is_reached_as_promised(n: int, loss: float) -> None:
    """At most `LATE` of what may fail does so for want of rounds."""
    gone = dead(n, 0.2)
    push = Push(n, gone, fanout_for_all(n, loss, 0.2, 0.99), loss)
    whole = exact.all_reached(n, push.fanout, loss, gone)
    limited = exact.all_reached(n, push.fanout, loss, gone, rounds_of(push))
    assert whole - limited < 1.5 * LATE * max(1 - whole, 1e-6)


def reached_by_first_copy(push: Push, rounds: int, dice: Random) -> tuple[int, int]:
    """Each copy takes its own, exponentially distributed time, and a device counts rounds by the first that comes: how
    many are reached, and how many of them with no round left."""
    reached: set[int] = set()
    astray = 0
    due = [(0.0, 0, rounds)]
    while due:
        now, device, left = heappop(due)
        if device in reached:
            continue
        reached.add(device)
        astray += not left
        for target in dice.sample(range(push.n - 1), push.fanout) if left else ():
            target += target >= device
            if target < push.live and target not in reached and dice.random() >= push.loss:
                heappush(due, (now + dice.expovariate(1), target, left - 1))
    return len(reached), astray


def test_the_planned_rounds_allow_for_first_copies_that_come_by_long_ways() -> None:
    """With as few rounds as a push in step needs, a third of the devices would get it with none left."""
    n, dice = 200, Random(3)
    push = Push(n, 20, fanout_for_all(n, 0.1, 0.1), 0.1)
    runs = 40
    planned = [reached_by_first_copy(push, rounds_of(push), dice) for _ in range(runs)]
    assert sum(astray for _, astray in planned) <= ASTRAY * sum(reached for reached, _ in planned)
    assert sum(reached == push.live for reached, _ in planned) >= runs - 1
    in_step = [reached_by_first_copy(push, 4, dice) for _ in range(runs)]
    assert sum(astray for _, astray in in_step) > 0.3 * sum(reached for reached, _ in in_step)
    assert sum(reached == push.live for reached, _ in in_step) < 0.9 * runs


@pytest.mark.parametrize("goal", Goal)
def test_never_more_than_the_others_there_are(goal: Goal) -> None:
    for n, fanout, rounds in defaults(POPULATIONS[:13], goal=goal, loss=0.3, crashed=0.3):
        assert fanout <= n - 1
        assert rounds <= max(0, n - 1)


@pytest.mark.parametrize("goal", Goal)
def test_a_population_rounded_up_gets_no_less(goal: Goal) -> None:
    rows = defaults(goal=goal)
    assert [n for n, _, _ in rows] == list(POPULATIONS)
    for column in (1, 2):
        values = [row[column] for row in rows]
        assert values == sorted(values)


def test_alone_there_is_nothing_to_do() -> None:
    assert defaults((1,)) == ((1, 0, 0),)


def test_core_caps_are_not_exceeded() -> None:
    """docs/wire.md: 64 peers and 32 rounds, whatever the terms say."""
    for table in (tables.WIDE_AREA, tables.FIELD_AREA):
        assert all(fanout <= 64 and rounds <= 32 for _, fanout, rounds in table)


def test_bad_probabilities() -> None:
    for bad in ({"loss": 1.0}, {"target": 1.0}, {"crashed": -0.1}):
        with pytest.raises(LocalError):
            defaults(**bad)
