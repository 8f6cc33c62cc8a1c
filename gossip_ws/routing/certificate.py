"""How far flows are from the best there are, without a solver, and whether the demands fit at all.

From the flows' own prices: a linear function that touches a convex cost bounds it from below, and its minimum is a
shortest path for each demand. The bound holds for all paths of the graph, not only for the candidates. Knows no
algorithm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gossip_ws.routing.cost import FAILED, delay, marginal
from gossip_ws.routing.graph import Graph, Link, Path, links_of
from gossip_ws.routing.instance import Commodity, Instance, Kind
from gossip_ws.routing.paths import distances, path_to

PROOF: Final = 1e-9
"""Share by which demand has to exceed room to be a proof; below, it may be rounding."""
MOST_ROUNDS: Final = 400
GOLDEN: Final = (5**0.5 - 1) / 2
FACTORS: Final = 12
"""Steps of the golden section over what to multiply dual prices with."""
MOST_FACTOR: Final = 8.0
MOST_LOOKS: Final = 1_000_000
"""Links looked at, about, before `feasible` gives up: some seconds."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """cost: of the instance's kind, with the cost beyond capacity as `cost` continues it. gap: cost less the bound, so
    at least the distance to the optimum; negative only where flows are no solution. overload: the most that a link has
    above its capacity, as a share of it. infeasible: proven that no routing fits the demands into the capacities; False
    says nothing."""

    cost: float
    gap: float
    max_utilisation: float
    overload: float
    infeasible: bool

    @property
    def lower_bound(self) -> float:
        """No routing of these demands over these links costs less."""
        return self.cost - self.gap


def load_of(flows: Mapping[Path, float]) -> dict[Link, float]:
    """kb on each link that has some."""
    load: dict[Link, float] = {}
    for path, kb in flows.items():
        for link in links_of(path):
            load[link] = load.get(link, 0.0) + kb
    return load


def certify(
    instance: Instance,
    capacity: Mapping[Link, float],
    load: Mapping[Link, float],
    prices: Mapping[Link, float] | None = None,
) -> Certificate:
    """What a load is worth. capacity: kb of each link now; 0 where it has failed. prices: for a bandwidth cost the dual
    prices of the links, if an algorithm has some; the bound is the dual value there."""
    used = {link: load.get(link, 0.0) for link in capacity}
    full = max(used[link] / max(kb, FAILED) for link, kb in capacity.items())
    up = {link: kb for link, kb in capacity.items() if kb > 0}
    graph = Graph.of(instance.nodes, up)
    slopes = {link: marginal(used[link], kb) for link, kb in up.items()}
    least, all_served = _cheapest(graph, instance.commodities, slopes)
    if instance.kind is Kind.MM1:
        cost = sum(delay(used[link], kb) for link, kb in capacity.items())
        # Far from the optimum the tangent may say less than that no cost is negative.
        bound = max(0.0, sum(delay(used[link], kb) - slopes[link] * used[link] for link, kb in up.items()) + least)
    else:
        cost = sum(used.values())
        bound = _dual(graph, instance.commodities, up, prices or {})
    proven = not all_served or (full > 1 and _proves(least, slopes, up))
    return Certificate(cost, cost - bound, full, max(0.0, full - 1), proven)


def _dual(
    graph: Graph, commodities: Sequence[Commodity], capacity: Mapping[Link, float], prices: Mapping[Link, float]
) -> float:
    """The best bound on the bandwidth cost along the given prices: any multiple of them bounds it, and the bound is
    concave in the factor. Seed 003's quadratic term spreads flow by itself, so its prices are too low by a factor."""

    def value(factor: float) -> float:
        price = {link: factor * prices.get(link, 0.0) for link in capacity}
        paid, _ = _cheapest(graph, commodities, {link: 1.0 + one for link, one in price.items()})
        return paid - sum(price[link] * kb for link, kb in capacity.items())

    if not any(prices.values()):
        return value(0.0)
    low, high = 0.0, MOST_FACTOR
    best = value(1.0)
    inner = [MOST_FACTOR * (1 - GOLDEN), MOST_FACTOR * GOLDEN]
    values = [value(factor) for factor in inner]
    for _ in range(FACTORS):
        best = max(best, *values)
        if values[0] >= values[1]:
            high = inner[1]
            inner = [high - GOLDEN * (high - low), inner[0]]
            values = [value(inner[0]), values[0]]
        else:
            low = inner[0]
            inner = [inner[1], low + GOLDEN * (high - low)]
            values = [values[1], value(inner[1])]
    return max(best, *values)


