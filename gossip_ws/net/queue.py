"""Frames that wait, to be handled or to be sent: bounded, by class, the urgent first. Knows no socket and no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from gossip_ws.kernel.terms import Priority
from gossip_ws.ports import Frame
from gossip_ws.wire.priority import claimed_priority

FAIR: Final = 8
"""Of so many frames taken, one is that which has waited longest, whatever its class: nothing waits for ever."""

T = TypeVar("T")


class FrameQueue(Generic[T]):
    """At most `most` frames of `octets` in all, each with its `T`, where it came from or goes to.

    Within a class first come, first served. When it is full, the newest frame of the least urgent class goes.
    A frame for many targets in a row is held, and its octets counted, once.
    """

    def __init__(self, most: int, octets: int) -> None:
        self._most = most
        self._most_octets = octets
        self._lanes: Final[tuple[deque[tuple[int, int, Frame, T]], ...]] = tuple(deque() for _ in Priority)
        self._arrived = 0
        self._taken = 0
        self._count = 0
        self._octets = 0

    def __len__(self) -> int:
        return self._count

    @property
    def octets(self) -> int:
        return self._octets

    def ahead(self, priority: Priority) -> int:
        """How many go before one of this class that comes now."""
        return sum(len(self._lanes[urgent]) for urgent in range(priority + 1))

    def push(self, frame: Frame, about: T) -> Sequence[Priority]:
        """Let it wait. The classes of those that had to go for it, which may be itself; mostly none."""
        lane = self._lanes[claimed_priority(frame)]
        # The same octets again, for one more target.
        octets = 0 if lane and lane[-1][2] is frame else len(frame)
        self._arrived += 1
        lane.append((self._arrived, octets, frame, about))
        self._count += 1
        self._octets += octets
        if self._count <= self._most and self._octets <= self._most_octets:
            return ()
        gone = []
        while self._count and (self._count > self._most or self._octets > self._most_octets):
            least = max(priority for priority in Priority if self._lanes[priority])
            self._octets -= self._lanes[least].pop()[1]
            self._count -= 1
            gone.append(least)
        return gone

    def pop(self) -> tuple[Frame, T]:
        """The next one. Raises IndexError when nothing waits."""
        self._taken += 1
        waiting = [lane for lane in self._lanes if lane]
        lane = waiting[0]
        if self._taken % FAIR == 0:
            lane = min(waiting, key=lambda lane: lane[0][0])
        _, octets, frame, about = lane.popleft()
        self._count -= 1
        self._octets -= octets
        return frame, about

    def clear(self) -> None:
        for lane in self._lanes:
            lane.clear()
        self._count = self._octets = 0
