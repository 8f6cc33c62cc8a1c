"""Static minimum hop, for comparison: everything on the shortest path, whatever the load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gossip_ws.routing.certificate import load_of
from gossip_ws.routing.graph import Link, Path
from gossip_ws.routing.instance import Instance
from gossip_ws.routing.method import Method
from gossip_ws.routing.paths import CANDIDATES, k_shortest
from gossip_ws.routing.peer import Start


class MinimumHop(Method):
    """Never moves. With `Start.EVEN` it stays at the even split of the shortest paths."""

    def __init__(self, instance: Instance, start: Start) -> None:
        graph = instance.graph
        self._flows: dict[Path, float] = {}
        for one in instance.commodities:
            paths = k_shortest(graph, one.source, one.target, 1 if start is Start.MINIMUM_HOP else CANDIDATES)
            self._flows |= dict.fromkeys(paths, one.demand / len(paths))
        self._load = load_of(self._flows)

    @property
    def load(self) -> Mapping[Link, float]:
        return self._load

    @property
    def flows(self) -> Mapping[Path, float]:
        return self._flows

    def change(self, link: Link, capacity: float) -> None:
        """Nothing here follows a capacity."""

    def tick(self, now: int, awake: Sequence[int]) -> None:
        """Nothing to do."""
