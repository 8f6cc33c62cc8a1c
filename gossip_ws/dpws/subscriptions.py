"""The subscriptions at one device's event sources: who is told of what, until when, and what waits for each.

A function of its inputs: no clock, no socket, no XML. Each subscriber by push has a queue of its own, so one that is
slow or dead holds up itself alone; what cannot be delivered ends its subscription, and is never passed over in silence.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum

from gossip_ws.dpws.eventing import (
    BY_GOSSIP,
    MAX_SCOPES,
    PUSH,
    Ending,
    Granted,
    Reference,
    Subscribe,
    http_address,
    invalid_expiration,
    invalid_message,
    mode_unavailable,
    no_such_action,
    unable_to_process,
    unable_to_renew,
)
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.scopes import covers


@dataclass(frozen=True, slots=True)
class EventingConfig:
    """How a subscription manager behaves. Times are seconds."""

    default_expires: float = 3_600.0
    """Granted to whoever asks for no time: a subscriber that is gone is forgotten within the hour."""
    max_expires: float = 604_800.0
    """The longest that is granted, whatever is asked for."""
    subscriptions: int = 48
    """By push, at all event sources of the device. Each may hold `queue` events and one connection: were all of them
    dead, a quarter of a device's 64 connections would be left for everything else."""
    gossiped: int = 16_384
    """By gossip: each costs a line in a table and is sent nothing."""
    per_host: int = 16
    """Of either kind, of subscribers that ask from one host."""
    queue: int = 16
    """Events that wait for one subscriber; the next one ends its subscription."""
    attempts: int = 3
    """Times that an event is sent to a subscriber that does not take it."""
    retry: float = 1.0
    """Wait before the second attempt; each next one waits twice as long."""
    sweep: float = 10.0
    """How often what has expired is forgotten. It is told of no event from the moment at which it expires."""

    def __post_init__(self) -> None:
        if not 0 < self.default_expires <= self.max_expires:
            raise LocalError("default_expires must be positive and at most max_expires")
        if min(self.subscriptions, self.gossiped, self.per_host, self.queue, self.attempts) < 1:
            raise LocalError("every bound of eventing must be at least 1")
        if min(self.retry, self.sweep) <= 0:
            raise LocalError("retry and sweep must be positive")


@dataclass(frozen=True, slots=True)
class Offer:
    """One event source: its path, the actions of its events, and whether gossip may carry them."""

    path: str
    actions: tuple[str, ...]
    gossips: bool

    def matching(self, request: Subscribe) -> frozenset[str]:
        """The actions that a Subscribe lets through: equal to a URI of its filter, or below one, segment by segment
        (RFC 3986). Raises RemoteError, dpws:FilterActionNotSupported, when there is none."""
        wanted = request.filter
        found = frozenset(
            action for action in self.actions if wanted is None or any(covers(uri, action) for uri in wanted)
        )
        if not found:
            raise no_such_action()
        return found


@dataclass(frozen=True, slots=True)
class Deliver:
    """Post one event to a subscriber; what becomes of it comes back as `delivered`. `number`: of the event among those
    of this subscription, the same at each attempt."""

    subscription: str
    number: int
    to: Reference
    action: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Spread:
    """Gossip one event, once for all who want it so, to devices in `scopes` (none: everywhere)."""

    action: str
    body: bytes
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class End:
    """Send a SubscriptionEnd, once, to whoever was named for that."""

    to: Reference
    manager: str
    status: Ending
    reason: str


@dataclass(frozen=True, slots=True)
class SweepDue:
    """Look for what has expired. There is one at a time."""


@dataclass(frozen=True, slots=True)
class DeliverAgain:
    """Another attempt. Stale when the subscription has ended."""

    subscription: str


Timer = SweepDue | DeliverAgain
Effect = Deliver | Spread | End | SetTimer | Dropped


