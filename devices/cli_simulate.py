"""`gossip-ws simulate`: a message among any number of devices, many times over."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

from gossip_ws.devices.cli_output import Progress, as_json, laboratory, say_json
from gossip_ws.kernel.terms import Variant

if TYPE_CHECKING:
    from gossip_ws.lab.trial import Summary, Trial

_TARGET: Final = 0.999
"""Probability that everyone is reached for which a fanout is chosen where none is given."""
_TOGETHER: Final = 10_000_000
_MOST: Final = 1_000
_PULLS: Final = (Variant.EAGER_PULL, Variant.LAZY_PULL)
_AMPLE: Final = 1_000
"""Periods of a pull, which ends by itself when everyone has the message."""


@click.command(
    "simulate",
    epilog="""\b
Example:
  gossip-ws simulate --nodes 10000 --fanout 7 --rounds 12 --loss 0.1 --repeat 100
""",
)
@click.option("--nodes", type=int, required=True, help="Devices, the origin among them.")
@click.option(
    "--fanout",
    type=int,
    help=f"Others that a device sends to; without, for everyone with probability {_TARGET}. A pull asks one a round.",
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
@click.option("--seed", type=int, default=1, help="The same gives the same (default: 1).")
@as_json
def simulate(
    nodes: int,
    fanout: int | None,
    rounds: int | None,
    loss: float,
    crashed: float,
    variant: str,
    repeat: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Simulate how a message spreads among devices that know one another, drawn with NumPy: a million in a moment.

    Needs the laboratory: pip install 'gossip-ws[lab]'.
    """
    with laboratory():
        from gossip_ws.lab.engine import run
        from gossip_ws.lab.trial import summarise
    trial = _trial(nodes, fanout, rounds, loss, crashed, Variant(variant))
    if repeat is None:
        repeat = max(1, min(_MOST, _TOGETHER // nodes))
    progress = Progress()
    begin = time.perf_counter()
    try:
        outcomes = run(trial, repeat, seed, lambda done: progress.say(f"{done} of {repeat} repetitions"))
    finally:
        progress.clear()
    summary = summarise(outcomes, time.perf_counter() - begin)
    if as_json:
        say_json({"trial": asdict(trial), "seed": seed, **summary.record()})
    else:
        _say(trial, summary)


def _trial(nodes: int, fanout: int | None, rounds: int | None, loss: float, crashed: float, variant: Variant) -> Trial:
    """The trial, with the planner's fanout and rounds where none are given. Raises LocalError."""
    from gossip_ws.lab.trial import MOST_ROUNDS, Trial
    from gossip_ws.theory import planner

    # Whatever is out of bounds is refused before anything is planned with it.
    Trial(nodes, 0, 0, loss, crashed)
    if fanout is None:
        fanout = min(1, nodes - 1) if variant in _PULLS else planner.fanout_for_all(nodes, loss, crashed, _TARGET)
    if rounds is None and variant in _PULLS:
        rounds = _AMPLE
    elif rounds is None:
        Trial(nodes, fanout, 0)
        rounds = min(planner.rounds_for(nodes, fanout, loss, crashed), MOST_ROUNDS)
    return Trial(nodes, fanout, rounds, loss, crashed, variant)


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
