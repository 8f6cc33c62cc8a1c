"""The Report service: what a device knows of one message, and by name who is known here to lack it.

Any SOAP client can call it, of one device or, at the shadow, of all. It reaches its device through ports.Gossip. Of a
push every device speaks for itself only. Of a request a device names those it waited for itself: who is lacking
further down is named there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from gossip_ws.core.account import Lack, Lacking
from gossip_ws.filters.pages import MAX_NAMES, page
from gossip_ws.filters.report import MAX_DEVICE, PUSH, REPORT_FILTER, REQUEST
from gossip_ws.kernel.names import REPORT, GossipId
from gossip_ws.kernel.terms import Priority
from gossip_ws.ports import Gossip
from gossip_ws.services import _spyne as spyne
from gossip_ws.services.contract import state
from gossip_ws.services.gossip import aggregate, gossip_enabled
from gossip_ws.services.hosting import SpyneHosted
from gossip_ws.services.shape import reading

TIMEOUT: Final = 5.0
"""Seconds: six resends at every hop. Who has answered nothing by then is silent."""

_ONCE = {"min_occurs": 1, "nillable": False}


class LackingDevice(spyne.ComplexModel):
    """A device, why it does not count, and how many devices stand behind it, itself among them.

    counted: it does, whoever waited for it in vain.
    """

    __namespace__ = REPORT
    device = spyne.Unicode(min_len=1, max_len=MAX_DEVICE, **_ONCE)
    standing = spyne.Unicode(values=[lack.value for lack in Lack], **_ONCE)
    devices = spyne.Integer32(ge=1, **_ONCE)


class Names(spyne.ComplexModel):
    """At most limit names in order. Where complete is false the next page begins after the last of them."""

    __namespace__ = REPORT
    limit = spyne.Integer32(ge=1, le=MAX_NAMES, **_ONCE)
    complete = spyne.Boolean(**_ONCE)
    lacking = LackingDevice.customize(  # type: ignore[attr-defined]
        min_occurs=0, max_occurs=MAX_NAMES, nillable=False
    )


class Report(spyne.ComplexModel):
    """How many devices have the message, of how many that say so."""

    __namespace__ = REPORT
    held = reading(spyne.Integer, 0, 1)
    devices = reading(spyne.Integer, 1, 1)
    names = Names.customize(min_occurs=0, nillable=False)  # type: ignore[attr-defined]


@gossip_enabled(GetReport=aggregate(REPORT_FILTER, timeout=TIMEOUT, priority=Priority.STATUS))
class ReportService(spyne.Service):
    """Says what became of a message. State: a ReportState."""

    __service_name__ = "Report"

    @spyne.rpc(
        spyne.Unicode(pattern="[0-9a-f]{64}", **_ONCE),
        spyne.Unicode(values=[PUSH, REQUEST], **_ONCE),
        spyne.Unicode(max_len=MAX_DEVICE, min_occurs=0, nillable=False),
        spyne.Integer32(ge=1, le=MAX_NAMES, **_ONCE),
        _args=("about", "of", "after", "limit"),
        _returns=Report.customize(**_ONCE),  # type: ignore[attr-defined]
    )
    def GetReport(ctx: Any, about: str, of: str, after: str | None, limit: int) -> Any:
        """Of a push: this device, if the message is not in force here. Of a request: whom its answer here leaves
        out. Names greater than after, at most limit of them."""
        gossip = state(ctx, ReportState).gossip
        known = gossip.known(GossipId(bytes.fromhex(about)))
        lacking = known.lacking
        if of == PUSH:
            lacking = (Lacking(gossip.device, known.own, 1),) if known.own is not None else ()
        first = page(lacking, after or "", limit)
        entries = [
            LackingDevice(device=str(one.device), standing=one.standing.value, devices=one.devices)
            for one in first.entries
        ]
        names = Names(limit=first.limit, complete=first.complete, lacking=entries)
        return Report(held=int(known.own is None), devices=1, names=names)


@dataclass(frozen=True, slots=True)
class ReportState:
    """The Report service's own state: the device's endpoint."""

    gossip: Gossip


def report_service(gossip: Gossip, path: str = "/Report") -> SpyneHosted:
    """The Report service of the device behind `gossip`."""
    return SpyneHosted(ReportService, REPORT, ReportState(gossip), path=path)
