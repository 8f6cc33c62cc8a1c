"""A routing problem as a file has it: nodes, links with capacities, demands. Checked once, then trusted.

Data and its checks. Knows no path, no flow and no algorithm; whether the demands fit is `certificate`'s to say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.graph import Graph, Link

MOST_NODES: Final = 1_000
MOST_LINKS: Final = 10_000
MOST_DEMANDS: Final = 20_000
MOST_KB: Final = 1e9
LEAST_KB: Final = 1e-6
"""Bounds of a capacity or a demand: between them no cost leaves the range of a float."""
MOST_OCTETS: Final = 8 * 1_024 * 1_024


class Kind(StrEnum):
    """What is to be minimised."""

    MM1 = "mm1"
    """The delay cost, the sum of y / (c - y) over the links (seed 001 eq. (7))."""
    LP = "lp"
    """The bandwidth cost, hops times flow over the paths, within the capacities (seed 003 eq. (1))."""


@dataclass(frozen=True, slots=True)
class Commodity:
    """`demand` kb that `source` has for `target`."""

    source: int
    target: int
    demand: float


@dataclass(frozen=True, slots=True)
class Instance:
    """capacity: kb of each link, in the order of the file. commodities: one for each pair of nodes, ordered by it."""

    name: str
    kind: Kind
    nodes: int
    capacity: Mapping[Link, float]
    commodities: tuple[Commodity, ...]

    @property
    def graph(self) -> Graph:
        return Graph.of(self.nodes, self.capacity)

    @property
    def demands(self) -> list[dict[int, float]]:
        """For each node, kb for each of its targets."""
        wanted: list[dict[int, float]] = [{} for _ in range(self.nodes)]
        for one in self.commodities:
            wanted[one.source][one.target] = one.demand
        return wanted

    @property
    def demand(self) -> float:
        """kb, of all commodities."""
        return sum(one.demand for one in self.commodities)


def parse(text: str | bytes) -> Instance:
    """An instance from JSON. Raises LocalError for everything that is not one."""
    if len(text) > MOST_OCTETS:
        raise LocalError(f"an instance has at most {MOST_OCTETS} octets")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LocalError(f"not JSON: {error}") from None
    return read(value)


def read(value: Any) -> Instance:
    """An instance from what JSON says. Names that are not listed here, such as `optimum`, are not looked at.

    Raises LocalError: something is missing, of the wrong type, out of range, listed twice, or a demand has no path.
    """
    if not isinstance(value, dict):
        raise LocalError("an instance is a JSON object")
    kind = value.get("kind", Kind.MM1.value)
    if kind not in list(Kind):
        raise LocalError(f"kind is mm1 or lp, not {kind!r}")
    name = value.get("name", "")
    if not isinstance(name, str) or len(name) > 200:
        raise LocalError("name is a text of at most 200 characters")
    nodes: Any = value.get("nodes")
    if not _whole(nodes) or not 2 <= nodes <= MOST_NODES:
        raise LocalError(f"nodes is a number from 2 to {MOST_NODES}")
    links = [_pair(one, nodes, "link") for one in _array(value, "links", MOST_LINKS)]
    if len(set(links)) < len(links):
        raise LocalError("a link is listed twice")
    capacities = _array(value, "capacity_kb", MOST_LINKS)
    if len(capacities) != len(links):
        raise LocalError(f"{len(links)} links, but {len(capacities)} capacities")
    capacity = dict(zip(links, (_amount(one, "a capacity") for one in capacities), strict=True))
    demands: dict[Link, float] = {}
    for one in _array(value, "demands", MOST_DEMANDS):
        if not isinstance(one, list) or len(one) != 3:
            raise LocalError("a demand is [source, target, kb]")
        pair = _pair(one[:2], nodes, "demand")
        demands[pair] = demands.get(pair, 0.0) + _amount(one[2], "a demand")
    instance = Instance(
        name, Kind(kind), nodes, capacity, tuple(Commodity(*pair, demands[pair]) for pair in sorted(demands))
    )
    _connected(instance)
    return instance


def _connected(instance: Instance) -> None:
    graph = instance.graph
    reached: dict[int, set[int]] = {}
    for one in instance.commodities:
        if one.source not in reached:
            reached[one.source] = graph.reachable(one.source)
        if one.target not in reached[one.source]:
            raise LocalError(f"infeasible: no path from {one.source} to {one.target}")


def _array(value: Mapping[str, Any], name: str, most: int) -> list[Any]:
    array = value.get(name)
    if not isinstance(array, list) or not 1 <= len(array) <= most:
        raise LocalError(f"{name} is an array of 1 to {most}")
    return array


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pair(value: Any, nodes: int, what: str) -> Link:
    if not isinstance(value, list) or len(value) != 2 or not all(_whole(one) for one in value):
        raise LocalError(f"a {what} begins with two node numbers, not {str(value)[:80]}")
    source, target = value
    if not (0 <= source < nodes and 0 <= target < nodes) or source == target:
        raise LocalError(f"a {what} joins two different nodes below {nodes}, not {source} and {target}")
    return source, target


def _amount(value: Any, what: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise LocalError(f"{what} is a number of kb, not {str(value)[:80]}")
    if not LEAST_KB <= value <= MOST_KB:
        raise LocalError(f"{what} lies between {LEAST_KB:g} and {MOST_KB:g} kb, not {str(value)[:80]}")
    return float(value)
