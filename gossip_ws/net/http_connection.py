"""One client's connection to a device's HTTP server: h11 keeps the protocol, this module limits and deadlines.

It knows requests and responses, not what they mean: every path is the handler's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Final, Protocol

import h11

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.net.counters import Counters, Drop
from gossip_ws.net.http_coding import GZIP, WORTH, NotGzip, TooMuch, is_known, is_packed, pack, unpack, wants_gzip
from gossip_ws.net.http_request import as_request, header
from gossip_ws.ports import Handle, Response

_OVERLOADED: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_METHODS: Final = frozenset((b"GET", b"POST"))


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one device's listener grants.

    `body`, `headers`: octets of one request (413, 431), of a packed body before and after; an envelope is at most
    32,767 (DPWS 1.1 MAX_ENVELOPE_SIZE). `connections` at a time; an idle one makes room for a new one. `receive`:
    seconds for a whole request to arrive. `idle`: seconds a connection is kept between requests. `hold`: seconds the
    handler may take to respond, above every wait of the protocols. `linger`: seconds in which a refused client may
    still be read to the end, so that it sees why.
    """

    body: int = 65_536
    headers: int = 16_384
    connections: int = 64
    receive: float = 10.0
    idle: float = 60.0
    hold: float = 300.0
    linger: float = 2.0


class State(Enum):
    """IDLE -> RECEIVING -> HANDLING -> IDLE, or RECEIVING when the next request is there already.

    RECEIVING -> LINGERING on refusal, HANDLING -> LINGERING when held too long or when the response was the
    connection's last; then it is only closed.
    """

    IDLE = auto()
    RECEIVING = auto()
    HANDLING = auto()
    LINGERING = auto()


class Owner(Protocol):
    """The server, as its connections see it."""

    @property
    def handle(self) -> Handle: ...

    @property
    def counters(self) -> Counters: ...

    @property
    def limits(self) -> ServerLimits: ...

    @property
    def closing(self) -> bool: ...

    def admit(self, connection: Connection) -> bool:
        """Count it in; False when there is no room."""

    def rest(self, connection: Connection) -> None:
        """It has become idle."""

    def leave(self, connection: Connection) -> None:
        """It is closed. May be said twice."""


