"""One device among others that agree: it announces, plans, proposes, and speaks for clusters when it is asked to.

A function of its inputs: each call takes a message or a timer and returns effects. Nothing here binds anybody but
`party`; all the rest may be forgotten, and is after a crash.
"""

from __future__ import annotations

from collections.abc import Iterable

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.desk import Desk, flows_of
from gossip_ws.consensus.effects import (
    AcceptAgain,
    AskAgain,
    Effect,
    ErrandAgain,
    GatherDue,
    PlanDue,
    ReportAgain,
    ReportDue,
    Tell,
    Timer,
)
from gossip_ws.consensus.errands import Errands
from gossip_ws.consensus.log import Record
from gossip_ws.consensus.messages import (
    Accept,
    Announce,
    Board,
    Confirm,
    Decline,
    Done,
    Errand,
    Found,
    Heard,
    Line,
    Message,
    Moved,
    Propose,
    Release,
    Report,
    Seek,
    Served,
    Supply,
    Target,
    schedules,
)
from gossip_ws.consensus.party import Party
from gossip_ws.consensus.reporting import Reporter
from gossip_ws.consensus.trust import is_in_place
from gossip_ws.consensus.vector import Vector, least, shortage, total, zero
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.instant import Instant

DESKS = 32
"""Clusters that a device speaks for; a grid has a handful of levels."""


