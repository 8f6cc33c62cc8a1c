"""How pictures look, whatever is in them: size, colours, captions, files. Needs matplotlib, and no screen.

Colours are those of Okabe and Ito, which the colour-blind tell apart; each goes with a marker of its own. Knows nothing
of gossip.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.figure import Figure

from gossip_ws.kernel.errors import LocalError

FORMATS: Final = (".png", ".svg")
BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, BLACK = COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
GREY: Final = "#555555"
_DPI: Final = 100
_STYLE: Final[Any] = {
    "font.size": 11.0,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.hashsalt": "gossip-ws",
}


def check(path: Path) -> None:
    """Can a picture be written there? Raises LocalError, before anything long is begun."""
    if path.suffix.lower() not in FORMATS:
        raise LocalError(f"{path}: a picture is a file that ends in {' or '.join(FORMATS)}")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise LocalError(f"{path}: cannot be written")


def canvas(title: str, caption: str, panels: int = 1, height: float = 5.0) -> tuple[Figure, Any]:
    """A Figure of 800 pixels across, and its axes: one, or a sequence of `panels` side by side.

    caption: what was run, in small letters below: devices, loss, repetitions, seed.
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=(8.0, height), dpi=_DPI, layout="constrained")
        axes = figure.subplots(1, panels)
        figure.suptitle(title, fontsize=13)
        figure.supxlabel(caption, fontsize=9, color=GREY)
        return figure, axes


def save(figure: Figure, path: Path) -> None:
    """Write the file, whole or not at all: the same octets for the same figure. Raises LocalError."""
    drawn = BytesIO()
    form = path.suffix.lower().removeprefix(".")
    with rc_context(_STYLE):
        figure.savefig(drawn, format=form, metadata={"Software": None} if form == "png" else {"Date": None})
    whole = path.with_name(path.name + ".new")
    try:
        whole.write_bytes(drawn.getvalue())
        whole.replace(path)
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from None


def series(axes: Any, x: Sequence[Any], y: Sequence[float], number: int, label: str, **more: Any) -> None:
    """A line with the marker and colour of its number, from 0."""
    options = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)], "markersize": 5}
    axes.plot(x, y, label=label, **{**options, **more})


def thousands(number: float) -> str:
    """12345 as 12,345."""
    return f"{number:,.0f}"
