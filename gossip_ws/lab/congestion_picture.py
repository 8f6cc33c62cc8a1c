"""The picture of gossip over links that congest: peers chosen by chance alone, and by the price of the ways to them.

Knows nothing of other pictures, and not how peers are chosen.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from gossip_ws.core.config import PeerSelection
from gossip_ws.lab.congestion import Place, Town, spread
from gossip_ws.lab.drawing import COLOURS, MARKERS, canvas

_BUSY: Final = 0.6
"""What share of a congested link others' packets fill."""
_TOWNS: Final = (
    ("a link each\nidle", Place.ACCESS, 0.0),
    ("a link each\ncongested", Place.ACCESS, _BUSY),
    ("one for all\nidle", Place.BETWEEN, 0.0),
    ("one for all\ncongested", Place.BETWEEN, _BUSY),
)
"""What is told of each, where its narrow links are, and what share of them others' packets fill."""
_SHARE: Final = 0.25
_BEFORE: Final = 40
_CHOICES: Final = (
    (PeerSelection.UNIFORM, "by chance alone", 0, "//", -0.2),
    (PeerSelection.GRADIENT, "by price", 1, "", 0.2),
)
"""What is told of each, the number of its colour and marker, its hatch, and how far it is moved aside."""


def draw(nodes: int, repeat: int, seed: int) -> Figure:
    """Time to everybody, and payloads that cross narrow links, in each of the towns, by how peers are chosen."""
    towns = [Town(nodes, place=place, share=_SHARE, busy=busy, before=_BEFORE) for _, place, busy in _TOWNS]
    figure, (times, crossed) = canvas(
        "A push over links that congest, by how peers are chosen",
        f"{nodes} devices, {_SHARE:.0%} behind narrow links; congested: others fill {_BUSY:.0%} of these; fanout "
        f"{towns[0].fanout}, {towns[0].messages} messages,\none a second, loss 0 %, {repeat} repetitions, seed {seed}; "
        "left: half of the messages, and 95 % of them",
        panels=2,
    )
    for selection, label, number, hatch, aside in _CHOICES:
        halves, most, copies = [], [], []
        for town in towns:
            runs = [spread(town, selection, seed + turn) for turn in range(repeat)]
            half, nearly = np.percentile([time for run in runs for time in run.last], (50, 95))
            halves.append(float(half))
            most.append(float(nearly - half))
            copies.append(sum(run.crossed for run in runs) / (town.messages * repeat))
        at, colour = np.arange(len(towns)) + aside, COLOURS[number]
        up = [[0.0] * len(most), most]
        times.errorbar(at, halves, up, color=colour, marker=MARKERS[number], linestyle="none", capsize=3, label=label)
        crossed.bar(at, copies, 0.38, color=colour, hatch=hatch, edgecolor="white", label=label)
        for x, value in zip(at, copies, strict=True):
            crossed.annotate(f"{value:.0f}", (x, value), (0, 2), textcoords="offset points", ha="center", size=8)
    times.set_yscale("log")
    times.yaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
    times.set_ylabel("s until everybody has a message, logarithmic")
    crossed.set_ylabel("copies over narrow links, a message")
    for axes in (times, crossed):
        axes.set_xticks(range(len(towns)), [told for told, _, _ in _TOWNS], fontsize=8)
        axes.grid(visible=False, axis="x")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure
