"""The parent's end of one worker process of the city: started with an assignment, told commands, asked, killed.

Knows lines of JSON, and nothing of what they are about.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any, Final

from gossip_ws.devices.city_assignment import Assignment
from gossip_ws.kernel.errors import GossipError

_LINE_LIMIT: Final = 1 << 24


class CityError(GossipError):
    """The city did not come up; `reason` is for a person to read."""


class CityProcess:
    """One worker process. `assignment`: what it was told at its start."""

    def __init__(self, process: Process, assignment: Assignment) -> None:
        self.assignment = assignment
        self._process = process

    @classmethod
    async def start(cls, assignment: Assignment) -> CityProcess:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gossip_ws.devices.city_worker", stdin=PIPE, stdout=PIPE, limit=_LINE_LIMIT
        )
        worker = cls(process, assignment)
        await worker._tell(assignment.write())
        return worker

    async def opened(self) -> None:
        await self._reply()

    async def ask(self, command: str) -> Any:
        await self._tell(command)
        return await self._reply()

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _tell(self, line: str) -> None:
        if self._process.stdin is None:
            raise CityError("a worker has no input")
        self._process.stdin.write(line.encode() + b"\n")
        try:
            await self._process.stdin.drain()
        except ConnectionError:
            raise CityError("a worker process ended") from None

    async def _reply(self) -> Any:
        line = await self._process.stdout.readline() if self._process.stdout is not None else b""
        if not line:
            raise CityError("a worker process ended")
        reply = json.loads(line)
        if isinstance(reply, dict) and "error" in reply:
            raise CityError(str(reply["error"]))
        return reply
