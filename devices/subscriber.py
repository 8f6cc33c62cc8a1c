"""A client's side of WS-Eventing: takes events at an address of its own, renews in time, ends what it began.

It works with any device that speaks WS-Eventing as DPWS profiles it. Knows no service and prints nothing.
"""

from __future__ import annotations

import asyncio
import socket
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final

from lxml import etree

from gossip_ws.client import Unanswered
from gossip_ws.dpws.duplicates import RecentIds
from gossip_ws.dpws.eventing import PUSH, Granted, Reference, Subscribe, http_address
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import GossipError, LocalError, RemoteError
from gossip_ws.net.network import DeviceNetwork
from gossip_ws.ports import Frame, Request, Respond, Response
from gossip_ws.wire.envelope import Envelope, message_id, parse
from gossip_ws.wire.eventing import (
    RENEW,
    SUBSCRIBE,
    SUBSCRIPTION_END,
    UNSUBSCRIBE,
    addressed,
    read_renew_response,
    read_subscribe_response,
    read_subscription_end,
    write_renew,
    write_subscribe,
    write_unsubscribe,
)
from gossip_ws.wire.soap import fault_envelope, read_fault

Elsewhere = Callable[[], Awaitable[str]]
"""The address of an event source as of now. Raises LocalError where that is not known."""
EXPIRES: Final = 600.0
"""Seconds asked for. Renewed at half of what is granted, but at most once a second: one renewal may be lost."""
TIMEOUT: Final = 5.0
"""Seconds that an event source has to answer, to the last octet."""
_RECENT: Final = 64
"""Ids of events remembered for each subscription; a copy follows within seconds."""
_AGAIN: Final = 1.0
_LONGEST: Final = 60.0
"""Seconds until one that was lost is asked for again; each next wait is twice the last. Nor is one renewed sooner."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `source`: the address that was subscribed at."""

    source: str
    action: str
    payload: etree._Element | None


@dataclass(slots=True, eq=False)
class Subscription:
    """One that is kept until it is closed. `renewals` counts those that were granted. `elsewhere` says where the source
    is now, when the subscription was lost. `authorization` goes to `trusted` hosts only."""

    source: str
    request: Subscribe
    path: str
    authorization: str
    trusted: frozenset[str]
    granted: Granted
    elsewhere: Elsewhere | None = None
    renewals: int = 0
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    recent: RecentIds = field(default_factory=lambda: RecentIds(_RECENT))


