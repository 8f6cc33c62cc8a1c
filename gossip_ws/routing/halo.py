"""Hop-by-hop adaptive link state, for comparison: no source chooses a path, each node splits what comes by.

After Michael and Tang, HALO (IEEE/ACM Trans. Netw. 23, 2015): the weights of the links are their marginal delays, known
to all; each node moves, for each target, a part of its split from every other next hop to the one on the shortest path.
HALO's time is continuous. Here a node moves `STEP` of the split of a target each time that it acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gossip_ws.routing.arriving import arriving
from gossip_ws.routing.charges import DOWN
from gossip_ws.routing.cost import marginal
from gossip_ws.routing.graph import Link, Path
from gossip_ws.routing.instance import Instance
from gossip_ws.routing.method import Method, Signals
from gossip_ws.routing.paths import distances, path_to, shortest

STEP: Final = 0.02
"""Share of the split that leaves each next hop that is not on the shortest path, at most, at each wake-up."""
EXACT: Final = 1e-12
"""kb of one target that may still be under way when the flow is taken for settled."""
LOOPS: Final = 8
"""Times the number of nodes that flow is followed; what has not arrived then goes in circles."""


class Halo(Method):
    """All nodes of one instance. In a tick the awake publish the load of their links, then shift their splits."""

    def __init__(self, instance: Instance, signals: Signals) -> None:
        self._graph = instance.graph
        self._signals = signals
        self._wanted: dict[int, dict[int, float]] = {}
        for one in instance.commodities:
            self._wanted.setdefault(one.target, {})[one.source] = one.demand
        self._capacity = dict(instance.capacity)
        self._heard = [
            {link: marginal(0.0, kb) for link, kb in instance.capacity.items()} for _ in range(instance.nodes)
        ]
        """For each node the price of each link, as it was last told; at first that of an empty link."""
        self._split = {target: self._shortest(target) for target in self._wanted}
        self._flow = {target: self._settle(target) for target in self._wanted}

    def _shortest(self, target: int) -> dict[int, dict[int, float]]:
        """For each node that can reach the target, its next hops and their shares: all on the shortest path."""
        split: dict[int, dict[int, float]] = {}
        for node in range(len(self._graph.successors)):
            path = None if node == target else shortest(self._graph, node, target)
            if path is not None:
                split[node] = {path[1]: 1.0}
        return split

    def _settle(self, target: int) -> dict[Link, float]:
        """kb on each link of what goes to `target`, by the splits as they are."""
        coming = dict(self._wanted[target])
        flow: dict[Link, float] = {}
        for _ in range(LOOPS * len(self._graph.successors)):
            onward: dict[int, float] = {}
            for node, kb in coming.items():
                for other, share in self._split[target].get(node, {}).items():
                    flow[node, other] = flow.get((node, other), 0.0) + kb * share
                    if other != target:
                        onward[other] = onward.get(other, 0.0) + kb * share
            coming = onward
            if sum(coming.values()) <= EXACT:
                break
        return flow

    @property
    def load(self) -> dict[Link, float]:
        load: dict[Link, float] = {}
        for flow in self._flow.values():
            for link, kb in flow.items():
                load[link] = load.get(link, 0.0) + kb
        return load

    @property
    def flows(self) -> dict[Path, float]:
        return {
            path: kb
            for target, flow in self._flow.items()
            for path, kb in arriving(flow, self._wanted[target], target).items()
        }

    @property
    def imbalance(self) -> float:
        missing = sum(sum(wanted.values()) for wanted in self._wanted.values())
        for target, flow in self._flow.items():
            missing -= sum(kb for link, kb in flow.items() if link[1] == target)
        return max(0.0, missing)

    def change(self, link: Link, capacity: float) -> None:
        self._capacity[link] = capacity

    def tick(self, now: int, awake: Sequence[int]) -> None:
        load = self.load
        acting = set(awake)
        for link, capacity in self._capacity.items():
            if link[0] in acting:
                price = marginal(load.get(link, 0.0), capacity) if capacity > 0 else DOWN
                for node, heard in enumerate(self._heard):
                    if node == link[0] or self._signals.arrives():
                        heard[link] = price
        for node in awake:
            self._shift(node)
        self._flow = {target: self._settle(target) for target in self._wanted}

    def _shift(self, node: int) -> None:
        costs, before = distances(self._graph, self._heard[node], node)
        for target, split in self._split.items():
            if node == target or target not in costs:
                continue
            shares = split[node]
            best = path_to(before, node, target)[1]
            coming = sum(kb for link, kb in self._flow[target].items() if link[0] == node)
            for other in [one for one in shares if one != best]:
                # Where nothing comes by, nothing is lost by turning at once.
                moved = min(shares[other], STEP) if coming > 0 else shares[other]
                shares[best] = shares.get(best, 0.0) + moved
                shares[other] -= moved
                if shares[other] <= 0:
                    del shares[other]
