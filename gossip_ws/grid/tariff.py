"""What energy costs over a day: the tariff that is pushed, as a value.

Pure. Knows no XML, no store and no clock: who supersedes whom is decided where tariffs are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

from gossip_ws.kernel.errors import LocalError

DAY: Final = 1440
"""Minutes."""
PERIOD: Final = 480
"""Minutes of one of the three periods of a day (seed 002 section III.B)."""
HIGHEST_PRICE: Final = 1_000_000
"""For one kWh, either way. Whoever sends more would have sums overflow."""
PERIODS: Final = DAY // PERIOD

Prices = tuple[Decimal, Decimal, Decimal]
"""Of the periods from 0, 8 and 16 o'clock, for one kWh."""


@dataclass(frozen=True, slots=True)
class Band:
    """One price, for one kWh, from minute `start` up to minute `end` of every day, 0 to 1440.

    A price may be negative: too much wind. Raises LocalError when it is not a number up to `HIGHEST_PRICE` or
    the band is empty; a band over midnight is two.
    """

    start: int
    end: int
    price: Decimal

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= DAY:
            raise LocalError(f"a band from minute {self.start} to {self.end} is not within a day of {DAY}")
        if not self.price.is_finite() or abs(self.price) > HIGHEST_PRICE:
            raise LocalError(f"not a price: {self.price}")


@dataclass(frozen=True, slots=True)
class Tariff:
    """Bands in order, without overlap; a minute in none of them has no price.

    start, end: wall seconds between which it is in force. A higher version of the same id supersedes.
    Raises LocalError when it ends before it starts, is below version 0 or has no band.
    """

    id: str
    version: int
    start: float
    end: float
    bands: tuple[Band, ...]

    def __post_init__(self) -> None:
        if not self.id or self.version < 0:
            raise LocalError(f"a tariff needs an id and a version from 0 on: {self.id!r}, {self.version}")
        if not self.start < self.end:
            raise LocalError(f"the tariff {self.id} ends before it starts")
        if not self.bands or any(before.end > after.start for before, after in pairwise(self.bands)):
            raise LocalError(f"the tariff {self.id} needs bands in order and without overlap")

    def prices(self) -> Prices:
        """The mean price of each period, every priced minute counting the same, to Decimal's 28 digits.

        A period without a price counts as dear as the dearest band: nobody moves there to save.
        """
        first, second, third = (self._mean(p * PERIOD, (p + 1) * PERIOD) for p in range(PERIODS))
        return first, second, third

    def price(self, minute: int) -> Decimal | None:
        """The price in force at a minute of the day, if there is one."""
        return next((band.price for band in self.bands if band.start <= minute < band.end), None)

    def _mean(self, start: int, end: int) -> Decimal:
        total, priced = Decimal(0), 0
        for band in self.bands:
            minutes = max(0, min(end, band.end) - max(start, band.start))
            total += band.price * minutes
            priced += minutes
        return total / priced if priced else max(band.price for band in self.bands)
