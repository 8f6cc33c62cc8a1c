"""Plans against the population engine, which knows nothing of the formulas that made them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gossip_ws.kernel.terms import Variant
from gossip_ws.lab.promise import Measured, measure
from gossip_ws.theory.plans import Node, TierPlan, plan
from gossip_ws.theory.spread import PULLS
from gossip_ws.theory.tiers import Segment

NODE = Node(12, 0.25, 0.5, 10.0)


def tier(*segments: Segment, target: float = 0.95, variant: Variant = Variant.EAGER_PUSH) -> TierPlan:
    return plan(segments, target, variant, NODE).tiers[-1]


@pytest.mark.parametrize("variant", [Variant.EAGER_PUSH, Variant.LAZY_PUSH, Variant.PUSH_PULL, *PULLS])
def test_a_promise_holds_and_so_does_its_price(variant: Variant) -> None:
    for nodes, loss, crashed in ((24, 0.3, 0.2), (300, 0.1, 0.0)):
        planned = tier(Segment("all", nodes, 1, loss, crashed), target=0.9, variant=variant)
        found = measure(planned, variant, 1_500, 5)
        assert found.holds, (nodes, found)
        assert found.coverage == pytest.approx(planned.coverage, abs=4e-3)
        assert found.envelopes == pytest.approx(planned.envelopes, rel=0.06 if nodes > 100 else 0.1)


@pytest.mark.parametrize("loss", [0.1, 0.5, 0.65])
def test_a_tier_that_parents_serve(loss: float) -> None:
    """With the more loss the more is left to equals."""
    planned = tier(Segment("WAN", 20, 1), Segment("FAN", 400, 10, loss, 0.1), target=0.9)
    found = measure(planned, Variant.EAGER_PUSH, 400, 5)
    assert found.holds
    assert found.envelopes == pytest.approx(planned.envelopes, rel=0.05)


def test_groups_of_a_tier_without_parents() -> None:
    found = measure(tier(Segment("areas", 400, 8, 0.2)), Variant.EAGER_PUSH, 600, 5)
    assert found.holds
    assert found.repeat == 600


def test_a_false_promise_does_not_hold() -> None:
    honest = tier(Segment("all", 100, 1, 0.1), target=0.99)
    assert not measure(replace(honest, fanout=honest.fanout - 3), Variant.EAGER_PUSH, 2_000, 5).holds
    assert not measure(replace(honest, rounds=3), Variant.EAGER_PUSH, 2_000, 5).holds


def test_the_record_is_what_was_counted() -> None:
    told = Measured(200, 190, 0.999, 5.0, 0.97).record()
    assert told == {
        "all_reached": 0.95,
        "low": pytest.approx(0.872, abs=0.001),
        "high": pytest.approx(0.982, abs=0.001),
        "coverage": 0.999,
        "repeat": 200,
    }
