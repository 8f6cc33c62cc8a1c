"""Reports by gossip: what they cost, what prosumers reach with them, and how long each leaves its flow as it is."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from solver import optimum

from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.certificate import load_of
from gossip_ws.routing.gossiped import Gossiped
from gossip_ws.routing.graph import Link
from gossip_ws.routing.instance import Instance
from gossip_ws.routing.kinds import Pattern, Topology, made, overlay
from gossip_ws.routing.method import Reports, Signals
from gossip_ws.routing.peer import Start
from gossip_ws.routing.prosumer import Measured, Prosumer
from gossip_ws.routing.rumours import ROOM
from gossip_ws.routing.run import Algorithm, Change, Terms, run
from gossip_ws.routing.statement import KEEP, LinkState, Statement

BY_GOSSIP = Terms(ticks=40, reports=Reports.GOSSIP)


def eight() -> Instance:
    return overlay(8, Pattern.ALL_TO_ALL, Random(8))


def test_by_gossip_they_come_near_the_optimum_too() -> None:
    instance = eight()
    for seed in range(3):
        outcome = run(instance, BY_GOSSIP, Random(seed))
        assert outcome.last.certificate.cost <= 1.01 * optimum(instance)
        assert outcome.usable


def test_a_node_sends_one_message_a_tick_to_as_many_as_the_fanout() -> None:
    instance = eight()
    for fanout in (1, 3):
        outcome = run(instance, replace(BY_GOSSIP, fanout=fanout), Random(1))
        counts = [point.sent for point in outcome.trace]
        assert max(after - before for before, after in pairwise(counts)) == 8 * fanout
        assert outcome.messages <= fanout
    # Nobody is told twice, and nobody but the others.
    assert run(instance, replace(BY_GOSSIP, fanout=100), Random(1)).messages <= 7


def test_once_all_is_known_little_is_told() -> None:
    """What has not changed is told ln 8 + 2 times at most, by each, after each tenth tick."""
    outcome = run(eight(), replace(BY_GOSSIP, ticks=120, loss=0.0, fanout=1), Random(1))
    late = outcome.trace[60:]
    told = (late[-1].sent - late[0].sent) / (8 * (len(late) - 1))
    assert 1 / KEEP < told < 5 / KEEP * 2


def test_with_little_room_or_fanout_it_takes_longer() -> None:
    instance = overlay(16, Pattern.ALL_TO_ALL, Random(16))

    def cost(terms: Terms) -> float:
        return sum(one.certificate.cost for one in run(instance, replace(terms, ticks=20), Random(1)).trace)

    usual = cost(BY_GOSSIP)
    assert cost(replace(BY_GOSSIP, fanout=1)) > 1.01 * usual
    assert cost(replace(BY_GOSSIP, room=1)) > 1.01 * usual


@pytest.mark.parametrize("seed", [7, 13, 30])
def test_with_late_messages_they_do_not_swing(seed: int) -> None:
    """Sixteen, whose messages take up to four ticks. By marginal costs 7 and 13 swing if all move in every tick; 30 did
    even where they waited."""
    instance = overlay(16, Pattern.ALL_TO_ALL, Random(seed))
    outcome = run(instance, replace(BY_GOSSIP, loss=0.17, ticks=60, lag=4.0), Random(seed))
    late = [point.certificate for point in outcome.trace[31:]]
    assert max(one.cost for one in late) < 1.05 * min(one.cost for one in late)
    assert max(one.max_utilisation for one in late) < 0.9


@pytest.mark.parametrize("seed", [7, 13])
def test_with_late_messages_sixteen_are_soon_near_the_optimum(seed: int) -> None:
    """By marginal costs these took 50 and 28 ticks."""
    instance = overlay(16, Pattern.ALL_TO_ALL, Random(seed))
    outcome = run(instance, replace(BY_GOSSIP, loss=0.17, lag=1.5), Random(seed))
    assert max(one.certificate.cost for one in outcome.trace[25:]) < 1.01 * optimum(instance)


def test_not_all_come_at_once_to_a_link_that_is_back() -> None:
    """At the price of an empty link they would, and the cost would be higher than without it."""
    instance = overlay(8, Pattern.ALL_TO_ALL, Random(1))
    late = replace(BY_GOSSIP, loss=0.17, lag=1.5)
    load = load_of(run(instance, replace(late, ticks=20), Random(1)).flows)
    fullest = max(load, key=load.__getitem__)
    changes = (Change(fullest, 20), Change(fullest, 40, instance.capacity[fullest]))
    costs = [one.certificate.cost for one in run(instance, replace(late, ticks=60, changes=changes), Random(1)).trace]
    assert max(costs[41:]) <= costs[40]
    assert max(costs[42:]) < 1.05 * min(costs[42:])


def test_flow_leaves_a_link_that_fails() -> None:
    instance = made(Topology.RING, Pattern.ALL_TO_ALL, [20.0] * 4, 400.0)
    outcome = run(instance, replace(BY_GOSSIP, changes=(Change((0, 1), 20),)), Random(2))
    assert outcome.trace[20].certificate.overload > 0
    assert not any(point.certificate.overload for point in outcome.trace[30:])


def test_one_seed_gives_one_run_by_gossip() -> None:
    assert run(eight(), BY_GOSSIP, Random(7)) == run(eight(), BY_GOSSIP, Random(7))


def test_the_wait_is_what_is_asked_for() -> None:
    """One source that waits 400 ticks at most moves hardly ever; one that does not wait does in each tick."""
    instance = eight()
    alone = replace(instance, commodities=tuple(one for one in instance.commodities if one.source == 0))

    def moves(wait: int | None) -> int:
        terms = replace(BY_GOSSIP, async_max=wait, ticks=20)
        costs = [one.certificate.cost for one in run(alone, terms, Random(3)).trace]
        return sum(after != before for before, after in pairwise(costs))

    assert moves(400) < moves(4) < moves(None) == moves(0) == 20


def test_only_adaptive_peers_gossip() -> None:
    for algorithm in Algorithm:
        if algorithm is not Algorithm.DAP:
            with pytest.raises(LocalError, match=algorithm.value):
                Terms(algorithm, reports=Reports.GOSSIP)
    for fanout in (0, -1, 10_000):
        with pytest.raises(LocalError, match="fanout"):
            Terms(reports=Reports.GOSSIP, fanout=fanout)


def test_more_links_than_a_statement_has_room_for_are_refused() -> None:
    instance = made(Topology.MESH, Pattern.CYCLIC, [1.0] * 66, 1e6)
    with pytest.raises(LocalError, match="at most 64"):
        Gossiped(
            instance,
            Start.MINIMUM_HOP,
            Signals(0.0, Random(1)),
            Random(1),
            fanout=4,
            room=ROOM,
            lag=0.0,
            most_wait=0,
        )


RING: dict[Link, float] = {(0, 1): 10.0, (1, 2): 10.0, (0, 3): 10.0, (3, 2): 10.0}


class Longest:
    """Dice that give the longest wait."""

    def random(self) -> float:
        return 0.999


def told(prosumer: Prosumer, load: float, capacity: float = 10.0) -> None:
    prosumer.measured([Measured(capacity, load, 2), Measured(10.0, 0.0, 0)], 1.0)


def test_who_has_moved_waits_as_long_as_it_is_told_unless_a_link_fails() -> None:
    dice: object = Longest()
    prosumer = Prosumer(0, RING, {2: 4.0}, dice, most_wait=3)  # type: ignore[arg-type]
    assert prosumer.links == [(0, 1), (0, 3)]
    told(prosumer, 8.0)
    prosumer.turn(1.0)
    assert prosumer.peer.flows == {(0, 1, 2): 4.0}
    prosumer.heard(Statement(1, 1, (LinkState(2, 10.0, 8.0, 2, 2.5),)), 1.0)
    prosumer.heard(Statement(3, 1, (LinkState(2, 10.0, 0.0, 0, 0.1),)), 1.0)
    for tick in (2, 3, 4):
        prosumer.turn(tick)
        assert prosumer.peer.flows == {(0, 1, 2): 4.0}
    prosumer.turn(5.0)
    assert prosumer.peer.flows[0, 3, 2] > 0
    # Now it waits again; but what fails is left at once.
    prosumer.heard(Statement(1, 2, (LinkState(2, 0.0, 8.0, 2, 0.0),)), 5.5)
    prosumer.turn(6.0)
    assert prosumer.peer.flows == {(0, 3, 2): 4.0}


def test_who_owns_the_link_that_fails_waits_no_longer_than_others() -> None:
    dice: object = Longest()
    prosumer = Prosumer(0, RING, {2: 4.0}, dice, most_wait=3)  # type: ignore[arg-type]
    told(prosumer, 4.0)
    for owner in (1, 3):
        prosumer.heard(Statement(owner, 1, (LinkState(2, 10.0, 0.0, 0, 0.1),)), 1.0)
    prosumer.turn(1.0)
    assert prosumer.peer.flows.keys() >= {(0, 1, 2)}
    told(prosumer, 4.0, capacity=0.0)
    prosumer.turn(2.0)
    assert prosumer.peer.flows == {(0, 3, 2): 4.0}
