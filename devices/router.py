"""A prosumer that routes its energy: measures its own links, says what it measured, and moves its own flows.

Once a tick, at a moment of its own. All that it knows of others came by gossip; nobody above it is needed. Puts
`routing.prosumer` on a device: the mathematics is there, in `routing.peer`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gossip_ws.devices.energy import EnergyPlane
from gossip_ws.devices.hearsay import Hearsay, signed
from gossip_ws.devices.relay import Relay
from gossip_ws.kernel.dice import Dice
from gossip_ws.ports import Clock
from gossip_ws.routing.graph import Link, Path
from gossip_ws.routing.instance import MOST_KB
from gossip_ws.routing.prosumer import Measured, Prosumer
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

        Raises LocalError: more links of its own than a statement has room for.
        """
        super().__init__(hearsay, tick, clock, dice)
        # Its statements are numbered above all before it was started anew, if its clock has not gone back.
        self._prosumer = Prosumer(node, capacity, demands, dice, first=int(1000 * clock.now().wall))
        self._plane = plane
        self._key = key
        self._left: dict[Path, int] = {}

    # -- services.routing.RoutingState ---------------------------------------------------------

    def heard(self, said: Sequence[Said]) -> None:
        for statement, at in self._hearsay.heard(said):
            self._prosumer.heard(statement, at / self._tick)

    def links(self) -> Sequence[tuple[Link, float, float]]:
        return [(link, self._plane.capacity[link], self._plane.load(link)) for link in self._prosumer.links]

    def gap(self) -> float:
        return self._prosumer.peer.gap

    # -- what it does --------------------------------------------------------------------------

    @property
    def flows(self) -> dict[Path, float]:
        """kb on each own path that carries some."""
        return self._prosumer.peer.flows

    def change(self, link: Link, capacity: float) -> None:
        """An own link carries so many kb from now on; 0: it has failed."""
        self._plane.capacity[link] = capacity

    def _turn(self) -> None:
        self._measure()
        super()._turn()
        before = set(self.flows)
        self._prosumer.turn(self._clock.now().monotonic / self._tick)
        flows = self.flows
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
        links = [
            Measured(plane.capacity[link], min(plane.load(link), MOST_KB), plane.sources(link))
            for link in self._prosumer.links
        ]
        statement = self._prosumer.measured(links, self._clock.now().monotonic / self._tick)
        if statement is not None:
            self._hearsay.say(signed(statement, self._key))
