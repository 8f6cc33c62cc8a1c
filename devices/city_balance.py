"""Devices of the city that agree who gives what to whom: their schedules, their nano grids, and what came of it. They
are the meters, and, where it is wanted, the appliances that can move something.

Every process of a city draws the same plan from the same numbers, so nobody has to hand it out. What came of it is
judged from the devices' ledgers. Knows no socket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random
from typing import Final

from gossip_ws.consensus.ability import Ability
from gossip_ws.consensus.checker import Cut, violations
from gossip_ws.consensus.clusters import KINDS, Hierarchy, build, regrouped
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.deviance import announced, overstating
from gossip_ws.consensus.exchange import Exchange, exchanges
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.log import Agreement, Kind, Log, agreements
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.outcome import delivered
from gossip_ws.consensus.vector import Vector, minus, plus, shortage, surplus, total, zero
from gossip_ws.devices.city_moved import Extent, Movables, Moved, extent, movables, moved
from gossip_ws.grid.offers import offers
from gossip_ws.grid.population import Population, choose, device_id, load
from gossip_ws.grid.profiles import Jitter
from gossip_ws.kernel.errors import LocalError
from gossip_ws.services.balancing import Residual

DAY: Final = "2016-04-18"
"""In spring roofs give enough for something to be left, and not for all."""
AREAS: Final = 4
"""Substations that the meters are dealt out to, so that something is left to agree between areas."""
FEW: Final = 3
"""Meters of an area of which one may leave."""
ROUND: Final = 0.25
"""Seconds: the longest usual delay between two meters, on a machine where hundreds of devices share a processor."""


def population(grid: str, meters: int, seed: int) -> Population:
    """Meters of at least `AREAS` areas, where the grid has as many. Raises LocalError as `choose` does."""
    found = load(grid)
    return choose(found, meters, seed, areas=min(AREAS, len([one for one in found.substations if one.meters])))


@dataclass(frozen=True)
class BalancePlan:
    """`instance`: every meter, by its identity, with the mean W of each hour that its connection gives (positive) or
    draws; and what `movables` are, if anything is to be moved. `places`: each device's scope. `kinds`: what the meters
    and the appliances behind them are, how many of each. `overstating`: meters that announce more than they give.
    """

    instance: Instance
    hierarchy: Hierarchy
    pace: Pace
    places: Mapping[str, str]
    kinds: Mapping[str, int]
    movables: Movables | None = None
    overstating: frozenset[str] = frozenset()

    @cached_property
    def areas(self) -> dict[str, str]:
        """Each device's substation."""
        return {device.id: device.area for device in self.instance.devices}

    @cached_property
    def offers(self) -> dict[str, tuple[Vector, Ability]]:
        """Each device's schedule as it announces it, and what it can move."""
        told = announced(self.instance, self.overstating)
        return {device.id: (device.watts, device.ability) for device in told.devices}

    @cached_property
    def seen(self) -> dict[str, Vector]:
        """What each device's meter sees."""
        return {device.id: device.watts for device in self.instance.devices}

    @cached_property
    def meters(self) -> list[str]:
        """The devices that are meters."""
        apart = self.movables.kinds if self.movables is not None else {}
        return [device for device in self.areas if device not in apart]

    def optimum(self, cut_off: str = "") -> int:
        """The most that can be matched, W summed over hours, where an area may be cut off from the others."""
        inside = {device for device, area in self.areas.items() if area == cut_off}
        return matched(self.instance, inside) + matched(self.instance, self.areas.keys() - inside)

    def without(self, gone: Collection[str]) -> Hierarchy:
        """The clusters once these devices have left: those of their areas anew."""
        left = tuple(device for device in self.instance.devices if device.id not in gone)
        areas = {self.areas[device] for device in gone}
        return regrouped(self.hierarchy, replace(self.instance, devices=left), areas)

    def restless(self) -> tuple[list[str], list[str]]:
        """Of each area with enough meters one that leaves for a while, and one that does twice as much."""
        members: dict[str, list[str]] = {}
        for device in self.meters:
            members.setdefault(self.areas[device], []).append(device)
        large = [devices for devices in members.values() if len(devices) >= FEW]
        return [devices[-1] for devices in large], [devices[0] for devices in large]


