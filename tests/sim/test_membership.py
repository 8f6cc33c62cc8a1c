"""Membership among real nodes: views that have two ends, deaths that are noticed, halves that grow together."""

from collections import deque

import pytest
from swarms import PUSH, grid

from gossip_ws.core.messages import Tally
from gossip_ws.core.views import ACTIVE
from gossip_ws.kernel.contract import GossipPolicy
from gossip_ws.kernel.terms import Variant
from gossip_ws.sim.numbers import NOTIFY, READ, READ_REQUEST, notify_request
from gossip_ws.sim.swarm import swarm
from gossip_ws.sim.world import Weather, World

SETTLED = 15.0


def views(world, devices):
    """Each live device's active view."""
    return {
        device.config.device: set(device.endpoint.node.membership.active)
        for device in devices
        if world.is_up(device.address.host)
    }


def is_connected(active):
    first = next(iter(active))
    seen, ahead = {first}, deque([first])
    while ahead:
        for other in active[ahead.popleft()]:
            if other in active and other not in seen:
                seen.add(other)
                ahead.append(other)
    return seen == set(active)


def settled(seed, size, loss=0.0, **settings):
    world = World(seed, Weather(loss=loss))
    devices, services = swarm(world, size, 6, 8, **settings)
    world.run(until=SETTLED)
    return world, devices, services


def deaths(world, devices):
    """(who holds it for dead, who is held for dead)."""
    return [
        (device.config.device, other.config.device)
        for device in devices
        if world.is_up(device.address.host)
        for other in devices
        if device.endpoint.peers.is_down(other.config.device)
    ]


def test_views_have_two_ends_and_connect_everybody():
    world, devices, _ = settled(1, 200)
    active = views(world, devices)
    assert all(one in active[other] for one in active for other in active[one])
    assert all(3 <= len(held) <= ACTIVE for held in active.values())
    assert is_connected(active)
    assert all(device.endpoint.node.membership.views[0].passive for device in devices)


def test_at_rest_a_device_sends_about_a_datagram_a_second():
    world, devices, _ = settled(2, 100)
    before = world.frames
    world.run(until=world.time + 60)
    assert (world.frames - before) / 60 / 100 < 1.3
    assert deaths(world, devices) == []


def test_those_who_know_a_few_find_the_others_by_shuffles():
    """Nobody's table has more than its two next ones at first; strangers prove their addresses."""
    world = World(3)
    devices, _ = swarm(world, 60, 6, 8)
    for number, device in enumerate(devices):
        near = {devices[(number + k) % 60].config.device for k in (1, 2)}
        for other in devices:
            if other.config.device not in near:
                device.endpoint.peers.forget(other.config.device)
    world.run(until=60)
    active = views(world, devices)
    assert is_connected(active)
    assert all(len(held) >= 3 for held in active.values())
    far = sum(min(abs(int(a[9:17], 16) - int(b[9:17], 16)), 60) > 2 for a in active for b in active[a])
    assert far >= 40, "neighbours are not only those that the table began with"


def test_a_death_is_known_to_all_that_hold_the_dead():
    world, devices, _ = settled(4, 100, loss=0.1)
    victims = world.dice.sample(devices, 5)
    holders = {
        victim: [one for one in devices if victim.config.device in one.endpoint.node.membership.active]
        for victim in victims
    }
    for victim in victims:
        world.crash(victim.address.host)
    world.run(until=world.time + 15)
    for victim, held_by in holders.items():
        live = [one for one in held_by if world.is_up(one.address.host)]
        assert live
        assert all(one.endpoint.peers.is_down(victim.config.device) for one in live)
    dead = {victim.config.device for victim in victims}
    assert {accused for _, accused in deaths(world, devices)} == dead, "and nobody else is held for dead"


def test_nobody_dies_of_half_of_all_datagrams_lost():
    world, devices, _ = settled(5, 200, loss=0.1)
    world.weather = Weather(loss=0.5)
    world.run(until=world.time + 30)
    assert deaths(world, devices) == []


