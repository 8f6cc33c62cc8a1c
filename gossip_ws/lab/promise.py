"""A plan's promise beside what is simulated with its fanout and rounds, one tier at a time.

The simulation knows nothing of the formulas that made the plan. A tier below another is simulated with parents that are
all on and have the message, because that is what it promises something for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from gossip_ws.kernel.terms import Variant
from gossip_ws.lab.engine import run
from gossip_ws.lab.levels import levels
from gossip_ws.lab.tiered import run_tiers
from gossip_ws.lab.trial import Outcomes, Trial
from gossip_ws.theory.planner import dead
from gossip_ws.theory.plans import TierPlan
from gossip_ws.theory.proportion import STRICT, wilson
from gossip_ws.theory.tiers import Segment
from gossip_ws.theory.traffic import PAYLOAD

MOST: Final = 5_000
LEAST: Final = 30
_TOGETHER: Final = 20_000_000
"""Devices of all repetitions, where nobody says how many."""


@dataclass(frozen=True, slots=True)
class Measured:
    """repeat: repetitions. hits: those in which every live device whose parents are on was reached. coverage: of those
    devices, in the mean. envelopes: sent for each of them. promised: the probability that the plan names."""

    repeat: int
    hits: int
    coverage: float
    envelopes: float
    promised: float

    @property
    def interval(self) -> tuple[float, float]:
        """99.9 %, of the probability: of a thousand plans that are right one is doubted."""
        return wilson(self.hits, self.repeat, STRICT)

    @property
    def holds(self) -> bool:
        """Does the promise lie in the interval?"""
        low, high = self.interval
        return low <= self.promised <= high

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        low, high = self.interval
        share = self.hits / self.repeat
        return {"all_reached": share, "low": low, "high": high, "coverage": self.coverage, "repeat": self.repeat}


def measure(
    tier: TierPlan,
    variant: Variant,
    repeat: int | None,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Measured:
    """`repeat` repetitions, or so many that their devices are some millions. Raises LocalError as `engine.run`."""
    repeat = repeat or max(LEAST, min(MOST, _TOGETHER // tier.segment.nodes))
    if tier.served:
        found = _served(tier, repeat, seed, progress)
        whole = found.reached == found.live
    else:
        found = _pushed(tier, variant, repeat, seed, progress)
        whole = (found.reached == found.live).reshape(repeat, tier.segment.groups).all(axis=1)
    envelopes = float((found.envelopes / found.live).mean())
    return Measured(repeat, int(whole.sum()), float(found.coverage.mean()), envelopes, tier.all_reached)


def _pushed(
    tier: TierPlan, variant: Variant, repeat: int, seed: int, progress: Callable[[int], None] | None
) -> Outcomes:
    segment = tier.segment
    off = dead(segment.group, segment.crashed) / segment.group
    trial = Trial(segment.group, tier.fanout, tier.rounds, segment.loss, off, variant)
    return run(trial, repeat * segment.groups, seed, progress)


def _served(tier: TierPlan, repeat: int, seed: int, progress: Callable[[int], None] | None) -> Outcomes:
    groups = tier.segment.groups
    parents = Segment("parents", groups, groups)
    made = levels((parents, replace(tier.segment, name="children")), ((0, 0), (tier.fanout, tier.rounds)))
    return run_tiers(made, repeat, seed, PAYLOAD, progress)[1].outcomes
