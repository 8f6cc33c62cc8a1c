"""`gossip-ws pull-demand`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import click
from lxml import etree

from gossip_ws.client import GossipClient, Unanswered, wanted
from gossip_ws.devices import cli_output as output
from gossip_ws.devices.cli_demand_table import Pull, Row, Shown
from gossip_ws.devices.cli_entry import client_for, report_client
from gossip_ws.devices.cli_receipt import reporting
from gossip_ws.devices.cli_replies import print_replies, report_of
from gossip_ws.devices.doubt import Doubt
from gossip_ws.devices.reports import Names, names
from gossip_ws.filters.estimates import ESTIMATE
from gossip_ws.filters.report import REQUEST
from gossip_ws.filters.rows import AGGREGATES
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.kernel.names import METERING, qname
from gossip_ws.kernel.terms import Gathering, Wanted
from gossip_ws.net.multicast import Group

_MAX_FILTER: Final = 8_192


@click.command(
    "pull-demand",
    epilog="""\b
Example:
  gossip-ws pull-demand http://10.1.0.1:8080 --day 2026-11-21 --group-by category
  gossip-ws pull-demand --scope grid://city/ssc-3 --filter max --periods 1,3
  gossip-ws pull-demand --scope grid://city/ssc-3 --all
  gossip-ws pull-demand http://10.1.0.1:8080 --gathering spread --filter estimate
  gossip-ws pull-demand http://10.1.0.1:8080 --filter demand-sum.xslt --every 60 --csv demand.csv
