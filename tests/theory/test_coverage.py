"""The closed forms against known numbers and against simulation of the same process."""

from __future__ import annotations

from math import exp, sqrt
from random import Random

import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.theory import coverage


def push(n: int, fanout: int, loss: float, dead: int, dice: Random, rounds: int | None = None) -> int:
    """One push, infect and die, device by device: how many live ones it reaches. The last `dead` are crashed."""
    live = n - dead
    reached = {0}
    senders = [0]
    while senders and rounds != 0:
        fresh = []
        for sender in senders:
            for target in dice.sample(range(n - 1), fanout):
                target += target >= sender
                if target < live and target not in reached and dice.random() >= loss:
                    reached.add(target)
                    fresh.append(target)
        senders = fresh
        rounds = None if rounds is None else rounds - 1
    return len(reached)


@pytest.mark.parametrize(("n", "loss", "crashed", "fanout"), [(100, 0.05, 0.05, 13), (1000, 0.1, 0.1, 17)])
def test_planned_fanout(n: int, loss: float, crashed: float, fanout: int) -> None:
    assert coverage.fanout_all_reached(n, loss, crashed, 0.999) == fanout
    assert coverage.all_reached(n, fanout, loss, crashed) >= 0.999 > coverage.all_reached(n, fanout - 1, loss, crashed)


@pytest.mark.parametrize(("n", "share"), [(100, 0.76), (1000, 0.143)])
def test_five_peers_and_three_rounds_do_not_follow_n(n: int, share: float) -> None:
    """Seed 002's prototype: at most 1 + 5 + 25 + 125 devices, whatever their number."""
    assert coverage.mean_field(n, 5, 3)[-1] / n == pytest.approx(share, abs=0.003)


def test_probability_of_all_at_a_thousand() -> None:
    assert coverage.all_reached(1000, 11, 0.1) == pytest.approx(0.951, abs=0.001)
    assert coverage.all_reached(1000, 14, 0.1) == pytest.approx(0.997, abs=0.001)


@pytest.mark.parametrize(("n", "fanout", "loss", "dead"), [(200, 4, 0.1, 0), (150, 8, 0.05, 15)])
def test_probability_of_all_against_simulation(n: int, fanout: int, loss: float, dead: int) -> None:
    dice = Random(11)
    runs = 400
    hits = sum(push(n, fanout, loss, dead, dice) == n - dead for _ in range(runs))
    p = coverage.all_reached(n, fanout, loss, dead / n)
    assert abs(hits / runs - p) < 3 * sqrt(max(p * (1 - p), 1 / runs) / runs) + 0.01


@pytest.mark.parametrize(("n", "fanout", "loss", "dead", "rounds"), [(400, 5, 0.0, 0, 3), (400, 4, 0.1, 40, 4)])
def test_mean_field_against_simulation(n: int, fanout: int, loss: float, dead: int, rounds: int) -> None:
    dice = Random(5)
    runs = [push(n, fanout, loss, dead, dice, rounds) for _ in range(200)]
    mean = sum(runs) / len(runs)
    spread = sqrt(sum((run - mean) ** 2 for run in runs) / len(runs) / len(runs))
    expected = coverage.mean_field(n, fanout, rounds, loss, dead / n)[-1]
    # 3 sigma, and the mean field's own error: 0.3 % at n >= 100 once it has spread, 3 % while it is spreading.
    assert abs(mean - expected) < 3 * spread + 0.03 * expected


@pytest.mark.parametrize(("fanout", "loss", "crashed"), [(2, 0.0, 0.0), (3, 0.1, 0.0), (6, 0.2, 0.1)])
def test_eventual_coverage_is_the_fixed_point_and_what_happens(fanout: int, loss: float, crashed: float) -> None:
    c = coverage.eventual_coverage(fanout, loss, crashed)
    assert c == pytest.approx(1 - exp(-fanout * c * (1 - loss) * (1 - crashed)), abs=1e-9)
    n, dice = 1000, Random(3)
    live = round(n * (1 - crashed))
    runs = [push(n, fanout, loss, n - live, dice) / live for _ in range(20)]
    taken_off = [run for run in runs if run > 0.3]
    assert sum(taken_off) / len(taken_off) == pytest.approx(c, abs=0.01)


def test_a_push_that_infects_one_device_or_fewer_dies() -> None:
    assert coverage.eventual_coverage(1) == 0.0
    assert coverage.eventual_coverage(2, loss=0.5) == 0.0


def test_fanout_covering_is_the_smallest() -> None:
    for target in (0.5, 0.9, 0.99, 0.999):
        fanout = coverage.fanout_covering(0.1, 0.1, target)
        assert coverage.eventual_coverage(fanout, 0.1, 0.1) >= target
        assert coverage.eventual_coverage(fanout - 1, 0.1, 0.1) < target


@pytest.mark.parametrize(("n", "fanout"), [(24, 4), (1000, 6), (100_000, 12)])
def test_the_rounds_to_stop_bring_all_that_any_rounds_bring(n: int, fanout: int) -> None:
    rounds = coverage.rounds_to_stop(n, fanout, 0.1)
    course = coverage.mean_field(n, fanout, 60, 0.1)
    assert course[-1] - course[rounds] < max(0.05, 1e-6 * n)
    assert rounds <= n - 1


def test_a_push_that_creeps_takes_no_more_rounds_than_devices() -> None:
    assert 0 < coverage.rounds_to_stop(50, 1, 0.0) <= 49


@pytest.mark.parametrize("bad", [(0, 1, 0.0, 0.0), (5, -1, 0.0, 0.0), (5, 1, 1.5, 0.0), (5, 1, 0.0, 1.0)])
def test_what_is_no_population(bad: tuple[int, int, float, float]) -> None:
    with pytest.raises(LocalError):
        coverage.all_reached(*bad)


def test_what_no_fanout_reaches() -> None:
    for target in (0.0, 1.0):
        with pytest.raises(LocalError):
            coverage.fanout_all_reached(10, 0.0, 0.0, target)
    with pytest.raises(LocalError):
        coverage.fanout_covering(1.0, 0.0, 0.9)
