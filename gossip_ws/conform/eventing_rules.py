"""WS-Eventing as DPWS 1.1 profiles it. Without an event source in a WSDL none of it applies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gossip_ws.conform.discovery_rules import none_of
from gossip_ws.conform.evidence import EventsSeen, Evidence, Subscription
from gossip_ws.conform.frames import NOWHERE, WSE
from gossip_ws.conform.http import Exchange
from gossip_ws.conform.rule import Check, Finding, Group, Level, Rule, Source, failed, not_applicable, passed
from gossip_ws.kernel.names import DPWS, WSA, QName, qname

_NONE: Final = "no hosted service describes an event source"
_NOT_SUBSCRIBED: Final = "no subscription came about (R3009)"
_ACTION_FILTER: Final = "FilterActionNotSupported"


def _source(check: Callable[[EventsSeen], Finding]) -> Check:
    def whole(seen: Evidence) -> Finding:
        return check(seen.events) if seen.events is not None else not_applicable(_NONE)

    return whole


def _managed(check: Callable[[EventsSeen], Finding]) -> Check:
    """A rule for a subscription that came about."""

    def whole(events: EventsSeen) -> Finding:
        return check(events) if events.subscribed.manager else not_applicable(_NOT_SUBSCRIBED)

    return _source(whole)


def _refused(subscription: Subscription, what: str, *names: QName) -> Finding:
    """With one of the named faults, or with any where none is named."""
    exchange = subscription.exchange
    fault = exchange.message.fault if exchange.message is not None else None
    if fault is None or (names and not fault.has(*names)):
        return failed(f"{what}: {exchange}")
    return passed(str(exchange))


def push(events: EventsSeen) -> Finding:
    if not events.subscribed.manager:
        return failed(f"Subscribe: {events.subscribed.exchange}")
    return passed(f"managed at {events.subscribed.manager}")


def other_mode(events: EventsSeen) -> Finding:
    return _refused(events.mode, "an unknown delivery mode", qname(WSE, "DeliveryModeRequestedUnavailable"))


def action_filter(events: EventsSeen) -> Finding:
    if events.filtered is None:
        return not_applicable("no action of a notification could be read from the WSDL")
    if not events.subscribed.manager:
        return not_applicable(_NOT_SUBSCRIBED)
    if not events.filtered.manager:
        return failed(f"a Subscribe with a filter of actions: {events.filtered.exchange}")
    return passed("a filter of actions is taken")


def filtering(events: EventsSeen) -> Finding:
    never, unavailable = qname(WSE, "FilteringNotSupported"), qname(WSE, "FilteringRequestedUnavailable")
    for subscription, names in ((events.filtered, (never, unavailable)), (events.dialect, (never,))):
        message = subscription.exchange.message if subscription is not None else None
        if message is not None and message.fault is not None and message.fault.has(*names):
            return failed(f"a Subscribe with a filter: {message.fault}")
    return passed("filters are never refused as such")


def other_dialect(events: EventsSeen) -> Finding:
    return _refused(events.dialect, "an unknown filter dialect", qname(WSE, "FilteringRequestedUnavailable"))


def nothing_matches(events: EventsSeen) -> Finding:
    return _refused(events.nothing, "a filter that nothing matches", qname(DPWS, _ACTION_FILTER))


def no_address(events: EventsSeen) -> Finding:
    return _refused(events.no_address, f"a NotifyTo of {NOWHERE}:nowhere")


def no_end(events: EventsSeen) -> Finding:
    return _refused(events.no_end, f"an EndTo of {NOWHERE}:nowhere")


def durations(events: EventsSeen) -> Finding:
    told = events.subscribed.expires
    return passed(told) if told.startswith("P") else failed(f"PT1M was asked for, and {told or 'nothing'} granted")


def renewing(events: EventsSeen) -> Finding:
    return _granted(events.renewed, "Renew", "RenewResponse")


def _granted(exchange: Exchange | None, name: str, response: str) -> Finding:
    message = exchange.message if exchange is not None else None
    if message is None or not message.holds(qname(WSE, response)) or message.payload is None:
        return failed(f"{name}: {exchange}")
    told = (message.payload.findtext(qname(WSE, "Expires")) or "").strip()
    return passed(f"{name}: {told}") if told.startswith("P") else failed(f"{name} grants {told or 'nothing'}")


def get_status(events: EventsSeen) -> Finding:
    exchange = events.status
    fault = exchange.message.fault if exchange is not None and exchange.message is not None else None
    if fault is not None and fault.has(qname(WSA, "ActionNotSupported")):
        return passed(str(exchange))
    return _granted(exchange, "GetStatus", "GetStatusResponse")


def no_time(events: EventsSeen) -> Finding:
    return _refused(events.no_time, "a subscription for PT0S", qname(WSE, "InvalidExpirationTime"))


def unsubscribed(events: EventsSeen) -> Finding:
    exchange = events.unsubscribed
    message = exchange.message if exchange is not None else None
    if message is None or message.fault is not None or message.body:
        return failed(f"Unsubscribe: {exchange}" + (", with a Body" if message is not None and message.body else ""))
    return passed("the Body is empty")


def gone(events: EventsSeen) -> Finding:
    for name, exchange in (("GetStatus", events.gone_status), ("Renew", events.gone_renew)):
        fault = exchange.message.fault if exchange is not None and exchange.message is not None else None
        if exchange is None or exchange.status < 400 or exchange.error or (exchange.body and fault is None):
            return failed(f"{name} of a subscription that has ended: {exchange}")
    return passed(str(events.gone_renew))


def echoed(events: EventsSeen) -> Finding:
    token = qname(NOWHERE, "Token")
    if not events.notifications:
        return not_applicable("no notification came while the subscription lasted")
    for message in events.notifications:
        block = next((header for header in message.headers if header.tag == token), None)
        if block is None or block.get(qname(WSA, "IsReferenceParameter"), "").strip() not in ("true", "1"):
            return failed(f"{message.action}: the reference parameter of NotifyTo is no marked header of it")
    return passed(f"{len(events.notifications)} notifications")


def _rule(id: str, level: Level, source: Source, text: str, check: Check) -> Rule:
    return Rule(id, Group.EVENTING, level, source, text, check)


_MUST, _SHOULD, _MAY = Level.MUST, Level.SHOULD, Level.MAY
_MS: Final = Source.MICROSOFT

RULES: Final = (
    _rule("R3009", _MUST, _MS, "Subscriptions in the mode Push are taken.", _source(push)),
    _rule("R3010", _MUST, _MS, "Another delivery mode is refused as unavailable.", _source(other_mode)),
    _rule("R3008", _MUST, _MS, "Filters of the dialect Action are taken.", _source(action_filter)),
    _rule("R3011", _MUST, _MS, "No filter is refused as not supported, none of Action as unavailable.",
          _source(filtering)),
    _rule("R3012", _MUST, _MS, "Another filter dialect is refused as unavailable.", _source(other_dialect)),
    _rule("R3020", _MUST, _MS, "A filter that nothing matches is refused with FilterActionNotSupported.",
          _source(nothing_matches)),
    _rule("R3017", _MUST, _MS, "A NotifyTo that cannot be sent to is refused.", _source(no_address)),
    _rule("R3018", _MUST, _MS, "An EndTo that cannot be sent to is refused.", _source(no_end)),
    _rule("R3019", _MAY, _MS, "A subscription whose events cannot be delivered may end.", none_of("either is allowed")),
    _rule("R3005", _MUST, _MS, "A duration is taken, and a duration granted.", _managed(durations)),
    _rule("R3006", _MUST, _MS, "Renew takes a duration and grants one.", _managed(renewing)),
    _rule("R3013", _MAY, _MS, "Points in time may be refused.", none_of("either is allowed")),
    _rule("R3016", _MUST, Source.STACKS, "A subscription of no length is refused with InvalidExpirationTime.",
          _source(no_time)),
    _rule("R3015", _MUST, _MS, "GetStatus is answered, or refused with ActionNotSupported.", _managed(get_status)),
    _rule("WSE.Unsubscribe", _MUST, Source.SCHEMA, "Unsubscribe is answered with an empty Body.",
          _managed(unsubscribed)),
    _rule("WSE.Unknown", _MUST, Source.STACKS, "A subscription that has ended is not found: a fault, HTTP 4xx or 5xx.",
          _managed(gone)),
    _rule("WSE.Parameters", _MUST, Source.PEERS, "Reference parameters of NotifyTo come back as marked headers.",
          _source(echoed)),
    _rule("WSE.End", _MUST, Source.PEERS, "SubscriptionEnd goes to EndTo alone.",
          none_of("the source has to end a subscription by itself")),
)  # fmt: skip
