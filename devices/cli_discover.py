"""`gossip-ws discover`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import click

from gossip_ws.devices.cli_output import Number, Progress, as_json, say_json, type_name
from gossip_ws.devices.finding import WAIT, Found, probing_addresses
from gossip_ws.devices.finding import discover as find
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.names import QName, split
from gossip_ws.net.multicast import Group


@click.command(
    epilog="""\b
Example:
  gossip-ws discover --type SmartMeter --scope grid://city/ssc-3
  gossip-ws discover --interface eth1 --json
"""
)
@click.option("--type", "types", multiple=True, help="SmartMeter and the like, or {namespace}name.")
@click.option("--scope", "scopes", multiple=True, help="Only devices below this scope.")
@click.option("--timeout", type=Number(0.1, 60), default=WAIT, show_default=True, help="Seconds to wait.")
@click.option("--interface", "interfaces", multiple=True, help="A name or an address; all without it.")
@click.option("--proxy", help="The address of a discovery proxy: it is asked instead of the group.")
@click.option("--group", default=Group().host, show_default=True, help="The multicast group.")
@click.option("--port", type=click.IntRange(1, 65_535), default=Group().port, show_default=True, help="Its port.")
@as_json
def discover(
    types: Sequence[str],
    scopes: Sequence[str],
    timeout: float,
    interfaces: Sequence[str],
    proxy: str | None,
    group: str,
    port: int,
    as_json: bool,
) -> None:
    """Ask by multicast, or a discovery proxy, who is there (WS-Discovery), then each device what it hosts.

    Exit code 1 when nobody answered.
    """
    progress = Progress()
    progress.say(f"waiting {timeout:g} s for answers")
    addresses = probing_addresses(interfaces)
    wanted = tuple(QName(type_name(name)) for name in types)
    known = Address.parse(proxy) if proxy is not None else None
    asking = find(addresses, Group(group, port), types=wanted, scopes=tuple(scopes), within=timeout, proxy=known)
    found = asyncio.run(asking)
    progress.clear()
    if as_json:
        say_json([_as_json(one) for one in found])
    else:
        for one in found:
            click.echo(_table(one))
    if not found:
        click.get_current_context().exit(1)


def _table(found: Found) -> str:
    lines = [f"{found.device}  {' '.join(split(name)[1] for name in found.types)}"]
    lines += [f"  scope    {scope}" for scope in found.scopes]
    lines += [f"  address  {address}" for address in found.addresses]
    if found.services is None:
        lines.append("  does not answer a Get")
    for service in found.services or ():
        shadow = f"  shadow {service.shadow}" if service.shadow else ""
        lines.append(f"  {split(service.type)[1]:8} {service.address}{shadow}")
    return "\n".join(lines)


def _as_json(found: Found) -> dict[str, Any]:
    services = found.services
    return {
        "device": found.device,
        "types": found.types,
        "scopes": found.scopes,
        "addresses": found.addresses,
        "services": None
        if services is None
        else [{"type": one.type, "address": one.address, "shadow": one.shadow or None} for one in services],
    }
