"""Pictures of what simulations say, each by its name: `gossip-ws plot NAME`.

Each runs what it shows, then draws it; what was run stands in small letters below. A picture of something else is a
function of a Scale that gives a Figure, and a line in `PICTURES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from gossip_ws.grid import population
from gossip_ws.grid.what_if import GRID, SAMPLE_DAY, what_if
from gossip_ws.kernel.terms import Variant
from gossip_ws.lab import congestion_picture, engine, routing_pictures, tariff_picture, worlds
from gossip_ws.lab.drawing import BLACK, COLOURS, MARKERS, ORANGE, SKY, canvas, series, thousands
from gossip_ws.lab.sweep import TARGET, seed_of, trial_of
from gossip_ws.lab.trial import Trial, summarise
from gossip_ws.theory import coverage, planner


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run. nodes: devices, or the most of them where a picture has several numbers. repeat: repetitions of
    each trial."""

    nodes: int
    repeat: int
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """What it shows, in one line, how it is drawn, and at which scale unless somebody asks for another."""

    shows: str
    draw: Callable[[Scale], Figure]
    nodes: int
    repeat: int


def spread(scale: Scale) -> Figure:
    """Devices reached after each round, simulated and as the mean field has it.

    The repetitions of each round are runs of their own, which end there."""
    fanout, rounds, losses = 4, 14, (0.0, 0.2, 0.4)
    figure, axes = canvas(
        "Spread of a push, simulated and in theory",
        f"{thousands(scale.nodes)} devices, fanout {fanout}, loss 0 to 40 %, {scale.repeat} repetitions a point, "
        f"seed {scale.seed}; bars: from the 5th to the 95th percentile",
    )
    for number, loss in enumerate(losses):
        theory = np.array(coverage.mean_field(scale.nodes, fanout, rounds, loss)) / scale.nodes
        axes.plot(range(rounds + 1), theory, color=COLOURS[number], label=f"mean field, loss {loss:.0%}")
        ends = [Trial(scale.nodes, fanout, end, loss) for end in range(rounds + 1)]
        shares = np.array([engine.run(end, scale.repeat, seed_of(scale.seed, end)).coverage for end in ends])
        mean = shares.mean(axis=1)
        low, high = np.percentile(shares, (5, 95), axis=1)
        # A few repetitions that end at once may draw the mean below either of them.
        bars = np.maximum([mean - low, high - mean], 0)
        axes.errorbar(
            range(rounds + 1),
            mean,
            bars,
            color=COLOURS[number],
            marker=MARKERS[number],
            markersize=6,
            linestyle="none",
            capsize=2,
            linewidth=1,
            label=f"simulated, loss {loss:.0%}",
        )
    axes.set_xlabel("rounds (hops)")
    axes.set_ylabel("live devices reached (share)")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(loc="upper left")
    return figure


