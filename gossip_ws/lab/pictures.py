"""Pictures of what simulations say, each by its name: `gossip-ws plot NAME`.

Each runs what it shows, then draws it; what was run stands in small letters below. A picture of something else is a
function of a Scale that gives a Figure, and a line in `PICTURES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from gossip_ws.lab import engine
from gossip_ws.lab.drawing import BLACK, COLOURS, MARKERS, canvas, thousands
from gossip_ws.lab.sweep import seed_of
from gossip_ws.lab.trial import Trial
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
        f"{thousands(scale.nodes)} devices, fanout {fanout}, {scale.repeat} repetitions a point, seed {scale.seed}; "
        "bars: least and most of the repetitions",
    )
    for number, loss in enumerate(losses):
        theory = np.array(coverage.mean_field(scale.nodes, fanout, rounds, loss)) / scale.nodes
        axes.plot(range(rounds + 1), theory, color=COLOURS[number], label=f"mean field, loss {loss:.0%}")
        ends = [Trial(scale.nodes, fanout, end, loss) for end in range(rounds + 1)]
        shares = np.array([engine.run(end, scale.repeat, seed_of(scale.seed, end)).coverage for end in ends])
        mean = shares.mean(axis=1)
        # A mean of equal shares may differ from them in its last digit.
        bars = np.maximum([mean - shares.min(axis=1), shares.max(axis=1) - mean], 0)
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
    axes.legend(loc="lower right")
    return figure


def chosen(scale: Scale) -> Figure:
    """Coverage by fanout and loss, and what the planner chooses."""
    fanouts, losses = range(1, 25), np.round(np.arange(0, 0.41, 0.025), 3)
    figure, axes = canvas(
        "Coverage of a push by fanout and loss, and the planner's choice",
        f"{thousands(scale.nodes)} devices, rounds by the planner, {scale.repeat} repetitions a point, "
        f"seed {scale.seed}",
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
    axes.legend(loc="lower right", frameon=True)
    return figure


PICTURES: Final[Mapping[str, Picture]] = {
    "spread": Picture("Spread over the rounds of a push, against theory.", spread, 10_000, 100),
    "coverage": Picture("Coverage against fanout and loss, and what the planner chooses.", chosen, 1_000, 200),
}
