"""The network of a device that may have several addresses, which may come and go: it listens at all of them, speaks
to everybody from the one that suits, and multicasts once on each link in each family.

Peers believe only what comes from a registered address, so what is told to whom goes by the same order: `kernel.homes`.
Which addresses there are is not asked here.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Sequence
from typing import Final

from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.homes import Home, Local, suited
from gossip_ws.kernel.terms import Priority
from gossip_ws.net.counters import Counters, Drop
from gossip_ws.net.network import DeviceNetwork
from gossip_ws.ports import Frame, Handle

_REMEMBERED = 4_096
"""Hosts of which it is remembered from where they are spoken to."""

_PATIENCE: Final = 3.0
"""Seconds that an IPv6 address is waited for at the start: the system looks for doubles for one or two."""
_AGAIN: Final = 0.2


class Multihomed:
    """`ports.Network` over a `DeviceNetwork` an address, which `make` makes of a host. To be used within one event
    loop's thread."""

    def __init__(self, make: Callable[[str], DeviceNetwork]) -> None:
        self.counters: Final = Counters()
        """What no address could carry, and what could not be listened at."""
        self.homes: tuple[Home, ...] = ()
        self._make = make
        self._members: dict[Local, DeviceNetwork] = {}
        self._towards: dict[str, DeviceNetwork] = {}
        self._speakers: tuple[DeviceNetwork, ...] = ()
        self._handle: Handle | None = None

    @property
    def first(self) -> DeviceNetwork | None:
        """The network of the first address, closed or not; None when there is none."""
        return next(iter(self._members.values()), None)

    async def open(self, needed: Sequence[Local], others: Sequence[Local], handle: Handle) -> None:
        """Listen. Raises LocalError, with nothing left open, when one of the `needed` addresses cannot be had, or none
        of the `others` when they are all there is. An IPv6 address that is needed is waited for while it is still
        looking for a double of itself (RFC 4862 section 5.4)."""
        self._handle, self._members = handle, {}
        refusal = LocalError("no address to listen at")
        due = asyncio.get_running_loop().time() + _PATIENCE
        for local in dict.fromkeys((*needed, *others)):
            try:
                await self._listen(local, due if local in needed or not self._members else 0.0)
            except LocalError as error:
                refusal = error
                if local in needed:
                    await self.close(grace=0)
                    raise
        if not self._members:
            raise refusal
        self._settle((*needed, *others))

    async def follow(self, wanted: Sequence[Local]) -> bool:
        """Listen at these and at no others, the best first; what cannot be had is counted, and tried again by the next
        call. False when nothing has changed. Does nothing when not open."""
        before = self.homes
        gone = [network for local, network in self._members.items() if local not in wanted]
        self._settle(wanted)
        for network in gone:
            await network.close(grace=0)
        for local in wanted:
            if local not in self._members and self._handle is not None:
                try:
                    await self._listen(local)
                except LocalError:
                    self.counters.drop(Drop.UNSUITABLE)
        self._settle(wanted)
        return self.homes != before

    async def close(self, grace: float = 1.0) -> None:
        """As `DeviceNetwork.close`, all at once. May be called twice."""
        self._handle = None
        members = tuple(self._members.values())
        self.homes, self._speakers = (), ()
        self._towards.clear()
        # Kept: what they counted may still be asked for.
        await asyncio.gather(*(network.close(grace) for network in members))

    def send(self, frame: Frame, to: Address) -> None:
        network = self._towards.get(to.host) or self._choose(to.host)
        if network is None:
            self.counters.drop(Drop.CLOSED)
        else:
            network.send(frame, to)

    def backlog(self, priority: Priority) -> float:
        return max((network.backlog(priority) for network in self._members.values()), default=0.0)

    def multicast(self, frame: Frame) -> None:
        for network in self._speakers:
            network.multicast(frame)

    def request(self, frame: Frame, to: Address, timeout: float, done: Callable[[Frame | None], None]) -> None:
        network = self._towards.get(to.host) or self._choose(to.host)
        if network is None:
            self.counters.drop(Drop.CLOSED)
            asyncio.get_running_loop().call_soon(done, None)
        else:
            network.request(frame, to, timeout, done)

    async def _listen(self, local: Local, until: float = 0.0) -> None:
        """Raises LocalError; for a tentative address not before `until`, in the loop's time."""
        if self._handle is None:
            raise LocalError("the network is closed")
        loop = asyncio.get_running_loop()
        while True:
            network = self._make(local.zoned)
            try:
                await network.open(self._handle)
            except LocalError as error:
                if not _is_tentative(local, error) or loop.time() >= until:
                    raise
                await asyncio.sleep(_AGAIN)
            except asyncio.CancelledError:
                await network.close(grace=0)
                raise
            else:
                self._members[local] = network
                return

    def _choose(self, host: str) -> DeviceNetwork | None:
        if not self.homes:
            return None
        if len(self._towards) >= _REMEMBERED:
            del self._towards[next(iter(self._towards))]
        network = self._towards[host] = self._members[suited(self.homes, host)[0].local]
        return network

    def _settle(self, wanted: Sequence[Local]) -> None:
        """Who is there has changed, or is in another order."""
        self._members = {local: self._members[local] for local in wanted if local in self._members}
        self._towards.clear()
        self.homes = tuple(Home(local, network.udp, network.http) for local, network in self._members.items())
        speakers: dict[tuple[bool, int], DeviceNetwork] = {}
        # Answers come back to the source, and are told by it what reaches it: better not the link-local one.
        for local in sorted(self._members, key=lambda local: local.is_link_local):
            speakers.setdefault((local.is_ipv6, local.index), self._members[local])
        self._speakers = tuple(speakers.values())


def _is_tentative(local: Local, error: LocalError) -> bool:
    cause = error.__context__
    return local.is_ipv6 and isinstance(cause, OSError) and cause.errno == errno.EADDRNOTAVAIL
