"""A program that runs one thing, a device or a proxy, until it is told to end.

Knows nothing of what it runs but how it is opened and closed.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Protocol, TypeVar


class Runs(Protocol):
    """What `run_until_told` runs."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...


R = TypeVar("R", bound=Runs)


def run_until_told(make: Callable[[], R], ready: Callable[[R], None]) -> None:
    """Open what `make` makes, call `ready` with it, close it at SIGTERM or SIGINT. Raises LocalError as its `open`."""
    asyncio.run(_run(make, ready))


async def _run(make: Callable[[], R], ready: Callable[[R], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Before anything is open: whoever stops a device that is just starting gets its Bye too.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    made = make()
    await made.open()
    try:
        ready(made)
        await stop.wait()
    finally:
        await made.close()
