"""The ways up of one device: its own, and those of the clusters that it speaks for.

What is left is reported where it is news, where the one above reckons otherwise, and now and then. Knows no errand.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.desk import Desk
from gossip_ws.consensus.effects import Effect, ReportAgain, ReportDue
from gossip_ws.consensus.loose import Left
from gossip_ws.consensus.messages import Heard, Line, Served
from gossip_ws.consensus.party import Party
from gossip_ws.consensus.reporting import Reporter
from gossip_ws.consensus.vector import zero
from gossip_ws.kernel.instant import Instant


class Upward:
    """Of the device whose `party` this is. desks: those that it keeps now. number: the next for what it says."""

    def __init__(
        self, party: Party, hierarchy: Hierarchy, pace: Pace, desks: Mapping[str, Desk], number: Callable[[], int]
    ) -> None:
        self._device = party.device
        self._party = party
        self._hierarchy = hierarchy
        self._pace = pace
        self._desks = desks
        self._number = number
        self._misses = 0
        self._written = 0
        self._reporters: dict[str, Reporter] = {}

    def regroup(self, hierarchy: Hierarchy, kept: Container[str]) -> None:
        """Only the clusters in `kept` are what they were."""
        self._hierarchy = hierarchy
        self._reporters = {name: one for name, one in self._reporters.items() if one.above in kept}

    # -- inputs --------------------------------------------------------------------------------

    def heard(self, heard: Heard, sender: str) -> list[Effect]:
        """A report has been answered."""
        reporters = [one for one in self._reporters.values() if one.above == heard.cluster]
        return [effect for one in reporters for effect in one.heard(self._hierarchy, heard, sender)]

    def due(self, timer: ReportDue, now: Instant) -> list[Effect]:
        """Is there anything to tell?"""
        reporter = self._reporters.get(timer.child)
        if reporter is None or not reporter.is_due(timer):
            return []
        if reporter.is_asking or (timer.child == self._device and self._party.is_busy):
            return reporter.later(now.monotonic, self._pace.answer)
        left = self._left(timer.child, now)
        if not left and not reporter.is_owed:
            return []
        return reporter.report(self._hierarchy, self._party.book.day, left, self._served(timer.child), now.monotonic)

    def again(self, timer: ReportAgain, now: Instant) -> list[Effect]:
        """Has nobody heard?"""
        reporter = self._reporters.get(timer.child)
        if reporter is None:
            return []
        served = self._served(timer.child)
        return reporter.again(self._hierarchy, timer, self._party.book.day, self._left(timer.child, now), served)

    def look(self, now: Instant) -> list[Effect]:
        """After whatever has happened to this device: has it anything to tell soon?"""
        if not self._party.left:
            return []
        reporter = self._reporter(self._device)
        effects: list[Effect] = []
        if self._misses != self._party.misses:
            self._misses = self._party.misses
            effects = reporter.owe(now.monotonic)
        elif reporter.told is None:
            effects = reporter.later(now.monotonic, self._pace.settle + self._skipped(self._device))
        elif self._written != len(self._party.book.records):
            # More may be on its way, or not.
            effects = reporter.later(now.monotonic, self._pace.recent)
        self._written = len(self._party.book.records)
        return effects

    # -- for the clusters that it speaks for ---------------------------------------------------

    def gathered(self, cluster: str, now: Instant) -> list[Effect]:
        """A desk has shared out what it could; the rest goes up, if it is news."""
        desk, reporter = self._desks[cluster], self._reporter(cluster)
        wait = self._skipped(cluster) if reporter.told is None else 0.0
        if wait or desk.net == reporter.told:
            return reporter.later(now.monotonic, wait or self._pace.remind)
        if desk.net:
            return reporter.report(self._hierarchy, desk.day, desk.net, desk.served, now.monotonic)
        return []

    def reckon(self, cluster: str, now: Instant) -> list[Effect]:
        """What was arranged from above is known above."""
        if cluster in self._reporters:
            reporter, net = self._reporters[cluster], self._desks[cluster].net
            reporter.told = net
            return reporter.later(now.monotonic, self._pace.remind) if net else []
        return []

    def owe(self, child: str, now: Instant) -> list[Effect]:
        """The one above reckons otherwise than it is: it is told soon."""
        return self._reporter(child).owe(now.monotonic)

    def fail(self, child: str, now: Instant) -> list[Effect]:
        """What was asked on behalf of a child is not answered: if it reports, it does so again."""
        return self._reporters[child].owe(now.monotonic) if child in self._reporters else []

    def forget(self, cluster: str) -> None:
        """Another speaks for it."""
        self._reporters.pop(cluster, None)

    def is_belied(self, line: Line) -> bool:
        """Does a line say more of a child of this device's than was ever reported? Less is what was arranged since."""
        reporter = self._reporters.get(line.child) if line.speaker == self._device else None
        return reporter is not None and not reporter.has_told(line.rest)

    # -- small steps ---------------------------------------------------------------------------

    def _reporter(self, child: str) -> Reporter:
        if child not in self._reporters:
            self._reporters[child] = Reporter(child, self._hierarchy.parent(child), self._pace, self._number())
        return self._reporters[child]

    def _skipped(self, child: str) -> float:
        """Rounds that a child waits for the others of the cluster above, which have more levels below them."""
        above = self._hierarchy.level(self._hierarchy.parent(child))
        return (above - 1 - self._hierarchy.level(child)) * self._pace.level

    def _served(self, child: str) -> Served:
        return self._party.book.served if child == self._device else self._desks[child].served

    def _left(self, child: str, now: Instant) -> Left:
        """What this device has left, or a cluster that it speaks for."""
        if child == self._device:
            return self._party.left
        self._desks[child].expire(now.monotonic)
        return self._desks[child].net or Left(zero(len(self._party.rest)))
