"""One prosumer that gossips: says how its own links stand, hears of others', and moves its flow now and then.

A statement takes the logarithm of the nodes, in ticks, to come to everybody. If all moved in every tick, each would
move several times before anybody saw it, and all would swing. So a prosumer leaves its flow as it is for up to so many
ticks before it moves it again; up to five of them in seed 001, table 2. Devices and the simulation both use this. Knows
nobody to tell, no key and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.graph import Link
from gossip_ws.routing.peer import Peer, Start
from gossip_ws.routing.statement import MOST_LINKS, LinkState, Speaker, Statement


class Prosumer:
    """`peer`: its flows. `links`: those that it owns and speaks for, ascending.

    Its `now` and `at` are on the scale of its peer.
    """

    __slots__ = ("_dice", "_most_wait", "_speaker", "_wait", "links", "peer")

    def __init__(
        self,
        node: int,
        capacity: Mapping[Link, float],
        demands: Mapping[int, float],
        dice: Dice,
        *,
        start: Start = Start.MINIMUM_HOP,
        first: int = 0,
        most_wait: int | None = None,
    ) -> None:
        """capacity: kb of every link. demands: kb for each target. first: above every number of a statement that this
        node has made before. most_wait: ticks between two moves; None: as many as a statement takes.

        Raises LocalError: more than `MOST_LINKS` of its own, or a target that cannot be reached.
        """
        self.peer = Peer(node, capacity, demands, start, gossiped=True)
        self.links = sorted(link for link in capacity if link[0] == node)
        if len(self.links) > MOST_LINKS:
            raise LocalError(f"a node speaks for at most {MOST_LINKS} links, not {len(self.links)}")
        self._speaker = Speaker(node, first)
        self._dice = dice
        self._most_wait = spreading(capacity) if most_wait is None else most_wait
        self._wait = 0

    def measured(self, links: Sequence[LinkState], now: float) -> Statement | None:
        """Once a tick: how the own links stand, in their order. What is to be said of them, if anything is."""
        statement = self._speaker.measured(links)
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

    def _take(self, statement: Statement, at: float) -> None:
        for report in statement.reports(at):
            if self.peer.receive(report) and not report.capacity and report.link in self.peer.loads:
                # What goes over a link that has failed is lost, its own as another's: that cannot wait.
                self._wait = 0


def spreading(capacity: Mapping[Link, float]) -> int:
    """Ticks, about, that a statement takes to come to all nodes of these links."""
    return len({end for link in capacity for end in link}).bit_length()