@pytest.mark.parametrize("variant", [Variant.EAGER_PUSH, Variant.ADAPTIVE])
def test_a_third_crashes_at_once_and_the_others_are_reached_and_stay_connected(variant):
    world, devices, services = settled(6, 150, policy=GossipPolicy(variant=variant), pull_period=3.0)
    dead = set(world.dice.sample(range(1, 150), 45))
    for number in dead:
        world.crash(f"n{number}")
    devices[0].push(NOTIFY, PUSH)
    live = [service for number, service in enumerate(services) if number not in dead]
    assert world.run_until(lambda: all(service.notified == 1 for service in live), world.time + 60)
    world.run(until=world.time + 25)
    active = views(world, devices)
    assert is_connected(active)
    assert all(held <= set(active) for held in active.values()), "nobody has a dead neighbour left"


def test_the_first_adaptive_message_waits_for_no_digest():
    """Devices that nobody had chosen waited for one: 14 s among a thousand."""
    world, devices, services = settled(7, 300, policy=GossipPolicy(variant=Variant.ADAPTIVE), pull_period=1e6)
    devices[0].push(NOTIFY, PUSH)
    start = world.time
    assert world.run_until(lambda: all(service.notified for service in services), start + 60)
    assert world.time - start < 5.0


def test_a_partition_heals_and_what_was_pushed_on_the_other_side_arrives():
    world, devices, services = settled(8, 80)
    sides = devices[:40], devices[40:]
    world.partition([device.address.host for device in sides[0]])
    world.run(until=world.time + 40)
    for side in sides:
        other = {device.config.device for device in sides[side is sides[0]]}
        mine = {device.config.device for device in side}
        held = {accused for accuser, accused in deaths(world, devices) if accuser in mine}
        assert held, "each side holds the other's for dead"
        assert held <= other
        assert all(not held & other for held in views(world, side).values())
    devices[0].push(NOTIFY, notify_request("here"))
    devices[79].push(NOTIFY, notify_request("there"))
    assert world.run_until(lambda: all(service.notified for service in services), world.time + 90)
    assert {service.notified for service in services} == {1}
    world.heal()
    assert world.run_until(lambda: all(service.notified == 2 for service in services), world.time + 30)
    world.run(until=world.time + 60)
    assert is_connected(views(world, devices))
    across = sum(
        1 for device in sides[0] for one in views(world, [device])[device.config.device]
        if one in {other.config.device for other in sides[1]}
    )  # fmt: skip
    assert across > 10, "not by one bridge only"


def test_a_pull_with_a_dead_meter_does_not_last_to_its_deadline():
    world = World(9)
    devices, _ = grid(world, 2, 6, 1)
    world.run(until=world.time + SETTLED)
    gone = [device for device in devices if device.config.scopes[0].startswith("grid://t/0/3")]
    for device in gone:
        world.crash(device.address.host)
    substation = next(device for device in devices if device.address.host == "ssc0")
    meter = gone[0].config.device
    assert world.run_until(lambda: substation.endpoint.peers.is_down(meter), world.time + 20)
    start = world.time
    answers = devices[0].pull(READ, READ_REQUEST)
    assert world.run_until(lambda: bool(answers), world.time + 15)
    assert world.time - start < 2.0
    assert answers[0][1] == Tally(len(devices) - 2, len(devices), missing=2)


def test_who_was_held_for_dead_and_lives_is_counted_again():
    world = World(10)
    devices, _ = grid(world, 2, 4, 0)
    world.run(until=world.time + SETTLED)
    meter = next(device for device in devices if device.address.host == "sm0.1")
    world.partition([meter.address.host])
    substation = next(device for device in devices if device.address.host == "ssc0")
    assert world.run_until(lambda: substation.endpoint.peers.is_down(meter.config.device), world.time + 30)
    world.heal()
    assert world.run_until(lambda: not substation.endpoint.peers.is_down(meter.config.device), world.time + 60)
    answers = devices[0].pull(READ, READ_REQUEST)
    assert world.run_until(lambda: bool(answers), world.time + 15)
    assert answers[0][1] == Tally(len(devices), len(devices))
