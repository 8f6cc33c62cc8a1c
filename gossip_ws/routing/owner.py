"""Who measures a link and speaks for it: the load, and the price that it asks.

Knows its own link only, and of the sources no more than how many there are.
"""

from __future__ import annotations

from typing import Final

from gossip_ws.routing.graph import Link
from gossip_ws.routing.peer import GradientReport
from gossip_ws.routing.pricing import first, rise

HASTE: Final = 0.25
"""Share of its way to where the load pulls it that a price goes in a tick."""
IMPATIENCE: Final = 0.1
HASTIEST: Final = 4.0
"""A link that is overloaded hastens its price by this share of `HASTE` with each tick that it has been so, and to so
many times `HASTE` at most."""


class Owner:
    """`capacity` may change at any time, kb; 0: the link has failed. It goes on from the same price when it is back: at
    the price of an empty link all would come at once, before the first of them could be counted."""

    __slots__ = ("_asks", "_link", "_overloaded", "_price", "_seq", "_told", "capacity")

    def __init__(self, link: Link, capacity: float, asks: bool = True) -> None:
        """asks: whether it asks a price. Where reports are told seldom, a price comes too late to be of use."""
        self._asks = asks
        self._link = link
        self._seq = 0
        self._price: float | None = None
        self._told = 0.0
        self._overloaded = 0.0
        self.capacity = capacity

    def report(self, now: float, load: float, sources: int) -> GradientReport:
        """What to publish. now: ticks. load: kb, of `sources` sources."""
        self._seq += 1
        passed = max(0.0, now - self._told)
        self._overloaded = self._overloaded + passed if load > self.capacity else 0.0
        price = None
        if self._asks and self.capacity > 0:
            price = self._price = self._next(passed, load, sources)
        self._told = now
        return GradientReport(self._link, self._seq, now, self.capacity, load, sources, price)

    def _next(self, passed: float, load: float, sources: int) -> float:
        """`passed`: ticks since the last."""
        if self._price is None:
            return first(self.capacity)
        haste = HASTE * min(HASTIEST, 1 + IMPATIENCE * self._overloaded)
        return max(0.0, self._price + min(1.0, haste * passed) * rise(self._price, load, self.capacity, sources))
