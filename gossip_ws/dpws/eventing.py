"""What subscribers and event sources say to one another: WS-Eventing (2004/08) as DPWS 1.1 profiles it, and its faults.

Knows no XML: `wire.eventing` does. Which subscriptions there are is up to `dpws.subscriptions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import Fault, FaultCode, LocalError, RemoteError, receiver_fault, sender_fault
from gossip_ws.kernel.names import DPWS, GOSSIP, WSA, WSE, qname

PUSH: Final = WSE + "/DeliveryModes/Push"
"""Each event is sent to each subscriber. Every event source speaks it (R3009)."""
BY_GOSSIP: Final = GOSSIP + ":DeliveryModes:Gossip"
"""Each event is gossiped once, and the subscriber hears it from the device that it is near to. A mode of our own: any
other stack refuses it with DeliveryModeRequestedUnavailable, as the specification says."""
ACTIONS: Final = DPWS + "/Action"
"""The filter dialect of DPWS: a list of URIs that are compared with the event's action (R3008)."""
MAX_FILTER: Final = 64
"""URIs of one filter."""
MAX_SCOPES: Final = 8
"""Scopes that one gossip message may name."""


class Ending(StrEnum):
    """Why a subscription ends before its time (WS-Eventing section 3.5)."""

    DELIVERY_FAILURE = WSE + "/DeliveryFailure"
    SOURCE_SHUTTING_DOWN = WSE + "/SourceShuttingDown"
    SOURCE_CANCELLING = WSE + "/SourceCancelling"


@dataclass(frozen=True, slots=True)
class Reference:
    """An endpoint reference. `parameters`: reference parameters, each one header block as it is to be echoed."""

    address: str
    parameters: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Who wants which events. `expires` (s) of None leaves it to the source. `filter` of None wants every event.

    `scopes`, of the mode `BY_GOSSIP` alone: where its subscribers are; none, everywhere.
    """

    notify_to: Reference | None = None
    end_to: Reference | None = None
    mode: str = PUSH
    expires: float | None = None
    filter: tuple[str, ...] | None = None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Granted:
    """What a Subscribe earns: the subscription's manager, and for how long (s)."""

    manager: Reference
    expires: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A SubscriptionEnd, as its receiver reads it. `status` is a URI, one of `Ending` unless a peer has its own."""

    status: str
    reason: str


def http_address(reference: Reference) -> Address:
    """Where a message for `reference` is posted. Raises RemoteError, wsa:DestinationUnreachable, for an address that no
    event can be sent to (R3017, R3018)."""
    try:
        address = Address.parse(reference.address)
    except LocalError:
        address = None
    # The anonymous address and its like begin with http, and are no place.
    if address is None or address.binding is not Binding.HTTP or reference.address.startswith(WSA + "/"):
        reason = f"no event can be sent to {reference.address[:256]!r}: only http is spoken"
        raise sender_fault("DestinationUnreachable", reason, namespace=WSA)
    return address


def invalid_message(reason: str) -> RemoteError:
    """Not a message of WS-Eventing, or about a subscription that there is not."""
    return sender_fault("InvalidMessage", reason, namespace=WSE)


def mode_unavailable(mode: str) -> RemoteError:
    """A delivery mode that this source does not have (R3010)."""
    detail = f'<wse:SupportedDeliveryMode xmlns:wse="{WSE}">{PUSH}</wse:SupportedDeliveryMode>'
    return _detailed("DeliveryModeRequestedUnavailable", f"no delivery mode here: {mode[:256]}", detail)


def dialect_unavailable(dialect: str) -> RemoteError:
    """A filter in another dialect than that of DPWS (R3012)."""
    detail = f'<wse:SupportedDialect xmlns:wse="{WSE}">{ACTIONS}</wse:SupportedDialect>'
    return _detailed("FilteringRequestedUnavailable", f"no filter dialect here: {dialect[:256]}", detail)


def no_such_action() -> RemoteError:
    """A filter that no event of this source passes (R3020)."""
    return sender_fault("FilterActionNotSupported", "the filter lets no event of this source through", namespace=DPWS)


def invalid_expiration(reason: str) -> RemoteError:
    """An expiration that is none, or is over already."""
    return sender_fault("InvalidExpirationTime", reason, namespace=WSE)


def unsupported_expiration() -> RemoteError:
    """A point in time instead of a duration: subscriber and source need not agree on the time of day (R3016)."""
    return sender_fault("UnsupportedExpirationType", "an expiration is a duration here", namespace=WSE)


def unable_to_renew() -> RemoteError:
    """Whoever renews what there is not subscribes anew."""
    return receiver_fault("UnableToRenew", "no such subscription: it has ended, or never was", namespace=WSE)


def unable_to_process(reason: str) -> RemoteError:
    """A quota is used up."""
    return receiver_fault("EventSourceUnableToProcess", reason, namespace=WSE)


def _detailed(name: str, reason: str, detail: str) -> RemoteError:
    return RemoteError(Fault(FaultCode.SENDER, qname(WSE, name), reason, detail.encode()))
