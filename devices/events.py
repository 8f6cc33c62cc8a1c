"""What a device tells its subscribers, and when: TariffChanged of its Tariff service, DemandAlarm of its Metering.

Knows no subscriber: the endpoint does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Final

from gossip_ws.devices.smart_meter import tariff_element
from gossip_ws.kernel.names import METERING, TARIFF
from gossip_ws.ports import Clock
from gossip_ws.services.metering import PERIODS, MeterState
from gossip_ws.services.tariff import HeldTariff
from gossip_ws.wire.envelope import text

TARIFF_CHANGED: Final = TARIFF + ":TariffChanged"
DEMAND_ALARM: Final = METERING + ":DemandAlarm"
Notify = Callable[[str, bytes], None]
"""Given an action and the event's element; as `ports.Gossip.notify`."""
_DAY: Final = 86_400.0
_LENGTH: Final = _DAY / PERIODS


def tariff_changed(device: str, held: HeldTariff) -> bytes:
    """The TariffChanged element of the tariff's WSDL."""
    return (
        f'<t:TariffChanged xmlns:t="{TARIFF}"><t:device>{text(device)}</t:device>{tariff_element(held)}'
        "</t:TariffChanged>"
    ).encode()


def demand_alarm(device: str, day: date, period: int, energy: int, limit: int) -> bytes:
    """The DemandAlarm element of the metering WSDL; `energy` and `limit` in Wh."""
    return (
        f'<m:DemandAlarm xmlns:m="{METERING}"><m:device>{text(device)}</m:device><m:day>{day.isoformat()}</m:day>'
        f"<m:period>{period}</m:period><m:energyWh>{energy}</m:energyWh><m:limitWh>{limit}</m:limitWh></m:DemandAlarm>"
    ).encode()


class DemandWatch:
    """Looks whether the demand announced for a period of today is above `limit` (Wh): when a tariff has moved it, and
    when a period begins. Each such period is told of once, and again if it was below in between."""

    def __init__(self, device: str, state: MeterState, limit: int, clock: Clock, notify: Notify) -> None:
        self._device = device
        self._state = state
        self._limit = limit
        self._clock = clock
        self._notify = notify
        self._above: set[tuple[date, int]] = set()

    def start(self) -> None:
        """Look now, and at the beginning of each period."""
        self.look()
        # A second late: a clock that is a little behind would look at the period before.
        left = _LENGTH - self._clock.now().wall % _LENGTH + 1.0
        self._clock.call_later(left, self.start)

    def look(self) -> None:
        today = datetime.fromtimestamp(self._clock.now().wall, UTC).date()
        energies = [sum(rows) for rows in zip(*(row for _, row in self._state.demand(today)), strict=True)]
        above = {(today, period): wh for period, wh in enumerate(energies) if wh > self._limit}
        new = above.keys() - self._above
        self._above = set(above)
        for day, period in sorted(new):
            self._notify(DEMAND_ALARM, demand_alarm(self._device, day, period, above[day, period], self._limit))
