"""What a tariff would make of a population's day: who moves, what it saves, and what peak comes of it.

The plan is `grid.tasks`', the same that an appliance makes for itself. Here it is made for everybody at once, and put
on a curve of quarter hours: the sum over a period does not show that all of it began in the same minute. Knows no
device that runs, no network and no clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, chain
from random import Random
from typing import Final

from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.population import Appliance, Meter, Population
from gossip_ws.grid.profiles import QUARTERS, Jitter
from gossip_ws.grid.tariff import DAY, PERIODS, Prices
from gossip_ws.grid.tasks import Periods, Task, cheapest, cost, drawn, tasks_of

GRID: Final = "1-MVLV-rural-all-2-sw"
SAMPLE_DAY: Final = "2016-01-20"
"""A working day in winter on which many of the grid's cars are charged."""
_LENGTH: Final = QUARTERS // PERIODS
_MINUTES: Final = DAY // QUARTERS
"""Of a quarter hour."""
_NOTHING: Final[Periods] = (0, 0, 0)
_A_WATT: Final = 1.0
"""Less than this is no rise but the rounding of sums."""


@dataclass(frozen=True, slots=True)
class Peak:
    """W, the mean of a quarter hour; and which one of the day, 0 to 95."""

    watts: float
    quarter: int


@dataclass(frozen=True, slots=True)
class Demand:
    """A day of all devices that announce tasks. periods: whole Wh of each. watts: the mean of each quarter hour. cost:
    at the tariff's prices, in its currency."""

    periods: Periods
    watts: tuple[float, ...]
    cost: Decimal

    @property
    def peak(self) -> Peak:
        """The highest quarter hour, the first of equals."""
        watts = max(self.watts)
        return Peak(watts, self.watts.index(watts))


@dataclass(frozen=True, slots=True)
class Share:
    """What one kind of device does of it. moved: Wh that are in another period than before, of `moving` tasks that
    start when the tariff says."""

    tasks: int
    moving: int
    before: Periods
    after: Periods
    moved: int


@dataclass(frozen=True, slots=True)
class Shift:
    """The day under a tariff. rebound: the highest quarter hour among those in which more is used than before; None
    where there is none."""

    demand: Demand
    rebound: Peak | None
    kinds: Mapping[Kind, Share]

    @property
    def moved(self) -> int:
        """Wh that are in another period than before."""
        return sum(share.moved for share in self.kinds.values())

    @property
    def moving(self) -> int:
        """Tasks that start when the tariff says."""
        return sum(share.moving for share in self.kinds.values())


@dataclass(frozen=True, slots=True)
class WhatIf:
    """before: everybody as their profiles have it. together: whoever gains by it starts in the first of its cheapest
    minutes, as appliances do. random: in any of its cheapest minutes, drawn by a seed."""

    before: Demand
    together: Shift
    random: Shift


def what_if(population: Population, day: str, prices: Prices, seed: int) -> WhatIf:
    """Plan the day of everybody in `population` under `prices`.

    seed: how devices depart from their profiles (`Jitter`), as in the city, and the random starts. A task that stays
    follows its device's own profile; one that moves runs at even power from its start. Raises LocalError for a day
    that has no profiles.
    """
    dice = Random(f"starts/{seed}")
    own: list[_Placed] = []
    together: list[_Placed] = []
    spread: list[_Placed] = []
    for task, shape in _announced(population, day, seed):
        stays = _Placed(task, shape, task.own)
        own.append(stays)
        spans = cheapest(task, prices)
        for placed, start in (
            (together, spans[0].start if spans else None),
            (spread, drawn(task, prices, spans, dice) if spans else None),
        ):
            placed.append(stays if start is None else _Placed(task, shape, task.run(start), start))
    before = _demand(own, prices)
    return WhatIf(before, _shift(together, before, prices), _shift(spread, before, prices))


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """How a day's energy falls on its quarter hours, in any unit. The same one for all devices that have it."""

    quarters: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A task of a device whose day has `shape`. start: the minute, None where the profile has it. periods: its Wh."""

    task: Task
    shape: _Shape
    periods: Periods
    start: int | None = None


def _announced(population: Population, day: str, seed: int) -> Iterator[tuple[Task, _Shape]]:
    shapes: dict[tuple[str, int], _Shape] = {}
    devices: Iterator[Meter | Appliance] = chain(population.meters(), population.appliances())
    for device in devices:
        jitter = Jitter.draw(seed, device.scope)
        energy = population.profiles.energy(device.profile, day, device.power, jitter)
        key = device.profile, jitter.quarters
        if key not in shapes:
            # A device may feed in for an hour of a period in which it mostly uses; what it announces is what it uses.
            turned = jitter.turned(population.profiles.day(device.profile, day))
            shapes[key] = _Shape(tuple(max(0, value) for value in turned))
        for task in tasks_of(device.kind, energy, device.power):
            yield task, shapes[key]


def _shift(placed: Sequence[_Placed], before: Demand, prices: Prices) -> Shift:
    demand = _demand(placed, prices)
    more = [q for q, (now, was) in enumerate(zip(demand.watts, before.watts, strict=True)) if now - was > _A_WATT]
    highest = max(more, key=lambda q: demand.watts[q], default=None)
    rebound = Peak(demand.watts[highest], highest) if highest is not None else None
    by_kind: dict[Kind, list[_Placed]] = defaultdict(list)
    for one in placed:
        by_kind[one.task.kind].append(one)
    return Shift(demand, rebound, {kind: _share(by_kind[kind]) for kind in Kind if kind in by_kind})


def _share(placed: Sequence[_Placed]) -> Share:
    moving = [one for one in placed if one.start is not None]
    moved = sum(max(0, now - was) for one in moving for now, was in zip(one.periods, one.task.own, strict=True))
    before, after = _total(one.task.own for one in placed), _total(one.periods for one in placed)
    return Share(len(placed), len(moving), before, after, moved)


def _demand(placed: Sequence[_Placed], prices: Prices) -> Demand:
    periods = _total(one.periods for one in placed)
    return Demand(periods, _watts(placed), cost(periods, prices))


def _watts(placed: Sequence[_Placed]) -> tuple[float, ...]:
    """The mean power of each quarter hour."""
    # What stays is first added up by shape, of which there are few: 96 steps for each device would take seconds.
    staying: dict[_Shape, list[int]] = defaultdict(lambda: [0] * PERIODS)
    # W that come (or, negative, go) at each minute.
    steps = [0.0] * (DAY + 1)
    for one in placed:
        task = one.task
        if one.start is None:
            energy = staying[one.shape]
            for period, wh in enumerate(task.own):
                energy[period] += wh
        else:
            watts = task.energy * 60 / task.minutes
            steps[one.start] += watts
            steps[one.start + task.minutes] -= watts
    minutes = list(accumulate(steps))
    total = [sum(minutes[q * _MINUTES : (q + 1) * _MINUTES]) / _MINUTES for q in range(QUARTERS)]
    for shape, energy in staying.items():
        for period, wh in enumerate(energy):
            quarters = range(period * _LENGTH, (period + 1) * _LENGTH)
            # Wh of a quarter hour are four times as many W.
            share = 4 * wh / (sum(shape.quarters[q] for q in quarters) or 1)
            for q in quarters:
                total[q] += share * shape.quarters[q]
    return tuple(total)


def _total(many: Iterable[Periods]) -> Periods:
    first, second, third = map(sum, zip(_NOTHING, *many, strict=True))
    return first, second, third
