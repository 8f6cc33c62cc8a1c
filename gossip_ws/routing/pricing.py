"""The price that the owner of a link asks, and what follows from it.

The marginal cost of a link near its capacity jumps with each kb, and who goes by it hardly moves: no source can come
before another has left. So the owner asks a price that follows the marginal cost over some ticks, the same of
everybody, and sources expect it to grow far slower than the marginal cost does: more of them move at a time, and what
goes wrong comes back as a price (the alternating direction method of multipliers for sharing: Boyd et al. 2011, section
7.3). If each source followed loads by itself, they would disagree for long about what a steep link is worth.

Prices are per kb, loads and capacities kb. Knows no path and no time.
"""

from __future__ import annotations

import math
from typing import Final

from gossip_ws.routing.cost import compromise, marginal

STEEP: Final = 8.0
"""Slope times capacity squared, of a price of 4 / capacity, which is that of a link half full; its curvature is 16."""
BENDING: Final = 1.15
"""The slope grows with the price to this power; the curvature would to the power 1.5."""
FOLLOWING: Final = 0.6
"""How much of what all sources together are taken to expect a price follows a load; from about 1 on it swings."""
SHARE: Final = 0.25
"""Of the sources on a link, those who are taken to move in a tick."""
AT_ONCE: Final = 2.0
DAMPING: Final = 0.7
"""More movers at once than the first make sources slower and the price too, by how many times more to the second."""


def first(capacity: float) -> float:
    """The price to begin with: that of an empty link."""
    return marginal(0.0, capacity)


def slope(price: float, capacity: float, movers: float) -> float:
    """What a source takes the price to grow by with each kb of its own, if so many move at once."""
    return _slope(price, capacity) * _damping(movers)


def rise(price: float, load: float, capacity: float, sources: int) -> float:
    """How far the price is from where the load pulls it; 0 where it is the marginal cost."""
    stiffness = FOLLOWING * _slope(price, capacity) / _damping(1 + max(0, sources - 1) * SHARE)
    return stiffness * (load - compromise(load, capacity, price, stiffness))


def _slope(price: float, capacity: float) -> float:
    return STEEP / capacity**2 * math.pow(max(1.0, price * capacity) / 4, BENDING)


def _damping(movers: float) -> float:
    return math.pow(max(1.0, movers / AT_ONCE), DAMPING)
