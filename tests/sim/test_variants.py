"""Every variant reaches everyone; what each costs."""

import pytest
from swarms import PUSH

from gossip_ws.kernel.contract import GossipPolicy
from gossip_ws.kernel.terms import Variant
from gossip_ws.sim.numbers import NOTIFY, notify_request
from gossip_ws.sim.swarm import swarm
from gossip_ws.sim.world import Weather, World


def total(devices, counter):
    return sum(device.endpoint.counters[counter] for device in devices)


@pytest.mark.parametrize("loss", [0.0, 0.2])
@pytest.mark.parametrize("variant", list(Variant))
def test_everyone_is_reached_once(variant, loss):
    world = World(11, Weather(loss=loss))
    devices, services = swarm(world, 150, 6, 8, GossipPolicy(variant=variant), pull_period=2.0)
    devices[0].push(NOTIFY, PUSH)
    assert world.run_until(lambda: all(service.notified for service in services), 90)
    world.run(until=world.time + 5)
    assert {service.notified for service in services} == {1}


@pytest.mark.parametrize("variant", [Variant.LAZY_PUSH, Variant.LAZY_PULL])
def test_lazy_variants_send_hardly_a_payload_twice(variant):
    world = World(12)
    devices, services = swarm(world, 150, 6, 8, GossipPolicy(variant=variant), pull_period=2.0)
    devices[0].push(NOTIFY, PUSH)
    assert world.run_until(lambda: all(service.notified for service in services), 90)
    assert total(devices, "duplicate") < 0.25 * len(devices)


@pytest.mark.parametrize(("loss", "bar"), [(0.0, 0.1), (0.1, 0.3)])
def test_redundancy_of_the_adaptive_variant_falls_to_near_one_payload_a_device(loss, bar):
    """RMR = payloads / (n - 1) - 1, after 20 messages of warm-up; Plumtree's own figure of merit."""
    world = World(13, Weather(loss=loss))
    devices, services = swarm(world, 300, 5, 32, GossipPolicy(variant=Variant.ADAPTIVE))
    redundancy = []
    for number in range(26):
        before = total(devices, "duplicate")
        devices[0].push(NOTIFY, notify_request(f"news {number}"))
        everyone = (number + 1) * len(devices)
        reached = world.run_until(lambda all=everyone: sum(s.notified for s in services) == all, world.time + 90)
        assert reached
        world.run(until=world.time + 3)
        redundancy.append((total(devices, "duplicate") - before) / (len(devices) - 1))
    assert redundancy[0] > 1.0, "at first everything is eager"
    assert sum(redundancy[20:]) / 6 < bar


def test_the_tree_heals_when_a_tenth_of_it_crashes():
    world = World(14)
    devices, services = swarm(world, 200, 5, 32, GossipPolicy(variant=Variant.ADAPTIVE), pull_period=3.0)
    for number in range(5):
        devices[0].push(NOTIFY, notify_request(f"news {number}"))
        world.run(until=world.time + 8)
    dead = set(world.dice.sample(range(1, 200), 20))
    for number in dead:
        world.crash(f"n{number}")
    devices[0].push(NOTIFY, notify_request("after the crash"))
    live = [service for number, service in enumerate(services) if number not in dead]
    assert world.run_until(lambda: all(service.notified == 6 for service in live), world.time + 60)
