"""One peer of the distributed adaptive primal: gradient reports in, shifts of its own flows out.

Seed 001's idea, as it can be made to work: the owner of a link publishes what its gradient follows from, and a source
moves its own flow from dear paths to cheap ones, with a limiter on each link. It moves by Newton steps, so there is no
step size to choose, and flow is only ever moved, so each demand stays met.

Sources act at once and do not know of one another. What a source adds to a link it therefore prices as if others did
the same: of a link's cost phi(y + sum of changes) it answers for w phi(y + change / w), and where the weights w of all
sources sum to 1 the sum of their answers is no less than the cost (Jensen). So with current reports no tick raises the
cost, and no link is filled above nine tenths of what was free. Reports that are late say less, and waiting for the
others costs time: then a link's weight begins larger, grows while the own moves keep their direction, and shrinks when
they turn. Where reports are gossiped it is also the smaller the more own moves no report has counted yet, since the
others may have made as many, and it does not grow before the last one is counted.

Knows no clock, no network and no other peer. `now` and the `at` of a report are one scale, ticks or seconds. A report
tells the load from before whatever moves at the same `at`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gossip_ws.routing.candidates import Candidates
from gossip_ws.routing.cost import KNEE, curvature, marginal
from gossip_ws.routing.graph import Graph, Link, Path
from gossip_ws.routing.paths import distances, path_to

SWEEPS: Final = 3
"""Times a step goes over the own commodities; more change nothing that late reports would not change again."""
SETTLED: Final = 1e-4
"""Share of the own demand; a sweep that moves less is the last."""
LIMIT: Final = 0.9
"""Share of its part of the free capacity that a source fills in one step (the limiter)."""
NEWCOMERS: Final = 0.2
"""Weight that a link keeps for the sources that are not yet on it, together, while reports are current."""
CROWD: Final = 0.6
"""Of m sources, m to this power are taken to move the same way at a time, to begin with, while reports are late."""
BOLDER: Final = 0.7
SHYER: Final = 2.0
BOLDEST: Final = 0.1
"""Factors on the number of sources taken to move: after a move the same way, after one the other way, and the least."""
DUST: Final = 1e-3
"""A rest below this share of the demand moves as a whole: links are counted by those who are really on them."""
MOST_MOVES: Final = 32
"""Own moves that are remembered for each link, until a report tells of them; the oldest goes first."""
DOWN: Final = 1e18
"""The price of a link that has failed."""


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
    failed. load: kb. sources: how many sources have flow on it.
    """

    link: Link
    seq: int
    at: float
    capacity: float
    load: float
    sources: int


@dataclass(frozen=True, slots=True)
class Shift:
    """`kb` of the own flow that left one path for another."""

    origin: Path
    to: Path
    kb: float


class Owner:
    """Who measures one link and speaks for it."""

    __slots__ = ("_link", "_seq", "capacity")

    def __init__(self, link: Link, capacity: float) -> None:
        self._link = link
        self._seq = 0
        self.capacity = capacity

    def report(self, now: float, load: float, sources: int) -> GradientReport:
        """What to publish. load: kb, of `sources` sources."""
        self._seq += 1
        return GradientReport(self._link, self._seq, now, self.capacity, load, sources)


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
        gossiped: bool = False,
    ) -> None:
        """capacity: kb of every link as planned, until a report says otherwise. demands: kb for each target. gossiped:
        reports come by way of others, so that there may be several own moves before one tells of the first.

        Raises LocalError: a target that cannot be reached.
        """
        self.node = node
        self._gossiped = gossiped
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
        model = _Model(self, now)
        self._look_around(model.asked)
        shifts: list[Shift] = []
        trifle = SETTLED * sum(one.demand for one in self._commodities)
        for _ in range(SWEEPS):
            before = len(shifts)
            for one in self._commodities:
                shifts += model.relieve(one)
            if sum(shift.kb for shift in shifts[before:]) <= trifle:
                break
        if shifts:
            self._remember(now, model)
        return tuple(shifts)

    def _remember(self, now: float, model: _Model) -> None:
        own = self._sum()
        for number, (old, new) in enumerate(zip(self._own, own, strict=True)):
            if old == new:
                continue
            moves = self._moves[number]
            seen = not moves
            moves.append((now, old))
            # The second is what the first becomes a part of: only what the report at hand counted is needed exactly.
            if len(moves) > MOST_MOVES:
                del moves[1]
            if abs(new - old) > 1e-4 * model.capacity[number]:
                heading = 1 if new > old else -1
                if heading == self._heading[number]:
                    # That others leave it room shows only after a report has counted the move before.
                    if seen or not self._gossiped:
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

    def crowds(self, now: float) -> list[float]:
        """For each link how many sources are taken to move as this one does: one over its weight, not below 1."""
        current = len(self._reports) == len(self._links) and all(one.at >= now for one in self._reports.values())
        crowds: list[float] = []
        for number in range(len(self._links)):
            report = self._reports.get(number)
            if report is None:
                crowds.append(float(self._nodes))
                continue
            counted = self._reported(number) > 0
            on = min(report.sources, self._nodes)
            if not current:
                # As often as this one has moved since the report was made, others have too.
                unseen = 1 + len(self._moves[number]) if self._gossiped else 1
                crowds.append(max(1.0, unseen * self._crowd[number] * (on if counted else on + 1) ** CROWD))
            elif 0 < on < self._nodes:
                crowds.append(on / (1 - NEWCOMERS) if counted else (self._nodes - on) / NEWCOMERS)
            else:
                crowds.append(float(self._nodes))
        return crowds


