"""The running event loop as a Clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gossip_ws.kernel.instant import Instant


class LoopClock:
    """`ports.Clock` over the running loop: its time is the monotonic one, `time.time` the wall's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> Instant:
        return Instant(self._loop.time(), time.time())

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Call back once after `delay` seconds. What it raises goes to the loop's exception handler."""
        self._loop.call_later(delay, callback)
