"""Which links the city's trial fails and narrows: the fullest, as long as the demands still fit without them."""

from dataclasses import replace
from random import Random

import pytest

from gossip_ws.devices.city_energy import NARROWED, fullest
from gossip_ws.routing.certificate import feasible, load_of
from gossip_ws.routing.instance import Commodity, Instance, Kind
from gossip_ws.routing.kinds import Pattern, overlay
from gossip_ws.routing.run import Terms, run


@pytest.mark.parametrize("seed", range(3))
def test_without_them_the_demands_still_fit(seed):
    instance = overlay(10, Pattern.ALL_TO_ALL, Random(seed))
    load = load_of(run(instance, Terms(async_max=0, loss=0.0, ticks=40), Random(1)).flows)
    failed, narrow = fullest(instance, load)
    left = {link: kb for link, kb in instance.capacity.items() if link != failed}
    left[narrow] *= NARROWED
    assert feasible(replace(instance, capacity=left))


def test_links_that_the_demands_cannot_do_without_are_spared():
    links = [(0, 1), (0, 2), (2, 1), (2, 0), (3, 2), (2, 3), (3, 0)]
    demands = (Commodity(0, 1, 12.0), Commodity(2, 0, 2.0), Commodity(3, 2, 1.0))
    instance = Instance("12 kb need both ways from 0 to 1", Kind.MM1, 4, dict.fromkeys(links, 10.0), demands)
    load = {(0, 1): 7.0, (0, 2): 5.0, (2, 1): 5.0, (2, 0): 2.0, (3, 2): 1.0}
    assert fullest(instance, load) == ((2, 0), (3, 2))
    # With half of that the fullest two do.
    light = replace(instance, commodities=(replace(demands[0], demand=6.0), *demands[1:]))
    assert fullest(light, load) == ((0, 1), (0, 2))
