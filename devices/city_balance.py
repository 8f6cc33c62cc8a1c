"""Meters of the city that agree who gives what to whom: their schedules, their nano grids, and what came of it.

Every process of a city draws the same plan from the same numbers, so nobody has to hand it out. What came of it is
judged from the meters' ledgers. Knows no socket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from gossip_ws.consensus.checker import Cut, violations
from gossip_ws.consensus.clusters import KINDS, Hierarchy, build, regrouped
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.exchange import Exchange, exchanges
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.log import Log, agreements
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.vector import Vector, minus, plus, total
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
    draws. `places`: each meter's scope. `kinds`: what the meters and the appliances behind them are, how many of each.
    """

    instance: Instance
    hierarchy: Hierarchy
    pace: Pace
    places: Mapping[str, str]
    kinds: Mapping[str, int]

    @cached_property
    def areas(self) -> dict[str, str]:
        """Each device's substation."""
        return {device.id: device.area for device in self.instance.devices}

    @cached_property
    def offers(self) -> dict[str, Vector]:
        """Each device's schedule."""
        return {device.id: device.watts for device in self.instance.devices}

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
        for device, area in self.areas.items():
            members.setdefault(area, []).append(device)
        large = [devices for devices in members.values() if len(devices) >= FEW]
        return [devices[-1] for devices in large], [devices[0] for devices in large]


def draw(city: Population, day: str, seed: int, round_: float = ROUND) -> BalancePlan:
    """The plan of a city. Raises LocalError when there are no profiles for the day, or a round lasts no time."""
    if not 0.02 <= round_ <= 10:
        raise LocalError(f"a round lasts 0.02 to 10 s: {round_:g}")
    by_scope = offers(city, day, jitter=lambda scope: Jitter.draw(seed, scope))
    devices = tuple(replace(device, id=device_id(device.id)) for device in by_scope.devices)
    instance = replace(by_scope, devices=devices)
    kinds = Counter(
        [meter.kind.value for meter in city.meters()] + [appliance.kind.value for appliance in city.appliances()]
    )
    places: dict[str, str] = {meter.device: meter.scope for meter in city.meters()}
    return BalancePlan(instance, build(instance), Pace(round=round_), places, dict(kinds))


@dataclass(frozen=True, slots=True)
class Pulled:
    """What the meters of an area say together by a pull. contributors: how many of them say so."""

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


@dataclass(frozen=True, slots=True)
class AreaReport:
    """One substation's. `exchange`: from the ledgers. `pulled`: None where nobody was asked."""

    area: str
    meters: int
    exchange: Exchange
    pulled: Pulled | None = None

    @property
    def is_good(self) -> bool:
        """Is everybody in what was pulled, and is it what the ledgers say?"""
        told = self.pulled
        return told is None or (told.contributors == self.meters and told.agrees(self.exchange))


