"""The worlds that the conformance suite runs in. A new Network joins by a class with World's methods in WORLDS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Protocol

import pytest

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.net.multicast import Group, Multicast
from gossip_ws.net.network import DeviceNetwork
from gossip_ws.ports import Frame, Handle, Network
from gossip_ws.sim import world as sim


@dataclass
class Device:
    """One device as a test sees it: its network, and where others reach it."""

    network: Network
    udp: Address
    http: Address


class World(Protocol):
    heard: list[tuple[Frame, Address]]
    """What the multicast listener of this world got, with its source."""
    handler_errors: int
    """How many exceptions out of handlers the world has swallowed."""

    def make(self, host: str, handle: Handle) -> Device:
        """A device at `host`, open, its frames going to `handle`."""

    def nowhere(self, host: str) -> Address:
        """An HTTP address at which nobody listens."""

    def run_until(self, predicate: Callable[[], bool]) -> None:
        """Let the world go on until `predicate` holds; fails when it has not after a good while."""

    def close(self) -> None: ...


class SocketWorld:
    """Real sockets on loopback, one event loop."""

    DEADLINE = 5.0

    def __init__(self) -> None:
        self.heard = []
        self.handler_errors = 0
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._swallowed)
        self._networks: list[DeviceNetwork] = []
        self._group = Group(port=_free_udp_port())
        self._multicast = Multicast(["127.0.0.1"], self._group)
        self._run(self._listen())

    def make(self, host: str, handle: Handle) -> Device:
        network = DeviceNetwork(host, group=self._group)
        self._networks.append(network)
        self._run(network.open(handle))
        assert network.udp is not None
        assert network.http is not None
        return Device(network, network.udp, network.http)

    def nowhere(self, host: str) -> Address:
        with socket.socket() as sock:
            sock.bind((host, 0))
            return Address.parse(f"http://{host}:{sock.getsockname()[1]}/")

    def run_until(self, predicate: Callable[[], bool]) -> None:
        deadline = self._loop.time() + self.DEADLINE
        while not predicate():
            assert self._loop.time() < deadline, "what was waited for did not happen"
            self._run(asyncio.sleep(0.001))

    def close(self) -> None:
        for network in self._networks:
            self._run(network.close(grace=0))
        self._multicast.close()
        self._loop.close()

    async def _listen(self) -> None:
        self._multicast.open(lambda frame, source: self.heard.append((frame, source)))

    def _swallowed(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        self.handler_errors += 1

    def _run(self, what: Coroutine[None, None, None]) -> None:
        self._loop.run_until_complete(what)


class SimulatedWorld:
    """The simulator's network, in virtual time."""

    DEADLINE = 60.0

    def __init__(self) -> None:
        self._world = sim.World(seed=1)

    @property
    def heard(self) -> list[tuple[Frame, Address]]:
        return self._world.heard

    @property
    def handler_errors(self) -> int:
        return self._world.handler_errors

    def make(self, host: str, handle: Handle) -> Device:
        udp, http = Address(Binding.UDP, host, 3702), Address(Binding.HTTP, host, 80)
        self._world.attach(host, handle)
        return Device(sim.HostNetwork(self._world, udp), udp, http)

    def nowhere(self, host: str) -> Address:
        return Address(Binding.HTTP, "nowhere", 80, "/")

    def run_until(self, predicate: Callable[[], bool]) -> None:
        reached = self._world.run_until(predicate, self._world.time + self.DEADLINE)
        assert reached, "what was waited for did not happen"

    def close(self) -> None: ...


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


WORLDS: list[type[World]] = [SocketWorld, SimulatedWorld]


@pytest.fixture(params=WORLDS, ids=lambda world: world.__name__)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = request.param()
    yield made
    made.close()
