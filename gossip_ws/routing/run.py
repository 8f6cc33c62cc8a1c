"""An algorithm on an instance for some ticks: who wakes when, which signals are lost, what changes, what came of it.

A tick is the time between two looks at the network, longer than a signal takes. A node wakes, acts, and waits 0 to
`async_max` ticks; first within the first `async_max` ticks. Where reports are gossiped a node measures and tells in
every tick, and so waits between its moves only. One seed gives one run. Reads no file and prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.certificate import Certificate, certify
from gossip_ws.routing.dap import Adaptive
from gossip_ws.routing.dual import Dual
from gossip_ws.routing.gossiped import Gossiped
from gossip_ws.routing.graph import Link, Path
from gossip_ws.routing.halo import Halo
from gossip_ws.routing.instance import MOST_KB, MOST_NODES, Instance, Kind
from gossip_ws.routing.method import Method, Reports, Signals
from gossip_ws.routing.minhop import MinimumHop
from gossip_ws.routing.peer import Start
from gossip_ws.routing.printed import DualPrinted, PrimalPrinted
from gossip_ws.routing.rumours import FANOUT, ROOM

MOST_TICKS: Final = 100_000
MOST_WAIT: Final = 1_000
MOST_CHANGES: Final = 10_000
MOST_LAG: Final = 100.0
"""Ticks; what is under way is held in memory."""
ASYNC_MAX: Final = 5
"""Of seed 001 table 2."""
ROUNDING: Final = 1e-9
"""Share above a capacity that is rounding."""
OVER: Final = 0.01
"""Share above a capacity that a bandwidth cost may leave: dual prices approach it from above."""


class Algorithm(StrEnum):
    DAP = "dap"
    """Sources move flow by the marginal delay of the links (seed 001, in the form that works)."""
    DUAL = "dual"
    """Links set prices, sources split by them (seed 003, its signs corrected)."""
    HALO = "halo"
    """Each node shifts its split towards the shortest path by marginal delay (Michael and Tang 2015)."""
    MINIMUM_HOP = "minhop"
    """All on the shortest paths, for good."""
    DAP_PRINTED = "dap-printed"
    """Seed 001 eq. (6), as it stands in the paper."""
    DUAL_PRINTED = "dual-printed"
    """Seed 003 eq. (5) and (10), as they stand in the paper."""


@dataclass(frozen=True, slots=True)
class Change:
    """From `tick` on, before anybody acts in it, a link has another capacity, kb; 0: it has failed."""

    link: Link
    tick: int
    capacity: float = 0.0


@dataclass(frozen=True, slots=True)
class Terms:
    """async_max: most ticks that a node waits between two of its actions, by gossip between two moves; 0: all act in
    every tick; None: `ASYNC_MAX`, by gossip 0, as devices do. loss: of a signal. The defaults are those
    of seed 001 table 2. reports: of DAP's links; all other algorithms push. fanout: others that a message of gossip
    goes to. room: octets of statements in it. lag: ticks that it takes at most."""

    algorithm: Algorithm = Algorithm.DAP
    async_max: int | None = None
    loss: float = 0.1
    ticks: int = 100
    start: Start = Start.MINIMUM_HOP
    changes: tuple[Change, ...] = ()
    reports: Reports = Reports.ASK
    fanout: int = FANOUT
    room: int = ROOM
    lag: float = 0.0

    def __post_init__(self) -> None:
        if self.reports is Reports.GOSSIP and self.algorithm is not Algorithm.DAP:
            raise LocalError(f"only {Algorithm.DAP.value} gossips its reports, not {self.algorithm.value}")
        if not 1 <= self.fanout <= MOST_NODES:
            raise LocalError(f"fanout is 1 to {MOST_NODES}, not {self.fanout}")
        if not 0 <= self.lag <= MOST_LAG:
            raise LocalError(f"a message takes 0 to {MOST_LAG:g} ticks, not {self.lag}")
        if not 0 <= self.ticks <= MOST_TICKS or not 0 <= (self.async_max or 0) <= MOST_WAIT:
            raise LocalError(f"0 to {MOST_TICKS} ticks and 0 to {MOST_WAIT} ticks between two wake-ups")
        if not 0 <= self.loss < 1:
            raise LocalError(f"loss lies in [0, 1): {self.loss}")
        if len(self.changes) > MOST_CHANGES:
            raise LocalError(f"at most {MOST_CHANGES} changes")
        for one in self.changes:
            if not 0 <= one.tick <= MOST_TICKS or not 0 <= one.capacity <= MOST_KB:
                raise LocalError(f"a change at tick {one.tick} to {one.capacity} kb is out of range")


@dataclass(frozen=True, slots=True)
class Point:
    """One tick of a run, before anybody acts in it. imbalance: kb by which what arrives differs from the demands. sent:
    reports that nodes have sent to one another by then."""

    tick: int
    certificate: Certificate
    imbalance: float
    sent: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run. instance: as it was at the end, when links may have changed; one that has failed has 0 kb.
    flows: kb on each path then. trace: all ticks, the start as 0."""

    instance: Instance
    flows: Mapping[Path, float]
    trace: tuple[Point, ...]

    @property
    def last(self) -> Point:
        return self.trace[-1]

    @property
    def messages(self) -> float:
        """Reports that a node sent in a tick, in the mean: of one link each; by gossip, messages of many statements."""
        return self.last.sent / (self.instance.nodes * max(1, self.last.tick))

    @property
    def usable(self) -> bool:
        """What arrives is what was demanded, and over no link goes more than it carries."""
        return self._serves(OVER if self.instance.kind is Kind.LP else ROUNDING)

    @property
    def fits(self) -> bool | None:
        """Whether the demands fit what the links carry at the end, as far as the flows show it: True if these do, False
        if it is proven that none do, None if that is left open."""
        if self.last.certificate.infeasible:
            return False
        return True if self._serves(ROUNDING) else None

    def _serves(self, over: float) -> bool:
        last = self.last
        return last.imbalance <= ROUNDING * self.instance.demand and last.certificate.overload <= over


