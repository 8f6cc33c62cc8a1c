"""Prices on links, and who splits by them: the bandwidth cost within the capacities."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solver import optimum

from gossip_ws.routing.certificate import load_of
from gossip_ws.routing.dual import on_simplex
from gossip_ws.routing.instance import Instance, Kind
from gossip_ws.routing.kinds import SEED_003, Pattern, Topology, made, overlay, seed_003
from gossip_ws.routing.run import Algorithm, Terms, run

DUAL = Terms(Algorithm.DUAL)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8), st.floats(0.1, 100))
def test_the_projection_is_the_nearest_point_of_the_simplex(point: list[float], total: float) -> None:
    nearest = on_simplex(point, total)
    assert sum(nearest) == pytest.approx(total)
    assert min(nearest) >= 0
    # What is positive lost the same amount, and what is 0 would have lost no more.
    lost = [was - now for was, now in zip(point, nearest, strict=True) if now > 0]
    assert max(lost) - min(lost) <= 1e-9 * (1 + abs(max(lost)))
    assert all(was <= max(lost) + 1e-9 for was, now in zip(point, nearest, strict=True) if now == 0)


def linear(nodes: int, pattern: Pattern, seed: int, utilisation: float) -> Instance:
    drawn = overlay(nodes, pattern, Random(seed), utilisation)
    return Instance(drawn.name, Kind.LP, drawn.nodes, drawn.capacity, drawn.commodities)


@pytest.mark.parametrize(
    "instance",
    [
        seed_003(Topology.MESH),
        seed_003(Topology.RING),
        seed_003(Topology.MESH, Pattern.CYCLIC),
        seed_003(Topology.RING, Pattern.CYCLIC),
        made(Topology.MESH, Pattern.CYCLIC, [kb / 7 for kb in SEED_003], 500.0 / 7, Kind.LP),
        made(Topology.MESH, Pattern.CYCLIC, [kb * 1e3 for kb in SEED_003], 600e3, Kind.LP),
        linear(10, Pattern.ALL_TO_ALL, 5, 0.5),
    ],
    ids=lambda instance: f"{instance.name}/{instance.demand:.0f}",
)
def test_cost_and_overload_are_within_one_per_cent_after_65_ticks(instance: Instance) -> None:
    least = optimum(instance)
    for seed in range(4):
        outcome = run(instance, DUAL, Random(seed))
        assert outcome.usable
        for point in outcome.trace[65:]:
            assert point.certificate.cost == pytest.approx(least, rel=0.01)
            assert point.certificate.overload <= 0.01
        assert all(point.certificate.lower_bound <= least * (1 + 1e-6) for point in outcome.trace)
        assert outcome.last.certificate.lower_bound >= 0.95 * least


def test_the_ring_costs_most_and_the_mesh_least() -> None:
    cost = {one: run(seed_003(one), DUAL, Random(0)).last.certificate.cost for one in (Topology.RING, Topology.MESH)}
    assert cost == pytest.approx({Topology.RING: 375.0, Topology.MESH: 250.0})


@given(st.integers(0, 2**32))
def test_each_demand_is_met_at_any_prices(seed: int) -> None:
    dice = Random(seed)
    instance = made(Topology.MESH, Pattern.CYCLIC, [dice.uniform(1, 90) for _ in range(5)], 500.0, Kind.LP)
    outcome = run(instance, Terms(Algorithm.DUAL, loss=0.4, ticks=6), dice)
    got = dict.fromkeys(((one.source, one.target) for one in instance.commodities), 0.0)
    for path, kb in outcome.flows.items():
        got[path[0], path[-1]] += kb
    assert got == pytest.approx({(one.source, one.target): one.demand for one in instance.commodities})
    assert outcome.last.certificate.cost == pytest.approx(sum(load_of(outcome.flows).values()))
