"""The ways up of one device: its own, and those of the clusters that it speaks for.

What is left is reported where it is news, where the one above reckons otherwise, and now and then. Knows no errand.
"""

from __future__ import annotations

from collections.abc import Container, MutableMapping
from typing import Final

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.desk import Desk
from gossip_ws.consensus.effects import Effect, ReportAgain, ReportDue
from gossip_ws.consensus.errands import Errands
from gossip_ws.consensus.loose import Left
from gossip_ws.consensus.messages import Gather, Heard, Inquire, Line, Moved
from gossip_ws.consensus.party import Party
from gossip_ws.consensus.reporting import Account, Reporter
from gossip_ws.consensus.vector import zero
from gossip_ws.kernel.effects import Dropped
from gossip_ws.kernel.instant import Instant

AT_ONCE: Final = 0.1
"""Rounds: what happens at the same time is told together."""


class Upward:
    """Of the device whose `party` this is. desks: those that it keeps now. number: the next for what it says."""

    def __init__(
        self, party: Party, hierarchy: Hierarchy, pace: Pace, desks: MutableMapping[str, Desk], errands: Errands
    ) -> None:
        self._device = party.device
        self._party = party
        self._hierarchy = hierarchy
        self._pace = pace
        self._desks = desks
        self._errands = errands
        self._misses = 0
        self._written = 0
        self.missed = 0
        """Announcements that this device has not heard."""
        self._reporters: dict[str, Reporter] = {}

    def clear(self) -> None:
        """A new day: nothing of it has been told."""
        self._reporters.clear()

    def regroup(self, hierarchy: Hierarchy, kept: Container[str]) -> None:
        """Only the clusters in `kept` are what they were."""
        before, self._hierarchy = self._hierarchy, hierarchy
        # Who spoke for a cluster that is another now has nothing to report of it.
        self._reporters = {
            name: one
            for name, one in self._reporters.items()
            if one.above in kept and (name == self._device or name in kept)
        }
        for reporter in self._reporters.values():
            reporter.regroup(before, hierarchy)

    # -- inputs --------------------------------------------------------------------------------

    def heard(self, heard: Heard, sender: str, now: Instant) -> list[Effect]:
        """A report has been answered."""
        effects: list[Effect] = []
        for reporter in [one for one in self._reporters.values() if one.above == heard.cluster]:
            other = reporter.heard(self._hierarchy, heard, sender, now.monotonic)
            if other:
                effects += self._move(reporter, other)
        return effects

    def due(self, timer: ReportDue, now: Instant) -> list[Effect]:
        """Is there anything to tell?"""
        reporter = self._reporters.get(timer.child)
        if reporter is None or not reporter.is_due(timer):
            return []
        desk = self._desks.get(timer.child)
        if desk is not None and not desk.expire(now.monotonic):
            return self.close(timer.child)
        if reporter.is_asking or (timer.child == self._device and self._is_busy):
            return reporter.later(now.monotonic, self._pace.answer)
        left = self._left(timer.child)
        if not left and not reporter.is_owed:
            # What is offered to somebody may come back.
            return reporter.later(now.monotonic, self._pace.answer) if self._errands.pending(timer.child) else []
        return reporter.report(self._hierarchy, self._account(timer.child), now.monotonic)

    def again(self, timer: ReportAgain, now: Instant) -> list[Effect]:
        """Has nobody heard?"""
        reporter = self._reporters.get(timer.child)
        if reporter is None or not reporter.is_unheard(timer):
            return []
        return reporter.again(self._hierarchy, timer, self._account(timer.child))

    def asked(self, inquire: Inquire, now: Instant) -> list[Effect]:
        """The one above wants to know."""
        reporter = self._reporters.get(inquire.child)
        if reporter is None or reporter.above != inquire.cluster:
            return [Dropped("asked of another")]
        return reporter.owe(now.monotonic, 0.0)

    def pulled(self, gather: Gather, sender: str, now: Instant) -> list[Effect]:
        """Who speaks for a cluster asks what the child has left for which this device speaks. Who cannot say yet
        reports as soon as it can."""
        child = self._hierarchy.below(self._device, gather.cluster)
        desk = self._desks.get(child)
        if gather.day != self._party.book.day or (child != self._device and desk is None):
            return [Dropped("asked of another")]
        reporter = self._reporter(child)
        if desk is not None and not desk.is_open:
            reporter.is_owed = True
            return []
        if child == self._device and self._is_busy:
            return reporter.owe(now.monotonic)
        effects, other = reporter.answer(self._hierarchy, self._account(child), now.monotonic)
        return [*effects, *(self._move(reporter, other) if other else [])]

    def ask_in(self, child: str) -> float:
        """Rounds until this device is to ask the others of the cluster above, when `child` can say what it has."""
        return self._skipped(child) + (self._pace.settle if child == self._device else 0.0)

    def look(self, now: Instant) -> list[Effect]:
        """After whatever has happened to this device: has it anything to tell soon?"""
        has_written, self._written = self._written != self._party.book.length, self._party.book.length
        if not self._party.left and self._device not in self._reporters:
            return []
        reporter = self._reporter(self._device)
        if self._misses != self._party.misses:
            self._misses = self._party.misses
            return reporter.owe(now.monotonic)
        if not self._party.left:
            return []
        if reporter.told is None:
            return reporter.later(now.monotonic, self._pace.settle + self._skipped(self._device) + self._pace.ask)
        if has_written and reporter.is_unsettled(now.monotonic):
            return reporter.owe(now.monotonic, AT_ONCE)
        # More may be on its way, or not.
        return reporter.later(now.monotonic, self._pace.recent) if has_written else []

    # -- for the clusters that it speaks for ---------------------------------------------------

    def gathered(self, cluster: str, now: Instant) -> list[Effect]:
        """A desk has shared out what it could; the rest goes up, if it is news."""
        reporter = self._reporter(cluster)
        wait = self._skipped(cluster) + self._pace.ask if reporter.told is None and not reporter.is_owed else 0.0
        left = self._left(cluster)
        if wait or left == reporter.told:
            return reporter.later(now.monotonic, wait or self._pace.remind)
        if left or reporter.told or reporter.is_owed:
            return reporter.report(self._hierarchy, self._account(cluster), now.monotonic)
        return []

    def reckon(self, cluster: str, now: Instant) -> list[Effect]:
        """What was arranged from above is known above, unless another speaks there since."""
        if cluster in self._reporters:
            reporter, left = self._reporters[cluster], self._left(cluster)
            if reporter.is_unsettled(now.monotonic):
                return reporter.owe(now.monotonic, AT_ONCE)
            reporter.told = left
            return reporter.later(now.monotonic, self._pace.remind) if left else []
        return []

    def owe(self, child: str, now: Instant) -> list[Effect]:
        """The one above reckons otherwise than it is: it is told soon."""
        return self._reporter(child).owe(now.monotonic)

    def fail(self, child: str, now: Instant) -> list[Effect]:
        """What was asked on behalf of a child is not answered: if it reports, it does so again."""
        return self._reporters[child].owe(now.monotonic) if child in self._reporters else []

    def close(self, cluster: str) -> list[Effect]:
        """Another speaks for it, or nobody has anything left: the one above does not reckon with it any more."""
        del self._desks[cluster]
        reporter = self._reporters.pop(cluster, None)
        return self._move(reporter, reporter.speaker(self._hierarchy)) if reporter and reporter.told else []

    def is_belied(self, line: Line) -> bool:
        """Does a line say more of a child of this device's than was ever reported? Less is what was arranged since."""
        reporter = self._reporters.get(line.child) if line.speaker == self._device else None
        return reporter is not None and not reporter.has_told(line.rest)

    # -- small steps ---------------------------------------------------------------------------

    @property
    def _is_busy(self) -> bool:
        return self._party.is_busy or bool(self._errands.pending(self._device))

    def _move(self, reporter: Reporter, speaker: str) -> list[Effect]:
        return self._errands.send(speaker, Moved(self._number(), reporter.above, reporter.child), "")

    def _number(self) -> int:
        return self._errands.number(self._party.book.starts)

    def _reporter(self, child: str) -> Reporter:
        if child not in self._reporters:
            self._reporters[child] = Reporter(child, self._hierarchy.parent(child), self._pace, self._number)
        return self._reporters[child]

    def _skipped(self, child: str) -> float:
        """Rounds that a child waits for the others of the cluster above, which have more levels below them."""
        above = self._hierarchy.level(self._hierarchy.parent(child))
        return (above - 1 - self._hierarchy.level(child)) * self._pace.level

    def _account(self, child: str) -> Account:
        left = self._left(child)
        if child == self._device:
            book = self._party.book
            return Account(book.day, left, book.served, self.missed, ())
        desk = self._desks[child]
        return Account(desk.day, left, desk.served, max(self.missed, desk.missed), desk.lines)

    def _left(self, child: str) -> Left:
        """What this device has left, or a cluster that it speaks for."""
        left = self._party.told
        if child != self._device:
            left = self._desks[child].net or Left(zero(len(left.rest)))
        for watts in self._errands.pending(child):
            left = left.after(watts)
        return left
