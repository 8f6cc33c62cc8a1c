"""Devices that announce more than they give: which, what they say, what is given of what they sell. And a simulated
grid with some of them, day after day, in which meters tell.

A meter here is right, and tells the device's neighbours in the evening, by messages that may be lost. Refuses to know
why a device overstates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from gossip_ws.consensus.checker import Violation, violations
from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.log import Agreement, agreements
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.reliance import Reliance
from gossip_ws.consensus.run import Run
from gossip_ws.consensus.vector import plus, zero
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError

TIMES = 2
"""Who overstates announces so many times what it gives."""
PATIENCE = 60.0
"""Rounds of a day: what is still left then is what nobody believes in."""


@dataclass(frozen=True, slots=True)
class Day:
    """W summed over periods: what was agreed, and what of that was given. violations: of the logs."""

    agreed: int
    given: int
    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class Deviance:
    """optimum: the most that could be given, if all announced what they give."""

    optimum: int
    days: tuple[Day, ...]


def overstating(instance: Instance, share: float, dice: Dice) -> frozenset[str]:
    """So large a share of the devices that give anything, by chance. Raises LocalError where that is nobody."""
    giving = sorted(device.id for device in instance.devices if max(device.watts) > 0)
    found = dice.sample(giving, round(share * len(giving)))
    if not found:
        raise LocalError(f"of {len(giving)} devices that give anything a share of {share:g} is nobody")
    return frozenset(found)


def announced(instance: Instance, overstating: Collection[str]) -> Instance:
    """What its devices say, where these overstate."""
    return replace(
        instance,
        devices=tuple(
            replace(one, watts=tuple([max(watts, TIMES * watts) for watts in one.watts]))
            if one.id in overstating
            else one
            for one in instance.devices
        ),
    )


def given(instance: Instance, made: Iterable[Agreement]) -> int:
    """Of what each has sold on a day, what it has given: W summed over periods. `instance`: what they really give."""
    sold = {device.id: zero(instance.periods) for device in instance.devices}
    for one in made:
        sold[one.seller] = plus(sold[one.seller], one.watts)
    return sum(
        min(some, max(0, watts))
        for device in instance.devices
        for some, watts in zip(sold[device.id], device.watts, strict=True)
    )


def simulated(
    instance: Instance,
    hierarchy: Hierarchy,
    overstating: Collection[str],
    conditions: Conditions,
    dice: Dice,
    days: int,
    *,
    weighed: bool,
) -> Deviance:
    """`instance`: what devices really give and need. weighed: are announcements believed as far as meters have borne
    them out, or as they are?"""
    told = announced(instance, overstating)
    reliances = {device.id: Reliance() for device in instance.devices} if weighed else {}
    found = []
    seen = {device.id: device.watts for device in instance.devices}
    for day in range(days):
        run = Run(told, hierarchy, replace(conditions, patience=PATIENCE), dice, day=day, reliances=reliances)
        trace = run.run()
        if weighed:
            run.evening(seen)
        made = agreements(trace.logs)
        # Who is doubted offers the same in vain until the day is over: some promise is then still on its way, and the
        # two devices' own books are not what their agreements are.
        claimed = trace.claimed if trace.settled else None
        found.append(
            Day(
                sum(sum(one.watts) for one in made),
                given(instance, made),
                tuple(violations(trace.logs, cuts=conditions.cuts, hierarchy=hierarchy, claimed=claimed)),
            )
        )
    return Deviance(matched(instance), tuple(found))
