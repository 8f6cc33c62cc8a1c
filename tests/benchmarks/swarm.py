"""A thousand devices in one process, each with a real socket at its own loopback address, all equals.

A push from one to all is timed beside the same swarm of bare relays: same addresses, same peers, same
budget, same buffers, the same octets at the start. Delivery only counts, in both; with the Spyne Tariff
service it is reported. Then pulls over the same devices, which have to be exact.

Each device has a codec of its own, as it would alone: one that the devices of a process share remembers
for all of them what one has parsed, which is reported but is no fair comparison. Both swarms stand in the
process throughout; before each figure what stands is frozen for the garbage collector, so that none pays for the
objects of another.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from random import Random
from statistics import median
from time import perf_counter
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from lxml import etree

from gossip_ws.core.config import FanoutTable
from gossip_ws.core.effects import Answer
from gossip_ws.core.messages import Gossip, Hop, Tally
from gossip_ws.devices.load import Load
from gossip_ws.endpoint.endpoint import Endpoint
from gossip_ws.endpoint.server import SoapServer
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.tasks import Task
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.contract import GossipPolicy
from gossip_ws.kernel.names import METERING
from gossip_ws.kernel.terms import Budget, Tier, Wanted
from gossip_ws.net.clock import LoopClock
from gossip_ws.net.limits import raise_open_files
from gossip_ws.net.network import DeviceNetwork
from gossip_ws.net.udp import bound_socket
from gossip_ws.ports import Caller, Invocation, Outcome, Request, Respond
from gossip_ws.security.keys import PrivateKey
from gossip_ws.services.metering import Measured, metering_service
from gossip_ws.services.tariff import TariffStore, tariff_service
from gossip_ws.sim.numbers import NOTIFY, READ, READ_REQUEST, NumberService
from gossip_ws.wire.gossip import XmlCodec
from tests.benchmarks.bare import BareRelay
from tests.benchmarks.figures import Figure, compared, limited
from tests.benchmarks.parts import SET_TARIFF, content, device_id, host, notice, peer, server, tariff, verifier

FANOUT: Final = 14
ROUNDS: Final = 10
"""Among 1,000 equals this misses nobody but once in a thousand pushes: 1000 * exp(-14)."""
MOST: Final = 2.0
PULL_BELOW: Final = 3.0
GET_DEMAND: Final = f"{METERING}:GetDemand"
DEMAND_REQUEST: Final = f'<m:GetDemand xmlns:m="{METERING}"></m:GetDemand>'.encode()
_WH: Final = (100, 20, 3)
_QUIET: Final = 0.05
"""Seconds without a datagram after which a push is over."""
_DEADLINE: Final = 60.0


@dataclass(slots=True)
class Watch:
    """What one swarm did since the last push began."""

    handled: int = 0
    delivered: int = 0
    last_handled: float = 0.0
    last_delivered: float = 0.0

    def handle(self) -> None:
        self.handled += 1
        self.last_handled = perf_counter()

    def deliver(self) -> None:
        self.delivered += 1
        self.last_delivered = perf_counter()


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of one push: until the last device was reached, and until the last datagram was dealt with."""

    reached: float
    over: float


class CountedNumbers(NumberService):
    """Delivery that only counts."""

    def __init__(self, value: int, watch: Watch) -> None:
        super().__init__(value, GossipPolicy(aggregate="sum", fanout=FANOUT, rounds=ROUNDS))
        self._watch = watch

    def invoke(self, invocation: Invocation, done: Callable[[Outcome], None]) -> None:
        super().invoke(invocation, done)
        if invocation.operation.action == NOTIFY:
            self._watch.deliver()


