"""`gossip-ws simulate --sweep`: many trials, on all cores or on a Dask cluster, into one table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import click

from gossip_ws.devices.cli_output import Progress, laboratory, say_json
from gossip_ws.kernel.errors import LocalError
from gossip_ws.lab import journal, runs
from gossip_ws.lab.sweep import Point, Sweep
from gossip_ws.lab.trial import Summary, Trial

_SLOWEST = 0.2
"""Seconds between two lines of progress."""


def sweep(
    task: Sweep,
    simulator: runs.Simulator,
    *,
    output: Path | None,
    plot: Path | None,
    scheduler: str,
    as_json: bool,
) -> None:
    """Run what is not done yet, and say what came of it.

    Without `output` nothing is kept while it runs, and the table goes to standard output. Raises LocalError, before
    anything is written: nobody at `scheduler`, a file that cannot be, or the journal of another sweep.
    """
    for variant in {point.trial.variant for point in task.points}:
        # What it does not have is told now, not after hours.
        simulator(Trial(2, 1, 1, variant=variant), 1, 0)
    if plot is not None:
        with laboratory():
            from gossip_ws.lab import drawing, sweep_picture
        sweep_picture.check(task.axes)
        drawing.check(plot)
    begin, kept = time.monotonic(), 0
    if output is None:
        found: dict[int, Summary] = {}
        _run(task, task.points, simulator, scheduler, lambda point, summary: found.update({point.number: summary}))
        rows = [journal.row(point, found[point.number]) for point in task.points]
    else:
        with journal.Journal(output, task) as book:
            kept = len(book.done)
            left = [point for point in task.points if point.number not in book.done]
            with _resumable(book):
                _run(task, left, simulator, scheduler, book.put)
            rows = book.rows()
            book.finish()
    if plot is not None:
        drawing.save(sweep_picture.draw(task, rows), plot)
    seconds = time.monotonic() - begin
    if output is None and as_json:
        for row in rows:
            say_json(row)
    elif output is None:
        journal.write(sys.stdout, rows)
    elif as_json:
        say_json({"file": str(output), "points": len(rows), "resumed": kept, "seconds": seconds})
    else:
        before = f", {kept} of them from before" if kept else ""
        click.echo(f"{output}: {len(rows)} points{before}; {seconds:.1f} s")


def _run(
    task: Sweep,
    points: Sequence[Point],
    simulator: runs.Simulator,
    scheduler: str,
    put: Callable[[Point, Summary], None],
) -> None:
    """Hand out each of the points as it is through, and tell how far it is."""
    if not points:
        return
    progress, before = Progress(), len(task.points) - len(points)
    progress.say("starting")
    try:
        with runs.cluster(scheduler) as client, closing(runs.run(client, points, simulator, task.repeat)) as found:
            begin = said = time.monotonic()
            for done, (point, summary) in enumerate(found, 1):
                put(point, summary)
                now = time.monotonic()
                if now - said >= _SLOWEST or done == len(points):
                    said = now
                    left = (now - begin) / done * (len(points) - done)
                    progress.say(f"{before + done} of {len(task.points)} points, {_span(left)} left")
    finally:
        progress.clear()


@contextmanager
def _resumable(book: journal.Journal) -> Iterator[None]:
    """What stops it in the middle is told with what is to be done then."""
    try:
        yield
    except KeyboardInterrupt:
        if book.done:
            click.echo(f"gossip-ws: {_kept(book)}", err=True)
        raise
    except LocalError as error:
        if not book.done:
            raise
        raise LocalError(f"{error}; {_kept(book)}") from None


def _kept(book: journal.Journal) -> str:
    return f"{len(book.done)} points are kept in {book.path}: the same command goes on from there"


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
