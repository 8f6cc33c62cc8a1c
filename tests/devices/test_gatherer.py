"""Reports are gathered by pulls, level by level, over real sockets."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from neighbours import Neighbours, drawn

from gossip_ws.consensus.checker import violations
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.log import agreements
from gossip_ws.consensus.optimum import matched
from gossip_ws.core.peers import Relation
from gossip_ws.security.keys import PrivateKey

DAYS = 5


def counted(neighbours: Neighbours) -> Counter[str]:
    total: Counter[str] = Counter()
    for balancer in neighbours.balancers.values():
        total.update(balancer.counters)
    return total


def played(folder: Path, network: str, devices: int, areas: int, loss: float = 0.0) -> Neighbours:
    instance = drawn(devices, 1, areas)
    keys = {device.id: PrivateKey.generate() for device in instance.devices}
    neighbours = Neighbours(instance, folder, network, loss=loss, keys=keys, pace=Pace(round=0.25))

    async def whole() -> None:
        try:
            await neighbours.open()
            tables = [host.endpoint.peers for host in neighbours.hosts.values()]
            await neighbours.until(
                lambda: sum(len(table.related(Relation.CHILD)) for table in tables) >= devices, "all known above"
            )
            neighbours.start()
            await neighbours.until(neighbours.is_done, "all matched")
            day = 0
            while not counted(neighbours)["pulled reports"] and day < DAYS:
                # On a machine that is busy a day's answers may all be late; they are told then.
                day += 1
                for device, balancer in neighbours.balancers.items():
                    balancer.change(day, neighbours.offers[device])
                await neighbours.until(neighbours.is_done, "all matched again")
            logs = neighbours.logs
            assert violations(logs, hierarchy=neighbours.hierarchy, settled=True) == []
            made = [one for one in agreements(logs) if one.day == day]
            assert sum(sum(one.watts) for one in made) == matched(instance)
        finally:
            await neighbours.close()

    asyncio.run(whole())
    return neighbours


def test_each_level_is_gathered_by_one_pull_of_who_speaks_for_it(tmp_path: Path) -> None:
    neighbours = played(tmp_path, "127.171", 24, 3)
    found = counted(neighbours)
    clusters = neighbours.hierarchy.clusters.values()
    assert found["pulled"] > 0
    assert found["pulled reports"] > 0
    assert found["answers to pulls that are none"] == found["pulled reports refused"] == 0
    # What is asked for at several levels was asked by those who are the first to speak for them.
    asked = {device for device, one in neighbours.balancers.items() if one.counters["pulled"]}
    assert asked <= {neighbours.hierarchy.candidates(cluster.id)[0] for cluster in clusters}


def test_where_messages_are_lost_what_a_pull_lacks_is_told(tmp_path: Path) -> None:
    found = counted(played(tmp_path, "127.172", 16, 2, loss=0.2))
    assert found["pulled reports"] > 0
    assert found["pulled reports refused"] == 0
