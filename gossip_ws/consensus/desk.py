"""What the speaker of one cluster knows of its children, and how it shares out what passes through.

All of it is hearsay and may be lost: a desk introduces, it binds nobody. A desk that forgets, lies or dies costs time,
never a promise. Knows no log and no handshake.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from gossip_ws.consensus.clusters import Cluster, Hierarchy
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import Effect, GatherDue
from gossip_ws.consensus.loose import HOLDS, RETURNS, STORES, WAITS, Left, together
from gossip_ws.consensus.messages import Line, Report, Served, Signed, Target, fared
from gossip_ws.consensus.plan import Flow, Standing, plan
from gossip_ws.consensus.share import assign
from gossip_ws.consensus.turns import Turn, Turns
from gossip_ws.consensus.vector import Vector, minus, plus, total
from gossip_ws.kernel.effects import SetTimer

ARRANGED = 16
"""What is remembered of what was arranged for one child since it last reported; the two oldest become one."""


@dataclass(frozen=True, slots=True)
class _Arranged:
    """What a child is to give (positive) or take. is_doubted: it has reported since, as if it did not know of it, or
    another may have arranged the same. is_asked: it has to report again, and what it says then is so."""

    at: float
    watts: Vector
    is_doubted: bool = False
    is_asked: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    """line: with what is left by the desk's reckoning. told: what was left by the child's. number, at, missed,
    rank: of the report it comes from. arranged: what may still be on its way to the child."""

    line: Line
    told: Left
    number: int
    at: float
    missed: int
    rank: int
    arranged: tuple[_Arranged, ...] = ()


class Desk:
    """One cluster's, at the device that speaks for it."""

    def __init__(
        self, cluster: Cluster, pace: Pace, number: Callable[[], int], is_first: bool, below: frozenset[str]
    ) -> None:
        """number: the next one, that no timer of the device has had. below: the children that are clusters; seldom has
        one of them nothing left."""
        self.day = -1
        self._due = inf
        self._next = number
        self._timer = 0
        self._since = inf
        self.is_open = False
        """Has what it knows been shared out once?"""
        self._cluster = cluster.id
        self._level = cluster.level
        self._below = below
        self._is_first = is_first
        self._gathered = inf
        """Until then who reports for the first time is late; later it has reported elsewhere before."""
        self._unsettled = -inf
        # Who is not the first choice is told again all the time.
        self._keep = (pace.forget if is_first else 4 * pace.refresh) * pace.round
        self._pace = pace
        self._rows: dict[str, _Row] = {}
        self._net: Left | None = None
        self._awaited: dict[str, str] | None = None
        """Children that were asked, each with who speaks for it. None: nobody was, or nobody is waited for any more."""
        self._idle: tuple[Line, ...] = ()
        """What nothing followed from: nor does it the next time."""

    def report(self, report: Report, sender: str, now: float, rank: int = 0, signed: Signed | None = None) -> bool:
        """Take it in; False when it is older than what is here, or from who speaks for the child in place of one that
        has reported just now. Of another day it is the first of a new board. rank: of the sender among those that may;
        where a cut has ended both speak for a while, and whoever reports to the second comes to the first. signed: what
        a line shows of it, where it is signed."""
        if report.day != self.day:
            self.day = report.day
            self._rows.clear()
        self._net = None
        row = self._rows.get(report.child)
        if row is not None and row.line.speaker == sender and row.number > report.number:
            return False
        if row is not None and row.rank < rank and now < row.at + 2 * self._pace.refresh * self._pace.round:
            return False
        is_elsewhere = now >= self._gathered if row is None else row.line.speaker != sender
        if self._is_first and is_elsewhere:
            self._unsettled = now + self._pace.unsettled * self._pace.round
        # What is on its way to the child is not in its report yet; what it has less than last time was done.
        told = left = Left(report.rest, report.loose)
        doubted = []
        if row is not None:
            for one in _outstanding(row.arranged, told.since(row.told)):
                if one.is_asked or one.at + self._flight <= now:
                    continue
                without = left.after(one.watts)
                if without != left:
                    doubted.append(replace(one, is_doubted=True))
                    left = without
        shown = (signed,) if signed is not None else ()
        line = Line(report.child, sender, left.rest, report.served, left.loose, shown)
        self._rows[report.child] = _Row(line, told, report.number, now, report.missed, rank, tuple(doubted))
        if self._awaited is not None:
            self._awaited.pop(report.child, None)
        return True

    def wait(self, asked: Mapping[str, str]) -> None:
        """These children were asked, by who speaks for each. What is known is not shared out for the first time before
        all of them have said what they have left, or `go_on`."""
        self._awaited = dict(asked)

    def go_on(self, now: float) -> list[Effect]:
        """Whoever has not said it by now reports by itself."""
        self._awaited = None
        return self.gather(now, 0)

    def is_awaited(self, child: str, sender: str) -> bool:
        """Was this speaker asked what the child has left, and has it not said yet?"""
        return self._awaited is not None and self._awaited.get(child) == sender

    def __contains__(self, child: str) -> bool:
        """Has it told what it has left?"""
        return child in self._rows

    def board(self, hierarchy: Hierarchy, now: float) -> tuple[tuple[Line, ...], tuple[Flow, ...]]:
        """What the children have left, and what follows from it; the desk reckons with that from now on."""
        if not self.is_open:
            self._gathered = now + self._pace.unsettled * self._pace.round
        self.is_open = True
        lines = tuple(row.line for _, row in sorted(self._rows.items()) if row.line.left)
        if lines == self._idle:
            return lines, ()
        flows = flows_of(hierarchy, lines, self.day)
        self._idle = () if flows else lines
        for flow in flows:
            self._arrange(flow.seller, flow.watts, now)
            self._arrange(flow.buyer, tuple([-watts for watts in flow.watts]), now)
        return lines, flows

    def gather(self, now: float, missed: int) -> list[Effect]:
        """A report has come: others may, before what is known is shared out. The first time by so much later as the
        levels below are apart, and for a second try where messages are lost, or a whole cluster has not reported.
        missed: by the speaker itself."""
        if self.is_open:
            return self.later(now, self._pace.gather * self._pace.round)
        if self._awaited is not None:
            if self._awaited:
                return []
            # All is there, but what was missed in a nano grid may just be made up for within it.
            is_early = self._level > 1 and bool(missed or self.missed)
            rounds = self._pace.gather + self._pace.gather_level * self._level if is_early else 0.0
            return self.later(now, rounds * self._pace.round)
        self._since = min(self._since, now)
        rounds = self._pace.gather + self._pace.gather_level * self._level
        if missed or self.missed or self._below - self._rows.keys():
            rounds += self._pace.answer
        due = self._since + rounds * self._pace.round
        if due > self._due:
            self._due = inf
        return self.later(now, max(0.0, due - now))

    def later(self, now: float, wait: float) -> list[Effect]:
        """Share out what is left after so many seconds, if that is not done sooner anyway."""
        if self._due <= now + wait:
            return []
        self._due = now + wait
        self._timer = self._next()
        return [SetTimer(GatherDue(self._cluster, self._timer), wait)]

    def is_due(self, timer: GatherDue) -> bool:
        """Is it the timer that is waited for?"""
        if timer.number != self._timer:
            return False
        self._due = inf
        return True

    def expire(self, now: float) -> bool:
        """Forget whom nothing was heard of for long: it has nothing left, or another speaker. Is anybody there?"""
        old = now - self._keep
        if any(row.at < old for row in self._rows.values()):
            self._rows = {child: row for child, row in self._rows.items() if row.at >= old}
            self._net = None
        return bool(self._rows)

    def doubtful(self, now: float) -> list[tuple[str, str]]:
        """Children that should have heard of what was arranged for them, and have last told that they had not; each
        with who speaks for it. To be asked."""
        found = []
        for child, row in self._rows.items():
            if any(one.is_doubted and one.at + self._flight <= now for one in row.arranged):
                found.append((child, row.line.speaker))
                asked = tuple(replace(one, at=now, is_asked=True) if one.is_doubted else one for one in row.arranged)
                self._rows[child] = replace(row, arranged=asked)
        return found

    @property
    def doubt(self) -> float:
        """When the first arrangement that a child has not heard of should have come to it; inf where there is none."""
        found = (one.at + self._flight for row in self._rows.values() for one in row.arranged if one.is_doubted)
        return min(found, default=inf)

    def forget(self, child: str, speaker: str) -> bool:
        """It reports elsewhere. Did it report here, by that speaker?"""
        row = self._rows.get(child)
        if row is None or row.line.speaker != speaker:
            return False
        del self._rows[child]
        self._net = None
        return True

    @property
    def net(self) -> Left:
        """What all children together have left."""
        lines = [row.line for row in self._rows.values()]
        if not lines:
            return Left(())
        if self._net is None:
            periods = len(lines[0].rest)
            loose = together((line.loose for line in lines), periods)
            self._net = Left(total((line.rest for line in lines), periods), loose)
        return self._net

    @property
    def missed(self) -> int:
        """The most that a child has missed."""
        return max((row.missed for row in self._rows.values()), default=0)

    @property
    def lines(self) -> tuple[Line, ...]:
        """What `net` is the sum of, as far as it was signed."""
        return tuple(row.line for _, row in sorted(self._rows.items()) if row.line.signed)

    def shun(self, liars: Container[str]) -> None:
        """Forget what was said by those who were shown to lie, but what they have left themselves."""
        said = {child: row.line.speaker for child, row in self._rows.items()}
        for child, speaker in said.items():
            if speaker != child and speaker in liars:
                del self._rows[child]
                self._net = None

    @property
    def served(self) -> Served:
        """How the child has fared that fared worst, of those that need anything."""
        return fared(row.line for row in self._rows.values())

    def speaker(self, child: str) -> str:
        """Who speaks for a child; empty when it has not reported."""
        row = self._rows.get(child)
        return row.line.speaker if row is not None else ""

    def buyers(self, watts: Vector, now: float) -> tuple[Target, ...]:
        """Which children share what comes from outside: who has waited longest first."""
        order = sorted(self._rows.values(), key=lambda row: (row.line.served, row.line.child))
        shares = _shares([row.line for row in order], watts, self.day)
        left = minus(watts, total(shares, len(watts)))
        for use in (WAITS, STORES):
            open_ = [(number, one) for number, row in enumerate(order) if (one := row.line.left.of(use)) is not None]
            if use == WAITS:
                # Who could hardly take it at another time comes first.
                open_.sort(key=lambda one: one[1].choice)
            else:
                # When it will be needed is not known here: who could return it at any time afterwards comes first.
                first = next((period for period, some in enumerate(left) if some), 0)
                open_.sort(key=lambda one: -_sure(order[one[0]].line.left, first))
            for (number, _), more in zip(open_, assign(left, [one for _, one in open_]), strict=True):
                left = minus(left, tuple(more))
                shares[number] = plus(shares[number], tuple(more))
        targets = []
        for row, share in zip(order, shares, strict=True):
            if any(share):
                targets.append(Target(row.line.child, row.line.speaker, share))
                self._arrange(row.line.child, tuple([-some for some in share]), now)
        return tuple(targets)

    def sellers(self, targets: tuple[Target, ...], now: float) -> list[tuple[Target, tuple[Target, ...]]]:
        """Which children give to `targets` outside: each with what it gives, and to whom how much; storage last."""
        wanted = [(target, target.watts) for target in targets]
        found = []
        for row in sorted(self._rows.values(), key=lambda row: (row.line.left.of(HOLDS) is not None, row.line.child)):
            shares = []
            for number, (target, watts) in enumerate(wanted):
                share = self._rows[row.line.child].line.left.could_give(watts)
                if any(share):
                    shares.append(Target(target.child, target.speaker, share))
                    wanted[number] = (target, minus(watts, share))
                    self._arrange(row.line.child, share, now)
            if shares:
                given = total((share.watts for share in shares), len(shares[0].watts))
                found.append((Target(row.line.child, row.line.speaker, given), tuple(shares)))
        return found

    def _arrange(self, child: str, watts: Vector, now: float) -> None:
        row = self._rows[child]
        self._net = None
        left = row.line.left.after(watts)
        before = row.line
        line = Line(child, before.speaker, left.rest, before.served, left.loose, before.signed)
        kept = row.arranged
        if len(kept) >= ARRANGED:
            kept = (replace(kept[1], watts=plus(kept[0].watts, kept[1].watts)), *kept[2:])
        # Whoever spoke for some of the children until now may have shared out the same.
        arranged = (*kept, _Arranged(now, watts, is_doubted=now < self._unsettled))
        self._rows[child] = _Row(line, row.told, row.number, row.at, row.missed, row.rank, arranged)

    @property
    def _flight(self) -> float:
        return self._pace.flight * self._pace.round


