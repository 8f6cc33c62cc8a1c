"""`gossip-ws balance`: devices of an instance, or the meters of a grid, agree on who gives what to whom."""

from __future__ import annotations

import gc
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from random import Random
from typing import Any, Final

import click
from click.core import ParameterSource

from gossip_ws.consensus.checker import Cut
from gossip_ws.consensus.clusters import SIZE, Hierarchy, build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.instance import Instance, parse
from gossip_ws.consensus.log import agreements
from gossip_ws.consensus.outcome import Outcome, Scheme, balance
from gossip_ws.consensus.run import Run
from gossip_ws.consensus.surge import Step, Surge, Surged, steps, taken
from gossip_ws.devices.cli_balance_overstated import Overstated
from gossip_ws.devices.cli_balance_signed import SignedGrid
from gossip_ws.devices.cli_output import Number, Progress, as_json, say_json
from gossip_ws.grid.offers import HOURS, offers
from gossip_ws.grid.population import choose, load
from gossip_ws.grid.profiles import Jitter
from gossip_ws.kernel.errors import LocalError

BUNDLED: Final = "1-MVLV-rural-all-2-sw"
DAY: Final = "2016-04-18"
"""In spring roofs give enough for something to be left, and not for all."""
BAD_ANSWER: Final = 1
_PARTITION: Final = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)?:(.+)")
_SURGE: Final = re.compile(r"(\d+):(0(?:\.\d+)?|1(?:\.0+)?):(\d{1,7})")


