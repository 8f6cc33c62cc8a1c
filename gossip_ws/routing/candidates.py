"""The paths that one demand may take: a few at first, more when prices show cheaper ones, a bounded number always.

Links are known by number here. Knows no cost and no flow but the demand's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.graph import Graph, Link, Path, links_of
from gossip_ws.routing.paths import k_shortest

MOST_ROUTES: Final = 16
"""Candidates of one demand: the shortest at first, and what prices show to be cheaper; the dearest that carries nothing
makes room."""
BETTER: Final = 1e-3
"""A path becomes a candidate if it is cheaper by this share than the cheapest candidate."""


class Candidates:
    """The routes of one demand, and how much of it goes over each.

    target: where to. demand: kb. routes: the paths. over: the links of each, by number. kb: the flow on each.
    """

    __slots__ = ("_number", "demand", "kb", "over", "routes", "target")

    def __init__(self, graph: Graph, number: Mapping[Link, int], source: int, target: int, demand: float) -> None:
        """All of the demand on the shortest path. Raises LocalError: there is none."""
        self._number = number
        self.target = target
        self.demand = demand
        self.routes = list(k_shortest(graph, source, target))
        if not self.routes:
            raise LocalError(f"no path from {source} to {target}")
        self.over = [self._numbers(path) for path in self.routes]
        self.kb = [demand] + [0.0] * (len(self.routes) - 1)

    def _numbers(self, path: Path) -> tuple[int, ...]:
        return tuple(self._number[link] for link in links_of(path))

    def costs(self, price: Sequence[float]) -> list[float]:
        """Of each route. price: of each link, by number."""
        return [sum([price[number] for number in over]) for over in self.over]

    def spread(self) -> None:
        """The demand in equal parts on all routes."""
        self.kb = [self.demand / len(self.routes)] * len(self.routes)

    def take_in(self, price: Sequence[float], cost: float, path: Path) -> None:
        """Make the cheapest path of the graph a candidate, if it costs clearly less than those there are."""
        costs = self.costs(price)
        if path in self.routes or cost >= min(costs) * (1 - BETTER):
            return
        if len(self.routes) >= MOST_ROUTES:
            idle = [place for place, kb in enumerate(self.kb) if kb <= 0]
            if not idle:
                return
            dearest = max(idle, key=costs.__getitem__)
            del self.routes[dearest], self.over[dearest], self.kb[dearest]
        self.routes.append(path)
        self.over.append(self._numbers(path))
        self.kb.append(0.0)