def run(instance: Instance, terms: Terms, dice: Dice, told: Callable[[int], None] | None = None) -> Outcome:
    """Run it. told: called with the number of each tick that is done. Raises LocalError: a change of no link."""
    for one in terms.changes:
        if one.link not in instance.capacity:
            raise LocalError(f"no link {one.link[0]}-{one.link[1]}")
    signals = Signals(terms.loss, dice)
    method = _method(instance, terms, signals, dice)
    capacity = dict(instance.capacity)
    idle = 0 if terms.reports is Reports.GOSSIP else ASYNC_MAX if terms.async_max is None else terms.async_max
    due = [_wait(idle, dice) for _ in range(instance.nodes)]
    trace: list[Point] = []
    for now in range(terms.ticks + 1):
        for one in terms.changes:
            if one.tick == now:
                capacity[one.link] = one.capacity
                method.change(one.link, one.capacity)
        certificate = certify(instance, capacity, method.load, method.prices)
        trace.append(Point(now, certificate, method.imbalance, signals.sent))
        if now == terms.ticks:
            break
        awake = [node for node, when in enumerate(due) if when <= now]
        method.tick(now, awake)
        for node in awake:
            due[node] = now + 1 + _wait(idle, dice)
        if told is not None:
            told(now + 1)
    return Outcome(replace(instance, capacity=capacity), dict(method.flows), tuple(trace))


def _wait(most: int, dice: Dice) -> int:
    return int(dice.random() * (most + 1))


def _method(instance: Instance, terms: Terms, signals: Signals, dice: Dice) -> Method:
    match terms.algorithm:
        case Algorithm.DAP if terms.reports is Reports.GOSSIP:
            return Gossiped(
                instance,
                terms.start,
                signals,
                dice,
                fanout=terms.fanout,
                room=terms.room,
                lag=terms.lag,
                most_wait=terms.async_max or 0,
            )
        case Algorithm.DAP:
            return Adaptive(instance, terms.start, terms.reports, signals, terms.async_max == 0)
        case Algorithm.DUAL:
            return Dual(instance, signals)
        case Algorithm.HALO:
            return Halo(instance, signals)
        case Algorithm.MINIMUM_HOP:
            return MinimumHop(instance, terms.start)
        case Algorithm.DAP_PRINTED:
            return PrimalPrinted(instance)
        case Algorithm.DUAL_PRINTED:
            return DualPrinted(instance, signals)