class _Model:
    """What one step takes the links to be, as its own changes go on."""

    __slots__ = ("_change", "_crowd", "_heard", "_load", "asked", "capacity", "price")

    def __init__(self, peer: Peer, now: float) -> None:
        numbers = range(len(peer._links))
        self.capacity = [peer._capacity(number) for number in numbers]
        self._load = [peer._heard(number) for number in numbers]
        self._heard = [number in peer._reports for number in numbers]
        self._crowd = peer.crowds(now)
        self._change = [0.0] * len(self.capacity)
        self.price = [peer._price(number, self._load[number]) for number in numbers]
        self.asked = [price if heard else DOWN for price, heard in zip(self.price, self._heard, strict=True)]
        """What flow would be charged that is new on each link: nobody moves to where nothing has been heard from."""

    def _expected(self, number: int, change: float = 0.0) -> float:
        """kb on the link if the crowd moves as this peer does, and `change` more."""
        load = self._load[number] + self._crowd[number] * (self._change[number] + change)
        return load if load > 0 else 0.0

    def relieve(self, one: Candidates) -> list[Shift]:
        """Move flow of one commodity from its dear paths to its cheapest."""
        costs = one.costs(self.asked)
        best = min(range(len(costs)), key=costs.__getitem__)
        shifts: list[Shift] = []
        if costs[best] >= DOWN:
            return shifts
        for place, kb in enumerate(one.kb):
            if kb <= 0 or place == best:
                continue
            # Links in both do not change, and a failed one would drown all differences.
            left = [number for number in one.over[place] if number not in one.over[best]]
            taken = [number for number in one.over[best] if number not in one.over[place]]
            moved = self._fitting(left, taken, kb, DUST * one.demand)
            if moved <= 1e-12 * one.demand:
                continue
            one.kb[place] = kb - moved if moved < kb else 0.0
            one.kb[best] += moved
            shifts.append(Shift(one.routes[place], one.routes[best], moved))
            self._apply(left, -moved)
            self._apply(taken, moved)
        return shifts

    def _fitting(self, left: list[int], taken: list[int], kb: float, dust: float) -> float:
        """How much of `kb` to move from the links `left` to the links `taken`: a Newton step, shortened until it does
        not go past the minimum, within the limiter."""
        gain = self._gain(left, taken, 0.0)
        if gain <= 0:
            return 0.0
        slope = sum([self._steepness(number) for number in left]) + sum([self._steepness(number) for number in taken])
        moved = min(kb, gain / slope) if slope > 0 else kb
        if kb - moved < dust:
            moved = kb
        if not any(self._expected(number) > KNEE * self.capacity[number] for number in left):
            for number in taken:
                room = LIMIT * (self.capacity[number] - self._expected(number)) / self._crowd[number]
                moved = min(moved, max(0.0, room))
        for _ in range(6):
            past = self._gain(left, taken, moved)
            if past >= 0:
                return moved
            moved *= max(0.1, gain / (gain - past))
        return 0.0

    def _steepness(self, number: int) -> float:
        if self.capacity[number] <= 0:
            return 0.0
        return self._crowd[number] * curvature(self._expected(number), self.capacity[number])

    def _gain(self, left: list[int], taken: list[int], moved: float) -> float:
        """What the next kb saves after `moved` kb, per kb."""
        return sum([self._at(number, -moved) for number in left]) - sum([self._at(number, moved) for number in taken])

    def _at(self, number: int, change: float) -> float:
        if not change:
            return self.price[number]
        capacity = self.capacity[number]
        return marginal(self._expected(number, change), capacity) if capacity > 0 else DOWN

    def _apply(self, numbers: Iterable[int], change: float) -> None:
        for number in numbers:
            self._change[number] += change
            if self.capacity[number] > 0:
                self.price[number] = marginal(self._expected(number), self.capacity[number])
                if self._heard[number]:
                    self.asked[number] = self.price[number]
