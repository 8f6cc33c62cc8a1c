"""What a device's file says of the energy that it uses and measures: the tables demand, measured and task.

Opens no socket, and keeps no state; reads a grid's profiles where the file names one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from gossip_ws.core.peers import Role
from gossip_ws.devices.toml import Table
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.tariff import DAY, PERIOD, PERIODS
from gossip_ws.grid.tasks import Periods, Task, tasks_of
from gossip_ws.kernel.errors import LocalError

T = TypeVar("T")

DEFAULT_GRID: Final = "1-LV-rural1--2-sw"
DEFAULT_DAY: Final = "2016-01-18"
STATION: Final = "station"
"""The category of what uses nothing worth announcing."""
MAX_ENERGY: Final = 1_000_000_000
"""Wh of one period, as the Metering service has it."""
_MAX_TASKS: Final = 64


@dataclass(frozen=True, slots=True)
class Energy:
    """What a device uses and measures. `tasks` are those of every day; `voltage` in V, `phase_angle` in degrees,
    `power` in W. `limit`: Wh of one period above which it raises an alarm; None, never."""

    category: str = STATION
    tasks: tuple[Task, ...] = ()
    voltage: float = 0.0
    phase_angle: float = 0.0
    power: float = 0.0
    limit: int | None = None


def read_energy(top: Table, role: Role) -> Energy:
    """The tables demand, measured and task, and the category. Raises LocalError, as `load_config` does."""
    given = top.tables("task")
    if len(given) > _MAX_TASKS:
        top.fail("task", f"more than {_MAX_TASKS} tasks")
    tasks = tuple(map(_task, given))
    limit, kind, demand = _demand(top, role)
    tasks += demand
    measured = top.table("measured") or Table({}, top.file, "measured.")
    default = kind.value if kind is not None else tasks[0].kind.value if tasks else STATION
    energy = Energy(
        category=top.text("category", default),
        tasks=tasks,
        voltage=measured.number("voltage", 0.0, least=0.0, most=500_000.0),
        phase_angle=measured.number("phase_angle", 0.0, least=-180.0, most=180.0),
        power=measured.number("power", 0.0, least=-1e9, most=1e9),
        limit=limit,
    )
    measured.end()
    if len(energy.category) > 32:
        top.fail("category", "at most 32 characters")
    return energy


def _demand(top: Table, role: Role) -> tuple[int | None, Kind | None, tuple[Task, ...]]:
    table = top.table("demand")
    if table is None:
        return None, None, ()
    limit = table.integer("limit_wh", most=MAX_ENERGY) if "limit_wh" in table else None
    kind = table.read("kind", Kind) or (Kind.HOUSEHOLD if role is Role.METER else Kind.HEAT_PUMP)
    power = table.integer("power_w", 3_000, least=1, most=MAX_ENERGY)
    if "profile" in table:
        energy = _profile(table, power)
    else:
        first, second, third = table.integers("energy_wh", 3, most=MAX_ENERGY)
        energy = (first, second, third)
    table.end()
    return limit, kind, _with(table, lambda: tasks_of(kind, energy, power))


def _profile(table: Table, power: int) -> Periods:
    # A grid's data take some MiB to read: a device whose energy is given does without.
    from gossip_ws.grid.population import load

    name, day = table.text("profile"), table.text("profile_day", DEFAULT_DAY)
    code = table.text("grid", DEFAULT_GRID)
    return _with(table, lambda: load(code).profiles.energy(name, day, power))


def _task(table: Table) -> Task:
    kind = table.read("kind", Kind) or Kind.HOUSEHOLD
    energy = table.integer("energy_wh", most=MAX_ENERGY)
    duration = table.integer("duration_s", least=1, most=86_400)
    ready = table.read("ready", minute_of_day) or 0
    finish_by = table.read("finish_by", minute_of_day)
    starts = table.read("starts", minute_of_day)
    table.end()

    def make() -> Task:
        window = (ready, DAY if finish_by is None else finish_by)
        begin = ready if starts is None else starts
        minutes = -(-duration // 60)
        if not window[0] <= begin or begin + minutes > window[1]:
            raise LocalError(f"{duration} s from minute {begin} on are not between minute {window[0]} and {window[1]}")
        # Held anywhere in the window first: `run` then says what the usual start makes of it.
        period = ready // PERIOD
        anywhere = Task(kind, energy, duration, _only(period, energy), *window)
        return Task(kind, energy, duration, anywhere.run(begin), *window)

    return _with(table, make)


def minute_of_day(value: str) -> int:
    """`HH:MM`, 00:00 to 24:00, as minutes after midnight. Raises LocalError."""
    hours, colon, minutes = value.partition(":")
    if not (colon and len(hours) == len(minutes) == 2 and (hours + minutes).isascii() and (hours + minutes).isdigit()):
        raise LocalError(f"not a time of day HH:MM: {value!r}")
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > DAY:
        raise LocalError(f"not a time of day from 00:00 to 24:00: {value!r}")
    return minute


def _only(period: int, wh: int) -> Periods:
    first, second, third = (wh if number == period else 0 for number in range(PERIODS))
    return first, second, third


def _with(table: Table, make: Callable[[], T]) -> T:
    try:
        return make()
    except LocalError as error:
        raise LocalError(f"{table.where}: {error}") from None
