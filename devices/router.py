"""A prosumer that routes its energy: measures its own links, publishes their gradients, and moves its own flows.

Once a tick, at a moment of its own. All that it knows of others came by gossip; nobody above it is needed. Puts
`routing.peer` on a device: the mathematics is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from gossip_ws.devices.energy import EnergyPlane
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import GossipError
from gossip_ws.kernel.names import ROUTING
from gossip_ws.kernel.terms import Budget, Tier, Wanted
from gossip_ws.ports import Clock, Gossip, HostedService
from gossip_ws.routing.graph import Link, Path
from gossip_ws.routing.peer import GradientReport, Owner, Peer
from gossip_ws.services.routing import MAX_REPORTS, reports_element, routing_service

GRADIENTS: Final = ROUTING + ":Gradients"
CHANGED: Final = 0.01
"""Share of its capacity by which a link's load has to change for its owner to publish at once."""
KEEP: Final = 10
"""Ticks after which a report is repeated though nothing has changed: somebody may have missed it, or be new."""
FAREWELLS: Final = 3
"""Times that a path is told to carry nothing more: the message may be lost."""

_BY_PARENT: Final = Budget(Tier.FAN, 0, 0)
"""Reports go up and down by the parents, who serve their rosters. Copies among equals too would double the traffic of
something that the next tick says anew; what a dead parent keeps back, digests bring."""


class Router:
    """One node. `scope`: what all that route have beside their place, so that reports go to them and nobody else."""

    def __init__(
        self,
        node: int,
        capacity: Mapping[Link, float],
        demands: Mapping[int, float],
        plane: EnergyPlane,
        *,
        scope: str,
        tick: float,
        clock: Clock,
        dice: Dice,
    ) -> None:
        """capacity: kb of every link. demands: kb for each target. tick: mean s between two wake-ups."""
        self._peer = Peer(node, capacity, demands)
        self._owners = {link: Owner(link, kb) for link, kb in capacity.items() if link[0] == node}
        self._plane = plane
        self._scope = scope
        self._tick = tick
        self._clock = clock
        self._dice = dice
        self._gossip: Gossip | None = None
        self._published: dict[Link, tuple[float, float, int]] = {}
        self._left: dict[Path, int] = {}
        self._ticks = 0
        self._stopped = False
        self.counters: Counter[str] = Counter()

    def service(self, gossip: Gossip) -> HostedService:
        """The device's Routing service: what `Host` is given to make."""
        self._gossip = gossip
        return routing_service(self)

    def start(self) -> None:
        """Wake up for the first time within a tick."""
        self._clock.call_later(self._dice.uniform(0.0, self._tick), self._wake)

    def stop(self) -> None:
        self._stopped = True

    # -- services.routing.RoutingState ---------------------------------------------------------

    def heard(self, reports: Sequence[GradientReport]) -> None:
        for report in reports:
            fresh = report.link not in self._owners and self._peer.receive(report)
            self.counters["reports taken" if fresh else "reports known or of no link"] += 1

    def links(self) -> Sequence[tuple[Link, float, float]]:
        return [(link, self._plane.capacity[link], self._plane.load(link)) for link in sorted(self._owners)]

    def gap(self) -> float:
        return self._peer.gap

    # -- what it does --------------------------------------------------------------------------

    @property
    def flows(self) -> dict[Path, float]:
        """kb on each own path that carries some."""
        return self._peer.flows

    def change(self, link: Link, capacity: float) -> None:
        """An own link carries so many kb from now on; 0: it has failed."""
        self._plane.capacity[link] = self._owners[link].capacity = capacity

    def _wake(self) -> None:
        if self._stopped:
            return
        self._ticks += 1
        self._publish()
        before = set(self._peer.flows)
        self._peer.step(self._clock.now().wall)
        flows = self._peer.flows
        self._left = {path: times for path, times in self._left.items() if path not in flows}
        self._left |= {path: FAREWELLS for path in before - set(flows)}
        for path, kb in flows.items():
            self._plane.send(path, kb)
        for path in list(self._left):
            self._plane.send(path, 0.0)
            self._left[path] -= 1
            if not self._left[path]:
                del self._left[path]
        self._clock.call_later(self._tick * self._dice.uniform(0.5, 1.5), self._wake)

    def _publish(self) -> None:
        """Measure the own links; tell all what has changed."""
        now = self._clock.now().wall
        news = []
        for link, owner in self._owners.items():
            load, sources = self._plane.load(link), self._plane.sources(link)
            report = owner.report(now, load, sources)
            self._peer.receive(report)
            if self._is_news(link, report):
                news.append(report)
                self._published[link] = (report.load, report.capacity, self._ticks)
        for first in range(0, len(news), MAX_REPORTS):
            self._originate(news[first : first + MAX_REPORTS])

    def _is_news(self, link: Link, report: GradientReport) -> bool:
        told = self._published.get(link)
        if told is None or told[1] != report.capacity or self._ticks - told[2] >= KEEP:
            return True
        return abs(told[0] - report.load) > CHANGED * report.capacity

    def _originate(self, reports: Sequence[GradientReport]) -> None:
        if self._gossip is None:
            return
        try:
            wanted = Wanted(scopes=(self._scope,), budgets=(_BY_PARENT,))
            self._gossip.originate(GRADIENTS, reports_element(reports), wanted)
            self.counters["reports published"] += len(reports)
        except GossipError:
            # Too many at once, say. The next tick has fresher ones.
            self.counters["reports refused"] += len(reports)