def flows_of(hierarchy: Hierarchy, lines: tuple[Line, ...], day: int) -> tuple[Flow, ...]:
    """What follows from a board, for everybody the same. Lines of children that are unknown here count for nothing."""
    standings = [
        Standing(line.child, hierarchy.place(line.child), line.rest, line.served, line.loose)
        for line in lines
        if line.child in hierarchy.bus or line.child in hierarchy.clusters
    ]
    return plan(hierarchy.feeder, standings, day)


def _shares(lines: Sequence[Line], watts: Vector, day: int) -> list[Vector]:
    """What each is given of `watts` on its schedule."""
    turns = Turns([Turn(line.child, line.served) for line in lines])
    shares = [[0] * len(watts) for _ in lines]
    for period, left in enumerate(watts):
        buyers = [number for number, line in enumerate(lines) if line.rest[period] < 0] if left else []
        turns.sort(buyers)
        for number in buyers:
            needed = -lines[number].rest[period]
            some = min(left, needed)
            if some:
                shares[number][period] = some
                left -= some
                turns.give(number, some, needed, day * len(watts) + period)
    return [tuple(share) for share in shares]


def _sure(left: Left, period: int) -> int:
    """What storage could return in each of the periods after that one, whichever it is."""
    returns = left.of(RETURNS)
    return min(returns.watts[period + 1 :], default=0) if returns is not None else 0


def _outstanding(arranged: Iterable[_Arranged], done: Vector) -> list[_Arranged]:
    """What was arranged without what is done, the oldest first."""
    if not any(done):
        return list(arranged)
    left = []
    for one in arranged:
        part = tuple(
            [
                min(some, max(0, all_)) if some > 0 else max(some, min(0, all_))
                for some, all_ in zip(one.watts, done, strict=True)
            ]
        )
        done = minus(done, part)
        if part != one.watts:
            left.append(replace(one, watts=minus(one.watts, part)))
    return left
