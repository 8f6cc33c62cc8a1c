"""Every single reply of whole grids: nothing is lost in silence, whatever the network and the memory are like."""

import pytest
from swarms import grid

from gossip_ws.core.replies import NO_ROOM, Replies
from gossip_ws.kernel.terms import ALL, Filter, Wanted
from gossip_ws.sim.numbers import READ, READ_REQUEST, read_response
from gossip_ws.sim.world import Weather, World

EVERY = Wanted(filter=Filter(name=ALL), timeout=10.0)
SUM = Wanted(timeout=10.0)


def as_given(devices, services):
    return {
        device.config.device: read_response(service.value) for device, service in zip(devices, services, strict=True)
    }


def pulled(world, top, wanted):
    answers = top.pull(READ, READ_REQUEST, wanted)
    assert world.run_until(lambda: answers, world.time + 11)
    ((value, tally),) = answers
    assert tally.contributors + tally.missing + tally.failed + tally.late + tally.uncertain == tally.expected
    return value, tally


@pytest.mark.parametrize("seed", range(3))
def test_hundreds_of_devices_reply_once_each_while_datagrams_are_lost_copied_and_held_back(seed):
    """With 12 resends within the deadline nobody is given up: what is left to chance is 0.2 ** 13 a hop."""
    world = World(seed)
    patient = {"retries": 12, "orphan_after": 12, "retry_longest": 0.5, "max_part": 2_000}
    devices, services = grid(world, 4, 12, 2, **patient)
    world.weather = Weather(loss=0.2, twice=0.1, held=0.1, hold=0.3)
    value, tally = pulled(world, devices[0], EVERY)
    assert isinstance(value, Replies)
    assert {one.device: one.value for one in value.singles} == as_given(devices, services)
    assert len(value.singles) == tally.contributors == tally.expected == len(devices) == 149
    total, of_sum = pulled(world, devices[0], SUM)
    assert (total, of_sum) == (read_response(sum(service.value for service in services)), tally)


def test_what_a_device_on_the_way_has_no_room_for_is_named_as_failed():
    """The substations may hold some twenty replies each, of the 48 below them."""
    world = World(5)
    devices, services = grid(world, 2, 16, 2, max_part=1_000, max_replies=6_000)
    value, tally = pulled(world, devices[0], EVERY)
    assert isinstance(value, Replies)
    values = {one.device: one.value for one in value.singles if one.fault is None}
    assert len(values) == tally.contributors
    assert tally.contributors + tally.failed == tally.expected == len(devices)
    assert values.items() <= as_given(devices, services).items()
    assert 0 < tally.contributors < len(devices)
    reasons = {one.fault for one in value.singles} - {None}
    assert reasons == {NO_ROOM}
    for device in devices:
        for request in device.endpoint.node._requests._open.values():
            assert request.inbox.octets <= 6_000


def test_a_list_is_not_kept_by_those_who_have_passed_it_on():
    world = World(6)
    devices, _ = grid(world, 2, 4, 1, max_part=1_000)
    pulled(world, devices[0], EVERY)
    world.run(until=world.time + 1)
    requests = [one for device in devices for one in device.endpoint.node._requests._open.values()]
    assert len(requests) == len(devices)
    assert [one.outbox for one in requests] == [None] * len(devices)
    assert not any(taken.replies for one in requests for taken in one.taken.values())
