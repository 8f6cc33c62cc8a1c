"""`gossip-ws pull-demand --all`: every device's own reply, printed while further parts are still to come."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import click

from gossip_ws.client import GossipClient, Report, Single, Unanswered
from gossip_ws.kernel.errors import Fault, GossipError, RemoteError
from gossip_ws.kernel.names import split
from gossip_ws.kernel.terms import Wanted

TALLY: Final = ("contributors", "expected", "missing", "failed", "late", "uncertain")


def told_in_words(report: Report) -> str:
    """What an answer stands for, in one line."""
    return ", ".join(f"{name} {getattr(report, name)}" for name in TALLY)


def print_replies(client: GossipClient, day: date, asked: Wanted, periods: Sequence[int], as_json: bool) -> bool:
    """One line a device; with `as_json` one list, an element a line, and the rest on standard error.

    What came before an answer broke off is printed. Was it whole, and did anybody contribute?
    """
    began, good, separator = time.perf_counter(), True, "["
    try:
        for single in client.replies("GetDemand", day, wanted=asked):
            if as_json:
                click.echo(f"{separator}{json.dumps(_object(single, periods))}", nl=False)
                separator = ",\n "
            else:
                click.echo(_line(single, periods))
            sys.stdout.flush()
    except RemoteError as refused:
        good = False
        _complain(_reason(refused.fault))
    except Unanswered as silent:
        good = False
        _complain(str(silent))
    if as_json:
        click.echo("[]" if separator == "[" else "]")
    report = report_of(client)
    if report is not None:
        click.echo(f"{told_in_words(report)}; {time.perf_counter() - began:.2f} s", err=as_json)
    return good and report is not None and report.contributors > 0


def _line(single: Single, periods: Sequence[int]) -> str:
    if isinstance(single.value, Fault):
        return f"{single.device}  {_reason(single.value)}"
    rows = (f"{category} {' '.join(map(str, values))}" for category, values in _rows(single.value, periods))
    return f"{single.device}  {'; '.join(rows)}"


def _object(single: Single, periods: Sequence[int]) -> dict[str, Any]:
    if isinstance(single.value, Fault):
        return {"device": single.device, "error": _reason(single.value)}
    rows = [{"category": category, "value_wh": values} for category, values in _rows(single.value, periods)]
    return {"device": single.device, "periods": [number + 1 for number in periods], "rows": rows}


def _rows(value: Any, periods: Sequence[int]) -> list[tuple[str, list[int]]]:
    return [(row.category, [int(row.energyWh[number]) for number in periods]) for row in value or ()]


def _reason(fault: Fault) -> str:
    return f"{split(fault.subcode)[1]}: {' '.join(fault.reason.split())}"


def _complain(what: str) -> None:
    click.echo(f"gossip-ws: {' '.join(what.split())}", err=True)


def report_of(client: GossipClient) -> Report | None:
    """What the last reply stands for, where that can be read."""
    try:
        return client.header.report
    except GossipError:
        return None
