"""A schedule as text, to be read and to be played again: how a failing one is kept.

One line a fact, `#` begins a remark: the seed, the shape, the weather, then the acts in their order, each with its
time. A cut names the devices on one side. The numbers of a grid's devices are those of `swarms.grid`: the information
system is 0, then each substation, each of its meters, each of their appliances.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from schedules import Act, Schedule

from gossip_ws.kernel.terms import Variant
from gossip_ws.sim.world import Weather

KEPT = Path(__file__).parent / "kept"


def written(schedule: Schedule, why: str = "") -> str:
    """The text of it, `why` as remarks before it."""
    weather = " ".join(f"{one.name}={getattr(schedule.weather, one.name):g}" for one in fields(Weather))
    lines = [f"# {line}" for line in why.splitlines()]
    lines += [f"seed {schedule.seed}", f"shape {' '.join(map(str, schedule.shape))}", f"weather {weather}"]
    lines += ["tight"] if schedule.tight else []
    return "\n".join([*lines, *map(_act, schedule.acts)]) + "\n"


def read(text: str) -> Schedule:
    """What `written` wrote. Raises ValueError for anything else."""
    schedule = Schedule(0, (), Weather(), (), tight=False)
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        match words:
            case []:
                pass
            case ["seed", number]:
                schedule = replace(schedule, seed=int(number))
            case ["shape", *numbers]:
                schedule = replace(schedule, shape=tuple(map(int, numbers)))
            case ["weather", *values]:
                given = {name: float(value) for name, _, value in (one.partition("=") for one in values)}
                schedule = replace(schedule, weather=Weather(**given))
            case ["tight"]:
                schedule = replace(schedule, tight=True)
            case [at, kind, *rest]:
                schedule = replace(schedule, acts=(*schedule.acts, _read_act(float(at), kind, rest)))
            case _:
                raise ValueError(f"not a line of a schedule: {line}")
    return schedule


def shortened(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """With as few acts, and in as fair a weather, as still fail."""
    for fairer in ({"weather": Weather()}, {"tight": False}):
        simpler = replace(schedule, **fairer)
        if simpler != schedule and fails(simpler):
            schedule = simpler
    at = 0
    while at < len(schedule.acts):
        fewer = replace(schedule, acts=schedule.acts[:at] + schedule.acts[at + 1 :])
        if fails(fewer):
            schedule = fewer
        else:
            at += 1
    return schedule


def keep(schedule: Schedule, wrong: list[str], name: str) -> Path:
    """Write it to where a test plays it again."""
    KEPT.mkdir(exist_ok=True)
    file = KEPT / f"{name}.txt"
    file.write_text(written(schedule, "\n".join(dict.fromkeys(wrong))))
    return file


def _act(act: Act) -> str:
    line = f"{act.at:.3f} {act.kind}"
    if act.kind == "heal":
        return line
    if act.kind == "cut":
        inside = [str(k) for k in range(act.mask.bit_length()) if act.mask >> k & 1]
        return " ".join([line, *inside])
    how = {"push": act.variant.value, "replace": act.variant.value, "pull": act.filter}.get(act.kind)
    return f"{line} {act.device}" + (f" {how}" if how else "")


def _read_act(at: float, kind: str, rest: list[str]) -> Act:
    match kind, rest:
        case "heal", []:
            return Act(at, kind)
        case "cut", inside:
            return Act(at, kind, mask=sum(1 << int(k) for k in inside))
        case (("push" | "replace"), [device, variant]):
            return Act(at, kind, int(device), Variant(variant))
        case ("pull", [device, chosen]):
            return Act(at, kind, int(device), filter=chosen)
        case (("crash" | "restart"), [device]):
            return Act(at, kind, int(device))
        case _:
            raise ValueError(f"not an act: {at} {kind} {' '.join(rest)}")