@dataclass(slots=True)
class BalancePhase:
    """How it stood when nothing was left to do, or at the time limit (`settled` is False then).

    `seconds`: from the start, or from the end of a cut, until the last decision. `decisions`: agreements of this phase.
    `messages`: from meter to meter, of all kinds. `optimum`: the most that can be matched; where schedules changed in
    the middle, what is matched and what could still be. `revoked`: what a ledger held before and holds no longer.
    `cpu_seconds`: of all the city's processes.
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

    @property
    def is_good(self) -> bool:
        """Nothing left undone, no promise broken, and what was pulled is what the ledgers say."""
        return (
            self.settled
            and self.matched == self.optimum
            and not self.revoked
            and not self.violations
            and all(area.is_good for area in self.areas)
        )


@dataclass(slots=True)
class BalanceReport:
    """`clusters`: by what they are called. `round`: s."""

    meters: int
    kinds: dict[str, int]
    clusters: dict[str, int]
    depth: int
    round: float
    phases: list[BalancePhase]

    @property
    def is_good(self) -> bool:
        return all(phase.is_good for phase in self.phases)


def report(plan: BalancePlan, phases: list[BalancePhase]) -> BalanceReport:
    """What there was to balance, and what came of it."""
    clusters = Counter(cluster.kind for cluster in plan.hierarchy.clusters.values())
    return BalanceReport(
        len(plan.instance.devices),
        dict(plan.kinds),
        {kind: clusters[kind] for kind in KINDS if kind in clusters},
        plan.hierarchy.depth,
        plan.pace.round,
        phases,
    )


def area_reports(
    plan: BalancePlan, logs: Mapping[str, Log], day: int, pulled: Mapping[str, Pulled | None]
) -> list[AreaReport]:
    """One for each substation, in the order of the plan."""
    meters: dict[str, int] = {}
    for area in plan.areas.values():
        meters[area] = meters.get(area, 0) + 1
    return [
        AreaReport(area, meters[area], exchange, pulled.get(area))
        for area, exchange in exchanges(logs, plan.areas, day).items()
    ]


def broken(
    plan: BalancePlan, logs: Mapping[str, Log], cuts: Sequence[Cut], areas: Sequence[AreaReport], *, settled: bool
) -> list[str]:
    """What the checker finds in the ledgers, and in what was pulled: each in words.

    What the areas say that they have offered, without what they say that they have agreed, is together what the topmost
    cluster claims to have left.
    """
    claimed: dict[int, dict[str, Vector]] = {}
    pulled = [area.pulled.residual for area in areas if area.pulled is not None]
    if areas and len(pulled) == len(areas):
        periods = plan.instance.periods
        offered = total((minus(one.could, one.wanted) for one in pulled), periods)
        net = minus(offered, total((minus(one.sold, one.bought) for one in pulled), periods))
        claimed = {plan.hierarchy.depth: {plan.hierarchy.top: net}}
    found = violations(logs, cuts=cuts, hierarchy=plan.hierarchy, claimed=claimed, settled=settled)
    return [f"{one.rule}: {one.what}" for one in found]


def revoked(before: Mapping[str, Log], after: Mapping[str, Log]) -> list[str]:
    """Records that ledgers held before and do not hold now, in words. Ledgers only grow."""
    return [
        f"{device} has lost number {record.number}, {record.kind.value} {record.agreement}".rstrip()
        for device, log in before.items()
        for record, now in zip(log, (*after.get(device, ()), *[None] * len(log)), strict=False)
        if record != now
    ]


def possible(areas: Sequence[AreaReport]) -> int:
    """W summed over hours that could still be matched, by the ledgers."""
    return sum(
        min(sum(given), sum(needed))
        for given, needed in zip(
            zip(*(area.exchange.left_given for area in areas), strict=True),
            zip(*(area.exchange.left_needed for area in areas), strict=True),
            strict=True,
        )
    )


def decided(logs: Mapping[str, Log], day: int) -> tuple[int, int, float]:
    """(agreements of a day, their W summed over hours, when the last of them was made: monotonic s, 0 without any)."""
    made = [one for one in agreements(dict(logs)) if one.day == day]
    return len(made), sum(sum(one.watts) for one in made), max((one.at for one in made), default=0.0)


Standing = Mapping[str, tuple[Vector, Vector]]
"""By area, W by hour that its meters could still give, and that they still need."""


def merged(standings: Iterable[Standing]) -> Standing:
    """Of several processes, as they told it in JSON."""
    found: dict[str, tuple[Vector, Vector]] = {}
    for standing in standings:
        for area, (given, needed) in standing.items():
            before = found.get(area)
            both = tuple(given), tuple(needed)
            found[area] = both if before is None else (plus(before[0], both[0]), plus(before[1], both[1]))
    return found


def is_matched(standing: Standing, cut_off: Collection[str]) -> bool:
    """Is in no hour left what some could give and others need? Areas that are cut off count apart from the others, all
    of them as one."""
    for apart in (True, False):
        island = [both for area, both in standing.items() if (area in cut_off) is apart]
        if not island:
            continue
        given = total((some for some, _ in island), len(island[0][0]))
        needed = total((wanted for _, wanted in island), len(given))
        if any(some and wanted for some, wanted in zip(given, needed, strict=True)):
            return False
    return True
