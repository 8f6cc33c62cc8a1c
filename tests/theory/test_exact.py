"""The exact chain: against its own formula, by hand, and against simulation."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import sqrt
from random import Random

import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.theory import coverage, exact


def simulate(n: int, fanout: int, loss: float, dead: int, rounds: int | None, runs: int, seed: int) -> list[int]:
    dice = Random(seed)
    outcomes = []
    for _ in range(runs):
        reached, senders, left = {0}, [0], rounds
        while senders and left != 0:
            fresh = []
            for sender in senders:
                others = [device for device in range(n) if device != sender]
                for target in dice.sample(others, fanout):
                    if target < n - dead and target not in reached and dice.random() >= loss:
                        reached.add(target)
                        fresh.append(target)
            senders = fresh
            left = None if left is None else left - 1
        outcomes.append(len(reached))
    return outcomes


def test_two_devices() -> None:
    assert exact.reached(2, 1, Fraction(1, 10)) == (0, Fraction(1, 10), Fraction(9, 10))


def test_three_devices_by_hand() -> None:
    """Fanout 1, no loss: 0 reaches a second for sure, who reaches the third half of the time."""
    assert exact.reached(3, 1) == (0, 0, Fraction(1, 2), Fraction(1, 2))
    assert exact.reached(3, 1, rounds=1) == (0, 0, 1, 0)
    assert exact.reached(3, 1, rounds=0) == (0, 1, 0, 0)


def test_one_misses_by_enumeration() -> None:
    n, fanout, chosen = 8, 3, 2
    choices = list(combinations(range(n - 1), fanout))
    missing = sum(not set(choice) & set(range(chosen)) for choice in choices)
    assert exact.one_misses(n, fanout, 0, chosen) == Fraction(missing, len(choices))


def test_a_distribution_adds_up_exactly() -> None:
    for rounds in (None, 0, 1, 3):
        assert sum(exact.reached(20, 3, Fraction(1, 20), 2, rounds)) == 1


def test_one_round_is_the_formula_of_inclusion_and_exclusion() -> None:
    n, fanout, loss = 12, 3, Fraction(1, 10)
    first = exact.reached(n, fanout, loss, rounds=1)
    for k, p in enumerate(first[1:], 1):
        assert p == exact.missed(n, fanout, loss, n - 1, 1, n - k)


def test_two_rounds_are_the_formula_twice() -> None:
    n, fanout, loss = 9, 2, Fraction(1, 4)
    second = exact.reached(n, fanout, loss, rounds=2)
    expected = [Fraction(0)] * (n + 1)
    for u in range(n):
        first = exact.missed(n, fanout, loss, n - 1, 1, u)
        for k in range(u + 1):
            expected[n - k] += first * exact.missed(n, fanout, loss, u, n - 1 - u, k)
    assert list(second) == expected


def test_enough_rounds_are_no_limit() -> None:
    assert exact.reached(10, 2, Fraction(1, 5), 1, rounds=9) == exact.reached(10, 2, Fraction(1, 5), 1)


@pytest.mark.parametrize(
    ("n", "fanout", "loss", "dead", "rounds"),
    [(24, 5, 0.0, 0, 3), (24, 4, 0.1, 3, None), (50, 6, 0.05, 0, None), (60, 3, 0.2, 6, 4)],
)
def test_against_simulation(n: int, fanout: int, loss: float, dead: int, rounds: int | None) -> None:
    runs = 1000
    outcomes = simulate(n, fanout, loss, dead, rounds, runs, seed=n + fanout)
    p = exact.all_reached(n, fanout, loss, dead, rounds)
    hits = sum(outcome == n - dead for outcome in outcomes) / runs
    assert abs(hits - p) <= 3 * sqrt(max(p * (1 - p), 1 / runs) / runs)
    mean = sum(outcomes) / runs
    sigma = sqrt(sum((outcome - mean) ** 2 for outcome in outcomes) / runs / runs)
    assert abs(mean - exact.mean_coverage(n, fanout, loss, dead, rounds) * (n - dead)) <= 3 * sigma + 1e-9


def test_the_mean_field_is_within_two_percent_at_24() -> None:
    for rounds in (1, 2, 3, 6):
        chain = exact.mean_coverage(24, 5, 0, rounds=rounds) * 24
        assert coverage.mean_field(24, 5, rounds)[-1] == pytest.approx(chain, rel=0.02)


def test_the_closed_form_tends_to_the_chain() -> None:
    assert coverage.all_reached(60, 8, 0.1) == pytest.approx(exact.all_reached(60, 8, 0.1), abs=0.03)


@pytest.mark.parametrize("bad", [(61, 3, 0), (0, 0, 0), (5, 5, 0), (5, 2, 5)])
def test_out_of_bounds(bad: tuple[int, int, int]) -> None:
    n, fanout, dead = bad
    with pytest.raises(LocalError):
        exact.reached(n, fanout, Fraction(0), dead)
