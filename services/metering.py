"""The Metering service: what a device announces to use, and what it measures now.

Both are made to be aggregated: repeated rows of numbers, each with the range that one device can give.
Knows nothing of where the numbers come from: a MeterState does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Protocol

from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import METERING
from gossip_ws.kernel.terms import Priority
from gossip_ws.services import _spyne as spyne
from gossip_ws.services.contract import call
from gossip_ws.services.gossip import aggregate, gossip_enabled, notification
from gossip_ws.services.hosting import SpyneHosted
from gossip_ws.services.shape import reading

PERIODS: Final = 3
"""Eight-hour periods of a UTC day (seed 002 section III.B)."""
MAX_ENERGY: Final = 1_000_000_000
"""Wh in one period: 125 MW for eight hours, more than a substation's transformer carries."""

_ONCE: Final = {"min_occurs": 1, "nillable": False}


@dataclass(frozen=True, slots=True)
class Measured:
    """`voltage` in V (RMS), `phase_angle` in degrees, -180 to 180, `power` in W, negative when fed in."""

    voltage: float
    phase_angle: float
    power: float


class MeterState(Protocol):
    """Where a device's Metering service gets its numbers."""

    def demand(self, day: date) -> Sequence[tuple[str, tuple[int, int, int]]]:
        """(category, whole Wh announced for each 8-hour period of that UTC day), a row a category."""

    def measurement(self) -> Sequence[Measured]:
        """What is measured now, a row a connection; most devices have one."""


class Demand(spyne.ComplexModel):
    """Energy announced for the three 8-hour periods of a day, from midnight UTC."""

    __namespace__ = METERING
    category = spyne.Unicode(max_len=32, min_occurs=1, nillable=False)
    energyWh = reading(spyne.Integer, 0, MAX_ENERGY, min_occurs=PERIODS, max_occurs=PERIODS)


class Measurement(spyne.ComplexModel):
    """Voltage in V, phase angle in degrees, power in W."""

    __namespace__ = METERING
    voltage = reading(spyne.Double, 0, 500_000)
    phaseAngle = reading(spyne.Double, -180, 180)
    power = reading(spyne.Double, -1e9, 1e9)


@gossip_enabled(
    GetDemand=aggregate("sum"),
    GetMeasurement=aggregate("mean"),
    DemandAlarm=notification(priority=Priority.STATUS),
)
class MeteringService(spyne.Service):
    """Gives the demand and the measurements of one device, and warns of too much demand. State: a MeterState."""

    __service_name__ = "Metering"

    @spyne.rpc(spyne.Date(min_occurs=0), _returns=spyne.Array(Demand))
    def GetDemand(ctx: Any, day: date | None) -> Any:
        """Energy announced for a day, today if none is given."""
        told = call(ctx)
        rows = told.state.demand(day or datetime.fromtimestamp(told.now.wall, UTC).date())
        return [_demand(category, energies) for category, energies in rows]

    @spyne.rpc(_returns=spyne.Array(Measurement))
    def GetMeasurement(ctx: Any) -> Any:
        """What is measured now."""
        return [
            Measurement(voltage=row.voltage, phaseAngle=row.phase_angle, power=row.power)
            for row in call(ctx).state.measurement()
        ]

    @spyne.rpc(
        spyne.Unicode(min_len=1, max_len=128, **_ONCE),
        spyne.Date(**_ONCE),
        spyne.Integer32(ge=0, lt=PERIODS, **_ONCE),
        spyne.Integer(ge=0, **_ONCE),
        spyne.Integer(ge=0, **_ONCE),
    )
    def DemandAlarm(ctx: Any, device: str, day: date, period: int, energyWh: int, limitWh: int) -> None:
        """The device announces to use more than its limit in an 8-hour period of a day, counted from 0."""


def _demand(category: str, energies: tuple[int, int, int]) -> Demand:
    # A row that is not valid would be refused by every combiner on the way: better to fail where it is made.
    if len(energies) != PERIODS or not all(isinstance(wh, int) and 0 <= wh <= MAX_ENERGY for wh in energies):
        raise LocalError(f"demand is {PERIODS} whole numbers of Wh, 0 to {MAX_ENERGY}: {energies!r}")
    return Demand(category=category, energyWh=list(energies))


def metering_service(state: MeterState, path: str = "/Metering") -> SpyneHosted:
    """The Metering service of the device whose numbers `state` has."""
    return SpyneHosted(MeteringService, METERING, state, path=path)
