"""A population as something to balance: every meter with what its connection gives or draws, hour by hour.

A meter stands for its household and the appliances behind it: what those balance among themselves never leaves the
house. What can be moved may be told apart. Knows no protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from math import hypot
from typing import Final

from gossip_ws.consensus.instance import Device, Feeder, Instance
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.movable import moved
from gossip_ws.grid.population import Appliance, Meter, Population, Tree
from gossip_ws.grid.profiles import NONE, QUARTERS, Jitter, Profiles
from gossip_ws.kernel.errors import LocalError

HOURS: Final = 24
MEDIUM_VOLTS: Final = 20_000
"""Of the rural grids' medium voltage; a grid file does not tell. An ohm there counts as much less beside one below."""


def offers(
    population: Population,
    day: str,
    periods: int = HOURS,
    jitter: Callable[[str], Jitter] = lambda scope: NONE,
    *,
    flexible: bool = False,
) -> Instance:
    """Each meter's mean W by period of a day, given positive and drawn negative, on one tree of the whole grid, its
    impedances referred to low voltage. `flexible`: what can wait or store behind a meter is a device of its own there,
    as `movable` says.

    Raises LocalError when there are no profiles for the day, or quarter hours do not divide into `periods`.
    """
    if periods < 1 or QUARTERS % periods:
        raise LocalError(f"{QUARTERS} quarter hours do not divide into {periods} periods")
    parent: list[int] = []
    micro_ohm: list[int] = []

    def add(tree: Tree, root: int | None, r: float, x: float, scale: float) -> int:
        """The tree's buses; its root becomes a new one below `root`. The number of its first."""
        first = len(parent)
        for bus, (above, br, bx) in enumerate(zip(tree.parent, tree.r, tree.x, strict=True)):
            if bus == 0:
                parent.append(first if root is None else root)
                micro_ohm.append(round(hypot(r, x) * 1e6))
            else:
                parent.append(first + above)
                micro_ohm.append(round(hypot(br, bx) * 1e6 * scale))
        return first

    volts = population.substations[0].volts if population.substations else 400
    add(population.medium_voltage, None, 0.0, 0.0, (volts / MEDIUM_VOLTS) ** 2)
    devices = []
    for substation in population.substations:
        busbar = add(substation.feeder, substation.bus, substation.r, substation.x, 1.0)
        for meter in substation.meters:
            apart: list[Device] = []
            behind: list[Meter | Appliance] = [meter]
            rigid = [0] * periods
            for appliance in meter.appliances:
                drawn = _watts([appliance], population.profiles, day, periods, jitter)
                found = moved(appliance, drawn) if flexible else None
                if found is None:
                    behind.append(appliance)
                    continue
                ability, left = found
                rigid = [one + other for one, other in zip(rigid, left, strict=True)]
                apart.append(Device(appliance.scope, busbar + meter.bus, (0,) * periods, substation.scope, ability))
            watts = _watts(behind, population.profiles, day, periods, jitter)
            watts = tuple(one + other for one, other in zip(watts, rigid, strict=True))
            devices += [Device(meter.scope, busbar + meter.bus, watts, substation.scope), *apart]
    return Instance(Feeder(tuple(parent), tuple(micro_ohm)), tuple(devices), periods, f"{population.code} {day}")


def waiting(
    population: Population, day: str, periods: int = HOURS, jitter: Callable[[str], Jitter] = lambda scope: NONE
) -> dict[str, tuple[int, ...]]:
    """By the scope of each appliance that can move something: W by period, positive, of what can wait, when its profile
    draws it. Nothing of a storage."""
    found = {}
    for appliance in population.appliances():
        drawn = _watts([appliance], population.profiles, day, periods, jitter)
        if (parts := moved(appliance, drawn)) is not None:
            _, left = parts
            is_stored = appliance.kind is Kind.STORAGE
            found[appliance.scope] = tuple(0 if is_stored else b - a for a, b in zip(drawn, left, strict=True))
    return found


def _watts(
    connected: Iterable[Meter | Appliance],
    profiles: Profiles,
    day: str,
    periods: int,
    jitter: Callable[[str], Jitter],
) -> tuple[int, ...]:
    power = [0.0] * QUARTERS
    for device in connected:
        own = jitter(device.scope)
        steps = profiles.day(device.profile, day)
        unit = device.power * own.permille / (1000 * profiles.resolution) * (1 if device.kind.feeds_in else -1)
        shift = -own.quarters % QUARTERS
        power = [some + unit * step for some, step in zip(power, steps[shift:] + steps[:shift], strict=True)]
    length = QUARTERS // periods
    edges = range(0, QUARTERS + 1, length)
    return tuple(round(sum(power[start:end]) / length) for start, end in pairwise(edges))
