"""A link that carries so many octets a second: what comes faster waits in line, and what finds no room is dropped.

It refuses to know who sends, and what.
"""

from __future__ import annotations

from gossip_ws.kernel.errors import LocalError


class Bottleneck:
    """One direction of a link. `rate`: octets a second. `room`: octets that wait at most."""

    def __init__(self, rate: float, room: float) -> None:
        if rate <= 0 or room < 0:
            raise LocalError("a link carries something, and its room is not negative")
        self._rate = rate
        self._room = room
        self._free_at = 0.0
        self.passed = 0
        self.dropped = 0

    def take(self, octets: int, now: float) -> float | None:
        """Seconds until what comes at `now` is through, in the order of arrival; None: there is no room for it."""
        waiting = max(self._free_at - now, 0.0)
        if waiting * self._rate + octets > self._room:
            self.dropped += 1
            return None
        self.passed += 1
        takes = waiting + octets / self._rate
        self._free_at = now + takes
        return takes
