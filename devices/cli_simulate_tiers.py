"""`gossip-ws simulate --tiers` and `--grid`: a message through tiers, to rosters and among equals; a grid's demand."""

from __future__ import annotations

import time
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gossip_ws.devices.cli_output import Progress, laboratory, say_json
from gossip_ws.devices.cli_simulate_pull import demand, demand_object, say_demand
from gossip_ws.theory.tiers import Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gossip_ws.grid.population import Population
    from gossip_ws.lab.levels import Level
    from gossip_ws.lab.roster import Seconds
    from gossip_ws.lab.tiered import TierOutcomes
    from gossip_ws.lab.trial import Summary

_TOGETHER: Final = 10_000_000
_MOST: Final = 100


def simulate_tiers(
    *,
    tiers: Path | None,
    grid: str | None,
    fanout: int | None,
    rounds: int | None,
    loss: float,
    crashed: float,
    repeat: int | None,
    seed: int,
    pull: bool,
    as_json: bool,
) -> None:
    """One of `tiers` and `grid` is given. pull: pull a grid's demand too; the exit code is 1 if that is not exact.
    Raises LocalError."""
    with laboratory():
        from gossip_ws.lab.levels import levels
        from gossip_ws.lab.tiered import run_tiers, total
        from gossip_ws.lab.trial import summarise
    population = None
    if grid is not None:
        from gossip_ws.grid.population import load

        population = load(grid)
        made = _of_grid(population, fanout, rounds, loss, crashed)
    else:
        from gossip_ws.devices.tiers_file import load_tiers

        assert tiers is not None
        segments = load_tiers(tiers, loss=loss, crashed=crashed)
        made = levels(segments, [_budget(place, one.group, fanout, rounds) for place, one in enumerate(segments)])
    devices = sum(level.segment.nodes for level in made)
    if repeat is None:
        repeat = max(1, min(_MOST, _TOGETHER // devices))
    progress = Progress()
    pulled = None
    if pull and population is not None:
        progress.say(f"pulling the demand of {devices} devices")
        try:
            pulled = demand(population, loss, crashed, seed)
        finally:
            progress.clear()
    begin = time.perf_counter()
    try:
        found = run_tiers(made, repeat, seed, progress=lambda done: progress.say(f"{done} of {repeat} repetitions"))
    finally:
        progress.clear()
    seconds = time.perf_counter() - begin
    origins = len(made[0].sizes)
    parts = [(one, summarise(one.outcomes, seconds, 0 if place else origins)) for place, one in enumerate(found)]
    outcomes, times = total(found)
    whole = summarise(outcomes, seconds, origins)
    if as_json:
        record = whole.record() | {"time": _times(times), "seed": seed, "nodes": devices}
        if population is not None and pulled is not None:
            record["demand"] = demand_object(population, pulled)
        say_json({"tiers": [_object(one, summary) for one, summary in parts], **record})
    else:
        _say(parts, whole, times, repeat, seconds)
        if population is not None and pulled is not None:
            click.echo("")
            say_demand(population, pulled)
    if pulled is not None and not pulled.is_exact:
        click.get_current_context().exit(1)


def _say(
    parts: Sequence[tuple[TierOutcomes, Summary]], whole: Summary, times: Seconds, repeat: int, seconds: float
) -> None:
    click.echo(
        f"{'tier':10}{'devices':>10}{'groups':>8}{'fanout':>8}{'rounds':>8}{'coverage':>11}{'everyone':>10}"
        f"{'time to all':>22}"
    )
    for one, summary in parts:
        segment = one.level.segment
        click.echo(
            f"{segment.name:10.10}{segment.nodes:>10}{segment.groups:>8}{one.level.fanout:>8}{one.level.rounds:>8}"
            f"{_shares(summary)}{_span(one.seconds)}"
        )
    devices = sum(one.level.segment.nodes for one, _ in parts)
    click.echo(f"{'all':10}{devices:>10}{'':24}{_shares(whole)}{_span(times)}")
    click.echo(
        f"{whole.envelopes_per_delivery:.2f} envelopes a delivery, RMR {whole.rmr:.2f}; {repeat} repetitions in "
        f"{seconds:.2f} s"
    )


def _of_grid(
    population: Population, fanout: int | None, rounds: int | None, loss: float, crashed: float
) -> tuple[Level, ...]:
    from gossip_ws.lab.levels import of_population

    largest = max([1, *(len(substation.meters) for substation in population.substations)])
    budgets = [
        _budget(0, 1 + len(population.substations), fanout, rounds),
        _budget(1, largest, fanout, rounds),
        # An appliance has no equals that it would send to.
        (0, 0),
    ]
    return of_population(population, [Segment(name, 1, 1, loss, crashed) for name in ("WAN", "FAN", "HAN")], budgets)


def _budget(place: int, group: int, fanout: int | None, rounds: int | None) -> tuple[int, int]:
    """What is given, or the devices' own defaults for a group of equals: those of the top tier, or of one below, where
    parents serve as well."""
    from gossip_ws.core.config import FanoutTable
    from gossip_ws.kernel.terms import Tier
    from gossip_ws.theory.tables import FIELD_AREA, WIDE_AREA

    own = FanoutTable(FIELD_AREA if place else WIDE_AREA).budget(Tier.WAN, group)
    return own.fanout if fanout is None else fanout, own.rounds if rounds is None else rounds


def _object(one: TierOutcomes, summary: Summary) -> dict[str, Any]:
    segment = one.level.segment
    tier = {
        "name": segment.name,
        "nodes": segment.nodes,
        "groups": segment.groups,
        "fanout": one.level.fanout,
        "rounds": one.level.rounds,
        "loss": segment.loss,
        "crashed": segment.crashed,
        "delay": segment.delay,
        # JSON has no infinity.
        "bandwidth": segment.bandwidth if isfinite(segment.bandwidth) else None,
    }
    record = summary.record()
    del record["seconds"], record["repeat"]
    return {"tier": tier, **record, "time": _times(one.seconds)}


def _times(seconds: Seconds) -> dict[str, float]:
    """Simulated seconds until the last of those reached has it."""
    import numpy as np

    return {"median": float(np.median(seconds)), "p99": float(np.percentile(seconds, 99))}


def _shares(summary: Summary) -> str:
    return f"{summary.coverage.mean:>11.3%}{summary.all_reached:>10.2%}"


def _span(seconds: Seconds) -> str:
    times = _times(seconds)
    return f"{times['median']:>9.2f} s, p99 {times['p99']:.2f} s"
