"""`gossip-ws route`: route the demands of an instance file by link gradients, and say what that is worth."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from random import Random
from typing import Any

import click

from gossip_ws.devices.cli_output import Progress, as_json, say_json
from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.certificate import feasible
from gossip_ws.routing.instance import MOST_OCTETS, Instance, Kind, parse
from gossip_ws.routing.method import Reports
from gossip_ws.routing.peer import Start
from gossip_ws.routing.rumours import FANOUT
from gossip_ws.routing.run import ASYNC_MAX, Algorithm, Change, Outcome, Point, Terms, run

_BAD_ANSWER = 1
_FITS = {
    True: "yes, the demands fit what the links carry",
    False: "no routing fits the demands into what the links carry now",
    None: "not decided: nothing was found that fits, nor a proof that nothing does",
}
_CHANGE = re.compile(r"(\d{1,9})-(\d{1,9})@(\d{1,9})(?:=([0-9.eE+-]{1,30}))?")


@click.command(epilog="Example: gossip-ws route docs/examples/ring.json --ticks 60 --json")
@click.argument("instance", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--algorithm",
    type=click.Choice([one.value for one in Algorithm]),
    default=Algorithm.DAP.value,
    show_default=True,
    help="Who moves the flows, and how.",
)
@click.option(
    "--async-max",
    type=int,
    help=f"Most ticks that a node waits; 0: none do.  [default: {ASYNC_MAX}; by gossip 0]",
)
@click.option("--loss", type=float, default=0.1, show_default=True, help="Probability that a signal is lost.")
@click.option("--ticks", type=int, default=100, show_default=True, help="How long to run.")
@click.option(
    "--start",
    type=click.Choice([one.value for one in Start]),
    default=Start.MINIMUM_HOP.value,
    show_default=True,
    help="All on the shortest paths, or even on up to five.",
)
@click.option(
    "--reports",
    type=click.Choice([one.value for one in Reports]),
    default=Reports.ASK.value,
    show_default=True,
    help="DAP's nodes ask when they wake, or tell; gossip: as devices do.",
)
@click.option("--fanout", type=int, default=FANOUT, show_default=True, help="By gossip: others told in a tick.")
@click.option(
    "--lag", type=float, default=0.0, show_default=True, help="By gossip: ticks that a message takes at most."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the waits and the losses.")
@click.option("--fail", "fails", multiple=True, metavar="U-V@TICK", help="The link from U to V fails at this tick.")
@click.option(
    "--change", "changes", multiple=True, metavar="U-V@TICK=KB", help="The link has this capacity from this tick on."
)
@as_json
def route(
    instance: Path,
    algorithm: str,
    async_max: int | None,
    loss: float,
    ticks: int,
    start: str,
    reports: str,
    fanout: int,
    lag: float,
    seed: int,
    fails: tuple[str, ...],
    changes: tuple[str, ...],
    as_json: bool,
) -> int:
    """Route the demands of INSTANCE, a JSON file (docs/routing.md); - reads standard input.

    Says the cost, how far it can be from the optimum at most (gap), and what no routing can undercut (lower bound).
    Exit 1 if the flows at the end cannot be used: a link carries more than its capacity (a bandwidth cost: more than
    one per cent more), or what arrives is not what was demanded.
    """
    terms = Terms(
        Algorithm(algorithm),
        async_max,
        loss,
        ticks,
        Start(start),
        tuple([_change(one, "--fail") for one in fails] + [_change(one, "--change") for one in changes]),
        Reports(reports),
        fanout,
        lag=lag,
    )
    problem = _read(instance)
    fits = feasible(problem)
    if fits is False:
        raise LocalError(f"{instance}: infeasible: no routing fits the demands into the capacities")
    progress = Progress()
    outcome = run(problem, terms, Random(seed), lambda done: progress.say(f"tick {done} of {ticks}"))
    if outcome.fits is not None:
        fits = outcome.fits
    elif outcome.instance != problem:
        fits = feasible(outcome.instance)
    progress.clear()
    if as_json:
        say_json(_object(terms, seed, outcome, fits))
    else:
        _say(outcome, fits)
    return 0 if outcome.usable else _BAD_ANSWER


def _read(file: Path) -> Instance:
    try:
        if str(file) == "-":
            text = sys.stdin.buffer.read(MOST_OCTETS + 1)
        else:
            with file.open("rb") as stream:
                text = stream.read(MOST_OCTETS + 1)
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}") from None
    try:
        return parse(text)
    except LocalError as error:
        raise LocalError(f"{file}: {error}") from None


def _change(text: str, option: str) -> Change:
    found = _CHANGE.fullmatch(text)
    if found is None or (found[4] is None) != (option == "--fail"):
        raise LocalError(f"{option} is {'U-V@TICK' if option == '--fail' else 'U-V@TICK=KB'}, not {text!r}")
    try:
        capacity = float(found[4] or 0.0)
    except ValueError:
        raise LocalError(f"{option}: no number of kb: {found[4]!r}") from None
    return Change((int(found[1]), int(found[2])), int(found[3]), capacity)


def _object(terms: Terms, seed: int, outcome: Outcome, fits: bool | None) -> dict[str, Any]:
    last = outcome.last
    problem = outcome.instance
    told: dict[str, Any] = {
        "name": problem.name,
        "kind": problem.kind.value,
        "algorithm": terms.algorithm.value,
        "seed": seed,
        "cost": last.certificate.cost,
        "gap": last.certificate.gap,
        "lower_bound": last.certificate.lower_bound,
        "max_utilisation": last.certificate.max_utilisation,
        "usable": outcome.usable,
        "feasible": fits,
        "overload": last.certificate.overload,
        "imbalance": last.imbalance,
        "messages": outcome.messages,
    }
    if problem.kind is Kind.LP:
        told["bandwidth_cost"] = last.certificate.cost
    told["flows"] = [[list(path), kb] for path, kb in sorted(outcome.flows.items())]
    told["trace"] = [_point(point) for point in outcome.trace]
    return told


def _point(point: Point) -> dict[str, Any]:
    return {
        "tick": point.tick,
        "cost": point.certificate.cost,
        "gap": point.certificate.gap,
        "max_utilisation": point.certificate.max_utilisation,
        "overload": point.certificate.overload,
    }


def _say(outcome: Outcome, fits: bool | None) -> None:
    last = outcome.last
    problem = outcome.instance
    worth = last.certificate
    what = "bandwidth cost" if problem.kind is Kind.LP else "delay cost"
    first = outcome.trace[0].certificate.cost
    click.echo(f"{what:16}{worth.cost:.4f} at tick {last.tick}, {first:.4f} at the start")
    share = worth.gap / worth.cost if worth.cost else 0.0
    click.echo(f"{'gap':16}{worth.gap:.4g} ({share:.2%}): no routing costs less than {worth.lower_bound:.4f}")
    click.echo(f"{'utilisation':16}{worth.max_utilisation:.1%} on the fullest link")
    click.echo(f"{'messages':16}{outcome.messages:.2f} reports a node and tick")
    if last.imbalance > 1e-9 * problem.demand:
        click.echo(f"{'imbalance':16}{last.imbalance:.4g} kb of {problem.demand:.4g} missing or too much")
    click.echo(f"{'feasible':16}{_FITS[fits]}")
    for path, kb in sorted(outcome.flows.items()):
        click.echo(f"{kb:12.4f} kb  {' - '.join(str(node) for node in path)}")
