"""Who stands beside whom when all stand in a circle."""

from __future__ import annotations

from random import Random

import pytest
from builders import device, peer

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.peers import PeerTable, Role
from gossip_ws.core.prices import Prices
from gossip_ws.core.ring import Ring

EVERYBODY = [peer(f"ssc{number}") for number in range(1, 51)]


def others(one):
    return tuple(peer for peer in EVERYBODY if peer.device != one.device)


def test_all_stand_in_one_circle():
    """From each on to the next: everybody once, and back; the one before is the one that came from there."""
    at, met = EVERYBODY[0], []
    for _ in EVERYBODY:
        after, before = Ring(at.device).beside(others(at))
        assert not met or before == met[-1]
        met.append(at)
        at = after
    assert at == EVERYBODY[0]
    assert sorted(one.device for one in met) == sorted(one.device for one in EVERYBODY)


def test_places_are_no_places_in_the_table():
    """Else those that were installed together, and are congested together, would count on one another."""
    numbers = {one.device: number for number, one in enumerate(EVERYBODY)}
    steps = [
        abs(numbers[one.device] - numbers[after.device])
        for one in EVERYBODY
        for after in Ring(one.device).beside(others(one))[:1]
    ]
    assert sum(step == 1 for step in steps) < 10


def test_of_few_there_are_few():
    one, two, three = EVERYBODY[:3]
    assert Ring(one.device).beside(()) == ()
    assert Ring(one.device).beside((two,)) == (two,)
    assert set(Ring(one.device).beside((two, three))) == {two, three}


def test_who_comes_and_goes_changes_it():
    own = EVERYBODY[0]
    ring, all_others = Ring(own.device), others(own)
    after, before = ring.beside(all_others)
    without = tuple(one for one in all_others if one != after)
    assert after not in ring.beside(without)
    assert before in ring.beside(without)
    assert ring.beside(all_others) == (after, before)


@pytest.mark.parametrize("seed", range(5))
def test_nobody_is_missed_though_everybody_finds_the_way_there_dear(seed: int):
    """A push over fifty, by the choices of each, without loss: by chance a copy alone would miss one in three."""
    dear = {f"{device(f'ssc{number}')}" for number in range(30, 51)}
    choices = {}
    for one in EVERYBODY:
        table = PeerTable(Role.SUBSTATION, 4096)
        for other in others(one):
            assert table.put(other, 1e9, proven=True)
        config = NodeConfig(device=one.device, role=Role.SUBSTATION, udp=one.udp)
        choices[one.device] = Prices(config, table, Random(f"{seed}/{one.device}"))
        choices[one.device].weight = lambda device: 0.0 if device in dear else 1.0
    first = EVERYBODY[0].device
    reached, fresh = {first}, [first]
    while fresh:
        now = fresh.pop()
        table = tuple(one for one in EVERYBODY if one.device != now)
        for to in choices[now].sample(table, 8, first):
            if to.device not in reached:
                reached.add(to.device)
                fresh.append(to.device)
    assert len(reached) == 50