def feasible(instance: Instance) -> bool | None:
    """True if flows that fit were found, False if it is proven that none do, None if it took too long to tell.

    Lets the sum of squared overloads go down, one commodity after the other; where it cannot reach zero, the overloads
    themselves are the prices that prove it (Farkas; for multicommodity flow Iri 1971).
    """
    graph = instance.graph
    capacity = instance.capacity
    flows: list[dict[Path, float]] = [{} for _ in instance.commodities]
    load = dict.fromkeys(capacity, 0.0)
    # Aimed a little below, so that what comes near enough fits.
    target = {link: kb * (1 - 1e-6) for link, kb in capacity.items()}
    for turn in range(max(1, min(MOST_ROUNDS, MOST_LOOKS // (len(flows) * len(capacity))))):
        for number, one in enumerate(instance.commodities):
            _relax(graph, one, flows[number], load, target, first=turn == 0)
        over = {link: max(0.0, load[link] - kb) for link, kb in capacity.items()}
        if not any(over.values()):
            return True
        least, _ = _cheapest(graph, instance.commodities, over)
        if _proves(least, over, capacity):
            return False
    return None


def _relax(
    graph: Graph,
    one: Commodity,
    flow: dict[Path, float],
    load: dict[Link, float],
    capacity: Mapping[Link, float],
    first: bool,
) -> None:
    """Route one commodity anew against the others' load, by a few steps towards its cheapest path."""
    rest = one.demand if first else 0.0
    for _ in range(4):
        # The trifle makes the shortest of those paths the cheapest that all have room.
        price = {link: max(0.0, load[link] - kb) + 1e-9 for link, kb in capacity.items()}
        _, before = distances(graph, price, one.source)
        best = path_to(before, one.source, one.target)
        if rest:
            flow[best] = rest
            _shift(load, best, rest)
            rest = 0.0
            continue
        moved = False
        for path, kb in list(flow.items()):
            if path == best:
                continue
            left = set(links_of(path)) - set(links_of(best))
            taken = set(links_of(best)) - set(links_of(path))
            gain = sum(max(0.0, load[link] - capacity[link]) for link in left) - sum(
                max(0.0, load[link] - capacity[link]) for link in taken
            )
            steep = sum(load[link] > capacity[link] for link in left) + len(taken)
            if gain <= 0:
                continue
            step = min(kb, gain / steep)
            _shift(load, path, -step)
            _shift(load, best, step)
            flow[best] = flow.get(best, 0.0) + step
            flow[path] = kb - step
            if flow[path] <= 0:
                del flow[path]
            moved = True
        if not moved:
            return


def _shift(load: dict[Link, float], path: Path, kb: float) -> None:
    for link in links_of(path):
        load[link] += kb


def _proves(least: float, prices: Mapping[Link, float], capacity: Mapping[Link, float]) -> bool:
    """Whether, at these prices, all room together is worth less than the least that the demands must pay."""
    return least * (1 - PROOF) > sum(prices[link] * kb for link, kb in capacity.items())


def _cheapest(graph: Graph, commodities: Sequence[Commodity], price: Mapping[Link, float]) -> tuple[float, bool]:
    """What all demands pay on their cheapest paths, and whether each has one; who has none pays nothing."""
    paid = 0.0
    all_served = True
    costs: dict[int, dict[int, float]] = {}
    for one in commodities:
        if one.source not in costs:
            costs[one.source], _ = distances(graph, price, one.source)
        cost = costs[one.source].get(one.target)
        if cost is None:
            all_served = False
        else:
            paid += one.demand * cost
    return paid, all_served
