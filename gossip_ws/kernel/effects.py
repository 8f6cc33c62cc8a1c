"""Effects that every protocol may return, and the timers they set. `endpoint` carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from gossip_ws.kernel.address import Address


class Send(NamedTuple):
    """Send one message, the same bytes, to every address. Best effort; never blocks."""

    message: Any
    to: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Hand `timer` back after `delay` seconds. Timers are values that show themselves stale; none is cancelled."""

    timer: Any
    delay: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """An input that changed nothing, and the counter it goes to."""

    reason: str
