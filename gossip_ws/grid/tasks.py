"""Scheduled tasks, and where a tariff moves them.

An IED announces energy, duration and the time by which it must be done (seed 002 section III.B); a period
of 8 hours is what is announced, so periods are what it compares. Pure.

What each kind of device makes of its day is an assumption, written at its function: SimBench says when
energy was used, not what could have waited. A day is planned as a whole and taken to be like the one after:
what moves to the night moves to that of the same date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.tariff import DAY, PERIOD, PERIODS, Prices, Tariff
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError

Periods = tuple[int, int, int]
"""Whole Wh of the periods from 0, 8 and 16 o'clock."""

PREHEATING: Final = 30
"""Percent of a heat pump's energy that its building's warmth lets run up to a period earlier. Cautious: what
a heavy floor or a buffer tank of a few hundred litres holds for some hours."""
PREHEATING_SECONDS: Final = 2 * 3600
WHITE_GOODS: Final = 10
"""Percent of a household's energy that washes, dries and rinses, and may wait."""
WHITE_GOODS_SECONDS: Final = 2 * 3600
WHITE_GOODS_HOURS: Final = (6, 22)
"""Not while the house sleeps."""
WORKING_HOURS: Final = (6, 18)
"""A car at work is charged while it stands there."""


@dataclass(frozen=True, slots=True)
class Task:
    """One run of an appliance: `energy` Wh in `duration` s without a break, at even power.

    It can start at minute `ready` and is done by minute `finish_by` of the day. `own` is how its energy
    falls on the periods when no tariff moves it. Raises LocalError when that is not the same energy, lies
    outside of the window, or the run does not fit in it.
    """

    kind: Kind
    energy: int
    duration: int
    own: Periods
    ready: int = 0
    finish_by: int = DAY

    def __post_init__(self) -> None:
        if self.energy < 0 or min(self.own) < 0 or sum(self.own) != self.energy:
            raise LocalError(f"a task of {self.energy} Wh cannot use {self.own}")
        if not 0 <= self.ready < self.finish_by <= DAY:
            raise LocalError(f"no window from minute {self.ready} to {self.finish_by}")
        if not 0 < self.minutes <= self.finish_by - self.ready:
            raise LocalError(f"{self.duration} s do not fit between minute {self.ready} and {self.finish_by}")
        if any(wh and not self.allows(period) for period, wh in enumerate(self.own)):
            raise LocalError(f"the task's own periods {self.own} are outside of its window")

    @property
    def minutes(self) -> int:
        """The duration in minutes, rounded up."""
        return -(-self.duration // 60)

    def allows(self, period: int) -> bool:
        """Does the window reach into the period?"""
        return self.ready < (period + 1) * PERIOD and period * PERIOD < self.finish_by

    def run(self, start: int) -> Periods:
        """The Wh of each period when it starts at a minute of the day; they always add up to `energy`."""
        begun = [max(0, min(self.minutes, period * PERIOD - start)) for period in range(PERIODS)] + [self.minutes]
        spent = [self.energy * minutes // self.minutes for minutes in begun]
        # Wh are split where the period ends, each boundary rounded down once.
        first, second, third = (after - before for before, after in pairwise(spent))
        return first, second, third

    def starts(self) -> Iterator[int]:
        """The starts worth trying, earliest first: between two of these the cost is a straight line."""
        last = self.finish_by - self.minutes
        edges = (edge for period in range(PERIODS) for edge in (period * PERIOD, period * PERIOD - self.minutes))
        yield from sorted({self.ready, last, *(edge for edge in edges if self.ready < edge < last)})


def cost(energy: Periods, prices: Prices) -> Decimal:
    """What Wh by period cost, in the tariff's currency."""
    return sum((wh * price for wh, price in zip(energy, prices, strict=True)), start=Decimal(0)) / 1000


def place(tasks: Iterable[Task], tariff: Tariff | None) -> Periods:
    """Wh by period of all tasks: each where it is cheapest, or in its own periods without a tariff.

    Energy is conserved to the Wh. A task that gains nothing stays where it is; of equals, the earliest.
    """
    prices = tariff.prices() if tariff else None
    total = [0] * PERIODS
    for task in tasks:
        for period, wh in enumerate(placed(task, prices)):
            total[period] += wh
    first, second, third = total
    return first, second, third


def placed(task: Task, prices: Prices | None) -> Periods:
    """Where one task goes; never dearer than its own periods."""
    spans = cheapest(task, prices) if prices is not None else ()
    return task.run(spans[0].start) if spans else task.own


def cheapest(task: Task, prices: Prices) -> tuple[range, ...]:
    """The minutes of the day at which it is cheapest to start a task, earliest first; none if it gains nothing by that
    and stays where it is."""
    if task.ready // PERIOD == (task.finish_by - 1) // PERIOD:
        # Its window lies in one period: wherever it runs, that is where its energy is.
        return ()
    starts = tuple(task.starts())
    costs = [cost(task.run(start), prices) for start in starts]
    least = min(costs)
    if least >= cost(task.own, prices):
        return ()
    spans = []
    for number, start in enumerate(starts):
        if costs[number] == least:
            # The cost is a straight line up to the next start: where both ends are cheapest, so is all between them.
            is_level = number + 1 < len(starts) and costs[number + 1] == least
            spans.append(range(start, starts[number + 1] if is_level else start + 1))
    return tuple(spans)


def drawn(task: Task, prices: Prices, spans: tuple[range, ...], dice: Dice) -> int:
    """One minute of those that `cheapest` found, each as likely as another: so that not everybody starts at once where
    the cheap hours begin."""
    number = int(dice.random() * sum(map(len, spans)))
    for span in spans:
        if number < len(span):
            break
        number -= len(span)
    # A run over two boundaries rounds down a Wh at each: between two cheapest starts it may be dearer by that.
    least = cost(task.run(spans[0].start), prices)
    return span[number] if cost(task.run(span[number]), prices) == least else spans[0].start


def tasks_of(kind: Kind, energy: Periods, power: int) -> tuple[Task, ...]:
    """The tasks that a device announces for a day on which its profile uses `energy`, at `power` W when it runs.

    A device that feeds in announces no task: demand is what it requires of others, and its own making
    stands in what it measures.
    """
    match kind:
        case Kind.PHOTOVOLTAIC | Kind.STORAGE:
            return ()
        case Kind.HOME_CHARGER:
            return _charging(kind, energy, power, 0, DAY)
        case Kind.WORK_CHARGER:
            return _charging(kind, energy, power, WORKING_HOURS[0] * 60, WORKING_HOURS[1] * 60)
        case Kind.HEAT_PUMP:
            return tuple(_heating(energy))
        case Kind.HOUSEHOLD:
            return tuple(_household(energy))
        case Kind.BUSINESS | Kind.FARM:
            return tuple(_fixed(kind, energy))


def _fixed(kind: Kind, energy: Periods) -> Iterator[Task]:
    """What cannot wait: as many tasks as periods, each filling its own."""
    for period, wh in enumerate(energy):
        if wh:
            yield Task(kind, wh, PERIOD * 60, _only(period, wh), period * PERIOD, (period + 1) * PERIOD)


def _charging(kind: Kind, energy: Periods, power: int, ready: int, finish_by: int) -> tuple[Task, ...]:
    """All of a day's charging is one task, at the charger's power, any time that the car stands there."""
    total = sum(energy)
    if not total:
        return ()
    seconds = -(-total * 3600 // max(1, power))
    return (Task(kind, total, min(seconds, (finish_by - ready) * 60), energy, ready, finish_by),)


def _heating(energy: Periods) -> Iterator[Task]:
    """`PREHEATING` percent of each period's heat may be made up to one period before it is needed."""
    early = [wh * PREHEATING // 100 for wh in energy]
    first, second, third = (wh - some for wh, some in zip(energy, early, strict=True))
    yield from _fixed(Kind.HEAT_PUMP, (first, second, third))
    for period, wh in enumerate(early):
        if wh:
            ready = max(0, period - 1) * PERIOD
            yield Task(Kind.HEAT_PUMP, wh, PREHEATING_SECONDS, _only(period, wh), ready, (period + 1) * PERIOD)


def _household(energy: Periods) -> Iterator[Task]:
    """`WHITE_GOODS` percent is one wash programme a day, between 6 and 22 o'clock; the rest cannot wait.

    SimBench has no white goods of their own: the meter, which knows the household, announces for them.
    """
    first, second, third = washing = tuple(wh * WHITE_GOODS // 100 for wh in energy)
    yield from _fixed(Kind.HOUSEHOLD, (energy[0] - first, energy[1] - second, energy[2] - third))
    if total := sum(washing):
        start, end = WHITE_GOODS_HOURS
        yield Task(Kind.HOUSEHOLD, total, WHITE_GOODS_SECONDS, (first, second, third), start * 60, end * 60)


def _only(period: int, wh: int) -> Periods:
    first, second, third = (wh if k == period else 0 for k in range(PERIODS))
    return first, second, third
