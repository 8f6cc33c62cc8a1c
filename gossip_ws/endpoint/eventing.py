"""The event sources of one device: answers what subscribers ask, posts events to them, or gossips where they wish it.

A hosted service with notifications is an event source of this device's own events. Its shadow is one of the events that
gossip brings here, whoever's they are. Knows which subscriptions there are only through `dpws.subscriptions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

from gossip_ws.dpws.eventing import BY_GOSSIP, http_address
from gossip_ws.dpws.subscriptions import Deliver, Effect, End, Offer, Spread, SubscriptionManager
from gossip_ws.endpoint.paths import GOSSIP_PATH, SUBSCRIPTIONS_PATH
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.counts import Counts
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import RemoteError, sender_fault
from gossip_ws.kernel.names import WSA
from gossip_ws.ports import Caller, Clock, Frame, HostedService, Network, Verifier
from gossip_ws.wire.envelope import Envelope, message_id, parse
from gossip_ws.wire.eventing import (
    GET_STATUS,
    GET_STATUS_RESPONSE,
    RENEW,
    RENEW_RESPONSE,
    SUBSCRIBE,
    SUBSCRIBE_RESPONSE,
    SUBSCRIPTION_END,
    UNSUBSCRIBE,
    UNSUBSCRIBE_RESPONSE,
    addressed,
    check_get_status,
    check_unsubscribe,
    read_renew,
    read_subscribe,
    write_get_status_response,
    write_renew_response,
    write_subscribe_response,
    write_subscription_end,
)
from gossip_ws.wire.soap import read_fault, reply_envelope

DELIVERY_TIMEOUT: Final = 10.0
"""Seconds that a subscriber has to take an event."""
END_TIMEOUT: Final = 1.0
"""Seconds that a device which is going waits for those it tells so."""


class EventSources:
    """Of one device. `services` may grow; `spread` gossips an event of this device's own to devices in some scopes."""

    def __init__(
        self,
        services: Sequence[HostedService],
        network: Network,
        clock: Clock,
        verifier: Verifier,
        counters: Counts,
        spread: Callable[[str, bytes, tuple[str, ...]], None],
    ) -> None:
        self.manager = SubscriptionManager()
        self._services = services
        self._network = network
        self._clock = clock
        self._verifier = verifier
        self._counters = counters
        self._spread = spread

    def serves(self, path: str) -> bool:
        """Is it the manager of a subscription, which there may or may not be?"""
        return path.startswith(SUBSCRIPTIONS_PATH)

    def answer(self, path: str, envelope: Envelope, caller: Caller, here: Address) -> bytes | None:
        """The reply envelope; None when the message is none of WS-Eventing at that path. `here`: where it came in.
        Raises RemoteError."""
        addressing = envelope.addressing
        action, payload, now = addressing.action, envelope.payload, self._clock.now()
        if action == SUBSCRIBE and (offer := self.offer(path)) is not None:
            body, reply_action = self._subscribe(offer, envelope, caller, here), SUBSCRIBE_RESPONSE
            return reply_envelope(reply_action, addressing.message_id, body)
        if not self.serves(path):
            return None
        id = path.removeprefix(SUBSCRIPTIONS_PATH)
        if action == RENEW:
            body = write_renew_response(self.manager.renew(id, read_renew(payload), now))
            reply_action = RENEW_RESPONSE
        elif action == GET_STATUS:
            check_get_status(payload)
            body, reply_action = write_get_status_response(self.manager.status(id, now)), GET_STATUS_RESPONSE
        elif action == UNSUBSCRIBE:
            check_unsubscribe(payload)
            self.manager.unsubscribe(id, now)
            body, reply_action = b"", UNSUBSCRIBE_RESPONSE
        else:
            raise sender_fault("ActionNotSupported", f"nothing a subscription takes: {action}", namespace=WSA)
        return reply_envelope(reply_action, addressing.message_id, body)

    def offer(self, path: str) -> Offer | None:
        """What can be subscribed to at a path; None where nothing can."""
        for service in self._services:
            if path in (service.path, service.path + GOSSIP_PATH):
                actions = tuple(one.action for one in service.operations.values() if one.is_notification)
                # What is heard by gossip is nobody's to gossip again.
                return Offer(path, actions, gossips=path == service.path) if actions else None
        return None

    def fire(self, service: HostedService, action: str, body: bytes, *, gossiped: bool = False) -> None:
        """An event of this device's own. `gossiped`: it is on its way by gossip already, to everybody."""
        effects = self.manager.fire(service.path, action, body, self._clock.now())
        self._carry_out(effect for effect in effects if not (gossiped and isinstance(effect, Spread)))

    def heard(self, service: HostedService, action: str, body: bytes) -> None:
        """An event that gossip brought here."""
        self._carry_out(self.manager.fire(service.path + GOSSIP_PATH, action, body, self._clock.now()))

    def close(self, done: Callable[[], None]) -> None:
        """Tell all subscribers that the device goes; `done` when they have heard, or do not answer."""
        ends = [effect for effect in self.manager.close() if isinstance(effect, End)]
        left = len(ends)

        def told(_: Frame | None) -> None:
            nonlocal left
            left -= 1
            if not left:
                done()

        for end in ends:
            self._network.request(_end_frame(end), http_address(end.to), END_TIMEOUT, told)
        if not ends:
            done()

    def _subscribe(self, offer: Offer, envelope: Envelope, caller: Caller, here: Address) -> bytes:
        request = read_subscribe(envelope.payload)
        if request.mode == BY_GOSSIP and offer.gossips:
            # The device will sign these events for the caller's sake.
            for action in offer.matching(request):
                self._verifier.authorise(action, caller)
        id = message_id().removeprefix("urn:uuid:")
        # The manager is where the subscriber came in: at an address that it can reach.
        manager = here.at(SUBSCRIPTIONS_PATH + id)
        granted, effects = self.manager.subscribe(
            offer, request, id=id, manager=str(manager), host=caller.source.host, now=self._clock.now()
        )
        self._carry_out(effects)
        return write_subscribe_response(granted)

    def _carry_out(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Deliver():
                    self._deliver(effect)
                case Spread(action=action, body=body, scopes=scopes):
                    self._counters["events gossiped"] += 1
                    self._spread(action, body, scopes)
                case End():
                    self._counters["subscriptions ended"] += 1
                    self._network.send(_end_frame(effect), http_address(effect.to))
                case SetTimer(timer=timer, delay=delay):
                    self._clock.call_later(delay, lambda timer=timer: self._expired(timer))  # type: ignore[misc]
                case Dropped():
                    self._counters[effect.reason] += 1

    def _deliver(self, effect: Deliver) -> None:
        def done(reply: Frame | None) -> None:
            taken = _is_taken(reply)
            self._counters["events delivered" if taken else "events not taken"] += 1
            self._carry_out(self.manager.delivered(effect.subscription, taken, self._clock.now()))

        frame = addressed(effect.action, effect.to, effect.body, _event_id(effect))
        self._network.request(frame, http_address(effect.to), DELIVERY_TIMEOUT, done)

    def _expired(self, timer: Any) -> None:
        self._carry_out(self.manager.timer(timer, self._clock.now()))


def _event_id(effect: Deliver) -> str:
    """The same for each attempt, so that a subscriber knows an event that it has: a `urn:uuid:` of version 8 (RFC 9562
    section 5.8). A digest, because the subscription's own id is what it is managed by."""
    digits = sha256(f"{effect.subscription} {effect.number}".encode()).hexdigest()
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-8{digits[12:15]}-8{digits[15:18]}-{digits[18:30]}"


def _end_frame(end: End) -> Frame:
    return addressed(SUBSCRIPTION_END, end.to, write_subscription_end(end.manager, end.status, end.reason))


def _is_taken(reply: Frame | None) -> bool:
    """An empty answer is how a one-way message is accepted; a fault, or what is no SOAP, is no acceptance."""
    if not reply:
        return reply is not None
    try:
        return read_fault(parse(reply)) is None
    except RemoteError:
        return False
