"""A device that owns no energy link and routes nothing, but tells on what others say of theirs: substations, say.

Without it what is said in one area would stay there.
"""

from __future__ import annotations

from collections.abc import Sequence

from gossip_ws.devices.hearsay import Hearsay
from gossip_ws.kernel.dice import Dice
from gossip_ws.ports import Clock, Gossip, HostedService
from gossip_ws.routing.graph import Link
from gossip_ws.services.routing import Said, routing_service


class Bystander:
    """The Routing service's state of a device that owns no link and tells nobody."""

    def heard(self, said: Sequence[Said]) -> None:
        pass

    def links(self) -> Sequence[tuple[Link, float, float]]:
        return ()

    def gap(self) -> float:
        return 0.0


class Relay(Bystander):
    """Takes its turn once every `tick` s in the mean, at moments of its own: tells on what it heard."""

    def __init__(self, hearsay: Hearsay, tick: float, clock: Clock, dice: Dice) -> None:
        self._hearsay = hearsay
        self._tick = tick
        self._clock = clock
        self._dice = dice
        self._stopped = False
        self.counters = hearsay.counters

    def service(self, gossip: Gossip) -> HostedService:
        """The device's Routing service: what `Host` is given to make."""
        self._hearsay.gossip = gossip
        return routing_service(self)

    def start(self) -> None:
        """Take the first turn within a tick. What was sent before is no tick's."""
        self._hearsay.begin(self._tick)
        self._clock.call_later(self._dice.uniform(0.0, self._tick), self._wake)

    def stop(self) -> None:
        self._stopped = True

    def heard(self, said: Sequence[Said]) -> None:
        self._hearsay.heard(said)

    def _wake(self) -> None:
        if self._stopped:
            return
        self._turn()
        self._clock.call_later(self._tick * self._dice.uniform(0.5, 1.5), self._wake)

    def _turn(self) -> None:
        self._hearsay.tell()