class Swarm:
    """Our devices."""

    def __init__(self, size: int) -> None:
        self.watch = Watch()
        self.size = size
        self._clock = LoopClock()
        self._networks = [DeviceNetwork(host(number), http_port=None) for number in range(size)]
        self._servers: list[SoapServer] = []

    async def open(self) -> None:
        for number, network in enumerate(self._networks):
            await network.open(partial(self._handle, number))
        peers = []
        for number, network in enumerate(self._networks):
            assert network.udp is not None
            peers.append(peer(number, network.udp.at("/gossip")))
        for number, network in enumerate(self._networks):
            tariffs = TariffStore()
            tariffs.listeners.append(lambda _: self.watch.deliver())
            task = Task(Kind.HOUSEHOLD, sum(_WH), 3600, _WH)
            load = Load("household", lambda day, task=task: (task,), Measured(230.0, 0.0, 1.0))  # type: ignore[misc]
            services = (CountedNumbers(number, self.watch), tariff_service(tariffs), metering_service(load))
            self._servers.append(
                server(
                    number,
                    peers,
                    network,
                    self._clock,
                    XmlCodec(),
                    verifier(None, (), self._clock),
                    services,
                    udp=peers[number].udp,
                    wide=FanoutTable(((1_000_000, FANOUT, ROUNDS),)),
                )
            )

    def set_up(self, key: PrivateKey | None, codec: XmlCodec | None) -> None:
        """Devices that believe `key` alone (None: everybody), with `codec` in common (None: each its own)."""
        for device in self._servers:
            judge = verifier(key, (NOTIFY, READ, SET_TARIFF, GET_DEMAND), self._clock)
            device.endpoint.world = replace(device.endpoint.world, verifier=judge, codec=codec or XmlCodec())

    @property
    def first(self) -> Endpoint:
        return self._servers[0].endpoint

    def start(self, frame: bytes) -> None:
        """Hand the first device a datagram."""
        source = Address(Binding.UDP, host(1), 1)
        self._servers[0].handle(Request(frame, Caller(source, host(0))), lambda response: None)

    async def close(self) -> None:
        for network in self._networks:
            await network.close()

    def _handle(self, number: int, request: Request, respond: Respond) -> None:
        self._servers[number].handle(request, respond)
        self.watch.handle()


class BareSwarm:
    """The same of bare relays, on sockets that the loop watches."""

    def __init__(self, size: int) -> None:
        self.watch = Watch()
        self.size = size
        self._sockets = [bound_socket(host(number), 0) for number in range(size)]
        targets = [sock.getsockname() for sock in self._sockets]
        self._relays = [
            BareRelay(
                device_id(number),
                targets[:number] + targets[number + 1 :],
                sock.sendto,
                Random(number),
                deliver=self.watch.deliver,
            )
            for number, sock in enumerate(self._sockets)
        ]

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for sock, relay in zip(self._sockets, self._relays, strict=True):
            loop.add_reader(sock.fileno(), self._readable, sock, relay)

    def set_up(self, key: PrivateKey | None, *, remembers: bool = False) -> None:
        """Relays that believe `key` alone; None: everybody."""
        keys = {key.id: Ed25519PublicKey.from_public_bytes(key.public.raw)} if key is not None else None
        for relay in self._relays:
            relay.keys = keys
            relay.remembers = remembers

    def start(self, frame: bytes) -> None:
        """Hand the first relay a datagram."""
        self._relays[0].receive(frame)

    async def close(self) -> None:
        for sock in self._sockets:
            asyncio.get_running_loop().remove_reader(sock.fileno())
            sock.close()

    def _readable(self, sock: socket.socket, relay: BareRelay) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                frame = sock.recv(65_535)
                relay.receive(frame)
                self.watch.handle()


async def measure(size: int, rounds: int, pulls: int) -> list[Figure]:
    """Every figure over one swarm of `size`."""
    raise_open_files()
    ours, bare = Swarm(size), BareSwarm(size)
    await ours.open()
    await bare.open()
    versions = count(1)
    try:
        found: list[Figure] = []
        key = PrivateKey.generate()
        for name, signer in (("unsigned", None), ("signed", key)):
            ours.set_up(signer, None)
            bare.set_up(signer)
            found += await _pushes(f"push to {size:,}, {name}", ours, bare, signer, NOTIFY, rounds, versions, MOST)
            bare.set_up(signer, remembers=True)
            found += await _pushes("... bare with our short cut", ours, bare, signer, NOTIFY, rounds, versions)
        bare.set_up(key)
        ours.set_up(key, XmlCodec())
        found += await _pushes("... codec shared", ours, bare, key, NOTIFY, rounds, versions)
        ours.set_up(key, None)
        found += await _pushes("... Spyne delivery", ours, bare, key, SET_TARIFF, rounds, versions)
        total = size * (size - 1) // 2
        found.append(await _pull(f"pull from {size:,}, signed", ours, READ, READ_REQUEST, [total], pulls))
        sums = [size * wh for wh in _WH]
        found.append(await _pull("... Spyne Metering", ours, GET_DEMAND, DEMAND_REQUEST, sums, pulls))
        return found
    finally:
        await ours.close()
        await bare.close()
        gc.unfreeze()