class Subscriber:
    """Listens at `host`; hands each event to `heard`, and to `said` one line when a subscription is lost or back.

    `open` it, `close` it, in one event loop's thread. An event that comes a second time, because its receipt was lost,
    is told by its wsa:MessageID. What happened while there was no subscription is not made up for.
    """

    def __init__(
        self,
        host: str,
        heard: Callable[[Event], None],
        said: Callable[[str], None] = lambda line: None,
        *,
        expires: float = EXPIRES,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._host = host
        self._heard = heard
        self._said = said
        self._expires = expires
        self._network = DeviceNetwork(host, udp_port=None)
        self._held: dict[str, Subscription] = {}
        self._tasks: dict[Subscription, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Raises LocalError when the address cannot be had."""
        await self._network.open(self._handle)

    async def close(self) -> None:
        """Unsubscribe everywhere at once, within `TIMEOUT`; who does not answer forgets by itself."""
        await asyncio.gather(*(self.unsubscribe(held) for held in tuple(self._tasks)))
        await self._network.close(grace=0)

    async def subscribe(
        self,
        source: str,
        actions: tuple[str, ...],
        *,
        mode: str = PUSH,
        scopes: tuple[str, ...] = (),
        user: str = "",
        password: str = "",
        named: str = "",
        elsewhere: Elsewhere | None = None,
    ) -> Subscription:
        """To the events of `actions` (none: all) at the hosted service `source`, until `unsubscribe`. With `elsewhere`,
        one that was lost is made again where that says. The password goes to the host of `named` alone (none: of
        `source`), by that name or its addresses: what a response or discovery says of another host proves nothing.

        Raises RemoteError with the source's fault or for an address that is none of http, Unanswered, or LocalError.
        """
        if self._network.http is None:
            raise LocalError("a subscriber is opened before it subscribes")
        # Its own path: who does not know it forges no event.
        path = "/" + message_id().removeprefix("urn:uuid:")
        sink = Reference(str(self._network.http.at(path)))
        request = Subscribe(sink if mode == PUSH else None, sink, mode, self._expires, actions or None, scopes)
        authorization = "Basic " + b64encode(f"{user}:{password}".encode()).decode() if user else ""
        trusted = await _hosts(named or source) if user else frozenset[str]()
        held = Subscription(source, request, path, authorization, trusted, Granted(sink, self._expires), elsewhere)
        # An event may be here before the answer is.
        self._held[path] = held
        try:
            held.granted = await self._asked(held)
        except GossipError:
            del self._held[path]
            raise
        self._tasks[held] = asyncio.create_task(self._keep(held))
        return held

    async def unsubscribe(self, held: Subscription) -> None:
        """End it. That the source has ended it meanwhile is no error."""
        task = self._tasks.pop(held)
        task.cancel()
        await asyncio.wait((task,))
        del self._held[held.path]
        try:
            await self._manage(held, UNSUBSCRIBE, write_unsubscribe())
        except GossipError:
            self.counters["not unsubscribed"] += 1

    # -- what comes in -------------------------------------------------------------------------

    def _handle(self, request: Request, respond: Respond) -> None:
        held = self._held.get(request.path)
        if held is None or request.method != "POST":
            # A source that is told so ends the subscription.
            respond(Response(404))
            return
        try:
            envelope = parse(request.frame)
            if envelope.addressing.action == SUBSCRIPTION_END:
                ended = read_subscription_end(envelope.payload)
                self._said(f"{held.source} ended the subscription: {ended.status} {ended.reason}".rstrip())
                held.lost.set()
            elif (id := envelope.addressing.message_id) and not held.recent.first_time(id):
                self.counters["copies"] += 1
            else:
                self.counters["events"] += 1
                self._heard(Event(held.source, envelope.addressing.action, envelope.payload))
        except RemoteError as error:
            self.counters["malformed"] += 1
            respond(Response(400, fault_envelope(error.fault)))
            return
        respond(Response(202))

    # -- what goes out -------------------------------------------------------------------------

    async def _keep(self, held: Subscription) -> None:
        """Renew at half-life, yet not in a tight loop; subscribe anew when it is lost."""
        left, wait = held.granted.expires, _until_renewal(held.granted.expires)
        while True:
            try:
                await asyncio.wait_for(held.lost.wait(), wait)
            except TimeoutError:
                try:
                    left = await self._renewed(held)
                    wait = _until_renewal(left)
                    held.renewals += 1
                    continue
                except Unanswered:
                    # As often as half of what is left allows: the source may be back in time.
                    left -= wait
                    wait = left / 2
                    if wait >= _AGAIN:
                        continue
                    self._said(f"{held.source} does not answer")
                except RemoteError as error:
                    self._said(f"{held.source} does not renew the subscription: {error}")
            held.granted = await self._again(held)
            held.lost.clear()
            left, wait = held.granted.expires, _until_renewal(held.granted.expires)

    async def _again(self, held: Subscription) -> Granted:
        pause = _AGAIN
        while True:
            # Before the first time, too: a source that shuts down says so while it still listens.
            await asyncio.sleep(pause)
            try:
                if held.elsewhere is not None:
                    held.source = await held.elsewhere()
                granted = await self._asked(held)
            except GossipError:
                self.counters["not subscribed"] += 1
                pause = min(2 * pause, _LONGEST)
            else:
                self._said(f"{held.source} has taken the subscription again")
                return granted

    async def _asked(self, held: Subscription) -> Granted:
        to = Reference(held.source)
        answer = await self._call(held, to, SUBSCRIBE, write_subscribe(held.request))
        return read_subscribe_response(answer.payload, self._expires)

    async def _renewed(self, held: Subscription) -> float:
        answer = await self._manage(held, RENEW, write_renew(self._expires))
        granted = read_renew_response(answer.payload, self._expires)
        held.granted = replace(held.granted, expires=granted)
        return granted

    async def _manage(self, held: Subscription, action: str, body: bytes) -> Envelope:
        return await self._call(held, held.granted.manager, action, body)

    async def _call(self, held: Subscription, to: Reference, action: str, body: bytes) -> Envelope:
        """Raises RemoteError with the fault that comes back, or Unanswered."""
        address = http_address(to)
        authorization = held.authorization if address.host.lower() in held.trusted else ""
        reply = await self._post(address, addressed(action, to, body), authorization)
        if not reply:
            withheld = "; it is not sent the password" if held.authorization and not authorization else ""
            raise Unanswered(f"{address} does not answer, or with nothing{withheld}")
        envelope = parse(reply)
        fault = read_fault(envelope)
        if fault is not None:
            raise RemoteError(fault)
        return envelope

    async def _post(self, to: Address, frame: Frame, authorization: str) -> Frame | None:
        answered: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()

        def done(reply: Frame | None) -> None:
            if not answered.done():
                answered.set_result(reply)

        self._network.request(frame, to, TIMEOUT, done, authorization=authorization)
        return await answered


def _until_renewal(granted: float) -> float:
    return max(granted / 2, _AGAIN)


async def _hosts(uri: str) -> frozenset[str]:
    """The host that an http URI names, and its addresses. Raises RemoteError when it is none."""
    to = http_address(Reference(uri))
    try:
        found = await asyncio.get_running_loop().getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM)
    except OSError:
        found = []
    return frozenset({to.host.lower(), *(str(place[0]) for *_, place in found)})


def own_address(towards: str) -> str:
    """The address of this machine from which an http URI is reached. Raises LocalError when there is none."""
    to = Address.parse(towards)
    if to.binding is not Binding.HTTP:
        raise LocalError(f"a device is asked by http: {towards!r}")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # No datagram is sent: the system only looks for the way.
            probe.connect(place)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise LocalError(f"no way to {to}: {error.strerror or error}") from None
