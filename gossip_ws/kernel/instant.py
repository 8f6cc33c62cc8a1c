"""Points in time, handed in from outside: nothing below `endpoint` reads a clock."""

from __future__ import annotations

from typing import NamedTuple


class Instant(NamedTuple):
    """`monotonic`: seconds since an arbitrary start, never jumps; for intervals.

    `wall`: seconds since 1970-01-01T00:00:00Z; for what is signed and compared between devices.

    A tuple: one is made for every frame, and a frozen dataclass takes four times as long.
    """

    monotonic: float
    wall: float
