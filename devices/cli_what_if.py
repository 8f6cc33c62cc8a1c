"""`gossip-ws what-if`: what a tariff would make of a grid's day, before anybody is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from gossip_ws.devices import cli_output as output
from gossip_ws.devices.tariff_file import read_price, read_tariff
from gossip_ws.grid.population import Population, choose, load
from gossip_ws.grid.tariff import PERIOD, PERIODS, Band, Prices, Tariff
from gossip_ws.grid.what_if import GRID, SAMPLE_DAY, Demand, Peak, Shift, WhatIf, what_if
from gossip_ws.kernel.errors import LocalError

_HOURS: Final = tuple(f"{8 * period:02}-{8 * period + 8:02}" for period in range(PERIODS))


@click.command(
    "what-if",
    epilog="""\b
Example:
  gossip-ws what-if --prices 0.12,0.30,0.38
  gossip-ws what-if --grid 1-LV-rural1--2-sw --tariff night.json --start random --plot night.png
  gossip-ws what-if --prices 0.12,0.30,0.38 --json | jq .rebound
""",
)
@click.option("--grid", default=GRID, show_default=True, help="A shipped grid's code, or an imported file.")
@click.option("--tariff", "file", type=click.Path(path_type=Path), help="A tariff in JSON, as push-tariff takes it.")
@click.option("--prices", help="Instead: of 00-08, 08-16 and 16-24 h for one kWh, like 0.12,0.30,0.38.")
@click.option("--day", default=SAMPLE_DAY, show_default=True, help="The day whose profiles are taken.")
@click.option(
    "--start",
    type=click.Choice(["together", "random"]),
    default="together",
    show_default=True,
    help="When a task that moves begins: in the first of its cheapest minutes, or in any of them.",
)
@click.option("--meters", type=click.IntRange(1), help="So many of the grid's meters, as the city draws them; all.")
@click.option("--seed", type=int, default=1, show_default=True, help="How devices differ, and the random starts.")
@click.option("--plot", type=click.Path(path_type=Path), help="Also a picture, PNG or SVG; needs the laboratory.")
@output.as_json
def what_if_(
    grid: str,
    file: Path | None,
    prices: str | None,
    day: str,
    start: str,
    meters: int | None,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Move the tasks of a whole grid to where a tariff makes them cheapest; tell demand, cost and peaks.

    Every appliance plans as it does in the field: within the time by which its task has to be done, in whole periods
    of 8 hours, and only if it gains. Tells how high the load rises again when all of them begin at once, and when they
    begin at random.
    """
    tariff = _tariff(file, prices)
    if plot is not None:
        with output.laboratory():
            from gossip_ws.lab import drawing, tariff_picture
        drawing.check(plot)
    population = load(grid)
    if meters is not None:
        population = choose(population, meters, seed)
    found = what_if(population, day, tariff, seed)
    if plot is not None:
        drawing.save(tariff_picture.draw([found], tariff, tariff_picture.caption(population, day, seed)), plot)
    if as_json:
        output.say_json(_object(population, day, tariff, start, seed, found))
    else:
        _say(population, day, tariff, start, found)


def _tariff(file: Path | None, written: str | None) -> Prices:
    """Raises LocalError."""
    if (file is None) is (written is None):
        raise LocalError("a tariff is a --tariff FILE or --prices, one of them")
    if file is not None:
        read = read_tariff(file)
        try:
            return read.tariff().prices()
        except LocalError as error:
            raise LocalError(f"{file}: {error}") from None
    parts = (written or "").split(",")
    if len(parts) != PERIODS:
        raise LocalError(f"--prices: one for each of the {PERIODS} periods {', '.join(_HOURS)}: {written!r}")
    bands = (
        Band(PERIOD * period, PERIOD * (period + 1), read_price("--prices", part.strip()))
        for period, part in enumerate(parts)
    )
    return Tariff("prices", 1, 0.0, 1.0, tuple(bands)).prices()


def _shift(found: WhatIf, start: str) -> Shift:
    return found.random if start == "random" else found.together


def _object(population: Population, day: str, prices: Prices, start: str, seed: int, found: WhatIf) -> dict[str, Any]:
    after = _shift(found, start)
    counts = population.counts()
    return {
        "grid": population.code,
        "day": day,
        "seed": seed,
        "start": start,
        "devices": {"IS": 1, "SSC": counts.substations, "SM": counts.meters, "IED": counts.appliances},
        "periods": _HOURS,
        "prices": [f"{price:f}" for price in prices],
        "before": _demand_object(found.before),
        "after": {**_demand_object(after.demand), "moved_wh": after.moved, "moving_tasks": after.moving},
        "rebound": {
            name: {"peak": _peak_object(shift.demand.peak), "rebound": _peak_object(shift.rebound)}
            for name, shift in (("together", found.together), ("random", found.random))
        },
        "kinds": {
            kind.value: {
                "tasks": share.tasks,
                "moving_tasks": share.moving,
                "before_wh": share.before,
                "after_wh": share.after,
                "moved_wh": share.moved,
            }
            for kind, share in after.kinds.items()
        },
        "quarters_w": {
            name: [round(watts) for watts in demand.watts]
            for name, demand in (
                ("before", found.before),
                ("together", found.together.demand),
                ("random", found.random.demand),
            )
        },
    }


def _demand_object(demand: Demand) -> dict[str, Any]:
    return {
        "demand_wh": demand.periods,
        "total_wh": sum(demand.periods),
        "cost": float(round(demand.cost, 4)),
        "peak": _peak_object(demand.peak),
    }


def _peak_object(peak: Peak | None) -> dict[str, Any] | None:
    return {"w": round(peak.watts), "at": _clock(peak.quarter)} if peak is not None else None


def _say(population: Population, day: str, prices: Prices, start: str, found: WhatIf) -> None:
    counts, after = population.counts(), _shift(found, start)
    tasks = sum(share.tasks for share in after.kinds.values())
    total = sum(found.before.periods)
    lines = [
        f"grid       {population.code}, {day}: {counts.meters} SM, {counts.appliances} IED, {tasks} tasks",
        "",
        f"{'demand Wh':11}{'price':>10}{'before':>16}{'after':>16}{'shift':>16}",
        *(
            f"{hours + ' h':11}{price:>10.4f}{was:>16,}{now:>16,}{now - was:>+16,}"
            for hours, price, was, now in zip(_HOURS, prices, found.before.periods, after.demand.periods, strict=True)
        ),
        f"{'all day':11}{'':10}{total:>16,}{sum(after.demand.periods):>16,}",
        "",
        f"moved      {after.moved:,} Wh ({after.moved / (total or 1):.1%}), by {after.moving} tasks",
        *(
            f"           {kind.value}: {share.moved:,} Wh, {share.moving} of {share.tasks} tasks"
            for kind, share in after.kinds.items()
        ),
        f"cost       {found.before.cost:,.2f} before, {after.demand.cost:,.2f} after, at the prices above",
        "",
        f"peak       {_peak(found.before.peak)} before",
        *(
            f"           {_peak(shift.demand.peak)} after, {words}; where it rises: {_peak(shift.rebound)}"
            for words, shift in (("all at once", found.together), ("at random", found.random))
        ),
    ]
    click.echo("\n".join(lines))


def _peak(peak: Peak | None) -> str:
    return f"{peak.watts / 1000:,.1f} kW at {_clock(peak.quarter)}" if peak is not None else "nowhere"


def _clock(quarter: int) -> str:
    return f"{quarter // 4:02}:{quarter % 4 * 15:02}"
