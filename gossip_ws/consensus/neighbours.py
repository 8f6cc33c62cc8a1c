"""The nano grid of one device: what the others have announced, and the plan that all of them make of it.

Whoever has heard the same plans the same, so nobody is asked; each seller turns to its buyers. Knows no cluster above.
"""

from __future__ import annotations

from typing import Final

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.desk import flows_of
from gossip_ws.consensus.effects import Effect, PlanDue, Spread
from gossip_ws.consensus.messages import Announce, Line, Metered
from gossip_ws.consensus.party import Party
from gossip_ws.consensus.vector import Vector
from gossip_ws.kernel.effects import Dropped, SetTimer

SPEAKERS: Final = 3
"""Of the candidates of a larger cluster, how many are told what was metered of one of its devices: who speaks for it
hears what the device has left."""


class Neighbours:
    """Those of the device whose `party` this is."""

    def __init__(self, party: Party, hierarchy: Hierarchy, pace: Pace) -> None:
        self._device = party.device
        self._party = party
        self._hierarchy = hierarchy
        self._pace = pace
        self._known: dict[str, tuple[int, Line]] = {}
        self._plans = 0
        self.missed = 0
        """Others of whom nothing was heard when there was to be a plan."""
        self._is_planning = False

    def clear(self) -> None:
        """What they had is of yesterday."""
        self._known.clear()

    def regroup(self, hierarchy: Hierarchy) -> None:
        """Others may be in this device's nano grid now."""
        self._hierarchy = hierarchy

    def announce(self) -> list[Effect]:
        """Tell them what this device has left."""
        book, left = self._party.book, self._party.told
        message = Announce(book.day, book.length, left.rest, book.served, left.loose)
        cluster = self._hierarchy.home[self._device]
        effects: list[Effect] = [Spread(cluster, self._peers, message)] if self._peers else []
        return [*effects, *self._plan_later()]

    def metered(self, day: int, watts: Vector) -> list[Effect]:
        """Tell them what this device's meter has seen."""
        cluster = self._hierarchy.home[self._device]
        speakers = self._hierarchy.candidates(cluster)[: SPEAKERS + 1]
        to = self._peers or tuple(one for one in speakers if one != self._device)[:SPEAKERS]
        return [Spread(cluster, to, Metered(day, watts))] if to else []

    def announced(self, announce: Announce, sender: str) -> list[Effect]:
        """One of them has told; when all have, there is a plan."""
        if sender not in self._peers or announce.day != self._party.book.day:
            return [Dropped("announced elsewhere")]
        number, _ = self._known.get(sender, (-1, None))
        if announce.number <= number:
            return [Dropped("announced before")]
        self._known[sender] = (announce.number, Line(sender, sender, announce.rest, announce.served, announce.loose))
        if len(self._known) == len(self._peers) and self._is_planning:
            return self._plan()
        return self._plan_later()

    def plan_due(self, timer: PlanDue) -> list[Effect]:
        """Nobody plans without one that was not heard: what was planned past it would go further than it has to. What
        this device has left is reported instead, and matched by who hears of all."""
        if timer.number != self._plans or not self._is_planning:
            return []
        self.missed = len(self._peers) - len(self._known)
        if self.missed:
            self._is_planning = False
            return []
        return self._plan()

    # -- small steps ---------------------------------------------------------------------------

    @property
    def _peers(self) -> tuple[str, ...]:
        """The others of a nano grid. Who is a member of a larger cluster knows them by its board alone."""
        home = self._hierarchy.clusters[self._hierarchy.home[self._device]]
        return tuple(member for member in home.children if member != self._device) if home.level == 1 else ()

    def _plan_later(self) -> list[Effect]:
        if self._is_planning or not self._peers:
            return []
        self._is_planning = True
        self._plans += 1
        return [SetTimer(PlanDue(self._plans), self._pace.listen * self._pace.round)]

    def _plan(self) -> list[Effect]:
        """As everybody does who has heard the same: this device proposes what it is to give."""
        self._is_planning = False
        self.missed = 0
        book, left = self._party.book, self._party.told
        mine = Line(self._device, self._device, left.rest, book.served, left.loose)
        lines = (mine, *(line for _, line in self._known.values()))
        flows = flows_of(self._hierarchy, tuple(sorted(lines, key=lambda line: line.child)), book.day)
        effects: list[Effect] = []
        for flow in flows:
            if flow.seller == self._device:
                effects += self._party.propose(flow.buyer, flow.watts, 1)
        # Reckoned as done: who proposes it, and what came of it, nobody else is told.
        for child in {name for flow in flows for name in (flow.seller, flow.buyer)} & self._known.keys():
            number, line = self._known[child]
            left = line.left
            for flow in flows:
                if child in (flow.seller, flow.buyer):
                    left = left.after(flow.watts if flow.seller == child else tuple([-some for some in flow.watts]))
            self._known[child] = (number, Line(child, child, left.rest, line.served, left.loose))
        return effects
