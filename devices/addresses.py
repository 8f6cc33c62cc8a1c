"""Being where the machine's addresses are: a device's or a proxy's listeners from the start, and after each change.

Asks the system what there is; whom to tell of a change is up to whoever has it watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gossip_ws.devices.choice import Choice
from gossip_ws.devices.multihome import Multihomed
from gossip_ws.kernel.counts import Counts
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.homes import Local
from gossip_ws.net.interfaces import present
from gossip_ws.ports import Handle


class Addresses:
    """Keeps `outward` at the addresses that `choice` says. `heard` is told of every look at them which those are: where
    multicast is to be heard. With `stay` there is one look only, at the start.

    `open` it, `watch` it, `close` it, in one event loop's thread.
    """

    def __init__(
        self,
        choice: Choice,
        outward: Multihomed,
        *,
        stay: bool,
        heard: Callable[[Sequence[Local]], None] | None = None,
    ) -> None:
        self._choice = choice
        self._outward = outward
        self._stay = stay
        self._heard = heard
        self._watching: asyncio.Task[None] | None = None

    async def open(self, handle: Handle) -> None:
        """Listen. Raises LocalError, with nothing left open, when a literal address is not there, or none at all."""
        known = self._known()
        needed = self._choice.named(known)
        if len(needed) < len(self._choice.literals):
            raise LocalError(f"not addresses of this machine: {', '.join(self._choice.literals)}")
        await self._outward.open(needed, self._choice.of(known), handle)

    def watch(self, period: float, moved: Callable[[], None], counters: Counts) -> None:
        """Look every `period` seconds, and call `moved` after each change, when `outward` is there already."""
        self._watching = asyncio.create_task(self._watch(period, moved, counters))

    async def close(self) -> None:
        """Look no more. May be called twice."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait((watching,))

    def _known(self) -> tuple[Local, ...]:
        choice = self._choice
        if self._stay and not choice.interfaces and len(choice.literals) == 1:
            # A process of hundreds of devices would ask the system for all its addresses for each.
            bare, _, zone = choice.literals[0].partition("%")
            return (Local(bare, zone, 0, 128 if ":" in bare else 32),)
        return present()

    async def _watch(self, period: float, moved: Callable[[], None], counters: Counts) -> None:
        while True:
            await asyncio.sleep(period)
            try:
                wanted = self._choice.of(present())
                if self._heard is not None:
                    self._heard(wanted)
                if await self._outward.follow(wanted):
                    counters["addresses changed"] += 1
                    moved()
            except Exception as error:  # noqa: BLE001 - who looks no more is deaf after the next change
                counters["addresses not followed"] += 1
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "addresses not followed", "exception": error}
                )
