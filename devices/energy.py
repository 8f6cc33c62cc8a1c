"""The energy plane of one prosumer: messages that say how much goes where, passed on from owner to owner.

What travels here is what the links carry, apart from all SOAP: each source says now and then what it sends on each of
its paths, and the message takes that path, hop by hop. So the owner of a link measures its load by itself, from what
passes by, and a full or failed link loses what it cannot carry. Knows no price and no report.

A message is taken only from the host of the node that owns the link which it comes over. That stops strangers. It does
not stop who can send with that host's address, nor that node itself, which may say anything of flows that it claims to
pass on: nothing is signed here.

A datagram, big-endian: `gwE1`, the number of the hop (octet), the number of nodes (octet), kb (double), the nodes
(two octets each). Whatever else comes is counted and dropped.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any, Final

from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.graph import Link, Path
from gossip_ws.routing.instance import MOST_KB, MOST_NODES

MOST_HOPS: Final = 64
MOST_FLOWS: Final = 4_096
"""Paths that are remembered on one link; beyond it what is new is dropped."""
FORGOTTEN_AT_ONCE: Final = 4
"""Flows that are gone and are forgotten for each datagram: more than one, so that they do not pile up."""
_HEAD: Final = Struct(">4sBBd")
_MAGIC: Final = b"gwE1"

Host = tuple[str, int]


def encode(path: Path, hop: int, kb: float) -> bytes:
    """`hop`: the place in `path` of whoever the datagram is sent to."""
    return _HEAD.pack(_MAGIC, hop, len(path), kb) + b"".join(node.to_bytes(2, "big") for node in path)


def decode(datagram: bytes) -> tuple[Path, int, float]:
    """(path, hop, kb). Raises ValueError for everything that is no such message."""
    if not _HEAD.size <= len(datagram) <= _HEAD.size + 2 * MOST_HOPS:
        raise ValueError("size")
    magic, hop, nodes, kb = _HEAD.unpack_from(datagram)
    rest = datagram[_HEAD.size :]
    # Written so that what is no number fails too.
    if magic != _MAGIC or len(rest) != 2 * nodes or not 1 <= hop < nodes or not 0 <= kb <= MOST_KB:
        raise ValueError("fields")
    path = tuple(int.from_bytes(rest[at : at + 2], "big") for at in range(0, len(rest), 2))
    if len(set(path)) < nodes or max(path) >= MOST_NODES:
        raise ValueError("path")
    return path, hop, kb


class Flows:
    """What passes one place: kb by path, each until it was not heard of for `patience` s. In a datagram's time it does
    a bounded amount of work; `settle` does the rest."""

    __slots__ = ("_paths", "_patience", "load")

    def __init__(self, patience: float) -> None:
        self._patience = patience
        # The one that was heard of longest ago comes first.
        self._paths: dict[Path, tuple[float, float]] = {}
        self.load = 0.0
        """kb, of all that were not forgotten yet."""

    def put(self, path: Path, kb: float, now: float) -> bool:
        """`kb` go along `path` from now on, 0 for none. False: `MOST_FLOWS` are remembered, and this is not."""
        self._forget(now, FORGOTTEN_AT_ONCE)
        held = self._paths.pop(path, None)
        if held is not None:
            self.load -= held[0]
        if kb <= 0:
            return True
        if len(self._paths) >= MOST_FLOWS:
            return False
        self._paths[path] = (kb, now)
        self.load += kb
        return True

    def settle(self, now: float) -> dict[Path, float]:
        """kb by path, without all that counts as gone; the load is added up afresh."""
        self._forget(now, len(self._paths))
        found = {path: kb for path, (kb, _) in self._paths.items()}
        self.load = sum(found.values())
        return found

    def _forget(self, now: float, most: int) -> None:
        least = now - self._patience
        while most and self._paths:
            path = next(iter(self._paths))
            kb, at = self._paths[path]
            if at >= least:
                return
            del self._paths[path]
            self.load -= kb
            most -= 1


class EnergyPlane(asyncio.DatagramProtocol):
    """One node's links. `hosts`: where each node listens. `patience`: s after which a flow that was not heard of again
    counts as gone."""

    def __init__(
        self,
        node: int,
        capacity: Mapping[Link, float],
        hosts: Mapping[int, Host],
        patience: float,
        dice: Dice,
        now: Callable[[], float],
    ) -> None:
        self._node = node
        self._hosts = hosts
        self._dice = dice
        self._now = now
        self.capacity = {link: kb for link, kb in capacity.items() if link[0] == node}
        """kb of each own link; 0 of one that has failed."""
        self._before = {link[0] for link in capacity if link[1] == node}
        self._passing = {link: Flows(patience) for link in self.capacity}
        self._arriving = Flows(patience)
        self.counters: Counter[str] = Counter()
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Listen. Raises LocalError when the address cannot be had."""
        try:
            self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: self, local_addr=self._hosts[self._node]
            )
        except OSError as error:
            raise LocalError(f"no energy port at {self._hosts[self._node]}: {error.strerror}") from None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # -- what passes ---------------------------------------------------------------------------

    def send(self, path: Path, kb: float) -> None:
        """`kb` of this node's own go along `path` from now on."""
        self._pass_on(path, 0, kb)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        try:
            path, hop, kb = decode(data)
        except ValueError:
            self.counters["no energy message"] += 1
            return
        before = path[hop - 1]
        if path[hop] != self._node:
            self.counters["not for this node"] += 1
        elif before not in self._before:
            self.counters["no such link"] += 1
        elif addr[0] != self._hosts[before][0]:
            self.counters["not from the link's owner"] += 1
        elif hop == len(path) - 1:
            self._remember(self._arriving, path, kb)
        else:
            self._pass_on(path, hop, kb)

    def error_received(self, exc: Exception) -> None:
        # The system says so of an earlier datagram, and not of which. Of the link nothing follows: it is its owner's
        # to fail.
        self.counters["neighbour unreachable"] += 1

    def _pass_on(self, path: Path, hop: int, kb: float) -> None:
        link = (path[hop], path[hop + 1])
        passing = self._passing.get(link)
        if passing is None:
            self.counters["no such link"] += 1
            return
        if not self._remember(passing, path, kb):
            return
        capacity, load = self.capacity[link], passing.load
        if capacity <= 0 or (load > capacity and self._dice.random() * load > capacity):
            self.counters["lost on a full link"] += 1
            return
        if self._transport is not None:
            self._transport.sendto(encode(path, hop + 1, kb), self._hosts[path[hop + 1]])

    def _remember(self, flows: Flows, path: Path, kb: float) -> bool:
        is_counted = flows.put(path, kb, self._now())
        if not is_counted:
            self.counters["too many flows"] += 1
        return is_counted

    # -- what is measured ----------------------------------------------------------------------

    def load(self, link: Link) -> float:
        """kb on an own link now."""
        return sum(self._passing[link].settle(self._now()).values())

    def sources(self, link: Link) -> int:
        """How many have flow on an own link."""
        return len({path[0] for path in self._passing[link].settle(self._now())})

    def delivered(self) -> dict[int, float]:
        """kb that arrive here, by source."""
        found: dict[int, float] = {}
        for path, kb in self._arriving.settle(self._now()).items():
            found[path[0]] = found.get(path[0], 0.0) + kb
        return found
