"""One prosumer that gossips: says how its own links stand, hears of others', and moves its flow now and then.

A statement takes some ticks to come to everybody, and by then all have moved again. So the owner of a link says with it
the price that it asks: the same of everybody, and slower than the load (`pricing`). Going by prices all may move in
every tick; by marginal costs they would swing. Devices and the simulation both use this. Knows nobody to tell, no key
and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.graph import Link
from gossip_ws.routing.owner import Owner
from gossip_ws.routing.peer import Peer, Start
from gossip_ws.routing.statement import MOST_LINKS, MOST_PRICE, LinkState, Speaker, Statement


class Measured(NamedTuple):
    """How a link stands. capacity: kb; 0 if it has failed. load: kb, of so many `sources`."""

    capacity: float
    load: float
    sources: int


class Prosumer:
    """`peer`: its flows. `links`: those that it owns and speaks for, ascending.

    Its `now` and `at` are ticks, of any beginning.
    """

    __slots__ = ("_dice", "_most_wait", "_owners", "_speaker", "_wait", "links", "peer")

    def __init__(
        self,
        node: int,
        capacity: Mapping[Link, float],
        demands: Mapping[int, float],
        dice: Dice,
        *,
        start: Start = Start.MINIMUM_HOP,
        first: int = 0,
        most_wait: int = 0,
    ) -> None:
        """capacity: kb of every link. demands: kb for each target. first: above every number of a statement that this
        node has made before. most_wait: ticks that it leaves its flow as it is after a move, at most.

        Raises LocalError: more than `MOST_LINKS` of its own, or a target that cannot be reached.
        """
        self.peer = Peer(node, capacity, demands, start)
        self.links = sorted(link for link in capacity if link[0] == node)
        if len(self.links) > MOST_LINKS:
            raise LocalError(f"a node speaks for at most {MOST_LINKS} links, not {len(self.links)}")
        self._owners = [Owner(link, capacity[link]) for link in self.links]
        self._speaker = Speaker(node, first)
        self._dice = dice
        self._most_wait = most_wait
        self._wait = 0

    def measured(self, links: Sequence[Measured], now: float) -> Statement | None:
        """Once a tick: how the own links stand, in their order. What is to be said of them, if anything is."""
        statement = self._speaker.measured([self._stands(*one, now) for one in zip(self._owners, links, strict=True)])
        self._take(statement, now)
        return statement if self._speaker.is_due(statement) else None

    def heard(self, statement: Statement, at: float) -> None:
        """What is news, measured `at`."""
        if statement.owner == self.peer.node:
            self._speaker.surpass(statement.seq)
            return
        self._take(statement, at)

    def turn(self, now: float) -> None:
        """Once a tick: move the own flow, or wait."""
        if self._wait:
            self._wait -= 1
            return
        self.peer.step(now)
        self._wait = int((self._most_wait + 1) * self._dice.random())

    def _stands(self, owner: Owner, link: Measured, now: float) -> LinkState:
        owner.capacity = link.capacity
        report = owner.report(now, link.load, link.sources)
        price = 0.0 if report.price is None else min(report.price, MOST_PRICE)
        return LinkState(report.link[1], report.capacity, report.load, report.sources, price)

    def _take(self, statement: Statement, at: float) -> None:
        for report in statement.reports(at):
            if self.peer.receive(report) and not report.capacity and report.link in self.peer.loads:
                # What goes over a link that has failed is lost, its own as another's: that cannot wait.
                self._wait = 0
