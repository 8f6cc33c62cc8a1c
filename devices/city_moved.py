"""What can be moved in the city, and what was: the energy of cars and heat pumps that wait, by hour, and storage.

Worked out from the grid and from the devices' ledgers. Knows no socket, and nothing of what is on schedule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from gossip_ws.consensus.instance import Device, Instance
from gossip_ws.consensus.log import Agreement
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.vector import Vector, minus, plus, shortage, total, zero
from gossip_ws.grid.offers import waiting
from gossip_ws.grid.population import Population, device_id
from gossip_ws.grid.profiles import Jitter

REACHED: Final = 0.99
"""The share of the optimum that has to be matched where something can be moved: who agrees on an hour does not know yet
what others could have used it for, and what is agreed stands."""


@dataclass(frozen=True, slots=True)
class Movables:
    """The appliances that can move something, each a device of its own. `kinds`: what each is. `planned`: when the
    profile of each draws what can wait, W by hour. `appliances`: how many of any sort each area has, where one of them
    can move something, else 0: there is nobody to ask. `fixed`: the same city with everything on schedule."""

    kinds: Mapping[str, str]
    planned: Mapping[str, Vector]
    appliances: Mapping[str, int]
    fixed: Extent


@dataclass(frozen=True, slots=True)
class Extent:
    """What there is to match, W summed over hours. `needed`: on schedule or at any time, each device for itself, so
    that a house needs less of others where its appliances are no devices of their own. `optimum`: the most of that
    which devices can give one another; the rest is the grid's to bring."""

    needed: int
    optimum: int


@dataclass(frozen=True, slots=True)
class Moved:
    """Of one area on one day, W by hour. By kind of what waits: `wants`, W summed over hours; `planned`, when its
    profile draws that; `served`, when others give it. `charged`, `discharged`: into all its storage and out of it;
    `held`: what is in it at the end of each hour, W summed over hours. `stores`: how many they are."""

    wants: dict[str, int] = field(default_factory=dict)
    planned: dict[str, Vector] = field(default_factory=dict)
    served: dict[str, Vector] = field(default_factory=dict)
    stores: int = 0
    charged: Vector = ()
    discharged: Vector = ()
    held: Vector = ()

    @property
    def taken(self) -> Vector:
        """By all of it."""
        return total((self.charged, *self.served.values()), len(self.charged))


def extent(instance: Instance) -> Extent:
    """Of all devices together."""
    on_schedule = sum(sum(shortage(device.watts)) for device in instance.devices)
    waits = sum(need.energy for device in instance.devices for need in device.ability.needs)
    return Extent(on_schedule + waits, matched(instance))


def movables(city: Population, day: str, seed: int, fixed: Instance) -> Movables:
    """Those of a city. Raises LocalError when there are no profiles for the day."""
    planned = waiting(city, day, jitter=lambda scope: Jitter.draw(seed, scope))
    appliances = {area.scope: [one for meter in area.meters for one in meter.appliances] for area in city.substations}
    return Movables(
        {one.device: one.kind.value for one in city.appliances() if one.scope in planned},
        {device_id(scope): watts for scope, watts in planned.items()},
        {area: len(here) if any(one.scope in planned for one in here) else 0 for area, here in appliances.items()},
        extent(fixed),
    )


def moved(instance: Instance, of: Movables, made: Iterable[Agreement]) -> dict[str, Moved]:
    """By area, what these agreements have moved."""
    nothing = zero(instance.periods)
    taken, given = dict.fromkeys(of.kinds, nothing), dict.fromkeys(of.kinds, nothing)
    for agreed in made:
        if agreed.buyer in taken:
            taken[agreed.buyer] = plus(taken[agreed.buyer], agreed.watts)
        if agreed.seller in given:
            given[agreed.seller] = plus(given[agreed.seller], agreed.watts)
    areas: dict[str, list[Device]] = {}
    for device in instance.devices:
        here = areas.setdefault(device.area, [])
        if device.id in of.kinds:
            here.append(device)
    found = {}
    for area, devices in areas.items():
        wants: Counter[str] = Counter()
        planned: dict[str, Vector] = {}
        served: dict[str, Vector] = {}
        for one in devices:
            if one.ability.needs:
                kind = of.kinds[one.id]
                wants[kind] += sum(need.energy for need in one.ability.needs)
                planned[kind] = plus(planned.get(kind, nothing), of.planned[one.id])
                served[kind] = plus(served.get(kind, nothing), taken[one.id])
        stores = {one.id: one.ability.storage for one in devices if one.ability.storage is not None}
        charged = total((taken[store] for store in stores), instance.periods)
        discharged = total((given[store] for store in stores), instance.periods)
        initial = sum(store.initial for store in stores.values())
        held = tuple(accumulate(minus(charged, discharged), initial=initial))[1:]
        found[area] = Moved(dict(wants), planned, served, len(stores), charged, discharged, held)
    return found
