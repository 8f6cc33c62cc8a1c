"""`gossip-ws proxy run`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gossip_ws.devices.cli_output import Number, as_json, say_json
from gossip_ws.devices.config import WATCH
from gossip_ws.devices.finding import followed
from gossip_ws.net.multicast import Group

if TYPE_CHECKING:
    from gossip_ws.devices.proxy import RunningProxy


@click.command(
    epilog="""\b
Example:
  gossip-ws proxy run --interface eth0 --http-port 8081 --store proxy.sqlite
  gossip-ws discover --proxy http://10.1.0.2:8081/proxy
"""
)
@click.option("--interface", "interfaces", multiple=True, help="A name or an address; all but loopback without it.")
@click.option(
    "--watch",
    type=Number(0.1, 3_600.0),
    default=WATCH,
    show_default=True,
    help="Seconds between two looks at which of them are there.",
)
@click.option("--http-port", type=click.IntRange(0, 65_535), default=0, help="Where it is asked; 0: any.")
@click.option("--udp-port", type=click.IntRange(0, 65_535), default=0, help="Where it multicasts from; 0: any.")
@click.option("--scope", "scopes", multiple=True, help="Its own place: clients may look for proxies by it.")
@click.option("--store", type=click.Path(path_type=Path), help="A file that keeps its identity.")
@click.option("--group", default=Group().host, show_default=True, help="The multicast group.")
@click.option("--port", type=click.IntRange(1, 65_535), default=Group().port, show_default=True, help="Its port.")
@as_json
def run(
    interfaces: Sequence[str],
    watch: float,
    http_port: int,
    udp_port: int,
    scopes: Sequence[str],
    store: Path | None,
    group: str,
    port: int,
    as_json: bool,
) -> None:
    """Run a discovery proxy: it knows the devices of its segments, answers for them, and quiets multicast.

    It is on the interfaces that there are, and on those that come later. Prints one line when it takes messages.
    SIGINT and SIGTERM make it say Bye and end with exit code 0.
    """
    from gossip_ws.devices.proxy import ProxySettings
    from gossip_ws.devices.proxy import run as run_proxy

    choice = followed(interfaces)
    settings = ProxySettings(
        choice.literals, choice.interfaces, watch, http_port, udp_port, Group(group, port), tuple(scopes), store
    )

    def ready(proxy: RunningProxy) -> None:
        device = proxy.server.proxy.service.device
        if as_json:
            say_json({"ready": True, "device": device, "http": str(proxy.http)})
        else:
            click.echo(f"ready DiscoveryProxy {device} {proxy.http}")
        sys.stdout.flush()

    run_proxy(settings, ready)