class Member:
    """One device. `records`: its log from before a crash. Whoever hands it messages has
    proved who sent them."""

    def __init__(
        self,
        device: str,
        hierarchy: Hierarchy,
        pace: Pace,
        records: Iterable[Record] = (),
    ) -> None:
        self.device = device
        self.party = Party(device, pace, records)
        self._hierarchy = hierarchy
        self._pace = pace
        self._known: dict[str, tuple[int, Line]] = {}
        self._misses = 0
        self._written = 0
        self._plans = 0
        self._is_planning = False
        self._errands = Errands(device, pace)
        self._desks: dict[str, Desk] = {}
        self._reporters: dict[str, Reporter] = {}

    @property
    def rest(self) -> Vector:
        """What is neither promised nor proposed: given positive, needed negative."""
        return self.party.rest

    # -- inputs --------------------------------------------------------------------------------

    def start(self, day: int, watts: Vector, now: Instant) -> list[Effect]:
        """The device comes up, for the first time or again, and has this to offer."""
        return self._done([*self.party.start(now), *self.party.offer(day, watts, now), *self._announce()], now)

    def change(self, day: int, watts: Vector, now: Instant) -> list[Effect]:
        """From now on it can do this. Only its nano grid is told."""
        if day != self.party.book.day:
            self._known.clear()
            self._errands.clear()
        return self._done([*self.party.offer(day, watts, now), *self._announce()], now)

    def regroup(self, hierarchy: Hierarchy, now: Instant) -> list[Effect]:
        """Devices have joined or left. What has been agreed stays; only who is in another nano grid now says so."""
        before = self._hierarchy
        self._hierarchy = hierarchy
        kept = {name for name, cluster in before.clusters.items() if hierarchy.clusters.get(name) == cluster}
        self._desks = {name: desk for name, desk in self._desks.items() if name in kept}
        self._reporters = {name: one for name, one in self._reporters.items() if one.above in kept}
        if hierarchy.home[self.device] in kept:
            return []
        self._known.clear()
        return self._done(self._announce(), now)

    def receive(self, message: Message, sender: str, now: Instant) -> list[Effect]:
        """A message has arrived."""
        if any(len(vector) != len(self.party.book.offer) for vector in schedules(message)):
            return [Dropped("no schedule")]
        if not is_in_place(self._hierarchy, message, sender):
            return [Dropped("not in the place to say so")]
        return self._done(self._received(message, sender, now), now)

    def due(self, timer: Timer, now: Instant) -> list[Effect]:
        """A timer has come back."""
        return self._done(self._due(timer, now), now)

    # -- who gets what -------------------------------------------------------------------------

    def _received(self, message: Message, sender: str, now: Instant) -> list[Effect]:
        match message:
            case Propose():
                return self.party.proposed(message, sender, now)
            case Accept():
                return self.party.accepted(message, sender, now)
            case Confirm():
                return self.party.confirmed(message, sender, now)
            case Release():
                return self.party.released(message, sender, now)
            case Decline():
                return self.party.declined(message, sender)
            case Announce():
                return self._announced(message, sender)
            case Report():
                return self._reported(message, sender, now)
            case Heard():
                reporters = [one for one in self._reporters.values() if one.above == message.cluster]
                return [effect for one in reporters for effect in one.heard(self._hierarchy, message, sender)]
            case Moved():
                desk = self._desks.get(message.cluster)
                if desk is not None and desk.forget(message.child):
                    # Whoever is first choice again speaks for the cluster; two would contradict one another.
                    del self._desks[message.cluster]
                    self._reporters.pop(message.cluster, None)
                return []
            case Board() | Seek() | Supply():
                return self._run(message, sender, now)
            case Found():
                return self._found(message, sender, now)
            case Done():
                self._errands.answered(message.number, sender)
                return []

    def _due(self, timer: Timer, now: Instant) -> list[Effect]:
        match timer:
            case AskAgain():
                return self.party.ask_again(timer)
            case AcceptAgain():
                return self.party.accept_again(timer)
            case PlanDue():
                return self._plan() if timer.number == self._plans and self._is_planning else []
            case ReportDue():
                return self._report(timer, now)
            case ReportAgain():
                reporter = self._reporters.get(timer.child)
                if reporter is None:
                    return []
                day, served = self.party.book.day, self._served(timer.child)
                return reporter.again(self._hierarchy, timer, day, self._left(timer.child, now), served)
            case GatherDue():
                return self._gather(timer, now)
            case ErrandAgain():
                return self._again(timer, now)

    def _done(self, effects: list[Effect], now: Instant) -> list[Effect]:
        """What this device tells itself happens at once; what is left gets its reporter."""
        done: list[Effect] = []
        for effect in effects:
            if not isinstance(effect, Tell) or self.device not in effect.to:
                done.append(effect)
                continue
            others = tuple(device for device in effect.to if device != self.device)
            if others:
                done.append(Tell(others, effect.message))
            done += self._done(self._received(effect.message, self.device, now), now)
        if any(self.rest):
            reporter = self._reporter(self.device)
            if self._misses != self.party.misses:
                self._misses = self.party.misses
                done += reporter.owe(now.monotonic)
            elif not reporter.told:
                done += reporter.later(now.monotonic, self._pace.settle + self._skipped(self.device))
            elif self._written != len(self.party.book.records):
                # More may be on its way, or not.
                done += reporter.later(now.monotonic, self._pace.recent)
            self._written = len(self.party.book.records)
        return done

    # -- the nano grid -------------------------------------------------------------------------

    @property
    def _peers(self) -> tuple[str, ...]:
        """The others of a nano grid. Who is a member of a larger cluster knows them by its board alone."""
        home = self._hierarchy.clusters[self._hierarchy.home[self.device]]
        return tuple(member for member in home.children if member != self.device) if home.level == 1 else ()

    def _announce(self) -> list[Effect]:
        book = self.party.book
        message = Announce(book.day, len(book.records), self.rest, book.served)
        effects: list[Effect] = [Tell(self._peers, message)] if self._peers else []
        return [*effects, *self._plan_later()]

    def _announced(self, announce: Announce, sender: str) -> list[Effect]:
        book = self.party.book
        if sender not in self._peers or announce.day != book.day:
            return [Dropped("announced elsewhere")]
        number, _ = self._known.get(sender, (-1, None))
        if announce.number <= number:
            return [Dropped("announced before")]
        self._known[sender] = (announce.number, Line(sender, sender, announce.rest, announce.served))
        if len(self._known) == len(self._peers) and self._is_planning:
            return self._plan()
        return self._plan_later()

    def _plan_later(self) -> list[Effect]:
        if self._is_planning or not self._peers:
            return []
        self._is_planning = True
        self._plans += 1
        return [SetTimer(PlanDue(self._plans), self._pace.listen * self._pace.round)]

    def _plan(self) -> list[Effect]:
        """As everybody does who has heard the same: this device proposes what it is to give."""
        self._is_planning = False
        book = self.party.book
        mine = Line(self.device, self.device, self.rest, book.served)
        lines = (mine, *(line for _, line in self._known.values()))
        flows = flows_of(self._hierarchy, tuple(sorted(lines, key=lambda line: line.child)), book.day)
        effects: list[Effect] = []
        for flow in flows:
            if flow.seller == self.device:
                effects += self.party.propose(flow.buyer, flow.watts, 1)
        # Reckoned as done: who proposes it, and what came of it, nobody else is told.
        for child in {name for flow in flows for name in (flow.seller, flow.buyer)} & self._known.keys():
            number, line = self._known[child]
            rest = list(line.rest)
            for flow in flows:
                sign = (flow.seller == child) - (flow.buyer == child)
                rest = [left - sign * watts for left, watts in zip(rest, flow.watts, strict=True)]
            self._known[child] = (number, Line(child, child, tuple(rest), line.served))
        return effects

    # -- upward --------------------------------------------------------------------------------

    def _reporter(self, child: str) -> Reporter:
        if child not in self._reporters:
            self._reporters[child] = Reporter(child, self._hierarchy.parent(child), self._pace, self._number())
        return self._reporters[child]

    def _skipped(self, child: str) -> float:
        """Rounds that a child waits for the others of the cluster above, which have more levels below them."""
        above = self._hierarchy.level(self._hierarchy.parent(child))
        return (above - 1 - self._hierarchy.level(child)) * self._pace.level

    def _served(self, child: str) -> Served:
        return self.party.book.served if child == self.device else self._desks[child].served

    def _left(self, child: str, now: Instant) -> Vector:
        """What this device has left, or a cluster that it speaks for."""
        if child == self.device:
            return self.rest
        self._desks[child].expire(now.monotonic)
        return self._desks[child].net or zero(len(self.rest))

    def _report(self, timer: ReportDue, now: Instant) -> list[Effect]:
        reporter = self._reporters.get(timer.child)
        if reporter is None or not reporter.is_due(timer):
            return []
        if reporter.is_asking or (timer.child == self.device and self.party.is_busy):
            return reporter.later(now.monotonic, self._pace.answer)
        rest = self._left(timer.child, now)
        if not any(rest) and not reporter.is_owed:
            return []
        return reporter.report(self._hierarchy, self.party.book.day, rest, self._served(timer.child), now.monotonic)

    # -- speaking for a cluster ----------------------------------------------------------------

    def _reported(self, report: Report, sender: str, now: Instant) -> list[Effect]:
        cluster = self._hierarchy.clusters.get(report.cluster)
        if cluster is None or report.child not in cluster.children or report.day < self.party.book.day:
            return [Dropped("reported elsewhere")]
        if report.cluster not in self._desks:
            if len(self._desks) >= DESKS or self.device not in self._hierarchy.leaves(report.cluster):
                return [Dropped("not to speak for that")]
            self._desks[report.cluster] = Desk(cluster.level, self._pace)
        desk = self._desks[report.cluster]
        effects: list[Effect] = [Tell((sender,), Heard(report.cluster, report.number))]
        if desk.report(report, sender, now.monotonic) and not desk.is_gathering:
            desk.is_gathering = True
            effects.append(SetTimer(GatherDue(report.cluster), desk.patience))
        return effects

    def _gather(self, timer: GatherDue, now: Instant) -> list[Effect]:
        desk = self._desks.get(timer.cluster)
        if desk is None:
            return []
        desk.is_gathering = False
        lines, flows = desk.board(self._hierarchy, now.monotonic)
        effects: list[Effect] = []
        for speaker in dict.fromkeys(desk.speaker(flow.seller) for flow in flows):
            effects += self._errands.send(speaker, Board(self._number(), timer.cluster, desk.day, lines), timer.cluster)
        cluster = self._hierarchy.clusters[timer.cluster]
        if cluster.parent:
            reporter = self._reporter(timer.cluster)
            wait = self._skipped(timer.cluster) if not reporter.told else 0.0
            if wait or desk.net == reporter.told:
                effects += reporter.later(now.monotonic, wait or self._pace.remind)
            elif any(desk.net):
                effects += reporter.report(self._hierarchy, desk.day, desk.net, desk.served, now.monotonic)
        return effects

    # -- errands -------------------------------------------------------------------------------

    def _number(self) -> int:
        return self._errands.number(self.party.book.starts)

    def _again(self, timer: ErrandAgain, now: Instant) -> list[Effect]:
        repeated = self._errands.again(timer)
        if isinstance(repeated, str):
            return self._reporters[repeated].owe(now.monotonic) if repeated in self._reporters else []
        return repeated

    def _run(self, errand: Errand, sender: str, now: Instant) -> list[Effect]:
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
        told = Tell((sender,), answer)
        self._errands.answer(sender, errand.number, told)
        return [told, *effects]

    def _read(self, board: Board, now: Instant) -> list[Effect]:
        """The sellers on a board turn to their buyers, as everybody finds them who reads it."""
        cluster = self._hierarchy.clusters.get(board.cluster)
        if cluster is None or board.day != self.party.book.day:
            return [Dropped("a board of elsewhere")]
        if any(line.child in self._reporters and self._belies(line) for line in board.lines):
            return [Dropped("a board that lies")]
        speakers = {line.child: line.speaker for line in board.lines}
        effects: list[Effect] = []
        for flow in flows_of(self._hierarchy, board.lines, board.day):
            if speakers[flow.seller] != self.device:
                continue
            target = Target(flow.buyer, speakers[flow.buyer], flow.watts)
            effects += self._give(flow.seller, target, cluster.level, now)
        return effects

    def _belies(self, line: Line) -> bool:
        """Does a board say more of a child of this device's than was ever reported? Less is what was arranged since."""
        return line.speaker == self.device and not self._reporters[line.child].has_told(line.rest)

    def _give(self, child: str, target: Target, level: int, now: Instant) -> list[Effect]:
        """`child`, for which this device speaks, is to give to `target`, a child of the same kind elsewhere."""
        if child == self.device and target.child in self._hierarchy.bus:
            return self._short(child, self.rest, target.watts, now) + self.party.propose(
                target.child, target.watts, level
            )
        if child != self.device and child not in self._desks:
            return [Dropped("nothing to give")]
        seek = Seek(self._number(), target.child, self.party.book.day, target.watts, level)
        return self._errands.send(target.speaker, seek, child)

    def _short(self, child: str, has: Vector, wanted: Vector, now: Instant) -> list[Effect]:
        """The one above reckons with more than there is: it is told soon."""
        is_short = any(some > max(0, most) for some, most in zip(wanted, has, strict=True))
        return self._reporter(child).owe(now.monotonic) if is_short else []

    def _sought(self, seek: Seek, now: Instant) -> tuple[Found, list[Effect]]:
        if seek.buyer == self.device:
            needed = shortage(self.rest)
            share = least(seek.watts, needed)
            own = (Target(self.device, self.device, share),) if any(share) else ()
            return Found(seek.number, own), self._short(self.device, needed, seek.watts, now)
        desk = self._desks.get(seek.buyer)
        if desk is None or seek.day != desk.day:
            return Found(seek.number, ()), []
        targets = desk.buyers(seek.watts, now.monotonic)
        found = total((target.watts for target in targets), len(seek.watts))
        short = self._short(seek.buyer, found, seek.watts, now)
        return Found(seek.number, targets), [*self._reckon(seek.buyer, now), *short]

    def _found(self, found: Found, sender: str, now: Instant) -> list[Effect]:
        child, seek = self._errands.answered(found.number, sender) or ("", None)
        if not isinstance(seek, Seek):
            return [Dropped("found too late")]
        if child == self.device:
            return [effect for target in found.targets for effect in self._give(child, target, seek.level, now)]
        desk = self._desks.get(child)
        if desk is None:
            return [Dropped("found too late")]
        effects: list[Effect] = []
        given = total((target.watts for target in found.targets), len(seek.watts))
        shared = desk.sellers(found.targets, now.monotonic)
        for seller, targets in shared:
            supply = Supply(self._number(), seller.child, desk.day, targets, seek.level)
            effects += self._errands.send(seller.speaker, supply, seller.child)
        effects += self._reckon(child, now)
        if given != seek.watts or total((seller.watts for seller, _ in shared), len(given)) != given:
            effects += self._reporter(child).owe(now.monotonic)
        return effects

    def _supply(self, supply: Supply, now: Instant) -> list[Effect]:
        if supply.day != self.party.book.day:
            return [Dropped("of another day")]
        return [effect for target in supply.targets for effect in self._give(supply.child, target, supply.level, now)]

    def _reckon(self, cluster: str, now: Instant) -> list[Effect]:
        """What was arranged from above is known above."""
        if cluster in self._reporters:
            reporter, net = self._reporters[cluster], self._desks[cluster].net
            reporter.told = net
            return reporter.later(now.monotonic, self._pace.remind) if any(net) else []
        return []
