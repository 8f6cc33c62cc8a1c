"""The same node and endpoint, thousands at a time, under loss, crashes and partitions."""

import pytest
from swarms import PUSH, grid

from gossip_ws.core.messages import Tally
from gossip_ws.core.peers import Role
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.sim.numbers import NOTIFY, READ, READ_REQUEST, read_response
from gossip_ws.sim.swarm import address, device_id, swarm
from gossip_ws.sim.world import Weather, World
from gossip_ws.wire.gossip import XmlCodec


def test_a_push_reaches_a_thousand_equals_and_each_delivers_once():
    world = World(1)
    devices, services = swarm(world, 1000, 14, 10)
    devices[0].push(NOTIFY, PUSH)
    world.run(until=2)
    assert {service.notified for service in services} == {1}


def test_one_seed_gives_one_trace_and_another_seed_another():
    def trace(seed: int):
        world = World(seed, Weather(loss=0.1), trace=True)
        devices, _ = swarm(world, 50, 4, 4)
        devices[0].push(NOTIFY, PUSH)
        world.run(until=30)
        return world.trace

    assert trace(5) == trace(5)
    assert trace(5) != trace(6)


def test_the_old_defaults_reach_a_seventh_of_a_thousand():
    """f=5, r=3: at most 5 + 25 + 125 of 1,000, by mean field 14.3 %. Defaults must follow the population."""
    reached = []
    for seed in range(5):
        world = World(seed)
        devices, services = swarm(world, 1000, 5, 3, pull_period=1e6, view_scopes=())
        devices[0].push(NOTIFY, PUSH)
        world.run(until=5)
        reached.append(sum(service.notified for service in services) / 1000)
    assert 0.125 < sum(reached) / len(reached) < 0.157


def test_a_pull_over_a_swarm_counts_each_device_once():
    world = World(2)
    devices, _ = swarm(world, 300, 14, 10)
    answers = devices[0].pull(READ, READ_REQUEST)
    world.run(until=15)
    assert answers == [(read_response(sum(range(300))), Tally(300, 300))]


