"""What a device may still send for reports, so that a tick costs it no more than so many envelopes of all kinds.

A bucket that fills with the time and is emptied by whatever the device sends. Membership, repair and answers go out
when they must. Reports get what these have left, give back what these took beyond it, and wait for some ticks if too
little is left. So reports never bring what was sent since the start above what the ticks so far have room for, and
since any other turn not above that by more than half of a tick's. Where the rest alone takes nearly all of it this
holds no longer: reports never stop for good.

Knows no clock, nobody to tell and nothing to say.
"""

from __future__ import annotations

from typing import Final

PATIENCE: Final = 4.0
"""Ticks for which reports wait at most, then half of a tick's peers are told whatever the rest took: an eighth of it,
in the long run."""
MEMORY: Final = 8.0
"""Ticks' worth that is made up for at most. An operator who asks a whole grid costs a substation more."""


class Allowance:
    """`fanout`: envelopes of a tick, of all kinds, 1 or more. `now`: ticks, of any beginning. `sent`: envelopes that
    the device has sent so far; what went before `now` 0 of its first turn is no tick's."""

    __slots__ = ("_fanout", "_free", "_half", "_left", "_sent", "_then")

    def __init__(self, fanout: int, now: float, sent: int) -> None:
        self._fanout = fanout
        self._half = (fanout + 1) // 2
        self._left = 0.0
        self._then = now
        self._free = now
        self._sent = sent

    def peers(self, now: float, sent: int) -> int:
        """How many may be told in this turn; 0: wait. At most `fanout`, and half of it at least."""
        self._left += self._fanout * (now - self._then) - (sent - self._sent)
        self._left = max(-MEMORY * self._fanout, self._left)
        self._then, self._sent = now, sent
        if self._left < self._half and now - self._free < PATIENCE:
            return 0
        self._free = now
        return max(self._half, min(self._fanout, int(self._left)))

    def close(self, sent: int) -> None:
        """The turn is over. What it spared is lost, but for half of a tick's."""
        self._left = min(self._left - (sent - self._sent), float(self._half))
        self._sent = sent
