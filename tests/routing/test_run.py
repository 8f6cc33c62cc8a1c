"""Adaptive peers over a network that is late and loses signals: what they reach, and what holds on the way."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solver import optimum
from sweep import drawn

from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.certificate import certify, feasible, load_of
from gossip_ws.routing.instance import Instance, Kind
from gossip_ws.routing.kinds import Pattern, Topology, made, overlay, seed_001, seed_003
from gossip_ws.routing.peer import Start
from gossip_ws.routing.run import Algorithm, Change, Outcome, Terms, run

KNOWN = [
    (seed_001(Topology.MESH), 7.6853),
    (seed_001(Topology.RING), 8.6559),
    (seed_001(Topology.BUS), 13.4582),
    (seed_001(Topology.MESH, utilisation=0.3), 5.1798),
    (seed_001(Topology.RING, utilisation=0.3), 5.3658),
    (seed_001(Topology.MESH, Pattern.CYCLIC), 16.0104),
    (seed_003(Topology.RING, kind=Kind.MM1), 8.9072),
    (seed_003(Topology.MESH, kind=Kind.MM1), 9.1602),
]
SYNCHRONOUS = Terms(async_max=0, loss=0.0, ticks=25)


def costs(outcome: Outcome) -> list[float]:
    return [point.certificate.cost for point in outcome.trace]


def delivered(instance: Instance, outcome: Outcome) -> None:
    """Each demand is on paths of its own ends, over links that exist."""
    got: dict[tuple[int, int], float] = {}
    for path, kb in outcome.flows.items():
        assert kb > 0
        assert len(set(path)) == len(path)
        got[path[0], path[-1]] = got.get((path[0], path[-1]), 0.0) + kb
    assert load_of(outcome.flows).keys() <= instance.capacity.keys()
    assert got == pytest.approx({(one.source, one.target): one.demand for one in instance.commodities})


@pytest.mark.parametrize(("instance", "least"), KNOWN, ids=lambda one: getattr(one, "name", ""))
def test_known_optima_are_reached_and_bounded(instance: Instance, least: float) -> None:
    assert optimum(instance) == pytest.approx(least, abs=1e-4)
    for seed in range(3):
        outcome = run(instance, Terms(), Random(seed))
        delivered(instance, outcome)
        assert costs(outcome)[-1] == pytest.approx(least, rel=1e-3)
        assert all(cost <= least * 1.01 for cost in costs(outcome)[30:])
        assert all(point.certificate.lower_bound <= least + 1e-4 for point in outcome.trace)
        assert all(point.certificate.overload == 0 for point in outcome.trace[30:])
        assert outcome.last.certificate.gap <= 1e-2 * least
        assert outcome.usable


@pytest.mark.parametrize("pattern", list(Pattern))
def test_drawn_overlays_are_solved(pattern: Pattern) -> None:
    instance = overlay(10, pattern, Random(1), 0.3)
    least = optimum(instance)
    outcome = run(instance, Terms(), Random(1))
    delivered(instance, outcome)
    assert all(cost <= 1.03 * least for cost in costs(outcome)[60:])
    assert costs(outcome)[-1] <= 1.01 * least
    assert outcome.last.certificate.lower_bound <= least * (1 + 1e-6)


def test_thirty_who_send_to_one_other_each_are_soon_near_the_best_of_all_paths() -> None:
    """By marginal costs alone it takes 80 ticks (a held-out overlay: nothing was chosen by it)."""
    instance = overlay(30, Pattern.UNICAST, Random(35))
    outcome = run(instance, Terms(ticks=50), Random(0))
    delivered(instance, outcome)
    least = optimum(instance)
    assert all(cost <= 1.01 * least for cost in costs(outcome)[40:])
    assert all(point.certificate.overload == 0 for point in outcome.trace[30:])


def test_no_link_stays_overloaded_though_the_demands_hardly_fit() -> None:
    """Of this ring no routing leaves more than 0.03 % free; it was overloaded for good."""
    instance, _ = drawn(4)
    outcome = run(instance, Terms(ticks=60), Random(4))
    delivered(instance, outcome)
    assert outcome.trace[0].certificate.overload > 0
    assert all(point.certificate.overload <= 1e-9 for point in outcome.trace[31:])


@pytest.mark.parametrize(("wait", "loss"), [(0, 0.0), (0, 0.1), (1, 0.1), (0, 0.5)])
def test_flows_do_not_swing_when_many_move_at_once(wait: int, loss: float) -> None:
    """The less a node waits, the more of the others move in the same tick, unseen."""
    instance = overlay(20, Pattern.ALL_TO_ALL, Random(20))
    outcome = run(instance, Terms(async_max=wait, loss=loss, ticks=15), Random(1))
    assert all(cost <= 1.01 * optimum(instance) for cost in costs(outcome)[10:])


@settings(max_examples=25)
@given(
    st.sampled_from(list(Topology)),
    st.sampled_from(list(Pattern)),
    st.integers(3, 7),
    st.floats(0.05, 0.6),
    st.sampled_from(list(Start)),
    st.integers(0, 2**32),
)
def test_with_current_reports_no_tick_raises_the_cost_and_none_fills_a_link(
    topology: Topology, pattern: Pattern, nodes: int, utilisation: float, start: Start, seed: int
) -> None:
    dice = Random(seed)
    demands = [dice.uniform(10, 50) for _ in range(nodes)]
    instance = made(topology, pattern, demands, sum(demands) / utilisation, dice=dice)
    outcome = run(instance, Terms(async_max=0, loss=0.0, ticks=12, start=start), dice)
    delivered(instance, outcome)
    for before, after in pairwise(outcome.trace):
        assert after.certificate.cost <= before.certificate.cost * (1 + 1e-9)
        assert after.certificate.overload <= 0 or before.certificate.overload > 0
        assert after.certificate.lower_bound <= outcome.last.certificate.cost * (1 + 1e-9)


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.floats(0.0, 0.6), st.integers(0, 8))
def test_each_demand_stays_whole_whatever_is_lost(seed: int, loss: float, wait: int) -> None:
    dice = Random(seed)
    instance = overlay(7, dice.choice(list(Pattern)), dice, dice.uniform(0.1, 0.5))
    outcome = run(instance, Terms(async_max=wait, loss=loss, ticks=30), dice)
    delivered(instance, outcome)
    assert all(point.imbalance == 0 for point in outcome.trace)


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_with_current_reports_no_tick_raises_the_cost_however_long_nodes_wait(seed: int, wait: int) -> None:
    dice = Random(seed)
    instance = overlay(7, dice.choice(list(Pattern)), dice, dice.uniform(0.1, 0.5))
    outcome = run(instance, Terms(async_max=wait, loss=0.0, ticks=30), dice)
    assert all(after <= before * (1 + 1e-9) for before, after in pairwise(costs(outcome)))


def test_half_of_all_signals_lost_is_slower_not_worse() -> None:
    instance = seed_001(Topology.RING)
    for seed in range(3):
        assert costs(run(instance, Terms(loss=0.5, ticks=200), Random(seed)))[-1] == pytest.approx(8.6559, rel=1e-3)


def test_one_seed_gives_one_run() -> None:
    instance = seed_001(Topology.RING)
    assert run(instance, Terms(), Random(7)) == run(instance, Terms(), Random(7))
    assert costs(run(instance, Terms(), Random(7))) != costs(run(instance, Terms(), Random(8)))


def test_minimum_hop_stays_where_it_is() -> None:
    outcome = run(seed_001(Topology.RING), Terms(Algorithm.MINIMUM_HOP), Random(0))
    assert costs(outcome) == pytest.approx([13.804888951628083] * 101)
    assert outcome.last.certificate.lower_bound < 8.6559


def test_flow_leaves_a_link_that_fails_and_comes_back() -> None:
    instance = seed_001(Topology.RING, utilisation=0.15)
    broken = Terms(ticks=120, changes=(Change((0, 1), 40), Change((0, 1), 80, 50.0)))
    outcome = run(instance, broken, Random(3))
    delivered(instance, outcome)
    failed = outcome.trace[79]
    assert failed.certificate.overload == 0
    assert failed.certificate.cost > 1.2 * costs(outcome)[39]
    assert costs(outcome)[-1] == pytest.approx(costs(outcome)[39], rel=1e-3)


def test_what_no_longer_fits_is_proven_and_flows_are_kept() -> None:
    instance = seed_001(Topology.RING)
    outcome = run(instance, Terms(ticks=80, changes=(Change((0, 1), 30), Change((0, 3), 30))), Random(3))
    delivered(instance, outcome)
    assert outcome.last.certificate.infeasible
    assert not outcome.usable
    assert not any(point.certificate.infeasible for point in outcome.trace[:30])


def test_a_cut_that_is_too_narrow_is_proven_too() -> None:
    """Without 0-1 all that 0 and 3 have for 1 and 2, 56.7 kb, goes over 3-2, which has 50."""
    outcome = run(seed_001(Topology.RING), Terms(ticks=80, changes=(Change((0, 1), 30),)), Random(3))
    assert outcome.last.certificate.infeasible
    assert outcome.last.certificate.max_utilisation == pytest.approx(56.667 / 50, rel=1e-4)


def test_too_much_demand_is_proven_not_to_fit() -> None:
    for utilisation, fits in ((0.3, True), (0.6, True), (0.7, False), (1.2, False)):
        instance = seed_001(Topology.MESH, Pattern.CYCLIC, utilisation)
        assert feasible(instance) is fits
        assert (optimum(instance) < float("inf")) is fits


def test_a_certificate_of_nothing_on_the_links() -> None:
    instance = seed_001(Topology.RING)
    assert certify(instance, instance.capacity, {}).cost == 0


@pytest.mark.parametrize(
    "terms",
    [
        {"async_max": -1},
        {"loss": 1.0},
        {"loss": float("nan")},
        {"ticks": -1},
        {"ticks": 10**9},
        {"changes": (Change((0, 1), -1),)},
        {"changes": (Change((0, 1), 1, float("nan")),)},
    ],
    ids=str,
)
def test_terms_are_in_range(terms: dict[str, object]) -> None:
    with pytest.raises(LocalError):
        Terms(**terms)  # type: ignore[arg-type]


def test_only_links_that_exist_change() -> None:
    with pytest.raises(LocalError, match="0-2"):
        run(seed_001(Topology.RING), Terms(changes=(Change((0, 2), 1),)), Random(0))