class State(Enum):
    """Where the queue of one subscriber stands."""

    IDLE = "idle"
    """Nothing waits."""
    SENDING = "sending"
    """The first of the queue is on its way."""
    WAITING = "waiting"
    """The first of the queue was not taken, and is sent again in a while."""


@dataclass(slots=True, eq=False)
class _Held:
    id: str
    source: str
    host: str
    request: Subscribe
    manager: str
    actions: frozenset[str]
    expires: float
    state: State = State.IDLE
    failures: int = 0
    taken: int = 0
    queue: deque[tuple[str, bytes]] = field(default_factory=deque)

    @property
    def is_gossiped(self) -> bool:
        return self.request.mode == BY_GOSSIP


class SubscriptionManager:
    """Of all event sources of one device. Methods return effects; `subscribe`, `renew` and `status` answer as well."""

    def __init__(self, config: EventingConfig | None = None) -> None:
        self.config = config or EventingConfig()
        self._held: dict[str, _Held] = {}
        self._number: Counter[bool] = Counter()
        self._hosts: Counter[tuple[bool, str]] = Counter()
        self._sweeping = False
        self._closed = False

    def __len__(self) -> int:
        return len(self._held)

    def subscribe(
        self, offer: Offer, request: Subscribe, *, id: str, manager: str, host: str, now: Instant
    ) -> tuple[Granted, list[Effect]]:
        """Take a subscription: `id` is fresh and nobody's guess, `manager` the address that stands for it, `host` where
        the request came from. Raises RemoteError, nothing changed."""
        gossiped = request.mode == BY_GOSSIP
        if request.mode != PUSH and not (gossiped and offer.gossips):
            raise mode_unavailable(request.mode)
        if not gossiped:
            if request.notify_to is None:
                raise invalid_message("Delivery has no NotifyTo")
            http_address(request.notify_to)
        if request.end_to is not None:
            http_address(request.end_to)
        actions = offer.matching(request)
        granted = self._granted(request.expires)
        self._make_room(gossiped, host, now)
        self._held[id] = _Held(id, offer.path, host, request, manager, actions, now.monotonic + granted)
        self._number[gossiped] += 1
        self._hosts[gossiped, host] += 1
        effects: list[Effect] = []
        if not self._sweeping:
            self._sweeping = True
            effects.append(SetTimer(SweepDue(), self.config.sweep))
        return Granted(Reference(manager), granted), effects

    def renew(self, id: str, expires: float | None, now: Instant) -> float:
        """The seconds that are granted from now on. Raises RemoteError."""
        held = self._live(id, now)
        if held is None:
            raise unable_to_renew()
        granted = self._granted(expires)
        held.expires = now.monotonic + granted
        return granted

    def status(self, id: str, now: Instant) -> float:
        """The seconds that are left. Raises RemoteError."""
        held = self._live(id, now)
        if held is None:
            raise invalid_message("no such subscription")
        return held.expires - now.monotonic

    def unsubscribe(self, id: str, now: Instant) -> None:
        """End it, as its subscriber wishes: nobody is told. Raises RemoteError."""
        held = self._live(id, now)
        if held is None:
            raise invalid_message("no such subscription")
        self._forget(held)

    def fire(self, source: str, action: str, body: bytes, now: Instant) -> list[Effect]:
        """An event at the event source of that path: to each subscriber that wants it, or one gossip for all those
        that want it by gossip."""
        effects: list[Effect] = []
        areas: list[tuple[str, ...]] = []
        for held in tuple(self._held.values()):
            if held.source != source or action not in held.actions or held.expires <= now.monotonic:
                continue
            if held.is_gossiped:
                areas.append(held.request.scopes)
            elif len(held.queue) >= self.config.queue:
                effects += self._end(held, Ending.DELIVERY_FAILURE, "events come faster than they are taken")
            else:
                held.queue.append((action, body))
                if held.state is State.IDLE:
                    effects += self._send(held)
        if areas:
            effects.append(Spread(action, body, _together(areas)))
        return effects

    def delivered(self, id: str, taken: bool, now: Instant) -> list[Effect]:
        """What became of the last Deliver of a subscription."""
        held = self._live(id, now)
        if held is None or held.state is not State.SENDING:
            return [Dropped("delivery of a subscription that has ended")]
        if taken:
            held.queue.popleft()
            held.taken += 1
            held.failures = 0
            held.state = State.IDLE
            return self._send(held) if held.queue else []
        held.failures += 1
        if held.failures >= self.config.attempts:
            return self._end(held, Ending.DELIVERY_FAILURE, f"not taken {held.failures} times")
        held.state = State.WAITING
        return [SetTimer(DeliverAgain(id), self.config.retry * 2 ** (held.failures - 1))]

    def timer(self, timer: Timer, now: Instant) -> list[Effect]:
        """One of our own timers came back."""
        match timer:
            case SweepDue():
                self._forget_expired(now)
                self._sweeping = bool(self._held)
                return [SetTimer(SweepDue(), self.config.sweep)] if self._sweeping else []
            case DeliverAgain(subscription=id):
                held = self._live(id, now)
                return self._send(held) if held is not None else [Dropped("stale timer")]

    def close(self) -> list[Effect]:
        """The device goes: every subscription ends, who asked for that is told, and none is taken any more."""
        self._closed = True
        effects: list[Effect] = []
        for held in tuple(self._held.values()):
            effects += self._end(held, Ending.SOURCE_SHUTTING_DOWN, "the device is shutting down")
        return effects

    def _granted(self, expires: float | None) -> float:
        if expires is None:
            return self.config.default_expires
        if expires <= 0:
            raise invalid_expiration("the duration is not positive")
        return min(expires, self.config.max_expires)

    def _make_room(self, gossiped: bool, host: str, now: Instant) -> None:
        """Raises RemoteError over a quota. The expired do not count, but are looked for only where that matters."""
        if self._closed:
            raise unable_to_process("the device is shutting down")
        most = self.config.gossiped if gossiped else self.config.subscriptions
        if self._number[gossiped] >= most or self._hosts[gossiped, host] >= self.config.per_host:
            self._forget_expired(now)
        if self._number[gossiped] >= most:
            raise unable_to_process(f"there are {most} subscriptions, as many as this device takes")
        if self._hosts[gossiped, host] >= self.config.per_host:
            raise unable_to_process(f"there are {self.config.per_host} subscriptions from your host")

    def _live(self, id: str, now: Instant) -> _Held | None:
        held = self._held.get(id)
        if held is not None and held.expires <= now.monotonic:
            self._forget(held)
            return None
        return held

    def _send(self, held: _Held) -> list[Effect]:
        """The first of its queue, which is not empty."""
        assert held.request.notify_to is not None
        held.state = State.SENDING
        action, body = held.queue[0]
        return [Deliver(held.id, held.taken + 1, held.request.notify_to, action, body)]

    def _end(self, held: _Held, status: Ending, reason: str) -> list[Effect]:
        self._forget(held)
        end_to = held.request.end_to
        return [End(end_to, held.manager, status, reason)] if end_to is not None else []

    def _forget_expired(self, now: Instant) -> None:
        for held in tuple(self._held.values()):
            if held.expires <= now.monotonic:
                self._forget(held)

    def _forget(self, held: _Held) -> None:
        del self._held[held.id]
        self._number[held.is_gossiped] -= 1
        self._hosts[held.is_gossiped, held.host] -= 1
        if not self._hosts[held.is_gossiped, held.host]:
            del self._hosts[held.is_gossiped, held.host]


def _together(areas: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Where all of them are: everywhere, if one of them says no scope or they say more than a message may name."""
    if not all(areas):
        return ()
    every = tuple(dict.fromkeys(scope for area in areas for scope in area))
    return every if len(every) <= MAX_SCOPES else ()
