"""One device address on real sockets: the Network that an endpoint is given outside of tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Priority
from gossip_ws.net.counters import Counters, Drop
from gossip_ws.net.http_client import ClientLimits, HttpClient
from gossip_ws.net.http_connection import ServerLimits
from gossip_ws.net.http_server import HttpServer
from gossip_ws.net.multicast import Group
from gossip_ws.net.udp import BUFFER, Pace, UdpSocket, bound_socket
from gossip_ws.ports import Frame, Handle, Response, datagram


class DeviceNetwork:
    """`ports.Network` of one device at `host`, and the listeners that feed its handler. `host` is a literal, a
    link-local one with its zone; what is told of it to others has no zone.

    `udp_port`, `http_port`: 0 lets the system choose, None leaves the binding without a listener. `group` is
    where `multicast` sends, from the device's own socket. To be used within one event loop's thread.
    """

    def __init__(
        self,
        host: str,
        *,
        udp_port: int | None = 0,
        http_port: int | None = 0,
        group: Group | None = None,
        buffer: int = BUFFER,
        server: ServerLimits | None = None,
        client: ClientLimits | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.host: Final = host
        self._told = host.partition("%")[0]
        self.counters: Final = Counters()
        self._ports = (udp_port, http_port)
        self._group = group or Group()
        self._buffer = buffer
        self._server_limits = server
        self._client_limits = client
        self._pace = pace
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: Handle | None = None
        self._udp: UdpSocket | None = None
        self._server: HttpServer | None = None
        self._client: HttpClient | None = None

    @property
    def udp(self) -> Address | None:
        """Where datagrams are taken, without path; None when not listening."""
        return self._udp.address if self._udp else None

    @property
    def http(self) -> Address | None:
        """Where HTTP is taken, without path; None when not listening."""
        return self._server.address if self._server else None

    @property
    def waiting(self) -> int:
        """Datagrams in the queues: received and not yet handled, or not yet sent."""
        return self._udp.waiting if self._udp else 0

    @property
    def overflowed(self) -> int:
        """Datagrams that the system dropped before this process could take them; 0 where it does not tell."""
        return self._udp.overflowed if self._udp else 0

    async def open(self, handle: Handle) -> None:
        """Listen. Raises LocalError, with nothing left open, when an address cannot be had."""
        if self._client is not None:
            raise LocalError(f"already open: {self.host}")
        self._loop = asyncio.get_running_loop()
        self._handle = handle
        self._client = HttpClient(self.host, self.counters, self._client_limits)
        udp_port, http_port = self._ports
        try:
            if udp_port is not None:
                sock = bound_socket(self.host, udp_port, self._buffer)
                self._udp = UdpSocket(sock, self._datagram, self.counters, self._pace)
            if http_port is not None:
                server = HttpServer(handle, self.counters, self._server_limits)
                await server.open(self.host, http_port)
                self._server = server
        except LocalError:
            await self.close(grace=0)
            raise

    async def close(self, grace: float = 1.0) -> None:
        """Stop listening, let requests in hand finish for `grace` seconds, drop the rest. May be called twice."""
        if self._udp is not None:
            self._udp.close()
            self._udp = None
        server, self._server = self._server, None
        client, self._client = self._client, None
        if server is not None:
            await server.close(grace)
        if client is not None:
            await client.close()

    def send(self, frame: Frame, to: Address) -> None:
        if not frame:
            self.counters.drop(Drop.EMPTY)
        elif to.binding is Binding.UDP:
            if self._udp is None:
                self.counters.drop(Drop.UNSUITABLE if self._client else Drop.CLOSED)
            else:
                self._udp.send(frame, to.host, to.port)
        elif self._client is None:
            self.counters.drop(Drop.CLOSED)
        else:
            self._client.send(frame, to)

    def backlog(self, priority: Priority) -> float:
        return self._udp.backlog(priority) if self._udp else 0.0

    def multicast(self, frame: Frame) -> None:
        if self._udp is None:
            self.counters.drop(Drop.UNSUITABLE if self._client else Drop.CLOSED)
        elif self._udp.send(frame, self._group.beside(self.host), self._group.port):
            self.counters.multicast_sent += 1

    def request(
        self,
        frame: Frame,
        to: Address,
        timeout: float,
        done: Callable[[Frame | None], None],
        *,
        authorization: str = "",
    ) -> None:
        """`authorization`: see `HttpClient.request`."""
        if self._client is not None and to.binding is Binding.HTTP and frame:
            self._client.request(frame, to, timeout, done, authorization=authorization)
            return
        if self._client is None:
            self.counters.drop(Drop.CLOSED)
        else:
            self.counters.drop(Drop.UNSUITABLE if frame else Drop.EMPTY)
        if self._loop is None:
            raise LocalError(f"not open: {self.host}")
        self._loop.call_soon(done, None)

    async def get(self, uri: str, within: float = 10.0) -> bytes | None:
        """Fetch an `http` URI from this device's address; see `HttpClient.get`."""
        if self._client is None:
            raise LocalError(f"not open: {self.host}")
        return await self._client.get(uri, within)

    def _datagram(self, frame: Frame, source: Address) -> None:
        if self._handle is not None:
            self._handle(datagram(frame, source, self._told), partial(self._respond, source))

    def _respond(self, source: Address, response: Response) -> None:
        if not response.body:
            return
        if self._udp is None:
            self.counters.drop(Drop.CLOSED)
        else:
            self._udp.send(response.body, source.host, source.port)
