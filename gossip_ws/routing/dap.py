"""A whole network of adaptive peers in one place: who measures what, and which reports arrive.

What `run` drives for the distributed adaptive primal where reports are asked for or pushed (by gossip: `gossiped`). A
peer of it sees only the reports that reached it.
"""

from __future__ import annotations

from collections.abc import Sequence

from gossip_ws.routing.graph import Link, Path
from gossip_ws.routing.instance import Instance
from gossip_ws.routing.method import Method, Reports, Signals
from gossip_ws.routing.owner import Owner
from gossip_ws.routing.peer import Peer, Start


class Adaptive(Method):
    """Nodes own the links that leave them. In a tick links are measured and reports arrive, then the awake move."""

    def __init__(
        self, instance: Instance, start: Start, reports: Reports, signals: Signals, all_awake: bool = False
    ) -> None:
        """all_awake: everybody acts in every tick."""
        # Who asks hears what is; who is told, only if the others are awake whenever it is.
        punctual = signals.lossless and (all_awake or reports is Reports.ASK)
        self._peers = [
            Peer(node, instance.capacity, wanted, start, punctual=punctual)
            for node, wanted in enumerate(instance.demands)
        ]
        self._owners = {link: Owner(link, kb, asks=reports is Reports.ASK) for link, kb in instance.capacity.items()}
        self._reports = reports
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

    def change(self, link: Link, capacity: float) -> None:
        self._owners[link].capacity = capacity

    def tick(self, now: int, awake: Sequence[int]) -> None:
        acting = set(awake)
        each = [peer.loads for peer in self._peers]
        for link, owner in self._owners.items():
            told = [
                peer
                for peer in self._peers
                if peer.busy and (peer.node in acting if self._reports is Reports.ASK else link[0] in acting)
            ]
            if not told:
                continue
            on = [load[link] for load in each if link in load]
            report = owner.report(now, sum(on), len(on))
            for peer in told:
                if peer.node == link[0] or self._signals.arrives():
                    peer.receive(report)
        for node in awake:
            self._peers[node].step(now)
