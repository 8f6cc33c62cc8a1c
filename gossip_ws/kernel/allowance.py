"""A token bucket: a local cap on messages taken or answered, and the pace at which datagrams are sent."""

from __future__ import annotations


class Allowance:
    """`rate` a second in the long run, `burst` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._since = float("-inf")

    def is_spent(self, now: float, spared: int = 0) -> bool:
        """Is nothing left at `now` (monotonic s), `spared` of it aside?"""
        self._refill(now)
        return self._left < 1.0 + spared

    def wait(self, now: float, count: int) -> float:
        """Seconds from `now` until `count` are left, or could have been spent one after the other if they are more than
        are ever left at once."""
        self._refill(now)
        return max(count - self._left, 0.0) / self._rate

    def spend(self) -> None:
        """One was taken."""
        self._left -= 1.0

    def _refill(self, now: float) -> None:
        if now > self._since:
            self._left = min(self._left + (now - self._since) * self._rate, float(self._burst))
            self._since = now
