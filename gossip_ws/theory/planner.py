"""Which fanout and how many rounds a population needs: what the core's defaults are taken from.

The core may not compute this while it runs: it is handed a table as plain data and looks its population
up, rounded up. A push is planned for the loss and the crashes that repair must not be needed for.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import Final

from gossip_ws.kernel.errors import LocalError
from gossip_ws.theory import coverage, exact


class Goal(StrEnum):
    """What the target is a target of."""

    ALL = "all"
    """The probability that every live device is reached by the push alone."""
    COVERAGE = "coverage"
    """The expected fraction of live devices that is reached; repair brings the rest."""


POPULATIONS: Final = tuple(2**k for k in range(21))
"""1 to 1,048,576 devices."""
MARGIN: Final = 1
"""Rounds added to the mean field's, for the runs whose first hops met with bad luck."""

Row = tuple[int, int, int]
"""(population, fanout, rounds)."""


def fanout_for_all(n: int, loss: float = 0.0, crashed: float = 0.0, target: float = 0.999) -> int:
    """The smallest fanout that reaches every live device with probability `target`; at most n - 1.

    Up to `exact.LIMIT` devices by the exact chain, which the closed form overestimates there. n - 1 even
    if that falls short of the target: two devices cannot do better than 1 - loss without a retry.
    """
    if n > exact.LIMIT:
        return min(n - 1, coverage.fanout_all_reached(n, loss, crashed, target))
    return _smallest(n, loss, crashed, target, Goal.ALL)


def fanout_for_coverage(n: int, loss: float = 0.0, crashed: float = 0.0, target: float = 0.99) -> int:
    """The smallest fanout whose expected coverage of the live devices is `target`; at most n - 1.

    Up to `exact.LIMIT` devices by the exact chain; above, by the coverage of a push that takes off.
    """
    if n > exact.LIMIT:
        return min(n - 1, coverage.fanout_covering(loss, crashed, target))
    return _smallest(n, loss, crashed, target, Goal.COVERAGE)


def rounds_for(n: int, fanout: int, loss: float = 0.0, crashed: float = 0.0) -> int:
    """Rounds until the mean field brings less than a hundredth of a device, and `MARGIN`; at most n - 1."""
    if n <= 1 or fanout == 0:
        return 0
    return min(n - 1, coverage.rounds_to_stop(n, fanout, loss, crashed) + MARGIN)


def dead(n: int, crashed: float) -> int:
    """Crashed devices among n in the exact chain: rounded up, to be on the safe side, but two always live."""
    return min(ceil(n * exact.exactly(crashed)), max(0, n - 2))


def defaults(
    populations: Iterable[int] = POPULATIONS,
    *,
    goal: Goal = Goal.ALL,
    loss: float = 0.1,
    crashed: float = 0.1,
    target: float = 0.999,
) -> tuple[Row, ...]:
    """The table for `populations`: fanout for `goal` and `target`, and the rounds that fanout needs.

    Neither column falls as the population grows, so a population that is rounded up gets no less than it
    needs. Raises LocalError when a probability is none.
    """
    if not (0 < target < 1 and 0 <= loss < 1 and 0 <= crashed < 1):
        raise LocalError(f"not probabilities: target={target}, loss={loss}, crashed={crashed}")
    choose = fanout_for_all if goal is Goal.ALL else fanout_for_coverage
    rows: list[Row] = []
    fanout = rounds = 0
    for n in sorted(populations):
        fanout = max(fanout, choose(n, loss, crashed, target))
        rounds = max(rounds, rounds_for(n, fanout, loss, crashed))
        rows.append((n, fanout, rounds))
    return tuple(rows)


def _smallest(n: int, loss: float, crashed: float, target: float, goal: Goal) -> int:
    gone = dead(n, crashed)
    measure = exact.all_reached if goal is Goal.ALL else exact.mean_coverage
    wanted: Fraction = exact.exactly(target)
    low, high = 0, n - 1
    while low < high:
        middle = (low + high) // 2
        if measure(n, middle, loss, gone) >= wanted:
            high = middle
        else:
            low = middle + 1
    return low
