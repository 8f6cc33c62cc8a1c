"""Candidate paths: the k shortest loopless ones in one order, against all paths there are."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.graph import Graph, Link, Path, links_of
from gossip_ws.routing.paths import distances, k_shortest, path_to, shortest

graphs = st.integers(2, 6).flatmap(
    lambda nodes: st.builds(
        Graph.of,
        st.just(nodes),
        st.sets(
            st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1)).filter(lambda link: link[0] != link[1])
        ),
    )
)


def every_path(graph: Graph, path: Path, target: int) -> list[Path]:
    if path[-1] == target:
        return [path]
    return [
        longer
        for after in graph.successors[path[-1]]
        if after not in path
        for longer in every_path(graph, (*path, after), target)
    ]


@given(graphs, st.integers(1, 9))
def test_the_k_shortest_are_the_first_of_all(graph: Graph, k: int) -> None:
    target = len(graph.successors) - 1
    everything = sorted(every_path(graph, (0,), target), key=lambda path: (len(path), path))
    assert list(k_shortest(graph, 0, target, k)) == everything[:k]
    assert shortest(graph, 0, target) == (everything[0] if everything else None)


@given(graphs, st.integers(0, 2**32))
def test_the_cheapest_path_is_the_cheapest_of_all(graph: Graph, seed: int) -> None:
    dice = Random(seed)
    price: dict[Link, float] = {
        (node, after): float(dice.randrange(5)) for node, more in enumerate(graph.successors) for after in more
    }
    cost, before = distances(graph, price, 0)
    for target in range(1, len(graph.successors)):
        everything = [sum(price[link] for link in links_of(path)) for path in every_path(graph, (0,), target)]
        assert cost.get(target) == (min(everything) if everything else None)
        if everything:
            assert sum(price[link] for link in links_of(path_to(before, 0, target))) == cost[target]


def test_a_grid_of_many_paths_is_no_trouble() -> None:
    side = 30
    links = [(at, at + step) for at in range(side * side) for step in (1, side) if at + step < side * side]
    found = k_shortest(Graph.of(side * side, links), 0, side * side - 1, 5)
    assert len(set(found)) == 5
    assert [len(path) for path in found] == sorted(len(path) for path in found)


def test_a_path_has_two_ends() -> None:
    with pytest.raises(LocalError):
        k_shortest(Graph.of(2, [(0, 1)]), 0, 0)
    with pytest.raises(LocalError):
        k_shortest(Graph.of(2, [(0, 1)]), 0, 1, 0)


def test_a_cut_link_is_gone() -> None:
    graph = Graph.of(3, [(0, 1), (1, 2), (0, 2)])
    assert k_shortest(graph.without((0, 2)), 0, 2) == ((0, 1, 2),)
    assert k_shortest(graph.without((1, 2)).without((0, 2)), 0, 2) == ()
