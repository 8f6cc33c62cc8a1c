"""Many messages at once into a thousand devices in one process, over real sockets with the system's default buffers.

One device starts them as fast as it can. Every device has to deliver every one exactly once. Then bulk is started, and
an urgent message when a tenth of it is delivered: how much of the bulk did each device have before it?
"""

from __future__ import annotations

import asyncio
import gc
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from statistics import median
from time import perf_counter
from typing import Final

from gossip_ws.core.config import FanoutTable
from gossip_ws.endpoint.server import SoapServer
from gossip_ws.kernel.contract import GossipPolicy
from gossip_ws.kernel.terms import Budget, Priority, Tier, Wanted
from gossip_ws.net.clock import LoopClock
from gossip_ws.net.limits import raise_open_files
from gossip_ws.net.network import DeviceNetwork
from gossip_ws.ports import Invocation, Outcome, Request, Respond
from gossip_ws.sim.numbers import NOTIFY, NUMBERS, NumberService
from gossip_ws.wire.gossip import XmlCodec
from tests.benchmarks.figures import Figure, limited
from tests.benchmarks.parts import host, peer, server, tariff, verifier

DEFAULT_BUFFER: Final = 106_496
"""Octets to ask for so that a socket has Linux' usual 212,992."""
FANOUT: Final = 14
ROUNDS: Final = 10
OVERTAKES: Final = 0.5
_NUMBER: Final = re.compile(rb" number=\"([0-9]+)\"")
_DEADLINE: Final = 1_800.0
_CHECK: Final = 0.05


class Heard(NumberService):
    """Keeps which messages were delivered, in their order."""

    def __init__(self) -> None:
        super().__init__(0, GossipPolicy())
        self.numbers: list[int] = []

    def invoke(self, invocation: Invocation, done: Callable[[Outcome], None]) -> None:
        found = _NUMBER.search(invocation.envelope)
        assert found is not None
        self.numbers.append(int(found[1]))
        super().invoke(invocation, done)


@dataclass(frozen=True, slots=True)
class Passed:
    """What a burst cost: seconds until the last delivery; datagrams handled; drops by reason."""

    seconds: float
    handled: int
    drops: dict[str, int]


class Crowd:
    """`size` equals that know one another, each with a real socket."""

    def __init__(self, size: int, fanout: int = FANOUT, pull_period: float = 10.0) -> None:
        self.size = size
        self.services = [Heard() for _ in range(size)]
        self._fanout = fanout
        self._pull_period = pull_period
        self._networks = [DeviceNetwork(host(number), http_port=None, buffer=DEFAULT_BUFFER) for number in range(size)]
        self._servers: list[SoapServer] = []
        self._handled = 0
        self._numbers = count()

    async def open(self) -> None:
        for number, network in enumerate(self._networks):
            await network.open(partial(self._handle, number))
        listening = [network.udp.at("/gossip") for network in self._networks if network.udp is not None]
        peers = [peer(number, address) for number, address in enumerate(listening)]
        clock = LoopClock()
        for number, network in enumerate(self._networks):
            self._servers.append(
                server(
                    number,
                    peers,
                    network,
                    clock,
                    XmlCodec(),
                    verifier(None, (), clock),
                    (self.services[number],),
                    udp=peers[number].udp,
                    wide=FanoutTable(((1_000_000, self._fanout, ROUNDS),)),
                    pull_period=self._pull_period,
                )
            )
            self._servers[-1].endpoint.up()

    async def close(self) -> None:
        for network in self._networks:
            await network.close()

    def start(self, priority: Priority) -> int:
        """One message from the first device; its number."""
        endpoint = self._servers[0].endpoint
        operation = endpoint.hosting.operation(NOTIFY)
        assert operation is not None
        number = next(self._numbers)
        body = b'<n:Notify xmlns:n="%b" number="%d">%b</n:Notify>' % (NUMBERS.encode(), number, tariff(number + 1))
        budgets = (Budget(Tier.WAN, self._fanout, ROUNDS),)
        endpoint.start(operation, body, Wanted(priority=priority, budgets=budgets))
        return number

    async def overtake(self, messages: int) -> list[float]:
        """Start so many of bulk, and an urgent one when a tenth of it is delivered. Of each device but the first: which
        share of the bulk it delivered before the urgent one."""
        bulk = {self.start(Priority.BULK) for _ in range(messages)}
        delivered = 0
        while 10 * delivered < messages * self.size:
            await asyncio.sleep(_CHECK)
            delivered = sum(len(bulk.intersection(service.numbers)) for service in self.services)
        urgent = self.start(Priority.PROTECTION)
        await self.settle({*bulk, urgent})
        shares = []
        for service in self.services[1:]:
            earlier = service.numbers[: service.numbers.index(urgent)]
            shares.append(len(bulk.intersection(earlier)) / messages)
        return sorted(shares)

    async def settle(self, numbers: set[int]) -> Passed:
        """Wait until everybody has these. Raises AssertionError when one has one twice, or not within half an hour."""
        begun = perf_counter()
        handled = self._handled
        while not all(numbers <= set(service.numbers) for service in self.services):
            if perf_counter() - begun > _DEADLINE:
                missed = sum(len(numbers - set(service.numbers)) for service in self.services)
                raise AssertionError(f"{missed} deliveries missed")
            await asyncio.sleep(_CHECK)
        seconds = perf_counter() - begun
        # The copies that are still under way. Of a thousand devices some talk to one another at any time.
        waiting = 1
        while waiting:
            await asyncio.sleep(_CHECK)
            waiting = sum(network.waiting for network in self._networks)
        if any(len(service.numbers) != len(set(service.numbers)) for service in self.services):
            raise AssertionError("delivered twice")
        drops: Counter[str] = Counter()
        for network in self._networks:
            drops.update({reason.value: times for reason, times in network.counters.dropped.items()})
            drops["by the system"] += network.overflowed
        return Passed(seconds, self._handled - handled, dict(+drops))

    def _handle(self, number: int, request: Request, respond: Respond) -> None:
        self._handled += 1
        self._servers[number].handle(request, respond)


async def measure(size: int, messages: int) -> list[Figure]:
    """A burst, and an urgent message behind a backlog of bulk."""
    raise_open_files()
    crowd = Crowd(size)
    await crowd.open()
    gc.collect()
    gc.freeze()
    try:
        passed = await crowd.settle({crowd.start(Priority.NORMAL) for _ in range(messages)})
        name = f"burst of {messages} to {size:,}"
        lost = sum(passed.drops.values())
        found = [
            Figure(f"{name}: all delivered", passed.seconds, "s", note=f"{passed.handled:,} datagrams, once each"),
            Figure(f"{name}: dropped", float(lost), "datagrams", bar="0", met=not lost, note=f"{passed.drops}"),
        ]
        shares = await crowd.overtake(messages)
        note = f"share of {messages} bulk before it; median {median(shares):.2f}, most {shares[-1]:.2f}"
        most = shares[int(0.99 * len(shares))]
        found.append(limited("urgent behind bulk, 99 % of devices", most, "", OVERTAKES, note))
        return found
    finally:
        await crowd.close()
        gc.unfreeze()
