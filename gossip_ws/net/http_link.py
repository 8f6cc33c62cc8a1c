"""One connection of a device's HTTP client, and what travels over it. h11 keeps the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import h11

from gossip_ws.kernel.address import Address
from gossip_ws.kernel.terms import Priority
from gossip_ws.net.counters import Counters
from gossip_ws.net.queue import FAIR
from gossip_ws.ports import Frame

CONTENT_TYPE: Final = "application/soap+xml; charset=utf-8"


@dataclass(slots=True, eq=False)
class Exchange:
    """One request, from `submit` to `settled`; `settle` gets (status, body), or None, exactly once."""

    method: str
    to: Address
    frame: Frame
    limit: int
    settle: Callable[[tuple[int, bytes] | None], None]
    priority: Priority
    timer: asyncio.TimerHandle | None = None
    dial: asyncio.Task[None] | None = None
    link: Link | None = None
    retried: bool = False
    settled: bool = False
    authorization: str = ""


@dataclass(slots=True, eq=False)
class Target:
    """The connections to one (host, port), and who waits for them, in the order of arrival."""

    host: str
    port: int
    open: int = 0
    idle: list[Link] = field(default_factory=list)
    waiting: list[Exchange] = field(default_factory=list)
    taken: int = 0

    def take(self) -> tuple[int, Exchange]:
        """Who goes next, and its place among those that wait: the urgent first, as datagrams do."""
        self.taken += 1
        place = 0
        if self.taken % FAIR:
            place = min(range(len(self.waiting)), key=lambda place: self.waiting[place].priority)
        return place, self.waiting.pop(place)

    def least(self) -> Exchange:
        """Who goes when there are too many: the newest of the least urgent class."""
        return max(reversed(self.waiting), key=lambda exchange: exchange.priority)


class Pool(Protocol):
    """The client, as its links see it."""

    @property
    def counters(self) -> Counters: ...

    def rest(self, link: Link) -> None:
        """The link is free again."""

    def gone(self, link: Link) -> None:
        """The link is closed or about to be. May be said twice."""

    def answered(self, exchange: Exchange, status: int, body: bytes) -> None:
        """The response is complete."""

    def broken(self, exchange: Exchange, unanswered: bool) -> None:
        """The connection ended first. `unanswered`: it was a kept one, and not an octet had come back."""


class Link(asyncio.Protocol):
    """One connection: at most one exchange at a time."""

    __slots__ = ("_body", "_client", "_exchange", "_h11", "_heard", "_reused", "_status", "_transport", "target")

    def __init__(self, client: Pool, target: Target) -> None:
        self.target = target
        self._client = client
        self._h11 = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._status = 0
        self._body = bytearray()
        self._reused = False
        self._heard = False

    def start(self, exchange: Exchange) -> None:
        """Send the request. The link is free, and connected as far as it knows."""
        exchange.link = self
        self._exchange = exchange
        self._heard = False
        self._status = 0
        self._body = bytearray()
        transport = self._transport
        if transport is None:
            self._end()
            return
        headers = [("Host", _host_header(exchange.to))]
        if exchange.method == "POST":
            headers += [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(exchange.frame)))]
        if exchange.authorization:
            headers.append(("Authorization", exchange.authorization))
        try:
            head = self._h11.send(h11.Request(method=exchange.method, target=exchange.to.path or "/", headers=headers))
            body = self._h11.send(h11.Data(data=exchange.frame)) if exchange.frame else b""
            self._h11.send(h11.EndOfMessage())
        except (h11.LocalProtocolError, UnicodeEncodeError):
            # An address with characters that no request line has.
            self._end()
            return
        transport.write((head or b"") + (body or b""))
        self._client.counters.http_sent += 1
        self._client.counters.http_sent_octets += len(exchange.frame)

    def retire(self) -> None:
        """Close an idle link."""
        self._client.gone(self)
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; nothing more is expected of the exchange."""
        self._exchange = None
        self._client.gone(self)
        if self._transport is not None:
            self._transport.abort()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            # Nobody asked.
            self.abort()
            return
        self._heard = True
        self._h11.receive_data(data)
        self._pump()

    def eof_received(self) -> None:
        if self._exchange is not None:
            # The end of a body without a length.
            self._h11.receive_data(b"")
            self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end()

    # The response.

    def _pump(self) -> None:
        while (exchange := self._exchange) is not None:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError:
                self._end()
                return
            if isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > exchange.limit:
                    self._end()
                    return
            elif isinstance(event, h11.Response):
                self._status = event.status_code
            elif isinstance(event, h11.EndOfMessage):
                self._complete(exchange)
            elif not isinstance(event, h11.InformationalResponse):
                return

    def _complete(self, exchange: Exchange) -> None:
        self._exchange = None
        exchange.link = None
        self._reused = True
        status, body = self._status, bytes(self._body)
        self._body = bytearray()
        both_done = self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE
        # What follows a response unasked would be taken for the next one.
        if both_done and not self._h11.trailing_data[0]:
            self._h11.start_next_cycle()
            self._client.rest(self)
        else:
            self.retire()
        self._client.answered(exchange, status, body)

    def _end(self) -> None:
        """The link is of no more use; the exchange on it, if any, has failed."""
        exchange, self._exchange = self._exchange, None
        self._client.gone(self)
        if self._transport is not None:
            self._transport.abort()
        if exchange is not None:
            self._client.broken(exchange, self._reused and not self._heard)


def _host_header(to: Address) -> str:
    host = f"[{to.host}]" if ":" in to.host else to.host
    return host if to.port == 80 else f"{host}:{to.port}"
