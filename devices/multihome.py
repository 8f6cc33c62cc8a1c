"""A device with more than one address: it listens at all of them, speaks from the first, and multicasts from each.

Peers register the first address, and believe only what comes from a registered one; the others are for callers
of another network, whose rules name the address that they may call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gossip_ws.kernel.address import Address
from gossip_ws.kernel.terms import Priority
from gossip_ws.ports import Frame, Network


class Multihomed:
    """`ports.Network` over the network of the first address and those of the `others`."""

    def __init__(self, first: Network, others: Sequence[Network]) -> None:
        self._first = first
        self._all = (first, *others)

    def send(self, frame: Frame, to: Address) -> None:
        self._first.send(frame, to)

    def backlog(self, priority: Priority) -> float:
        return self._first.backlog(priority)

    def multicast(self, frame: Frame) -> None:
        for network in self._all:
            network.multicast(frame)

    def request(self, frame: Frame, to: Address, timeout: float, done: Callable[[Frame | None], None]) -> None:
        self._first.request(frame, to, timeout, done)
