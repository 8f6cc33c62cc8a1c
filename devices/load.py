"""What a device announces to use, and how a tariff moves it: the state behind its Metering service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from gossip_ws.grid.tariff import Band, Tariff
from gossip_ws.grid.tasks import Periods, Task, place
from gossip_ws.services.metering import Measured
from gossip_ws.services.tariff import HeldTariff

Tasks = Callable[[date], Sequence[Task]]
"""The tasks that a device has on a day."""


@dataclass(slots=True)
class Load:
    """A `MeterState`: tasks that move to the cheapest feasible periods of the tariff held (seed 002 III.B).

    `category` is the row under which the device's demand is announced. A device without tasks, such as a
    substation, announces 0 Wh: it takes part, so the number of contributors is the number of devices.
    """

    category: str
    tasks: Tasks
    measured: Measured
    tariff: Tariff | None = None

    def demand(self, day: date) -> Sequence[tuple[str, Periods]]:
        return [(self.category, place(self.tasks(day), self.tariff))]

    def measurement(self) -> Sequence[Measured]:
        return [self.measured]

    def adapt(self, held: HeldTariff) -> None:
        """Listener of the Tariff service: from here on demand follows these prices."""
        bands = tuple(Band(band.from_minute, band.to_minute, band.price) for band in held.bands)
        self.tariff = Tariff(held.id, held.version, held.start, held.end, bands)


def no_tasks(day: date) -> Sequence[Task]:
    """Of a device that uses nothing worth announcing."""
    return ()
