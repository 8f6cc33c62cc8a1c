"""Extrema propagation as mathematics: what merges, what an estimate is off, and that its interval says so.

The statistics have fixed seeds. A bound of four deviations of a mean over independent seeds is missed by chance
once in 16,000; what is tested is that the deviation is the stated one, from above and from below.
"""

from functools import reduce
from math import isclose, sqrt
from random import Random
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip_ws.filters import sketch

K = 256
codes = st.lists(st.integers(0, sketch.NEVER - 1), min_size=8, max_size=8).map(
    lambda values: sketch.read(b"".join(value.to_bytes(2, "big") for value in values), 8)
)


def sum_of(values: list[float], seed: int, minima: int = K) -> sketch.Codes:
    chance = Random(seed)
    return reduce(sketch.merged, [sketch.draw(chance, value, minima) for value in values])


@given(codes, codes, codes)
def test_merging_is_associative_commutative_and_idempotent(a, b, c):
    assert sketch.merged(sketch.merged(a, b), c) == sketch.merged(a, sketch.merged(b, c))
    assert sketch.merged(a, b) == sketch.merged(b, a)
    assert sketch.merged(a, a) == a
    assert sketch.read(sketch.write(a), 8) == a


@pytest.mark.parametrize(("minima", "runs"), [(64, 400), (256, 200)])
def test_the_relative_error_is_the_stated_one(minima, runs):
    """The estimate over the truth has the mean 1 and the deviation 1/sqrt(K - 2): a z test of each. The deviation of
    a deviation is that over sqrt(2 runs), for what is nearly normal."""
    values = [1.0, 5.0, 0.0, 250.0, 1000.0, 0.01]
    ratios = [sketch.estimate(sum_of(values, seed, minima)).value / sum(values) for seed in range(runs)]
    stated = sketch.error(minima)
    assert stated == 1 / sqrt(minima - 2)
    assert abs(fmean(ratios) - 1) < 4 * stated / sqrt(runs)
    assert abs(pstdev(ratios) / stated - 1) < 4 / sqrt(2 * runs)


def test_the_interval_holds_the_truth_in_ninety_five_of_a_hundred_cases():
    """A coin of bias 0.95: four deviations of 400 tosses are 17.4."""
    values = [3.0, 30.0, 300.0]
    told = [sketch.estimate(sum_of(values, seed, 100)) for seed in range(400)]
    inside = sum(one.low <= sum(values) <= one.high for one in told)
    assert abs(inside - 380) < 17.4
    assert all(one.low < one.value < one.high for one in told)


def test_the_mean_is_off_by_the_error_of_a_quotient():
    values = [float(value) for value in range(1, 41)]
    truth = fmean(values)
    told = [
        sketch.quotient(sum_of(values, seed, 100), sum_of([1.0] * 40, seed + 1_000_000, 100)) for seed in range(300)
    ]
    ratios = [one.value / truth for one in told]
    stated = sketch.quotient_error(100)
    assert abs(fmean(ratios) - 1) < 4 * stated / sqrt(300)
    assert abs(pstdev(ratios) / stated - 1) < 4 / sqrt(2 * 300)
    assert abs(sum(one.low <= truth <= one.high for one in told) - 285) < 4 * sqrt(300 * 0.95 * 0.05)


def test_nothing_is_nothing_and_hides_nothing():
    nought = sketch.draw(Random(1), 0.0, K)
    assert sketch.estimate(nought) == sketch.Estimated(0.0, 0.0, 0.0)
    some = sketch.draw(Random(2), 7.0, K)
    assert sketch.merged(nought, some) == some
    assert sketch.quotient(nought, some) == sketch.Estimated(0.0, 0.0, 0.0)


@pytest.mark.parametrize("value", [sketch.LEAST, 1e-9, 1.0, 1e9, sketch.MOST])
def test_small_and_large_values_are_estimated_alike(value):
    told = sketch.estimate(sketch.draw(Random(3), value, K)).value
    assert abs(told / value - 1) < 5 * sketch.error(K)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 2 * sketch.MOST, sketch.LEAST / 2])
def test_what_has_no_rate_is_not_drawn_at(value):
    with pytest.raises(ValueError, match="not estimated"):
        sketch.draw(Random(1), value, K)


def test_a_code_is_the_nearest_to_what_was_drawn():
    """Half a code is 2^(1/512): 0.136 %."""

    class Fixed(Random):
        def random(self) -> float:
            return 1 - 2.718281828459045**-0.3

    drawn = sketch.total(sketch.draw(Fixed(), 1.0, 16)) / 16
    assert isclose(drawn, 0.3, rel_tol=2 ** (1 / 512) - 1)


@pytest.mark.parametrize("octets", [b"", b"\0" * 15, b"\0" * 17, b"\xff\xff" + b"\0" * 14, b"\xff\xff" * 7 + b"\0\0"])
def test_what_no_device_writes_is_not_read(octets):
    with pytest.raises(ValueError, match="minima"):
        sketch.read(octets, 8)


def test_no_honest_sketch_is_implausible_and_a_poisoned_one_is():
    for seed in range(60):
        count = sketch.draw(Random(seed), 1.0, 64)
        # The hardest case: one device, that gives all it may.
        assert sketch.is_plausible(sketch.draw(Random(~seed), 500.0, 64), count, 500.0)
    poisoned = sketch.draw(Random(1), 500.0 * 40, 64)
    assert not sketch.is_plausible(poisoned, sketch.draw(Random(2), 1.0, 64), 500.0)
