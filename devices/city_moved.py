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
from gossip_ws.consensus.vector import Vector, minus, plus, total, zero
from gossip_ws.grid.offers import waiting
from gossip_ws.grid.population import Population, device_id
from gossip_ws.grid.profiles import Jitter

REACHED: Final = 0.99
"""The share of the optimum that has to be matched where something can be moved: who agrees on an hour does not know yet
what others could have used it for, and what is agreed stands."""


@dataclass(frozen=True, slots=True)
class Movables:
    """The appliances that can move something, each a device of its own. `kinds`: what each is. `planned`: when the
    profile of each draws what can wait, W by hour. `appliances`: how many of any sort each area has. `fixed_optimum`:
    the most that could be matched with everything on schedule, W summed over hours."""

    kinds: Mapping[str, str]
    planned: Mapping[str, Vector]
    appliances: Mapping[str, int]
    fixed_optimum: int


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


def movables(city: Population, day: str, seed: int, fixed_optimum: int) -> Movables:
    """Those of a city. Raises LocalError when there are no profiles for the day."""
    planned = waiting(city, day, jitter=lambda scope: Jitter.draw(seed, scope))
    return Movables(
        {one.device: one.kind.value for one in city.appliances() if one.scope in planned},
        {device_id(scope): watts for scope, watts in planned.items()},
        {area.scope: sum(len(meter.appliances) for meter in area.meters) for area in city.substations},
        fixed_optimum,
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