def test_a_grid_enrols_and_pulls_exactly():
    world = World(3)
    devices, _ = grid(world, 4, 10, 2)
    answers = devices[0].pull(READ, READ_REQUEST)
    world.run_until(lambda: bool(answers), world.time + 15)
    size = 1 + 4 * (1 + 10 * 3)
    assert answers == [(read_response(size * (size + 1) // 2), Tally(size, size))]


@pytest.mark.parametrize("seed", range(4))
def test_everybody_is_in_long_before_the_lease_is_renewed_where_a_third_of_all_datagrams_is_lost(seed):
    """Who is forgotten because each of its challenges was lost does not learn of it."""
    devices, _ = grid(World(seed, Weather(loss=0.3)), 3, 12, 2, lease=1e6)
    assert sum(peer.subtree for peer in devices[0].endpoint.peers) == len(devices) - 1


@pytest.mark.parametrize("seed", range(4))
def test_loss_is_repaired_and_sums_stay_exact_over_their_contributors(seed):
    world = World(seed, Weather(loss=0.15))
    devices, services = grid(world, 3, 8, 2)
    devices[0].push(NOTIFY, PUSH)
    assert world.run_until(lambda: all(service.notified == 1 for service in services), world.time + 60)
    answers = devices[0].pull(READ, READ_REQUEST)
    world.run_until(lambda: bool(answers), world.time + 15)
    (value, tally) = answers[0]
    assert tally.contributors + tally.missing + tally.failed + tally.uncertain == tally.expected == len(devices)
    if tally.missing == 0:
        assert value == read_response(sum(service.value for service in services))


def test_a_crashed_substation_is_missing_with_its_area_and_the_rest_exact():
    world = World(4)
    devices, services = grid(world, 3, 5, 1)
    area = [device for device in devices if "grid://t/1" in device.config.scopes[0]]
    world.crash("ssc1")
    answers = devices[0].pull(READ, READ_REQUEST)
    world.run_until(lambda: bool(answers), world.time + 15)
    (value, tally) = answers[0]
    assert tally == Tally(len(devices) - len(area), len(devices), missing=len(area))
    ids = {device.config.device for device in area}
    live = sum(s.value for d, s in zip(devices, services, strict=True) if d.config.device not in ids)
    assert value == read_response(live)


@pytest.mark.parametrize("still", [1.0, 3.0, 5.0])
def test_an_area_that_stands_still_for_some_seconds_is_in_the_sum(still):
    """Nobody hears of it meanwhile: a machine that is busy with something else looks just like that."""
    world = World(4)
    devices, services = grid(world, 3, 5, 1)
    world.partition([d.address.host for d in devices if d.config.scopes[0].startswith("grid://t/1")])
    answers = devices[0].pull(READ, READ_REQUEST)
    world.run(until=world.time + still)
    world.heal()
    assert world.run_until(lambda: bool(answers), world.time + 15)
    assert answers == [(read_response(sum(s.value for s in services)), Tally(len(devices), len(devices)))]


def test_a_dead_substation_is_found_dead_by_the_first_answer_and_not_waited_for_like_that_again():
    world = World(4)
    # Nobody else notices: the neighbours would take a minute.
    devices, _ = grid(world, 3, 5, 1, probe_quiet=60.0)
    world.crash("ssc1")
    for most in (9.0, 2.5):
        answers = devices[0].pull(READ, READ_REQUEST)
        assert world.run_until(lambda: bool(answers), world.time + most)  # noqa: B023
        assert answers[0][1] == Tally(23, 34, missing=11)


def test_a_partition_heals_and_the_push_gets_across():
    world = World(5)
    devices, services = swarm(world, 40, 8, 6)
    inside = [f"n{number}" for number in range(20)]
    world.partition(inside)
    devices[0].push(NOTIFY, PUSH)
    assert world.run_until(lambda: all(service.notified == 1 for service in services[:20]), 60)
    assert not any(service.notified for service in services[20:])
    world.heal()
    assert world.run_until(lambda: all(service.notified == 1 for service in services), 120)


def test_registration_is_challenged_at_the_address_it_names():
    """Somebody registers in another's name, or from where nobody answers: it is never given out."""
    world = World(6)
    devices, _ = grid(world, 1, 2, 0)
    top = devices[0].endpoint
    ghost = devices[2].peer.__class__(device_id(999), Role.METER, (), ("grid://t/0/9",), address("nowhere"), None, 1, 0)
    with pytest.raises(RemoteError, match="from where it is reached"):
        top.register(ghost, address("sm0.0"))
    top.register(ghost, address("nowhere"))
    world.run(until=world.time + 20)
    assert top.peers.get(ghost.device) is None


def test_the_same_grid_speaks_real_xml_when_asked_to():
    world = World(7, Weather(loss=0.05))
    devices, services = grid(world, 2, 4, 1, codec=XmlCodec())
    devices[3].push(NOTIFY, PUSH)
    assert world.run_until(lambda: all(service.notified == 1 for service in services), world.time + 60)
    answers = devices[0].pull(READ, READ_REQUEST)
    world.run_until(lambda: bool(answers), world.time + 15)
    size = len(devices)
    assert answers == [(read_response(size * (size + 1) // 2), Tally(size, size))]


def test_who_goes_down_in_order_is_not_waited_for():
    world = World(8)
    devices, _ = grid(world, 2, 3, 1)
    leaver = next(device for device in devices if device.address.host == "ied0.1.0")
    gone = []
    leaver.endpoint.down(lambda: gone.append(True))
    assert world.run_until(lambda: bool(gone), world.time + 2)
    world.crash("ied0.1.0")
    world.run(until=world.time + 3)
    answers = devices[0].pull(READ, READ_REQUEST)
    assert world.run_until(lambda: bool(answers), world.time + 2)
    assert answers[0][1] == Tally(len(devices) - 1, len(devices) - 1)


@pytest.mark.parametrize(
    ("moment", "lost"),
    [
        (0.0, "area"),  # before its meters were asked: nobody else serves them
        (0.005, "area"),
        (0.05, "itself"),  # they were asked, and it took none of their partials on: all are adopted
        (0.08, "itself"),
        (0.09, "itself"),
        (0.2, "nobody"),  # its partial had been passed on
    ],
)
def test_a_substation_that_dies_in_the_middle_of_a_pull_costs_itself_alone(moment, lost):
    """Once its meters were asked, every one is adopted or had been passed on; nobody is counted twice."""
    world = World(9)
    devices, services = grid(world, 3, 6, 2)
    answers = devices[0].pull(READ, READ_REQUEST)
    world.run(until=world.time + moment)
    world.crash("ssc1")
    assert world.run_until(lambda: bool(answers), world.time + 15)
    (value, tally) = answers[0]
    gone = {
        "nobody": [],
        "itself": [d for d in devices if d.address.host == "ssc1"],
        "area": [d for d in devices if d.config.scopes[0].startswith("grid://t/1")],
    }[lost]
    ids = {device.config.device for device in gone}
    value_left = sum(s.value for d, s in zip(devices, services, strict=True) if d.config.device not in ids)
    assert tally == Tally(len(devices) - len(gone), len(devices), missing=len(gone))
    assert value == read_response(value_left)
