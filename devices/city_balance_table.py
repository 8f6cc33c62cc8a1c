"""What the city says of its balancing to a person: phases, areas, and the day hour by hour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gossip_ws.devices.city_balance import AreaReport, BalancePhase, BalanceReport

BESIDE: Final = 3
"""Areas of which the hours stand beside one another on a line, and"""
MOST: Final = 6
"""areas whose hours are printed; JSON has those of all."""

LEAST: Final = 50
"""W that are printed as 0.1 kW."""


def lines(report: BalanceReport) -> Iterable[str]:
    """The report, a line each."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.kinds.items()))
    clusters = ", ".join(f"{count} {kind}" for kind, count in report.clusters.items())
    yield f"balance    {report.meters} meters agree hour by hour who gives what to whom; behind them {kinds}"
    yield f"           clusters: {clusters}, in {report.depth} levels; a round is {report.round:g} s"
    yield (
        f"           {'matched kWh':>12} {'of':>9} {'decisions':>10} {'messages each':>14} {'last after':>11}"
        f" {'CPU s':>7}"
    )
    for phase in report.phases:
        yield _phase(phase)
        yield from (f"           VIOLATED {what}" for what in (*phase.violations, *phase.revoked))
        for area in phase.areas:
            if not area.is_good:
                yield f"           {area.area}: what was pulled is NOT what the ledgers say"
    shown = next((phase for phase in report.phases if phase.areas), None)
    if shown is not None:
        yield from _areas(shown.areas)
        yield from _hours(shown.areas)


def _phase(phase: BalancePhase) -> str:
    each = phase.messages / phase.decisions if phase.decisions else 0.0
    last = f"{phase.seconds:.1f} s" if phase.decisions else "-"
    pulled = sum(area.pulled is not None for area in phase.areas)
    said = f"; {pulled} areas pulled" if pulled else ""
    return (
        f"           {_kwh(phase.matched):>12} {_kwh(phase.optimum):>9} {phase.decisions:>10,} {each:>14.1f} {last:>11}"
        f" {phase.cpu_seconds:>7.1f}   {phase.what}{said}{'' if phase.settled else '; NOT SETTLED'}"
    )


def _areas(areas: Sequence[AreaReport]) -> Iterable[str]:
    yield ""
    yield f"{'kWh a day':29}{'before':>21}   {'agreed':>27}   {'after':>21}"
    yield (
        f"{'':29}{'to the grid':>12}{'from it':>9}   {'within':>9}{'sold':>9}{'bought':>9}"
        f"   {'to the grid':>12}{'from it':>9}"
    )
    for area in areas:
        found = area.exchange
        before = f"{_kwh(sum(found.given)):>12}{_kwh(sum(found.needed)):>9}"
        agreed = "".join(f"{_kwh(sum(watts)):>9}" for watts in (found.within, found.sold, found.bought))
        after = f"{_kwh(sum(found.left_given)):>12}{_kwh(sum(found.left_needed)):>9}"
        yield f"           {_name(area):18}{before}   {agreed}   {after}"


def _hours(areas: Sequence[AreaReport]) -> Iterable[str]:
    yield ""
    yield "mean kW of each hour, before > after"
    for first in range(0, min(len(areas), MOST), BESIDE):
        beside = areas[first : min(first + BESIDE, MOST)]
        yield ""
        yield f"{'':6}" + "".join(f"{_name(area):>34}" for area in beside)
        yield f"{'':6}" + "".join(f"{'to the grid':>18}{'from it':>16}" for _ in beside)
        for hour in range(len(beside[0].exchange.given)):
            cells = ""
            for area in beside:
                found = area.exchange
                out = _change(found.given[hour], found.left_given[hour])
                cells += f"{out:>18}{_change(found.needed[hour], found.left_needed[hour]):>16}"
            yield f"{hour:02}-{hour + 1:02} {cells}"
    if len(areas) > MOST:
        yield f"the hours of {len(areas) - MOST} more areas are in the JSON"


def _name(area: AreaReport) -> str:
    return area.area.rpartition("/")[2][-18:]


def _change(before: int, after: int) -> str:
    """Before the agreements, and after; empty where there is as good as nothing."""
    return f"{before / 1000:.1f} > {after / 1000:.1f}" if before >= LEAST else ""


def _kwh(watts: int) -> str:
    return f"{watts / 1000:,.1f}"
