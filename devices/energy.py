"""The energy plane of one prosumer: messages that say how much goes where, passed on from owner to owner.

What travels here is what the links carry, apart from all SOAP: each source says now and then what it sends on each of
its paths, and the message takes that path, hop by hop. So the owner of a link measures its load by itself, from what
passes by, and a full or failed link loses what it cannot carry. Knows no price and no report.

A datagram, big-endian: `gwE1`, the number of the hop (octet), the number of nodes (octet), kb (double), the nodes
(two octets each). Whatever else comes is counted and dropped.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Final

from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.graph import Link, Path
from gossip_ws.routing.instance import MOST_KB, MOST_NODES

MOST_HOPS: Final = 64
MOST_FLOWS: Final = 4_096
"""Paths that are remembered on one link; beyond it what is new is dropped."""
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
        self._patience = patience
        self._dice = dice
        self._now = now
        self.capacity = {link: kb for link, kb in capacity.items() if link[0] == node}
        """kb of each own link; 0 of one that has failed."""
        self._passing: dict[Link, dict[Path, tuple[float, float]]] = {link: {} for link in self.capacity}
        self._arriving: dict[Path, tuple[float, float]] = {}
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

    def datagram_received(self, data: bytes, addr: object) -> None:
        try:
            path, hop, kb = decode(data)
        except ValueError:
            self.counters["no energy message"] += 1
            return
        if path[hop] != self._node:
            self.counters["not for this node"] += 1
        elif hop == len(path) - 1:
            self._remember(self._arriving, path, kb)
        else:
            self._pass_on(path, hop, kb)

    def error_received(self, exc: Exception) -> None:
        # The neighbour is down: nothing arrives there, and its links fail.
        self.counters["neighbour unreachable"] += 1

    def _pass_on(self, path: Path, hop: int, kb: float) -> None:
        link = (path[hop], path[hop + 1])
        passing = self._passing.get(link)
        if passing is None:
            self.counters["no such link"] += 1
            return
        self._remember(passing, path, kb)
        capacity, load = self.capacity[link], self.load(link)
        if capacity <= 0 or (load > capacity and self._dice.random() * load > capacity):
            self.counters["lost on a full link"] += 1
            return
        if self._transport is not None:
            self._transport.sendto(encode(path, hop + 1, kb), self._hosts[path[hop + 1]])

    def _remember(self, flows: dict[Path, tuple[float, float]], path: Path, kb: float) -> None:
        if kb <= 0:
            flows.pop(path, None)
        elif path in flows or len(flows) < MOST_FLOWS:
            flows[path] = (kb, self._now())
        else:
            self.counters["too many flows"] += 1

    # -- what is measured ----------------------------------------------------------------------

    def load(self, link: Link) -> float:
        """kb on an own link now."""
        self._forget(self._passing[link])
        return sum(kb for kb, _ in self._passing[link].values())

    def sources(self, link: Link) -> int:
        """How many have flow on an own link."""
        self._forget(self._passing[link])
        return len({path[0] for path in self._passing[link]})

    def delivered(self) -> dict[int, float]:
        """kb that arrive here, by source."""
        self._forget(self._arriving)
        found: dict[int, float] = {}
        for path, (kb, _) in self._arriving.items():
            found[path[0]] = found.get(path[0], 0.0) + kb
        return found

    def _forget(self, flows: dict[Path, tuple[float, float]]) -> None:
        least = self._now() - self._patience
        for path in [path for path, (_, at) in flows.items() if at < least]:
            del flows[path]
