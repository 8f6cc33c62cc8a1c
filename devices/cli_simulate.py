"""`gossip-ws simulate`: a message among any number of devices, many times over."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from gossip_ws.devices.cli_output import Progress, as_json, laboratory, say_json
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Variant

if TYPE_CHECKING:
    from gossip_ws.lab.sweep import Sweep, Value
    from gossip_ws.lab.trial import Outcomes, Summary, Trial

_TOGETHER: Final = 10_000_000
_TOGETHER_CORE: Final = 10_000
_MOST: Final = 1_000


@click.command(
    "simulate",
    epilog="""\b
Example:
  gossip-ws simulate --nodes 10000 --fanout 7 --rounds 12 --loss 0.1 --repeat 100
  gossip-ws simulate --nodes 10000 --sweep fanout=2:16 --sweep loss=0:0.4:0.05 --output sweep.csv --plot sweep.png
  gossip-ws simulate --nodes 1000 --loss 0.1 --variant adaptive --engine core --repeat 3
  gossip-ws simulate --grid 1-LV-rural1--2-sw --loss 0.1 --crashed 0.05
""",
)
@click.option("--nodes", type=int, help="Devices, the origin among them.")
@click.option(
    "--tiers", type=click.Path(path_type=Path), help="Instead: a TOML file of tiers, one below the other (eager push)."
)
@click.option("--grid", help="Instead: the tiers of a grid, by its code or its file (eager push).")
@click.option(
    "--fanout",
    type=int,
    help="Others that a device sends to; without, for everyone with probability 0.999. A pull asks one a round.",
)
@click.option("--rounds", type=int, help="Hops at most, or periods of a pull; without, ample.")
@click.option("--loss", type=float, default=0.0, help="Probability that a datagram is lost.")
@click.option("--crashed", type=float, default=0.0, help="Share of the devices that are off.")
@click.option(
    "--variant",
    type=click.Choice([variant.value for variant in Variant]),
    default=Variant.EAGER_PUSH.value,
    help="How the message spreads (default: eager-push).",
)
@click.option(
    "--repeat",
    type=int,
    help=f"Repetitions; without, {_MOST}, or so many that their devices together are {_TOGETHER}.",
)
@click.option(
    "--engine",
    type=click.Choice(["population", "core"]),
    default="population",
    help="What simulates: draws for all devices at once, or the real core, frame by frame, for tens of thousands.",
)
@click.option(
    "--codec",
    type=click.Choice(["objects", "xml"]),
    help="Of the real core: what travels (default: objects); xml is slower, and all that is on the wire.",
)
@click.option("--seed", type=int, default=1, help="The same gives the same (default: 1).")
@click.option(
    "--sweep",
    "axes",
    multiple=True,
    help="NAME=FROM:TO, NAME=FROM:TO:STEP or NAME=VALUE,VALUE of an option above; several: their product.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Of a sweep: a table (CSV). While it runs, FILE.part has what is done: a stopped sweep goes on from there.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Of a sweep of one or two names: a picture, PNG or SVG.")
@click.option("--scheduler", default="", help="Of a sweep: a Dask scheduler's address; without, all cores here.")
@click.option(
    "--pull/--no-pull",
    default=True,
    help="Of a grid: also pull its demand through the real devices, 2 ms for each (default: do).",
)
@as_json
def simulate(
    nodes: int | None,
    tiers: Path | None,
    grid: str | None,
    fanout: int | None,
    rounds: int | None,
    loss: float,
    crashed: float,
    variant: str,
    repeat: int | None,
    engine: str,
    codec: str | None,
    seed: int,
    axes: tuple[str, ...],
    output: Path | None,
    plot: Path | None,
    scheduler: str,
    pull: bool,
    as_json: bool,
) -> None:
    """Simulate how a message spreads among devices that know one another, drawn with NumPy: a million in a moment; or
    with the real core, in all its variants.

    Needs the laboratory: pip install 'gossip-ws[lab]'.
    """
    if [nodes, tiers, grid].count(None) < 2:
        raise LocalError("one of --nodes, --tiers and --grid says what is simulated")
    if not axes and (output is not None or plot is not None or scheduler):
        raise LocalError("--output, --plot and --scheduler go with --sweep")
    if tiers is not None or grid is not None:
        from gossip_ws.devices.cli_simulate_tiers import simulate_tiers

        if axes:
            raise LocalError("--sweep goes with --nodes")
        if engine != "population":
            raise LocalError(f"--engine {engine} goes with --nodes")
        if variant != Variant.EAGER_PUSH.value:
            raise LocalError(f"--variant {variant}: tiers are simulated with an eager push")
        simulate_tiers(
            tiers=tiers,
            grid=grid,
            fanout=fanout,
            rounds=rounds,
            loss=loss,
            crashed=crashed,
            repeat=repeat,
            seed=seed,
            pull=pull,
            as_json=as_json,
        )
        return
    with laboratory():
        run, together = _engine(engine, codec)
        from gossip_ws.lab.sweep import trial_of
        from gossip_ws.lab.trial import summarise
    given = {
        "nodes": nodes,
        "fanout": fanout,
        "rounds": rounds,
        "loss": loss,
        "crashed": crashed,
        "variant": Variant(variant),
    }
    if axes:
        with laboratory():
            from gossip_ws.devices.cli_sweep import sweep
        task = _sweep(axes, given, engine, repeat, together, seed)
        sweep(task, run, output=output, plot=plot, scheduler=scheduler, as_json=as_json)
        return
    if nodes is None:
        raise LocalError("--nodes, --tiers or --grid is missing")
    trial = trial_of({name: value for name, value in given.items() if value is not None})
    if repeat is None:
        repeat = _repeat(trial.nodes, together)
    progress = Progress()
    begin = time.perf_counter()
    try:
        outcomes = run(trial, repeat, seed, lambda done: progress.say(f"{done} of {repeat} repetitions"))
    finally:
        progress.clear()
    summary = summarise(outcomes, time.perf_counter() - begin)
    if as_json:
        say_json({"trial": asdict(trial), "engine": engine, "seed": seed, **summary.record()})
    else:
        _say(trial, summary)


def _engine(engine: str, codec: str | None) -> tuple[Callable[..., Outcomes], int]:
    """What simulates, and how many devices, those of all repetitions together, it does in a moment. Raises
    LocalError."""
    if engine == "core":
        from gossip_ws.lab import worlds

        chosen = worlds.Codecs(codec or "objects")
        return partial(worlds.run, codec=chosen), _TOGETHER_CORE
    if codec is not None:
        raise LocalError("--codec goes with --engine core")
    from gossip_ws.lab.engine import run

    return run, _TOGETHER


def _sweep(
    axes: Sequence[str],
    given: Mapping[str, Value | None],
    engine: str,
    repeat: int | None,
    together: int,
    seed: int,
) -> Sweep:
    """What is swept, and what is given beside it. Raises LocalError."""
    from gossip_ws.lab.sweep import Sweep, parse

    swept = {axis.name: axis for axis in map(parse, axes)}
    if len(swept) < len(axes):
        raise LocalError("--sweep: a name is swept twice")
    context = click.get_current_context()
    for name in swept:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise LocalError(f"--sweep: {name} is swept and given as well")
    fixed = {name: value for name, value in given.items() if value is not None and name not in swept}
    if "nodes" not in swept and "nodes" not in fixed:
        raise LocalError("--nodes is missing")
    if repeat is None:
        repeat = _repeat(
            max(int(value) for value in (swept["nodes"].values if "nodes" in swept else (fixed["nodes"],))), together
        )
    task = Sweep(tuple(swept.values()), fixed, engine, repeat, seed)
    if engine == "core":
        from gossip_ws.lab.worlds import check

        for point in task.points:
            check(point.trial)
    return task


def _repeat(nodes: int, together: int) -> int:
    """Repetitions where none are asked for, so many that they take a moment."""
    return max(1, min(_MOST, together // max(nodes, 1)))


def _say(trial: Trial, summary: Summary) -> None:
    coverage = summary.coverage
    click.echo(
        f"{trial.nodes} devices, {trial.live} live: {trial.variant}, fanout {trial.fanout}, {trial.rounds} rounds, "
        f"loss {trial.loss:g}"
    )
    rows = (
        ("coverage", f"{coverage.mean:.4%} in the mean, {coverage.p1:.4%} p1, {coverage.minimum:.4%} least"),
        ("everyone reached", f"{summary.all_reached:.2%} of {summary.repeat} repetitions"),
        ("rounds", f"{summary.rounds.median:g} in the median, {summary.rounds.p99:g} p99"),
        ("envelopes", f"{summary.envelopes_per_delivery:.2f} a delivery"),
        ("redundancy", f"{summary.rmr:.2f} payloads too many a delivery (RMR)"),
        ("time", f"{summary.seconds:.2f} s"),
    )
    for name, told in rows:
        click.echo(f"{name:18}{told}")
