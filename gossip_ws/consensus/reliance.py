"""How far one device believes what its neighbours announce to give: as far as their meters have borne it out.

A score falls with each day on which a meter has seen less than was announced, rises again with each on which it has
not, and never falls so far that it could not. Refuses to know who reads the meters: that is told from outside.
"""

from __future__ import annotations

from typing import Final, TypeVar

from gossip_ws.consensus.vector import Vector, surplus, zero

T = TypeVar("T")

WHOLE: Final = 1000
"""The score of who does what it announces, and of whom nothing is known."""
LEAST: Final = 100
"""A tenth is believed of anybody: who is believed nothing sells nothing, but its meter would still show whether it
gives."""
SMOOTH: Final = 4
"""A day moves the score by a fourth of the way to what that day was worth."""
NEIGHBOURS: Final = 256
"""Devices of which a score or an announcement is kept; the first that was heard of makes room."""


class Reliance:
    """One device's, of its neighbours."""

    def __init__(self) -> None:
        self._scores: dict[str, int] = {}
        self._announced: dict[str, Vector] = {}

    def score(self, device: str) -> int:
        """From `LEAST` to `WHOLE`."""
        return self._scores.get(device, WHOLE)

    def heard(self, device: str, rest: Vector) -> Vector:
        """What is believed of what a neighbour says that it has left (W by period, given positive). What is not
        believed is taken off as a whole: who has sold the believed part has nothing left."""
        most = self._announced.get(device, zero(len(rest)))
        if len(most) != len(rest):
            most = zero(len(rest))
        most = tuple(map(max, most, surplus(rest)))
        _keep(self._announced, device, most)
        score = self.score(device)
        if score == WHOLE:
            return rest
        doubted = [top - top * score // WHOLE for top in most]
        return tuple([max(0, some - less) if some > 0 else some for some, less in zip(rest, doubted, strict=True)])

    def taken(self, device: str, proposed: Vector) -> Vector:
        """How much of what a neighbour proposes is taken."""
        score = self.score(device)
        return proposed if score == WHOLE else tuple([max(0, watts) * score // WHOLE for watts in proposed])

    def metered(self, device: str, given: Vector) -> None:
        """What the meter has seen of a day (W by period, given positive); the next day's announcements count anew."""
        announced = self._announced.pop(device, ())
        if not any(announced) or len(given) != len(announced):
            return
        done = sum(min(max(0, some), most) for some, most in zip(given, announced, strict=True))
        before, worth = self.score(device), done * WHOLE // sum(announced)
        after = before + (worth - before) // SMOOTH
        if worth > before:
            after = max(after, before + 1)
        if after >= WHOLE:
            self._scores.pop(device, None)
        else:
            _keep(self._scores, device, max(LEAST, after))


def _keep(kept: dict[str, T], device: str, value: T) -> None:
    kept[device] = value
    while len(kept) > NEIGHBOURS:
        del kept[next(iter(kept))]
