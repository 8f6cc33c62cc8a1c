"""What those not counted could change: never less than what they then do change."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip_ws.filters.bound import Bound, bound
from gossip_ws.filters.rows import AGGREGATES
from gossip_ws.kernel.contract import Field, Number
from gossip_ws.kernel.names import qname

WH = Field(qname("urn:test", "wh"), Number.INTEGER, 0, 1_000)
ANGLE = Field(qname("urn:test", "angle"), Number.DOUBLE, -180, 180)
PRICE = Field(qname("urn:test", "price"), Number.DECIMAL, -0.1, 0.3)
NO_RANGE = Field(qname("urn:test", "any"), Number.INTEGER)


def test_a_sum_grows_by_at_most_what_each_of_them_could_give():
    assert bound("sum", WH, 500, 10, 3) == Bound(500, 3_500)
    assert bound("sum", ANGLE, -20.0, 10, 2) == Bound(-380.0, 340.0)
    assert bound("sum", PRICE, Decimal("1.05"), 10, 3) == Bound(Decimal("0.75"), Decimal("1.95"))


def test_a_range_above_nothing_may_still_have_given_nothing():
    assert bound("sum", Field(WH.name, Number.INTEGER, 10, 20), 500, 10, 3) == Bound(500, 560)


def test_a_mean_moves_between_the_extremes_and_is_rounded_outward():
    assert bound("mean", ANGLE, 10.0, 3, 1) == Bound(-37.5, 52.5)
    # 3 values of 10 up to rounding, and one of 0 to 1000.
    assert bound("mean", WH, 10, 3, 1) == Bound(7, 258)


def test_a_count_grows_by_as_many_devices():
    assert bound("count", NO_RANGE, 7, 7, 4) == Bound(7, 11)


def test_everybody_counted_leaves_no_doubt():
    for aggregate in ("sum", "mean", "count"):
        assert bound(aggregate, NO_RANGE, 7, 7, 0) == Bound(7, 7)


def test_where_no_range_is_stated_nothing_is_guessed():
    assert bound("sum", NO_RANGE, 7, 7, 1) == Bound(None, None)
    assert bound("mean", Field(WH.name, Number.INTEGER, low=0), 7, 7, 1) == Bound(5, None)


@pytest.mark.parametrize("aggregate", ["max", "min", "report", "<xsl/>"])
def test_other_aggregates_have_none(aggregate):
    assert bound(aggregate, WH, 7, 7, 1) is None


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.sampled_from(["sum", "mean", "count"]),
    st.sampled_from([WH, ANGLE, PRICE, Field(WH.name, Number.INTEGER, -50, 7)]),
    st.integers(1, 30),
    st.integers(0, 30),
    st.integers(0, 2**32),
)
def test_the_truth_over_everybody_lies_inside(name, field, contributors, lacking, seed):
    dice, aggregate = Random(seed), AGGREGATES[name]

    def given_by_one():
        value = dice.choice([field.low, field.high, dice.uniform(field.low, field.high)])
        kind = {
            Number.INTEGER: round,
            Number.DOUBLE: float,
            Number.DECIMAL: lambda v: Decimal(repr(v)),
        }
        return kind[field.number](value)

    def over(values):
        cells = aggregate.start([values[0]])
        for value in values[1:]:
            cells = list(map(aggregate.across, cells, aggregate.start([value])))
        return aggregate.finish(cells, field)[0]

    counted = [given_by_one() for _ in range(contributors)]
    others = [given_by_one() for _ in range(lacking)]
    found = bound(name, field, over(counted), contributors, lacking)
    truth = over(counted + others)
    slack = 1e-6 if field.number is Number.DOUBLE and name != "count" else 0
    assert found.low - slack <= truth <= found.high + slack
