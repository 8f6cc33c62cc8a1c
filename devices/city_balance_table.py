"""What the city says of its balancing to a person: phases, areas, and the day hour by hour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gossip_ws.consensus.vector import total
from gossip_ws.devices.city_balance import AreaReport, BalancePhase, BalanceReport
from gossip_ws.devices.city_moved import Moved

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
    if report.movable is not None and report.fixed is not None and report.moving is not None:
        apart = ", ".join(f"{count} {kind}" for kind, count in sorted(report.movable.items()))
        yield f"           devices of their own, that wait or store: {apart}"
        for which, of in (("with all of them on schedule", report.fixed), ("as they can move it", report.moving)):
            yield (
                f"           {which}: of {_kwh(of.needed)} kWh that are needed {_kwh(of.optimum)} can be matched at"
                f" most, and the grid brings {_kwh(of.needed - of.optimum)}"
            )
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
        yield from _moved([area.moved for area in shown.areas if area.moved is not None])


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


def _moved(areas: Sequence[Moved]) -> Iterable[str]:
    if not areas:
        return
    periods = len(areas[0].charged)
    kinds = sorted({kind for area in areas for kind in area.wants})
    planned = {kind: total((area.planned[kind] for area in areas if kind in area.planned), periods) for kind in kinds}
    served = {kind: total((area.served[kind] for area in areas if kind in area.served), periods) for kind in kinds}
    charged, discharged, held = (
        total((getattr(area, name) for area in areas), periods) for name in ("charged", "discharged", "held")
    )
    yield ""
    for kind in kinds:
        wants = sum(area.wants.get(kind, 0) for area in areas)
        yield f"what could wait: {_kwh(wants)} kWh of {kind}, {_kwh(sum(served[kind]))} of it given by others"
    yield (
        f"{sum(area.stores for area in areas)} storage: {_kwh(sum(charged))} kWh went in, {_kwh(sum(discharged))} came"
        f" out, {_kwh(held[-1])} in it at the end of the day"
    )
    yield ""
    yield "mean kW of each hour, by profile > as given by others; storage in kWh at the end of the hour"
    yield f"{'':6}" + "".join(f"{kind:>18}" for kind in (*kinds, "into storage", "out of storage", "in storage"))
    for hour in range(periods):
        cells = "".join(f"{_moves(planned[kind][hour], served[kind][hour]):>18}" for kind in kinds)
        cells += "".join(f"{_some(watts[hour]):>18}" for watts in (charged, discharged, held))
        yield f"{hour:02}-{hour + 1:02} {cells}".rstrip()


def _name(area: AreaReport) -> str:
    return area.area.rpartition("/")[2][-18:]


def _change(before: int, after: int) -> str:
    """Before the agreements, and after; empty where there is as good as nothing."""
    return f"{before / 1000:.1f} > {after / 1000:.1f}" if before >= LEAST else ""


def _moves(planned: int, served: int) -> str:
    """By profile and as it came; empty where there is as good as nothing of both."""
    return f"{planned / 1000:.1f} > {served / 1000:.1f}" if max(planned, served) >= LEAST else ""


def _some(watts: int) -> str:
    return f"{watts / 1000:.1f}" if watts >= LEAST else ""


def _kwh(watts: int) -> str:
    return f"{watts / 1000:,.1f}"
