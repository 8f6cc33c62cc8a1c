"""A prosumer that routes its energy: measures its own links, says what it measured, and moves its own flows.

Once a tick, at a moment of its own. All that it knows of others came by gossip; nobody above it is needed. Puts
`routing.peer` on a device: the mathematics is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gossip_ws.devices.energy import EnergyPlane
from gossip_ws.devices.hearsay import Hearsay, signed
from gossip_ws.devices.relay import Relay
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError
from gossip_ws.ports import Clock
from gossip_ws.routing.graph import Link, Path
from gossip_ws.routing.instance import MOST_KB
from gossip_ws.routing.peer import Peer
from gossip_ws.routing.statement import MOST_LINKS, LinkState, Speaker
from gossip_ws.security.keys import PrivateKey
from gossip_ws.services.routing import Said

FAREWELLS: Final = 3
"""Times that a path is told to carry nothing more: the message may be lost."""


class Router(Relay):
    """One node, which tells on what it heard as others do. `hearsay`: what it hears of others' links, and tells. `key`:
    signs what it says of its own."""

    def __init__(
        self,
        node: int,
        capacity: Mapping[Link, float],
        demands: Mapping[int, float],
        plane: EnergyPlane,
        hearsay: Hearsay,
        key: PrivateKey,
        *,
        tick: float,
        clock: Clock,
        dice: Dice,
    ) -> None:
        """capacity: kb of every link. demands: kb for each target. tick: mean s between two turns.

        Raises LocalError: more than `MOST_LINKS` of its own.
        """
        super().__init__(hearsay, tick, clock, dice)
        self._node = node
        self._peer = Peer(node, capacity, demands)
        self._own = sorted(link for link in capacity if link[0] == node)
        if len(self._own) > MOST_LINKS:
            raise LocalError(f"a node speaks for at most {MOST_LINKS} links, not {len(self._own)}")
        # Above all that it said before it was started anew, if its clock has not gone back.
        self._speaker = Speaker(node, int(1000 * clock.now().wall))
        self._plane = plane
        self._key = key
        self._left: dict[Path, int] = {}
        # A report takes the logarithm of the nodes, in ticks, to come to all of them. If everybody moved in every tick,
        # all would move several times before anybody saw it, and swing. So a node leaves its flows as they are for up
        # to so many ticks before it moves them again; up to five of them in seed 001, table 2.
        self._most_wait = len({end for link in capacity for end in link}).bit_length()
        self._wait = 0

    # -- services.routing.RoutingState ---------------------------------------------------------

    def heard(self, said: Sequence[Said]) -> None:
        for statement, at in self._hearsay.heard(said):
            if statement.owner == self._node:
                self._speaker.surpass(statement.seq)
                continue
            for report in statement.reports(at):
                if self._peer.receive(report) and not report.capacity and report.link in self._peer.loads:
                    # What goes over a link that has failed is lost: that cannot wait.
                    self._wait = 0

    def links(self) -> Sequence[tuple[Link, float, float]]:
        return [(link, self._plane.capacity[link], self._plane.load(link)) for link in self._own]

    def gap(self) -> float:
        return self._peer.gap

    # -- what it does --------------------------------------------------------------------------

    @property
    def flows(self) -> dict[Path, float]:
        """kb on each own path that carries some."""
        return self._peer.flows

    def change(self, link: Link, capacity: float) -> None:
        """An own link carries so many kb from now on; 0: it has failed."""
        self._plane.capacity[link] = capacity

    def _turn(self) -> None:
        self._measure()
        super()._turn()
        before = set(self._peer.flows)
        if self._wait:
            self._wait -= 1
        else:
            self._peer.step(self._clock.now().monotonic)
            self._wait = int((self._most_wait + 1) * self._dice.random())
        flows = self._peer.flows
        self._left = {path: times for path, times in self._left.items() if path not in flows}
        self._left |= {path: FAREWELLS for path in before - set(flows)}
        for path, kb in flows.items():
            self._plane.send(path, kb)
        for path in list(self._left):
            self._plane.send(path, 0.0)
            self._left[path] -= 1
            if not self._left[path]:
                del self._left[path]

    def _measure(self) -> None:
        """The own links; what has changed is said."""
        plane = self._plane
        statement = self._speaker.measured(
            [
                LinkState(link[1], plane.capacity[link], min(plane.load(link), MOST_KB), plane.sources(link))
                for link in self._own
            ]
        )
        for report in statement.reports(self._clock.now().monotonic):
            self._peer.receive(report)
        if self._speaker.is_due(statement):
            self._hearsay.say(signed(statement, self._key))
