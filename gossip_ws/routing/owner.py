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
    """`capacity` may change at any time, kb; 0: the link has failed, and its price is forgotten."""

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
        if not self._asks or self.capacity <= 0:
            self._price = None
        elif self._price is None:
            self._price = first(self.capacity)
        else:
            haste = HASTE * min(HASTIEST, 1 + IMPATIENCE * self._overloaded)
            part = min(1.0, haste * passed)
            self._price = max(0.0, self._price + part * rise(self._price, load, self.capacity, sources))
        self._told = now
        return GradientReport(self._link, self._seq, now, self.capacity, load, sources, self._price)
