"""The Routing service: what the owners of energy links say of them, to all by gossip, and to whoever asks.

Statements go from device to device in a notification that only devices start: one hop, then it is the receiver's to
tell on. GetGradients is made to be aggregated: summed, it is the delay cost of a whole grid and its distance from the
optimum; with the stylesheet `most-congested.xslt`, the ten links nearest to their capacity. Knows no path, no flow and
no key: a RoutingState does.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gossip_ws.kernel.names import ROUTING
from gossip_ws.kernel.terms import Priority
from gossip_ws.routing.cost import delay
from gossip_ws.routing.graph import Link
from gossip_ws.routing.instance import MOST_KB
from gossip_ws.services import _spyne as spyne
from gossip_ws.services.contract import call
from gossip_ws.services.gossip import aggregate, gossip_enabled, notification
from gossip_ws.services.hosting import SpyneHosted
from gossip_ws.services.shape import reading

MAX_SAID: Final = 64
"""Statements of one message."""
MAX_AGE: Final = 4_294_967.0
"""Seconds; four octets of milliseconds."""
LIFETIME: Final = 30.0
"""Seconds after which a message that has not arrived is too old: there have been others."""

_AGE: Final = 4
_ONCE: Final = {"min_occurs": 1, "nillable": False}
_MOST_COST: Final = 1e15
"""Of one link: what `delay` says of a load of `MOST_KB` on a link that has failed is more, and given as this."""


@dataclass(frozen=True, slots=True)
class Said:
    """`signed`: a statement as its owner signed it (`routing.statement`, then 64 octets of signature), whoever told it.
    age: s since its owner measured, the time that others had it included. On the wire the age in ms, in four octets
    big-endian, comes first."""

    age: float
    signed: bytes


class RoutingState(Protocol):
    """Where a device's Routing service gets its numbers, and what is done with those of others."""

    def heard(self, said: Sequence[Said]) -> None:
        """Statements, by gossip: fresh or old, of owners that there are or not, genuine or not."""

    def links(self) -> Sequence[tuple[Link, float, float]]:
        """(link, capacity kb, load kb now) of each link that the device owns."""

    def gap(self) -> float:
        """What the device's own flow would save at today's prices (`routing.peer.Peer.gap`)."""


class Gradient(spyne.ComplexModel):
    """One link now. cost: messages queued for it, in the mean (M/M/1). gap: what its owner's own flow would save at
    today's prices, told once in its first row."""

    __namespace__ = ROUTING
    link = spyne.Unicode(max_len=32, **_ONCE)
    capacity = reading(spyne.Double, 0, MOST_KB)
    load = reading(spyne.Double, 0, MOST_KB)
    cost = reading(spyne.Double, 0, _MOST_COST)
    gap = reading(spyne.Double, 0, _MOST_COST)


@gossip_enabled(
    Gradients=notification(priority=Priority.STATUS, lifetime=LIFETIME, one_hop=True),
    GetGradients=aggregate("sum", priority=Priority.STATUS),
)
class RoutingService(spyne.Service):
    """Takes in and gives out the gradients of energy links. State: a RoutingState."""

    __service_name__ = "Routing"

    @spyne.rpc(spyne.ByteArray(min_occurs=1, max_occurs=MAX_SAID, nillable=False), _args=("said",))
    def Gradients(ctx: Any, said: Iterable[Any]) -> None:
        """A device tells on what owners say of their links, itself among them."""
        octets = [b"".join(one or ()) for one in said]
        call(ctx).state.heard([Said(int.from_bytes(one[:_AGE]) / 1000, one[_AGE:]) for one in octets])

    @spyne.rpc(_returns=spyne.Array(Gradient))
    def GetGradients(ctx: Any) -> Any:
        """The links that the device owns; none for one that owns no link."""
        state = call(ctx).state
        gap = min(max(state.gap(), 0.0), _MOST_COST)
        rows = []
        for link, capacity, load in state.links():
            cost = min(delay(load, capacity), _MOST_COST)
            rows.append(Gradient(link=name(link), capacity=capacity, load=load, cost=cost, gap=gap))
            gap = 0.0
        return rows


def name(link: Link) -> str:
    """As rows call it: from>to."""
    return f"{link[0]}>{link[1]}"


def gradients_element(said: Sequence[Said]) -> bytes:
    """The Gradients element of the routing WSDL, of at most `MAX_SAID` statements."""
    told = "".join(
        f"<said>{b64encode(round(1000 * min(one.age, MAX_AGE)).to_bytes(_AGE) + one.signed).decode()}</said>"
        for one in said
    )
    return f'<Gradients xmlns="{ROUTING}">{told}</Gradients>'.encode()


def routing_service(state: RoutingState, path: str = "/Routing") -> SpyneHosted:
    """The Routing service of the device whose links `state` knows."""
    return SpyneHosted(RoutingService, ROUTING, state, path=path)
