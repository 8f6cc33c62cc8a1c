"""Announcements by gossip over real sockets: one push, and all others of the nano grid have it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import cast

import pytest
from neighbours import QUIET, Neighbours, drawn
from neighbours import device_id as numbered

from gossip_ws.consensus.door import Stamps
from gossip_ws.consensus.messages import NEVER, Announce, Message
from gossip_ws.consensus.trust import seal
from gossip_ws.consensus.vector import plus
from gossip_ws.core.peers import Relation
from gossip_ws.devices.announcer import Announcer
from gossip_ws.devices.whereabouts import Whereabouts
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Wanted
from gossip_ws.ports import Gossip
from gossip_ws.security.keys import PrivateKey
from gossip_ws.services.balance_messages import sealed_element
from gossip_ws.services.balancing import action

DEVICES = 8
OTHERS = DEVICES - 1
SUBSTATION = numbered(100)


def played(neighbours: Neighbours, story: Callable[[Neighbours], Awaitable[None]]) -> None:
    async def whole() -> None:
        try:
            await neighbours.open()
            table = neighbours.hosts[SUBSTATION].endpoint.peers
            await neighbours.until(
                lambda: len(table.related(Relation.CHILD)) == len(neighbours.balancers), "all known to the substation"
            )
            neighbours.start()
            await neighbours.until(neighbours.is_done, "all matched")
            await story(neighbours)
        finally:
            await neighbours.close()

    asyncio.run(whole())


def heard(neighbours: Neighbours) -> Mapping[str, int]:
    return {device: one.counters["received Announce"] for device, one in neighbours.balancers.items()}


async def announced(neighbours: Neighbours, device: str) -> None:
    """It can give 1 W more, and the others hear of it."""
    before = heard(neighbours)
    offer = neighbours.offers[device]
    neighbours.offers[device] = plus(offer, (1,) * len(offer))
    neighbours.balancers[device].change(0, neighbours.offers[device])
    await neighbours.until(
        lambda: all(count > before[one] for one, count in heard(neighbours).items() if one != device),
        "heard by all others",
    )


def test_all_others_hear_of_it_by_one_push_whatever_is_lost(tmp_path: Path) -> None:
    instance = drawn(DEVICES, 1)
    keys = {device.id: PrivateKey.generate() for device in instance.devices}
    device = instance.devices[0].id

    async def story(neighbours: Neighbours) -> None:
        for _ in range(4):
            before = neighbours.balancers[device].counters["announced"]
            await announced(neighbours, device)
            assert neighbours.balancers[device].counters["announced"] == before + 1
        # Nobody was told by a call, and nobody acts on a copy.
        assert not any(one.counters["sent Announce"] for one in neighbours.balancers.values())
        most = sum(one.counters["announced"] for one in neighbours.balancers.values())
        assert all(count <= most for count in heard(neighbours).values())

    played(Neighbours(instance, tmp_path, "127.151", loss=0.1, keys=keys), story)


def test_without_their_substation_they_pass_it_on_among_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What two hops do not reach, digests bring."""
    monkeypatch.setitem(QUIET, "pull_period", 0.5)
    instance = drawn(DEVICES, 1)

    async def story(neighbours: Neighbours) -> None:
        endpoints = [neighbours.hosts[device].endpoint for device in neighbours.balancers]
        for one, other in permutations(endpoints, 2):
            one.peers.put(other.own, time.monotonic() + 60.0, proven=True)
        await neighbours.hosts.pop(SUBSTATION).crash()
        await announced(neighbours, instance.devices[3].id)

    played(Neighbours(instance, tmp_path, "127.152"), story)


def test_who_comes_late_is_given_what_is_in_force_and_plans_with_it(tmp_path: Path) -> None:
    """Before it balances it keeps what its neighbours have said."""
    instance = drawn(DEVICES, 1)
    late = instance.devices[-1].id
    keys = {device.id: PrivateKey.generate() for device in instance.devices}
    neighbours = Neighbours(instance, tmp_path, "127.153", keys=keys, elsewhere=frozenset({late}))

    async def whole() -> None:
        try:
            await neighbours.open()
            neighbours.start()
            others = list(neighbours.balancers.values())
            await neighbours.until(lambda: all(one.counters["received Announce"] == OTHERS - 1 for one in others), "7")
            await neighbours.up(late)
            newcomer = neighbours.balancers[late]
            await neighbours.until(lambda: newcomer.counters["not balancing"] == OTHERS, "what is in force")
            newcomer.start(0, neighbours.offers[late])
            # It has heard all, so its own announcement was the last that anybody needed.
            await neighbours.until(lambda: all(one.counters["received Announce"] == OTHERS for one in others), "8")
            await neighbours.until(neighbours.is_done, "all matched")
        finally:
            await neighbours.close()

    asyncio.run(whole())


def test_more_than_a_message_can_name_are_told_one_by_one(tmp_path: Path) -> None:
    instance = drawn(10, 1, area=16)

    async def story(neighbours: Neighbours) -> None:
        assert len(neighbours.hierarchy.clusters) == 1
        for one in neighbours.balancers.values():
            assert (one.counters["announced"], one.counters["sent Announce"]) == (0, 9)

    played(Neighbours(instance, tmp_path, "127.154", size=16), story)


def test_what_is_refused_is_not_announced() -> None:
    class Refusing:
        def originate(self, action: str, body: bytes, wanted: Wanted) -> None:
            raise LocalError("no such operation")

    counters: Counter[str] = Counter()
    nobody = cast(Whereabouts, None)
    announcer = Announcer(cast(Gossip, Refusing()), nobody, lambda device: f"grid://{device}", (), counters)
    announcer.say("urn:a", b"<a/>", ["one", "other"])
    assert counters == {"announcement refused": 1}


def test_what_is_forged_or_for_another_nano_grid_does_not_count_by_gossip_either(tmp_path: Path) -> None:
    instance = drawn(DEVICES, 1)
    keys = {device.id: PrivateKey.generate() for device in instance.devices}
    one, other, third = (device.id for device in instance.devices[:3])
    announce = Announce(0, 1_000_000, (3_000, 3_000), NEVER)

    async def story(neighbours: Neighbours) -> None:
        cluster = neighbours.hierarchy.home[one]
        clock, gossip = neighbours.clock, neighbours.hosts[third].endpoint

        async def spread(signer: PrivateKey, to: str, said: Message = announce) -> None:
            body = sealed_element(seal(other, to, said, signer.sign, Stamps().next(clock.now().wall)))
            gossip.originate(action(announce), body, Wanted(scopes=(neighbours.places[one],)))

        endpoint = neighbours.hosts[one].endpoint
        before = heard(neighbours)[one]
        await spread(keys[third], cluster)
        await spread(keys[other], "another nano grid")
        await neighbours.until(lambda: endpoint.counters["delivery refused by the service"] == 2, "refused")
        assert heard(neighbours)[one] == before
        # Who sends it is nobody's concern: it is the announcer's own word.
        await spread(keys[other], cluster, replace(announce, number=1_000_001))
        await neighbours.until(lambda: heard(neighbours)[one] == before + 1, "let in")

    played(Neighbours(instance, tmp_path, "127.155", keys=keys), story)
