"""Both papers' update rules exactly as they are printed, so that anyone can see what they do. Not for use.

Seed 001 eq. (6): -l adds flow to a link that is full, the signs of v contradict the text beside them, (6c) changes
links that the peer does not own, and nothing says that a source has anything to send (1b). Seed 003 eq. (5) and (10):
lambda rewards a path, overload lowers it, and the box of (5) does not hold the demand together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gossip_ws.routing.arriving import arriving
from gossip_ws.routing.certificate import load_of
from gossip_ws.routing.cost import saturated, utilisation
from gossip_ws.routing.dual import EVENNESS
from gossip_ws.routing.graph import Link, Path, links_of
from gossip_ws.routing.instance import Commodity, Instance
from gossip_ws.routing.method import Method, Signals
from gossip_ws.routing.paths import k_shortest

STEP: Final = 1.0
"""alpha of both papers (seed 001 table 2, seed 003 section 4)."""
FIRST_PRICE: Final = 1.0
"""lambda at the start (seed 003 algorithm 1)."""


class PrimalPrinted(Method):
    """Seed 001 eq. (4) to (6). Each prosumer updates the flow of its own messages on all links, from all loads as they
    are. The paper names no start; here it is minimum hop."""

    def __init__(self, instance: Instance, step: float = STEP) -> None:
        graph = instance.graph
        self._step = step
        self._capacity = dict(instance.capacity)
        self._flow: dict[Commodity, dict[Link, float]] = {}
        for one in instance.commodities:
            path = k_shortest(graph, one.source, one.target, 1)[0]
            self._flow[one] = dict.fromkeys(instance.capacity, 0.0) | dict.fromkeys(links_of(path), one.demand)

    @property
    def load(self) -> dict[Link, float]:
        return {link: sum(flow[link] for flow in self._flow.values()) for link in self._capacity}

    @property
    def flows(self) -> dict[Path, float]:
        return {
            path: kb
            for one, flow in self._flow.items()
            for path, kb in arriving(flow, {one.source: one.demand}, one.target).items()
        }

    @property
    def imbalance(self) -> float:
        """kb by which what leaves a source and what enters a target differ from the demand."""
        wrong = 0.0
        for one, flow in self._flow.items():
            for node, sign in ((one.source, 1), (one.target, -1)):
                leaving = sum(kb for link, kb in flow.items() if link[0] == node)
                entering = sum(kb for link, kb in flow.items() if link[1] == node)
                wrong += abs(sign * (leaving - entering) - one.demand)
        return wrong

    def change(self, link: Link, capacity: float) -> None:
        self._capacity[link] = capacity

    def tick(self, now: int, awake: Sequence[int]) -> None:
        load = self.load
        acting = set(awake)
        for one, flow in self._flow.items():
            if one.source not in acting:
                continue
            balance = utilisation(
                [kb for link, kb in flow.items() if link[1] == one.source],
                [kb for link, kb in flow.items() if link[0] == one.source],
            )
            for link, capacity in self._capacity.items():
                limit = float(saturated(load[link], capacity))
                if one.source in link:
                    away = load[link] - capacity
                    slope = capacity / (away * away) if away else float("inf")
                    change = slope - limit + (balance if link[0] == one.source else -balance)
                else:
                    change = -limit + balance
                flow[link] = max(0.0, flow[link] - self._step * change)


class DualPrinted(Method):
    """Seed 003 eq. (5) and (10), over the shortest paths. A price that is lost is not heard of until the next."""

    def __init__(self, instance: Instance, signals: Signals, step: float = STEP) -> None:
        graph = instance.graph
        self._step = step
        self._signals = signals
        self._evenness = EVENNESS / (2 * max(one.demand for one in instance.commodities))
        self._capacity = dict(instance.capacity)
        self._price = dict.fromkeys(instance.capacity, FIRST_PRICE)
        self._heard = [dict(self._price) for _ in range(instance.nodes)]
        self._flow = {
            one: dict.fromkeys(k_shortest(graph, one.source, one.target), 0.0) for one in instance.commodities
        }
        for node in range(instance.nodes):
            self._route(node)

    @property
    def load(self) -> dict[Link, float]:
        return load_of(self.flows)

    @property
    def flows(self) -> dict[Path, float]:
        return {path: kb for flow in self._flow.values() for path, kb in flow.items() if kb > 0}

    @property
    def imbalance(self) -> float:
        return sum(abs(sum(flow.values()) - one.demand) for one, flow in self._flow.items())

    def change(self, link: Link, capacity: float) -> None:
        self._capacity[link] = capacity

    def tick(self, now: int, awake: Sequence[int]) -> None:
        load = self.load
        acting = set(awake)
        for link, capacity in self._capacity.items():
            if link[0] in acting:
                self._price[link] = max(0.0, self._price[link] - self._step * (load.get(link, 0.0) - capacity))
                for node, heard in enumerate(self._heard):
                    if node == link[0] or self._signals.arrives():
                        heard[link] = self._price[link]
        for node in awake:
            self._route(node)

    def _route(self, node: int) -> None:
        """(5): the minimum over the box of -x sum of lambda + hops x + eps x^2, path by path."""
        for one, flow in self._flow.items():
            if one.source == node:
                for path in flow:
                    links = links_of(path)
                    wish = (sum(self._heard[node][link] for link in links) - len(links)) / (2 * self._evenness)
                    flow[path] = min(max(0.0, wish), one.demand)
