"""One peer of the distributed adaptive primal: gradient reports in, shifts of its own flows out.

Seed 001's idea, as it can be made to work: the owner of a link publishes what its gradient follows from, and a source
moves its own flow from dear paths to cheap ones, with a limiter on each link. It moves by Newton steps, so there is no
step size to choose, and flow is only ever moved, so each demand stays met.

Sources act at once and do not know of one another. Where all reports are always current, each answers for its share of
a link, and no tick raises the cost (`charges.Shared`). Reports that are late promise nothing. Then a peer goes by the
prices that owners ask, and expects them to grow slowly with what it does itself (`charges.Asked`); or, where an owner
asks none, by marginal cost as before, but with a share that begins larger, grows while the own moves keep their
direction, and shrinks when they turn.

Knows no clock, no network and no other peer. `now` and the `at` of a report are one scale, ticks or seconds. A report
tells the load from before whatever moves at the same `at`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gossip_ws.routing.candidates import Candidates
from gossip_ws.routing.charges import DOWN, Asked, Charges, Shared
from gossip_ws.routing.cost import marginal
from gossip_ws.routing.graph import Graph, Link, Path
from gossip_ws.routing.paths import distances, path_to
from gossip_ws.routing.pricing import rise, slope

SWEEPS: Final = 3
"""Times a step looks for cheaper paths and goes over the own commodities; more change nothing that late reports would
not change again."""
SETTLED: Final = 1e-4
"""Share of the own demand; a sweep that moves less is the last."""
NEWCOMERS: Final = 0.2
"""Weight that a link keeps for the sources that are not yet on it, together, while reports are current."""
CROWD: Final = 0.6
"""Of m sources, m to this power are taken to move the same way at a time, to begin with, while reports are late."""
BOLDER: Final = 0.7
SHYER: Final = 2.0
BOLDEST: Final = 0.1
"""Factors on the number of sources taken to move: after a move the same way, after one the other way, and the least."""
LEAD: Final = 1.6
"""How far ahead of an asked price a source goes, in times that it will rise: the others see the same load."""
STALE: Final = 2.0
"""Moves of each other source that a report may lack at most, as far as this is counted."""
USUAL_PACE: Final = 3.0
LEAST_PACE: Final = 1e-3
LEARNING: Final = 0.3
"""Time between two own steps: what it is taken to be at first and at least, and how much of each new one is believed.
"""
MOST_MOVES: Final = 32
"""Own moves that are remembered for each link, until a report tells of them; the oldest goes first."""


class Start(StrEnum):
    """Where the flow is before the first step."""

    MINIMUM_HOP = "minhop"
    """All on the shortest path."""
    EVEN = "even"
    """In equal parts on the `CANDIDATES` shortest."""


@dataclass(frozen=True, slots=True)
class GradientReport:
    """What the owner of a link says of it. Marginal cost and curvature follow from load and capacity (`cost`).

    seq: rises by one with each report of this link. at: when the load was measured. capacity: kb; 0 if the link has
    failed. load: kb. sources: how many sources have flow on it. price: what the owner asks per kb (`pricing`), or None.
    """

    link: Link
    seq: int
    at: float
    capacity: float
    load: float
    sources: int
    price: float | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """`kb` of the own flow that left one path for another."""

    origin: Path
    to: Path
    kb: float


class Peer:
    """The own commodities of one source, and what it has heard of the links.

    Memory is bounded by the graph and the demands: for each link one report and `MOST_MOVES` own moves, for each demand
    `candidates.MOST_ROUTES` paths.
    """

    def __init__(
        self,
        node: int,
        capacity: Mapping[Link, float],
        demands: Mapping[int, float],
        start: Start = Start.MINIMUM_HOP,
        punctual: bool = False,
    ) -> None:
        """capacity: kb of every link as planned, until a report says otherwise. demands: kb for each target. punctual:
        reports of all links are current at each step of every peer, so that no step need raise the cost.

        Raises LocalError: a target that cannot be reached.
        """
        self.node = node
        self._punctual = punctual
        self._links = list(capacity)
        self._number = {link: number for number, link in enumerate(self._links)}
        self._planned = [capacity[link] for link in self._links]
        self._graph = Graph.of(1 + max((max(link) for link in self._links), default=node), self._links)
        self._nodes = len(self._graph.successors)
        self._reports: dict[int, GradientReport] = {}
        self._own = [0.0] * len(self._links)
        self._moves: list[list[tuple[float, float]]] = [[] for _ in self._links]
        """For each link when the own load changed, and what it was before."""
        self._crowd = [1.0] * len(self._links)
        self._heading = [0] * len(self._links)
        self._stepped: float | None = None
        self._pace = USUAL_PACE
        self._commodities = [
            Candidates(self._graph, self._number, node, target, demands[target]) for target in sorted(demands)
        ]
        if start is Start.EVEN:
            for one in self._commodities:
                one.spread()
        self._own = self._sum()

    @property
    def busy(self) -> bool:
        """Whether it has a demand at all."""
        return bool(self._commodities)

    # -- what it says ------------------------------------------------------------------------------

    @property
    def loads(self) -> dict[Link, float]:
        """kb of the own flow on each link that has some."""
        return {link: kb for link, kb in zip(self._links, self._own, strict=True) if kb > 0}

    @property
    def flows(self) -> dict[Path, float]:
        """kb on each path that carries some. The ends of a path say which demand it serves."""
        return {path: kb for one in self._commodities for path, kb in zip(one.routes, one.kb, strict=True) if kb > 0}

    @property
    def gap(self) -> float:
        """The own share of the distance to the optimum, by the reports at hand and over the own candidates: what the
        own flow would save at today's prices. The sum over all peers is a bound on what all of them could save."""
        price = [self._price(number, self._heard(number)) for number in range(len(self._links))]
        saved = 0.0
        for one in self._commodities:
            costs = one.costs(price)
            saved += sum(kb * cost for kb, cost in zip(one.kb, costs, strict=True)) - one.demand * min(costs)
        return saved

    # -- what it hears -----------------------------------------------------------------------------

    def receive(self, report: GradientReport) -> bool:
        """Keep a report if it is the freshest of its link; False if it is old or of a link that the graph lacks."""
        number = self._number.get(report.link)
        if number is None:
            return False
        held = self._reports.get(number)
        if held is not None and report.seq <= held.seq:
            return False
        self._reports[number] = report
        # What the report tells of need not be remembered.
        self._moves[number] = [move for move in self._moves[number] if move[0] >= report.at]
        return True

    def _heard(self, number: int) -> float:
        """The load of a link, kb: as reported, and the own change since."""
        report = self._reports.get(number)
        if report is None:
            return self._own[number]
        return max(0.0, report.load + self._own[number] - self._reported(number))

    def _reported(self, number: int) -> float:
        """The own load that the report at hand has counted, kb."""
        moves = self._moves[number]
        return moves[0][1] if moves else self._own[number]

    def _capacity(self, number: int) -> float:
        report = self._reports.get(number)
        return self._planned[number] if report is None else report.capacity

    def _price(self, number: int, load: float) -> float:
        capacity = self._capacity(number)
        return marginal(load, capacity) if capacity > 0 else DOWN

    # -- what it does ------------------------------------------------------------------------------

    def step(self, now: float) -> tuple[Shift, ...]:
        """Move own flow where it costs less. What was moved is remembered until reports tell of it."""
        if self._stepped is not None:
            self._pace += LEARNING * (max(LEAST_PACE, now - self._stepped) - self._pace)
        self._stepped = now
        charges = self._charges(now)
        shifts: list[Shift] = []
        trifle = SETTLED * sum(one.demand for one in self._commodities)
        for _ in range(SWEEPS):
            self._look_around(charges.asked)
            moves = [move for one in self._commodities for move in charges.relieve(one)]
            shifts += [Shift(*move) for move in moves]
            if sum(kb for _, _, kb in moves) <= trifle:
                break
        if shifts:
            self._remember(now)
        return tuple(shifts)

    def _remember(self, now: float) -> None:
        own = self._sum()
        for number, (old, new) in enumerate(zip(self._own, own, strict=True)):
            if old == new:
                continue
            moves = self._moves[number]
            moves.append((now, old))
            # The second is what the first becomes a part of: only what the report at hand counted is needed exactly.
            if len(moves) > MOST_MOVES:
                del moves[1]
            if abs(new - old) > 1e-4 * self._capacity(number):
                heading = 1 if new > old else -1
                if heading == self._heading[number]:
                    self._crowd[number] = max(BOLDEST, self._crowd[number] * BOLDER)
                elif self._heading[number]:
                    self._crowd[number] = min(1.0, self._crowd[number] * SHYER)
                self._heading[number] = heading
        self._own = own

    def _sum(self) -> list[float]:
        own = [0.0] * len(self._links)
        for one in self._commodities:
            for kb, over in zip(one.kb, one.over, strict=True):
                if kb > 0:
                    for number in over:
                        own[number] += kb
        return own

    def _look_around(self, price: list[float]) -> None:
        """Take in paths that are cheaper than every candidate."""
        costs, before = distances(self._graph, dict(zip(self._links, price, strict=True)), self.node)
        for one in self._commodities:
            one.take_in(price, costs[one.target], path_to(before, self.node, one.target))

    def _charges(self, now: float) -> Charges:
        numbers = range(len(self._links))
        capacity = [self._capacity(number) for number in numbers]
        load = [self._heard(number) for number in numbers]
        price = [self._price(number, kb) for number, kb in enumerate(load)]
        reports = self._reports
        current = len(reports) == len(self._links) and all(one.at >= now for one in reports.values())
        if self._punctual or any(one.price is None and one.capacity > 0 for one in reports.values()):
            return Shared(capacity, load, self._crowds(current), price, reports)
        crowd = [1.0] * len(self._links)
        slopes = [0.0] * len(self._links)
        for number, report in reports.items():
            if report.price is not None and report.capacity > 0:
                crowd[number] = self._movers(report, number, now)
                slopes[number] = slope(report.price, report.capacity, crowd[number])
                ahead = LEAD * rise(report.price, report.load, report.capacity, report.sources)
                # What was moved at this price is answered already.
                moved = self._own[number] - self._reported(number)
                price[number] = max(0.0, report.price + ahead + slopes[number] * moved)
        return Asked(capacity, load, crowd, price, reports, slopes)

    def _movers(self, report: GradientReport, number: int, now: float) -> float:
        """How many sources change the load of a link between its report and the next look, this one among them: the
        others are taken to step as often as this one does, and a tick is 1, or the own pace if that is less."""
        others = min(report.sources, self._nodes) - (1 if self._reported(number) > 0 else 0)
        at_once = min(1.0, self._pace)
        return 1.0 + max(0, others) * min(STALE, (max(0.0, now - report.at) + at_once) / self._pace)

    def _crowds(self, current: bool) -> list[float]:
        """For each link how many sources are taken to move as this one does: one over its weight, not below 1."""
        crowds: list[float] = []
        for number in range(len(self._links)):
            report = self._reports.get(number)
            if report is None:
                crowds.append(float(self._nodes))
                continue
            counted = self._reported(number) > 0
            on = min(report.sources, self._nodes)
            if not current:
                crowds.append(max(1.0, self._crowd[number] * (on if counted else on + 1) ** CROWD))
            elif 0 < on < self._nodes:
                crowds.append(on / (1 - NEWCOMERS) if counted else (self._nodes - on) / NEWCOMERS)
            else:
                crowds.append(float(self._nodes))
        return crowds
