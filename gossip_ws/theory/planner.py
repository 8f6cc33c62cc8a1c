"""Which fanout and how many rounds a population needs: what the core's defaults are taken from, and any plan.

The core may not compute this while it runs: it is handed a table as plain data and looks its population
up, rounded up. A push is planned for the loss and the crashes that repair must not be needed for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from math import ceil, exp, log
from typing import Final

from gossip_ws.kernel.errors import LocalError
from gossip_ws.theory import coverage
from gossip_ws.theory.exact import exactly
from gossip_ws.theory.reach import LIMIT, Push, reach, timely


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
LATE: Final = 0.01
"""Of the pushes that may fail, so many may fail for want of rounds. A device sends once, however many rounds are left:
rounds beyond those needed cost nothing."""
_SURE: Final = 1e-6
"""What fails no more often than that is not improved by further rounds."""
ASTRAY: Final = 0.01
"""Share of the devices that may get the message with no round left, where hops take as different times as can be."""
_EULER: Final = 0.5772156649015329

Row = tuple[int, int, int]
"""(population, fanout, rounds)."""


def fanout_for_all(n: int, loss: float = 0.0, crashed: float = 0.0, target: float = 0.999) -> int:
    """The smallest fanout that reaches every live device with probability `target`; at most n - 1.

    n - 1 even if that falls short of the target: two devices cannot do better than 1 - loss without a retry.
    """
    return fanout_of(n, dead(n, crashed), loss, target)


def fanout_of(n: int, gone: int, loss: float, target: float, more: float = 0.0) -> int:
    """The same, of a push as `reach.Push` has it: `gone` devices are off, one message `more` may arrive."""
    if n == 1:
        return 0
    likely = coverage.fanout_all_reached(n, loss, gone / n, target)
    return least_fanout(n, likely, lambda fanout: reach(Push(n, gone, fanout, loss, more)).all_reached >= target)


def fanout_for_coverage(n: int, loss: float = 0.0, crashed: float = 0.0, target: float = 0.99) -> int:
    """The smallest fanout whose expected coverage of the live devices is `target`; at most n - 1.

    Up to `reach.LIMIT` devices by the chain; above, by the coverage of a push that takes off.
    """
    likely = min(n - 1, coverage.fanout_covering(loss, crashed, target))
    if n > LIMIT:
        return likely
    gone = dead(n, crashed)
    return least_fanout(n, likely, lambda fanout: reach(Push(n, gone, fanout, loss)).coverage >= target)


def rounds_for(n: int, fanout: int, loss: float = 0.0, crashed: float = 0.0) -> int:
    """Rounds until the mean field brings less than a hundredth of a device, and `MARGIN`; no fewer than `detours`."""
    if n <= 1 or fanout == 0:
        return 0
    return min(n - 1, max(coverage.rounds_to_stop(n, fanout, loss, crashed) + MARGIN, detours(n)))


def rounds_of(push: Push) -> int:
    """The rounds that a push needs for its promise: what a limit of so many takes from the probability that everyone
    is reached is less than `LATE` of what that lacks of 1. At most n - 1, and no fewer than `detours`."""
    if push.live == 1 or push.fanout == 0:
        return 0
    late = LATE * max(1 - reach(push).all_reached, _SURE)
    shares = timely(push)
    needed = next((rounds for rounds, share in enumerate(shares) if 1 - share <= late), len(shares))
    return min(push.n - 1, max(needed, detours(push.n)))


def detours(n: int) -> int:
    """The rounds that all but `ASTRAY` of `n` devices, all of them on, need even if hops take very different times.

    A device goes by the copy that comes first, and that may have come by a longer way than the shortest: who gets it
    with no round left sends it to nobody. It is worst where a sender sends to very many and each copy takes its own
    time, exponentially distributed. The next to get it then has it from any of those that have, all equally likely,
    and hops are the depths in a random recursive tree: of the k-th device a sum of independent ones with probability
    1, 1/2, ... 1/(k-1), in the mean over all of them H(n) - 1. Poisson with that mean has the heavier tail.
    """
    if n == 1:
        return 0
    mean = log(n) + _EULER + 1 / (2 * n) - 1
    likely = tail = exp(-mean)
    hops = 0
    while 1 - tail > ASTRAY:
        hops += 1
        likely *= mean / hops
        tail += likely
    return min(hops + 1, n - 1)


def dead(n: int, crashed: float) -> int:
    """Crashed devices among n, as a simulation counts them: the nearest number, but one always lives."""
    return min(round(n * crashed), n - 1)


def defaults(
    populations: Iterable[int] = POPULATIONS,
    *,
    goal: Goal = Goal.ALL,
    loss: float = 0.1,
    crashed: float = 0.1,
    target: float = 0.999,
) -> tuple[Row, ...]:
    """The table for `populations`: fanout for `goal` and `target`, and the rounds that fanout needs.

    Crashed devices are rounded up, to be on the safe side, but two always live. Neither column falls as the population
    grows, so a population that is rounded up gets no less than it needs. Raises LocalError when a probability is none.
    """
    if not (0 < target < 1 and 0 <= loss < 1 and 0 <= crashed < 1):
        raise LocalError(f"not probabilities: target={target}, loss={loss}, crashed={crashed}")
    rows: list[Row] = []
    fanout = rounds = 0
    for n in sorted(populations):
        gone = min(ceil(n * exactly(crashed)), max(0, n - 2))
        if goal is Goal.ALL:
            fanout = max(fanout, fanout_of(n, gone, loss, target))
            rounds = max(rounds, rounds_of(Push(n, gone, fanout, loss)))
        else:
            fanout = max(fanout, fanout_for_coverage(n, loss, gone / n, target))
            rounds = max(rounds, rounds_for(n, fanout, loss, crashed))
        rows.append((n, fanout, rounds))
    return tuple(rows)


def least_fanout(n: int, likely: int, suffices: Callable[[int], bool]) -> int:
    """The smallest fanout that does, at most n - 1; `likely` is where the search begins."""
    fanout = min(max(likely, 0), n - 1)
    while fanout < n - 1 and not suffices(fanout):
        fanout += 1
    while fanout > 0 and suffices(fanout - 1):
        fanout -= 1
    return fanout
