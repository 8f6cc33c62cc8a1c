"""How far one device believes what its neighbours announce: as far as their meters have borne it out.

A score falls with each day of which a meter has seen less than was announced, given or taken, rises again with each of
which it has not, and never falls so far that it could not. Refuses to know who reads the meters, and who may tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from gossip_ws.consensus.vector import Vector, least, shortage, surplus, zero

T = TypeVar("T")

WHOLE: Final = 1000
"""The score of who does what it announces, and of whom nothing is known."""
LEAST: Final = 100
"""A tenth is believed of anybody: who is believed nothing sells nothing, but its meter would still show whether it
gives."""
SMOOTH: Final = 4
"""A day moves the score by a fourth of the way to what that day was worth."""
NEIGHBOURS: Final = 256
"""Devices of which a score or an announcement is kept; the one that was heard of longest ago makes room."""
DAYS: Final = 3
"""Last days of which it is kept what a device has announced: so late may its meter tell."""


@dataclass(frozen=True, slots=True)
class Score:
    """Of a neighbour. gives, needs: how much of what it says that it gives, and needs, is believed, from `LEAST` to
    `WHOLE`. day: the last that it was judged by; none counts twice."""

    device: str
    gives: int = WHOLE
    needs: int = WHOLE
    day: int = -1


@dataclass(frozen=True, slots=True)
class _Announced:
    """Of a day, W by period. most: that a neighbour has announced, either way. left: what is believed of the last."""

    most: Vector
    left: Vector


class Reliance:
    """One device's, of its neighbours. `scores`: from before a crash."""

    def __init__(self, scores: Iterable[Score] = ()) -> None:
        self.scores = {score.device: score for score in scores}
        """Of all that were judged, the last one last. Not to be changed from outside."""
        self._announced: dict[str, dict[int, _Announced]] = {}

    def score(self, device: str) -> Score:
        """The present one."""
        return self.scores.get(device, Score(device))

    def heard(self, device: str, day: int, rest: Vector) -> Vector:
        """What is believed of what a neighbour says that it has left of the present day (W by period, given positive).
        What is not believed is taken off as a whole: who has agreed on the believed part has nothing left."""
        days = self._announced.pop(device, {})
        most = days[day].most if day in days else zero(len(rest))
        if len(most) != len(rest):
            most = zero(len(rest))
        most = tuple([some if abs(some) > abs(top) else top for some, top in zip(rest, most, strict=True)])
        score = self.score(device)
        if score.gives == score.needs == WHOLE:
            left = rest
        else:
            left = tuple([_believed(some, top, score) for some, top in zip(rest, most, strict=True)])
        days[day] = _Announced(most, left)
        while len(days) > DAYS:
            del days[min(days)]
        _keep(self._announced, device, days)
        return left

    def taken(self, device: str, day: int, proposed: Vector) -> Vector:
        """How much of what a neighbour proposes for the present day is taken: a share, and no more than is believed to
        be left, or who is doubted would sell the same bit by bit."""
        gives = self.score(device).gives
        if gives == WHOLE:
            return proposed
        share = tuple([max(0, watts) * gives // WHOLE for watts in proposed])
        heard = self._announced.get(device, {}).get(day)
        return least(share, surplus(heard.left)) if heard is not None and len(heard.left) == len(share) else share

    def metered(self, device: str, day: int, seen: Vector) -> Score | None:
        """A meter has seen this of a day (W by period, given positive). The score, to be kept; None where nothing is
        learned: nothing was announced of that day, or it was judged before."""
        held, heard = self.score(device), self._announced.get(device, {}).get(day)
        if day <= held.day or heard is None or not any(heard.most) or len(seen) != len(heard.most):
            return None
        gives = _judged(held.gives, surplus(heard.most), surplus(seen))
        needs = _judged(held.needs, shortage(heard.most), shortage(seen))
        score = Score(device, gives, needs, day)
        self.scores.pop(device, None)
        _keep(self.scores, device, score)
        return score


def _believed(some: int, most: int, score: Score) -> int:
    """Of what is left in a period, where `most` was announced at most."""
    share = score.gives if some > 0 else score.needs
    whole = max(most, 0) if some > 0 else max(-most, 0)
    left = max(0, abs(some) - (whole - whole * share // WHOLE))
    return left if some > 0 else -left


def _judged(before: int, announced: Vector, seen: Vector) -> int:
    """A score after a day of which so much was announced, and seen."""
    if not any(announced):
        return before
    worth = sum(least(announced, seen)) * WHOLE // sum(announced)
    after = before + (worth - before) // SMOOTH
    if worth > before:
        after = max(after, before + 1)
    return min(WHOLE, max(LEAST, after))


def _keep(kept: dict[str, T], device: str, value: T) -> None:
    kept[device] = value
    while len(kept) > NEIGHBOURS:
        del kept[next(iter(kept))]
