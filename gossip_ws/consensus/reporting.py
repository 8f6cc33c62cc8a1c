"""How a child tells the cluster above what it has left: to the first candidate that answers, and to the first of all
again as soon as that one can be heard.

A report that is not answered is repeated, then goes to the next candidate. Knows nothing of what a report is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import Effect, ReportAgain, ReportDue, Tell, copies
from gossip_ws.consensus.loose import Left
from gossip_ws.consensus.messages import Heard, Line, Report, Served
from gossip_ws.consensus.vector import Vector, zero
from gossip_ws.kernel.effects import SetTimer

TRIES = 3


@dataclass(frozen=True, slots=True)
class Account:
    """What is told of a child, but for the number."""

    day: int
    left: Left
    served: Served
    missed: int
    lines: tuple[Line, ...]


class Reporter:
    """One child's way up: a device's, or a cluster's at the device that speaks for it."""

    def __init__(self, child: str, above: str, pace: Pace, number: Callable[[], int]) -> None:
        """`number`: the next one, larger than any that the device has given to a report or a timer, of this reporter or
        of one before it: who has heard a later one takes no earlier one in."""
        self.child = child
        self.above = above
        self.told: Left | None = None
        """What the one above reckons with."""
        self._most: Vector = ()
        self._least: Vector = ()
        self.is_owed = False
        """Has the one above to be told even that nothing is left?"""
        self._pace = pace
        self._next = number
        self._number = number()
        self._turn = 0
        self._choice = 0
        self.is_asking = False
        """Is there a report that nobody has answered yet?"""
        self._reminders = 0
        self._timer = 0
        self._due = inf
        self._unsettled = -inf

    def regroup(self, before: Hierarchy, after: Hierarchy) -> None:
        """Others have joined or left below the cluster above: who is believed to speak for it still is, if it may."""
        speaker, candidates = self.speaker(before), after.candidates(self.above)
        self._choice = candidates.index(speaker) if speaker in candidates else 0

    def later(self, now: float, rounds: float) -> list[Effect]:
        """Look after some rounds whether there is anything to report, if that is not done sooner anyway."""
        due = now + rounds * self._pace.round
        if self._due <= due:
            return []
        self._due = due
        self._timer = self._next()
        return [SetTimer(ReportDue(self.child, self._timer), rounds * self._pace.round)]

    def owe(self, now: float, rounds: float | None = None) -> list[Effect]:
        """Something went otherwise than the one above reckons: it is told soon, even that nothing is left."""
        self.is_owed = True
        return self.later(now, self._pace.answer if rounds is None else rounds)

    def is_due(self, timer: ReportDue) -> bool:
        """Is it the timer that is waited for?"""
        if timer.number != self._timer:
            return False
        self._due = inf
        return True

    def report(self, hierarchy: Hierarchy, account: Account, now: float) -> list[Effect]:
        """Tell what is left, and look again later while anything is."""
        self._reminders = self._reminders + 1 if account.left == self.told else 0
        self._tell(account.left)
        self.is_owed = False
        self._number = self._next()
        self._turn += 1
        self.is_asking = True
        message = self._message(account)
        candidates = hierarchy.candidates(self.above)
        # The first of all is asked each time, and those between it and the one that answers in turn.
        between = 1 + self._turn % (self._choice - 1) if self._choice > 1 else 0
        to = dict.fromkeys((self.speaker(hierarchy), candidates[0], candidates[between]))
        self._due = inf
        self._timer = 0
        effects: list[Effect] = [Tell(tuple(to), message), self._again(message, 1)]
        return effects + self.later(now, self._patience()) if account.left else effects

    def answer(self, hierarchy: Hierarchy, account: Account, now: float) -> tuple[list[Effect], str]:
        """The first choice asks: tell it, and look again later while anything is left. That it was heard is not said:
        who asks and hears nothing asks again. Returns also who is believed to speak for the cluster no more, or
        nobody."""
        self._tell(account.left)
        self.is_owed = False
        self.is_asking = False
        self._reminders = 0
        self._number = self._next()
        self._due = inf
        self._timer = 0
        candidates = hierarchy.candidates(self.above)
        before, self._choice = self._choice, 0
        if before:
            self._unsettled = now + self._pace.unsettled * self._pace.round
        effects: list[Effect] = [Tell((candidates[0],), self._message(account))]
        if account.left:
            effects += self.later(now, self._patience())
        return effects, candidates[before] if before else ""

    def is_unsettled(self, now: float) -> bool:
        """Has it found another speaker just now? What comes down may be of the one before."""
        return now < self._unsettled

    def heard(self, hierarchy: Hierarchy, heard: Heard, sender: str, now: float) -> str:
        """The first candidate that answers is believed to speak for the cluster. Returns who is not, or nobody."""
        candidates = hierarchy.candidates(self.above)
        if sender not in candidates:
            return ""
        if heard.number != self._number:
            # Too late to choose it, but it reckons with what it was told.
            return sender if candidates.index(sender) > self._choice else ""
        self.is_asking = False
        before, found = self._choice, candidates.index(sender)
        self._choice = min(before, found)
        if before == found:
            return ""
        self._unsettled = now + self._pace.unsettled * self._pace.round
        return candidates[max(before, found)]

    def is_unheard(self, timer: ReportAgain) -> bool:
        """Has nobody answered the report that it is about, and is that the last?"""
        return timer.number == self._number and self.is_asking

    def again(self, hierarchy: Hierarchy, timer: ReportAgain, account: Account) -> list[Effect]:
        """Nobody has heard: repeat, or try the next candidate."""
        candidates = hierarchy.candidates(self.above)
        tries = timer.tries + 1
        if tries > TRIES:
            tries = 1
            self._choice = (self._choice + 1) % len(candidates)
        self._tell(account.left)
        message = self._message(account)
        return [*copies(Tell((candidates[self._choice],), message), tries), self._again(message, tries)]

    def speaker(self, hierarchy: Hierarchy) -> str:
        """Who is believed to speak for the cluster above."""
        return hierarchy.candidates(self.above)[self._choice]

    def has_told(self, rest: Vector) -> bool:
        """Can as much as that have been reported? An older report may still be what another goes by, and what was told
        before a crash is not known here."""
        return not self._most or all(
            low <= some <= high for low, some, high in zip(self._least, rest, self._most, strict=True)
        )

    def _message(self, account: Account) -> Report:
        return Report(
            self.above,
            self.child,
            account.day,
            self._number,
            account.left.rest,
            account.served,
            account.left.loose,
            account.lines,
            account.missed,
        )

    def _tell(self, left: Left) -> None:
        nothing = zero(len(left.rest))
        self.told = left
        self._most = tuple(map(max, self._most or nothing, left.rest))
        self._least = tuple(map(min, self._least or nothing, left.rest))

    def _again(self, message: Report, tries: int) -> SetTimer:
        return SetTimer(ReportAgain(self.child, message.number, tries), self._pace.answer * self._pace.round)

    def _patience(self) -> float:
        if self._choice:
            return self._pace.refresh
        return self._pace.remind * min(4, 1 << min(self._reminders, 2))
