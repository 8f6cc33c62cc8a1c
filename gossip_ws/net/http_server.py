"""An HTTP/1.1 server for one device: the listening socket, and how many connections there may be."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.net.counters import Counters
from gossip_ws.net.http_connection import Connection, ServerLimits, State
from gossip_ws.net.interfaces import socket_address
from gossip_ws.net.udp import family
from gossip_ws.ports import Handle

_BACKLOG = 128


class HttpServer:
    """Serves `handle` on one address; `open` before anything else."""

    def __init__(self, handle: Handle, counters: Counters, limits: ServerLimits | None = None) -> None:
        self.handle: Final = handle
        self.counters: Final = counters
        self.limits: Final = limits or ServerLimits()
        self.connections: Final[dict[Connection, None]] = {}
        self.closing = False
        self._server: asyncio.Server | None = None
        self._address: Address | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._drained = asyncio.Event()

    @property
    def address(self) -> Address:
        """Where it listens. Raises LocalError before `open`."""
        if self._address is None:
            raise LocalError("the HTTP server is not open")
        return self._address

    async def open(self, host: str, port: int) -> None:
        """Listen; port 0 lets the system choose, and a link-local host has its zone. Raises LocalError when the
        address cannot be had."""
        sock = socket.socket(family(host), socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            # A restarted device gets its port back while old connections are in TIME_WAIT.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(socket_address(host, port))
            sock.listen(_BACKLOG)
        except OSError as error:
            sock.close()
            raise LocalError(f"cannot listen on {Address(Binding.HTTP, host, port)}: {error.strerror}") from None
        self._address = Address(Binding.HTTP, host.partition("%")[0], sock.getsockname()[1])
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), sock=sock, backlog=_BACKLOG)

    async def close(self, grace: float = 1.0) -> None:
        """Stop listening, give requests in hand `grace` seconds to be responded to, then cut what is left."""
        if self._server is None:
            return
        self.closing = True
        self._server.close()
        self._server = None
        for connection in tuple(self.connections):
            connection.finish()
        if self.connections:
            try:
                await asyncio.wait_for(self._drained.wait(), grace)
            except TimeoutError:
                for connection in tuple(self.connections):
                    connection.abort()
                # The transports release their sockets in the next turn of the loop.
                await asyncio.sleep(0)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def admit(self, connection: Connection) -> bool:
        """Count the connection in. At the limit the longest idle one goes; if none is idle, this one does."""
        if len(self.connections) >= self.limits.connections:
            idle = next((c for c in self.connections if c.state is State.IDLE), None)
            if idle is None:
                return False
            idle.abort()
            self.leave(idle)
        self.connections[connection] = None
        if self._sweeper is None:
            self._schedule_sweep()
        return True

    def rest(self, connection: Connection) -> None:
        """Move an idle connection to the end of the order in which they go."""
        if connection in self.connections:
            del self.connections[connection]
            self.connections[connection] = None

    def leave(self, connection: Connection) -> None:
        self.connections.pop(connection, None)
        if self.closing and not self.connections:
            self._drained.set()

    def _schedule_sweep(self) -> None:
        # One timer a server instead of one a connection: deadlines move with every request.
        limits = self.limits
        interval = min(1.0, min(limits.receive, limits.idle, limits.hold, limits.linger) / 4)
        self._sweeper = asyncio.get_running_loop().call_later(interval, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = asyncio.get_running_loop().time()
        for connection in tuple(self.connections):
            if connection.deadline <= now:
                connection.overdue()
        if self.connections:
            self._schedule_sweep()
