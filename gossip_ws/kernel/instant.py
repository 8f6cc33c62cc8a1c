"""Points in time, handed in from outside: nothing below `endpoint` reads a clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instant:
    """`monotonic`: seconds since an arbitrary start, never jumps; for intervals.

    `wall`: seconds since 1970-01-01T00:00:00Z; for what is signed and compared between devices.
    """

    monotonic: float
    wall: float
