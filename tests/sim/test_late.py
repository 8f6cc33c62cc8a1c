"""Combiners that take their time: what comes meanwhile is late, and everything still adds up."""

from random import Random

import pytest
from swarms import grid

from gossip_ws.core.account import Lack
from gossip_ws.core.effects import Input
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.kernel.errors import Fault
from gossip_ws.kernel.terms import Wanted
from gossip_ws.sim.numbers import READ, READ_REQUEST, read_response
from gossip_ws.sim.world import Weather, World

TIMEOUT = 2.0


class Slow(FilterCombiner):
    """Takes up to `most` seconds of the world's time for each combination."""

    def __init__(self, world, host, dice, most):
        super().__init__()
        self.world, self.host, self.dice, self.most = world, host, dice, most

    def combine(self, filter, shape, inputs, final, done, *how):
        def later(result):
            self.world.call_later(self.dice.uniform(0, self.most), lambda: done(result), owner=self.host)

        super().combine(filter, shape, inputs, final, later, *how)


def pulled(seed, most):
    """(tally, how many values are really in, the value, the names at the entry) of one pull in bad weather."""
    dice, world = Random(seed), World(seed)
    shape = dice.choice([(1, 4, 1), (2, 3, 1), (3, 2, 2)])
    devices, services = grid(world, *shape, combiner=lambda host: Slow(world, host, dice, most), lease=1e6)
    for k, service in enumerate(services):
        service.value = 1 << k
    world.weather = Weather(loss=dice.choice([0.0, 0.2]), held=0.3, hold=dice.choice([0.5, 2.5]))
    if dice.random() < 0.3:
        world.crash(dice.choice(devices[1:]).address.host)
    entry, answers = devices[0], []
    operation = entry.endpoint.hosting.operation(READ)
    entry.endpoint.start(operation, READ_REQUEST, Wanted(timeout=TIMEOUT), answers.append)
    world.run(until=world.time + 3 * TIMEOUT)
    (answer,) = answers
    id, value, tally = answer.id, answer.value, answer.tally
    by_name = {device.config.device: device.endpoint.node for device in devices}

    def counted(node):
        request = node._requests._open[id]
        below = [counted(by_name[name]) for name, taken in request.taken.items() if taken.tally.contributors]
        return int(isinstance(request.own, Input)) * devices_bit[node] + sum(below)

    devices_bit = {device.endpoint.node: 1 << k for k, device in enumerate(devices)}
    return tally, counted(entry.endpoint.node), value, entry.endpoint.known(id).lacking


@pytest.mark.parametrize("most", [0.0, 0.4, 1.0])
def test_everything_adds_up_and_the_late_are_told_from_the_missing(most):
    late = 0
    for seed in range(60):
        tally, counted, value, names = pulled(seed, most)
        parts = tally.contributors + tally.missing + tally.failed + tally.late + tally.uncertain
        assert parts == tally.expected, seed
        assert counted.bit_count() == tally.contributors, seed
        assert isinstance(value, Fault) or value == read_response(counted), seed
        assert len({one.device for one in names}) == len(names), seed
        left_out = tally.expected - tally.contributors
        # Of the unknown each is told with the most that may stand behind it.
        assert sum(one.devices for one in names if one.standing is not Lack.UNKNOWN) <= left_out, seed
        assert all(one.devices <= left_out for one in names), seed
        late += tally.late
    # Combined in no time, nothing can come meanwhile.
    assert (late > 0) == (most > 0)
