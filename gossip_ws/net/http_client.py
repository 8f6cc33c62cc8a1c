"""An HTTP/1.1 client for one device: keep-alive connections per target, everything bounded.

A target that does not answer holds up its own requests. Those that wait for it are bounded by themselves, and targets
that left the last request unanswered share a quarter of the connections.

It binds the device's own source address, so that receivers see who calls. It follows no redirect, knows
no TLS and no cookies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.net.counters import Counters, Drop
from gossip_ws.net.http_link import Exchange, Link, Target
from gossip_ws.net.udp import family
from gossip_ws.ports import Frame
from gossip_ws.wire.priority import UNNAMED, claimed_priority

_SILENT = 1_024
"""Targets remembered that left the last request unanswered; the one that did so first is forgotten."""
_DOCUMENT = 1_048_576
"""Octets of what `get` takes: a WSDL with its schema inside may exceed an envelope."""


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What one device's client takes for itself.

    `per_target` and `connections`: open at a time, to one address and to all. `waiting` and `queue`: requests that
    wait for one, of one address and of all. `body`: octets of a response. `idle`: seconds a connection is kept; shorter
    than servers do, so that it is rarely closed just when used again. `send_timeout`: seconds for a one-way POST.
    """

    per_target: int = 2
    connections: int = 64
    waiting: int = 128
    queue: int = 512
    body: int = 65_536
    idle: float = 10.0
    send_timeout: float = 10.0