""",
)
@click.argument("url", default="")
@click.option("--day", help="YYYY-MM-DD; today in UTC without it.")
@click.option("--scope", "scopes", multiple=True, help="The area; without URL, also where a device is looked for.")
@click.option("--periods", default="1,2,3", show_default=True, help="Which of the day's 8-hour periods to print.")
@click.option("--filter", "filter_", default="", help="sum, max, min, mean, count, set, estimate, or an XSLT file.")
@click.option(
    "--gathering",
    type=click.Choice([one.value for one in Gathering]),
    help="spread: without a tree, by exchange between neighbours; for max, min, set and estimate.",
)
@click.option(
    "--group-by", default="", help="One row for each value of this key: category. Of sums, unless --filter says other."
)
@click.option("--all", "every_reply", is_flag=True, help="Every device's own demand, a line each.")
@click.option("--min-replies", type=click.IntRange(0), help="Answer as soon as so many contributed.")
@click.option("--min-group", type=click.IntRange(1), help="Answer only when at least so many contributed.")
@output.timeout
@click.option("--every", type=output.Number(min=0.1), help="Pull again after so many seconds, until interrupted.")
@click.option("--times", type=click.IntRange(1), help="So often at most; with --every.")
@click.option("--missing", is_flag=True, help="Tell by name who is missing, failed, late or uncertain.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Append a line a row to this file.")
@output.spread
@output.credentials
@click.option("--interface", "interfaces", multiple=True, help="Where to look for a device, without URL.")
@click.option("--port", type=click.IntRange(1, 65_535), default=Group().port, help="Discovery's port, without URL.")
@output.as_json
def pull_demand(
    url: str,
    day: str | None,
    scopes: Sequence[str],
    periods: str,
    filter_: str,
    gathering: str | None,
    group_by: str,
    every_reply: bool,
    min_replies: int | None,
    min_group: int | None,
    timeout: float | None,
    every: float | None,
    times: int | None,
    missing: bool,
    csv_file: Path | None,
    types: Sequence[str],
    fanout: int | None,
    rounds: int | None,
    user: str,
    password_file: Path | None,
    interfaces: Sequence[str],
    port: int,
    as_json: bool,
) -> None:
    """Pull the demand of an area through the device at URL (its address, or its Metering service's).

    With --all each device's own demand is printed as it comes, part after part; with --json as a list.

    Prints each period's value and what it is worth: how many devices contributed, were expected, are missing or
    failed, and where the value could lie if they were counted. Exit code 0 when every pull was answered with
    somebody's value, whoever is missing; 1 when not.
    """
    if not url and not scopes:
        raise LocalError("a URL, or a --scope in which a device is looked for")
    if times is not None and every is None:
        raise LocalError("--times goes with --every")
    if every_reply and (filter_ or gathering or group_by or csv_file is not None or every is not None or missing):
        raise LocalError("--all goes without --filter, --gathering, --group-by, --csv, --every and --missing")
    if missing and gathering == Gathering.SPREAD:
        raise LocalError("by spread nobody is counted, so nobody can be named: --missing goes with a tree")
    asked = wanted(
        filter=_filter(filter_ or ("sum" if group_by else "")),
        group_by=group_by,
        scopes=scopes,
        types=map(output.type_name, types),
        fanout=fanout,
        rounds=rounds,
        timeout=timeout,
        min_replies=min_replies,
        min_group=min_group,
        gathering=Gathering(gathering) if gathering is not None else None,
    )
    chosen = _day(day) if day is not None else None
    show = Shown(_periods(periods), as_json, csv_file)
    secret = output.password(password_file, user)
    client = client_for(
        url,
        qname(METERING, "Metering"),
        scopes=scopes,
        interfaces=interfaces,
        group=Group(port=port),
        user=user,
        password=secret,
        timeout=None,
    )
    with ExitStack() as open_clients:
        open_clients.callback(client.close)
        reports = None
        if missing:
            reports = report_client(client, user=user, password=secret)
            open_clients.callback(reports.close)
        doubt = Doubt.of(client.advertised.get("GetDemand"), asked.filter, qname(METERING, "energyWh"))

        def pull(today: date) -> Pull:
            pulled = _pull(client, today, asked)
            # Of what nobody counted nobody can say what the others would change.
            return pulled if pulled.is_spread else replace(_named(pulled, reports, asked), doubt=doubt)

        if every_reply:
            good = print_replies(client, chosen or datetime.now(UTC).date(), asked, show.periods, as_json)
        else:
            good = _repeat(pull, chosen, show, every, times or (1 if every is None else None))
    if not good:
        click.get_current_context().exit(1)


def _repeat(
    pull: Callable[[date], Pull], day: date | None, show: Shown, every: float | None, times: int | None
) -> bool:
    """Pull `times` times, None for ever; was each answered? An interruption ends it like any other end."""
    good, number, due = True, 0, time.monotonic()
    try:
        while True:
            today = day or datetime.now(UTC).date()
            pulled = pull(today)
            show(today, pulled)
            good &= pulled.is_good
            number += 1
            if every is None or number == times:
                return good
            # Counted from the first one, so that it does not drift; what was missed is not made up for.
            due = max(due + every, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
    except KeyboardInterrupt:
        return good and number > 0


def _pull(client: GossipClient, day: date, asked: Wanted) -> Pull:
    at, began = datetime.now(UTC), time.perf_counter()
    rows: tuple[Row, ...] = ()
    error, report = "", None
    try:
        answer = client.call("GetDemand", day, wanted=asked)
        report = answer.report
        payload = answer.envelope.payload if answer.envelope is not None else None
        rows = _rows(payload) if payload is not None else ()
    except RemoteError as refused:
        error, report = f"{refused.fault.subcode.rpartition('}')[2]}: {refused.fault.reason}", report_of(client)
    except Unanswered as silent:
        error = str(silent)
    return Pull(at, time.perf_counter() - began, rows, report, error)


def _named(pull: Pull, reports: GossipClient | None, asked: Wanted) -> Pull:
    """With the names of those that it left out. A pull that left nobody out asks nobody."""
    if reports is None or pull.report is None:
        return pull
    lacking = pull.report.expected - pull.report.contributors
    if not lacking:
        return replace(pull, names=Names(()))
    same = reporting(reports, asked, asked.timeout)
    return replace(pull, names=names(reports, pull.report.id, REQUEST, same, lacking))


def _rows(payload: etree._Element) -> tuple[Row, ...]:
    """By the names of the service's rows, as text: a mean has digits that a count has not."""
    return tuple(
        Row(
            (row.findtext(qname(METERING, "category")) or "").strip(),
            tuple((value.text or "").strip() for value in row.findall(qname(METERING, "energyWh"))),
        )
        for row in payload.iter(qname(METERING, "Demand"))
    )


def _filter(written: str) -> str:
    """A name as it is, a file's text. Raises LocalError."""
    if not written or written in (*AGGREGATES, ESTIMATE):
        return written
    try:
        with Path(written).open("rb") as stream:
            octets = stream.read(_MAX_FILTER + 1)
    except OSError as error:
        names = ", ".join((*AGGREGATES, ESTIMATE))
        raise LocalError(f"--filter: neither one of {names} nor a file: {written}: {error.strerror}") from None
    if len(octets) > _MAX_FILTER:
        raise LocalError(f"--filter: {written}: more than {_MAX_FILTER} octets")
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LocalError(f"--filter: {written}: not text in UTF-8") from None
    if "<" not in text:
        raise LocalError(f"--filter: {written}: not a stylesheet")
    return text


def _periods(written: str) -> tuple[int, ...]:
    """`1,3` as indices. Raises LocalError."""
    numbers = [part.strip() for part in written.split(",")]
    if not set(numbers) <= {"1", "2", "3"} or len(set(numbers)) < len(numbers):
        raise LocalError(f"--periods: some of 1,2,3: {written!r}")
    return tuple(int(number) - 1 for number in numbers)


def _day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise LocalError(f"--day: not YYYY-MM-DD: {written!r}") from None
