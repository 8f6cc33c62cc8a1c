"""What the devices of one area of the city use and measure: drawn from the grid's profiles, for one day.

Knows no socket, and no tariff that would move any of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Final

from gossip_ws.devices.load import Load, no_tasks
from gossip_ws.grid.measurement import measure
from gossip_ws.grid.population import Appliance, Meter, Population, Substation
from gossip_ws.grid.profiles import Jitter, Profiles
from gossip_ws.grid.tasks import Task, tasks_of
from gossip_ws.services.metering import Measured

QUARTER: Final = 48
"""Noon: when the city's devices measure."""
_STATION: Final = "station"


def idle() -> Load:
    """Of the information system, which uses nothing and measures nothing."""
    return Load(_STATION, no_tasks, Measured(0.0, 0.0, 0.0))


class Loads:
    """Those of one area. Raises LocalError when there are no profiles for the day."""

    def __init__(self, population: Population, area: Substation, day: str, seed: int) -> None:
        self._profiles = population.profiles
        self._area = area
        self._seed = seed
        self._measured = measure(area, self._profiles, day, QUARTER, partial(Jitter.draw, seed))

    def station(self) -> Load:
        """Of the substation itself."""
        return Load(_STATION, no_tasks, self._at(self._area.scope))

    def of(self, device: Meter | Appliance) -> Load:
        """Of one device below it."""
        tasks = partial(planned, device, self._profiles, Jitter.draw(self._seed, device.scope))
        return Load(device.kind.value, tasks, self._at(device.scope))

    def _at(self, scope: str) -> Measured:
        found = self._measured[scope]
        return Measured(found.voltage, found.angle, found.power)


def planned(device: Meter | Appliance, profiles: Profiles, jitter: Jitter, day: date) -> Sequence[Task]:
    """The tasks of a device on a day."""
    energy = profiles.energy(device.profile, day.isoformat(), device.power, jitter)
    return tasks_of(device.kind, energy, device.power)
