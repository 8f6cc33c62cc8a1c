"""Twenty-three devices on hosts of their own, two subnets, a router between: what a utility's network does to them.

The county is built once and healed after each test. Skipped, with the reason, where no namespaces can be made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from socket import inet_aton

import pytest
from county import DAY, PASSWORD, PLACES, USER, County, contributors
from laboratory import Subnet, Tap
from single_devices import cli

from gossip_ws.devices.legacy import LegacyClient

pytestmark = pytest.mark.netns

BITS = {name for name, place in PLACES.items() if place.bit is not None}
"""Whoever announces to use something: meters and appliances."""


@pytest.fixture(scope="module")
def standing(permitted: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
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
    standing.start(*PLACES.keys() - standing.running.keys())


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
        pulled = LegacyClient(USER, PASSWORD).pull(f"{PLACES['is'].url}/Metering", DAY)
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


def test_a_substation_is_killed_in_the_middle_of_a_pull(county: County) -> None:
    """Its meters are too slow to have answered it: they turn to whoever asked it, and only its own value is missing.
    So do other substations, where the request had come to them by this one."""
    dead = "ssc-2"
    below = [name for name, place in PLACES.items() if place.seed == dead]
    tap = Tap(county.spaces[dead])
    county.freeze(below)
    asking = county.ask(12, "--missing")
    asked: set[bytes] = set()

    def all_are_asked(packet: bytes) -> bool:
        source, to = packet[12:16], packet[16:20]
        if source == octets(dead) and b":GetDemand<" in packet:
            asked.add(to)
        return {octets(name) for name in below} <= asked

    try:
        tap.until(all_are_asked)
        county.kill(dead)
    finally:
        tap.close()
        county.thaw(below)
    told = county.answer(asking)
    assert contributors(told, county.told) == BITS
    assert (told["contributors"], told["expected"], told["missing"]) == (len(PLACES) - 1, len(PLACES), 1)
    assert county.not_counted(told) == {dead: 1}
    county.start(dead)
    county.everybody_contributes()


def test_a_subnet_is_cut_off_and_healed(county: County) -> None:
    """Whoever is on the other side is missing, and has the tariff soon after the subnets are one again."""
    here = [name for name, place in PLACES.items() if place.subnet is Subnet.WAN]
    there = PLACES.keys() - here
    before = {name: county.tariff(name) for name in there}
    county.laboratory.cut()
    county.push()
    county.everybody_has_it(here)
    told = county.pull(4, "--missing")
    assert contributors(told, county.told) == set()
    assert told["contributors"] == len(here)
    assert (told["expected"], told["missing"]) == (len(PLACES), len(PLACES) - len(here))
    # Each substation here names its meters there; the one there stands for its own, and a meter for its appliance.
    behind = {f"sm-{number}": 1 for number in range(1, 13)} | {"sm-1": 2, "ssc-4": 6}
    assert county.not_counted(told) == behind
    assert {name: county.tariff(name) for name in there} == before
    county.laboratory.heal()
    county.everybody_has_it()
    county.everybody_contributes()


def test_a_meter_that_was_down_learns_the_tariff_in_force(county: County) -> None:
    """Nobody asks it for anything. It comes with the same identity, as a later incarnation."""
    name = "sm-13"
    before = county.running[name].told
    county.kill(name)
    county.push()
    tap = Tap(county.spaces[name])
    county.start(name)
    after = county.running[name].told
    assert after["device"] == before["device"]
    assert after["instance"] > before["instance"]
    hello = tap.until(lambda packet: packet if b"/Hello<" in packet else b"")
    tap.close()
    assert f'InstanceId="{after["instance"]}"'.encode() in hello
    county.everybody_has_it()
    county.everybody_contributes()


def test_a_meter_that_joins_late_learns_the_tariff_in_force(county: County) -> None:
    """It finds its substation by multicast, and is in the next sum."""
    county.install("late")
    county.everybody_has_it()
    county.everybody_contributes()
    told = county.pull(timeout=8)
    assert contributors(told, county.told) == {*BITS, "late"}


def octets(name: str) -> bytes:
    """A device's address, as it is in a packet."""
    return inet_aton(PLACES[name].address)
