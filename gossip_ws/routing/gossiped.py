"""A whole network of prosumers that gossip what their links say: one message a tick and node, to a few others.

What `run` drives for the distributed adaptive primal where reports are gossiped. What is told, how often and how long
nodes wait between two moves is what devices do, by the same `rumours` and `prosumer`. In a tick all nodes take their
turns, one after the other in an order drawn anew: each measures, tells, and moves its flow if it does not wait. What is
told is lost, or arrives within `lag` ticks; it goes on in the receiver's own next turn. As on devices a statement comes
with its age, and who takes it does not know how long the message took: it is taken to be younger by that.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from gossip_ws.kernel.dice import Dice
from gossip_ws.routing.graph import Link, Path
from gossip_ws.routing.instance import Instance
from gossip_ws.routing.method import Method, Signals
from gossip_ws.routing.peer import Start
from gossip_ws.routing.prosumer import Measured, Prosumer
from gossip_ws.routing.rumours import Rumours
from gossip_ws.routing.statement import Statement


class Gossiped(Method):
    """`fanout`: others that a message goes to. `room`: octets of statements in it. `lag`: ticks that it takes at most,
    as long as chance will. `most_wait`: as of `Prosumer`."""

    def __init__(
        self,
        instance: Instance,
        start: Start,
        signals: Signals,
        dice: Dice,
        *,
        fanout: int,
        room: int,
        lag: float,
        most_wait: int,
    ) -> None:
        """Raises LocalError: a node with more links than it can speak for."""
        nodes = range(instance.nodes)
        self._prosumers = [
            Prosumer(node, instance.capacity, wanted, dice, start=start, most_wait=most_wait)
            for node, wanted in enumerate(instance.demands)
        ]
        self._rumours: list[Rumours[tuple[Statement, float]]] = [Rumours(nodes, len(nodes), room) for _ in nodes]
        self._others = [[other for other in nodes if other != node] for node in nodes]
        self._capacity = dict(instance.capacity)
        self._each = [one.peer.loads for one in self._prosumers]
        """Of each node the kb on each link, as they are now."""
        self._fanout = min(fanout, instance.nodes - 1)
        self._lag = lag
        self._under_way: list[tuple[float, int, int, Sequence[tuple[Statement, float]]]] = []
        """When it arrives, its number, to whom, what it says, dated as by the receiver: what arrives first comes first.
        """
        self._signals = signals
        self._dice = dice

    @property
    def load(self) -> dict[Link, float]:
        load: dict[Link, float] = {}
        for own in self._each:
            for link, kb in own.items():
                load[link] = load.get(link, 0.0) + kb
        return load

    @property
    def flows(self) -> dict[Path, float]:
        return {path: kb for one in self._prosumers for path, kb in one.peer.flows.items()}

    def change(self, link: Link, capacity: float) -> None:
        self._capacity[link] = capacity

    def tick(self, now: int, awake: Sequence[int]) -> None:
        for place, node in enumerate(self._dice.sample(awake, len(awake))):
            self._turn(node, now + place / len(awake))

    def _turn(self, node: int, now: float) -> None:
        while self._under_way and self._under_way[0][0] <= now:
            _, _, other, heard = heapq.heappop(self._under_way)
            self._hear(other, heard)
        prosumer, rumours = self._prosumers[node], self._rumours[node]
        said = prosumer.measured([self._measured(link) for link in prosumer.links], now)
        if said is not None:
            rumours.take(said, (said, now))
        told = rumours.tell()
        if told:
            for other in self._dice.sample(self._others[node], self._fanout):
                if self._signals.arrives():
                    taken = self._lag * self._dice.random()
                    dated = [(statement, at + taken) for statement, at in told]
                    heapq.heappush(self._under_way, (now + taken, self._signals.sent, other, dated))
        prosumer.turn(now)
        self._each[node] = prosumer.peer.loads

    def _measured(self, link: Link) -> Measured:
        on = [own[link] for own in self._each if link in own]
        return Measured(self._capacity[link], sum(on), len(on))

    def _hear(self, node: int, told: Sequence[tuple[Statement, float]]) -> None:
        rumours, prosumer = self._rumours[node], self._prosumers[node]
        for statement, at in told:
            if rumours.is_news(statement):
                rumours.take(statement, (statement, at))
                prosumer.heard(statement, at)
