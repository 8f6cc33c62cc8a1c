"""Runners: hand jobs to the one worker process of this host process, and its results back.

A runner knows processes, time and queues, and nothing of what a job means. The worker starts with the first
job: a device that gets no stylesheet pays nothing for it. Whatever a job does to the worker, its outcome is
a `Failure` and the next job finds a fresh worker.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import Final, Protocol

from lxml import etree

from gossip_ws.filters.worker import FINAL_PASS, JOB, LEAVING, ONE_PASS, PARTIAL_PASS, READY, RESULT, WRONG

MAX_OUTPUT: Final = 16_384
"""Octets of what a filter makes."""
MEMORY: Final = 48 * 1024 * 1024
"""Octets that a worker may map beyond its start: some hundred times the largest document."""
TIMEOUT: Final = 1.0
"""Seconds for one job: about 5,000 times what ten replies take."""
_START: Final = 10.0
"""Seconds for a worker to get ready; 0.1 on an idle machine."""
_BACK_OFF_DOUBLINGS: Final = 6


class Passes(StrEnum):
    """How often a stylesheet is applied, and with which phases."""

    ONE = "one"
    PARTIAL = "partial"
    FINAL = "partial, then final"


_PASSES: Final = {Passes.ONE: ONE_PASS, Passes.PARTIAL: PARTIAL_PASS, Passes.FINAL: FINAL_PASS}


@dataclass(frozen=True, slots=True)
class Job:
    """`document` is what the first pass sees; `contributors` is all of them, for the final pass."""

    stylesheet: bytes
    document: bytes
    passes: Passes
    contributors: int

    def frame(self) -> bytes:
        head = JOB.pack(len(self.stylesheet), len(self.document), _PASSES[self.passes], self.contributors)
        return head + self.stylesheet + self.document


class Trouble(StrEnum):
    BUSY = "busy"
    """Not run: the queue is full, the worker is being restarted, or the runner is closed."""
    SLOW = "slow"
    """Killed: it took too long."""
    DIED = "died"
    """The worker ended over it."""
    WRONG = "wrong"
    """The stylesheet failed, or made no element or too much."""


@dataclass(frozen=True, slots=True)
class Failure:
    trouble: Trouble
    reason: str


Result = bytes | Failure


class Runner(Protocol):
    def submit(self, job: Job, done: Callable[[Result], None]) -> None:
        """`done` is called once, now or later, with the element made or why there is none. Never raises for a job."""

    def close(self) -> None:
        """End the worker. Jobs that wait fail as busy."""


class _Worker:
    """One worker process and the socket to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [
                        *(sys.executable, "-I", "-S", "-E", str(Path(__file__).with_name("worker.py"))),
                        *(str(Path(etree.__file__).parents[1]), str(MEMORY), str(MAX_OUTPUT)),
                    ],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    cwd=os.sep,
                    env={},
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                raise
        self.socket = ours
        self.pid: int = self._process.pid

    def kill(self) -> None:
        self.socket.close()
        self._process.kill()

    def reaped(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> None:
        """After `kill`: until the process is gone."""
        self._process.wait()


_DIED: Final = Failure(Trouble.DIED, "the filter ended its worker process")
_UNSTARTED: Final = Failure(Trouble.BUSY, "no filter worker could be started yet")


def _judged(status: int, payload: bytes) -> Result:
    return Failure(Trouble.WRONG, payload.decode(errors="replace")) if status & ~LEAVING == WRONG else payload


class BlockingRunner:
    """Sends and waits: for the simulator and for tests, where nothing else goes on in this thread.

    Restarts without back-off: a simulated run must not depend on how fast this machine is.
    """

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._worker: _Worker | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The worker's process id, None while there is none."""
        return None if self._worker is None else self._worker.pid

    def submit(self, job: Job, done: Callable[[Result], None]) -> None:
        done(Failure(Trouble.BUSY, "closed") if self._closed else self._run(job))

    def close(self) -> None:
        self._closed = True
        self._drop()

    def _run(self, job: Job) -> Result:
        worker = self._worker or self._start()
        if worker is None:
            return _UNSTARTED
        due = monotonic() + self._timeout
        try:
            worker.socket.settimeout(self._timeout)
            worker.socket.sendall(job.frame())
            status, payload = self._receive(worker, due)
        except TimeoutError:
            self._drop()
            return Failure(Trouble.SLOW, f"the filter took more than {self._timeout:g} s")
        except (OSError, EOFError):
            self._drop()
            return _DIED
        if status & LEAVING:
            self._drop()
        return _judged(status, payload)

    def _start(self) -> _Worker | None:
        with suppress(OSError, EOFError):
            self._worker = _Worker()
            if self._receive(self._worker, monotonic() + _START)[0] == READY:
                return self._worker
        self._drop()
        return None

    def _receive(self, worker: _Worker, due: float) -> tuple[int, bytes]:
        status, size = RESULT.unpack(self._exactly(worker, RESULT.size, due))
        if size > MAX_OUTPUT:
            raise EOFError
        return status, self._exactly(worker, size, due)

    @staticmethod
    def _exactly(worker: _Worker, size: int, due: float) -> bytes:
        received = b""
        while len(received) < size:
            left = due - monotonic()
            if left <= 0:
                raise TimeoutError
            worker.socket.settimeout(left)
            part = worker.socket.recv(size - len(received))
            if not part:
                raise EOFError
            received += part
        return received

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait()
            self._worker = None


class AsyncRunner:
    """Runs under the running event loop and never blocks it, but for starting a process (a few ms).

    One job at a time; at most `queue` jobs of `octets` octets together wait, what comes beyond fails as busy.
    A worker that dies is replaced after `back_off` seconds, twice as many for each further death (six times
    at most), until a job succeeds. `close` it before the loop ends.
    """

    def __init__(
        self, timeout: float = TIMEOUT, queue: int = 1_024, octets: int = 4 * 1024 * 1024, back_off: float = 0.1
    ) -> None:
        self._timeout = timeout
        self._limit = queue
        self._octets = octets
        self._back_off = back_off
        self._jobs: deque[tuple[Job, Callable[[Result], None]]] = deque()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None
        self._worker: _Worker | None = None
        self._killed: list[_Worker] = []
        self._deaths = 0
        self._not_before = 0.0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The worker's process id, None while there is none."""
        return None if self._worker is None else self._worker.pid

    def submit(self, job: Job, done: Callable[[Result], None]) -> None:
        if self._closed:
            done(Failure(Trouble.BUSY, "closed"))
        elif len(self._jobs) >= self._limit or self._waiting + len(job.document) > self._octets:
            done(Failure(Trouble.BUSY, "too many filters are waiting to be run"))
        else:
            self._jobs.append((job, done))
            self._waiting += len(job.document)
            if self._task is None or self._task.done():
                self._task = asyncio.get_running_loop().create_task(self._work())

    def close(self) -> None:
        self._closed = True
        while self._jobs:
            self._jobs.popleft()[1](Failure(Trouble.BUSY, "closed"))
        if self._task is not None and not self._task.done() and not self._task.get_loop().is_closed():
            # It drops the worker itself: its loop still watches the socket.
            self._task.cancel()
        else:
            self._drop()
        for worker in self._killed:
            worker.wait()
        self._killed.clear()

    async def _work(self) -> None:
        """Until no job waits: the task ends, the worker stays warm."""
        loop = asyncio.get_running_loop()
        while self._jobs:
            job, done = self._jobs.popleft()
            self._waiting -= len(job.document)
            try:
                result = await self._run(loop, job)
            except asyncio.CancelledError:
                self._drop()
                done(Failure(Trouble.BUSY, "closed"))
                raise
            # Through the loop: an error in what is done with one result must not end the others.
            loop.call_soon(done, result)

    async def _run(self, loop: asyncio.AbstractEventLoop, job: Job) -> Result:
        worker = self._worker or await self._start(loop)
        if worker is None:
            return _UNSTARTED
        try:
            async with asyncio.timeout(self._timeout):
                await loop.sock_sendall(worker.socket, job.frame())
                status, payload = await self._receive(loop, worker)
        except TimeoutError:
            self._died(loop)
            return Failure(Trouble.SLOW, f"the filter took more than {self._timeout:g} s")
        except (OSError, EOFError):
            self._died(loop)
            return _DIED
        self._deaths = 0
        if status & LEAVING:
            self._drop()
        return _judged(status, payload)

    async def _start(self, loop: asyncio.AbstractEventLoop) -> _Worker | None:
        """None while the back-off lasts, or when there was no starting it: no job is to blame."""
        if loop.time() < self._not_before:
            return None
        self._killed = [worker for worker in self._killed if not worker.reaped()]
        with suppress(OSError, EOFError):
            self._worker = _Worker()
            self._worker.socket.setblocking(False)
            async with asyncio.timeout(_START):
                if (await self._receive(loop, self._worker))[0] == READY:
                    return self._worker
        self._died(loop)
        return None

    async def _receive(self, loop: asyncio.AbstractEventLoop, worker: _Worker) -> tuple[int, bytes]:
        status, size = RESULT.unpack(await self._exactly(loop, worker, RESULT.size))
        if size > MAX_OUTPUT:
            raise EOFError
        return status, await self._exactly(loop, worker, size)

    @staticmethod
    async def _exactly(loop: asyncio.AbstractEventLoop, worker: _Worker, size: int) -> bytes:
        received = b""
        while len(received) < size:
            part = await loop.sock_recv(worker.socket, size - len(received))
            if not part:
                raise EOFError
            received += part
        return received

    def _died(self, loop: asyncio.AbstractEventLoop) -> None:
        self._drop()
        self._not_before = loop.time() + self._back_off * 2**self._deaths
        self._deaths = min(self._deaths + 1, _BACK_OFF_DOUBLINGS)

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            if self._closed:
                self._worker.wait()
            else:
                # Reaped later: the loop does not wait for it.
                self._killed.append(self._worker)
            self._worker = None
