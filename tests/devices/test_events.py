"""When a device raises a DemandAlarm: at each period above the limit once, when a tariff moved it or its day came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

from lxml import etree

from gossip_ws.devices.events import DEMAND_ALARM, DemandWatch
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import METERING
from gossip_ws.services.contract import contract
from gossip_ws.services.metering import Measured, MeteringService

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
LIMIT = 5_000


class Clock:
    """Turned by the test; knows the one callback that is due."""

    def __init__(self) -> None:
        self.wall = NOON
        self.due: tuple[float, Callable[[], None]] | None = None

    def now(self) -> Instant:
        return Instant(0.0, self.wall)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.due = (self.wall + delay, callback)

    def pass_on(self) -> None:
        """To when something is due."""
        assert self.due is not None
        self.wall, callback = self.due
        callback()


class Meter:
    """Two rows; what is announced for a day."""

    def __init__(self) -> None:
        self.rows: dict[date, tuple[int, int, int]] = {}

    def demand(self, day: date) -> Sequence[tuple[str, tuple[int, int, int]]]:
        return [("household", self.rows.get(day, (0, 0, 0))), ("ev", (1_000, 1_000, 1_000))]

    def measurement(self) -> Sequence[Measured]:
        return []


def watched() -> tuple[Clock, Meter, DemandWatch, list[tuple[str, ...]]]:
    clock, meter, told = Clock(), Meter(), []
    service = contract(MeteringService, METERING)

    def notify(action: str, body: bytes) -> None:
        element = etree.fromstring(body)
        service.check(service.operations[action], element)
        assert action == DEMAND_ALARM
        told.append(tuple(child.text or "" for child in element))

    return clock, meter, DemandWatch("urn:uuid:1", meter, LIMIT, clock, notify), told


def test_the_limit_itself_is_no_alarm_and_more_in_all_rows_together_is_one() -> None:
    _, meter, watch, told = watched()
    today = date(2026, 11, 21)
    meter.rows[today] = (4_000, 4_001, 9_000)
    watch.start()
    assert told == [
        ("urn:uuid:1", "2026-11-21", "1", "5001", "5000"),
        ("urn:uuid:1", "2026-11-21", "2", "10000", "5000"),
    ]


def test_a_period_is_told_of_again_only_after_it_was_below() -> None:
    _, meter, watch, told = watched()
    today = date(2026, 11, 21)
    for wh in (4_500, 4_600, 0, 4_700):
        meter.rows[today] = (wh, 0, 0)
        watch.look()
    assert [(one[2], one[3]) for one in told] == [("0", "5500"), ("0", "5700")]


def test_it_looks_again_when_a_period_begins_and_so_when_a_day_does() -> None:
    clock, meter, watch, told = watched()
    meter.rows[date(2026, 11, 22)] = (0, 6_000, 0)
    watch.start()
    assert told == []
    clock.pass_on()
    assert datetime.fromtimestamp(clock.wall, UTC).hour == 16
    assert told == []
    clock.pass_on()
    assert datetime.fromtimestamp(clock.wall, UTC).day == 22
    assert [one[1:3] for one in told] == [("2026-11-22", "1")]
    clock.pass_on()
    assert len(told) == 1
