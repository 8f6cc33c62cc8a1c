"""Gossip over links that congest: how long a message takes to everybody, by how peers are chosen.

Real nodes and envelopes in a simulated world. Equals that all know one another; some ways between them go through
links of a rate, which others' traffic fills as well. Messages come one after the other, as tariffs and alarms do, so
that copies queue behind those of the message before. Knows nothing of pictures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Final

from gossip_ws.core.config import PeerSelection
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.contract import GossipPolicy
from gossip_ws.kernel.errors import LocalError
from gossip_ws.ports import Frame, Invocation, Outcome
from gossip_ws.sim.bottleneck import Bottleneck
from gossip_ws.sim.numbers import NOTIFY, NumberService, notify_request
from gossip_ws.sim.swarm import swarm
from gossip_ws.sim.world import Route, Weather, World
from gossip_ws.wire.gossip import XmlCodec

RATE: Final = 32_000.0
"""Octets a second of a narrow link that one device is behind: 256 kbit/s."""
WAITS: Final = 1.0
"""Seconds that what waits in a narrow link's queue takes at most."""
PACKET: Final = 1_500
"""Octets of others' packets."""
BODY: Final = 600
"""Characters of a message: its envelope has some 1,700 octets, as a tariff's."""
MEASURING: Final = 0.5
"""Seconds between two measurements of a device: all ways are known after the warm-up."""
WARM_UP: Final = 60.0
LATEST: Final = 60.0
"""Seconds for which a message is worth anything; others that are due then have not come."""

_LEAST: Final = 0.002
_MOST: Final = 0.01
"""Seconds that a datagram takes besides."""
_PAYLOAD: Final = f"{NOTIFY}<".encode()
_NUMBER: Final = re.compile(rb"Notify[^<>]*> *([0-9]+)<")


class Place(StrEnum):
    """Where the narrow links are."""

    ACCESS = "access"
    """A share of the devices each hang on one, both ways."""
    BETWEEN = "between"
    """A share of the devices are behind one that they share, both ways, as an area behind a radio link."""


@dataclass(frozen=True, slots=True)
class Town:
    """`devices` equals that pass each message on to `fanout`. `share` of them are behind narrow links, which others'
    packets fill to `busy` of the rate. A link that devices share has as much for each of them. One message after the
    other, `each` s: `messages` that are looked at, after `before` others, by which the ways are as congested as they
    will be and have been measured."""

    devices: int = 60
    fanout: int = 12
    rounds: int = 10
    place: Place = Place.ACCESS
    share: float = 0.25
    busy: float = 0.0
    before: int = 60
    messages: int = 40
    each: float = 1.0
    loss: float = 0.0

    def __post_init__(self) -> None:
        if not (self.devices >= 2 and 0 < self.share < 1 and 0 <= self.busy < 1 and self.messages > 0 < self.each):
            raise LocalError("a town has devices, a share of them behind links that are not full, and messages")

    @property
    def behind(self) -> int:
        """How many devices are behind narrow links: the last ones; the first originates."""
        return min(max(round(self.share * self.devices), 1), self.devices - 1)


@dataclass(frozen=True, slots=True)
class Spread:
    """What came of the messages of a town. times: seconds to each other device, by message; infinite where a message
    did not come. crossed: payloads that were sent to where a narrow link is on the way. dropped: datagrams that found
    no room in one, others' packets among them."""

    times: tuple[tuple[float, ...], ...]
    crossed: int
    dropped: int

    @property
    def each(self) -> list[float]:
        """Seconds of all deliveries, in order."""
        return sorted(time for times in self.times for time in times)

    @property
    def last(self) -> list[float]:
        """Seconds until everybody had it, of each message, in order."""
        return sorted(max(times) for times in self.times)


class _World(World):
    """Counts the payloads that are sent over narrow links."""

    route: Route | None = None
    crossed = 0

    def send(self, frame: Frame, source: Address, to: Address) -> None:
        if self.route is not None and _PAYLOAD in frame and self.route(source.host, to.host):
            self.crossed += 1
        super().send(frame, source, to)


class _Notified(NumberService):
    """Notes when each message came."""

    def __init__(self, value: int, policy: GossipPolicy, world: World) -> None:
        super().__init__(value, policy)
        self._world = world
        self.came: dict[int, float] = {}

    def invoke(self, invocation: Invocation, done: Callable[[Outcome], None]) -> None:
        found = _NUMBER.search(invocation.envelope)
        assert found is not None, "nothing else is ever sent"
        self.came[int(found[1])] = self._world.time
        super().invoke(invocation, done)


def spread(town: Town, selection: PeerSelection, seed: int) -> Spread:
    """The messages of `town`, one after the other; the same for the same arguments."""
    world = _World(seed, Weather(town.loss, least=_LEAST, most=_MOST))
    devices, services = swarm(
        world,
        town.devices,
        town.fanout,
        town.rounds,
        GossipPolicy(lifetime=LATEST),
        lambda number, policy: _Notified(number, policy, world),
        codec=XmlCodec,
        peer_selection=selection,
        price_period=MEASURING,
        view_scopes=(),
    )
    links, route = _links(town, [device.address.host for device in devices])
    world.narrow(route)
    for link, rate in links.items():
        _fill(world, link, rate * town.busy, devices[0].address.host)
    world.run(until=WARM_UP)
    began: list[float] = []
    dropped = 0
    for number in range(town.before + town.messages):
        if number == town.before:
            world.route = route
            dropped = sum(link.dropped for link in links)
        began.append(world.time)
        devices[0].push(NOTIFY, notify_request(f"{number:{BODY}}"))
        world.run(until=world.time + town.each)
    crossed, dropped = world.crossed, sum(link.dropped for link in links) - dropped
    world.run(until=world.time + LATEST)
    times = [tuple(one.came.get(number, inf) - since for one in services[1:]) for number, since in enumerate(began)]
    return Spread(tuple(times[town.before :]), crossed, dropped)


def _fill(world: World, link: Bottleneck, rate: float, owner: str) -> None:
    """Others' packets, `rate` octets a second in the mean, at moments of their own."""
    if not rate:
        return

    def packet() -> None:
        link.take(PACKET, world.time)
        world.call_later(world.dice.expovariate(rate / PACKET), packet, owner=owner)

    world.call_later(world.dice.expovariate(rate / PACKET), packet, owner=owner)


def _links(town: Town, hosts: Sequence[str]) -> tuple[dict[Bottleneck, float], Route]:
    """All narrow links with their rates, and which are on the way between two hosts."""
    behind = hosts[-town.behind :]
    if town.place is Place.BETWEEN:
        rate = RATE * town.behind
        shared = {is_inwards: Bottleneck(rate, rate * WAITS) for is_inwards in (False, True)}
        there = set(behind)

        def between(source: str, to: str) -> Sequence[Bottleneck]:
            return () if (source in there) == (to in there) else (shared[to in there],)

        return dict.fromkeys(shared.values(), rate), between
    up, down = ({host: Bottleneck(RATE, RATE * WAITS) for host in behind} for _ in range(2))

    def access(source: str, to: str) -> Sequence[Bottleneck]:
        return tuple(link for link in (up.get(source), down.get(to)) if link is not None)

    return dict.fromkeys((*up.values(), *down.values()), RATE), access
