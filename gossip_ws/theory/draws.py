"""The two distributions that theory draws from, in doubles: what is negligible is left out, the rest adds up to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

NEGLIGIBLE: Final = 1e-16
"""Of the likeliest outcome: what is less likely is left out."""

Outcomes = list[tuple[int, float]]
"""(k, P(k)) of those k that are not negligible."""


def binomial(trials: int, hit: float) -> Outcomes:
    """How many of `trials` succeed, each with probability `hit`."""
    if hit >= 1 or hit <= 0 or trials == 0:
        return [(trials if hit >= 1 else 0, 1.0)]
    mode = min(int((trials + 1) * hit), trials)
    odds = hit / (1 - hit)
    return _around(mode, 0, trials, lambda k: odds * (trials - k) / (k + 1))


def hypergeometric(others: int, marked: int, drawn: int) -> Outcomes:
    """How many of `marked` among `others` are in a sample of `drawn` distinct ones."""
    least, most = max(0, drawn - (others - marked)), min(drawn, marked)
    mode = min(max((drawn + 1) * (marked + 1) // (others + 2), least), most)
    spare = others - marked - drawn
    return _around(mode, least, most, lambda k: (marked - k) * (drawn - k) / ((k + 1) * (spare + k + 1)))


def _around(mode: int, least: int, most: int, ratio: Callable[[int], float]) -> Outcomes:
    """From the likeliest outcome to both sides, by ratio(k) = P(k + 1) / P(k): no factorial, so nothing is lost in
    large ones."""
    above: Outcomes = [(mode, 1.0)]
    weight = 1.0
    for k in range(mode, most):
        weight *= ratio(k)
        if weight < NEGLIGIBLE:
            break
        above.append((k + 1, weight))
    below: Outcomes = []
    weight = 1.0
    for k in range(mode - 1, least - 1, -1):
        weight /= ratio(k)
        if weight < NEGLIGIBLE:
            break
        below.append((k, weight))
    outcomes = below[::-1] + above
    whole = sum(weight for _, weight in outcomes)
    return [(k, weight / whole) for k, weight in outcomes]