@click.command(
    "balance",
    epilog="""\b
Example:
  gossip-ws balance street.json
  gossip-ws balance --grid 1-LV-rural1--2-sw --json
  gossip-ws balance --grid bundled --meters 540 --loss 0.1 --partition 0-60:3
  gossip-ws balance --grid bundled --meters 256 --compare
  gossip-ws balance --grid bundled --meters 256 --signed --attackers 0.5
  gossip-ws balance --grid bundled --meters 540 --surge 100:0.5:2000 --start-within 60
""",
)
@click.argument("instance", required=False, type=click.Path(path_type=Path))
@click.option("--grid", help="A shipped grid's code, an imported file, or `bundled`: its meters are the devices.")
@click.option("--meters", type=click.IntRange(1), help="So many of the grid's meters; all without.")
@click.option("--day", default=DAY, show_default=True, help="The day of the grid's profiles.")
@click.option(
    "--periods", type=click.IntRange(1, 96), default=HOURS, show_default=True, help="Into which the grid's day is cut."
)
@click.option("--flexible", is_flag=True, help="What can wait or store in the grid is a device of its own.")
@click.option(
    "--scheme", type=click.Choice([one.value for one in Scheme]), default="pairwise", show_default=True, help="How."
)
@click.option("--compare", is_flag=True, help="All schemes side by side, also when cut into three parts.")
@click.option(
    "--cluster-size", type=click.IntRange(2, 64), default=SIZE, show_default=True, help="Members of a cluster at most."
)
@click.option("--loss", type=Number(0, 0.9), default=0.0, show_default=True, help="Share of messages lost.")
@click.option("--crash", type=Number(0, 1), default=0.0, show_default=True, help="Share of devices that crash once.")
@click.option(
    "--partition",
    "partitions",
    multiple=True,
    metavar="FROM-UNTIL:WHAT",
    help="In rounds, UNTIL left out for ever. WHAT: a number of parts drawn by chance; a cluster or area cut off;"
    " `speakers`, each cluster's first speaker silenced; `busiest`, as many devices, those that agree most often on a"
    " calm day; `random`, as many by chance.",
)
@click.option(
    "--surge",
    "surging",
    metavar="AT:SHARE:WATTS",
    help="A load attack: at a round, a share of the devices that give nothing draw so much more each, in all periods.",
)
@click.option(
    "--start-within",
    type=Number(0, 1_000),
    default=0.0,
    show_default=True,
    help="Against a surge: rounds by which a meter may put off what is switched on, by chance.",
)
@click.option(
    "--ramp",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Against a surge: W by which the loads of a nano grid may rise in a round; 0: without bound.",
)
@click.option("--signed", is_flag=True, help="Every message is signed and verified, with keys that are enrolled.")
@click.option(
    "--attackers",
    type=Number(0, 1),
    default=0.0,
    show_default=True,
    help="With --signed: share of messages after which one comes that is forged, changed, said again or out of place.",
)
@click.option(
    "--liars",
    type=Number(0, 1),
    default=0.0,
    show_default=True,
    help="With --signed: share of clusters whose first speaker lies of what they have left.",
)
@click.option(
    "--overstate",
    type=Number(0, 1),
    default=0.0,
    show_default=True,
    help="Share of those that give who announce twice of it; over --days, with and without weighing by their meters.",
)
@click.option("--days", type=click.IntRange(1, 366), default=1, show_default=True, help="How often it is done again.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of all chance.")
@as_json
def balance_(
    instance: Path | None,
    grid: str | None,
    meters: int | None,
    day: str,
    periods: int,
    flexible: bool,
    scheme: str,
    compare: bool,
    cluster_size: int,
    loss: float,
    crash: float,
    partitions: Sequence[str],
    signed: bool,
    attackers: float,
    liars: float,
    overstate: float,
    surging: str | None,
    start_within: float,
    ramp: int,
    days: int,
    seed: int,
    as_json: bool,
) -> int:
    """Simulate how the devices of INSTANCE, or of a grid, agree on who gives what to whom, and check their logs.

    Exit code 1 when the logs break a promise, or an attacker's message counted, or somebody is
    shown to lie who does not.
    """
    told = _instance(instance, grid, meters, day, periods, seed, flexible)
    hierarchy = build(told, cluster_size)
    cuts = tuple(_cut(partition, told, hierarchy, seed) for partition in partitions)
    conditions = Conditions(loss=loss, crashes=crash, cuts=cuts)
    if crash and (compare or scheme != Scheme.PAIRWISE):
        raise LocalError("--crash: only of the pairwise scheme are crashes simulated")
    if signed and (compare or scheme != Scheme.PAIRWISE):
        raise LocalError("--signed: only of the pairwise scheme are messages there to be signed")
    if (attackers or liars) and not signed:
        raise LocalError("--attackers, --liars: say --signed too; what nobody signs anybody can make")
    loads = _loads(surging, start_within, ramp, told, hierarchy, seed)
    if loads and (compare or days > 1 or scheme != Scheme.PAIRWISE):
        raise LocalError("--surge: only of one day of the pairwise scheme")
    if overstate and (compare or signed or loads or scheme != Scheme.PAIRWISE):
        raise LocalError("--overstate: of the pairwise scheme, and without --signed and --surge")
    progress = Progress()
    if overstate:
        progress.say(f"{len(told.devices)} devices agree ...")
        overstated = Overstated(told, hierarchy, conditions, overstate, days, seed)
        progress.clear()
        if as_json:
            say_json(overstated.object())
        else:
            click.echo("\n".join(overstated.lines()))
        return BAD_ANSWER if overstated.is_bad else 0
    grid_ = SignedGrid(told, hierarchy, attackers, liars, seed) if signed else None
    post = grid_.post if grid_ is not None else None

    def run(one: Scheme, under: Conditions) -> Outcome:
        progress.say(f"{one}: {len(told.devices)} devices agree ...")
        try:
            with _uncollected():
                return balance(one, told, hierarchy, under, Random(seed), days, post=post, steps=loads)
        finally:
            progress.clear()

    if not compare:
        outcome = run(Scheme(scheme), conditions)
        if as_json:
            signed_ = grid_.object() if grid_ is not None else {}
            say_json(
                _object(outcome) | signed_ | ({"surge": asdict(outcome.surge)} if outcome.surge is not None else {})
            )
        else:
            click.echo(_report(outcome, told, hierarchy, grid_.lines() if grid_ is not None else []))
        return BAD_ANSWER if outcome.violations or (grid_ is not None and grid_.is_bad) else 0
    parted = replace(conditions, cuts=(_parts(told, 3, seed, 0.0, inf),))
    rows = [(run(one, conditions), run(one, parted)) for one in Scheme]
    if as_json:
        say_json([_object(whole) | {"parted": _object(apart)} for whole, apart in rows])
    else:
        click.echo(_table(rows))
    return BAD_ANSWER if any(whole.violations or apart.violations for whole, apart in rows) else 0


