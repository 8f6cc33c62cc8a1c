"""The engines held together: the real core (1), draws for a whole population (2), the chain and the formulas (3).

(1) against (2) here, for every variant that both have; (2) against (3) in test_engine.py and test_variants.py, and the
core's own push against an exact chain in tests/sim/test_theory.py. The core goes in step, because (2) has rounds
instead of time. Bounds are three standard errors of a difference of means, with the deviation of the many repetitions
of (2), so that no bound is wide because the few of (1) happen to be scattered.
"""

from math import sqrt

import numpy as np
import pytest

from gossip_ws.kernel.terms import Variant
from gossip_ws.lab import engine, worlds
from gossip_ws.lab.trial import Outcomes, Trial

MANY = 3_000
BOTH = [variant for variant in Variant if variant is not Variant.ADAPTIVE]
PUSHES = [Variant.EAGER_PUSH, Variant.LAZY_PUSH, Variant.PUSH_PULL]


def agree(few: np.ndarray, many: np.ndarray) -> bool:
    width = 3 * many.std(ddof=1) * sqrt(1 / len(few) + 1 / len(many))
    return bool(abs(few.mean() - many.mean()) <= width)


def everyone(outcomes: Outcomes) -> np.ndarray:
    return outcomes.reached == outcomes.live


def both(trial: Trial, repeat: int) -> tuple[Outcomes, Outcomes]:
    return worlds.run(trial, repeat, 2, in_step=True), engine.run(trial, MANY, 2)


@pytest.mark.parametrize(("variant", "repeat"), [(v, 6 if v in PUSHES else 2) for v in BOTH])
def test_a_thousand_devices_are_reached_as_often_and_at_the_same_cost(variant, repeat):
    core, drawn = both(Trial(1_000, 7, 40, 0.1, variant=variant), repeat)
    assert agree(core.coverage, drawn.coverage)
    assert agree(everyone(core), everyone(drawn))
    if variant is Variant.PUSH_PULL:
        # In the core, a device that a push of the same hop has reached just before a digest fetches nothing. In (2) it
        # lacks what it lacked when the hop began.
        assert 0.96 < core.envelopes.mean() / drawn.envelopes.mean() < 1
    else:
        assert agree(core.envelopes, drawn.envelopes)


@pytest.mark.parametrize("variant", BOTH)
def test_ten_thousand_devices_are_reached_as_often(variant):
    """A tenth of them off. Of (2) so many repetitions as have as many devices as those at 1,000."""
    trial = Trial(10_000, 8, 40, 0.1, 0.1, variant)
    repeat = 2 if variant in PUSHES else 1
    core, drawn = worlds.run(trial, repeat, 2, known=50, in_step=True), engine.run(trial, MANY // 10, 2)
    assert agree(core.coverage, drawn.coverage)
    if variant is Variant.PUSH_PULL:
        assert 0.96 < core.envelopes.mean() / drawn.envelopes.mean() < 1
    else:
        assert agree(core.envelopes, drawn.envelopes)


@pytest.mark.parametrize("variant", BOTH)
def test_who_is_off_costs_the_same(variant):
    # With a smaller fanout one push in a hundred dies at once, and a few runs say nothing of its mean.
    core, drawn = both(Trial(200, 7, 40, 0.2, 0.2, variant), 8)
    assert agree(core.coverage, drawn.coverage)
    assert agree(everyone(core), everyone(drawn))


def test_too_few_rounds_reach_as_few():
    core, drawn = both(Trial(1_000, 4, 4, 0.1), 8)
    assert agree(core.coverage, drawn.coverage)
    assert agree(core.envelopes, drawn.envelopes)
    assert agree(core.payloads, drawn.payloads)
    assert (core.rounds == 4).all()


def test_views_of_a_few_that_know_each_other_miss_fewer():
    """Of the 2K others that know a device, each sends to it with f(1 - e) / 2K: it is missed by all that have the
    message with (1 - f(1 - e) / 2K)^2Kc, less often than with e^(-f(1 - e)c), where anybody may draw anybody."""
    fanout, loss, known = 5, 0.1, 10
    core = worlds.run(Trial(400, fanout, 40, loss), 12, 1, known=known, in_step=True)
    drawn = engine.run(Trial(400, fanout, 40, loss), MANY, 1)
    missed = 0.01
    for _ in range(50):
        missed = (1 - fanout * (1 - loss) / (2 * known)) ** (2 * known * (1 - missed))
    assert core.coverage.mean() > drawn.coverage.mean() + 2 * drawn.coverage.std() / sqrt(12)
    assert abs(1 - core.coverage.mean() - missed) <= 3 * drawn.coverage.std() / sqrt(12)
