"""`gossip-ws city`: builds the city, and says as a table or as JSON what came of it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import click

from gossip_ws.devices.city import DAY, DAYS, GRID, MOST_DAYS, PRICES, TIERS, City, CityPlan, CityReport, PullReport
from gossip_ws.devices.city_balance import DAY as BALANCED
from gossip_ws.devices.city_balance import ROUND
from gossip_ws.devices.city_balance_table import lines as balance_lines
from gossip_ws.devices.city_metering import lines as metering_lines
from gossip_ws.devices.city_process import CityError
from gossip_ws.devices.city_routing import EnergyReport
from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.rumours import FANOUT


@click.command(
    epilog="""\b
Example:
  gossip-ws city --meters 540 --seed 1
  gossip-ws city --meters 20 --seed 7 --json | jq .push.seconds_all
  gossip-ws city --meters 100 --loss 0.1 --crash 0.05
  gossip-ws city --meters 60 --routing --prosumers 12 --tick 1
  gossip-ws city --meters 40 --balance --loss 0.1
  gossip-ws city --meters 20 --balance --flexible --json | jq .balance.phases[0].areas[].moved
  gossip-ws city --meters 40 --balance --overstate 0.3 --days 8
"""
)
@click.option("--meters", type=click.IntRange(1), default=540, show_default=True, help="Smart meters in the city.")
@click.option("--seed", type=int, default=1, show_default=True, help="Which areas, and how devices differ.")
@click.option("--grid", default=GRID, show_default=True, help="A shipped grid's code, or an imported file.")
@click.option("--day", help=f"The day whose demand is announced: {DAY}, with --balance {BALANCED}.")
@click.option(
    "--processes", type=click.IntRange(1, 64), default=2, show_default=True, help="For the substations' areas."
)
@click.option("--loss", type=float, default=0.0, show_default=True, help="Share of all datagrams that get lost.")
@click.option(
    "--crash",
    type=float,
    default=0.0,
    show_default=True,
    help="Share of devices that goes down after the first pull, before the push.",
)
@click.option("--routing", is_flag=True, help="Meters route energy among themselves afterwards, by gossiped gradients.")
@click.option("--prosumers", type=int, default=12, show_default=True, help="With --routing: how many meters do.")
@click.option(
    "--tick", type=float, default=1.0, show_default=True, help="With --routing: seconds between two wake-ups."
)
@click.option("--fanout", type=int, default=FANOUT, show_default=True, help="With --routing: envelopes of a tick.")
@click.option("--balance", is_flag=True, help="Meters agree afterwards who gives what to whom, hour by hour.")
@click.option(
    "--flexible",
    is_flag=True,
    help="With --balance: cars, heat pumps and batteries agree too, as devices of their own that wait and store.",
)
@click.option(
    "--round",
    type=float,
    default=ROUND,
    show_default=True,
    help="With --balance: seconds that messages take.",
)
@click.option(
    "--overstate",
    type=float,
    default=0.0,
    help="With --balance, and no faults: share of the meters that give anything which announces twice of it.",
)
@click.option(
    "--days",
    type=click.IntRange(1, MOST_DAYS),
    default=DAYS,
    show_default=True,
    help="With --overstate: so many; each evening the meters tell what they have seen.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def city(as_json: bool, routing: bool, **asked: Any) -> None:
    """Run a city of real devices on this machine: push a tariff, pull the demand.

    Every device has its own loopback address and speaks SOAP over real sockets. Exit code 0 only if every
    device has the tariff and each pulled value is exactly the sum over everybody; with loss or crashes, if every
    device that is live and connected has the tariff and each value is exactly the sum over its contributors, with
    everyone else accounted for. With --balance also only if in each of its phases everything was matched that could be
    (with --flexible at least 0.99 of it), the devices' ledgers keep all promises, and what was pulled of each area is
    what its ledgers say. With --overstate if whoever overstates was noticed and nobody else was, the ledgers keep all
    promises, and less was promised in vain on the last day than on the first.
    """
    show = _Progress(sys.stderr.isatty())
    try:
        asked["prosumers"] *= routing
        asked["day"] = asked["day"] or (BALANCED if asked["balance"] else DAY)
        report = asyncio.run(_run(CityPlan(**asked), show.say))
    except LocalError as error:
        show.clear()
        raise click.UsageError(str(error)) from None
    except CityError as error:
        show.clear()
        click.echo(f"gossip-ws city: {error}", err=True)
        sys.exit(1)
    show.clear()
    click.echo(json.dumps(asdict(report)) if as_json else table(report))
    sys.exit(0 if report.is_good else 1)


async def _run(plan: CityPlan, progress: Callable[[str], None]) -> CityReport:
    async with City(plan, progress) as built:
        return await built.run()


class _Progress:
    """One line on a terminal's standard error, written over; nothing anywhere else."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown

    def say(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def table(report: CityReport) -> str:
    """What a person reads."""
    push = report.push
    lines = [
        "devices    "
        + "  ".join(f"{tier} {report.devices[tier]}" for tier in TIERS.values())
        + f"  (all {report.total} on sockets of their own)",
        *_faults(report),
        "",
        f"tariff     pushed at the information system by a plain SOAP client: {' / '.join(PRICES)} EUR/kWh",
        f"           reached {push.reached} of {push.live}"
        f"   half after {_seconds(push.seconds_half)}   all after {_seconds(push.seconds_all)}",
        f"           {push.envelopes} envelopes sent, {push.duplicates} of them duplicates where they arrived",
        "",
        *_demand(report.pull_before, report.pull),
        "",
        "           " + _worth("before", report.pull_before),
        "           " + _worth("after", report.pull),
        "",
        *_legacy(report.legacy),
        *_energy(report.energy),
        *(("", *balance_lines(report.balance)) if report.balance is not None else ()),
        *(("", *metering_lines(report.metering)) if report.metering is not None else ()),
        "",
        "verdict    " + _verdict(report),
    ]
    return "\n".join(lines)


def _faults(report: CityReport) -> Iterable[str]:
    if any(report.faults.values()):
        yield (
            f"faults     {report.faults['loss']:.1%} of datagrams lost; after the first pull"
            f" {report.devices['crashed']} crashed, {report.devices['unreachable']} unreachable below them"
        )


def _energy(report: EnergyReport | None) -> Iterable[str]:
    if report is None:
        return
    yield ""
    yield (
        f"energy     {report.prosumers} meters route over {report.links} links by gossiped gradients:"
        f" {report.envelopes:g} envelopes a device and tick of {report.tick:g} s, {report.fanout} at most"
    )
    for phase in (report.start, *report.phases):
        pulled = "" if phase.pulled_cost is None else f"   pulled {phase.pulled_cost:.2f}"
        when = "" if phase.settled is None else f" (to 1 % in {phase.settled:.0f} ticks, {phase.told:.0f} messages)"
        yield (
            f"           cost {phase.cost:9.2f}, within {phase.gap:6.1%} of the best, fullest link"
            f" {phase.max_utilisation:4.0%}{pulled}   {phase.what}{when}"
        )
    for link, load, capacity in next((phase.congested for phase in reversed(report.phases) if phase.congested), [])[:3]:
        yield f"           link {link:>5}  {load:8.1f} of {capacity:.1f} kb"


def _verdict(report: CityReport) -> str:
    if not report.is_good:
        return "NOT AS IT SHOULD BE"
    agreed = ", all that could be is agreed and no promise broken" if report.balance is not None else ""
    if report.metering is not None:
        agreed = ", who overstates is believed less and no promise broken"
    if any(report.faults.values()):
        return "all live and connected have the tariff, every sum is exact over its contributors" + agreed
    return "everyone has the tariff, every sum is exact" + agreed


def _legacy(found: dict[str, bool]) -> Iterable[str]:
    for held, said in ((True, "finds the new tariff"), (False, "DOES NOT FIND the new tariff")):
        tiers = [tier for tier, has in found.items() if has is held]
        if tiers:
            yield f"legacy     a plain SOAP client {said} at the original address of {', '.join(tiers)}"


def _demand(before: PullReport, after: PullReport) -> Iterable[str]:
    yield f"{'demand Wh':<11}" + "".join(
        f"{title:>14}" for title in ("pulled before", "truth", "pulled after", "truth", "shift")
    )
    for number, period in enumerate(after.periods):
        was, now = _at(before.value_wh, number), _at(after.value_wh, number)
        shift = f"{now - was:+,}" if was is not None and now is not None else "-"
        cells = (_wh(was), _wh(before.truth_wh[number]), _wh(now), _wh(after.truth_wh[number]), shift)
        yield f"{period + ' h':<11}" + "".join(f"{cell:>14}" for cell in cells)


def _worth(when: str, pull: PullReport) -> str:
    # Rare, and nothing to read about where there are none.
    rare = "".join(f", {count} {name}" for name, count in (("uncertain", pull.uncertain), ("late", pull.late)) if count)
    return (
        f"{when + ':':<8}{pull.contributors} contributed of {pull.expected} expected,"
        f" {pull.missing} missing, {pull.failed} failed{rare}, in {pull.seconds:.2f} s"
    )


def _at(values: Sequence[int] | None, number: int) -> int | None:
    return values[number] if values is not None else None


def _wh(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"
