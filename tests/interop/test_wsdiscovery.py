"""WSDiscovery, for Python, speaks the generation of 2005/04 and 2006/02: each side finds the other."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from peers import SCOPE, pip_package, works
from single_devices import Running, eventually

from gossip_ws.devices.finding import discover
from gossip_ws.kernel.names import DEVICE, GRID, qname
from gossip_ws.net.multicast import Group

LOOPBACK = "127.0.0.1"
DEVPROF = "http://schemas.xmlsoap.org/ws/2006/02/devprof"


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """On the loopback interface: WSDiscovery 2.1.2 takes every interface but that one, and has no way to choose."""
    threads = pip_package("wsdiscovery.threaded", "WSDiscovery")
    chosen = [ipaddress.IPv4Address(LOOPBACK)]
    monkeypatch.setattr(threads, "_getNetworkAddrs", lambda family: chosen if family in (None, socket.AF_INET) else [])
    return pip_package("wsdiscovery", "WSDiscovery")


@contextlib.contextmanager
def started(peer: Any) -> Iterator[Any]:
    peer.start()
    try:
        yield peer
    finally:
        peer.stop()


@works("WSDiscovery", "finds")
def test_it_finds_a_device_by_type_and_scope(package: ModuleType, single: Running) -> None:
    types = [package.QName(DEVPROF, "Device"), package.QName(GRID, "SmartMeter")]

    with started(package.WSDiscovery()) as peer:

        def search(types: list[Any], scope: str) -> list[Any]:
            return list(peer.searchServices(types, [package.Scope(scope)], timeout=0.5))

        (found,) = eventually(lambda: search(types, SCOPE))
        assert found.getEPR() == single.told["device"]
        assert found.getXAddrs() == [single.address("/device")]
        assert {(one.getNamespace(), one.getLocalname()) for one in found.getTypes()} >= {(DEVPROF, "Device")}
        # It keeps what it has found, and filters that itself.
        assert search([package.QName(GRID, "Appliance")], SCOPE) == []


# Its answers go to its IPv6 thread too, which dies of the IPv4 address; the other one has sent them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@works("WSDiscovery", "found")
def test_ours_finds_it(package: ModuleType) -> None:
    """It answers with an empty ProbeMatches where nothing matches, which only a directed Probe asks for; ours takes
    that for no device."""
    publishing = pip_package("wsdiscovery.publishing", "WSDiscovery").ThreadedWSPublishing
    scope = f"grid://interop-{uuid4().hex}/1"
    with started(publishing()) as peer:
        types = [package.QName(DEVPROF, "Device"), package.QName(GRID, "SmartMeter")]
        peer.publishService(types, [package.Scope(scope)], ["http://127.0.0.1:9/nobody"])

        def search(*types: Any, scope: str = scope) -> Any:
            return asyncio.run(discover([LOOPBACK], Group(), types=types, scopes=(scope,), within=1.5))

        (found,) = eventually(lambda: search(qname(GRID, "SmartMeter")))
        assert (found.scopes, found.addresses) == ((scope,), ("http://127.0.0.1:9/nobody",))
        assert set(found.types) == {DEVICE, qname(GRID, "SmartMeter")}
        assert search(qname(GRID, "SmartMeter"), scope=scope + "0") == ()
