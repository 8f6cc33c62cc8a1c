"""A plan for a population in tiers: fanout and rounds of each, what they promise together, and what they cost.

In the top tier sampling among equals has to reach everyone (`spread`). Below, a parent sends to each child of its
roster again and again until there is a receipt, so a child misses it only if all those copies are lost and no equal
that was reached sends it on either:

    x = loss^(1 + retries) (1 - h)^((m-1)(1-x)),

h the chance that one of the m live equals of the group hits it. Sampling there is insurance, as it is in the devices'
defaults: the fanout that would cover `INSURED` of the group by itself, or more where the promise needs it. Of a tier
called HAN nobody samples: appliances have no equals.

How the target is shared out: each tier may miss it with an equal part of 1 - target, each group of a tier with an equal
part of that; what the tiers below do not use is left to the top, which is planned last. A promise holds for devices
that are on and whose parents are; how many have a parent that is off is said beside it.

Knows nothing of files, of devices that come and go, or of messages that are too large for a datagram.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log1p, prod
from typing import Final

from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Tier, Variant
from gossip_ws.theory.planner import dead, fanout_for_coverage, rounds_for
from gossip_ws.theory.reach import Push
from gossip_ws.theory.spread import Link, spread
from gossip_ws.theory.tiers import Segment, checked
from gossip_ws.theory.traffic import PAYLOAD, RECEIPT

INSURED: Final = 0.99
_SWINGS: Final = 100


@dataclass(frozen=True, slots=True)
class Node:
    """What a plan takes from the settings of a device: copies that a parent sends again, its first and longest wait for
    a receipt (s), and the mean time between two digests (s)."""

    retries: int
    retry_first: float
    retry_longest: float
    pull_period: float


@dataclass(frozen=True, slots=True)
class TierPlan:
    """segment: as given. served: by parents, from a tier above. fanout, rounds: among the equals of a group.

    coverage: expected share of the tier's live devices that are reached, whether their parents are on or not.
    all_reached: probability that every live device is whose parents are on. cut_off: share of the live whose parents
    are off. envelopes, octets: sent in the tier for each live device, by it or by its parent. seconds: until all have
    it, from when the parents do, in the mean.
    """

    segment: Segment
    served: bool
    fanout: int
    rounds: int
    coverage: float
    all_reached: float
    cut_off: float
    envelopes: float
    octets: float
    seconds: float

    @property
    def live(self) -> int:
        return self.segment.nodes - dead(self.segment.nodes, self.segment.crashed)


@dataclass(frozen=True, slots=True)
class Plan:
    """Tiers from the top down."""

    variant: Variant
    target: float
    tiers: tuple[TierPlan, ...]

    @property
    def nodes(self) -> int:
        return sum(tier.segment.nodes for tier in self.tiers)

    @property
    def all_reached(self) -> float:
        """Of all tiers together."""
        return prod(tier.all_reached for tier in self.tiers)

    @property
    def coverage(self) -> float:
        """Of all live devices."""
        return sum(tier.coverage * tier.live for tier in self.tiers) / sum(tier.live for tier in self.tiers)

    @property
    def seconds(self) -> float:
        """Until the last tier is through, one after the other."""
        return sum(tier.seconds for tier in self.tiers)


def plan(segments: Sequence[Segment], target: float, variant: Variant, node: Node) -> Plan:
    """Raises LocalError, one line: a target that is no probability or that cannot be reached, and by which tier; a
    variant that is not planned."""
    tiers = checked(segments)
    if not 0 < target < 1:
        raise LocalError(f"a target lies between 0 and 1, not {target:g}")
    if len(tiers) > 1 and variant is not Variant.EAGER_PUSH:
        raise LocalError(f"several tiers are planned for {Variant.EAGER_PUSH} alone, not for {variant}")
    part = (1 - target) / len(tiers)
    below: list[TierPlan] = []
    on = 1.0
    for above, segment in pairwise(tiers):
        on *= 1 - dead(above.nodes, above.crashed) / above.nodes
        below.append(_served(segment, part, 1 - on, node))
    left = target / prod(tier.all_reached for tier in below)
    return Plan(variant, target, (_top(tiers[0], left, variant, node), *below))


def _top(segment: Segment, target: float, variant: Variant, node: Node) -> TierPlan:
    link = Link(segment.loss, segment.delay, segment.bandwidth, node.pull_period)
    try:
        found = spread(segment.group, segment.crashed, link, target ** (1 / segment.groups), variant)
    except LocalError as error:
        raise LocalError(f"tier {segment.name}: {error}") from None
    return TierPlan(
        segment,
        False,
        found.fanout,
        found.rounds,
        found.reach.coverage,
        found.reach.all_reached**segment.groups,
        0.0,
        found.envelopes,
        found.octets,
        found.seconds,
    )


def _served(segment: Segment, part: float, cut_off: float, node: Node) -> TierPlan:
    """A tier below another. `part`: the probability with which it may miss somebody."""
    n, loss = segment.group, segment.loss
    gone = dead(n, segment.crashed)
    live = segment.nodes - dead(segment.nodes, segment.crashed)
    samples = n > 1 and segment.name.casefold() != Tier.HAN
    fanout = fanout_for_coverage(n, loss, segment.crashed, INSURED) if samples else 0
    while True:
        push = Push(n, gone, fanout, loss)
        missed = _missed(push, node.retries)
        all_reached = exp(live * log1p(-missed)) if missed < 1 else 0.0
        if all_reached >= 1 - part:
            break
        if not samples or fanout == n - 1:
            raise LocalError(
                f"tier {segment.name}: no fanout reaches all of {live} live devices with probability {1 - part:.6g}: "
                f"{node.retries} resends by the parents and {fanout} equals, at {loss:.0%} loss, give {all_reached:.4g}"
            )
        fanout += 1
    copies = _copies(loss, node.retries) + (1 + node.retries) * (segment.nodes - live) / live
    receipts = (1 - loss) * _copies(loss, node.retries)
    link = Link(loss, segment.delay, segment.bandwidth)
    return TierPlan(
        segment,
        True,
        fanout,
        rounds_for(n, fanout, loss, segment.crashed),
        (1 - cut_off) * (1 - missed),
        all_reached,
        cut_off,
        fanout + copies + receipts,
        (fanout + copies) * PAYLOAD + receipts * RECEIPT,
        link.delay + link.sending(n * PAYLOAD) + _resending(push, live, node),
    )


def _missed(push: Push, retries: int) -> float:
    """The probability that a live device gets it neither from its parent nor from an equal: the fixed point above."""
    alone = push.loss ** (1 + retries)
    missed = alone
    for _ in range(_SWINGS):
        following = alone * exp(push.misses * (push.live - 1) * (1 - missed))
        if abs(following - missed) <= 1e-15:
            break
        missed = following
    return missed


def _copies(loss: float, retries: int) -> float:
    """Copies to a child that is on: until one arrives, and its receipt too, or there are no more."""
    fails = 1 - (1 - loss) ** 2
    return sum(fails**sent for sent in range(1 + retries))


def _resending(push: Push, live: int, node: Node) -> float:
    """Expected seconds of waits before the last of all `live` devices has it: a wait counts while anybody lacks it whom
    no equal reaches."""
    helped = exp(push.misses * (push.live - 1))
    seconds = 0.0
    for sent in range(1, 1 + node.retries):
        lacks = push.loss**sent * helped
        somebody = 1 - exp(live * log1p(-lacks)) if lacks < 1 else 1.0
        seconds += somebody * min(node.retry_first * 2.0 ** (sent - 1), node.retry_longest)
    return seconds
