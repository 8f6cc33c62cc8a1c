"""What a device uses over a day: whole Wh of each 8-hour period, from a profile of quarter hours.

Knows profiles by name and days by date; knows no device, no tariff and no clock.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import accumulate
from random import Random
from typing import Any, Final

from gossip_ws.kernel.errors import LocalError

QUARTERS: Final = 96
"""Quarter hours of a day."""
PERIODS: Final = 3
"""8-hour periods of a day (seed 002 section III.B)."""

Periods = tuple[int, int, int]
"""Whole Wh from 0 to 8, 8 to 16 and 16 to 24 o'clock."""


@dataclass(frozen=True, slots=True)
class Jitter:
    """How one device departs from its profile, of which there are few: by size and by a shift in time.

    permille: of the profile's power; quarters: later (or, negative, earlier), the day taken as a circle.
    """

    permille: int = 1000
    quarters: int = 0

    @classmethod
    def draw(cls, seed: int, scope: str, *, permille: int = 150, quarters: int = 4) -> Jitter:
        """A device's own: up to 15 % more or less and an hour earlier or later, the same for the same seed."""
        dice = Random(f"jitter/{seed}/{scope}")
        return cls(1000 + dice.randint(-permille, permille), dice.randint(-quarters, quarters))

    def turned(self, day: array[int]) -> array[int]:
        """A day's values, shifted in time."""
        k = -self.quarters % QUARTERS
        return day[k:] + day[:k]


NONE: Final = Jitter()


@dataclass(frozen=True, slots=True)
class Profiles:
    """Power over time by profile name, in steps of 1/`resolution` of a device's rated power.

    days: the dates covered, `YYYY-MM-DD`, in the order of `series`, each 96 values.
    """

    days: tuple[str, ...]
    resolution: int
    series: Mapping[str, array[int]] = field(repr=False)

    @classmethod
    def read(cls, data: Any) -> Profiles:
        """From a grid file's `profiles`. Raises ValueError, KeyError or TypeError when it is malformed."""
        starts = [date.fromisoformat(week) for week in data["weeks"]]
        days = tuple((start + timedelta(days=k)).isoformat() for start in starts for k in range(7))
        # An array holds what JSON's integers would take nine times the memory for.
        series = {name: array("h", accumulate(steps)) for name, steps in data["differences"].items()}
        if not days or any(len(values) != len(days) * QUARTERS for values in series.values()) or data["resolution"] < 1:
            raise ValueError("a profile of the wrong length")
        return cls(days, data["resolution"], series)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.series)

    def day(self, name: str, day: str) -> array[int]:
        """The 96 values of a day. Raises LocalError when the profile or the day is not there."""
        if name not in self.series:
            raise LocalError(f"no profile {name!r}")
        if day not in self.days:
            raise LocalError(f"no profiles for {day!r}; there are {self.days[0]} to {self.days[-1]}, one week a season")
        start = self.days.index(day) * QUARTERS
        return self.series[name][start : start + QUARTERS]

    def power(self, name: str, day: str, quarter: int, rated: int, jitter: Jitter = NONE) -> float:
        """Mean W over one quarter hour, 0 to 95, of a device of `rated` W."""
        steps = self.day(name, day)[(quarter - jitter.quarters) % QUARTERS]
        return steps * rated * jitter.permille / (1000 * self.resolution)

    def energy(self, name: str, day: str, rated: int, jitter: Jitter = NONE) -> Periods:
        """Whole Wh of each 8-hour period of a day, of a device of `rated` W.

        Summed in whole numbers and rounded once, half up, so the same on every machine; never negative.
        """
        turned = jitter.turned(self.day(name, day))
        # A quarter hour of one step is rated / (4 * resolution) Wh.
        unit = 4 * 1000 * self.resolution
        length = QUARTERS // PERIODS
        first, second, third = (
            max(0, (sum(turned[p * length : (p + 1) * length]) * rated * jitter.permille * 2 + unit) // (2 * unit))
            for p in range(PERIODS)
        )
        return first, second, third