@contextmanager
def _uncollected() -> Iterator[None]:
    """A run keeps a million records, hardly any in a cycle: to walk through them again and again for garbage is a
    seventh of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _instance(
    instance: Path | None, grid: str | None, meters: int | None, day: str, periods: int, seed: int, flexible: bool
) -> Instance:
    if (instance is None) == (grid is None):
        raise LocalError("say an INSTANCE or a --grid, one of both")
    if instance is not None:
        if flexible:
            raise LocalError("--flexible: only of a --grid; an INSTANCE says itself what can wait")
        for name in ("meters", "day", "periods"):
            if click.get_current_context().get_parameter_source(name) is not ParameterSource.DEFAULT:
                raise LocalError(f"--{name}: only of a --grid; an INSTANCE says itself what its devices are")
        try:
            return parse(instance.read_bytes())
        except OSError as error:
            raise LocalError(f"{instance}: {error.strerror}") from None
        except LocalError as error:
            raise LocalError(f"{instance}: {error}") from None
    population = load(BUNDLED if grid == "bundled" else str(grid))
    if meters is not None:
        population = choose(population, meters, seed)
    return offers(population, day, periods, lambda scope: Jitter.draw(seed, scope), flexible=flexible)


def _cut(text: str, instance: Instance, hierarchy: Hierarchy, seed: int) -> Cut:
    found = _PARTITION.fullmatch(text)
    if found is None:
        raise LocalError(f"--partition: {text!r} is not FROM-UNTIL:WHAT")
    since, until, what = float(found[1]), float(found[2]) if found[2] else inf, found[3]
    if until <= since:
        raise LocalError(f"--partition: {text!r} ends before it begins")
    if what in ("speakers", "busiest", "random"):
        return _silenced(what, instance, hierarchy, seed, since, until)
    if what.isdecimal():
        return _parts(instance, int(what), seed, since, until)
    island = {device.id for device in instance.devices if device.area == what}
    if what in hierarchy.clusters:
        island = set(hierarchy.leaves(what))
    if not island:
        there = ", ".join(sorted({device.area for device in instance.devices} | set(hierarchy.clusters)))
        raise LocalError(f"--partition: no area or cluster {what!r} here; there are {there[:200]}")
    return Cut(since, until, (frozenset(island),))


def _silenced(what: str, instance: Instance, hierarchy: Hierarchy, seed: int, since: float, until: float) -> Cut:
    """Every cluster's first speaker alone, out of everybody's hearing; or as many devices, those with the most
    agreements or drawn by chance."""
    silenced = sorted({hierarchy.candidates(cluster)[0] for cluster in hierarchy.clusters})
    if what == "busiest":
        calm = Run(instance, hierarchy, Conditions(), Random(seed)).run()
        times = Counter(party for one in agreements(calm.logs) for party in (one.seller, one.buyer))
        silenced = sorted(hierarchy.home, key=lambda device: (-times[device], device))[: len(silenced)]
    elif what == "random":
        silenced = Random(f"silenced/{seed}").sample(sorted(hierarchy.home), len(silenced))
    return Cut(since, until, tuple(frozenset({device}) for device in silenced))


def _loads(
    text: str | None, within: float, ramp: int, instance: Instance, hierarchy: Hierarchy, seed: int
) -> Sequence[Step]:
    """The steps of a load attack; none where there is none."""
    if text is None:
        if within or ramp:
            raise LocalError("--start-within, --ramp: they are of a --surge")
        return ()
    found = _SURGE.fullmatch(text)
    if found is None or not int(found[3]):
        raise LocalError(f"--surge: {text!r} is not AT:SHARE:WATTS")
    dice = Random(f"surge/{seed}")
    devices = taken(instance, float(found[2]), dice)
    if not devices:
        raise LocalError("--surge: nobody is taken; only devices that give nothing in any period are")
    return steps(Surge(float(found[1]), devices, int(found[3]), within, ramp), hierarchy, dice)


def _parts(instance: Instance, ways: int, seed: int, since: float, until: float) -> Cut:
    """Whole areas where there are as many, single devices otherwise."""
    if not 2 <= ways <= 64:
        raise LocalError(f"--partition: into 2 to 64 parts, not {ways}")
    dice = Random(f"partition/{seed}")
    areas = sorted({device.area for device in instance.devices})
    part = {area: dice.randrange(ways) for area in areas}
    islands: list[set[str]] = [set() for _ in range(ways)]
    for device in instance.devices:
        islands[part[device.area] if len(areas) >= ways else dice.randrange(ways)].add(device.id)
    return Cut(since, until, tuple(map(frozenset, islands)))


def _object(outcome: Outcome) -> dict[str, Any]:
    return {
        "scheme": outcome.scheme.value,
        "agreements": [
            [one.id, one.seller, one.buyer, period, watts, one.level]
            for one in outcome.agreements
            for period, watts in enumerate(one.watts)
            if watts
        ],
        "decisions": len(outcome.agreements),
        "residual": [
            {"level": one.level, "kinds": list(one.kinds), "given": one.given, "needed": one.needed}
            for one in outcome.residual
        ],
        "messages": outcome.messages,
        "rounds": outcome.rounds,
        "matched": outcome.matched,
        "optimum": outcome.optimum,
        "transport_ratio": round(outcome.transport_ratio, 4),
        "jain": round(outcome.jain, 4),
        "settled": outcome.settled,
        "violations": [{"rule": one.rule, "what": one.what} for one in outcome.violations],
    }


def _report(outcome: Outcome, instance: Instance, hierarchy: Hierarchy, signed: Sequence[str]) -> str:
    lines = [
        f"{len(instance.devices)} devices in {len(hierarchy.clusters)} clusters, {instance.periods} periods",
        f"{'level':32} {'could give W':>14} {'needed W':>14}   left, summed over periods",
    ]
    lines += [f"{one.level:2} {', '.join(one.kinds):29} {one.given:14,} {one.needed:14,}" for one in outcome.residual]
    lines += [
        f"matched    {outcome.matched:,} W of at most {outcome.optimum:,} W",
        f"decisions  {len(outcome.agreements):,}, {outcome.messages_per_agreement:.1f} messages each, in"
        f" {outcome.rounds} rounds",
        f"transport  {outcome.transport_ratio:.3f} of the least",
        f"fairness   {outcome.jain:.3f} (Jain's index of the shares of the needs)",
        *signed,
        *(_surge_lines(outcome.surge) if outcome.surge is not None else ()),
        *(f"VIOLATED   {one.rule}: {one.what}" for one in outcome.violations),
        "verdict    "
        + ("promises are broken" if outcome.violations else "no promise is broken, recomputed from the logs"),
    ]
    return "\n".join(lines)


def _surge_lines(surge: Surged) -> tuple[str, ...]:
    when = f"after {surge.recovered} rounds" if surge.recovered is not None else "never"
    return (
        f"surge      {surge.devices:,} devices, {surge.watts:,} W, all on after {surge.lasted} rounds, at most"
        f" {surge.steepest:,} W more in a round",
        f"           at worst {surge.least:.3f} of what could be was matched; all of it again {when}",
    )


def _table(rows: Sequence[tuple[Outcome, Outcome]]) -> str:
    lines = [
        f"{'':12} {'messages':>12} {'a decision':>11} {'rounds':>7} {'matched':>8} {'transport':>10} {'fairness':>9}"
        f" {'in 3 parts':>11} {'violations':>11}"
    ]
    lines += [
        f"{whole.scheme:12} {whole.messages:12,} {whole.messages_per_agreement:11.1f} {whole.rounds:7}"
        f" {_share(whole):8.3f} {whole.transport_ratio:10.3f} {whole.jain:9.3f} {_share(apart):11.3f}"
        f" {len(whole.violations) + len(apart.violations):11}"
        for whole, apart in rows
    ]
    return "\n".join([*lines, "matched and in 3 parts: of the most that devices which hear one another can match"])


def _share(outcome: Outcome) -> float:
    return outcome.matched / outcome.optimum if outcome.optimum else 1.0
