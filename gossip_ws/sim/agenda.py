"""What is due in a simulation, in order of time. It refuses to know what that is."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator
from math import floor
from typing import Any, Final

_PER_SECOND: Final = 1_000
"""Slots in a second: a frame travels for some milliseconds, so that few things come into the slot at hand."""

Due = tuple[float, int, Callable[..., None], tuple[Any, ...]]
"""When (s), its number, and what was put in. Of two at once the one that was put in first comes first."""


class Agenda:
    """A heap of slots in time, and one heap of what is due in the slot at hand.

    With ten thousand frames on their way, one heap of them all is several times as slow: each step through it goes to
    another place in memory.
    """

    def __init__(self) -> None:
        self._count = 0
        self._later: defaultdict[int, list[Due]] = defaultdict(list)
        self._slots: list[int] = []
        self._slot = -1
        self._now: list[Due] = []

    def put(self, time: float, callback: Callable[..., None], *arguments: Any) -> None:
        self._count += 1
        due = (time, self._count, callback, arguments)
        slot = floor(time * _PER_SECOND)
        if slot <= self._slot:
            heapq.heappush(self._now, due)
            return
        entries = self._later[slot]
        if not entries:
            heapq.heappush(self._slots, slot)
        entries.append(due)

    def until(self, time: float) -> Iterator[Due]:
        """Takes out what is due up to `time` (s), one by one; what is put in meanwhile has its turn."""
        while True:
            if not self._now:
                if not self._slots:
                    return
                self._slot = heapq.heappop(self._slots)
                self._now = self._later.pop(self._slot)
                heapq.heapify(self._now)
            if self._now[0][0] > time:
                return
            yield heapq.heappop(self._now)
