"""Whose turn it is where not all can be served: who was served longest ago, period by period.

A cluster takes its place again and again, for each who needs something in it: when the first of them has its share, the
next is the one that is reckoned to have waited second longest. Knows no feeder and no message but how somebody has
fared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gossip_ws.consensus.messages import Served

MOST: Final = 64
"""Turns of a cluster before it has had all; of a larger one each turn is that of several."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Who it is, and how well it has fared."""

    name: str
    served: Served


class Turns:
    """Of all these, by their numbers."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._names = [turn.name for turn in turns]
        self._served = [turn.served for turn in turns]
        self._waiting: dict[int, deque[int]] = {}
        self._given = [0] * len(turns)

    def sort(self, numbers: list[int]) -> None:
        """Who goes first comes first."""
        numbers.sort(key=lambda number: (self._served[number], self._names[number]))

    def give(self, number: int, watts: int, needed: int, at: int) -> None:
        """So much of what it needed it is given in a period; at: of the period, counted over all days."""
        before = self._served[number]
        if before.many <= 1:
            self._served[number] = Served(max(before.last, at), before.times + 1)
            return
        waiting = self._waiting.get(number)
        if waiting is None:
            waiting = self._waiting[number] = _waiting(before, at)
        self._given[number] += watts * len(waiting)
        while self._given[number] >= needed:
            self._given[number] -= needed
            waiting.popleft()
            waiting.append(at)
        self._served[number] = Served(waiting[0], before.times, before.many, before.later)


def _waiting(served: Served, at: int) -> deque[int]:
    """When each of them was last given something, reckoned from who waited longest and from all together: evenly apart,
    and not after `at`."""
    count = min(served.many, MOST)
    return deque(
        min(served.last + 2 * max(0, served.later) * number // (served.many * (count - 1)), max(at, served.last))
        for number in range(count)
    )
