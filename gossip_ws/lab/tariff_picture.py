"""The picture of a tariff on a grid: demand by period, and the load of each quarter hour with the peak that comes back.

Draws what was planned; plans nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gossip_ws.grid.population import Population
from gossip_ws.grid.profiles import QUARTERS
from gossip_ws.grid.tariff import PERIODS, Prices
from gossip_ws.grid.what_if import Demand, WhatIf
from gossip_ws.lab.drawing import BLUE, GREEN, GREY, ORANGE, canvas

_KINDS: Final = (("before", GREY), ("all at once", ORANGE), ("at random", BLUE))
_UNITS: Final = ((1e6, "M"), (1e3, "k"), (1.0, ""))


def draw(found: Sequence[WhatIf], prices: Prices, caption: str) -> Figure:
    """A Figure of one plan, or of the mean of several and what lies between the least and the most of them."""
    figure, (left, right) = canvas("A day before and after a tariff", caption, panels=2)
    days = [
        [one.before for one in found],
        [one.together.demand for one in found],
        [one.random.demand for one in found],
    ]
    _periods(left, days, prices)
    _load(right, days)
    return figure


def caption(population: Population, day: str, seed: int, repeat: int = 1) -> str:
    """What was planned. repeat: plans, of as many seeds from `seed` on."""
    counts = population.counts()
    runs = f"seeds {seed} to {seed + repeat - 1}: mean, least and most" if repeat > 1 else f"seed {seed}"
    return f"{population.code}, {day}; {counts.meters:,} meters, {counts.appliances:,} appliances; {runs}"


def _periods(axes: Any, days: Sequence[Sequence[Demand]], prices: Prices) -> None:
    """Wh of each period; a bar's line goes from the least to the most."""
    energies = [np.array([demand.periods for demand in of], dtype=float) for of in days]
    scale, prefix = _unit(max(one.max() for one in energies))
    width = 0.8 / len(_KINDS)
    for number, ((label, colour), energy) in enumerate(zip(_KINDS, energies, strict=True)):
        places = np.arange(PERIODS) + (number - 1) * width
        mean = energy.mean(axis=0)
        ends = np.maximum([mean - energy.min(axis=0), energy.max(axis=0) - mean], 0) / scale
        bars = {"yerr": ends, "capsize": 2} if len(energy) > 1 else {}
        axes.bar(places, mean / scale, width, label=label, color=colour, **bars)
    hours = [f"{8 * period}-{8 * period + 8} h\nprice {price:.3g}" for period, price in enumerate(prices)]
    axes.set_xticks(range(PERIODS), hours)
    axes.set_ylabel(f"demand ({prefix}Wh in the period)")
    axes.legend(loc="upper left", fontsize=9)
    axes.margins(y=0.25)


def _load(axes: Any, days: Sequence[Sequence[Demand]]) -> None:
    """The mean of each quarter hour, and the highest of them."""
    loads = [np.array([demand.watts for demand in of]) for of in days]
    scale, prefix = _unit(max(one.max() for one in loads))
    hours = np.arange(QUARTERS + 1) / 4
    for (label, colour), load in zip(_KINDS, loads, strict=True):
        mean = load.mean(axis=0) / scale
        highest = int(mean.argmax())
        peak = f"{label}: {mean[highest]:.1f} {prefix}W at {highest // 4:02}:{highest % 4 * 15:02}"
        axes.step(hours, _closed(mean), where="post", color=colour, label=peak, linewidth=1.4)
        axes.plot(highest / 4 + 0.125, mean[highest], marker="o", color=colour, markersize=6, zorder=3)
        if len(load) > 1:
            least, most = load.min(axis=0) / scale, load.max(axis=0) / scale
            axes.fill_between(hours, _closed(least), _closed(most), step="post", color=colour, alpha=0.2, linewidth=0)
    for boundary in range(8, 24, 8):
        axes.axvline(boundary, color=GREEN, linestyle=":", linewidth=1)
    axes.set_xlim(0, 24)
    axes.set_xticks(range(0, 25, 4))
    # Room for what the peaks are.
    axes.set_ylim(0, 1.3 * max(one.max() for one in loads) / scale)
    axes.legend(loc="upper right", fontsize=9)
    axes.set_xlabel("hour of the day")
    axes.set_ylabel(f"load ({prefix}W, mean of a quarter hour)")


def _closed(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """With the last value once more, so that the last step has a width."""
    return np.append(steps, steps[-1])


def _unit(most: float) -> tuple[float, str]:
    """What to divide by, and its prefix."""
    return next((unit for unit in _UNITS if most >= unit[0]), _UNITS[-1])
