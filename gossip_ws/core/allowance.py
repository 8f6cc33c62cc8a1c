"""How many new messages a node takes: a local cap that holds whatever a header says, even a signed one."""

from __future__ import annotations


class Allowance:
    """A token bucket: `rate` a second in the long run, `burst` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._since = float("-inf")

    def is_spent(self, now: float) -> bool:
        """Is nothing left at `now` (monotonic s)?"""
        if now > self._since:
            self._left = min(self._left + (now - self._since) * self._rate, float(self._burst))
            self._since = now
        return self._left < 1.0

    def spend(self) -> None:
        """One message was taken."""
        self._left -= 1.0