class Connection(asyncio.Protocol):
    """One client connection: reads ahead no further than one body, and answers in order."""

    __slots__ = (
        "_ahead",
        "_body",
        "_discarded",
        "_exchange",
        "_h11",
        "_loop",
        "_peer",
        "_pumping",
        "_request",
        "_server",
        "_touched",
        "_transport",
        "_write_blocked",
        "deadline",
        "state",
    )

    def __init__(self, server: Owner) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=server.limits.headers)
        self._transport: asyncio.Transport | None = None
        self._peer = Address(Binding.HTTP, "", 0)
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._exchange = 0
        self._ahead = 0
        self._discarded = 0
        self._pumping = False
        self._touched = False
        self._write_blocked = False
        self.state = State.RECEIVING
        self.deadline = self._loop.time() + server.limits.receive

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        if peer is not None:
            self._peer = Address(Binding.HTTP, peer[0], peer[1])
        if self._server.closing or not self._server.admit(self):
            self._server.counters.drop(Drop.CONNECTIONS)
            transport.write(_OVERLOADED)
            transport.close()
            self._transport = None

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        if self.state is State.LINGERING:
            self._discarded += len(data)
            if self._discarded > 4 * self._server.limits.body:
                self.abort()
            return
        self._h11.receive_data(data)
        if self.state is State.IDLE:
            self._become(State.RECEIVING, self._server.limits.receive)
        self._touched = True
        if self.state is State.HANDLING or self._write_blocked:
            self._ahead += len(data)
            if self._ahead > self._server.limits.body:
                self._transport.pause_reading()
            return
        self._pump()

    def eof_received(self) -> None:
        # The transport closes itself on return. A client that shuts its side while it waits is taken as gone:
        # the other way a held request would keep its socket for as long as the protocol waits.
        if self.state is State.RECEIVING and self._touched:
            self._server.counters.drop(Drop.MALFORMED)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None and self.state is State.HANDLING:
            self._server.counters.drop(Drop.GONE)
        self._transport = None
        self._exchange += 1
        self._request = None
        self._server.leave(self)

    def pause_writing(self) -> None:
        self._write_blocked = True

    def resume_writing(self) -> None:
        self._write_blocked = False
        self._pump()

    # What the server calls.

    def overdue(self) -> None:
        """The deadline of the present state has passed."""
        match self.state:
            case State.RECEIVING if self._touched:
                self._refuse(408, Drop.SLOW)
            case State.HANDLING:
                self._refuse(503, Drop.HELD)
            case _:
                self.abort()

    def finish(self) -> None:
        """Close now, or after the response that is due."""
        if self.state is not State.HANDLING and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # The exchange.

    def _become(self, state: State, seconds: float) -> None:
        self.state = state
        self.deadline = self._loop.time() + seconds

    def _pump(self) -> None:
        """Take requests out of what has arrived, one at a time, until there is none or one is being handled."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self.state is State.RECEIVING and not self._write_blocked and self._transport is not None:
                if not self._step(self._transport):
                    return
        finally:
            self._pumping = False

    def _step(self, transport: asyncio.Transport) -> bool:
        """One event of the request; False when there is nothing more to take."""
        try:
            event = self._h11.next_event()
        except h11.RemoteProtocolError as error:
            too_large = error.error_status_hint == 431
            self._refuse(431 if too_large else 400, Drop.HEADERS if too_large else Drop.MALFORMED)
            return False
        if isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > self._server.limits.body:
                self._refuse(413, Drop.BODY)
                return False
        elif isinstance(event, h11.Request):
            self._request = event
            if (refusal := self._judge(event)) is not None:
                self._refuse(*refusal)
                return False
        elif isinstance(event, h11.EndOfMessage):
            self._dispatch(transport)
        elif event is h11.NEED_DATA:
            if self._h11.they_are_waiting_for_100_continue:
                transport.write(self._h11.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            return False
        else:
            return False
        return True

    def _judge(self, request: h11.Request) -> tuple[int, Drop] | None:
        """Why a request is refused on its headers, before its body is waited for."""
        octets = len(request.target)
        length = 0
        for name, value in request.headers:
            octets += len(name) + len(value) + 4
            if name == b"content-length":
                length = int(value)
        if not request.http_version.startswith(b"1."):
            return 505, Drop.MALFORMED
        # h11 bounds only headers that arrive in pieces.
        if octets > self._server.limits.headers:
            return 431, Drop.HEADERS
        if request.method not in _METHODS:
            return 405, Drop.METHOD
        if length > self._server.limits.body:
            return 413, Drop.BODY
        if not is_known(header(request, b"content-encoding")):
            return 415, Drop.CODING
        return None

    def _dispatch(self, transport: asyncio.Transport) -> None:
        assert self._request is not None
        frame = bytes(self._body)
        self._body = bytearray()
        counters = self._server.counters
        counters.http_received += 1
        counters.http_received_octets += len(frame)
        if is_packed(header(self._request, b"content-encoding")):
            try:
                frame = unpack(frame, self._server.limits.body)
            except TooMuch:
                self._refuse(413, Drop.BODY)
                return
            except NotGzip:
                self._refuse(400, Drop.MALFORMED)
                return
        self._exchange += 1
        self._become(State.HANDLING, self._server.limits.hold)
        local: str = transport.get_extra_info("sockname")[0]
        request = as_request(self._request, frame, self._peer, local)
        exchange = self._exchange
        try:
            self._server.handle(request, partial(self._respond, exchange))
        except Exception as error:  # noqa: BLE001 - one request must not end the listener
            counters.drop(Drop.HANDLER)
            self._loop.call_exception_handler({"message": "an HTTP request's handler raised", "exception": error})
            if self._exchange == exchange and self.state is State.HANDLING:
                self._respond(exchange, Response(500))

    def _respond(self, exchange: int, response: Response) -> None:
        transport = self._transport
        if (
            transport is None
            or transport.is_closing()
            or exchange != self._exchange
            or self.state is not State.HANDLING
        ):
            self._server.counters.drop(Drop.LATE)
            return
        body, headers = response.body, []
        if body:
            headers.append(("Content-Type", response.content_type))
        if len(body) >= WORTH:
            # For caches: the same address gives other octets to others.
            headers.append(("Vary", "Accept-Encoding"))
            if self._request is not None and wants_gzip(header(self._request, b"accept-encoding")):
                body = pack(body)
                headers.append(("Content-Encoding", GZIP))
        headers.append(("Content-Length", str(len(body))))
        self._request = None
        if response.gossip_id:
            headers.append(("Gossip-Id", response.gossip_id))
        if response.accept:
            headers.append(("Accept", response.accept))
        if response.status == 401:
            headers.append(("WWW-Authenticate", 'Basic realm="device", charset="UTF-8"'))
        if self._server.closing:
            headers.append(("Connection", "close"))
        self._write(transport, response.status, headers, body)
        counters = self._server.counters
        counters.http_sent += 1
        counters.http_sent_octets += len(body)
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            self._become(State.LINGERING, self._server.limits.receive)
            transport.close()
            return
        self._h11.start_next_cycle()
        self._touched = bool(self._h11.trailing_data[0])
        if self._touched:
            self._become(State.RECEIVING, self._server.limits.receive)
        else:
            self._become(State.IDLE, self._server.limits.idle)
            self._server.rest(self)
        if self._ahead:
            self._ahead = 0
            transport.resume_reading()
        self._pump()

    def _refuse(self, status: int, reason: Drop) -> None:
        """Say so without a body, and read on for a while: closing over unread data would destroy the response."""
        self._server.counters.drop(reason)
        transport = self._transport
        if transport is None:
            return
        self._become(State.LINGERING, self._server.limits.linger)
        self._exchange += 1
        self._request = None
        self._body = bytearray()
        if self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            transport.close()
            return
        headers = [("Content-Length", "0"), ("Connection", "close")]
        if status == 405:
            headers.append(("Allow", "GET, POST"))
        elif status == 415:
            headers.append(("Accept-Encoding", GZIP))
        self._write(transport, status, headers, b"")
        if not transport.is_closing():
            transport.resume_reading()
            transport.write_eof()

    def _write(self, transport: asyncio.Transport, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        try:
            head = self._h11.send(h11.Response(status_code=status, headers=headers)) or b""
            content = (self._h11.send(h11.Data(data=body)) or b"") if body else b""
            end = self._h11.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError as error:
            # A status or content type that HTTP has no words for: the handler's mistake.
            self._server.counters.drop(Drop.HANDLER)
            self._loop.call_exception_handler({"message": "not an HTTP response", "exception": error})
            transport.abort()
            return
        transport.write(head + content + end)
