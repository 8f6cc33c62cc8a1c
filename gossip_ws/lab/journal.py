"""What a sweep has found so far, on disk, so that one that was stopped goes on; and the table that it becomes.

FILE.part holds one JSON value a line: first what the sweep is, then a point with its Summary as each comes. It is only
appended to; a last line without its end is what a kill left, and is cut off. FILE itself appears whole or not at all.
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any, Final, Self

from gossip_ws import __version__
from gossip_ws.kernel.errors import LocalError
from gossip_ws.lab.sweep import Point, Sweep
from gossip_ws.lab.trial import Coverage, Rounds, Summary, Trial

FORMAT: Final = "gossip-ws sweep 1"
COLUMNS: Final = (
    *(one.name for one in fields(Trial)),
    "seed",
    "coverage_mean",
    "coverage_p1",
    "coverage_minimum",
    "all_reached",
    "rounds_median",
    "rounds_p99",
    "envelopes_per_delivery",
    "rmr",
    "repeat",
    "seconds",
)
_LONGEST: Final = 64 << 20
"""Octets of the first line: the values of the axes are 100,000 at most."""

Row = dict[str, Any]


class Journal:
    """The open FILE.part of one sweep. `done`: the Summary of each point that is through, by its number.

    Locked while it is open: two of the same sweep would do everything twice. Raises LocalError: it cannot be opened, is
    no journal, is another sweep's, or is in use; then it is left as it was.
    """

    def __init__(self, output: Path, sweep: Sweep) -> None:
        if output.is_dir():
            raise LocalError(f"--output: a folder: {output}")
        self._output, self._sweep = output, sweep
        self.path = output.with_name(output.name + ".part")
        self._identity = {"format": FORMAT, "version": __version__, **sweep.identity()}
        self.done: dict[int, Summary] = {}
        try:
            self._file: IO[bytes] = self.path.open("a+b")
        except OSError as error:
            raise LocalError(f"--output: {self.path}: {error.strerror}") from None
        try:
            self._take()
        except BaseException:  # interrupted too: the lock must not stay
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *of: object) -> None:
        if not self.done:
            self.path.unlink(missing_ok=True)
        self._file.close()

    def put(self, point: Point, summary: Summary) -> None:
        """Keep one point's figures."""
        if not self.done:
            self._file.truncate(0)
            self._write(self._identity)
        self._write({"point": point.number, "summary": summary.record()})
        self.done[point.number] = summary

    def finish(self) -> None:
        """Write the table in the order of the points and drop the journal. Every point has to be done."""
        whole = self._output.with_name(self._output.name + ".new")
        try:
            with whole.open("w", encoding="ascii", newline="") as stream:
                write(stream, self.rows())
                stream.flush()
                os.fsync(stream.fileno())
            whole.replace(self._output)
            self.path.unlink()
        except OSError as error:
            raise LocalError(f"{self._output}: {error.strerror}") from None

    def rows(self) -> list[Row]:
        """The points that are done, in their order."""
        return [row(point, self.done[point.number]) for point in self._sweep.points if point.number in self.done]

    def _take(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LocalError(f"{self.path}: another sweep is writing it") from None
        self._file.seek(0)
        first = self._file.readline(_LONGEST)
        if not first.endswith(b"\n"):
            # New, or stopped before anything was found; but somebody else's file is never cut.
            if first and not json.dumps(self._identity).encode("ascii").startswith(first):
                raise LocalError(f"{self.path}: not the journal of a sweep")
            return
        told = _object(first)
        if told is None or told.get("format") != FORMAT:
            raise LocalError(f"{self.path}: not the journal of a sweep")
        if told != json.loads(json.dumps(self._identity)):
            raise LocalError(f"{self.path}: of a sweep with other parameters; finish that one, or remove the file")
        self._read()

    def _read(self) -> None:
        end = self._file.tell()
        for number, line in enumerate(self._file, 2):
            if not line.endswith(b"\n"):
                break
            try:
                told = json.loads(line)
                at, summary = int(told["point"]), _summary(told["summary"])
            except (ValueError, TypeError, KeyError):
                raise LocalError(f"{self.path}: line {number} is no point of a sweep") from None
            if not 0 <= at < len(self._sweep.points):
                raise LocalError(f"{self.path}: line {number} is no point of this sweep")
            self.done[at] = summary
            end += len(line)
        self._file.truncate(end)

    def _write(self, value: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(value).encode("ascii") + b"\n")
            self._file.flush()
        except OSError as error:
            raise LocalError(f"{self.path}: {error.strerror}") from None


def row(point: Point, summary: Summary) -> Row:
    """One line of the table: the trial's values, the seed that `simulate --seed` takes for it alone, the figures."""
    flat: Row = {**asdict(point.trial), "seed": point.seed}
    for name, value in summary.record().items():
        if isinstance(value, dict):
            flat.update({f"{name}_{inner}": figure for inner, figure in value.items()})
        else:
            flat[name] = value
    return {name: flat[name] for name in COLUMNS}


def write(stream: IO[str], rows: Sequence[Row]) -> None:
    """The table as CSV (RFC 4180), its names first."""
    table = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _summary(record: Mapping[str, Any]) -> Summary:
    return Summary(**{**record, "coverage": Coverage(**record["coverage"]), "rounds": Rounds(**record["rounds"])})