def chosen(scale: Scale) -> Figure:
    """Coverage by fanout and loss, and what the planner chooses."""
    fanouts, losses = range(1, 25), np.round(np.arange(0, 0.41, 0.025), 3)
    figure, axes = canvas(
        "Coverage of a push by fanout and loss, and the planner's choice",
        f"{thousands(scale.nodes)} devices, loss 0 to 40 %, ample rounds, {scale.repeat} repetitions a "
        f"point, seed {scale.seed}",
    )
    missed = np.zeros((len(losses), len(fanouts)))
    for i, loss in enumerate(losses):
        for j, fanout in enumerate(fanouts):
            rounds = planner.rounds_for(scale.nodes, fanout, float(loss))
            trial = Trial(scale.nodes, fanout, rounds, float(loss))
            missed[i, j] = 1 - engine.run(trial, scale.repeat, seed_of(scale.seed, trial)).coverage.mean()
    least = 1 / (scale.nodes * scale.repeat)
    drawn = axes.imshow(
        np.maximum(missed, least),
        origin="lower",
        aspect="auto",
        cmap="cividis_r",
        norm=LogNorm(least, 1),
        extent=(fanouts[0] - 0.5, fanouts[-1] + 0.5, -1.25, 41.25),
    )
    axes.grid(visible=False)
    figure.colorbar(drawn, ax=axes, label="live devices missed (share, logarithmic)")
    percent = losses * 100
    for number, (choose, target, told) in enumerate(
        (
            (planner.fanout_for_coverage, 0.99, "planned: 99 % of the devices"),
            (planner.fanout_for_all, 0.999, "planned: everyone, with probability 0.999"),
        )
    ):
        picks = [choose(scale.nodes, float(loss), 0.0, target) for loss in losses]
        axes.plot(picks, percent, color="white", linewidth=4)
        axes.plot(
            picks,
            percent,
            color=("#D55E00", BLACK)[number],
            marker=MARKERS[number],
            markersize=6,
            label=told,
            markeredgecolor="white",
        )
    axes.set_xlim(fanouts[0] - 0.5, fanouts[-1] + 0.5)
    axes.set_xlabel("fanout (peers a relay sends to)")
    axes.set_ylabel("loss of datagrams (%)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure


def redundancy(scale: Scale) -> Figure:
    """What a delivery costs in each variant: payloads too many, and messages of any kind."""
    fanout, loss = 7, 0.1
    # Its tree is made by earlier messages, in a world of the real core for each repetition.
    few = max(1, scale.repeat // 50)
    figure, axes = canvas(
        "Redundancy by variant",
        f"{thousands(scale.nodes)} devices, loss {loss:.0%}, {scale.repeat} repetitions, seed {scale.seed}\n"
        f"pushes: fanout {fanout}, ample rounds; pulls: each asks one a period, until all have it; no repair\n"
        f"adaptive: the real core, once {worlds.WARM_UP} messages have made its tree, {few} repetitions",
        height=5.5,
    )
    told = []
    for row, variant in enumerate(Variant):
        fixed = {} if variant in (Variant.EAGER_PULL, Variant.LAZY_PULL) else {"fanout": fanout}
        trial = trial_of({"nodes": scale.nodes, "loss": loss, "variant": variant, **fixed})
        simulator, repeat = (worlds.run, few) if variant is Variant.ADAPTIVE else (engine.run, scale.repeat)
        summary = summarise(simulator(trial, repeat, seed_of(scale.seed, trial)), 0.0)
        first = row == 0
        for offset, value, colour, hatch, label in (
            (0.2, summary.envelopes_per_delivery, SKY, "", "messages of any kind a delivery"),
            (-0.2, 1 + summary.rmr, ORANGE, "//", "payloads a delivery (RMR + 1)"),
        ):
            axes.barh(
                row + offset, value, 0.38, color=colour, hatch=hatch, edgecolor="white", label=label if first else None
            )
            axes.annotate(
                f"{value:.2f}", (value, row + offset), (3, 0), textcoords="offset points", va="center", size=9
            )
        told.append(f"{variant}\nreaches {summary.coverage.mean:.2%}")
    axes.set_yticks(range(len(told)), told)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("messages for each device that was reached")
    axes.margins(x=0.1)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure


def load(scale: Scale) -> Figure:
    """What the initiator itself sends, by gossip and to one after another."""
    loss, most = 0.1, 10_000_000
    counts = sorted({round(n) for k in range(2, 13) if (n := 10 ** (k / 2)) < scale.nodes} | {scale.nodes})
    gossip, single, missed = [], [], 0
    rng = np.random.default_rng(scale.seed)
    for n in counts:
        repeat = max(1, min(scale.repeat, most // n))
        whole = trial_of({"nodes": n, "loss": loss})
        outcomes = engine.run(whole, repeat, seed_of(scale.seed, whole))
        missed += int((outcomes.reached < outcomes.live).sum())
        # In the first hop only the initiator sends.
        own = Trial(n, whole.fanout, 1, loss)
        gossip.append(float(engine.run(own, repeat, seed_of(scale.seed, own)).envelopes.mean()))
        # Each message and each receipt may be lost: it is sent again until a receipt comes.
        sent = [rng.negative_binomial(n - 1, (1 - loss) ** 2) + n - 1 for _ in range(repeat)]
        single.append(float(np.mean(sent)))
    figure, axes = canvas(
        "Envelopes that the initiator itself sends",
        f"10 to {thousands(scale.nodes)} devices, loss {loss:.0%}, up to {scale.repeat} repetitions "
        f"({max(1, min(scale.repeat, most // scale.nodes))} at {thousands(scale.nodes)}), seed {scale.seed}\n"
        f"fanout by the planner, everyone with probability {TARGET} ({missed} of all repetitions missed somebody)",
    )
    series(axes, counts, single, 1, "one by one, each until its receipt comes")
    axes.plot(counts, [n - 1 for n in counts], color=COLOURS[1], linestyle=":", label="one by one, nothing lost")
    series(axes, counts, gossip, 0, "gossip: the fanout")
    for figures, below in ((single, False), (gossip, True)):
        for at in (0, len(counts) // 2, -1):
            axes.annotate(
                thousands(figures[at]),
                (counts[at], figures[at]),
                (0, -16 if below else 9),
                textcoords="offset points",
                ha="right" if at == -1 else "center",
                size=9,
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(bottom=1)
    axes.set_xlabel("devices")
    axes.set_ylabel("envelopes sent by the initiator")
    axes.legend(loc="upper left")
    return figure


def tariff(scale: Scale) -> Figure:
    """What a cheap night makes of a grid's day; `nodes` are its meters, each repetition has a seed of its own."""
    some = population.choose(population.load(GRID), scale.nodes, scale.seed)
    prices = Decimal("0.12"), Decimal("0.30"), Decimal("0.38")
    plans = [what_if(some, SAMPLE_DAY, prices, scale.seed + number) for number in range(scale.repeat)]
    return tariff_picture.draw(plans, prices, tariff_picture.caption(some, SAMPLE_DAY, scale.seed, scale.repeat))


def congestion(scale: Scale) -> Figure:
    """What peers chosen by price are worth where links congest."""
    return congestion_picture.draw(scale.nodes, scale.repeat, scale.seed)


def _routed(draw: Callable[[int, int], Figure]) -> Callable[[Scale], Figure]:
    """Those of the routing papers have their numbers of devices fixed."""
    return lambda scale: draw(scale.repeat, scale.seed)


PICTURES: Final[Mapping[str, Picture]] = {
    "spread": Picture("Spread over the rounds of a push, against theory.", spread, 10_000, 100),
    "coverage": Picture("Coverage against fanout and loss, and what the planner chooses.", chosen, 1_000, 200),
    "redundancy": Picture("Payloads and messages a delivery takes, by variant.", redundancy, 1_000, 200),
    "load": Picture("What the initiator sends, by gossip and one by one, as the devices grow.", load, 1_000_000, 100),
    "tariff": Picture("A grid's day before and after a tariff, and the peak that comes back.", tariff, 5_367, 5),
    "gradient-choice": Picture("A push over links that congest, peers by chance or by price.", congestion, 60, 2),
    **{
        name: Picture(shows, _routed(draw), nodes, repeat)
        for name, (shows, draw, nodes, repeat) in routing_pictures.ROUTING.items()
    },
}