def draw(
    city: Population, day: str, seed: int, round_: float = ROUND, *, flexible: bool = False, overstate: float = 0.0
) -> BalancePlan:
    """The plan of a city. `flexible`: what can wait or store is a device of its own. `overstate`: so large a share of
    those that give anything announces more. Raises LocalError when there are no profiles for the day, a round lasts no
    time, or the share is nobody."""
    if not 0.02 <= round_ <= 10:
        raise LocalError(f"a round lasts 0.02 to 10 s: {round_:g}")
    by_scope = offers(city, day, jitter=lambda scope: Jitter.draw(seed, scope))
    apart = None
    if flexible:
        apart = movables(city, day, seed, by_scope)
        by_scope = offers(city, day, jitter=lambda scope: Jitter.draw(seed, scope), flexible=True)
    devices = tuple(replace(device, id=device_id(device.id)) for device in by_scope.devices)
    instance = replace(by_scope, devices=devices)
    kinds = Counter(
        [meter.kind.value for meter in city.meters()] + [appliance.kind.value for appliance in city.appliances()]
    )
    places: dict[str, str] = {meter.device: meter.scope for meter in city.meters()}
    places |= {appliance.device: appliance.scope for appliance in city.appliances()}
    false = overstating(instance, overstate, Random(f"overstate/{seed}")) if overstate else frozenset()
    return BalancePlan(instance, build(instance), Pace(round=round_), places, dict(kinds), apart, false)


@dataclass(frozen=True, slots=True)
class Pulled:
    """What the meters of an area, or its appliances, say together by a pull. contributors: how many of them say so."""

    contributors: int
    residual: Residual

    def agrees(self, found: Exchange) -> bool:
        """Is it, watt by watt, what the ledgers say?"""
        return self.residual == Residual(
            could=found.given,
            wanted=found.needed,
            sold=plus(found.within, found.sold),
            bought=plus(found.within, found.bought),
            sold_beyond=found.sold,
            bought_beyond=found.bought,
            gives=found.left_given,
            needs=found.left_needed,
        )

    def has_moved(self, found: Moved) -> bool:
        """Of appliances: do they have nothing on schedule, and have they moved, watt by watt, what the ledgers say?"""
        told = self.residual
        on_schedule = (*told.could, *told.wanted, *told.gives, *told.needs)
        return not any(on_schedule) and (told.bought, told.sold) == (found.taken, found.discharged)

    def and_(self, other: Pulled) -> Pulled:
        """Both together."""
        sums = [plus(getattr(self.residual, name), getattr(other.residual, name)) for name in Residual.__slots__]
        return Pulled(self.contributors + other.contributors, Residual(*sums))


@dataclass(frozen=True, slots=True)
class AreaReport:
    """One substation's. `exchange`: from the ledgers of all its devices. `pulled`: from its meters; None where nobody
    was asked. Where something can be moved: `moved`, from the ledgers; `appliances`, all there are in the area
    if one of them can; and `pulled_moved`, from these."""

    area: str
    meters: int
    exchange: Exchange
    pulled: Pulled | None = None
    moved: Moved | None = None
    appliances: int = 0
    pulled_moved: Pulled | None = None

    @property
    def is_good(self) -> bool:
        """Is everybody in what was pulled, and is it what the ledgers say?"""
        told = self.pulled
        if told is None:
            return True
        if told.contributors != self.meters:
            return False
        if self.moved is None or not self.appliances:
            return told.agrees(self.exchange)
        apart = self.pulled_moved
        return (
            apart is not None
            and apart.contributors == self.appliances
            and apart.has_moved(self.moved)
            and told.and_(apart).agrees(self.exchange)
        )


@dataclass(slots=True)
class BalancePhase:
    """How it stood when nothing was left to do, or at the time limit (`settled` is False then).

    `seconds`: from the start, or from the end of a cut, until the last decision. `decisions`: agreements of this phase.
    `messages`: from device to device, of all kinds. `optimum`: the most that can be matched; where schedules changed in
    the middle, with what was agreed of the earlier ones. `least`: the share of it that has to be. `revoked`: what a
    ledger held before and holds no longer. `cpu_seconds`: of all the city's processes.
    """

    what: str
    settled: bool
    seconds: float
    decisions: int
    messages: int
    matched: int
    optimum: int
    cpu_seconds: float
    areas: list[AreaReport]
    revoked: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    least: float = 1.0

    @property
    def is_good(self) -> bool:
        """Nothing left undone, no promise broken, and what was pulled is what the ledgers say."""
        return (
            self.settled
            and self.least * self.optimum <= self.matched <= self.optimum
            and not self.revoked
            and not self.violations
            and all(area.is_good for area in self.areas)
        )


@dataclass(slots=True)
class BalanceReport:
    """`clusters`: by what they are called. `round`: s. Where something is to be moved, else None: `movable`, the
    appliances that agree beside the meters, how many of each kind; `moving`, what there is to match with that, before
    anybody leaves or changes; `fixed`, what there were with everything on schedule."""

    meters: int
    kinds: dict[str, int]
    clusters: dict[str, int]
    depth: int
    round: float
    phases: list[BalancePhase]
    movable: dict[str, int] | None = None
    moving: Extent | None = None
    fixed: Extent | None = None

    @property
    def is_good(self) -> bool:
        return all(phase.is_good for phase in self.phases)


