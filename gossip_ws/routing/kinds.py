"""Instances of named kinds: bus, ring, mesh and regular overlays with demands all to all, cyclic or unicast.

Those of seed 001 (four prosumers, 155 kb, 400 kb of capacity in all) and of seed 003 (five units, 250 kb, 800 kb) are
among them. The papers do not say who sends to whom; all to all in equal parts fits what they report
(docs/routing.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.graph import Graph, Link
from gossip_ws.routing.instance import Commodity, Instance, Kind
from gossip_ws.routing.paths import shortest

SEED_001: Final = (45.0, 35.0, 35.0, 40.0)
"""kb of each prosumer (seed 001 section 5)."""
SEED_001_CAPACITY: Final = 400.0
SEED_003: Final = (40.0, 50.0, 50.0, 55.0, 55.0)
"""kb of each unit (seed 003 section 4)."""
SEED_003_CAPACITY: Final = 800.0
_MOST_DRAWS: Final = 10_000


class Topology(StrEnum):
    BUS = "bus"
    """A line; of four nodes it is 3-0-1-2, the one that fits what seed 001 reports."""
    RING = "ring"
    MESH = "mesh"
    """Everybody with everybody."""
    REGULAR = "regular"
    """Everybody with four others, drawn."""


class Pattern(StrEnum):
    ALL_TO_ALL = "all-to-all"
    """Each to all others in equal parts."""
    CYCLIC = "cyclic"
    """Each to the next."""
    UNICAST = "unicast"
    """Each to one other, drawn."""


def edges(topology: Topology, nodes: int, dice: Dice | None = None) -> list[Link]:
    """Pairs of nodes that are linked in both directions. dice: for drawn ones. Raises LocalError: too few nodes."""
    if nodes < 2:
        raise LocalError("at least two nodes")
    match topology:
        case Topology.BUS:
            order = [nodes - 1, *range(nodes - 1)] if nodes == 4 else list(range(nodes))
            return [(order[at], order[at + 1]) for at in range(nodes - 1)]
        case Topology.RING:
            return [(node, (node + 1) % nodes) for node in range(nodes)]
        case Topology.MESH:
            return [(node, other) for node in range(nodes) for other in range(node + 1, nodes)]
        case Topology.REGULAR:
            return _regular(nodes, 4, dice) if nodes > 5 else edges(Topology.MESH, nodes)


def _regular(nodes: int, degree: int, dice: Dice | None) -> list[Link]:
    """Stubs are paired at random, until no pair is a loop, none is twice, and all is one piece."""
    if dice is None:
        raise LocalError("a drawn overlay needs dice")
    stubs = [node for node in range(nodes) for _ in range(degree)]
    for _ in range(_MOST_DRAWS):
        drawn = dice.sample(stubs, len(stubs))
        pairs = {(min(pair), max(pair)) for pair in zip(drawn[::2], drawn[1::2], strict=True)}
        if len(pairs) == len(stubs) // 2 and all(one != other for one, other in pairs):
            both = [link for one, other in pairs for link in ((one, other), (other, one))]
            if len(Graph.of(nodes, both).reachable(0)) == nodes:
                return sorted(pairs)
    raise LocalError(f"no overlay of {nodes} nodes was drawn")


def commodities(pattern: Pattern, demands: Sequence[float], dice: Dice | None = None) -> tuple[Commodity, ...]:
    """demands: kb of each node. dice: for drawn targets."""
    nodes = len(demands)
    match pattern:
        case Pattern.ALL_TO_ALL:
            return tuple(
                Commodity(node, other, kb / (nodes - 1))
                for node, kb in enumerate(demands)
                for other in range(nodes)
                if other != node
            )
        case Pattern.CYCLIC:
            return tuple(Commodity(node, (node + 1) % nodes, kb) for node, kb in enumerate(demands))
        case Pattern.UNICAST:
            if dice is None:
                raise LocalError("drawn targets need dice")
            return tuple(
                Commodity(node, dice.sample([other for other in range(nodes) if other != node], 1)[0], kb)
                for node, kb in enumerate(demands)
            )


def made(
    topology: Topology,
    pattern: Pattern,
    demands: Sequence[float],
    capacity: float,
    kind: Kind = Kind.MM1,
    dice: Dice | None = None,
) -> Instance:
    """capacity: kb of all links together, in equal parts."""
    links = _both(edges(topology, len(demands), dice))
    return Instance(
        f"{topology.value}/{pattern.value}/n={len(demands)}",
        kind,
        len(demands),
        dict.fromkeys(links, capacity / len(links)),
        commodities(pattern, demands, dice),
    )


def seed_001(topology: Topology, pattern: Pattern = Pattern.ALL_TO_ALL, utilisation: float = 0.3875) -> Instance:
    """Four prosumers; the demands are scaled so that they are this share of the capacity."""
    scale = utilisation * SEED_001_CAPACITY / sum(SEED_001)
    return made(topology, pattern, [scale * kb for kb in SEED_001], SEED_001_CAPACITY)


def seed_003(topology: Topology, pattern: Pattern = Pattern.ALL_TO_ALL, kind: Kind = Kind.LP) -> Instance:
    """Five units."""
    return made(topology, pattern, SEED_003, SEED_003_CAPACITY, kind)


def overlay(nodes: int, pattern: Pattern, dice: Dice, utilisation: float = 0.3875) -> Instance:
    """A drawn overlay of prosumers with 35 to 45 kb each; minimum hop uses this share of the capacity in the mean."""
    drawn = made(Topology.REGULAR, pattern, [dice.uniform(35.0, 45.0) for _ in range(nodes)], 1.0, dice=dice)
    graph = drawn.graph
    work = sum(one.demand * (len(shortest(graph, one.source, one.target) or ()) - 1) for one in drawn.commodities)
    each = work / utilisation / len(drawn.capacity)
    return Instance(drawn.name, drawn.kind, nodes, dict.fromkeys(drawn.capacity, each), drawn.commodities)


def _both(pairs: Iterable[Link]) -> list[Link]:
    return [link for one, other in pairs for link in ((one, other), (other, one))]
