"""What others are told of what can be moved in time: bounds by period and in all, which hold for sums as well.

A bound is no promise: it may be larger than what can be had, and the device that is asked says so. Knows no device.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import and_
from typing import Final

from gossip_ws.consensus.vector import Vector, minus, total

WAITS: Final = "waits"
"""Needs that can wait."""
STORES: Final = "stores"
"""What storage could take."""
HOLDS: Final = "holds"
"""What storage could give."""
RETURNS: Final = "returns"
"""What storage could give in a period if it held enough by then."""
USES: Final = (WAITS, STORES, HOLDS, RETURNS)


@dataclass(frozen=True, slots=True)
class Loose:
    """use: one of `USES`. watts: the most by period, never negative; total: the most in all, W summed over periods."""

    use: str
    watts: Vector
    total: int

    @property
    def choice(self) -> float:
        """How many times as much could be had in the periods together as in all: 1 where there is no choice."""
        return sum(self.watts) / self.total if self.total > 0 else 1.0


Movable = tuple[Loose, ...]
"""One of each use at most, in the order of `USES`, and none of which nothing is left."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a device or a cluster has left: on schedule, given positive and needed negative, and what can be moved."""

    rest: Vector
    loose: Movable = ()

    def __bool__(self) -> bool:
        return bool(self.loose) or any(self.rest)

    @property
    def gives(self) -> bool:
        """In any period, on schedule or out of storage?"""
        return (max(self.rest) if self.rest else 0) > 0 or self.of(HOLDS) is not None

    @property
    def needs(self) -> bool:
        """In any period, on schedule or when it suits?"""
        return (min(self.rest) if self.rest else 0) < 0 or self.of(WAITS) is not None

    def of(self, use: str) -> Loose | None:
        for one in self.loose:
            if one.use == use:
                return one
        return None

    def could(self, use: str, period: int) -> bool:
        """Is anything left of that use in that period?"""
        one = self.of(use)
        return one is not None and one.watts[period] > 0

    def after(self, watts: Vector) -> Left:
        """What is left when so much was given (positive) and taken (negative): what is on schedule comes first, then
        what waits, then storage."""
        rest, given, taken = list(self.rest), [0] * len(watts), [0] * len(watts)
        for period, some in enumerate(watts):
            if not some:
                continue
            if some > 0:
                own = min(some, max(0, rest[period]))
                given[period] = some - own
            else:
                own = max(some, min(0, rest[period]))
                taken[period] = own - some
            rest[period] -= own
        if not self.loose:
            return Left(tuple(rest))
        # What is given counts both as held and as to be returned.
        by_use = {WAITS: taken, STORES: taken, HOLDS: list(given), RETURNS: given}
        after = [_without(one, by_use[one.use]) for one in self.loose]
        return Left(tuple(rest), movable(*after))

    def could_give(self, wanted: Vector) -> Vector:
        """As much of `wanted` as is there: what is on schedule, then what storage holds."""
        given = [0 if rest <= 0 else min(some, rest) for some, rest in zip(wanted, self.rest, strict=True)]
        if (holds := self.of(HOLDS)) is not None:
            left = holds.total
            for period, some in enumerate(wanted):
                part = min(some - given[period], holds.watts[period], left)
                given[period] += part
                left -= part
        return tuple(given)

    def since(self, before: Left) -> Vector:
        """What was given (positive) and taken (negative) since `before`, as far as it shows: where the bounds of many
        periods have fallen it may have been in any of them."""
        done = list(minus(before.rest, self.rest))
        for use in (WAITS, STORES, HOLDS):
            one, other = before.of(use), self.of(use)
            if one is None:
                continue
            sign = 1 if use == HOLDS else -1
            for period, watts in enumerate(one.watts):
                done[period] += sign * max(0, watts - (other.watts[period] if other is not None else 0))
        return tuple(done)


def movable(*ones: Loose) -> Movable:
    """Those of which anything is left, with no bound above what is left in all."""
    kept = []
    for one in ones:
        most = one.total
        if most <= 0 or not any(one.watts):
            continue
        watts = one.watts if max(one.watts) <= most else tuple([some if some < most else most for some in one.watts])
        sum_ = sum(watts)
        kept.append(one if watts is one.watts and sum_ >= most else Loose(one.use, watts, min(most, sum_)))
    return tuple(kept) if len(kept) < 2 else tuple(sorted(kept, key=_place))


def together(several: Iterable[Movable], periods: int) -> Movable:
    """Bounds of a sum: the sums of the bounds."""
    by_use: dict[str, list[Loose]] = {}
    for many in several:
        for one in many:
            by_use.setdefault(one.use, []).append(one)
    return movable(
        *(
            ones[0]
            if len(ones) == 1
            else Loose(use, total([one.watts for one in ones], periods), sum(one.total for one in ones))
            for use, ones in by_use.items()
        )
    )


def could_agree(lefts: Sequence[Left]) -> bool:
    """Is there in any period somebody who could give, and somebody who needs it then, or storage until another does?"""
    if not lefts:
        return False
    columns = list(zip(*(left.rest for left in lefts), strict=True))
    over = [max(column) > 0 for column in columns]
    needed = [min(column) < 0 for column in columns]
    if any(map(and_, over, needed)):
        return True
    movables = [left.loose for left in lefts if left.loose]
    if not movables:
        return False
    needed = _also(needed, movables, WAITS)
    if any(map(and_, _also(over, movables, HOLDS), needed)):
        return True
    for loose in movables:
        by_use = {one.use: one for one in loose}
        if STORES not in by_use or RETURNS not in by_use:
            continue
        stored = False
        bounds = zip(over, needed, by_use[STORES].watts, by_use[RETURNS].watts, strict=True)
        for is_over, is_needed, stores, returns in bounds:
            if stored and is_needed and returns:
                return True
            stored = stored or (is_over and stores > 0)
    return False


def is_sound(loose: Movable) -> bool:
    """Is it something that can be said: each use once, and nothing negative?"""
    return len({one.use for one in loose}) == len(loose) and all(
        one.use in USES and one.total >= 0 and all(some >= 0 for some in one.watts) for one in loose
    )


def _place(one: Loose) -> int:
    return USES.index(one.use)


def _also(those: list[bool], movables: Iterable[Movable], use: str) -> list[bool]:
    """Those periods, and those in which any of `movables` has anything of that use."""
    found = list(those)
    for loose in movables:
        for one in loose:
            if one.use == use:
                found = [some or watts > 0 for some, watts in zip(found, one.watts, strict=True)]
    return found


def _without(one: Loose, watts: list[int]) -> Loose:
    """The one, without as much of `watts` as it bears; that is taken out of `watts`."""
    if not any(watts):
        return one
    bounds, left = list(one.watts), one.total
    for period, some in enumerate(watts):
        if not some:
            continue
        part = min(some, bounds[period], left)
        bounds[period] -= part
        watts[period] -= part
        left -= part
    return Loose(one.use, tuple(bounds), left)
