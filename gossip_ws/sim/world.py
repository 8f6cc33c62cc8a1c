"""A virtual clock and a lossy network, seeded: thousands of endpoints in one thread, one seed one trace.

The same nodes and endpoints as on sockets; only Clock, Network and, if wished, Codec are the simulator's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from random import Random
from typing import Final

from gossip_ws.kernel.address import UDP, Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.terms import Priority
from gossip_ws.ports import Caller, Frame, Handle, Request, Respond, Response, datagram
from gossip_ws.sim.agenda import Agenda, Due
from gossip_ws.sim.bottleneck import Bottleneck

EPOCH = 1_800_000_000.0
"""Wall time at the start of every simulation: signed times are the same in every run."""
MAX_DATAGRAM: Final = 65_507
MAX_POSTED: Final = 65_536
"""Octets; as on real sockets."""
_CLIENT_PORT = 49_152
_tuple: Final = tuple.__new__
"""As in `ports.datagram`."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is: each frame is lost with `loss`, or arrives after uniform(`least`, `most`) s.

    Of the datagrams that arrive, `twice` come a second time and `held` are kept back for up to `hold` s more,
    so that much of what was sent later overtakes them. What goes by HTTP keeps to the delays.
    """

    loss: float = 0.0
    least: float = 0.005
    most: float = 0.05
    twice: float = 0.0
    held: float = 0.0
    hold: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.loss < 1 or not 0 <= self.least <= self.most:
            raise LocalError("loss lies in [0, 1), delays are not negative and in order")
        if not (0 <= self.twice <= 1 and 0 <= self.held <= 1 and self.hold >= 0):
            raise LocalError("twice and held are shares of the datagrams, hold is not negative")


Route = Callable[[str, str], Sequence[Bottleneck]]
"""The bottlenecks on the way from one host to another, in order."""


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
        self._agenda = Agenda()
        self.handler_errors = 0
        self.heard: list[tuple[Frame, Address]] = []
        self.hosts: dict[str, Handle] = {}
        """Who is up, and who takes its frames."""
        self._boots: Counter[str] = Counter()
        self._islands: dict[str, int] = {}
        self._route: Route | None = None

    # -- the network ---------------------------------------------------------------------------

    def attach(self, host: str, handle: Handle) -> None:
        """Frames to `host` go to `handle` from now on. After a crash this is its restart: what is still on the
        way to it arrives, its old timers stay gone."""
        self.hosts[host] = handle

    def crash(self, host: str) -> None:
        """It receives nothing more, sends nothing more, and its timers are gone."""
        del self.hosts[host]
        self._boots[host] += 1

    def is_up(self, host: str) -> bool:
        return host in self.hosts

    def partition(self, *islands: Iterable[str]) -> None:
        """Frames pass only inside an island; hosts named in none share one more."""
        self._islands = {host: number for number, island in enumerate(islands, 1) for host in island}

    def heal(self) -> None:
        self._islands = {}

    def narrow(self, route: Route) -> None:
        """From now on datagrams pass through the bottlenecks of their way, one after the other, before the weather's
        delay. They are taken for as large as the frames are: give the devices codecs that write envelopes. What goes
        by HTTP keeps to the delays."""
        self._route = route

    def send(self, frame: Frame, source: Address, to: Address) -> None:
        """One frame on its way, or lost. What is posted by HTTP is lost to crashes and partitions only."""
        self.frames += 1
        weather = self.weather
        is_datagram = to.binding is UDP
        lost = self._islands and self._cut(source.host, to.host)
        lost = lost or (is_datagram and self.dice.random() < weather.loss)
        if self.trace is not None:
            self.trace.append(Passage(self.time, source.host, to.host, not lost))
        if lost:
            return
        if not is_datagram:
            self._pass(_post(frame, source, to), _to_nobody, to)
            return
        if self._route is not None and (ahead := self._route(source.host, to.host)):
            for _ in range(2 if weather.twice and self.dice.random() < weather.twice else 1):
                self._squeeze(ahead, frame, source, to)
            return
        self._agenda.put(self._arrival(weather), self._arrive, frame, source, to)
        if weather.twice and self.dice.random() < weather.twice:
            self._agenda.put(self._arrival(weather), self._arrive, frame, source, to)

    def multicast(self, frame: Frame, source: Address) -> None:
        """To whoever listens to the group, `heard`: simulated devices find one another by seeds."""
        self.call_later(self._delay(), lambda: self.heard.append((frame, source)), owner=source.host)

    def request(
        self, frame: Frame, source: Address, to: Address, timeout: float, done: Callable[[Frame | None], None]
    ) -> None:
        """A request-response exchange over a stream: no loss, but partitions and crashes count."""
        open_ = True
        responded = False

        def finish(reply: Frame | None) -> None:
            nonlocal open_
            if open_:
                open_ = False
                done(reply)

        def respond(response: Response) -> None:
            nonlocal responded
            reply = response.body if response.body or 200 <= response.status < 300 else None
            if not responded and not self._cut(source.host, to.host):
                self.call_later(self._delay(), lambda: finish(reply), owner=source.host)
            responded = True

        self.call_later(timeout, lambda: finish(None), owner=source.host)
        if not self._cut(source.host, to.host):
            self._pass(_post(frame, source, to), respond, to)

    # -- the clock -----------------------------------------------------------------------------

    def now(self) -> Instant:
        return _tuple(Instant, (self.time, EPOCH + self.time))

    def call_later(self, delay: float, callback: Callable[[], None], *, owner: str) -> None:
        """`owner`: the host whose crash takes the callback with it, even if it restarts before it is due."""
        self._agenda.put(self.time + delay, self._expire, owner, self._boots[owner], callback)

    def step(self) -> bool:
        """Let the next thing happen; False when nothing is due ever again."""
        due = next(self._agenda.until(inf), None)
        if due is None:
            return False
        self._happen(due)
        return True

    def run(self, until: float) -> None:
        """Advance to `until` (s)."""
        for due in self._agenda.until(until):
            self._happen(due)
        self.time = max(self.time, until)

    def run_until(self, reached: Callable[[], bool], limit: float) -> bool:
        """Advance until `reached`, at most to `limit` (s). Was it reached?"""
        agenda = self._agenda.until(limit)
        while not reached():
            due = next(agenda, None)
            if due is None:
                return False
            self._happen(due)
        return True

    # -- small steps ---------------------------------------------------------------------------

    def _happen(self, due: Due) -> None:
        self.time, _, callback, arguments = due
        callback(*arguments)

    def _expire(self, owner: str, boot: int, callback: Callable[[], None]) -> None:
        """A timer of the host, if it is still up and has not been down since."""
        if owner in self.hosts and boot == self._boots[owner]:
            callback()

    def _pass(self, request: Request, respond: Respond, to: Address) -> None:
        """A posted frame on its way: it finds whoever is at the host when it arrives."""
        self._agenda.put(self.time + self._delay(), self._hand, to.host, request, respond)

    def _squeeze(self, ahead: Sequence[Bottleneck], frame: Frame, source: Address, to: Address) -> None:
        """A datagram has come to the next bottleneck of its way, or is through them all."""
        if not ahead:
            self._agenda.put(self._arrival(self.weather), self._arrive, frame, source, to)
            return
        takes = ahead[0].take(len(frame), self.time)
        if takes is not None:
            due = self.time + takes
            self._agenda.put(due, self._squeeze, ahead[1:], frame, source, to)

    def _arrive(self, frame: Frame, source: Address, to: Address) -> None:
        """A datagram is there: it finds whoever is at the host by now."""
        handle = self.hosts.get(to.host)
        if handle is None:
            return
        try:
            handle(datagram(frame, source, to.host), partial(self._answer, to, source))
        except Exception:  # noqa: BLE001 - as on sockets, one frame's trouble ends with that frame
            self.handler_errors += 1

    def _answer(self, source: Address, to: Address, response: Response) -> None:
        if response.body:
            self.send(response.body, source, to)

    def _cut(self, a: str, b: str) -> bool:
        """Does a partition lie between the two?"""
        islands = self._islands
        return bool(islands) and islands.get(a, 0) != islands.get(b, 0)

    def _delay(self) -> float:
        weather = self.weather
        return self.dice.uniform(weather.least, weather.most)

    def _arrival(self, weather: Weather) -> float:
        """When a datagram arrives that is sent now. Nothing is thrown for what never happens."""
        # As Random.uniform, without the call: it is thrown for every frame.
        due = self.time + (weather.least + (weather.most - weather.least) * self.dice.random())
        if weather.held and self.dice.random() < weather.held:
            due += self.dice.uniform(0.0, weather.hold)
        return due

    def _hand(self, host: str, request: Request, respond: Respond) -> None:
        handle = self.hosts.get(host)
        if handle is None:
            return
        try:
            handle(request, respond)
        except Exception:  # noqa: BLE001 - as on sockets, one frame's trouble ends with that frame
            self.handler_errors += 1


def _to_nobody(response: Response) -> None:
    """The answer to what was only sent goes nowhere."""


def _post(frame: Frame, source: Address, to: Address) -> Request:
    caller = Caller(Address(Binding.HTTP, source.host, _CLIENT_PORT), to.host)
    path, _, query = (to.path or "/").partition("?")
    return Request(frame, caller, "POST", path, query, "application/soap+xml; charset=utf-8")


class HostClock:
    """`ports.Clock` of one simulated host."""

    def __init__(self, world: World, host: str) -> None:
        self._world = world
        self._host = host
        # No method of its own: it is asked for every frame.
        self.now: Callable[[], Instant] = world.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self._world.call_later(delay, callback, owner=self._host)


class HostNetwork:
    """`ports.Network` of one simulated host."""

    __slots__ = ("_address", "_hosts", "_world")

    def __init__(self, world: World, address: Address) -> None:
        self._world = world
        self._address = address
        self._hosts = world.hosts

    def send(self, frame: Frame, to: Address) -> None:
        limit = MAX_DATAGRAM if to.binding is UDP else MAX_POSTED
        if 0 < len(frame) <= limit and self._address.host in self._hosts:
            self._world.send(frame, self._address, to)

    def backlog(self, priority: Priority) -> float:
        """Nothing waits here: the simulator's network takes everything at once."""
        return 0.0

    def multicast(self, frame: Frame) -> None:
        if 0 < len(frame) <= MAX_DATAGRAM:
            self._world.multicast(frame, self._address)

    def request(self, frame: Frame, to: Address, timeout: float, done: Callable[[Frame | None], None]) -> None:
        if to.binding is Binding.HTTP and 0 < len(frame) <= MAX_POSTED:
            self._world.request(frame, self._address, to, timeout, done)
        else:
            self._world.call_later(0.0, lambda: done(None), owner=self._address.host)
