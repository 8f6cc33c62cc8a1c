"""`gossip-ws device run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gossip_ws.devices.cli_output import as_json, say_json
from gossip_ws.devices.lean import become_lean

if TYPE_CHECKING:
    from gossip_ws.devices.host import Host


@click.command(
    epilog="""\b
Example:
  gossip-ws device run meter.toml
  gossip-ws device run meter.toml --json | jq .http
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@as_json
def run(file: Path, as_json: bool) -> None:
    """Run the device that FILE describes, until it is interrupted or terminated.

    Prints one line when the device takes messages. SIGINT and SIGTERM make it say Bye and end with exit code 0;
    an error in FILE ends it with 2 and one line that names the key.
    """
    become_lean()
    # After that, and not above: most of what a device takes is what it imports.
    from gossip_ws.devices.config import load_config
    from gossip_ws.devices.single import run as run_device

    config = load_config(file)

    def ready(host: Host) -> None:
        settings, udp = host.settings, host.network.udp
        peers = host.http.at("/Peers")
        if as_json:
            say_json(
                {
                    "ready": True,
                    "device": settings.device,
                    "role": settings.role.value,
                    "http": str(host.http),
                    "udp": str(udp),
                    "peers": str(peers),
                    "instance": settings.incarnation,
                }
            )
        else:
            click.echo(f"ready {settings.role.value} {settings.device} {host.http} {udp} peers {peers}")
            sys.stdout.flush()

    run_device(config, ready)
