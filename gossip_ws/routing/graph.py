"""Who is linked to whom, as paths see it: numbered nodes and directed links.

Knows neither capacities nor demands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

Link = tuple[int, int]
"""Directed: from the first node, which owns it, to the second."""
Path = tuple[int, ...]
"""The nodes in order, the source first; no node twice."""


@dataclass(frozen=True, slots=True)
class Graph:
    """successors: for each node the nodes it has a link to, ascending."""

    successors: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(nodes: int, links: Iterable[Link]) -> Graph:
        """`nodes` are numbered from 0; a link given twice counts once."""
        after: list[set[int]] = [set() for _ in range(nodes)]
        for source, target in links:
            after[source].add(target)
        return Graph(tuple(tuple(sorted(one)) for one in after))

    def without(self, link: Link) -> Graph:
        """The same graph, that link cut."""
        source, target = link
        return Graph(
            tuple(
                tuple(one for one in after if node != source or one != target)
                for node, after in enumerate(self.successors)
            )
        )

    def reachable(self, source: int) -> set[int]:
        """The nodes that a path leads to, the source among them."""
        seen = {source}
        waiting = [source]
        while waiting:
            for after in self.successors[waiting.pop()]:
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
        return seen


def links_of(path: Path) -> tuple[Link, ...]:
    """The links that a path goes over, in order."""
    return tuple(pairwise(path))
