"""One device among others that agree: its handshakes, its nano grid, and the clusters that it speaks for, as one.

A function of its inputs: each call takes a message or a timer and returns effects. Nothing here binds anybody but
`party`; all the rest may be forgotten, and is after a crash.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from gossip_ws.consensus.ability import RIGID, Ability
from gossip_ws.consensus.audit import Audit, evidence
from gossip_ws.consensus.book import NOTHING
from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import (
    AcceptAgain,
    AskAgain,
    Believe,
    Effect,
    ErrandAgain,
    GatherDue,
    MovesDue,
    PlanDue,
    PullDue,
    ReportAgain,
    ReportDue,
    Tell,
    Timer,
)
from gossip_ws.consensus.log import Record
from gossip_ws.consensus.loose import WAITS, is_sound
from gossip_ws.consensus.messages import (
    Accept,
    Announce,
    Board,
    Confirm,
    Decline,
    Done,
    Found,
    Gather,
    Heard,
    Inquire,
    Message,
    Metered,
    Moved,
    Propose,
    Release,
    Report,
    Seek,
    Shown,
    Supply,
    arranged,
    movables,
    schedules,
)
from gossip_ws.consensus.neighbours import Neighbours
from gossip_ws.consensus.party import Party
from gossip_ws.consensus.past import Past
from gossip_ws.consensus.reliance import Reliance
from gossip_ws.consensus.speaker import Speaker
from gossip_ws.consensus.trust import Sealed, is_in_place
from gossip_ws.consensus.vector import Vector
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.instant import Instant

CHOICES: Final = (4 / 3, 5 / 2)
"""Of a need with at least so many times the power that it takes others are told a third, and two thirds, later; of
storage last of all."""


class Member:
    """One device. `records`: its log from before a crash, `past`: what stands for those that are gone. Whoever hands it
    messages has proved who sent them. `audit`: it checks speakers, where messages are signed. `reliance`: it believes
    its neighbours as far as their meters bear them out; without, they are all believed."""

    def __init__(
        self,
        device: str,
        hierarchy: Hierarchy,
        pace: Pace,
        records: Iterable[Record] = (),
        past: Past = NOTHING,
        audit: Audit | None = None,
        reliance: Reliance | None = None,
    ) -> None:
        self.device = device
        self.party = Party(device, pace, records, past)
        self._audit = audit
        self._pace = pace
        self._reliance = reliance
        self._hierarchy = hierarchy
        self._neighbours = Neighbours(self.party, hierarchy, pace)
        self._speaker = Speaker(self.party, hierarchy, pace)
        self._upward = self._speaker.upward

    @property
    def rest(self) -> Vector:
        """What on schedule is neither promised nor proposed: given positive, needed negative."""
        return self.party.rest

    # -- inputs --------------------------------------------------------------------------------

    def start(self, day: int, watts: Vector, now: Instant, ability: Ability = RIGID) -> list[Effect]:
        """The device comes up, for the first time or again, and has this to offer. Raises
        LocalError as `change` does."""
        self.party.check(day, watts)
        effects = [*self.party.start(now), *self.party.offer(day, watts, now, ability), *self._begin()]
        return self._done([*effects, *self._neighbours.announce()], now)

    def change(self, day: int, watts: Vector, now: Instant, ability: Ability = RIGID) -> list[Effect]:
        """From now on it can do this. Only its nano grid is told. Raises LocalError for a day that was let go of,
        and for a schedule of other periods than the day has."""
        self.party.check(day, watts)
        is_new = day != self.party.book.day
        if is_new:
            self._neighbours.clear()
            self._speaker.clear()
        effects = [*self.party.offer(day, watts, now, ability), *(self._begin() if is_new else ())]
        return self._done([*effects, *self._neighbours.announce()], now)

    def regroup(self, hierarchy: Hierarchy, now: Instant) -> list[Effect]:
        """Devices have joined or left. What has been agreed stays; only who is in another nano grid now says so."""
        before, self._hierarchy = self._hierarchy, hierarchy
        self._speaker.regroup(hierarchy)
        self._neighbours.regroup(hierarchy)
        home = hierarchy.home[self.device]
        if before.clusters.get(home) == hierarchy.clusters[home]:
            return []
        self._neighbours.clear()
        return self._done(self._neighbours.announce(), now)

    def metered(self, day: int, watts: Vector) -> list[Effect]:
        """Its meter has seen this of a day. Only its neighbours are told: no device judges itself."""
        return self._neighbours.metered(day, watts)

    def receive(self, message: Message, sender: str, now: Instant, sealed: Sealed | None = None) -> list[Effect]:
        """A message has arrived. sealed: as it was signed, where messages are."""
        if any(len(vector) != len(self.party.book.offer) for vector in schedules(message)):
            return [Dropped("no schedule")]
        if any(min(vector) < 0 for vector in arranged(message)):
            return [Dropped("less than nothing")]
        if not all(map(is_sound, movables(message))):
            return [Dropped("nothing that can be moved")]
        if not is_in_place(self._hierarchy, message, sender, self.device) and not self.party.is_owed(message, sender):
            return [Dropped("not in the place to say so")]
        if self._audit is None or sealed is None:
            return self._done(self._received(self._believed(message, sender), sender, now), now)
        instead = self._audit.suspect(message, sealed, self._hierarchy)
        if instead is not None:
            self._speaker.shun(self._audit.liars)
            return instead
        return self._done(self._received(self._believed(message, sender), sender, now, sealed), now)

    def due(self, timer: Timer, now: Instant) -> list[Effect]:
        """A timer has come back."""
        return self._done(self._due(timer, now), now)

    def _begin(self) -> list[Effect]:
        return [*self._wait(), *self._speaker.begin()]

    def _wait(self) -> list[Effect]:
        """What can be moved makes room for what cannot, and is told of later: the later, the more choice it has."""
        ability, needs = self.party.book.ability, self.party.left.of(WAITS)
        longer = bisect_right(CHOICES, needs.choice) if needs is not None else len(CHOICES)
        rounds = (1 + longer / 3) * self._pace.wait * (self._pace.settle + self._pace.level * self._hierarchy.depth)
        self.party.is_patient = bool(ability) and rounds > 0
        if not self.party.is_patient:
            return []
        return [SetTimer(MovesDue(self.party.book.day), rounds * self._pace.round)]

    def _moves_due(self, timer: MovesDue, now: Instant) -> list[Effect]:
        if timer.day != self.party.book.day or not self.party.is_patient:
            return []
        self.party.is_patient = False
        return self._upward.owe(self.device, now) if self.party.left.loose else []

    def _believed(self, message: Message, sender: str) -> Message:
        """What a neighbour announces, reports of itself and proposes, as far as it is believed. Nothing is learned from
        what it says of another day than the present one: that is not looked at."""
        if self._reliance is None:
            return message
        day = self.party.book.day
        match message:
            case Announce() if message.day == day:
                return replace(message, rest=self._reliance.heard(sender, day, message.rest))
            case Report() if message.day == day and message.child == sender:
                return replace(message, rest=self._reliance.heard(sender, day, message.rest))
            case Propose() if message.day == day:
                return replace(message, watts=self._reliance.taken(sender, day, message.watts))
            case _:
                return message

    def _judged(self, message: Metered, sender: str) -> list[Effect]:
        if self._reliance is None:
            return [Dropped("all are believed")]
        score = self._reliance.metered(sender, message.day, message.watts)
        return [Believe(score)] if score is not None else [Dropped("nothing learned")]

    # -- who gets what -------------------------------------------------------------------------

    def _received(self, message: Message, sender: str, now: Instant, sealed: Sealed | None = None) -> list[Effect]:
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
                return self._neighbours.announced(message, sender)
            case Metered():
                return self._judged(message, sender)
            case Report():
                return self._speaker.reported(message, sender, now, evidence(sealed) if sealed is not None else None)
            case Heard():
                return self._upward.heard(message, sender, now)
            case Inquire():
                return self._upward.asked(message, now)
            case Gather():
                return self._upward.pulled(message, sender, now)
            case Board() | Seek() | Supply() | Moved():
                return self._speaker.run(message, sender, now)
            case Found():
                return self._speaker.found(message, sender, now)
            case Done():
                return self._speaker.done(message, sender)
            case Shown():
                # Where nobody signs, nothing can be shown.
                return [Dropped("shows nothing")]

    def _due(self, timer: Timer, now: Instant) -> list[Effect]:
        match timer:
            case AskAgain():
                return self.party.ask_again(timer)
            case AcceptAgain():
                return self.party.accept_again(timer)
            case PlanDue():
                effects = self._neighbours.plan_due(timer)
                self._upward.missed = self._neighbours.missed
                return effects
            case MovesDue():
                return self._moves_due(timer, now)
            case ReportDue():
                return self._upward.due(timer, now)
            case ReportAgain():
                return self._upward.again(timer, now)
            case PullDue():
                return self._speaker.pull(timer, now)
            case GatherDue():
                return self._speaker.gather(timer, now)
            case ErrandAgain():
                return self._speaker.again(timer, now)

    def _done(self, effects: list[Effect], now: Instant) -> list[Effect]:
        """What this device tells itself happens at once; what is left gets its report."""
        done: list[Effect] = []
        for effect in effects:
            if not isinstance(effect, Tell) or self.device not in effect.to:
                done.append(effect)
                continue
            others = tuple(device for device in effect.to if device != self.device)
            if others:
                done.append(Tell(others, effect.message))
            own = self._audit.own(effect.message, now.wall) if self._audit is not None else None
            done += self._done(self._received(effect.message, self.device, now, own), now)
        return done + self._upward.look(now)
