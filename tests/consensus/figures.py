"""The figures of docs/nano-grids.md, by row: `python -m tests.consensus.figures [ROW ...]`; all rows without.

Areas of four feeders of 16 devices, each giving or needing up to 3 kW by chance. A range is over seeds and sizes.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from random import Random
from statistics import fmean, median

sys.path.insert(0, str(Path(__file__).parent))

from grids import FEEDER, grid

from gossip_ws.consensus.checker import Cut, violations
from gossip_ws.consensus.clusters import Hierarchy, build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.log import Agreement, agreements
from gossip_ws.consensus.optimum import least_transport, matched, transport_ratio
from gossip_ws.consensus.run import Run, messages_per_agreement

SEEDS = range(3)
AREA = 64
"""Devices of an area."""
SIZES = (64, 512, 2_048)
RETURN = 16
"""Rounds after a cut within which all should be matched."""


@dataclass(frozen=True)
class Played:
    """rounds: from the end of the last cut until the last decision. soon: matched 16 rounds after it. least: the least
    transport of what each part agreed by itself and of what all agreed later, over the least of all."""

    messages: float
    rounds: float
    matched: float
    soon: float
    transport: float
    least: float


def play(instance: Instance, hierarchy: Hierarchy, seed: int, **conditions: object) -> Played:
    told = Conditions(patience=3_000.0, **conditions)  # type: ignore[arg-type]
    trace = Run(instance, hierarchy, told, Random(seed)).run()
    broken = violations(trace.logs, cuts=told.cuts, hierarchy=hierarchy, claimed=trace.claimed, settled=trace.settled)
    if broken:
        raise AssertionError(broken[0])
    made = agreements(trace.logs)
    best = matched(instance)
    healed = max((cut.until for cut in told.cuts if cut.until < inf), default=0.0)
    return Played(
        messages_per_agreement(trace),
        max((one.at - healed for one in made if one.at >= healed), default=0.0),
        watts(made) / best,
        watts([one for one in made if one.at <= healed + RETURN]) / best,
        transport_ratio(instance.feeder, hierarchy.bus, made),
        parts(instance, hierarchy, made, told.cuts, healed),
    )


def watts(made: list[Agreement]) -> int:
    return sum(sum(one.watts) for one in made)


def parts(
    instance: Instance, hierarchy: Hierarchy, made: list[Agreement], cuts: tuple[Cut, ...], healed: float
) -> float:
    groups: dict[object, list[Agreement]] = {}
    for one in made:
        where = tuple(cut.island(one.seller) for cut in cuts) if one.at < healed else "later"
        groups.setdefault(where, []).append(one)
    least = least_transport(instance.feeder, hierarchy.bus, made)
    return sum(least_transport(instance.feeder, hierarchy.bus, group) for group in groups.values()) / least


def calm(devices: int, seed: int, size: int = 8, **conditions: object) -> Played:
    instance = grid(devices, seed)
    return play(instance, build(instance, size), seed, **conditions)


def at_random(devices: int, seed: int) -> Played:
    """Clusters as if the devices stood elsewhere."""
    instance = grid(devices, seed)
    buses = [device.bus for device in instance.devices]
    Random(seed).shuffle(buses)
    moved = [replace(device, bus=bus, area="one") for device, bus in zip(instance.devices, buses, strict=True)]
    drawn = build(replace(instance, devices=tuple(moved)))
    return play(instance, replace(drawn, bus=build(instance).bus), seed)


def three_ways(devices: int, seed: int) -> Played:
    dice = Random(1_000 + seed)
    islands: list[set[str]] = [set(), set(), set()]
    for number in range(devices):
        islands[dice.randrange(3)].add(f"d{number}")
    return calm(devices, seed, cuts=(Cut(0.0, 120.0, tuple(map(frozenset, islands))),))


def by_area(devices: int, seed: int) -> Played:
    """Each area is whole in one of three parts; where there is one area, each feeder is."""
    dice = Random(2_000 + seed)
    instance = grid(devices, seed)
    whole = AREA if devices > AREA else FEEDER
    starts = list(range(0, devices, whole))
    dice.shuffle(starts)
    islands: list[set[str]] = [set(), set(), set()]
    for number, start in enumerate(starts):
        islands[number % 3].update(device.id for device in instance.devices[start : start + whole])
    return calm(devices, seed, cuts=(Cut(0.0, 120.0, tuple(map(frozenset, islands))),))


def cut_off(devices: int, seed: int, gone: int) -> Played:
    away = frozenset(f"d{number}" for number in range(gone))
    return calm(devices, seed, cuts=(Cut(0.0, 100.0, (away,)),))


def show(name: str, played: list[Played], *, is_cut: bool = False) -> None:
    def span(values: list[float], digits: int) -> str:
        return f"{min(values):.{digits}f} to {max(values):.{digits}f}"

    rounds, soon = [one.rounds for one in played], [one.soon for one in played]
    told = [
        f"messages {span([one.messages for one in played], 1)}",
        f"rounds {span(rounds, 0)}, median {median(rounds):.0f}",
        f"matched {min(one.matched for one in played):.4f}",
        f"transport {span([one.transport for one in played], 3)}, mean {fmean(one.transport for one in played):.3f}",
    ]
    if is_cut:
        told += [
            f"after {RETURN} rounds {span(soon, 4)}, mean {fmean(soon):.4f}",
            f"later than that {sum(one.rounds > RETURN for one in played)} of {len(played)}",
            f"least transport of parts {span([one.least for one in played], 3)}",
        ]
    sys.stdout.write(f"{name}: {'; '.join(told)}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> None:
    rows = {
        "calm": lambda n: show(f"calm, n = {n}", [calm(n, seed) for seed in SEEDS]),
        "sixteen": lambda n: show(f"clusters of 16, n = {n}", [calm(n, seed, 16) for seed in SEEDS]),
        "loss10": lambda n: show(f"10 % lost, n = {n}", [calm(n, seed, loss=0.1) for seed in SEEDS]),
        "loss20": lambda n: show(f"20 % lost, n = {n}", [calm(n, seed, loss=0.2) for seed in SEEDS]),
        "random": lambda n: show(f"clusters at random, n = {n}", [at_random(n, seed) for seed in SEEDS]),
        "feeder": lambda n: show(
            f"a feeder cut off, n = {n}", [cut_off(n, seed, 16) for seed in range(6)], is_cut=True
        ),
        "area": lambda n: show(f"an area cut off, n = {n}", [cut_off(n, seed, 64) for seed in range(6)], is_cut=True),
        "three": lambda n: show(
            f"cut in three at random, n = {n}", [three_ways(n, seed) for seed in range(20)], is_cut=True
        ),
        "tree": lambda n: show(
            f"cut in three along the tree, n = {n}", [by_area(n, seed) for seed in range(20)], is_cut=True
        ),
    }
    sizes = {"random": (64, 512), "feeder": (64, 512), "area": (256, 512), "three": (64, 256), "tree": (64, 256, 1_024)}
    parser = argparse.ArgumentParser(prog="python -m tests.consensus.figures", description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*rows, []], metavar="ROW", help=", ".join(rows))
    for row in parser.parse_args(arguments).rows or rows:
        for devices in sizes.get(row, SIZES):
            rows[row](devices)


if __name__ == "__main__":
    main()
