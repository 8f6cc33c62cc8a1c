"""The dual gradient of seed 003, its signs corrected: links raise their price while they are overloaded.

A source splits each demand over its candidates so that hops, prices and a quadratic term cost least together (eq. (5)
over the simplex, so that the demand is met). A link adds to its price what is above its capacity and takes away what is
below (eq. (10) with the sign that makes overload dear). The value of any prices is a lower bound (`certificate`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gossip_ws.routing.candidates import Candidates
from gossip_ws.routing.certificate import load_of
from gossip_ws.routing.graph import Graph, Link, Path
from gossip_ws.routing.instance import Instance
from gossip_ws.routing.method import Method, Signals
from gossip_ws.routing.paths import distances, path_to

STEP: Final = 0.625
"""alpha in parts of 2 eps: what one demand moves for a price. Of 55 kb it is 0.01, as in the reading of the paper."""
EVENNESS: Final = 0.88
"""2 eps times the largest demand: below 1, so that no demand takes a longer path while the shorter one has room."""


def on_simplex(point: Sequence[float], total: float) -> list[float]:
    """The nearest point whose parts are not negative and add up to `total` (Held, Wolfe, Crowder 1974)."""
    rest = 0.0
    level = 0.0
    for count, part in enumerate(sorted(point, reverse=True), 1):
        rest += part
        if part - (rest - total) / count <= 0:
            break
        level = (rest - total) / count
    return [max(0.0, part - level) for part in point]


class Source:
    """Who splits the demands of one node by the prices it has heard of; a price it has not heard of is 0."""

    def __init__(self, node: int, links: Sequence[Link], demands: Mapping[int, float], evenness: float) -> None:
        """demands: kb for each target. evenness: eps, hops per kb. Raises LocalError: a target without a path."""
        self._node = node
        self._links = links
        number = {link: place for place, link in enumerate(links)}
        self._graph = Graph.of(1 + max(max(link) for link in links), links)
        self._demands = [Candidates(self._graph, number, node, target, kb) for target, kb in demands.items()]
        self._evenness = evenness
        self._heard = dict.fromkeys(links, (0, 0.0))

    @property
    def flows(self) -> dict[Path, float]:
        """kb on each path that carries some."""
        return {path: kb for one in self._demands for path, kb in zip(one.routes, one.kb, strict=True) if kb > 0}

    def receive(self, link: Link, seq: int, price: float) -> None:
        """Keep the freshest price of each link."""
        if seq > self._heard[link][0]:
            self._heard[link] = (seq, price)

    def step(self) -> None:
        """Split all demands anew."""
        hops = {link: 1.0 + price for link, (_, price) in self._heard.items()}
        price = [hops[link] for link in self._links]
        cheapest, before = distances(self._graph, hops, self._node)
        for one in self._demands:
            one.take_in(price, cheapest[one.target], path_to(before, self._node, one.target))
            one.kb = on_simplex([-cost / (2 * self._evenness) for cost in one.costs(price)], one.demand)


class Dual(Method):
    """All sources and links of one instance. In a tick the links of the awake measure, move their price and publish it,
    then the awake split their demands."""

    def __init__(self, instance: Instance, signals: Signals) -> None:
        evenness = EVENNESS / (2 * max(one.demand for one in instance.commodities))
        links = list(instance.capacity)
        self._sources = [Source(node, links, wanted, evenness) for node, wanted in enumerate(instance.demands)]
        self._step = STEP * 2 * evenness
        self._capacity = dict(instance.capacity)
        self._price = dict.fromkeys(instance.capacity, 0.0)
        self._seq = 0
        self._signals = signals

    @property
    def load(self) -> dict[Link, float]:
        return load_of(self.flows)

    @property
    def flows(self) -> dict[Path, float]:
        return {path: kb for source in self._sources for path, kb in source.flows.items()}

    @property
    def prices(self) -> Mapping[Link, float] | None:
        return self._price

    def change(self, link: Link, capacity: float) -> None:
        self._capacity[link] = capacity

    def tick(self, now: int, awake: Sequence[int]) -> None:
        load = self.load
        self._seq += 1
        acting = set(awake)
        for link, capacity in self._capacity.items():
            if link[0] not in acting:
                continue
            over = load.get(link, 0.0) - capacity
            self._price[link] = max(0.0, self._price[link] + self._step * over)
            for node, source in enumerate(self._sources):
                if node == link[0] or self._signals.arrives():
                    source.receive(link, self._seq, self._price[link])
        for node in awake:
            self._sources[node].step()
