"""The figures of seeds 001 and 003, from our own runs: what each paper shows, and what comes of it here.

Each is a function of how many runs (seeds) a value is the mean of, and of the first seed. What reproduces and what does
not is told in docs/routing.md. Knows nothing of other pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from gossip_ws.lab.drawing import BLACK, COLOURS, GREY, ORANGE, SKY, canvas, series
from gossip_ws.routing.certificate import certify, load_of
from gossip_ws.routing.instance import Instance, Kind
from gossip_ws.routing.kinds import Pattern, Topology, made, overlay, seed_001, seed_003
from gossip_ws.routing.peer import Start
from gossip_ws.routing.printed import PrimalPrinted
from gossip_ws.routing.run import Algorithm, Outcome, Terms, run

_NEAR: Final = 0.01
_UTILISATIONS: Final = (0.1, 0.2, 0.3, 0.3875, 0.45)
_REPORTED: Final = {Topology.MESH: 7.5, Topology.RING: 9.7, Topology.BUS: 13.5}
"""Delay cost that seed 001 section 5.1 reports; its partial mesh has eight links, as the ring."""


def _runs(instance: Instance, terms: Terms, repeat: int, seed: int) -> list[Outcome]:
    return [run(instance, terms, Random(f"{seed}/{number}")) for number in range(repeat)]


def _mean(outcomes: Sequence[Outcome]) -> Any:
    """The cost by tick, in the mean of the runs."""
    return np.array([[point.certificate.cost for point in one.trace] for one in outcomes]).mean(axis=0)


def _settled(outcome: Outcome) -> int:
    """The tick from which on the cost stays within one per cent of the lower bound at the end."""
    least = outcome.last.certificate.lower_bound
    first = len(outcome.trace)
    for point in reversed(outcome.trace):
        if point.certificate.cost > least * (1 + _NEAR):
            break
        first = point.tick
    return first


def topologies(repeat: int, seed: int) -> Figure:
    """Seed 001 figures 3 to 5."""
    figure, panels = canvas(
        "Delay cost by tick, three topologies (seed 001 figures 3 to 5)",
        f"4 prosumers, 155 kb all to all, 400 kb of capacity; waits 0 to 5 ticks; {repeat} repetitions, seed {seed}\n"
        "flat lines: what the paper reports",
        panels=3,
    )
    for axes, topology in zip(panels, (Topology.MESH, Topology.RING, Topology.BUS), strict=True):
        instance = seed_001(topology)
        for number, (start, loss) in enumerate(
            ((Start.MINIMUM_HOP, 0.0), (Start.MINIMUM_HOP, 0.1), (Start.EVEN, 0.0), (Start.EVEN, 0.1))
        ):
            outcomes = _runs(instance, Terms(loss=loss, ticks=50, start=start), repeat, seed)
            what = "shortest" if start is Start.MINIMUM_HOP else "even"
            axes.plot(_mean(outcomes), color=COLOURS[number], label=f"from {what}, loss {loss:.0%}")
        axes.axhline(_REPORTED[topology], color=GREY, linestyle=":")
        axes.set_title(topology.value, fontsize=11)
        axes.set_xlabel("tick")
    panels[0].set_ylabel("delay cost (messages queued)")
    panels[0].legend(loc="upper right", fontsize=7)
    return figure


def steps(repeat: int, seed: int) -> Figure:
    """Seed 001 figures 6 and 7."""
    ticks = 60
    figure, panels = canvas(
        "Seed 001's rule as printed, step 1 and 0.01, and what works (figures 6, 7)",
        f"4 prosumers, 155 kb all to all, 400 kb of capacity; waits 0 to 5 ticks; {repeat} repetitions, seed {seed}\n"
        "adaptive peers lose 10 % of their signals, the printed rule none",
        panels=3,
    )
    for axes, topology in zip(panels, (Topology.MESH, Topology.RING, Topology.BUS), strict=True):
        instance = seed_001(topology)
        for number, step in enumerate((1.0, 0.01)):
            each = [_printed(instance, step, ticks, Random(f"{seed}/{one}")) for one in range(repeat)]
            axes.plot(np.array(each).mean(axis=0), color=COLOURS[number], label=f"as printed, step {step:g}")
        axes.plot(_mean(_runs(instance, Terms(ticks=ticks), repeat, seed)), color=BLACK, label="adaptive, no step")
        axes.set_yscale("log")
        axes.set_title(topology.value, fontsize=11)
        axes.set_xlabel("tick")
    panels[0].set_ylabel("delay cost, logarithmic")
    panels[0].legend(loc="upper left", fontsize=7)
    return figure


def _printed(instance: Instance, step: float, ticks: int, dice: Random) -> list[float]:
    method = PrimalPrinted(instance, step)
    due = [dice.randrange(6) for _ in range(instance.nodes)]
    costs = []
    for now in range(ticks + 1):
        costs.append(certify(instance, instance.capacity, method.load).cost)
        awake = [node for node, when in enumerate(due) if when <= now]
        method.tick(now, awake)
        for node in awake:
            due[node] = now + 1 + dice.randrange(6)
    return costs


def utilisation(repeat: int, seed: int) -> Figure:
    """Seed 001 figure 8."""
    figure, axes = canvas(
        "Ticks to the optimum by utilisation (seed 001 figure 8)",
        f"4 prosumers, all to all, 400 kb of capacity, from an even split; waits 0 to 5 ticks, loss 10 %; {repeat} "
        f"repetitions, seed {seed}\nuntil the cost stays within 1 % of the bound",
    )
    for number, topology in enumerate((Topology.MESH, Topology.RING, Topology.BUS)):
        ticks = []
        for share in _UTILISATIONS:
            outcomes = _runs(seed_001(topology, utilisation=share), Terms(ticks=80, start=Start.EVEN), repeat, seed)
            ticks.append(float(np.mean([_settled(one) for one in outcomes])))
        series(axes, _UTILISATIONS, ticks, number, topology.value)
    axes.set_xlabel("utilisation (demand as a share of the capacity)")
    axes.set_ylabel("ticks, mean")
    axes.legend(loc="upper left")
    return figure


def halo(repeat: int, seed: int) -> Figure:
    """Seed 001 figure 9."""
    figure, (over_time, at_end) = canvas(
        "Adaptive peers, HALO and minimum hop (seed 001 figure 9)",
        f"4 prosumers on a ring, all to all; waits 0 to 5 ticks, loss 10 %; {repeat} repetitions, seed {seed}\n"
        "HALO moves 0.02 of a split at a wake-up",
        panels=2,
    )
    told = ((Algorithm.DAP, "adaptive peers"), (Algorithm.HALO, "HALO"), (Algorithm.MINIMUM_HOP, "minimum hop"))
    for number, (algorithm, label) in enumerate(told):
        outcomes = _runs(seed_001(Topology.RING), Terms(algorithm, ticks=200), repeat, seed)
        over_time.plot(_mean(outcomes), color=COLOURS[number], label=label)
        ends = [
            float(
                _mean(_runs(seed_001(Topology.RING, utilisation=share), Terms(algorithm, ticks=200), repeat, seed))[-1]
            )
            for share in _UTILISATIONS[:4]
        ]
        series(at_end, _UTILISATIONS[:4], ends, number, label)
    over_time.set_xlabel("tick, at utilisation 0.3875")
    over_time.set_ylabel("delay cost")
    over_time.legend(loc="upper right")
    at_end.set_xlabel("utilisation, after 200 ticks")
    return figure


def prosumers(repeat: int, seed: int) -> Figure:
    """Seed 001 figure 10."""
    counts = (5, 10, 15, 30)
    figure, axes = canvas(
        "Delay cost by the number of prosumers (seed 001 figure 10)",
        f"drawn overlays of degree 4, 35 to 45 kb each, all to all, shortest paths fill 38.75 % in the mean; {repeat} "
        f"overlays a number, seed {seed}, 40 ticks\nthe cross: what the paper reports for 30",
    )
    costs, bounds = [], []
    for count in counts:
        outcomes = []
        for number in range(repeat):
            dice = Random(f"{seed}/{count}/{number}")
            outcomes.append(run(overlay(count, Pattern.ALL_TO_ALL, dice), Terms(ticks=40), dice))
        costs.append(float(np.mean([one.last.certificate.cost for one in outcomes])))
        bounds.append(float(np.mean([one.last.certificate.lower_bound for one in outcomes])))
    series(axes, counts, costs, 0, "after 40 ticks, mean")
    series(axes, counts, bounds, 1, "no routing costs less", linestyle=":")
    axes.plot([30], [78.0], color=BLACK, marker="x", linestyle="none", label="seed 001")
    axes.set_xlabel("prosumers")
    axes.set_ylabel("delay cost")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    return figure


def dual(repeat: int, seed: int) -> Figure:
    """Seed 003 figure 3."""
    figure, (costs, overload) = canvas(
        "The dual gradient, corrected and as printed (seed 003 figure 3)",
        f"5 units on a mesh, 250 kb, each to the next, 800 kb of capacity; waits 0 to 5 ticks, loss 10 %; {repeat} "
        f"repetitions, seed {seed}",
        panels=2,
    )
    instance = seed_003(Topology.MESH, Pattern.CYCLIC)
    for number, (algorithm, label) in enumerate(((Algorithm.DUAL, "corrected"), (Algorithm.DUAL_PRINTED, "printed"))):
        outcomes = _runs(instance, Terms(algorithm, ticks=80), repeat, seed)
        costs.plot(_mean(outcomes), color=COLOURS[number], label=label)
        over = np.array([[point.certificate.overload for point in one.trace] for one in outcomes]).mean(axis=0)
        overload.plot(over, color=COLOURS[number], label=label)
    costs.axhline(300.0, color=GREY, linestyle=":", label="optimum")
    costs.set_ylabel("bandwidth cost (hops times kb)")
    overload.set_ylabel("overload of the fullest link (share)")
    for axes in (costs, overload):
        axes.set_xlabel("tick")
    costs.legend(loc="lower right")
    return figure


def dual_topologies(repeat: int, seed: int) -> Figure:
    """Seed 003 figure 4."""
    figure, (costs, delays) = canvas(
        "Bandwidth cost and delay by topology (seed 003 figure 4)",
        f"5 units, 250 kb all to all, 800 kb of capacity in equal parts; the partial mesh is the mesh less two links; "
        f"{repeat} repetitions, seed {seed}",
        panels=2,
    )
    mesh = seed_003(Topology.MESH)
    kept = [link for link in mesh.capacity if set(link) not in ({0, 2}, {1, 3})]
    partial = Instance("partial", Kind.LP, mesh.nodes, dict.fromkeys(kept, 800.0 / len(kept)), mesh.commodities)
    for row, instance in enumerate((mesh, partial, seed_003(Topology.RING))):
        outcomes = _runs(instance, Terms(Algorithm.DUAL), repeat, seed)
        queue = Instance(instance.name, Kind.MM1, instance.nodes, instance.capacity, instance.commodities)
        delay = [certify(queue, queue.capacity, load_of(one.flows)).cost for one in outcomes]
        for axes, value, colour in (
            (costs, float(_mean(outcomes)[-1]), SKY),
            (delays, float(np.mean(delay)), ORANGE),
        ):
            axes.bar(row, value, 0.6, color=colour)
            axes.annotate(f"{value:.4g}", (row, value), (0, 3), textcoords="offset points", ha="center", size=9)
    for axes, label in ((costs, "bandwidth cost (hops times kb)"), (delays, "delay cost (messages queued)")):
        axes.set_xticks(range(3), ["mesh", "partial", "ring"])
        axes.set_ylabel(label)
    return figure


def units(repeat: int, seed: int) -> Figure:
    """Seed 003 figures 5 and 6."""
    counts = (3, 5, 7, 9, 11, 13, 15)
    figure, (delays, needed) = canvas(
        "Delay and capacity needed by the number of units (seed 003 figures 5, 6)",
        f"rings, 10 to 15 kb each, all to all; adaptive peers, 60 ticks, loss 10 %; {repeat} repetitions, seed {seed}",
        panels=2,
    )
    for number, times in enumerate((2.0, 3.0, 4.0)):
        delay, counted = [], []
        for count in counts:
            costs = [_ring(count, times, Random(f"{seed}/{count}/{one}")) for one in range(repeat)]
            if all(cost is not None for cost in costs):
                delay.append(float(np.mean([cost for cost in costs if cost is not None])))
                counted.append(count)
        series(delays, counted, delay, number, f"capacity {times:g} D")
    least = []
    for count in counts:
        instance = _made_ring(count, 1.0, Random(f"{seed}/{count}/0"))
        outcome = run(instance, Terms(Algorithm.MINIMUM_HOP, ticks=0), Random(seed))
        least.append(outcome.last.certificate.max_utilisation)
    series(needed, counts, least, 0, "all fits on the shortest paths")
    delays.set_ylabel("delay cost")
    needed.set_ylabel("capacity needed, in parts of the demand D")
    for axes in (delays, needed):
        axes.set_xlabel("units")
        axes.legend(loc="upper left")
    return figure


def _made_ring(count: int, times: float, dice: Random) -> Instance:
    demands = [dice.uniform(10.0, 15.0) for _ in range(count)]
    return made(Topology.RING, Pattern.ALL_TO_ALL, demands, times * sum(demands))


def _ring(count: int, times: float, dice: Random) -> float | None:
    """The delay cost after some ticks; None if the flows do not fit."""
    outcome = run(_made_ring(count, times, dice), Terms(ticks=60), dice)
    return outcome.last.certificate.cost if outcome.usable else None


ROUTING: Final[Mapping[str, tuple[str, Callable[[int, int], Figure], int, int]]] = {
    "route-topologies": ("Routing on three topologies by tick (seed 001 fig. 3 to 5).", topologies, 4, 20),
    "route-steps": ("Seed 001's rule as printed, and what works (fig. 6, 7).", steps, 4, 10),
    "route-utilisation": ("Ticks to the optimum by utilisation (seed 001 fig. 8).", utilisation, 4, 20),
    "route-halo": ("Adaptive peers against HALO and minimum hop (seed 001 fig. 9).", halo, 4, 10),
    "route-prosumers": ("Delay cost of 5 to 30 prosumers (seed 001 fig. 10).", prosumers, 30, 3),
    "route-dual": ("The dual gradient, corrected and as printed (seed 003 fig. 3).", dual, 5, 20),
    "route-dual-topologies": ("Bandwidth cost and delay by topology (seed 003 fig. 4).", dual_topologies, 5, 5),
    "route-units": ("Delay and capacity needed of 3 to 15 units (seed 003 fig. 5, 6).", units, 15, 5),
}
"""By name: what it shows, how it is drawn, of how many devices, and repetitions unless others are asked for."""