class HttpClient:
    """Requests from `host`, a link-local one with its zone (empty: from whatever address the system chooses).

    Needs the running loop.
    """

    def __init__(self, host: str, counters: Counters, limits: ClientLimits | None = None) -> None:
        self.counters: Final = counters
        self._host = host
        self._limits = limits or ClientLimits()
        self._loop = asyncio.get_running_loop()
        self._targets: dict[tuple[str, int], Target] = {}
        # Both in the order of who goes first.
        self._backlog: dict[Target, None] = {}
        self._idle: dict[Link, float] = {}
        self._links: set[Link] = set()
        self._dials: set[asyncio.Task[None]] = set()
        self._exchanges: set[Exchange] = set()
        self._silent: dict[tuple[str, int], None] = {}
        self._open = 0
        self._queued = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    def send(self, frame: Frame, to: Address) -> None:
        """POST and ignore a 2xx; anything else is counted."""

        def settle(result: tuple[int, bytes] | None) -> None:
            if result is not None and not 200 <= result[0] < 300:
                self.counters.drop(Drop.STATUS)

        exchange = Exchange("POST", to, frame, self._limits.body, settle, claimed_priority(frame))
        self._submit(exchange, self._limits.send_timeout)

    def request(
        self,
        frame: Frame,
        to: Address,
        timeout: float,
        done: Callable[[Frame | None], None],
        *,
        authorization: str = "",
    ) -> None:
        """POST, with `authorization` as the header of that name; `done` gets the response's body whatever its status,
        which may be empty if it is a 2xx, or None when it is not here, to its last octet, within `timeout` seconds. It
        is called once, and never before this returns."""

        def settle(result: tuple[int, bytes] | None) -> None:
            status, body = result or (0, b"")
            done(body if body or 200 <= status < 300 else None)

        exchange = Exchange("POST", to, frame, self._limits.body, settle, claimed_priority(frame))
        exchange.authorization = authorization
        self._submit(exchange, timeout)

    async def get(self, uri: str, within: float = 10.0) -> bytes | None:
        """GET an `http` URI, query included: the body of a 200, or None when there is none `within` seconds.

        Raises LocalError for another URI.
        """
        to = Address.parse(uri)
        if to.binding is not Binding.HTTP:
            raise LocalError(f"only http can be fetched: {uri!r}")
        future: asyncio.Future[tuple[int, bytes] | None] = self._loop.create_future()

        def settle(result: tuple[int, bytes] | None) -> None:
            if not future.done():
                future.set_result(result)

        self._submit(Exchange("GET", to, b"", _DOCUMENT, settle, UNNAMED), within)
        result = await future
        return result[1] if result is not None and result[0] == 200 else None

    async def close(self) -> None:
        """Settle everything under way with None and close every connection."""
        self._closed = True
        for exchange in tuple(self._exchanges):
            self._finish(exchange, None, Drop.CLOSED)
        for link in tuple(self._links):
            link.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if self._dials:
            await asyncio.wait(tuple(self._dials))
        # The transports release their sockets in the next turn of the loop.
        await asyncio.sleep(0)

    # Who gets which connection.

    def _submit(self, exchange: Exchange, timeout: float) -> None:
        self._exchanges.add(exchange)
        if self._closed:
            self._finish(exchange, None, Drop.CLOSED)
            return
        exchange.timer = self._loop.call_later(timeout, self._expire, exchange)
        self._place(exchange)

    def _place(self, exchange: Exchange) -> None:
        key = (exchange.to.host, exchange.to.port)
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = Target(*key)
        if not target.waiting and self._serve(target, exchange):
            return
        target.waiting.append(exchange)
        self._backlog[target] = None
        self._queued += 1
        if len(target.waiting) > self._limits.waiting:
            self._finish(target.least(), None, Drop.HTTP_QUEUE)
        elif self._queued > self._limits.queue:
            # Whoever has most waiting gives way, not whoever comes last.
            longest = max(self._backlog, key=lambda target: len(target.waiting))
            self._finish(longest.least(), None, Drop.HTTP_QUEUE)

    def _serve(self, target: Target, exchange: Exchange) -> bool:
        """Start the exchange on a free or new connection; False when there may be none now."""
        if target.idle:
            link = target.idle.pop()
            del self._idle[link]
            link.start(exchange)
            return True
        if target.open >= self._limits.per_target or not self._may_dial(target):
            return False
        if self._open >= self._limits.connections:
            if not self._idle:
                return False
            link = next(iter(self._idle))
            # Not by `gone`: the room is for this exchange, not for whoever is first in the backlog.
            self._detach(link)
            link.retire()
        target.open += 1
        self._open += 1
        exchange.dial = self._loop.create_task(self._connect(target, exchange))
        self._dials.add(exchange.dial)
        return True

    def _may_dial(self, target: Target) -> bool:
        """A target that was silent last time is tried with one connection, and all such have a quarter of them."""
        if (target.host, target.port) not in self._silent:
            return True
        taken = sum(other.open for key, other in self._targets.items() if key in self._silent)
        return not target.open and taken < max(self._limits.connections // 4, 1)

    def _serve_backlog(self) -> None:
        if self._closed:
            return
        for target in tuple(self._backlog):
            while target.waiting:
                place, exchange = target.take()
                self._queued -= 1
                if not self._serve(target, exchange):
                    target.waiting.insert(place, exchange)
                    self._queued += 1
                    break
            if not target.waiting:
                self._backlog.pop(target, None)
            elif self._open >= self._limits.connections and not self._idle:
                return

    async def _connect(self, target: Target, exchange: Exchange) -> None:
        task = asyncio.current_task()
        link: Link | None
        try:
            _, link = await self._loop.create_connection(
                lambda: Link(self, target),
                target.host,
                target.port,
                # Of a name, only the addresses that can be reached from ours.
                family=family(self._host) if self._host else 0,
                local_addr=(self._host, 0) if self._host else None,
            )
        except (OSError, ValueError, asyncio.CancelledError):
            # ValueError: a host that is not even a name. Cancelled by nobody but `_finish`, which has
            # settled the exchange already.
            link = None
        exchange.dial = None
        if task is not None:
            self._dials.discard(task)
        if link is None:
            target.open -= 1
            self._open -= 1
            self._finish(exchange, None, Drop.UNREACHABLE)
            self._forget(target)
            self._serve_backlog()
            return
        self._links.add(link)
        if self._closed:
            link.abort()
        elif exchange.settled:
            link.retire()
        else:
            link.start(exchange)

    # What a link reports.

    def rest(self, link: Link) -> None:
        """The link is free again."""
        link.target.idle.append(link)
        self._idle[link] = self._loop.time() + self._limits.idle
        self._serve_backlog()
        if self._idle and self._sweeper is None:
            self._schedule_sweep()

    def gone(self, link: Link) -> None:
        """The link is closed or about to be; may be reported twice."""
        if link in self._links:
            self._detach(link)
            self._serve_backlog()

    def _detach(self, link: Link) -> None:
        self._links.discard(link)
        if link in self._idle:
            del self._idle[link]
            link.target.idle.remove(link)
        link.target.open -= 1
        self._open -= 1
        self._forget(link.target)

    def answered(self, exchange: Exchange, status: int, body: bytes) -> None:
        self._silent.pop((exchange.to.host, exchange.to.port), None)
        self.counters.http_received += bool(body)
        self.counters.http_received_octets += len(body)
        self._finish(exchange, (status, body))

    def broken(self, exchange: Exchange, unanswered: bool) -> None:
        """The connection ended first. `unanswered`: it was a kept one, and not an octet had come back."""
        exchange.link = None
        if unanswered and not exchange.retried and not exchange.settled and not self._closed:
            # The server closed an idle connection while the request was on its way; it has not seen it.
            exchange.retried = True
            self._place(exchange)
        else:
            self._finish(exchange, None, Drop.BROKEN)

    # The end of an exchange.

    def _expire(self, exchange: Exchange) -> None:
        self._finish(exchange, None, Drop.TIMEOUT)

    def _finish(self, exchange: Exchange, result: tuple[int, bytes] | None, reason: Drop | None = None) -> None:
        if exchange.settled:
            return
        exchange.settled = True
        self._exchanges.discard(exchange)
        if exchange.timer is not None:
            exchange.timer.cancel()
            exchange.timer = None
        if reason is not None:
            self.counters.drop(reason, exchange.priority if reason is Drop.HTTP_QUEUE else None)
        if reason is Drop.TIMEOUT and (exchange.link is not None or exchange.dial is not None):
            self._remember_silence(exchange)
        # What comes first is what the network does; `settle` may ask for the next thing, so it has its own turn.
        self._loop.call_soon(exchange.settle, result)
        if exchange.link is not None:
            exchange.link.abort()
        elif exchange.dial is not None:
            exchange.dial.cancel()
        elif result is None:
            self._unqueue(exchange)

    def _remember_silence(self, exchange: Exchange) -> None:
        while len(self._silent) >= _SILENT:
            del self._silent[next(iter(self._silent))]
        self._silent[exchange.to.host, exchange.to.port] = None

    def _unqueue(self, exchange: Exchange) -> None:
        target = self._targets.get((exchange.to.host, exchange.to.port))
        if target is not None and exchange in target.waiting:
            target.waiting.remove(exchange)
            self._queued -= 1
            if not target.waiting:
                self._backlog.pop(target, None)
                self._forget(target)

    def _forget(self, target: Target) -> None:
        if not target.open and not target.waiting:
            self._targets.pop((target.host, target.port), None)

    def _schedule_sweep(self) -> None:
        due = next(iter(self._idle.values()))
        self._sweeper = self._loop.call_at(due, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = self._loop.time()
        while self._idle:
            link, due = next(iter(self._idle.items()))
            if due > now:
                self._schedule_sweep()
                return
            link.retire()
