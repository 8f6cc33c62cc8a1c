"""`gossip-ws plan`: which fanout and how many rounds, what they promise and what they cost."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gossip_ws.devices.cli_output import Progress, as_json, laboratory, say_json
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Variant

if TYPE_CHECKING:
    from gossip_ws.lab.promise import Measured
    from gossip_ws.theory.plans import Node, Plan, TierPlan
    from gossip_ws.theory.tiers import Segment

_ROW: Final = "{:12} {:>9} {:>9} {:>6} {:>6} {:>11} {:>10} {:>9} {:>9} {:>8}"


@click.command(
    "plan",
    epilog="""\b
Example:
  gossip-ws plan --nodes 1000 --loss 0.1 --crashed 0.2 --target 0.999
  gossip-ws plan --tiers town.toml --target 0.99 --verify
\b
A file of tiers, from the top down:
  [[tier]]
  name = "FAN"           # of devices among whom a message spreads
  nodes = 54000          # in all groups together
  groups = 900           # each below one device of the tier above
  loss = 0.1             # of datagrams
  crashed = 0.05         # share of the devices that are off
  delay = 0.05           # seconds, one way
  bandwidth = 128000     # bit/s
""",
)
@click.option("--nodes", type=int, help="Devices, the origin among them; or --tiers.")
@click.option("--tiers", "file", type=click.Path(path_type=Path), help="A TOML file of tiers.")
@click.option("--loss", type=float, default=0.0, help="Probability that a datagram is lost; of tiers that say none.")
@click.option("--crashed", type=float, default=0.0, help="Share of the devices that are off; of tiers that say none.")
@click.option("--target", type=float, default=0.999, help="Probability that every live device is reached (0.999).")
@click.option(
    "--variant",
    type=click.Choice([variant.value for variant in Variant]),
    default=Variant.EAGER_PUSH.value,
    help="How the message spreads (eager-push).",
)
@click.option("--verify", is_flag=True, help="Simulate the plan; exit 1 if the promise lies outside what is found.")
@click.option("--repeat", type=click.IntRange(1, 1_000_000), help="Repetitions; with --verify.")
@click.option("--seed", type=click.IntRange(min=0), default=1, help="Of --verify: the same gives the same (1).")
@as_json
def plan(
    nodes: int | None,
    file: Path | None,
    loss: float,
    crashed: float,
    target: float,
    variant: str,
    verify: bool,
    repeat: int | None,
    seed: int,
    as_json: bool,
) -> int:
    """Plan a push: the least fanout, and the rounds, with which every live device is reached with probability TARGET.

    It is found by formula, before anything is rolled out; --verify needs the laboratory: pip install 'gossip-ws[lab]'.
    """
    from gossip_ws.theory.plans import plan as plan_of

    if repeat is not None and not verify:
        raise LocalError("--repeat goes with --verify")
    segments = _segments(nodes, file, loss, crashed)
    found = plan_of(segments, target, Variant(variant), _node())
    measured = _measured(found, repeat, seed) if verify else ()
    if as_json:
        say_json(_record(found, measured))
    else:
        _say(found, measured)
    return 0 if all(one.holds for one in measured) else 1


def _segments(nodes: int | None, file: Path | None, loss: float, crashed: float) -> tuple[Segment, ...]:
    from gossip_ws.devices.tiers_file import load_tiers
    from gossip_ws.theory.tiers import Segment

    if (nodes is None) == (file is None):
        raise LocalError("one of --nodes and --tiers")
    if not 0 <= loss < 1:
        raise LocalError(f"--loss lies in [0, 1), not {loss:g}: where everything is lost nobody is reached")
    if not 0 <= crashed < 1:
        raise LocalError(f"--crashed is a share in [0, 1), not {crashed:g}: the origin at least is on")
    if file is not None:
        return load_tiers(file, loss=loss, crashed=crashed)
    assert nodes is not None
    return (Segment("all", nodes, 1, loss, crashed),)


def _node() -> Node:
    """The settings that devices have if nobody changes them."""
    from gossip_ws.theory.plans import Node

    return Node(**{field.name: _default(field.name) for field in fields(Node)})


def _default(name: str) -> Any:
    from gossip_ws.core.config import NodeConfig

    return next(field.default for field in fields(NodeConfig) if field.name == name)


def _measured(found: Plan, repeat: int | None, seed: int) -> tuple[Measured, ...]:
    with laboratory():
        from gossip_ws.lab.promise import measure
    progress = Progress()
    try:
        return tuple(
            measure(tier, found.variant, repeat, seed, partial(_progressed, progress, tier)) for tier in found.tiers
        )
    finally:
        progress.clear()


def _progressed(progress: Progress, tier: TierPlan, done: int) -> None:
    progress.say(f"{tier.segment.name}: {done} repetitions")


def _record(found: Plan, measured: tuple[Measured, ...]) -> dict[str, Any]:
    tiers = [_tier_record(tier) for tier in found.tiers]
    for tier, one in zip(tiers, measured, strict=False):
        tier["verified"] = one.record()
    record: dict[str, Any] = {
        "nodes": found.nodes,
        "variant": found.variant.value,
        "target": found.target,
        "all_reached": found.all_reached,
        "coverage": found.coverage,
        "seconds": found.seconds,
        "notes": _notes(found),
        "tiers": tiers,
    }
    if measured:
        record["verified"] = _together([one.record() for one in measured])
    return record


def _together(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Of tiers that do not depend on one another: products, of the bounds too, and the coverage of the worst."""
    return {
        **{name: prod(one[name] for one in records) for name in ("all_reached", "low", "high")},
        "coverage": min(one["coverage"] for one in records),
        "repeat": min(one["repeat"] for one in records),
    }


