"""The cost of a link: one curve without a jump, convex, and never negative."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip_ws.routing.cost import KNEE, compromise, curvature, delay, marginal, saturated, utilisation

capacities = st.floats(1.0, 1e4)


@given(capacities, st.floats(0.0, KNEE))
def test_up_to_the_knee_it_is_the_queue(capacity: float, share: float) -> None:
    load = share * capacity
    assert delay(load, capacity) == pytest.approx(load / (capacity - load))
    assert marginal(load, capacity) == pytest.approx(capacity / (capacity - load) ** 2)
    assert curvature(load, capacity) == pytest.approx(2 * capacity / (capacity - load) ** 3)


@given(capacities, st.floats(0.0, 3.0), st.floats(1e-6, 1.0))
def test_value_slope_and_curvature_belong_together(capacity: float, share: float, more: float) -> None:
    """Convex: the chord lies between the slopes at its ends, and the slope's chord between the curvatures."""
    low, high = share * capacity, (share + more) * capacity
    rise = delay(high, capacity) - delay(low, capacity)
    slack = 1e-9 * delay(high, capacity)
    assert marginal(low, capacity) * (high - low) - slack <= rise <= marginal(high, capacity) * (high - low) + slack
    steeper = marginal(high, capacity) - marginal(low, capacity)
    slack = 1e-9 * marginal(high, capacity)
    assert curvature(low, capacity) * (high - low) - slack <= steeper
    assert steeper <= curvature(high, capacity) * (high - low) + slack


@given(capacities, st.floats(0.0, 5.0))
def test_overload_is_never_a_gain(capacity: float, share: float) -> None:
    assert delay(share * capacity, capacity) >= 0
    assert delay((1 + share) * capacity, capacity) > delay(0.999 * capacity, capacity)


def test_a_failed_link_has_a_cost() -> None:
    assert delay(0.0, 0.0) == 0.0
    assert 1e9 < delay(1.0, 0.0) < 1e15


def test_the_indicators_are_those_of_the_paper() -> None:
    assert [saturated(load, 10.0) for load in (9.9, 10.0, 10.1)] == [False, True, True]
    assert [utilisation([3.0, 4.0], [leaving]) for leaving in (7.0, 6.0, 8.0)] == [0, 1, -1]


@given(capacities, st.floats(0.0, 2.0), st.floats(0.0, 50.0), st.floats(0.1, 100.0))
def test_a_compromise_is_where_both_pull_alike(capacity: float, share: float, price: float, stiffness: float) -> None:
    load, price, stiffness = share * capacity, price / capacity, stiffness / capacity**2
    found = compromise(load, capacity, price, stiffness)
    pull = price + stiffness * (load - found)
    if found > 0:
        assert marginal(found, capacity) == pytest.approx(pull, rel=1e-3)
    else:
        assert marginal(0.0, capacity) >= pull * (1 - 1e-9)
