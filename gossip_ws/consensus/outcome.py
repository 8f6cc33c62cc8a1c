"""What a scheme has made of an instance, in figures: computed from the devices' logs and from the instance.

One interface for all schemes, so that they can be held side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil, inf

from gossip_ws.consensus import alternatives, surge
from gossip_ws.consensus.checker import Residuals, Violation, violations
from gossip_ws.consensus.clusters import KINDS, Hierarchy
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.log import Agreement, Log, agreements
from gossip_ws.consensus.movements import left_on_schedule
from gossip_ws.consensus.optimum import jain, matched, transport_ratio
from gossip_ws.consensus.post import Post
from gossip_ws.consensus.run import Run
from gossip_ws.consensus.surge import Step, Surged
from gossip_ws.consensus.vector import Vector, minus, plus, zero
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError


class Scheme(StrEnum):
    """How devices come to agree."""

    PAIRWISE = "pairwise"
    LEADER = "leader"
    TWO_CHOICES = "two-choices"
    LEDGER = "ledger"


@dataclass(frozen=True, slots=True)
class Residual:
    """What is left once all agreements of a level and below are made, W summed over periods: what could still be given,
    and what was still needed, now or at any time. Level 0: before any agreement. kinds: what the level's clusters are
    called."""

    level: int
    kinds: tuple[str, ...]
    given: int
    needed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """agreements: of all days. residual, matched, optimum: of the last day. optimum: the most that can be matched by
    devices that hear one another when it ends. rounds: of the slowest day until its last agreement. settled: did it end
    with nothing left to do? jain: of the share of its need that each buyer got over all days. surge: what came of a
    load attack; the other figures are of the loads as they are after it."""

    scheme: Scheme
    agreements: tuple[Agreement, ...]
    residual: tuple[Residual, ...]
    messages: int
    rounds: int
    matched: int
    optimum: int
    transport_ratio: float
    jain: float
    settled: bool
    violations: tuple[Violation, ...]
    surge: Surged | None = None

    @property
    def messages_per_agreement(self) -> float:
        """0 without agreements."""
        return self.messages / len(self.agreements) if self.agreements else 0.0


def balance(
    scheme: Scheme,
    instance: Instance,
    hierarchy: Hierarchy,
    conditions: Conditions,
    dice: Dice,
    days: int = 1,
    *,
    post: Post | None = None,
    steps: Sequence[Step] = (),
) -> Outcome:
    """Let the devices of an instance agree by a scheme, day after day, and judge what came of it. `post`: what they say
    is signed, and others may meddle with it; `steps`: of a load attack; of the pairwise scheme only.

    Raises LocalError where something can be moved, for all schemes but the pairwise one.
    """
    if scheme is not Scheme.PAIRWISE and instance.is_movable:
        raise LocalError(f"the scheme {scheme} knows no needs that can wait and no storage")
    if scheme is Scheme.PAIRWISE:
        run = Run(instance, hierarchy, conditions, dice, days=days, post=post)
        devices = instance.by_id()
        more: dict[str, int] = {}
        for step in steps:
            more |= step.more
            for device, watts in step.more.items():
                run.switch(step.at, device, surge.drawing(devices[device].watts, watts))
        trace = run.run()
        outcome = judged(
            scheme,
            surge.surged(instance, more),
            hierarchy,
            conditions,
            trace.logs,
            sum(trace.messages.values()),
            trace.rounds,
            trace.settled,
            trace.claimed,
        )
        return replace(outcome, surge=surge.judged(instance, steps, trace.logs) if steps else None)
    other = alternatives.run(scheme.value, instance, hierarchy, conditions, dice, days)
    # Nothing is promised of them but what their logs hold.
    return judged(scheme, instance, hierarchy, conditions, other.logs, other.messages, other.rounds, False, {})


def judged(
    scheme: Scheme,
    instance: Instance,
    hierarchy: Hierarchy,
    conditions: Conditions,
    logs: Mapping[str, Log],
    messages: float,
    rounds: Sequence[float],
    settled: bool,
    claimed: Residuals,
) -> Outcome:
    """The figures of logs, however they came about."""
    made = agreements(dict(logs))
    day = max((one.day for one in made), default=0)
    today = [one for one in made if one.day == day]
    lasting = [cut for cut in conditions.cuts if cut.until == inf]
    islands: dict[tuple[int, ...], set[str]] = {}
    for device in instance.devices:
        islands.setdefault(tuple(cut.island(device.id) for cut in lasting), set()).add(device.id)
    whole = scheme is Scheme.PAIRWISE and settled and not lasting
    return Outcome(
        scheme,
        tuple(made),
        residuals(instance, hierarchy, today),
        ceil(messages),
        ceil(max(rounds, default=0.0)),
        delivered(instance, today),
        sum(matched(instance, island) for island in islands.values()),
        transport_ratio(hierarchy.feeder, hierarchy.bus, made),
        fairness(instance, made),
        settled,
        tuple(violations(logs, cuts=conditions.cuts, hierarchy=hierarchy, claimed=claimed, settled=whole)),
    )


def residuals(instance: Instance, hierarchy: Hierarchy, today: Sequence[Agreement]) -> tuple[Residual, ...]:
    """What is left level by level."""
    offers = {device.id: device for device in instance.devices}
    traded: dict[str, Vector] = {device: zero(instance.periods) for device in offers}
    kinds: dict[int, set[str]] = {0: {"device"}}
    for cluster in hierarchy.clusters.values():
        kinds.setdefault(cluster.level, set()).add(cluster.kind)
    found = []
    for level in range(hierarchy.depth + 1):
        for one in today:
            if one.level == level:
                traded[one.seller] = plus(traded[one.seller], one.watts)
                traded[one.buyer] = minus(traded[one.buyer], one.watts)
        given = needed = 0
        for device, offer in offers.items():
            rest = left_on_schedule(offer.watts, offer.ability, traded[device])
            given += sum(watts for watts in rest if watts > 0)
            needed += sum(need.energy for need in offer.ability.needs) - sum(watts for watts in rest if watts < 0)
            if offer.ability.needs:
                moved = minus(minus(offer.watts, rest), traded[device])
                needed -= sum(moved)
        names = sorted(kinds[level], key=("device", *KINDS).index)
        found.append(Residual(level, tuple(names), given, needed))
    return tuple(found)


def delivered(instance: Instance, made: Iterable[Agreement]) -> int:
    """What needs were given, W summed over periods: what goes into storage does not count before it comes out."""
    stores = {device.id for device in instance.devices if device.ability.storage is not None}
    return sum(sum(one.watts) for one in made if one.buyer not in stores)


def fairness(instance: Instance, made: Sequence[Agreement]) -> float:
    """Jain's index of the buyers' shares: what each got of what it needed."""
    needed = {
        device.id: sum(need.energy for need in device.ability.needs) - sum(watts for watts in device.watts if watts < 0)
        for device in instance.devices
    }
    got = dict.fromkeys(needed, 0)
    for one in made:
        got[one.buyer] += sum(one.watts)
    return jain([got[device] / watts for device, watts in needed.items() if watts])
