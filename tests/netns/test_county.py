"""Twenty-three devices on hosts of their own, two subnets, a router between: what a utility's network does to them.

The county is built once and healed after each test. Skipped, with the reason, where no namespaces can be made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from county import DAY, PLACES, County, contributors
from laboratory import Subnet, why_not
from single_devices import cli

from gossip_ws.devices.legacy import LegacyClient

pytestmark = pytest.mark.netns

BITS = {name for name, place in PLACES.items() if place.bit is not None}
"""Whoever announces to use something: meters and appliances."""


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    if reason := why_not():
        pytest.skip(reason)
    county = County(tmp_path_factory.mktemp("county"))
    try:
        county.open()
        yield county
    finally:
        county.close()


@pytest.fixture
def county(standing: County) -> Iterator[County]:
    yield standing
    standing.laboratory.heal()


def test_multicast_ends_at_the_router(county: County) -> None:
    """Who needs a seed has one for a reason."""
    with county.spaces["is"].inside():
        done = cli("discover", "--interface", "eth0", "--json")
    found = {device["scopes"][0] for device in json.loads(done.stdout)}
    assert found == {place.scope for place in PLACES.values() if place.subnet is Subnet.WAN}


def test_without_loss_everybody_has_the_tariff_and_is_in_the_sum(county: County) -> None:
    county.push()
    county.everybody_has_it()
    told = county.pull(timeout=8)
    assert contributors(told, county.told) == BITS
    assert (told["contributors"], told["expected"]) == (len(PLACES), len(PLACES))


def test_a_client_that_knows_nothing_of_gossip_gets_the_same_sum(county: County) -> None:
    with county.spaces["is"].inside():
        pulled = LegacyClient("dispatcher", "lights on").pull(f"{PLACES['is'].url}/Metering", DAY)
    assert pulled.energy == [sum(wh) for wh in zip(*county.told.values(), strict=True)]
    assert pulled.tally.contributors == len(PLACES)


@pytest.mark.parametrize("percent", [10, 20])
def test_frames_are_lost(county: County, percent: int) -> None:
    """Of everything, TCP and address resolution too; between the subnets a frame crosses two bridges."""
    county.laboratory.lose(percent)
    county.push()
    county.everybody_has_it()
    told = county.pull(timeout=8)
    contributors(told, county.told)
    assert told["expected"] == len(PLACES)
    lost, passed = county.laboratory.lost()
    assert lost > 0.5 * percent / 100 * passed
