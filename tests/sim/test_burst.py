"""A hundred messages at once over a network that loses datagrams: repair brings everyone every one, once."""

import pytest

from gossip_ws.sim.numbers import NOTIFY, notify_request
from gossip_ws.sim.swarm import swarm
from gossip_ws.sim.world import Weather, World

BURST = 100
SIZE = 60


def burst(seed, **settings):
    """Sixty equals, a fanout that misses one in thirty, a hundred messages by one of them."""
    world = World(seed, Weather(loss=0.1))
    devices, services = swarm(world, SIZE, 4, 5, pull_period=5.0, **settings)
    for number in range(BURST):
        devices[0].push(NOTIFY, notify_request(str(number)))
    world.run(until=2.0)
    return world, services


@pytest.mark.parametrize("seed", range(3))
def test_a_burst_loses_none_at_ten_percent_loss(seed):
    world, services = burst(seed)
    missed = SIZE * BURST - sum(service.notified for service in services)
    assert missed > SIZE, "the push alone has to miss some, or this shows nothing"
    assert world.run_until(lambda: all(service.notified == BURST for service in services), 60)
    world.run(until=world.time + 20)
    assert {service.notified for service in services} == {BURST}


@pytest.mark.parametrize(("store", "has"), [(256, BURST), (64, 64)])
def test_who_was_cut_off_during_the_burst_has_what_the_others_keep(store, has):
    """With the 64 messages that a node once kept, a third of the burst was gone for whoever missed it."""
    world = World(5)
    devices, services = swarm(world, 20, 19, 5, pull_period=5.0, store_limit=store)
    world.partition([devices[-1].address.host])
    # One after the other, so that all keep the same.
    for number in range(BURST):
        devices[0].push(NOTIFY, notify_request(str(number)))
        world.run(until=world.time + 1.0)
    world.heal()
    world.run(until=world.time + 200)
    assert services[-1].notified == has
    assert {service.notified for service in services[:-1]} == {BURST}
