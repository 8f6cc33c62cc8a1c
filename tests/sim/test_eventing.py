"""What an event costs its publisher: one message a subscriber by push, `fanout` by gossip, however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import pytest
from swarms import grid

from gossip_ws.core.messages import Gossip
from gossip_ws.dpws.eventing import BY_GOSSIP, Reference, Subscribe
from gossip_ws.dpws.subscriptions import EventingConfig, SubscriptionManager
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.contract import GossipPolicy, Operation
from gossip_ws.ports import Frame
from gossip_ws.sim.device import SimDevice
from gossip_ws.sim.numbers import NOTIFY, NumberService, notify_request, operations
from gossip_ws.sim.parcels import Parcel
from gossip_ws.sim.swarm import swarm
from gossip_ws.sim.world import Weather, World
from gossip_ws.theory.tables import WIDE_AREA

EVENT = notify_request("news")
NEVER = 1e9


class Source(NumberService):
    """Whose Notify is an event."""

    def __init__(self, value: int, policy: GossipPolicy | None = None) -> None:
        super().__init__(value, policy)
        notify = operations(GossipPolicy(notification=True))[NOTIFY]
        self._events = {**super().operations, NOTIFY: notify}

    @property
    def operations(self) -> Mapping[str, Operation]:
        return self._events


class Counting(World):
    """Knows how many copies of the event have left each host."""

    def __init__(self, seed: int, weather: Weather | None = None) -> None:
        super().__init__(seed, weather)
        self.copies: Counter[str] = Counter()

    def send(self, frame: Frame, source: Address, to: Address) -> None:
        self.copies[source.host] += isinstance(frame, Parcel) and isinstance(frame.content, Gossip)
        super().send(frame, source, to)

    def request(
        self, frame: Frame, source: Address, to: Address, timeout: float, done: Callable[[Frame | None], None]
    ) -> None:
        self.copies[source.host] += EVENT in frame
        super().request(frame, source, to, timeout, done)


def subscribe(publisher: SimDevice, subscribers: int, request: Subscribe) -> None:
    """As many subscriptions as there are other devices, each from a host of its own."""
    manager = publisher.endpoint.events.manager = SubscriptionManager(EventingConfig(subscriptions=10_000))
    offer = publisher.endpoint.events.offer(Source.path)
    assert offer is not None
    now = publisher.world.now()
    for number in range(subscribers):
        manager.subscribe(offer, request, id=str(number), manager="", host=f"h{number}", now=now)


def publish(publisher: SimDevice, services: list[Source]) -> tuple[int, int]:
    """(copies of the event that the publisher sent, devices that heard of it)."""
    world = publisher.world
    assert isinstance(world, Counting)
    world.copies.clear()
    publisher.endpoint.notify(NOTIFY, EVENT)
    world.run(world.time + 5)
    return world.copies[publisher.address.host], sum(service.notified for service in services)


def budget(size: int) -> tuple[int, int]:
    """(fanout, rounds) of a wide area of that size, as devices choose them."""
    return next((fanout, rounds) for most, fanout, rounds in WIDE_AREA if size <= most)


@pytest.mark.parametrize("subscribers", [10, 100, 1_000])
def test_among_equals_a_publisher_sends_its_fanout(subscribers: int) -> None:
    """Loss 5 %. Each other device subscribes: all hear of the event, and a thousand cost little more than ten."""
    world = Counting(subscribers, Weather(loss=0.05))
    fanout, rounds = budget(subscribers + 1)
    devices, services = swarm(world, subscribers + 1, fanout, rounds, make=Source, pull_period=NEVER, view_scopes=())
    subscribe(devices[0], subscribers, Subscribe(mode=BY_GOSSIP, expires=60.0))
    sent, heard = publish(devices[0], services)
    assert sent == fanout
    assert fanout <= 17
    assert heard >= 0.999 * (subscribers + 1)


@pytest.mark.parametrize("subscribers", [10, 100, 400])
def test_a_meter_sends_to_its_parent_and_a_few_of_its_neighbours(subscribers: int) -> None:
    """The substation serves its roster, whose size that is; the meter does not notice."""
    world = Counting(3)
    devices, services = grid(world, 1, subscribers, 0, make=Source, pull_period=NEVER, view_scopes=())
    meter = devices[2]
    subscribe(meter, subscribers, Subscribe(mode=BY_GOSSIP, expires=60.0))
    sent, heard = publish(meter, services)
    assert sent == 3
    assert heard == len(devices)


def test_a_substation_still_serves_each_of_its_own_meters() -> None:
    """What it knows to be below it gets everything from it, with a receipt: there the bound is its roster."""
    world = Counting(3)
    devices, services = grid(world, 2, 50, 0, make=Source, pull_period=NEVER, view_scopes=())
    subscribe(devices[1], 102, Subscribe(mode=BY_GOSSIP, expires=60.0))
    sent, heard = publish(devices[1], services)
    assert 50 < sent <= 52
    assert heard == len(devices) == 103


def test_by_push_it_sends_one_to_each() -> None:
    world = Counting(1)
    devices, services = swarm(world, 2, 1, 1, make=Source, pull_period=NEVER, view_scopes=())
    subscribe(devices[0], 100, Subscribe(Reference("http://n9:80/nobody"), expires=10.0))
    sent, heard = publish(devices[0], services)
    # Nobody is there, so all but the last attempt of each have been made by now.
    assert (sent % 100, sent >= 100, heard) == (0, True, 0)
