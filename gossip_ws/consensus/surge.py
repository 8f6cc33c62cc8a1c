"""A load attack: whoever has many devices in hand switches all of them on at once. And what blunts it.

The devices are taken, the meters that they hang at are not: a meter may let a load begin only after a wait drawn by
chance, and let what its nano grid draws rise by no more than so much in a round. Each member of a nano grid has an
equal part of that bound, so nobody has to be asked. Knows no message; made of an instance, and judged from logs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.conditions import LATEST
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.log import Log, agreements
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.vector import Vector
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError

LONGEST: Final = 1_000
"""Rounds until the last load is on, at most: each is a step of the simulation."""


@dataclass(frozen=True, slots=True)
class Surge:
    """At round `at`, `devices` want `watts` more each, in every period. within: rounds by which a meter may put off the
    beginning, by chance; 0: not. ramp: W by which the loads of a nano grid may rise in a round; 0: as they like.

    Raises LocalError for figures that are none.
    """

    at: float
    devices: tuple[str, ...]
    watts: int
    within: float = 0.0
    ramp: int = 0

    def __post_init__(self) -> None:
        if self.at < 0 or self.watts < 1 or self.within < 0 or self.ramp < 0:
            raise LocalError("a surge comes at a time that is not negative, of at least 1 W; bounds are not negative")


@dataclass(frozen=True, slots=True)
class Step:
    """At round `at`, so many W more than before the surge, by device: only those for whom that is new."""

    at: float
    more: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Surged:
    """What came of a surge. watts: of all its devices. steepest: the most by which they rose in one round, W. lasted:
    rounds until all were on. least: the smallest share of the optimum that was matched at the end of a round since it
    began. recovered: rounds since it began, from which on all that could be was matched; None: it never was."""

    devices: int
    watts: int
    steepest: int
    lasted: int
    least: float
    recovered: int | None


def taken(instance: Instance, share: float, dice: Dice) -> tuple[str, ...]:
    """Devices by chance, as a share of those that give nothing in any period."""
    consumers = sorted(device.id for device in instance.devices if max(device.watts) <= 0)
    return tuple(sorted(dice.sample(consumers, round(share * len(consumers)))))


def steps(surge: Surge, hierarchy: Hierarchy, dice: Dice) -> list[Step]:
    """How the loads come on. Raises LocalError when that takes more than `LONGEST` rounds, or begins after `LATEST`."""
    if surge.at > LATEST:
        raise LocalError(f"a surge begins within at most {LATEST:,} rounds")
    begins: dict[str, int] = {}
    rises: dict[str, int] = {}
    for device in surge.devices:
        members = len(hierarchy.clusters[hierarchy.home[device]].children)
        begins[device] = int(dice.uniform(0.0, surge.within)) if surge.within else 0
        rises[device] = min(max(surge.ramp // members, 1), surge.watts) if surge.ramp else surge.watts
    lasts = max((begins[device] + ceil(surge.watts / rises[device]) for device in surge.devices), default=0)
    if lasts > LONGEST:
        raise LocalError(f"the surge takes {lasts} rounds until all of it is on, at most {LONGEST} are simulated")
    found = []
    before = dict.fromkeys(surge.devices, 0)
    for number in range(lasts):
        now = {
            device: min(surge.watts, rises[device] * max(0, number - begins[device] + 1)) for device in surge.devices
        }
        more = {device: watts for device, watts in now.items() if watts != before[device]}
        if more:
            found.append(Step(surge.at + number, more))
        before = now
    return found


def surged(instance: Instance, more: Mapping[str, int]) -> Instance:
    """The instance with so many W more drawn by some, in every period."""
    return replace(
        instance,
        devices=tuple(
            replace(device, watts=drawing(device.watts, more[device.id])) if device.id in more else device
            for device in instance.devices
        ),
    )


def drawing(watts: Vector, more: int) -> Vector:
    """A schedule with so many W more drawn in every period."""
    return tuple([some - more for some in watts])


def judged(instance: Instance, taken: Sequence[Step], logs: Mapping[str, Log]) -> Surged:
    """What a surge did to what was matched, from the logs. `instance`: before the surge."""
    stores = {device.id for device in instance.devices if device.ability.storage is not None}
    made = sorted((one.at, sum(one.watts)) for one in agreements(dict(logs)) if one.buyer not in stores)
    began, last = taken[0].at, max(taken[-1].at, made[-1][0] if made else 0.0)
    drawn: dict[str, int] = {}
    best = matched(instance)
    steepest = got = count = at = 0
    least, whole = 1.0, 0
    for number in range(ceil(last - began) + 2):
        rise = 0
        while at < len(taken) and taken[at].at <= began + number:
            rise += sum(watts - drawn.get(device, 0) for device, watts in taken[at].more.items())
            drawn |= taken[at].more
            at += 1
            best = matched(surged(instance, drawn))
        while count < len(made) and made[count][0] < began + number + 1:
            got += made[count][1]
            count += 1
        steepest = max(steepest, rise)
        least = min(least, got / best if best else 1.0)
        if got < best:
            whole = number + 1
    return Surged(
        len(drawn),
        sum(drawn.values()),
        steepest,
        round(taken[-1].at - began) + 1,
        least,
        whole if got >= best else None,
    )
