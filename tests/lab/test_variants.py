"""The variants of the population engine, held to the exact chain, to anti-entropy's and to the formulas of coverage.
Bounds are three standard errors."""

from __future__ import annotations

from itertools import pairwise
from math import exp, factorial, sqrt

import numpy as np
import pytest

from gossip_ws.core.repair import ADVERTISERS
from gossip_ws.kernel.terms import Variant
from gossip_ws.lab.engine import run
from gossip_ws.lab.trial import Trial
from gossip_ws.theory import anti_entropy, coverage, exact

PULLS = [Variant.EAGER_PULL, Variant.LAZY_PULL]


def near(samples: np.ndarray, expected: float, *, allow: float = 0.0) -> bool:
    return bool(abs(samples.mean() - expected) <= 3 * samples.std(ddof=1) / sqrt(len(samples)) + allow)


def pull(variant: Variant, loss: float) -> float:
    """An asker that lacks the message gets it: digest and payload; or digest, id, and three fetches."""
    arrives = 1 - loss
    return arrives**2 if variant is Variant.EAGER_PULL else arrives**2 * (1 - (1 - arrives**2) ** 3)


@pytest.mark.parametrize("variant", PULLS)
@pytest.mark.parametrize(("n", "loss", "crashed"), [(40, 0.0, 0.0), (40, 0.3, 0.25), (1000, 0.2, 0.0)])
def test_rounds_of_a_pull_are_those_of_anti_entropy(variant, n, loss, crashed):
    """An asked one that lacks it: digest, fetch, payload. Of n - 1 partners only those that are on are of use."""
    trial = Trial(n, 1, 1000, loss, crashed, variant)
    outcomes = run(trial, 20_000 // n * 10, seed=11)
    assert (outcomes.reached == outcomes.live).all()
    share = (trial.live - 1) / (n - 1)
    expected = anti_entropy.mean_rounds(trial.live, push=(1 - loss) ** 3 * share, pull=pull(variant, loss) * share)
    assert near(outcomes.rounds, expected)


@pytest.mark.parametrize("variant", PULLS)
def test_the_course_of_a_pull_is_that_of_many_devices(variant):
    """From a tenth that lack it on, one round at a time; before, chance decides when it begins."""
    n, loss = 30_000, 0.2
    courses = np.array([run(Trial(n, 1, rounds, loss, 0.0, variant), 1, seed=12).reached[0] for rounds in range(40)])
    lacking = 1 - courses / n
    assert lacking[-1] == 0
    for now, later in pairwise(lacking):
        if 0.02 < now < 0.5:
            expected = anti_entropy.lacking(now, (1 - loss) ** 3, pull(variant, loss))
            assert abs(later - expected) < 5 / sqrt(n)


@pytest.mark.parametrize("variant", PULLS)
def test_a_pull_costs_a_digest_a_device_and_period(variant):
    outcomes = run(Trial(300, 1, 100, variant=variant), 50, seed=13)
    beyond = outcomes.envelopes - 300 * outcomes.rounds
    assert (outcomes.payloads >= 299).all()
    # A fetch for each payload at most, an id for each at most, and the payloads.
    assert (beyond >= outcomes.payloads).all()
    assert (beyond <= 3 * outcomes.payloads).all()
    spent = run(Trial(300, 1, 3, variant=variant), 50, seed=13)
    assert (spent.reached < 300).all()
    assert (spent.envelopes >= 900).all()


def test_lazy_push_without_loss_is_a_push_with_one_payload_each():
    outcomes = run(Trial(24, 4, 23, variant=Variant.LAZY_PUSH), 20_000, seed=14)
    assert near(outcomes.coverage, exact.mean_coverage(24, 4))
    assert (outcomes.payloads == outcomes.reached - 1).all()
    # Everybody relays its id to four, and fetches once but for the origin.
    assert (outcomes.envelopes == 4 * outcomes.reached + 2 * (outcomes.reached - 1)).all()


def test_a_lazy_push_to_one_device_fetches_three_times():
    loss = 0.4
    outcomes = run(Trial(2, 1, 1, loss, variant=Variant.LAZY_PUSH), 50_000, seed=15)
    fails = 1 - (1 - loss) ** 2
    assert near(outcomes.reached, 1 + (1 - loss) * (1 - fails**3))
    fetches = (1 - loss) * (1 + fails + fails**2)
    assert near(outcomes.envelopes, 1 + fetches + fetches * (1 - loss))
    assert near(outcomes.payloads, fetches * (1 - loss))


def test_eventual_coverage_of_a_lazy_push():
    """With A adverts, Poisson of mean f c (1 - e), a device fetches 1 + 2 min(A, ADVERTISERS) times."""
    fanout, loss = 3, 0.3
    fails, c = 1 - (1 - loss) ** 2, 1.0
    for _ in range(200):
        mean = fanout * c * (1 - loss)
        missed = exp(-mean) * (
            1 + sum(mean**a / factorial(a) * fails ** (1 + 2 * min(a, ADVERTISERS)) for a in range(1, 60))
        )
        c = 1 - missed
    outcomes = run(Trial(50_000, fanout, 100, loss, variant=Variant.LAZY_PUSH), 10, seed=16)
    assert near(outcomes.coverage, c, allow=1e-4)


def test_questions_alone_are_a_push_to_one_by_three_messages():
    loss = 0.2
    outcomes = run(Trial(24, 0, 0, loss, variant=Variant.PUSH_PULL), 40_000, seed=17)
    assert near(outcomes.coverage, exact.mean_coverage(24, 1, 1 - (1 - loss) ** 3))


def test_eventual_coverage_of_push_pull():
    """One more way out of a device, of three messages where a push has one: fanout + (1 - e)^2."""
    loss, crashed = 0.2, 0.1
    outcomes = run(Trial(50_000, 3, 100, loss, crashed, Variant.PUSH_PULL), 10, seed=18)
    assert near(outcomes.coverage, coverage.eventual_coverage(3 + (1 - loss) ** 2, loss, crashed), allow=1e-4)


def test_push_pull_costs_a_digest_a_device():
    outcomes = run(Trial(50, 49, 5, variant=Variant.PUSH_PULL), 20, seed=19)
    assert (outcomes.reached == 50).all()
    # The origin's digest alone can meet one who lacks the message: it fetches a second copy.
    assert (outcomes.envelopes == 50 * 49 + 50 + 2).all()
    assert (outcomes.payloads == 50 * 49 + 1).all()
