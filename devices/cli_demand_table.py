"""How what `gossip-ws pull-demand` has pulled is shown: as a table, as a line of JSON, and in a CSV file beside.

Asks nobody and computes nothing; whoever pulls hands it a Pull at a time.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Final

import click

from gossip_ws.client import Report
from gossip_ws.devices import cli_output as output
from gossip_ws.devices.cli_estimate import say_worth, worth_object
from gossip_ws.devices.cli_receipt import names_object, say_names
from gossip_ws.devices.cli_replies import TALLY, told_in_words
from gossip_ws.devices.doubt import Doubt, Range
from gossip_ws.devices.reports import Names
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Gathering

PERIODS: Final = ("00-08", "08-16", "16-24")


@dataclass(frozen=True, slots=True)
class Row:
    """One category, and its value in each period as the filter made it."""

    category: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pull:
    """What one pull gave. `error`: why there are no rows."""

    at: datetime
    seconds: float
    rows: tuple[Row, ...]
    report: Report | None
    error: str = ""
    names: Names | None = None
    """Whom it left out, if that was asked."""
    doubt: Doubt | None = None
    """What they could change."""

    @property
    def lacking(self) -> int:
        """Devices that were expected and are not counted."""
        return self.report.expected - self.report.contributors if self.report is not None else 0

    @property
    def no_doubt(self) -> str:
        """Why it is not known what they could change; empty when it is."""
        return self.doubt.why if self.doubt is not None else ""

    @property
    def is_good(self) -> bool:
        """Did anybody contribute? By exchange nobody counts, but then an answer has somebody's value in it."""
        if self.error or self.report is None:
            return False
        return self.report.contributors > 0 or self.is_spread

    @property
    def is_spread(self) -> bool:
        """Was it gathered by exchange, and is not exact?"""
        return self.report is not None and self.report.gathering is Gathering.SPREAD


class Shown:
    """Prints pulls: as a table, as a line of JSON each, and into a CSV file beside."""

    def __init__(self, periods: tuple[int, ...], as_json: bool, csv_file: Path | None) -> None:
        self.periods = periods
        self._as_json = as_json
        self._csv = csv_file
        if csv_file is not None:
            # A file that cannot be written is told before anybody is asked.
            self._append(csv_file, [])

    def __call__(self, day: date, pull: Pull) -> None:
        if self._csv is not None:
            self._append(self._csv, self._lines(day, pull))
        if self._as_json:
            output.say_json(self._object(day, pull))
            return
        if pull.error:
            click.echo(f"gossip-ws: {' '.join(pull.error.split())}", err=True)
        elif pull.rows:
            width = max(12, *(len(row.category) + 2 for row in pull.rows))
            head = "".join(f"{PERIODS[number]:>16}" for number in self.periods)
            click.echo(f"{day}  {'Wh':{width}}{head}")
            for row in pull.rows:
                click.echo(f"{'':12}{row.category:{width}}{''.join(f'{value:>16}' for value in self._chosen(row))}")
                self._say_doubt(pull, row, width)
        if pull.report is not None and pull.is_spread:
            say_worth(pull.report, self.periods, pull.seconds)
        elif pull.report is not None:
            click.echo(f"{told_in_words(pull.report)}; {pull.seconds:.2f} s")
        if pull.rows and pull.lacking and pull.no_doubt:
            click.echo(f"what the {pull.lacking} not counted could change is not known: {pull.no_doubt}")
        if pull.names is not None:
            say_names("not counted", pull.names)

    def _say_doubt(self, pull: Pull, row: Row, width: int) -> None:
        found = self._ranges(pull, row)
        if pull.lacking and found is not None:
            for word, side in (("at least", 0), ("at most", 1)):
                click.echo(f"{'':12}{word:>{width}}{''.join(f'{one[side] if one else str():>16}' for one in found)}")

    def _ranges(self, pull: Pull, row: Row) -> list[Range | None] | None:
        """Of the periods that are shown."""
        if pull.report is None or pull.doubt is None:
            return None
        found = pull.doubt.ranges(pull.report, row.values)
        return None if found is None else [found[n] if n < len(found) else None for n in self.periods]

    def _chosen(self, row: Row) -> list[str]:
        return [row.values[number] if number < len(row.values) else "" for number in self.periods]

    def _object(self, day: date, pull: Pull) -> dict[str, Any]:
        report = pull.report
        return {
            "at": pull.at.isoformat(timespec="milliseconds"),
            "day": day.isoformat(),
            "periods": [number + 1 for number in self.periods],
            "rows": [
                {
                    "category": row.category,
                    "value_wh": [_number(value) for value in self._chosen(row)],
                    **self._bounds_object(pull, row),
                }
                for row in pull.rows
            ],
            **({"no_bounds": pull.no_doubt} if pull.no_doubt and pull.lacking else {}),
            **({"not_counted": names_object(pull.names)} if pull.names is not None else {}),
            **({name: getattr(report, name) for name in TALLY} if report is not None else {}),
            **(worth_object(report, self.periods) if report is not None else {}),
            "seconds": round(pull.seconds, 3),
            **({"error": pull.error} if pull.error else {}),
        }

    def _bounds_object(self, pull: Pull, row: Row) -> dict[str, Any]:
        """Nothing where nobody is left out: then the value is what it is. Nor where nobody is counted."""
        if not pull.lacking or pull.is_spread:
            return {}
        found = self._ranges(pull, row)
        return {"bounds_wh": None if found is None else [one and [*map(_number, one)] for one in found]}

    def _lines(self, day: date, pull: Pull) -> list[list[Any]]:
        told = [getattr(pull.report, name) if pull.report is not None else "" for name in TALLY]
        start = [pull.at.isoformat(timespec="milliseconds"), day.isoformat()]
        rows = pull.rows or (Row("", ()),)
        end = [f"{pull.seconds:.3f}", pull.error, pull.report.gathering.value if pull.report is not None else ""]
        estimate = pull.report.estimate if pull.report is not None else None
        end.append(f"{estimate.error:.4f}" if estimate is not None else "")
        return [[*start, row.category, *self._chosen(row), *told, *end] for row in rows]

    def _append(self, file: Path, lines: list[list[Any]]) -> None:
        """A head where the file is new. Raises LocalError when it cannot be written."""
        head = ["at", "day", "category", *(f"wh_{PERIODS[number]}" for number in self.periods)]
        head += [*TALLY, "seconds", "error", "gathering", "relative_deviation"]
        try:
            with file.open("a", newline="", encoding="utf-8") as stream:
                writer = csv.writer(stream)
                if stream.tell() == 0:
                    writer.writerow(head)
                writer.writerows(lines)
        except OSError as error:
            raise LocalError(f"{file}: {error.strerror}") from None


def _number(value: str) -> int | float | str:
    """As JSON has it; what a filter made that is no number stays text, and so do NaN and what is infinite."""
    try:
        return int(value)
    except ValueError:
        pass
    try:
        number = float(value)
    except ValueError:
        return value
    return number if isfinite(number) else value
