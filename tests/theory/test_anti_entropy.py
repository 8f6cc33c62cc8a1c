"""The chain of anti-entropy against known figures and against simulation of the same process."""

from __future__ import annotations

from math import sqrt
from random import Random
from statistics import fmean, stdev

import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.theory.anti_entropy import lacking, mean_rounds


def rounds_by_hand(n: int, push: float, pull: float, dice: Random) -> int:
    """One partner a round for each device, with nothing but dice."""
    informed, rounds = {0}, 0
    while len(informed) < n:
        after = set(informed)
        for caller in range(n):
            partner = dice.randrange(n - 1)
            partner += partner >= caller
            if caller in informed and dice.random() < push:
                after.add(partner)
            if partner in informed and dice.random() < pull:
                after.add(caller)
        informed = after
        rounds += 1
    return rounds


@pytest.mark.parametrize(
    ("loss", "push", "pull", "push_pull"),
    [(0.0, 17.9, 13.6, 9.1), (0.2, 21.8, 23.2, 12.9)],
)
def test_a_thousand_devices(loss: float, push: float, pull: float, push_pull: float) -> None:
    """Figures simulated elsewhere, to their own accuracy: the chain is held to our simulation below."""
    one, two = 1 - loss, (1 - loss) ** 2
    assert mean_rounds(1000, one, 0.0) == pytest.approx(push, rel=0.02)
    assert mean_rounds(1000, 0.0, two) == pytest.approx(pull, rel=0.02)
    assert mean_rounds(1000, one, two) == pytest.approx(push_pull, rel=0.02)


@pytest.mark.parametrize("n", [2, 12, 90])
@pytest.mark.parametrize(("push", "pull"), [(1.0, 0.0), (0.8, 0.0), (0.0, 0.64), (0.0, 1.0), (0.8, 0.64), (1.0, 1.0)])
def test_the_chain_is_what_the_dice_say(n: int, push: float, pull: float) -> None:
    """Within three standard errors, and half a percent for the callers that are taken as independent."""
    dice = Random(n)
    runs = [rounds_by_hand(n, push, pull, dice) for _ in range(300 if n < 50 else 150)]
    expected = mean_rounds(n, push, pull)
    assert abs(fmean(runs) - expected) <= 3 * stdev(runs) / sqrt(len(runs)) + 0.005 * expected


def test_two_devices_wait_for_one_call_to_arrive() -> None:
    assert mean_rounds(2, 1.0, 0.0) == pytest.approx(1.0)
    assert mean_rounds(2, 0.25, 0.0) == pytest.approx(4.0)
    assert mean_rounds(2, 0.5, 0.5) == pytest.approx(1 / 0.75)


def test_the_last_of_many_are_found_by_pulls_far_faster_than_by_pushes() -> None:
    """Push leaves e^-1 of them a round, pull their square (Demers et al., 1987)."""
    assert lacking(0.01, 1.0, 0.0) == pytest.approx(0.01 * 0.3716, rel=1e-3)
    assert lacking(0.01, 0.0, 1.0) == pytest.approx(0.01**2)
    assert lacking(0.5, 0.9, 0.81) == pytest.approx(lacking(0.5, 0.9, 0.0) * lacking(0.5, 0.0, 0.81) / 0.5)


@pytest.mark.parametrize("bad", [(1, 1.0, 1.0), (5, 0.0, 0.0), (5, 1.5, 0.0), (5, 0.5, -0.1)])
def test_what_goes_nowhere(bad: tuple[int, float, float]) -> None:
    with pytest.raises(LocalError):
        mean_rounds(*bad)
