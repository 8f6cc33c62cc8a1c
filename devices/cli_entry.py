"""Where a push or a pull enters: a client for the shadow of one service, of a device that is named or found."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gossip_ws.client import GossipClient, Unanswered
from gossip_ws.core.peers import Role
from gossip_ws.devices.cli_output import Progress
from gossip_ws.devices.finding import Found, discover, find_service, probing_addresses
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.names import GRID, REPORT, QName, qname
from gossip_ws.net.multicast import Group

_TIERS = {qname(GRID, role.value): number for number, role in enumerate(Role)}


def client_for(
    url: str,
    type: QName,
    *,
    scopes: Sequence[str],
    interfaces: Sequence[str],
    group: Group,
    user: str,
    password: str,
    timeout: float | None,
) -> GossipClient:
    """A client for the service of a portType: of the device at `url`, or, without one, of the device of the highest
    tier that a Probe for `scopes` finds.

    Raises Unanswered when there is no such device, LocalError for a `url` that is none.
    """
    progress = Progress()
    if url:
        address = asyncio.run(find_service(url, type))
    else:
        progress.say("looking for a device by multicast")
        found = asyncio.run(discover(probing_addresses(interfaces), group, scopes=tuple(scopes)))
        address = _highest(found, type)
        progress.clear()
    more = {} if timeout is None else {"timeout": timeout}
    return GossipClient(address, user=user, password=password, **more)


def report_client(entry: GossipClient, *, user: str, password: str) -> GossipClient:
    """A client for the Report service of the device that `entry` calls. Raises LocalError when it has none."""
    device = str(Address.parse(entry.shadow.partition("?")[0]).at(""))
    return GossipClient(asyncio.run(find_service(device, qname(REPORT, "Report"))), user=user, password=password)


def _highest(found: Sequence[Found], type: QName) -> str:
    entries = [(min(map(_tier, one.types)), service.address) for one in found if (service := one.service(type))]
    if not entries:
        raise Unanswered("no device with such a service was found: name one by its URL")
    return min(entries)[1]


def _tier(type: QName) -> int:
    return _TIERS.get(type, len(_TIERS))
