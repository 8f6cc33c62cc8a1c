"""What the speaker of one cluster knows of its children, and how it shares out what passes through.

All of it is hearsay and may be lost: a desk introduces, it binds nobody. A desk that forgets, lies or dies costs time,
never a promise. Knows no log and no handshake.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.loose import HOLDS, STORES, WAITS, Left, together
from gossip_ws.consensus.messages import NEVER, Line, Report, Served, Target
from gossip_ws.consensus.plan import Flow, Standing, plan
from gossip_ws.consensus.share import assign
from gossip_ws.consensus.vector import Vector, least, minus, plus, shortage, total


@dataclass(frozen=True, slots=True)
class _Row:
    """line: with what is left by the desk's reckoning. told: what was left by the child's. number, at: of the report
    it comes from. arranged: what was arranged for the child at what time, and is not known to be done."""

    line: Line
    told: Left
    number: int
    at: float
    arranged: tuple[tuple[float, Vector], ...] = ()


class Desk:
    """One cluster's, at the device that speaks for it."""

    def __init__(self, level: int, pace: Pace) -> None:
        self.day = -1
        self.is_gathering = False
        self._level = level
        self._pace = pace
        self._rows: dict[str, _Row] = {}

    def report(self, report: Report, sender: str, now: float) -> bool:
        """Take it in; False when it is older than what is here."""
        if report.day < self.day:
            return False
        if report.day > self.day:
            self.day = report.day
            self._rows.clear()
        row = self._rows.get(report.child)
        if row is not None and row.line.speaker == sender and row.number > report.number:
            return False
        # What is on its way to the child is not in its report yet; what it has less than last time was done.
        told = left = Left(report.rest, report.loose)
        arranged: tuple[tuple[float, Vector], ...] = ()
        if row is not None:
            arranged = _outstanding(self._recent(row, now), told.since(row.told))
            for _, watts in arranged:
                left = left.after(watts)
        line = Line(report.child, sender, left.rest, report.served, left.loose)
        self._rows[report.child] = _Row(line, told, report.number, now, arranged)
        return True

    def board(self, hierarchy: Hierarchy, now: float) -> tuple[tuple[Line, ...], tuple[Flow, ...]]:
        """What the children have left, and what follows from it; the desk reckons with that from now on."""
        self.expire(now)
        lines = tuple(row.line for _, row in sorted(self._rows.items()) if row.line.left)
        flows = flows_of(hierarchy, lines, self.day)
        for flow in flows:
            self._arrange(flow.seller, flow.watts, now)
            self._arrange(flow.buyer, tuple([-watts for watts in flow.watts]), now)
        return lines, flows

    def expire(self, now: float) -> None:
        """Forget whom nothing was heard of for long: it has nothing left, or another speaker."""
        old = now - self._pace.forget * self._pace.round
        self._rows = {child: row for child, row in self._rows.items() if row.at >= old}

    def forget(self, child: str) -> bool:
        """It reports elsewhere. Is nobody left?"""
        self._rows.pop(child, None)
        return not self._rows

    @property
    def patience(self) -> float:
        """Seconds for which reports are gathered."""
        return (self._pace.gather + self._pace.gather_level * self._level) * self._pace.round

    @property
    def net(self) -> Left:
        """What all children together have left."""
        lines = [row.line for row in self._rows.values()]
        if not lines:
            return Left(())
        periods = len(lines[0].rest)
        loose = together((line.loose for line in lines), periods)
        return Left(total((line.rest for line in lines), periods), loose)

    @property
    def served(self) -> Served:
        """How the child has fared that fared worst."""
        return min((row.line.served for row in self._rows.values()), default=NEVER)

    def speaker(self, child: str) -> str:
        """Who speaks for a child; empty when it has not reported."""
        row = self._rows.get(child)
        return row.line.speaker if row is not None else ""

    def buyers(self, watts: Vector, now: float) -> tuple[Target, ...]:
        """Which children share what comes from outside: who has waited longest first."""
        order = sorted(self._rows.values(), key=lambda row: (row.line.served, row.line.child))
        left, shares = watts, []
        for row in order:
            share = least(left, shortage(row.line.rest))
            left = minus(left, share)
            shares.append(share)
        for use in (WAITS, STORES):
            open_ = [(number, one) for number, row in enumerate(order) if (one := row.line.left.of(use)) is not None]
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
        left = row.line.left.after(watts)
        line = replace(row.line, rest=left.rest, loose=left.loose)
        self._rows[child] = replace(row, line=line, arranged=(*self._recent(row, now), (now, watts)))

    def _recent(self, row: _Row, now: float) -> tuple[tuple[float, Vector], ...]:
        since = now - (self._pace.recent + self._pace.descent * self._level) * self._pace.round
        return tuple(one for one in row.arranged if one[0] > since)


def flows_of(hierarchy: Hierarchy, lines: tuple[Line, ...], day: int) -> tuple[Flow, ...]:
    """What follows from a board, for everybody the same. Lines of children that are unknown here count for nothing."""
    standings = [
        Standing(line.child, hierarchy.place(line.child), line.rest, line.served, line.loose)
        for line in lines
        if line.child in hierarchy.bus or line.child in hierarchy.clusters
    ]
    return plan(hierarchy.feeder, standings, day)


def _outstanding(arranged: Iterable[tuple[float, Vector]], done: Vector) -> tuple[tuple[float, Vector], ...]:
    """What was arranged without what is done, the oldest first."""
    left = []
    for at, watts in arranged:
        part = tuple(
            [
                min(some, max(0, all_)) if some > 0 else max(some, min(0, all_))
                for some, all_ in zip(watts, done, strict=True)
            ]
        )
        done = minus(done, part)
        if part != watts:
            left.append((at, minus(watts, part)))
    return tuple(left)