def report(plan: BalancePlan, phases: list[BalancePhase]) -> BalanceReport:
    """What there was to balance, and what came of it."""
    clusters = Counter(cluster.kind for cluster in plan.hierarchy.clusters.values())
    of = plan.movables
    return BalanceReport(
        len(plan.meters),
        dict(plan.kinds),
        {kind: clusters[kind] for kind in KINDS if kind in clusters},
        plan.hierarchy.depth,
        plan.pace.round,
        phases,
        dict(Counter(of.kinds.values())) if of is not None else None,
        extent(plan.instance) if of is not None else None,
        of.fixed if of is not None else None,
    )


def area_reports(
    plan: BalancePlan, logs: Mapping[str, Log], day: int, pulled: Mapping[str, Sequence[Pulled]]
) -> list[AreaReport]:
    """One for each substation, in the order of the plan. pulled: from the meters of each area and, where something can
    be moved, from its appliances."""
    meters = Counter(plan.areas[device] for device in plan.meters)
    of = plan.movables
    was_moved = moved(plan.instance, of, made_on(logs, day)) if of is not None else {}
    found = []
    for area, exchange in exchanges(logs, plan.areas, day).items():
        told, apart = (*pulled.get(area, ()), None, None)[:2]
        appliances = of.appliances[area] if of is not None else 0
        found.append(AreaReport(area, meters[area], exchange, told, was_moved.get(area), appliances, apart))
    return found


def broken(
    plan: BalancePlan,
    logs: Mapping[str, Log],
    cuts: Sequence[Cut],
    areas: Sequence[AreaReport],
    *,
    settled: bool,
    gone: Collection[str] = (),
) -> list[str]:
    """What the checker finds in the ledgers, and in what was pulled: each in words. gone: who had left for a part of
    the day, so that the others met in other clusters.

    What the meters of the areas say that they have offered, without what they say that they have agreed, is together
    what the topmost cluster claims to have left: appliances that can move something have nothing on schedule.
    """
    claimed: dict[int, dict[str, Vector]] = {}
    pulled = [area.pulled.residual for area in areas if area.pulled is not None]
    if areas and len(pulled) == len(areas):
        periods = plan.instance.periods
        offered = total((minus(one.could, one.wanted) for one in pulled), periods)
        net = minus(offered, total((minus(one.sold, one.bought) for one in pulled), periods))
        claimed = {plan.hierarchy.depth: {plan.hierarchy.top: net}}
    found = violations(
        logs,
        cuts=cuts,
        hierarchy=plan.hierarchy,
        claimed=claimed,
        settled=settled,
        meanwhile=(plan.without(gone),) if gone else (),
    )
    return [f"{one.rule}: {one.what}" for one in found]


def revoked(before: Mapping[str, Log], after: Mapping[str, Log]) -> list[str]:
    """Records that ledgers held before and do not hold now, in words. Ledgers only grow."""
    return [
        f"{device} has lost number {record.number}, {record.kind.value} {record.agreement}".rstrip()
        for device, log in before.items()
        for record, now in zip(log, (*after.get(device, ()), *[None] * len(log)), strict=False)
        if record != now
    ]


def within_reach(plan: BalancePlan, logs: Mapping[str, Log], day: int) -> int:
    """The most that can be matched by what devices have offered at last, beside what they had agreed before that."""
    sold: dict[str, Vector] = {}
    bought: dict[str, Vector] = {}
    nothing = zero(plan.instance.periods)
    for one in made_on(logs, day):
        sold[one.seller] = plus(sold.get(one.seller, nothing), one.watts)
        bought[one.buyer] = plus(bought.get(one.buyer, nothing), one.watts)
    devices = []
    for device in plan.instance.devices:
        offered = [one for one in logs.get(device.id, ()) if one.kind is Kind.OFFERED and one.day == day]
        watts = offered[-1].watts if offered else nothing
        if not device.ability:
            gives = map(max, surplus(watts), sold.get(device.id, nothing))
            needs = map(max, shortage(watts), bought.get(device.id, nothing))
            watts = minus(tuple(gives), tuple(needs))
        devices.append(replace(device, watts=watts))
    return matched(replace(plan.instance, devices=tuple(devices)))


def made_on(logs: Mapping[str, Log], day: int) -> list[Agreement]:
    """The agreements of a day."""
    return [one for one in agreements(dict(logs)) if one.day == day]


def decided(plan: BalancePlan, logs: Mapping[str, Log], day: int) -> tuple[int, int, float]:
    """(agreements of a day, W summed over hours that they bring to needs, when the last of them was made: monotonic s,
    0 without any)."""
    made = made_on(logs, day)
    return len(made), delivered(plan.instance, made), max((one.at for one in made), default=0.0)
