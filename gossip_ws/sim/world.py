"""A virtual clock and a lossy network, seeded: thousands of endpoints in one thread, one seed one trace.

The same nodes and endpoints as on sockets; only Clock, Network and, if wished, Codec are the simulator's.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.instant import Instant
from gossip_ws.ports import Frame

EPOCH = 1_800_000_000.0
"""Wall time at the start of every simulation: signed times are the same in every run."""


class Host(Protocol):
    """What the network hands frames to."""

    def receive(self, frame: Frame, source: Address) -> None: ...

    def answer(self, frame: Frame, source: Address) -> Frame | None:
        """The reply to a request-response exchange (registration with a Peer Service)."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is: each frame is lost with `loss`, or arrives after uniform(`least`, `most`) s."""

    loss: float = 0.0
    least: float = 0.005
    most: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.loss < 1 or not 0 <= self.least <= self.most:
            raise LocalError("loss lies in [0, 1), delays are not negative and in order")


@dataclass(frozen=True, slots=True)
class Passage:
    """One line of the trace: a frame that was sent at `time` (s) and arrived or not."""

    time: float
    source: str
    target: str
    arrived: bool


class World:
    """Clock, network and chance of one simulation."""

    def __init__(self, seed: int, weather: Weather | None = None, *, trace: bool = False) -> None:
        self.dice = Random(seed)
        self.weather = weather or Weather()
        self.time = 0.0
        self.frames = 0
        self.trace: list[Passage] | None = [] if trace else None
        self._due: list[tuple[float, int, str, Callable[[], None]]] = []
        self._count = 0
        self._hosts: dict[str, Host] = {}
        self._islands: dict[str, int] = {}

    # -- the network ---------------------------------------------------------------------------

    def attach(self, host: str, receiver: Host) -> None:
        """Frames to `host` go to `receiver` from now on."""
        self._hosts[host] = receiver

    def crash(self, host: str) -> None:
        """It receives nothing more, sends nothing more, and its timers are gone."""
        del self._hosts[host]

    def is_up(self, host: str) -> bool:
        return host in self._hosts

    def partition(self, *islands: Iterable[str]) -> None:
        """Frames pass only inside an island; hosts named in none share one more."""
        self._islands = {host: number for number, island in enumerate(islands, 1) for host in island}

    def heal(self) -> None:
        self._islands = {}

    def send(self, frame: Frame, source: Address, to: Address) -> None:
        """One frame on its way, or lost."""
        self.frames += 1
        arrives = self._passes(source, to)
        if self.trace is not None:
            self.trace.append(Passage(self.time, source.host, to.host, arrives))
        if arrives:
            self.call_later(self._delay(), lambda: self._deliver(frame, source, to), owner=to.host)

    def request(
        self, frame: Frame, source: Address, to: Address, timeout: float, done: Callable[[Frame | None], None]
    ) -> None:
        """A request-response exchange over a stream: no loss, but partitions and crashes count."""

        def arrive() -> None:
            receiver = self._hosts.get(to.host)
            reply = receiver.answer(frame, source) if receiver is not None else None
            self.call_later(self._delay(), lambda: done(reply), owner=source.host)

        if self._connected(source.host, to.host) and to.host in self._hosts:
            self.call_later(self._delay(), arrive, owner=source.host)
        else:
            self.call_later(timeout, lambda: done(None), owner=source.host)

    # -- the clock -----------------------------------------------------------------------------

    def now(self) -> Instant:
        return Instant(self.time, EPOCH + self.time)

    def call_later(self, delay: float, callback: Callable[[], None], *, owner: str) -> None:
        """`owner`: the host whose crash takes the callback with it."""
        self._count += 1
        heapq.heappush(self._due, (self.time + delay, self._count, owner, callback))

    def step(self) -> bool:
        """Let the next thing happen; False when nothing is due ever again."""
        if not self._due:
            return False
        self.time, _, owner, callback = heapq.heappop(self._due)
        if owner in self._hosts:
            callback()
        return True

    def run(self, until: float) -> None:
        """Advance to `until` (s)."""
        while self._due and self._due[0][0] <= until:
            self.step()
        self.time = max(self.time, until)

    def run_until(self, reached: Callable[[], bool], limit: float) -> bool:
        """Advance until `reached`, at most to `limit` (s). Was it reached?"""
        while not reached():
            if not self._due or self._due[0][0] > limit:
                return False
            self.step()
        return True

    # -- small steps ---------------------------------------------------------------------------

    def _connected(self, a: str, b: str) -> bool:
        return self._islands.get(a, 0) == self._islands.get(b, 0)

    def _passes(self, source: Address, to: Address) -> bool:
        return self._connected(source.host, to.host) and self.dice.random() >= self.weather.loss

    def _delay(self) -> float:
        return self.dice.uniform(self.weather.least, self.weather.most)

    def _deliver(self, frame: Frame, source: Address, to: Address) -> None:
        self._hosts[to.host].receive(frame, source)


class HostClock:
    """`ports.Clock` of one simulated host."""

    def __init__(self, world: World, host: str) -> None:
        self._world = world
        self._host = host

    def now(self) -> Instant:
        return self._world.now()

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self._world.call_later(delay, callback, owner=self._host)


class HostNetwork:
    """`ports.Network` of one simulated host."""

    def __init__(self, world: World, address: Address) -> None:
        self._world = world
        self._address = address

    def send(self, frame: Frame, to: Address) -> None:
        if self._world.is_up(self._address.host):
            self._world.send(frame, self._address, to)

    def multicast(self, frame: Frame) -> None:
        """Simulated hosts find one another by seeds."""

    def request(self, frame: Frame, to: Address, timeout: float, done: Callable[[Frame | None], None]) -> None:
        self._world.request(frame, self._address, to, timeout, done)
