"""The population engine, held to the exact chain and to the formulas. Bounds are three standard errors."""

from __future__ import annotations

from math import comb, sqrt

import numpy as np
import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Variant
from gossip_ws.lab.draws import distinct
from gossip_ws.lab.engine import run
from gossip_ws.lab.trial import Trial
from gossip_ws.theory import coverage, exact
from gossip_ws.theory.reach import Push, reach


def near(samples: np.ndarray, expected: float, *, allow: float = 0.0) -> bool:
    return bool(abs(samples.mean() - expected) <= 3 * samples.std(ddof=1) / sqrt(len(samples)) + allow)


@pytest.mark.parametrize("fanout", [1, 2, 5])
def test_every_set_of_others_is_as_likely(fanout):
    """Chi square over all sets of `fanout` of the five others, for each of six senders: mean and deviation known."""
    senders = np.repeat(np.arange(6, dtype=np.int32), 20_000)
    drawn = np.sort(distinct(np.random.default_rng(1), 6, senders, fanout), axis=0)
    assert not (drawn == senders).any()
    sets = comb(5, fanout)
    for sender in range(6):
        found, counts = np.unique(drawn[:, senders == sender], axis=1, return_counts=True)
        assert (np.diff(found, axis=0) > 0).all(), "no target twice"
        assert len(counts) == sets
        square = ((counts - 20_000 / sets) ** 2).sum() / (20_000 / sets)
        assert square <= sets - 1 + 4 * sqrt(2 * (sets - 1))


def test_a_wide_fanout_is_as_distinct():
    senders = np.arange(40, dtype=np.int32)
    drawn = distinct(np.random.default_rng(2), 400, senders, 399)
    assert (np.sort(drawn, axis=0) == [[k + (k >= s) for s in senders] for k in range(399)]).all()


@pytest.mark.parametrize(
    ("n", "fanout", "rounds", "loss", "crashed"),
    [(24, 4, 23, 0.2, 0.0), (24, 3, 3, 0.1, 0.25), (24, 12, 23, 0.5, 0.25), (10, 9, 2, 0.6, 0.0), (2, 1, 1, 0.3, 0.0)],
)
def test_push_follows_the_exact_chain(n, fanout, rounds, loss, crashed):
    trial = Trial(n, fanout, rounds, loss, crashed)
    off = n - trial.live
    outcomes = run(trial, 40_000, seed=3)
    assert near(outcomes.coverage, exact.mean_coverage(n, fanout, loss, off, rounds))
    everyone = exact.all_reached(n, fanout, loss, off, rounds)
    measured = (outcomes.reached == outcomes.live).mean()
    assert abs(measured - everyone) <= 3 * sqrt(everyone * (1 - everyone) / 40_000)
    assert (outcomes.rounds <= rounds).all()


def test_the_course_of_a_push_is_that_of_the_mean_field():
    """A push that begins badly is behind for good, and one that begins well meets those it has reached: so the mean
    lags behind the mean field by up to 2 % on the way, and by a device or two."""
    for rounds, expected in enumerate(coverage.mean_field(20_000, 7, 8, 0.1, 0.1)):
        outcomes = run(Trial(20_000, 7, rounds, 0.1, 0.1), 60, seed=4)
        assert near(outcomes.reached, expected, allow=2 + 0.02 * expected)


def test_eventual_coverage():
    outcomes = run(Trial(100_000, 3, 100, 0.1, 0.2), 15, seed=5)
    assert near(outcomes.coverage, coverage.eventual_coverage(3, 0.1, 0.2), allow=1e-4)


@pytest.mark.parametrize(("n", "fanout", "loss", "crashed"), [(1000, 11, 0.1, 0.0), (300, 9, 0.1, 0.2)])
def test_everyone_is_reached_as_often_as_the_chain_in_doubles_says(n, fanout, loss, crashed):
    outcomes = run(Trial(n, fanout, n - 1, loss, crashed), 2500, seed=6)
    told = reach(Push(n, n - Trial(n, 0, 0, 0.0, crashed).live, fanout, loss))
    everyone = told.all_reached
    measured = (outcomes.reached == outcomes.live).mean()
    assert abs(measured - everyone) <= 3 * sqrt(everyone * (1 - everyone) / 2500)
    assert near(outcomes.coverage, told.coverage, allow=1e-5)
    # The textbook's exponential is for many devices: it falls short here, but by little.
    formula = coverage.all_reached(n, fanout, loss, crashed)
    assert everyone - 0.03 < formula < everyone


def test_what_is_lost_of_a_wide_fanout_is_not_drawn():
    outcomes = run(Trial(50, 40, 49, 0.95), 20_000, seed=8)
    assert near(outcomes.coverage, exact.mean_coverage(50, 40, 0.95))


def test_a_wide_fanout_stops_when_nobody_is_left():
    outcomes = run(Trial(2000, 1500, 5, 0.3), 20, seed=7)
    assert (outcomes.reached == 2000).all()
    assert (outcomes.envelopes == 2000 * 1500).all()


def test_costs_are_counted():
    outcomes = run(Trial(50, 49, 5), 3, seed=1)
    assert outcomes.reached.tolist() == [50] * 3
    assert outcomes.rounds.tolist() == [1] * 3
    # The origin told everybody; each of them has a hop left and tells everybody else.
    assert outcomes.envelopes.tolist() == outcomes.payloads.tolist() == [50 * 49] * 3
    last = run(Trial(50, 49, 1), 1, seed=1)
    assert last.envelopes.tolist() == [49]


def test_who_has_nobody_to_tell():
    for trial in (Trial(1, 0, 5), Trial(10, 0, 5), Trial(10, 3, 0), Trial(10, 9, 3, crashed=0.99)):
        outcomes = run(trial, 2, seed=1)
        assert outcomes.reached.tolist() == [1, 1]
        assert outcomes.rounds.tolist() == [0, 0]


def test_a_seed_gives_one_result():
    trial = Trial(30_000, 5, 12, 0.1, 0.1)
    one, same, other = run(trial, 90, 7), run(trial, 90, 7), run(trial, 90, 8)
    assert (one.reached == same.reached).all()
    assert (one.envelopes == same.envelopes).all()
    assert (one.reached != other.reached).any()
    assert len(one.reached) == 90


def test_progress_is_told():
    told = []
    run(Trial(2**20, 1, 1), 5, 1, progress=told.append)
    assert told == [2, 4, 5]


@pytest.mark.parametrize(
    ("trial", "repeat", "seed"),
    [(Trial(10, 3, 3), 0, 1), (Trial(10, 3, 3), 1, -1), (Trial(10, 3, 3, variant=Variant.ADAPTIVE), 1, 1)],
)
def test_what_it_cannot_run_is_refused(trial, repeat, seed):
    with pytest.raises(LocalError):
        run(trial, repeat, seed)
