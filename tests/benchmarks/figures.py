"""What a benchmark found: one figure a line, its bar beside it. Knows no benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours over the bare loop's, one quotient a round."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One value in `unit`. `bare`: what the bare loop took, where there is one; `met` is None without a bar."""

    name: str
    value: float
    unit: str
    bare: float | None = None
    ratio: Ratio | None = None
    bar: str = ""
    met: bool | None = None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    name: str,
    ours: Callable[[], float],
    bare: Callable[[], float],
    rounds: int,
    *,
    scale: float,
    unit: str,
    most: float | None = None,
    note: str = "",
) -> Figure:
    """Run both by turns, each first in every other round, so that neither has the quiet machine to itself.

    `scale` makes `unit` of the seconds that both give; `most` is the largest median ratio that passes.
    """
    pairs: list[tuple[float, float]] = []
    for number in range(rounds):
        if number % 2:
            second, first = bare(), ours()
        else:
            first, second = ours(), bare()
        pairs.append((first, second))
    return compared(name, pairs, scale=scale, unit=unit, most=most, note=note)


def compared(
    name: str,
    pairs: Sequence[tuple[float, float]],
    *,
    scale: float,
    unit: str,
    most: float | None = None,
    note: str = "",
) -> Figure:
    """The figure of (ours, bare) seconds, a pair a round."""
    quotients = [ours / bare for ours, bare in pairs]
    ratio = Ratio(median(quotients), min(quotients), max(quotients))
    return Figure(
        name,
        median(ours for ours, _ in pairs) * scale,
        unit,
        median(bare for _, bare in pairs) * scale,
        ratio,
        f"<= {most:g}x" if most is not None else "",
        ratio.median <= most if most is not None else None,
        note,
    )


def limited(name: str, value: float, unit: str, below: float, note: str = "") -> Figure:
    """A figure that has to stay below a bar of its own unit."""
    return Figure(name, value, unit, bar=f"< {below:g} {unit}", met=value < below, note=note)


def table(figures: Sequence[Figure]) -> str:
    """For people."""
    rows = [("", "value", "bare", "ratio (min .. max)", "bar", "", "")]
    for figure in figures:
        ratio = figure.ratio
        rows.append(
            (
                figure.name,
                f"{figure.value:.1f} {figure.unit}" if figure.value >= 10 else f"{figure.value:.3f} {figure.unit}",
                f"{figure.bare:.1f}" if figure.bare is not None else "",
                f"{ratio.median:.2f} ({ratio.least:.2f} .. {ratio.most:.2f})" if ratio is not None else "",
                figure.bar,
                {None: "", True: "ok", False: "MISSED"}[figure.met],
                figure.note,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
