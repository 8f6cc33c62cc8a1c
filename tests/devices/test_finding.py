"""What a search sends, as anybody on the group hears it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from gossip_ws.devices.finding import discover
from gossip_ws.dpws.messages import Probe
from gossip_ws.kernel.names import DEVICE, GRID, QName, qname
from gossip_ws.net.multicast import Group
from gossip_ws.wire.discovery import decode

METER = qname(GRID, "SmartMeter")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Joined to a group at a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((Group().host, 0))
        sock.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(Group().host) + socket.inet_aton("127.0.0.1")
        )
        sock.settimeout(5.0)
        yield sock


@pytest.mark.parametrize(("asked", "sent"), [((), (DEVICE,)), ((METER,), (METER,))])
def test_a_probe_always_has_a_type(listener: socket.socket, asked: tuple[QName, ...], sent: tuple[QName, ...]) -> None:
    group = Group(port=listener.getsockname()[1])
    assert asyncio.run(discover(["127.0.0.1"], group, types=asked, scopes=("grid://nobody",), within=0.1)) == ()
    probe = decode(listener.recv(65_535))
    assert isinstance(probe, Probe)
    assert (probe.types, probe.scopes) == (sent, ("grid://nobody",))
