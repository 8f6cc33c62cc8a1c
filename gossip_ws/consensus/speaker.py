"""One device as it speaks for clusters: it gathers their children's reports, lets them know one another, and passes on
what comes from above and from other clusters.

It binds nobody. All it knows may be forgotten, and is after a crash. Knows no handshake: `party` proposes.
"""

from __future__ import annotations

from collections.abc import Container
from math import inf

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.desk import Desk, flows_of
from gossip_ws.consensus.effects import Effect, ErrandAgain, GatherDue, Pull, PullDue, Tell
from gossip_ws.consensus.errands import Errands
from gossip_ws.consensus.messages import (
    Board,
    Done,
    Errand,
    Found,
    Gather,
    Heard,
    Inquire,
    Message,
    Moved,
    Report,
    Seek,
    Signed,
    Supply,
    Target,
)
from gossip_ws.consensus.party import Party
from gossip_ws.consensus.upward import Upward
from gossip_ws.consensus.vector import Vector, total
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.instant import Instant

DESKS = 32
"""Clusters that a device speaks for; a grid has a handful of levels."""


class Speaker:
    """The device whose `party` this is."""

    def __init__(self, party: Party, hierarchy: Hierarchy, pace: Pace) -> None:
        self._device = party.device
        self._party = party
        self._hierarchy = hierarchy
        self._pace = pace
        self._errands = Errands(party.device, pace)
        self._desks: dict[str, Desk] = {}
        self.upward = Upward(party, hierarchy, pace, self._desks, self._errands)

    def clear(self) -> None:
        """A new day: what was asked does not matter any more."""
        self._errands.clear()
        self._desks.clear()
        self.upward.clear()

    def regroup(self, hierarchy: Hierarchy) -> None:
        """What is not the cluster any more that it was is forgotten."""
        before, self._hierarchy = self._hierarchy, hierarchy
        kept = {name for name, cluster in before.clusters.items() if hierarchy.clusters.get(name) == cluster}
        for name in self._desks.keys() - kept:
            del self._desks[name]
        self.upward.regroup(hierarchy, kept)

    # -- asking --------------------------------------------------------------------------------

    def begin(self) -> list[Effect]:
        """A day begins, or the device comes up: in time it asks its nano grid, if it is the first to speak for it."""
        return self._pull_later(self._device)

    def pull(self, timer: PullDue, now: Instant) -> list[Effect]:
        """Ask the children of a cluster what they have left: all, then those again that have not said it. Who is still
        silent is inquired of, and what is known is shared out."""
        cluster = self._hierarchy.clusters.get(timer.cluster)
        if cluster is None or timer.day != self._party.book.day or not self._is_first(cluster.id):
            return []
        desk = self._desk(cluster.id)
        if desk is None or desk.is_open:
            return []
        silent = {child: self._first(child) for child in cluster.children if child not in desk}
        again = SetTimer(PullDue(cluster.id, timer.day, timer.tries + 1), self._pace.answer * self._pace.round)
        if timer.tries > 1:
            return desk.go_on(now.monotonic)
        if timer.tries:
            desk.wait(dict.fromkeys(silent, ""))
            asked: list[Effect] = [Tell((to,), Inquire(cluster.id, child)) for child, to in silent.items()]
            return [*asked, again]
        desk.wait(silent)
        message = Gather(cluster.id, timer.day)
        others = tuple(to for to in silent.values() if to != self._device)
        effects: list[Effect] = [Pull(cluster.id, others, message), again] if others else []
        if self._device in silent.values():
            effects += self.upward.pulled(message, self._device, now)
        return effects

    def _pull_later(self, child: str) -> list[Effect]:
        above = self._hierarchy.parent(child)
        if not above or not self._is_first(above):
            return []
        return [SetTimer(PullDue(above, self._party.book.day, 0), self.upward.ask_in(child) * self._pace.round)]

    def _is_first(self, cluster: str) -> bool:
        return self._hierarchy.candidates(cluster)[0] == self._device

    def _first(self, child: str) -> str:
        """Who speaks for a child, as far as is known before it is heard of."""
        return self._hierarchy.candidates(child)[0] if child in self._hierarchy.clusters else child

    # -- reports -------------------------------------------------------------------------------

    def reported(self, report: Report, sender: str, now: Instant, signed: Signed | None = None) -> list[Effect]:
        """What a child has left. signed: what is shown of it to others, where messages are signed."""
        cluster = self._hierarchy.clusters.get(report.cluster)
        if cluster is None or report.child not in cluster.children or report.day != self._party.book.day:
            return [Dropped("reported elsewhere")]
        desk = self._desk(report.cluster)
        if desk is None:
            return [Dropped("not to speak for that")]
        effects: list[Effect] = []
        if not desk.is_awaited(report.child, sender):
            effects.append(Tell((sender,), Heard(report.cluster, report.number)))
        rank = 0
        if report.child in self._hierarchy.clusters:
            rank = self._hierarchy.candidates(report.child).index(sender)
        if desk.report(report, sender, now.monotonic, rank, signed):
            effects += desk.gather(now.monotonic, self.upward.missed)
        return effects

    def gather(self, timer: GatherDue, now: Instant) -> list[Effect]:
        """The reports are in: the children that can give are shown what all have left, and the sum goes up."""
        desk = self._desks.get(timer.cluster)
        if desk is None or not desk.is_due(timer):
            return []
        if not desk.expire(now.monotonic):
            return self.upward.close(timer.cluster)
        was_open = desk.is_open
        lines, flows = desk.board(self._hierarchy, now.monotonic)
        effects: list[Effect] = []
        for speaker in dict.fromkeys(desk.speaker(flow.seller) for flow in flows):
            board = Board(self._number(), timer.cluster, desk.day, lines)
            effects += self._errands.send(speaker, board, timer.cluster)
        for child, speaker in desk.doubtful(now.monotonic):
            effects.append(Tell((speaker,), Inquire(timer.cluster, child)))
        if desk.doubt < inf:
            # A little later: sums of clock times are not exact.
            effects += desk.later(now.monotonic, desk.doubt - now.monotonic + 0.01 * self._pace.round)
        if self._hierarchy.clusters[timer.cluster].parent:
            effects += self.upward.gathered(timer.cluster, now)
            effects += self._pull_later(timer.cluster) if not was_open else []
        return effects

    def shun(self, liars: Container[str]) -> None:
        """What was said by those who were shown to lie is forgotten."""
        for desk in self._desks.values():
            desk.shun(liars)

    # -- errands -------------------------------------------------------------------------------

    def run(self, errand: Errand, sender: str, now: Instant) -> list[Effect]:
        """Do it, and answer; what comes again is only answered again."""
        before = self._errands.done(sender, errand.number)
        if before is not None:
            return [before]
        answer: Message = Done(errand.number)
        match errand:
            case Board():
                effects = self._read(errand, now)
            case Supply():
                effects = self._supply(errand, now)
            case Seek():
                answer, effects = self._sought(errand, now)
            case Moved():
                effects = self._moved(errand, sender, now)
        told = Tell((sender,), answer)
        self._errands.answer(sender, errand.number, told)
        return [told, *effects]

    def done(self, done: Done, sender: str) -> list[Effect]:
        """An errand has been answered."""
        self._errands.answered(done.number, sender)
        return []

    def again(self, timer: ErrandAgain, now: Instant) -> list[Effect]:
        """An errand has not been answered."""
        repeated = self._errands.again(timer)
        return self.upward.fail(repeated, now) if isinstance(repeated, str) else repeated

    def found(self, found: Found, sender: str, now: Instant) -> list[Effect]:
        """The buyers are known: children are told to give to them."""
        child, seek = self._errands.answered(found.number, sender) or ("", None)
        if not isinstance(seek, Seek):
            return [Dropped("found too late")]
        given = total((target.watts for target in found.targets), len(seek.watts))
        here = all(self._hierarchy.parent(one.child) == seek.buyer for one in found.targets)
        if not here or any(some > most for some, most in zip(given, seek.watts, strict=True)):
            return [Dropped("found elsewhere"), *self.upward.owe(child, now)]
        if child == self._device:
            effects = self._give(child, found.targets, seek.level, now)
            return effects + (self.upward.owe(child, now) if given != seek.watts else [])
        return self._share(child, found.targets, seek.watts, seek.level, now)

    # -- small steps ---------------------------------------------------------------------------

    def _desk(self, name: str) -> Desk | None:
        """A cluster's; None where this device is not one to speak for it, or speaks for too many."""
        if name not in self._desks:
            if len(self._desks) >= DESKS or not self._hierarchy.is_below(self._device, name):
                return None
            cluster = self._hierarchy.clusters[name]
            below = frozenset(child for child in cluster.children if child in self._hierarchy.clusters)
            self._desks[name] = Desk(cluster, self._pace, self._number, self._is_first(name), below)
        return self._desks[name]

    def _number(self) -> int:
        return self._errands.number(self._party.book.starts)

    def _moved(self, moved: Moved, sender: str, now: Instant) -> list[Effect]:
        """Somebody else speaks for the cluster; two would contradict one another."""
        desk = self._desks.get(moved.cluster)
        if desk is None or not desk.forget(moved.child, sender):
            return []
        if not self._is_first(moved.cluster) or not desk.expire(now.monotonic):
            # One child has found a better choice, so the others do too, or report here again.
            return self.upward.close(moved.cluster)
        return desk.gather(now.monotonic, 0)

    def _read(self, board: Board, now: Instant) -> list[Effect]:
        """The sellers on a board turn to their buyers, as everybody finds them who reads it."""
        cluster = self._hierarchy.clusters.get(board.cluster)
        if cluster is None or board.day != self._party.book.day:
            return [Dropped("a board of elsewhere")]
        if any(self.upward.is_belied(line) for line in board.lines):
            return [Dropped("a board that lies")]
        speakers = {line.child: line.speaker for line in board.lines}
        given: dict[str, list[Target]] = {}
        for flow in flows_of(self._hierarchy, board.lines, board.day):
            if speakers[flow.seller] == self._device:
                given.setdefault(flow.seller, []).append(Target(flow.buyer, speakers[flow.buyer], flow.watts))
        return [
            effect
            for child, targets in given.items()
            for effect in self._give(child, tuple(targets), cluster.level, now)
        ]

    def _give(self, child: str, targets: tuple[Target, ...], level: int, now: Instant) -> list[Effect]:
        """`child`, for which this device speaks, is to give to `targets`, children elsewhere. Of a cluster it is asked
        who there needs it; who is a device is known, and can be told to the children that give."""
        if child != self._device and child not in self._desks:
            return [Dropped("nothing to give")]
        effects: list[Effect] = []
        known = tuple(target for target in targets if target.child in self._hierarchy.bus)
        if child == self._device:
            for target in known:
                effects += self._short(child, self._party.could_give(target.watts), target.watts, now)
                effects += self._party.propose(target.child, target.watts, level)
        elif known:
            effects += self._share(child, known, total((one.watts for one in known), len(known[0].watts)), level, now)
        for target in targets:
            if target not in known:
                seek = Seek(self._number(), target.child, self._party.book.day, target.watts, level)
                effects += self._errands.send(target.speaker, seek, child)
        return effects

    def _share(self, child: str, targets: tuple[Target, ...], wanted: Vector, level: int, now: Instant) -> list[Effect]:
        """The children of `child` are told to give to `targets`; wanted: what was to be given."""
        desk = self._desks.get(child)
        if desk is None:
            return [Dropped("nothing to give")]
        effects: list[Effect] = []
        shared = desk.sellers(targets, now.monotonic)
        for seller, share in shared:
            supply = Supply(self._number(), seller.child, desk.day, share, level)
            effects += self._errands.send(seller.speaker, supply, seller.child)
        effects += self.upward.reckon(child, now)
        if total((seller.watts for seller, _ in shared), len(wanted)) != wanted:
            effects += self.upward.owe(child, now)
        return effects

    def _short(self, child: str, has: Vector, wanted: Vector, now: Instant) -> list[Effect]:
        """Does the one above reckon with more than there is?"""
        is_short = any(some > 0 and some > most for some, most in zip(wanted, has, strict=True))
        return self.upward.owe(child, now) if is_short else []

    def _sought(self, seek: Seek, now: Instant) -> tuple[Found, list[Effect]]:
        desk = self._desks.get(seek.buyer)
        if desk is None or seek.day != desk.day:
            return Found(seek.number, ()), []
        targets = desk.buyers(seek.watts, now.monotonic)
        found = total((target.watts for target in targets), len(seek.watts))
        short = self._short(seek.buyer, found, seek.watts, now)
        return Found(seek.number, targets), [*self.upward.reckon(seek.buyer, now), *short]

    def _supply(self, supply: Supply, now: Instant) -> list[Effect]:
        if supply.day != self._party.book.day:
            return [Dropped("of another day")]
        return self._give(supply.child, supply.targets, supply.level, now)
