"""The real core as an engine of the laboratory: what it counts, and what it refuses."""

import numpy as np
import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Variant
from gossip_ws.lab.trial import Outcomes, Trial
from gossip_ws.lab.worlds import MOST, Codecs, run


def table(outcomes: Outcomes) -> list[list[int]]:
    """A row a repetition: live, reached, rounds, envelopes, payloads."""
    columns = (outcomes.live, outcomes.reached, outcomes.rounds, outcomes.envelopes, outcomes.payloads)
    return np.array(columns).T.tolist()


@pytest.mark.parametrize("variant", list(Variant))
def test_every_variant_reaches_everyone_and_starts_anew_each_time(variant):
    outcomes = run(Trial(40, 6, 16, variant=variant), 2, 3)
    assert outcomes.live.tolist() == [40, 40]
    assert (outcomes.reached >= 39).all()
    assert (outcomes.rounds >= 1).all()
    assert (outcomes.payloads >= outcomes.reached - 1).all()
    assert (outcomes.envelopes >= outcomes.payloads).all()


def test_a_push_sends_what_its_fanout_says_and_its_hops_are_its_rounds():
    (row,) = table(run(Trial(30, 29, 5), 1, 1, in_step=True))
    # The origin sends to all others, and each of them to all but itself and whom it has it from.
    assert row == [30, 30, 1, 29 + 29 * 28, 29 + 29 * 28]


def test_rounds_bound_the_hops():
    (row,) = table(run(Trial(200, 3, 2), 1, 5))
    assert row[2] == 2
    assert row[1] <= 1 + 3 + 9
    assert row[3] == 3 + 9


def test_a_pull_without_time_costs_nothing_and_reaches_nobody():
    assert table(run(Trial(20, 0, 0, variant=Variant.EAGER_PULL), 2, 1)) == [[20, 1, 0, 0, 0]] * 2


def test_who_is_off_is_not_reached_and_is_on_again_afterwards():
    outcomes = run(Trial(50, 49, 4, crashed=0.4), 3, 2)
    assert outcomes.live.tolist() == outcomes.reached.tolist() == [30, 30, 30]


@pytest.mark.parametrize("variant", [Variant.EAGER_PUSH, Variant.LAZY_PULL])
def test_one_seed_gives_one_result_and_another_seed_another(variant):
    trial = Trial(60, 4, 12, loss=0.2, variant=variant)
    assert table(run(trial, 3, 7)) == table(run(trial, 3, 7))
    assert table(run(trial, 3, 7)) != table(run(trial, 3, 8))


@pytest.mark.parametrize("variant", [Variant.EAGER_PUSH, Variant.LAZY_PUSH, Variant.EAGER_PULL])
def test_envelopes_spread_as_objects_do(variant):
    trial = Trial(24, 5, 12, loss=0.1, variant=variant)
    assert table(run(trial, 2, 4, codec=Codecs.XML)) == table(run(trial, 2, 4))


def test_few_that_are_known_to_a_device_are_enough():
    outcomes = run(Trial(300, 8, 12), 2, 1, known=12)
    assert (outcomes.coverage > 0.98).all()


def test_progress_is_told_after_each_repetition():
    told: list[int] = []
    run(Trial(10, 3, 4), 3, 1, told.append)
    assert told == [1, 2, 3]


def test_a_device_alone_reaches_itself():
    assert table(run(Trial(1, 0, 3), 1, 1)) == [[1, 1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("trial", "repeat", "seed", "known", "said"),
    [
        (Trial(MOST + 1, 3, 4), 1, 1, None, "at most"),
        (Trial(10, 3, 4), 0, 1, None, "at least one repetition"),
        (Trial(10, 3, 4), 1, -1, None, "not negative"),
        (Trial(10, 3, 4), 1, 1, 10, "knows at most 9"),
    ],
)
def test_what_cannot_be_simulated_is_refused(trial, repeat, seed, known, said):
    with pytest.raises(LocalError, match=said):
        run(trial, repeat, seed, known=known)
