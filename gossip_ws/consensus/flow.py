"""The largest flow through a network of whole numbers, by Dinic's algorithm. Knows nothing of what flows."""

from __future__ import annotations


class Network:
    """Nodes are numbered from 0 as they are made; an edge bears up to its capacity, in one direction."""

    def __init__(self) -> None:
        self._edges: list[list[int]] = []
        """By node, numbers of edges; edge k ^ 1 is edge k backwards."""
        self._to: list[int] = []
        self._room: list[int] = []

    def node(self) -> int:
        self._edges.append([])
        return len(self._edges) - 1

    def nodes(self, count: int) -> list[int]:
        return [self.node() for _ in range(count)]

    def edge(self, one: int, other: int, capacity: int) -> int:
        """Its number. An edge that bears nothing is one all the same."""
        number = len(self._to)
        self._to += [other, one]
        self._room += [capacity, 0]
        self._edges[one].append(number)
        self._edges[other].append(number + 1)
        return number

    def used(self, edge: int) -> int:
        """What flows through it."""
        return self._room[edge ^ 1]

    def is_open(self, source: int, sink: int) -> bool:
        """Could anything more flow from one to the other?"""
        return bool(self._levels(source, sink))

    def push(self, source: int, sink: int) -> int:
        """Let flow as much more as can from one to the other; how much that is."""
        pushed = 0
        while levels := self._levels(source, sink):
            tried = [0] * len(self._edges)
            while some := self._along(source, sink, levels, tried):
                pushed += some
        return pushed

    def _levels(self, source: int, sink: int) -> list[int]:
        """By node, how many edges from the source; empty when the sink is not to be reached."""
        levels = [-1] * len(self._edges)
        levels[source] = 0
        for node in (queue := [source]):
            for edge in self._edges[node]:
                if self._room[edge] and levels[self._to[edge]] < 0:
                    levels[self._to[edge]] = levels[node] + 1
                    queue.append(self._to[edge])
        return levels if levels[sink] >= 0 else []

    def _along(self, source: int, sink: int, levels: list[int], tried: list[int]) -> int:
        """Push along one shortest way; 0 when there is none."""
        way: list[int] = []
        node = source
        while node != sink:
            edges = self._edges[node]
            while tried[node] < len(edges):
                edge = edges[tried[node]]
                if self._room[edge] and levels[self._to[edge]] == levels[node] + 1:
                    break
                tried[node] += 1
            if tried[node] < len(edges):
                way.append(edges[tried[node]])
                node = self._to[way[-1]]
            elif not way:
                return 0
            else:
                node = self._to[way.pop() ^ 1]
                tried[node] += 1
        some = min(self._room[edge] for edge in way)
        for edge in way:
            self._room[edge] -= some
            self._room[edge ^ 1] += some
        return some
