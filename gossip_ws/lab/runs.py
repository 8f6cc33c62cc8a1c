"""The points of a sweep, run by Dask: on every core of this machine, or on a cluster that is there already.

Dask schedules, moves work from one machine to another and repeats what a worker that died was doing. Knows nothing of
what is simulated, nor of files.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

import distributed
from dask import config
from dask.system import CPU_COUNT

from gossip_ws.kernel.errors import LocalError
from gossip_ws.lab.sweep import Point
from gossip_ws.lab.trial import Outcomes, Summary, Trial, summarise

Simulator = Callable[[Trial, int, int], Outcomes]
"""(trial, repeat, seed). Found by its name in a worker, so a function of a module."""

CONNECT: Final = 4.0
"""Seconds for a scheduler to answer, and then for it to have a worker."""
WINDOW: Final = 1_000
"""Points that Dask has at a time: more than any cluster of ours has cores, few enough to hold and to take back."""

# Runs in each worker before anything else: Ctrl-C in a terminal goes to all of its processes, and it is ours to stop
# the workers.
_DEAF: Final = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"

# In place of Dask's, which has the C library give back each large array to the system at once: as much time again went
# into getting it anew.
_ENVIRONMENT: Final = {"OMP_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1, "MKL_NUM_THREADS": 1}


@contextmanager
def cluster(scheduler: str = "") -> Iterator[Any]:
    """A dask.distributed Client of the scheduler at this address, or of one process a core of this machine.

    Raises LocalError: no scheduler answers there, or it has no worker.
    """
    # It logs, in its own words and several lines, what is told here in one.
    for name in ("distributed", "distributed.client", "distributed.gc"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if scheduler:
        with _remote(scheduler) as client:
            yield client
        return
    with (
        config.set({"distributed.nanny.pre-spawn-environ": _ENVIRONMENT}),
        distributed.LocalCluster(
            n_workers=CPU_COUNT,
            threads_per_worker=1,
            dashboard_address=None,
            host="127.0.0.1",
            preload=[_DEAF],
            silence_logs=logging.CRITICAL + 1,
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client


def run(client: Any, points: Sequence[Point], simulator: Simulator, repeat: int) -> Generator[tuple[Point, Summary]]:
    """Each point with its Summary, in the order in which they are through.

    A point whose worker dies is run again, on whatever worker there is; its seed is its own, so it comes to the same.
    Raises LocalError when the simulator refuses a point, when a point has killed several workers, or when the scheduler
    has gone.
    """
    waiting = iter(points)
    by_key: dict[str, Point] = {}

    def submit(point: Point) -> Any:
        future = client.submit(measure, simulator, point.trial, repeat, point.seed, pure=False)
        by_key[future.key] = point
        return future

    through = distributed.as_completed([submit(point) for point in islice(waiting, WINDOW)])
    try:
        for future in through:
            point = by_key.pop(future.key)
            yield point, _result(future, point)
            future.release()
            for following in islice(waiting, 1):
                through.add(submit(following))
    finally:
        client.cancel(list(through.futures), force=True)


def measure(simulator: Simulator, trial: Trial, repeat: int, seed: int) -> Summary:
    """What a worker does for one point."""
    begin = time.perf_counter()
    outcomes = simulator(trial, repeat, seed)
    return summarise(outcomes, time.perf_counter() - begin)


def _result(future: Any, point: Point) -> Summary:
    try:
        summary = future.result()
    except distributed.scheduler.KilledWorker:
        raise LocalError(f"{point.trial}: its workers died, one after another; too little memory?") from None
    except (distributed.CancelledError, OSError):
        # The latter while a result is on its way here; what the simulator itself raised is no loss of the scheduler.
        if future.status == "error":
            raise
        raise LocalError("the scheduler has gone") from None
    except ImportError as error:
        raise LocalError(f"a worker has another gossip_ws than this, or none: {error}") from None
    if not isinstance(summary, Summary):
        raise TypeError(f"{summary!r} is no Summary")
    return summary


@contextmanager
def _remote(scheduler: str) -> Iterator[Any]:
    try:
        client = distributed.Client(scheduler, timeout=CONNECT)
    except Exception:  # noqa: BLE001 - Dask takes a stranger's answer for its own words: MemoryError may come of it
        raise LocalError(f"--scheduler: no Dask scheduler answers at {scheduler!r}") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT)
        except TimeoutError:
            raise LocalError(f"--scheduler: the scheduler at {scheduler} has no worker") from None
        yield client
