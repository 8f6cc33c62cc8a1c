"""The Routing service: what the owners of energy links say of them, to all by gossip, and to whoever asks.

Reports spread as a notification that only devices start. GetGradients is made to be aggregated: summed, it is the
delay cost of a whole grid and its distance from the optimum; with the stylesheet `most-congested.xslt`, the ten links
nearest to their capacity. Knows no path and no flow: a RoutingState does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from gossip_ws.kernel.names import ROUTING
from gossip_ws.kernel.terms import Priority
from gossip_ws.routing.cost import delay
from gossip_ws.routing.graph import Link
from gossip_ws.routing.instance import MOST_KB, MOST_NODES
from gossip_ws.routing.peer import GradientReport
from gossip_ws.services import _spyne as spyne
from gossip_ws.services.contract import call
from gossip_ws.services.gossip import aggregate, gossip_enabled, notification
from gossip_ws.services.hosting import SpyneHosted
from gossip_ws.services.shape import reading

MAX_REPORTS: Final = 64
"""Links of one message: a device owns those that leave it."""
LIFETIME: Final = 30.0
"""Seconds after which a report is too old to be passed on: its owner has published others."""

_ONCE: Final = {"min_occurs": 1, "nillable": False}
_MOST_COST: Final = 1e15
"""Of one link: what `delay` says of a load of `MOST_KB` on a link that has failed is more, and given as this."""


class RoutingState(Protocol):
    """Where a device's Routing service gets its numbers, and what is done with those of others."""

    def heard(self, reports: Sequence[GradientReport]) -> None:
        """Reports of links, by gossip: fresh or old, of links that there are or not."""

    def links(self) -> Sequence[tuple[Link, float, float]]:
        """(link, capacity kb, load kb now) of each link that the device owns."""

    def gap(self) -> float:
        """What the device's own flow would save at today's prices (`routing.peer.Peer.gap`)."""


class GradientReportType(spyne.ComplexModel):
    """What the owner of a link says of it: marginal cost and curvature follow from capacity and load.

    seq rises with every report of the link. at: seconds since 1970 when the load was measured. capacity and load in
    kb; a capacity of 0 is that of a link that has failed. sources: how many have flow on it.
    """

    __namespace__ = ROUTING
    __type_name__ = "GradientReport"
    origin = spyne.Integer32(ge=0, lt=MOST_NODES, **_ONCE)
    to = spyne.Integer32(ge=0, lt=MOST_NODES, **_ONCE)
    seq = spyne.Integer64(ge=1, **_ONCE)
    at = spyne.Double(ge=0, le=1e11, **_ONCE)
    capacity = spyne.Double(ge=0, le=MOST_KB, **_ONCE)
    load = spyne.Double(ge=0, le=MOST_KB, **_ONCE)
    sources = spyne.Integer32(ge=0, le=MOST_NODES, **_ONCE)


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
    Gradients=notification(priority=Priority.STATUS, lifetime=LIFETIME),
    GetGradients=aggregate("sum", priority=Priority.STATUS),
)
class RoutingService(spyne.Service):
    """Takes in and gives out the gradients of energy links. State: a RoutingState."""

    __service_name__ = "Routing"

    @spyne.rpc(
        GradientReportType.customize(min_occurs=1, max_occurs=MAX_REPORTS, nillable=False),  # type: ignore[attr-defined]
        _args=("report",),
    )
    def Gradients(ctx: Any, report: Iterable[Any]) -> None:
        """A device says how it stands with the links that it owns."""
        call(ctx).state.heard(
            [
                GradientReport((one.origin, one.to), one.seq, one.at, one.capacity, one.load, one.sources)
                for one in report
            ]
        )

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


def reports_element(reports: Sequence[GradientReport]) -> bytes:
    """The Gradients element of the routing WSDL, of at most `MAX_REPORTS` reports."""
    return (
        f'<r:Gradients xmlns:r="{ROUTING}">'
        + "".join(
            f"<r:report><r:origin>{one.link[0]}</r:origin><r:to>{one.link[1]}</r:to><r:seq>{one.seq}</r:seq>"
            f"<r:at>{one.at!r}</r:at><r:capacity>{one.capacity!r}</r:capacity><r:load>{one.load!r}</r:load>"
            f"<r:sources>{one.sources}</r:sources></r:report>"
            for one in reports
        )
        + "</r:Gradients>"
    ).encode()


def routing_service(state: RoutingState, path: str = "/Routing") -> SpyneHosted:
    """The Routing service of the device whose links `state` knows."""
    return SpyneHosted(RoutingService, ROUTING, state, path=path)
