"""How long anti-entropy takes: in each round every device calls one partner at random.

`push`: the probability that a caller which has the news gets it across to its partner; `pull`: that a caller which
lacks it gets it from a partner that has it. Where a message is lost with probability e, news pushed in one message
has push = 1 - e; news asked for in one and given in another has pull = (1 - e)^2. Knows nothing of what is said in
the calls, of timers, or of devices that come and go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from math import exp

from gossip_ws.kernel.errors import LocalError
from gossip_ws.theory.draws import NEGLIGIBLE, binomial

_FEW = 64
_MANY = 1_024
"""Devices above which chance decides at the beginning only, and the share that lacks the news goes on for itself."""


def lacking(share: float, push: float, pull: float) -> float:
    """The share of many devices that lack the news after one more round, when `share` lack it now.

    A device goes on lacking it when its own call does not bring it, and none of those that call it does: their
    number is Poisson with mean push (1 - share). p' = p (1 - pull (1 - p)) exp(-push (1 - p)).
    """
    _check(2, push, pull)
    return share * (1 - pull * (1 - share)) * exp(-push * (1 - share))


def mean_rounds(n: int, push: float, pull: float) -> float:
    """Expected rounds until all of `n` devices have what one of them has.

    By the chain of how many have it. It is exact for pull alone, and for push up to `_FEW` callers that have it, where
    chance decides; beyond, those whom they call are taken as independent of one another.
    """
    _check(n, push, pull)
    rest = [0.0] * (n + 1)
    for informed in range(n - 1, 0, -1):
        stay, onward = 0.0, 1.0
        for newly, likely in _newly(n, informed, push, pull):
            if newly:
                onward += likely * rest[informed + newly]
            else:
                stay += likely
        rest[informed] = onward / (1 - stay)
    return rest[1]


def course(n: int, push: float, pull: float) -> Iterator[tuple[float, float]]:
    """After 1, 2, ... rounds: the probability that all of `n` devices have what one of them has, and the expected share
    that has it. Without an end.

    By the chain of `mean_rounds`. Of more than `_MANY` devices it is left once `_FEW` have it; then the share that
    lacks it follows `lacking`, and of n p that lack it nobody is left with probability exp(-n p).
    """
    _check(n, push, pull)
    chance: dict[int, float] = {1: 1.0}
    flows: list[tuple[float, float]] = []
    steps: dict[int, list[tuple[int, float]]] = {n: [(0, 1.0)]}
    for _ in count():
        flows = [(weight, lacking(share, push, pull)) for weight, share in flows]
        then: dict[int, float] = defaultdict(float)
        for informed, weight in chance.items():
            if informed not in steps:
                steps[informed] = list(_newly(n, informed, push, pull))
            for newly, likely in steps[informed]:
                then[informed + newly] += weight * likely
        leaving = [informed for informed in then if n > _MANY and informed > _FEW]
        flows += [(then.pop(informed), 1 - informed / n) for informed in leaving]
        chance = {informed: weight for informed, weight in then.items() if weight >= NEGLIGIBLE}
        everyone = chance.get(n, 0.0) + sum(weight * exp(-n * share) for weight, share in flows)
        having = sum(weight * informed / n for informed, weight in chance.items())
        yield min(1.0, everyone), min(1.0, having + sum(weight * (1 - share) for weight, share in flows))


def _newly(n: int, informed: int, push: float, pull: float) -> Iterator[tuple[int, float]]:
    """How many more have it after a round that began with `informed` of `n`: (k, P(k)), a k perhaps in parts."""
    others = n - informed
    asks = pull * informed / (n - 1)
    if informed > _FEW or push == 0:
        yield from binomial(others, 1 - (1 - asks) * (1 - push / (n - 1)) ** informed)
        return
    told = [1.0]
    for _ in range(informed):
        # One caller more: it reaches one of those that nobody has reached in this round, or makes no difference.
        fresh = [push * max(others - k, 0) / (n - 1) for k in range(len(told))]
        told = [
            (told[k] * (1 - fresh[k]) if k < len(told) else 0.0) + (told[k - 1] * fresh[k - 1] if k else 0.0)
            for k in range(len(told) + 1)
        ]
    for k, likely in enumerate(told):
        if likely >= NEGLIGIBLE:
            for more, then in binomial(others - k, asks):
                yield k + more, likely * then


def _check(n: int, push: float, pull: float) -> None:
    if n < 2 or not 0 <= push <= 1 or not 0 <= pull <= 1 or push + pull == 0:
        raise LocalError(f"news goes nowhere: n={n}, push={push}, pull={pull}")
