"""Reports are gathered by pulls, level by level, over real sockets."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from neighbours import Neighbours, drawn
from neighbours import device_id as numbered

from gossip_ws.consensus.checker import violations
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.log import agreements
from gossip_ws.consensus.optimum import matched
from gossip_ws.core.messages import DeviceReply, Tally
from gossip_ws.core.peers import Relation
from gossip_ws.core.replies import Replies
from gossip_ws.devices.gatherer import Gatherer
from gossip_ws.kernel.errors import RemoteError, receiver_fault
from gossip_ws.kernel.names import BALANCE, DeviceId
from gossip_ws.kernel.terms import Wanted
from gossip_ws.ports import Answered
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


class Asked:
    """What a Gatherer needs of a device: takes what is asked, and answers it."""

    def __init__(self, *answers: object) -> None:
        self.asked: list[tuple[str, Wanted]] = []
        self._answers = list(answers)

    def ask(self, action: str, body: bytes, wanted: Wanted, answered: Answered) -> None:
        self.asked.append((action, wanted))
        answer = self._answers.pop(0)
        if isinstance(answer, RemoteError):
            raise answer
        answered(answer, Tally())  # type: ignore[arg-type]  # of whatever kind the test has


def gathered(gossip: Asked, to: tuple[str, ...]) -> tuple[list[bytes], Counter[str]]:
    taken: list[bytes] = []
    counters: Counter[str] = Counter()
    place = {f"d{number}": f"grid://town/1/{number}" for number in range(9)}
    gatherer = Gatherer(gossip, lambda device: place.get(device, ""), (), 0.5, counters)  # type: ignore[arg-type]
    gatherer.ask(f"{BALANCE}:Gather", b"<a/>", to, is_near=True, take=taken.append)
    return taken, counters


def reply(value: bytes) -> DeviceReply:
    return DeviceReply(DeviceId(numbered(1)), value)


def test_one_pull_names_the_places_and_asks_for_every_reply() -> None:
    good = f'<a xmlns="{BALANCE}"><report>YQ==</report></a>'.encode()
    failed = DeviceReply(DeviceId(numbered(2)), b"", receiver_fault("Busy", "busy").fault)
    gossip = Asked(Replies((reply(good), failed, reply(b"<junk"), reply(good)), 0.0))
    taken, counters = gathered(gossip, ("d1", "d2", "d1"))
    assert taken == [b"a", b"a"]
    assert counters == {"pulled": 1, "pulled reports": 2, "answers to pulls that are none": 1}
    ((action, wanted),) = gossip.asked
    assert (action, wanted.scopes) == (f"{BALANCE}:Gather", ("grid://town/1/1", "grid://town/1/2"))
    assert wanted.filter is not None
    assert wanted.filter.is_all


def test_who_is_in_no_place_or_too_many_are_not_asked_together() -> None:
    gossip = Asked()
    for to in (("d1", "nowhere"), tuple(f"d{number}" for number in range(9))):
        assert gathered(gossip, to) == ([], {"pulls that cannot be addressed": 1})
    assert gossip.asked == []


def test_a_pull_that_is_refused_or_in_vain_is_counted() -> None:
    assert gathered(Asked(receiver_fault("Busy", "many")), ("d1",)) == ([], {"pulls refused": 1})
    fault = receiver_fault("NoContributors", "nobody").fault
    assert gathered(Asked(fault), ("d1",)) == ([], {"pulls in vain": 1, "pulled": 1})
