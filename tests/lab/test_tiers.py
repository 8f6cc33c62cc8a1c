"""Tiers: against the exact chain, against arithmetic where chance has no say, and against a simulation by events."""

from __future__ import annotations

import heapq
from itertools import count
from math import inf, sqrt
from random import Random

import numpy as np
import pytest

from gossip_ws.grid.population import load
from gossip_ws.kernel.errors import LocalError
from gossip_ws.lab.levels import levels, of_population
from gossip_ws.lab.roster import RETRIES, attempts, serve
from gossip_ws.lab.tiered import run_tiers, total
from gossip_ws.theory import exact
from gossip_ws.theory.tiers import Segment
from gossip_ws.theory.traffic import PAYLOAD

SECOND = PAYLOAD * 8.0
"""The bandwidth with which a datagram takes a second."""


def simulate(segments, budgets, repeat, seed=1):
    return run_tiers(levels(segments, budgets), repeat, seed)


@pytest.mark.parametrize(
    ("fanout", "rounds", "loss", "crashed"), [(4, 23, 0.2, 0.0), (3, 3, 0.1, 0.25), (30, 2, 0.5, 0.5)]
)
def test_one_group_follows_the_exact_chain(fanout, rounds, loss, crashed):
    (found,) = simulate([Segment("all", 24, 1, loss, crashed)], [(fanout, rounds)], 20_000)
    expected = exact.mean_coverage(24, min(fanout, 23), loss, round(24 * crashed), rounds)
    coverage = found.outcomes.coverage
    assert abs(coverage.mean() - expected) < 3 * coverage.std() / sqrt(20_000)
    # All delays are alike: the time is that of the hops.
    assert found.seconds == pytest.approx(found.outcomes.rounds * 0.02)


def test_a_roster_is_served_until_there_are_receipts():
    loss, children = 0.5, 100_000
    service = serve(np.random.default_rng(1), loss, 0.0, np.ones(children, np.bool_))
    when = attempts()
    assert when[:4] == (0.0, 0.25, 0.75, 1.25)
    assert len(when) == RETRIES + 1
    for attempt, at in enumerate(when):
        likely = loss**attempt * (1 - loss)
        found = (service.seconds == at).mean()
        assert abs(found - likely) < 3 * sqrt(likely * (1 - likely) / children) + 1e-9
    stays = 1 - (1 - loss) ** 2
    copies = service.copies
    assert abs(copies.mean() - (1 - stays ** len(when)) / (1 - stays)) < 3 * copies.std() / sqrt(children)
    assert abs(service.receipts.sum() / copies.sum() - (1 - loss)) < 0.005


def test_who_is_off_is_sent_to_as_often_as_can_be_and_a_late_receipt_costs_copies():
    on = np.array([True, False])
    service = serve(np.random.default_rng(1), 0.0, 0.2, on)
    assert service.seconds.tolist() == [0.2, inf]
    # The receipt is there after 0.4 s; the copy of 0.25 s had gone out.
    assert service.copies.tolist() == [2, RETRIES + 1]
    assert service.receipts.tolist() == [2, 0]


def test_a_parent_serves_its_groups_one_after_the_other():
    top, low = levels([Segment("top", 3), Segment("low", 11, 5)], [(2, 1), (0, 0)])
    assert low.sizes.tolist() == [3, 2, 2, 2, 2]
    assert low.parents.tolist() == [1, 2, 1, 2, 1], "the origin serves nobody where there are others"
    assert low.places.tolist() == [1, 2, 3, 1, 2, 4, 5, 3, 4, 6, 7]
    assert top.starts.tolist() == [0]
    alone = levels([Segment("top", 1), Segment("low", 4, 2)], [(0, 0), (0, 0)])[1]
    assert alone.parents.tolist() == [0, 0]
    assert alone.places.tolist() == [1, 2, 3, 4]


def test_time_is_that_of_bandwidth_and_delay():
    segments = [Segment("top", 1), Segment("low", 5, 1, 0.0, 0.0, 0.5, SECOND)]
    _, low = simulate(segments, [(0, 0), (0, 0)], 2)
    assert low.seconds.tolist() == [5.5, 5.5]
    # A receipt takes as long as a copy: each child gets three copies in the second that lies between.
    assert low.outcomes.envelopes.tolist() == [2 * 5 * 3, 2 * 5 * 3]
    (pair,) = simulate([Segment("pair", 2, 1, 0.0, 0.0, 0.25, SECOND)], [(1, 3)], 1)
    assert pair.seconds.tolist() == [1.25]
    assert pair.outcomes.envelopes.tolist() == [2]


