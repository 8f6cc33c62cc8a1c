"""What a device can move in time: needs that can wait within a window, and storage. What fits beside all that it has
promised already is worked out here, for the device alone: nobody else's word counts.

Energy is W summed over periods, in whole numbers. Storage gives back all that it takes. Knows no message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from gossip_ws.consensus.loose import HOLDS, RETURNS, STORES, WAITS, Loose, Movable, movable
from gossip_ws.consensus.share import assign, fill
from gossip_ws.consensus.vector import Vector, minus


@dataclass(frozen=True, slots=True)
class Need:
    """`energy` in all, at most `most` W in a period, from period `since` to before `finish_by`."""

    energy: int
    most: int
    since: int
    finish_by: int

    def bounds(self, periods: int) -> Vector:
        """The most by period."""
        return tuple([self.most if self.since <= period < self.finish_by else 0 for period in range(periods)])


@dataclass(frozen=True, slots=True)
class Storage:
    """Holds `initial` before the first period, and at the end of each something from 0 to `capacity`. charge,
    discharge: the most W that go in and come out in a period."""

    capacity: int
    charge: int
    discharge: int
    initial: int = 0


@dataclass(frozen=True, slots=True)
class Ability:
    """Of one device, beside its schedule."""

    needs: tuple[Need, ...] = ()
    storage: Storage | None = None

    def __bool__(self) -> bool:
        return bool(self.needs) or self.storage is not None


RIGID = Ability()
"""Nothing can wait, and nothing is stored."""


def as_object(ability: Ability) -> dict[str, Any]:
    """As an instance has it: `flexible` and `storage`, where they are."""
    told: dict[str, Any] = {}
    if ability.needs:
        told["flexible"] = [
            {"energy": need.energy, "most_watts": need.most, "from": need.since, "finish_by": need.finish_by}
            for need in ability.needs
        ]
    if (storage := ability.storage) is not None:
        told["storage"] = {
            "capacity": storage.capacity,
            "charge_watts": storage.charge,
            "discharge_watts": storage.discharge,
            "initial": storage.initial,
        }
    return told


def from_object(told: Mapping[str, Any]) -> Ability:
    """From that, after it was held against the schema."""
    needs = tuple(
        Need(need["energy"], need["most_watts"], need["from"], need["finish_by"]) for need in told.get("flexible", ())
    )
    store = told.get("storage")
    if store is None:
        return Ability(needs)
    return Ability(
        needs, Storage(store["capacity"], store["charge_watts"], store["discharge_watts"], store.get("initial", 0))
    )


class Waiting:
    """Needs of one device, of which `took` has been promised: W by period, in whatever way it serves them best."""

    def __init__(self, needs: Sequence[Need], took: Vector) -> None:
        periods = len(took)
        self._wants = [Loose(WAITS, need.bounds(periods), need.energy) for need in needs]
        self._found = assign(took, self._wants)
        self._took = took

    def more(self, offered: Vector) -> Vector:
        """As much of `offered` as they can take besides."""
        left = list(offered)
        fill(left, self._wants, [list(row) for row in self._found])
        return minus(offered, tuple(left))

    def left(self) -> Loose:
        """The most by period, and in all."""
        total = max(0, sum(want.total for want in self._wants) - sum(self._took))
        tops = [sum(column) for column in zip(*(want.watts for want in self._wants), strict=True)]
        bounds = [min(total, max(0, top - took)) for top, took in zip(tops, self._took, strict=True)]
        if len(self._wants) > 1:
            # What one need has left does not serve another's window.
            bounds = [
                some and self.more(_only(period, some, len(bounds)))[period] for period, some in enumerate(bounds)
            ]
        return Loose(WAITS, tuple(bounds), total)


class Store:
    """A storage with what was promised. settled: taken for certain; taken: with what may yet be released; given: for
    certain; promised: with what may yet be declined. Its level stays within bounds whatever becomes of all these."""

    def __init__(self, storage: Storage, settled: Vector, taken: Vector, given: Vector, promised: Vector) -> None:
        self._charge = tuple([max(0, storage.charge - some) for some in taken])
        self._discharge = tuple([max(0, storage.discharge - some) for some in promised])
        low = accumulate(minus(settled, promised), initial=storage.initial)
        high = accumulate(minus(taken, given), initial=storage.initial)
        self._held = _from_here(list(low)[1:])
        room = _from_here([storage.capacity - level for level in list(high)[1:]])
        self._end = room[-1]
        # What could not come out afterwards, beside what is there and promised to nobody, would only be in the way.
        later = list(accumulate(self._discharge[:0:-1], initial=0))[::-1]
        useful = [max(0, most - held) for most, held in zip(later, self._held, strict=True)]
        self._room = tuple(map(min, room, useful))

    def charged(self, offered: Vector) -> Vector:
        """As much of `offered` as finds room, from that period to the end, and could come out again."""
        return _drawn(offered, self._charge, self._room)

    def discharged(self, wanted: Vector) -> Vector:
        """As much of `wanted` as is there in that period and not promised for a later one."""
        return _drawn(wanted, self._discharge, self._held)

    def left(self) -> Movable:
        """What it could take, what it could give, and what it could if it held enough."""
        takes = tuple(map(min, self._charge, self._room))
        gives = tuple(map(min, self._discharge, self._held))
        # What goes in or comes out at any time is there, or missing, at the end.
        returns = Loose(RETURNS, self._discharge, sum(self._discharge))
        return movable(Loose(STORES, takes, self._end), Loose(HOLDS, gives, self._held[-1]), returns)


def _only(period: int, watts: int, periods: int) -> Vector:
    return tuple([watts if number == period else 0 for number in range(periods)])


def _from_here(levels: Sequence[int]) -> tuple[int, ...]:
    """The least from each period to the last; never below 0."""
    return tuple(accumulate([max(0, level) for level in reversed(levels)], min))[::-1]


def _drawn(wanted: Vector, most: Vector, there: Sequence[int]) -> Vector:
    drawn: list[int] = []
    for some, top, level in zip(wanted, most, there, strict=True):
        # What was drawn in an earlier period is missing in all later ones.
        drawn.append(max(0, min(some, top, level - sum(drawn))))
    return tuple(drawn)