async def _pushes(
    name: str,
    ours: Swarm,
    bare: BareSwarm,
    key: PrivateKey | None,
    action: str,
    rounds: int,
    versions: Iterator[int],
    most: float | None = None,
) -> list[Figure]:
    """`rounds` pushes through each swarm by turns, after one to warm up."""
    pairs: list[tuple[Taken, Taken]] = []
    _freeze()
    for number in range(rounds + 1):
        frames = []
        for _ in range(2):
            version = next(versions)
            body = tariff(version) if action == SET_TARIFF else notice(version)
            made = content(action, body, key, FANOUT, ROUNDS)
            hop = Hop(device_id(1), Tier.WAN, rounds=ROUNDS, hops=1, age=0.0)
            frames.append(XmlCodec().encode(Gossip(made, hop)))
        if number % 2:
            second, first = await _push(bare, frames[1]), await _push(ours, frames[0])
        else:
            first, second = await _push(ours, frames[0]), await _push(bare, frames[1])
        pairs.append((first, second))
    del pairs[0]
    reached = [(first.reached, second.reached) for first, second in pairs]
    over = [(first.over, second.over) for first, second in pairs]
    note = f"{len(frames[0])} octets, f={FANOUT} r={ROUNDS}, all reached"
    return [
        compared(f"{name}: all reached", reached, scale=1e3, unit="ms", most=most, note=note),
        compared(f"{name}: all quiet", over, scale=1e3, unit="ms", most=most),
    ]


async def _push(swarm: Swarm | BareSwarm, frame: bytes) -> Taken:
    watch = swarm.watch
    watch.handled = watch.delivered = 0
    begun = perf_counter()
    swarm.start(frame)
    handled = -1
    # The pause comes to an end late while the loop is busy, and then nothing was handled in it only if all is done.
    while handled != watch.handled and perf_counter() - begun < _DEADLINE:
        handled = watch.handled
        await asyncio.sleep(_QUIET)
    if watch.delivered != swarm.size:
        raise AssertionError(f"reached {watch.delivered} of {swarm.size}")
    return Taken(watch.last_delivered - begun, watch.last_handled - begun)


async def _pull(name: str, ours: Swarm, action: str, body: bytes, exact: list[int], pulls: int) -> Figure:
    """The slowest of `pulls`. Raises AssertionError unless each is exact and from everybody."""
    taken = []
    _freeze()
    for _ in range(pulls):
        operation = ours.first.hosting.operation(action)
        assert operation is not None
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        budgets = (Budget(Tier.WAN, FANOUT, ROUNDS),)
        begun = perf_counter()
        ours.first.start(operation, body, Wanted(budgets=budgets), answered.set_result)
        answer = await asyncio.wait_for(answered, _DEADLINE)
        taken.append(perf_counter() - begun)
        whole = answer.tally == Tally(ours.size, ours.size)
        if not whole or not isinstance(answer.value, bytes) or _numbers(answer.value) != exact:
            raise AssertionError(answer)
        # The last receipts, before the next one begins.
        await asyncio.sleep(_QUIET)
    note = f"slowest of {pulls}, median {median(taken):.2f} s; exact"
    return limited(name, max(taken), "s", PULL_BELOW, note)


def _freeze() -> None:
    gc.collect()
    gc.freeze()


def _numbers(value: bytes) -> list[int]:
    texts = [element.text or "" for element in etree.fromstring(value).iter()]
    return [int(text) for text in texts if text.isdigit()]