def by_events(dice, n, fanout, rounds, loss, delay, each):
    """(reached, seconds, envelopes): a parent and its roster of n, one thing after the other."""
    number = count()
    events = []
    envelopes = 0
    has, receipt = [False] * n, [inf] * n
    last = 0.0

    def lost():
        return dice.random() < loss

    def put(at, what, who, hops=0):
        heapq.heappush(events, (at, next(number), what, who, hops))

    for child in range(n):
        for when in attempts():
            put((child + 1) * each + when, "serve", child)
    while events:
        now, _, what, who, hops = heapq.heappop(events)
        if what == "serve":
            if receipt[who] <= now:
                continue
            envelopes += 1
            if not lost():
                put(now + delay, "from parent", who)
            continue
        if what == "from parent":
            envelopes += 1
            if not lost():
                receipt[who] = min(receipt[who], now + delay)
        if has[who]:
            continue
        has[who], last = True, now
        if hops < rounds:
            for place, other in enumerate(dice.sample([k for k in range(n) if k != who], fanout), 1):
                envelopes += 1
                if not lost():
                    put(now + place * each + delay, "push", other, hops + 1)
    return sum(has), last, envelopes


@pytest.mark.parametrize(("each", "delay", "rounds"), [(0.06, 0.011, 9), (0.2, 0.05, 1), (0.0, 0.03, 2)])
def test_a_roster_that_pushes_does_as_a_simulation_by_events(each, delay, rounds):
    """Difference of two means of independent runs: three times sqrt(s1^2 / r1 + s2^2 / r2), and a millisecond a hop for
    those who get it at nearly the same moment."""
    n, fanout, loss = 14, 2, 0.5
    dice = Random(3)
    expected = np.array([by_events(dice, n, fanout, rounds, loss, delay, each) for _ in range(1500)], float)
    bandwidth = SECOND / each if each else inf
    segments = [Segment("top", 1), Segment("low", n, 1, loss, 0.0, delay, bandwidth)]
    _, low = simulate(segments, [(0, 0), (fanout, rounds)], 6000)
    measured = np.array([low.outcomes.reached, low.seconds, low.outcomes.envelopes], float)
    for column, slack in zip(range(3), (0, 0.005, 0), strict=True):
        one, other = expected[:, column], measured[column]
        error = sqrt(one.var() / len(one) + other.var() / len(other))
        assert abs(one.mean() - other.mean()) <= 3 * error + slack


def test_what_is_below_a_parent_that_is_off_is_not_reached():
    segments = [Segment("top", 11, 1, 0.0, 0.4), Segment("low", 100, 10)]
    top, low = simulate(segments, [(10, 2), (3, 5)], 200)
    assert (top.outcomes.reached == top.outcomes.live).all()
    assert (top.outcomes.live == 7).all()
    # Four of the ten parents are off, whichever they are.
    assert (low.outcomes.reached == 60).all()
    outcomes, times = total([top, low])
    assert (outcomes.live == 107).all()
    assert (outcomes.reached == 67).all()
    assert (times == low.seconds).all()


def test_a_grid_has_its_own_groups():
    population = load("1-LV-rural1--2-sw")
    network = [Segment(name, 1, 1, 0.1) for name in ("WAN", "FAN", "HAN")]
    made = of_population(population, network, [(1, 1), (4, 4), (0, 0)])
    counts = population.counts()
    assert [level.segment.nodes for level in made] == [1 + counts.substations, counts.meters, counts.appliances]
    assert made[2].sizes.tolist() == [len(m.appliances) for m in population.meters() if m.appliances]
    assert made[1].parents.tolist() == [1], "the substation, not the information system"
    found = run_tiers(made, 50, 1)
    assert min(one.outcomes.coverage.mean() for one in found) > 0.85


def test_a_seed_gives_one_result():
    segments = [Segment("top", 5, 1, 0.3), Segment("low", 200, 4, 0.2, 0.1)]
    one, same = (simulate(segments, [(2, 4), (3, 4)], 30, seed=9) for _ in range(2))
    assert all((a.seconds == b.seconds).all() for a, b in zip(one, same, strict=True))


@pytest.mark.parametrize("budget", [(-1, 1), (1, -1), (1, 10_001)])
def test_bad_budgets_are_refused(budget):
    with pytest.raises(LocalError, match="tier all"):
        simulate([Segment("all", 5)], [budget], 1)
    with pytest.raises(LocalError):
        simulate([Segment("all", 5)], [], 1)
    with pytest.raises(LocalError):
        simulate([Segment("all", 5)], [(1, 1)], 0)
