"""What a loaded link costs: the number of messages in an M/M/1 queue, safe above its capacity, and two indicators.

Seed 001 eq. (7) is y / (c - y), which turns negative above capacity: overload would look like a gain. Here the cost
goes on, from `KNEE` of the capacity, as the parabola with the same value, slope and curvature. So it is convex,
increasing and finite for every load, and never above (7) where that holds. Loads and capacities are kb; the cost is a
bare number.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Final

KNEE: Final = 0.99
"""Share of the capacity above which the parabola stands for y / (c - y)."""
FAILED: Final = 1e-3
"""kb. Capacity that a failed link is priced with: high enough to stay a number, too low to carry anything."""
_ROUNDS: Final = 50
_NEAR: Final = 1e-6
"""Newton's method for `compromise`: at most so often, until it moves less than this share of the capacity."""


def delay(load: float, capacity: float) -> float:
    """phi(y): messages queued for the link, in the mean. capacity: positive; load: not negative."""
    capacity = max(capacity, FAILED)
    knee = KNEE * capacity
    if load <= knee:
        return load / (capacity - load)
    room = capacity - knee
    over = load - knee
    return knee / room + capacity / room**2 * over + capacity / room**3 * over * over


def marginal(load: float, capacity: float) -> float:
    """g(y): what the next kb costs, per kb."""
    if capacity < FAILED:
        capacity = FAILED
    knee = KNEE * capacity
    if load <= knee:
        return capacity / ((capacity - load) * (capacity - load))
    room = capacity - knee
    return capacity / (room * room) + 2 * capacity / (room * room * room) * (load - knee)


def curvature(load: float, capacity: float) -> float:
    """h(y): how fast the marginal cost grows, per kb squared."""
    capacity = max(capacity, FAILED)
    room = capacity - min(load, KNEE * capacity)
    return 2 * capacity / (room * room * room)


def compromise(load: float, capacity: float, price: float, stiffness: float) -> float:
    """kb: the load z that least phi(z) - price z + stiffness (z - load)^2 / 2 has; there g(z) = price + stiffness
    (load - z). Between the load and the one whose marginal cost is `price` (the proximal point). price: not negative;
    stiffness: positive, per kb squared."""
    capacity = max(capacity, FAILED)
    reached = capacity - sqrt(capacity / price) if price * capacity > 1 else 0.0
    reached = min(reached, KNEE * capacity)
    for _ in range(_ROUNDS):
        step = (marginal(reached, capacity) - price - stiffness * (load - reached)) / (
            curvature(reached, capacity) + stiffness
        )
        reached = max(0.0, reached - step)
        if abs(step) <= _NEAR * capacity:
            break
    return reached


def saturated(load: float, capacity: float) -> bool:
    """The limiting indicator l of seed 001 eq. (4): the link is maximally utilised."""
    return load >= capacity


def utilisation(entering: Iterable[float], leaving: Iterable[float]) -> int:
    """The peer utilisation indicator v of seed 001 eq. (5): 1 if more enters than leaves, -1 if less, else 0."""
    balance = sum(entering) - sum(leaving)
    return (balance > 0) - (balance < 0)
