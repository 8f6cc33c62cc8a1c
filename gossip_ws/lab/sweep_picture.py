"""The picture of a sweep of one or two names: lines, or a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from matplotlib.figure import Figure

from gossip_ws.kernel.errors import LocalError
from gossip_ws.lab import drawing
from gossip_ws.lab.journal import Row
from gossip_ws.lab.sweep import Axis, Sweep

_LABELS: Final = {
    "nodes": "devices",
    "fanout": "fanout (peers a relay sends to)",
    "rounds": "rounds (hops at most)",
    "loss": "loss of datagrams (share)",
    "crashed": "devices that are off (share)",
    "variant": "variant",
}
_COVERAGE: Final = "live devices reached (share)"
_ALL: Final = "repetitions that reached every live device (share)"


def check(axes: Sequence[Axis]) -> None:
    """Raises LocalError where there are too many axes for a picture."""
    if len(axes) > 2:
        raise LocalError(f"--plot draws a sweep of one or two names, not of {len(axes)}")


def draw(sweep: Sweep, rows: Sequence[Row]) -> Figure:
    """A Figure of all rows of the sweep, in their order."""
    if len(sweep.axes) == 1:
        return _lines(sweep, rows)
    if any(axis.name == "variant" for axis in sweep.axes):
        return _families(sweep, rows)
    return _map(sweep, rows)


def _lines(sweep: Sweep, rows: Sequence[Row]) -> Figure:
    (axis,) = sweep.axes
    figure, axes = drawing.canvas(f"Coverage by {axis.name}", _caption(sweep))
    x = [_place(row[axis.name]) for row in rows]
    joined = "none" if axis.name == "variant" else "-"
    drawing.series(axes, x, [row["coverage_mean"] for row in rows], 0, "reached: mean", linestyle=joined)
    drawing.series(axes, x, [row["coverage_minimum"] for row in rows], 1, "reached: least", linestyle=joined)
    drawing.series(axes, x, [row["all_reached"] for row in rows], 2, "repetitions that reached all", linestyle=joined)
    _horizontal(axes, axis)
    axes.set_ylabel("share")
    axes.set_ylim(-0.02, 1.02)
    axes.legend()
    return figure


def _families(sweep: Sweep, rows: Sequence[Row]) -> Figure:
    """A line a variant over the other axis."""
    (other,) = (axis for axis in sweep.axes if axis.name != "variant")
    figure, axes = drawing.canvas(f"Coverage by {other.name} and variant", _caption(sweep))
    ordered = sorted(rows, key=lambda row: str(row["variant"]))
    for number, (variant, group) in enumerate(groupby(ordered, key=lambda row: str(row["variant"]))):
        of = sorted(group, key=lambda row: float(row[other.name]))
        drawing.series(axes, [row[other.name] for row in of], [row["coverage_mean"] for row in of], number, variant)
    _horizontal(axes, other)
    axes.set_ylabel(_COVERAGE)
    axes.set_ylim(-0.02, 1.02)
    axes.legend()
    return figure


def _map(sweep: Sweep, rows: Sequence[Row]) -> Figure:
    across, up = sweep.axes
    columns, lines = (sorted(float(value) for value in axis.values) for axis in (across, up))
    at = {(float(row[across.name]), float(row[up.name])): row for row in rows}
    figure, panels = drawing.canvas(f"Coverage by {across.name} and {up.name}", _caption(sweep), panels=2, height=4.5)
    for axes, figures, title in zip(panels, ("coverage_mean", "all_reached"), (_COVERAGE, _ALL), strict=True):
        cells = [[at[x, y][figures] for x in columns] for y in lines]
        drawn = axes.imshow(cells, origin="lower", aspect="auto", cmap="cividis", vmin=0, vmax=1)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(_LABELS[across.name])
        axes.grid(visible=False)
        for put, values in ((axes.set_xticks, columns), (axes.set_yticks, lines)):
            every = -(-len(values) // 9)
            put(range(0, len(values), every), [f"{value:g}" for value in values[::every]])
    panels[0].set_ylabel(_LABELS[up.name])
    figure.colorbar(drawn, ax=list(panels), label="share")
    return figure


def _horizontal(axes: Any, axis: Axis) -> None:
    axes.set_xlabel(_LABELS[axis.name])
    if axis.name == "nodes" and len(axis.values) > 1:
        axes.set_xscale("log")


def _place(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


def _caption(sweep: Sweep) -> str:
    swept = {axis.name for axis in sweep.axes}
    told = [f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in sweep.fixed.items()]
    told += [f"{name} by the planner" for name in ("fanout", "rounds") if name not in swept and name not in sweep.fixed]
    return ", ".join([*told, f"{sweep.repeat:,} repetitions a point", f"seed {sweep.seed}", f"engine {sweep.engine}"])
