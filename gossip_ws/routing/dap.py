"""A whole network of adaptive peers in one place: who measures what, and which reports arrive.

What `run` drives for the distributed adaptive primal. A peer of it sees only the reports that reached it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gossip_ws.routing.graph import Link, Path
from gossip_ws.routing.instance import Instance
from gossip_ws.routing.method import Signals
from gossip_ws.routing.peer import Owner, Peer, Start


class Adaptive:
    """Nodes own the links that leave them. In a tick the awake first measure and publish, then move their flows."""

    def __init__(self, instance: Instance, start: Start, signals: Signals) -> None:
        self._peers = [Peer(node, instance.capacity, wanted, start) for node, wanted in enumerate(instance.demands)]
        self._owners = {link: Owner(link, kb) for link, kb in instance.capacity.items()}
        self._owned: list[list[Link]] = [[] for _ in range(instance.nodes)]
        for link in instance.capacity:
            self._owned[link[0]].append(link)
        self._signals = signals

    @property
    def load(self) -> dict[Link, float]:
        load: dict[Link, float] = {}
        for peer in self._peers:
            for link, kb in peer.loads.items():
                load[link] = load.get(link, 0.0) + kb
        return load

    @property
    def flows(self) -> dict[Path, float]:
        return {path: kb for peer in self._peers for path, kb in peer.flows.items()}

    @property
    def prices(self) -> Mapping[Link, float] | None:
        return None

    @property
    def imbalance(self) -> float:
        return 0.0

    def change(self, link: Link, capacity: float) -> None:
        self._owners[link].capacity = capacity

    def tick(self, now: int, awake: Sequence[int]) -> None:
        each = [peer.loads for peer in self._peers]
        sources = [peer for peer in self._peers if peer.busy]
        for node in awake:
            for link in self._owned[node]:
                on = [load[link] for load in each if link in load]
                report = self._owners[link].report(now, sum(on), len(on))
                for peer in sources:
                    if peer.node == node or self._signals.arrives():
                        peer.receive(report)
        for node in awake:
            self._peers[node].step(now)