def _tier_record(tier: TierPlan) -> dict[str, Any]:
    segment = tier.segment
    return {
        "name": segment.name,
        "nodes": segment.nodes,
        "groups": segment.groups,
        "fanout": tier.fanout,
        "rounds": tier.rounds,
        "coverage": tier.coverage,
        "all_reached": tier.all_reached,
        "cut_off": tier.cut_off,
        "envelopes": tier.envelopes,
        "octets": tier.octets,
        "seconds": tier.seconds,
    }


def _say(found: Plan, measured: tuple[Measured, ...]) -> None:
    click.echo(
        f"{found.variant} to {found.nodes} devices: everyone who is on is reached with probability "
        f"{found.all_reached:.5f} (target {found.target:g}), {found.coverage:.4%} of them in the mean, "
        f"in {found.seconds:.2f} s"
    )
    click.echo(
        _ROW.format(
            "tier", "nodes", "groups", "fanout", "rounds", "all reached", "coverage", "envelopes", "octets", "seconds"
        )
    )
    for tier in found.tiers:
        segment = tier.segment
        click.echo(
            _ROW.format(
                segment.name[:12],
                segment.nodes,
                segment.groups,
                tier.fanout,
                tier.rounds,
                f"{tier.all_reached:.5f}",
                f"{tier.coverage:.4%}",
                f"{tier.envelopes:.1f}",
                f"{tier.octets:.0f}",
                f"{tier.seconds:.2f}",
            )
        )
    for told in _notes(found):
        click.echo(told)
    for tier, one in zip(found.tiers, measured, strict=False):
        low, high = one.interval
        verdict = "holds" if one.holds else "does not hold"
        click.echo(
            f"{tier.segment.name}: simulated {one.repeat} times: {one.hits / one.repeat:.5f} [{low:.5f}, {high:.5f}], "
            f"{one.coverage:.4%} in the mean; the promise {verdict}"
        )


def _notes(found: Plan) -> list[str]:
    """What an operator should know of a plan before it is used."""
    most = _default("max_fanout")
    notes = [
        f"{tier.segment.name}: a device sends to {most} others at most, if its configuration does not say otherwise"
        for tier in found.tiers
        if tier.fanout > most
    ]
    notes += [
        f"{tier.segment.name}: {tier.cut_off:.2%} of those that are on are below a device that is off: they get nothing"
        for tier in found.tiers
        if tier.cut_off
    ]
    return notes
