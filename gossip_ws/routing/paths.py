"""Candidate routes: the k shortest loopless paths by hops, and the cheapest ones by price.

Everything is deterministic: of paths with equally many hops the lexicographically smaller comes first, so all who know
the graph name the same ones. Knows no flows; a price is a number that somebody hands in.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Collection, Mapping
from heapq import heappop, heappush
from typing import Final

from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.graph import Graph, Link, Path

CANDIDATES: Final = 5
"""Paths of one commodity at the start; seed 001 and seed 003 name no number, Net2Plan's habit is a handful."""


def shortest(graph: Graph, source: int, target: int) -> Path | None:
    """The path with the fewest hops, of these the lexicographically smallest; None if there is none."""
    return _spur(graph, source, target, frozenset(), frozenset())


def k_shortest(graph: Graph, source: int, target: int, k: int = CANDIDATES) -> tuple[Path, ...]:
    """At most `k` loopless paths, ordered by hops and then lexicographically (Yen 1971, as Lawler 1972 trims it).

    Empty if the target cannot be reached. Raises LocalError: k < 1, or source and target are the same.
    """
    if k < 1 or source == target:
        raise LocalError(f"at least one path between two nodes, not {k} from {source} to {target}")
    first = shortest(graph, source, target)
    if first is None:
        return ()
    found: list[Path] = []
    # Hops, path, and where it left its parent: before that place its parent has deviated already.
    waiting: list[tuple[int, Path, int]] = [(len(first), first, 0)]
    known = {first}
    while waiting:
        _, path, left = waiting.pop(0)
        found.append(path)
        if len(found) == k:
            break
        for place in range(left, len(path) - 1):
            root = path[: place + 1]
            cut = {other[place + 1] for other in found if other[: place + 1] == root}
            spur = _spur(graph, root[-1], target, frozenset(root[:-1]), cut)
            if spur is None:
                continue
            candidate = root[:-1] + spur
            if candidate not in known:
                known.add(candidate)
                insort(waiting, (len(candidate), candidate, place))
        del waiting[k - len(found) :]
    return tuple(found)


def _spur(graph: Graph, source: int, target: int, closed: Collection[int], cut: Collection[int]) -> Path | None:
    """The shortest path that avoids the nodes `closed` and does not begin with a link to one of `cut`.

    Breadth first over ascending successors: the first to discover a node lies on the lexicographically smallest of its
    shortest paths.
    """
    before: dict[int, int] = dict.fromkeys(closed, -1)
    before[source] = -1
    waiting = deque([source])
    while waiting:
        node = waiting.popleft()
        for after in graph.successors[node]:
            if after in before or (node == source and after in cut):
                continue
            before[after] = node
            if after == target:
                path = [after]
                while path[-1] != source:
                    path.append(before[path[-1]])
                return tuple(reversed(path))
            waiting.append(after)
    return None


def distances(graph: Graph, price: Mapping[Link, float], source: int) -> tuple[dict[int, float], dict[int, int]]:
    """What the cheapest path from `source` to each node that it reaches costs, and the node before it on that path.

    price: of each link of the graph, not negative. Ties go to the smaller node (Dijkstra 1959).
    """
    cost = {source: 0.0}
    before: dict[int, int] = {}
    done: set[int] = set()
    waiting = [(0.0, source)]
    while waiting:
        reached, node = heappop(waiting)
        if node in done:
            continue
        done.add(node)
        for after in graph.successors[node]:
            total = reached + price[node, after]
            if after not in done and total < cost.get(after, float("inf")):
                cost[after] = total
                before[after] = node
                heappush(waiting, (total, after))
    return cost, before


def path_to(before: Mapping[int, int], source: int, target: int) -> Path:
    """The path that `distances` found. Raises KeyError if it does not reach the target."""
    path = [target]
    while path[-1] != source:
        path.append(before[path[-1]])
    return tuple(reversed(path))
