"""Gathering by exchange over real sockets: a town of 23 devices on four tiers, a tenth of all datagrams lost."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from random import Random
from uuid import NAMESPACE_URL, uuid5

from gossip_ws.core.effects import Answer
from gossip_ws.core.peers import Role
from gossip_ws.devices.host import Host, HostSettings
from gossip_ws.devices.load import Load
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.tasks import Task
from gossip_ws.kernel.names import METERING, DeviceId
from gossip_ws.kernel.terms import Filter, Gathering, Wanted
from gossip_ws.net.loss import Lossy
from gossip_ws.security.development import DevelopmentVerifier
from gossip_ws.services.metering import Measured

DEADLINE = 20.0
LOSS = 0.1
DEMAND = f'<GetDemand xmlns="{METERING}"><day>2026-11-21</day></GetDemand>'.encode()
TOWN = (
    ("is", Role.INFORMATION_SYSTEM),
    *((f"is/{s}", Role.SUBSTATION) for s in range(2)),
    *((f"is/{s}/{m}", Role.METER) for s in range(2) for m in range(4)),
    *((f"is/{s}/{m}/{a}", Role.APPLIANCE) for s in range(2) for m in range(4) for a in range(2 - m % 2)),
)


def load(number: int) -> Load:
    """Of device `number`: as many Wh in the first period, 1,000 times as many in the second."""
    energies = (number, 1_000 * number, 0)
    task = Task(Kind.HOME_CHARGER, sum(energies), 3_600, energies)

    def tasks(day: date) -> Sequence[Task]:
        return [task]

    return Load("charger", tasks, Measured(230, 0, 0))


def host(number: int, place: str, role: Role) -> Host:
    scope = f"grid://spreading/{place}"
    settings = HostSettings(
        DeviceId(uuid5(NAMESPACE_URL, scope).urn),
        role,
        (scope,),
        f"127.7.1.{number + 1}",
        discover=False,
        incarnation=1,
        # So that the exchange alone has to bring what the push lost.
        node={"pull_period": 86_400.0, "retries": 1},
    )
    dice = Random(number)
    return Host(
        settings,
        load(number),
        DevelopmentVerifier(),
        FilterCombiner(),
        wrap=lambda network: Lossy(network, LOSS, dice),
    )


def know(hosts: list[Host]) -> None:
    """As if they had enrolled: the equals of one place, the parent, the roster, and the subtrees below."""
    own = [one.endpoint.own for one in hosts]
    for (place, _), one in zip(TOWN, hosts, strict=True):
        for (other, _), peer in zip(TOWN, own, strict=True):
            above, _, _ = place.rpartition("/")
            beyond, _, _ = other.rpartition("/")
            wide = {place.count("/"), other.count("/")} <= {0, 1}
            equal = wide or (place.count("/") == 2 and above == beyond)
            if place != other and (equal or other == above or beyond == place):
                one.endpoint.peers.put(peer, 1e12, proven=True)


async def gather(name: str, entry: int, enough: Callable[[Answer], bool]) -> tuple[Answer, list[Host]]:
    """The answer; asked again, twice at most, where the machine was so slow that half of the town had not replied."""
    hosts = [host(number, place, role) for number, (place, role) in enumerate(TOWN)]
    try:
        for one in hosts:
            await one.open()
        know(hosts)
        operation = hosts[entry].endpoint.hosting.operation(f"{METERING}:GetDemand")
        assert operation is not None
        wanted = Wanted(filter=Filter(name=name), gathering=Gathering.SPREAD, timeout=12.0)
        for _ in range(3):
            answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            hosts[entry].endpoint.start(operation, DEMAND, wanted, answered.set_result)
            answer = await asyncio.wait_for(answered, DEADLINE)
            if enough(answer):
                break
        return answer, hosts
    finally:
        for one in hosts:
            await one.close(leave=False)


def test_a_town_agrees_on_its_maximum() -> None:
    """The largest is an appliance's, in the other area than the meter that is asked."""

    def is_right(answer: Answer) -> bool:
        return isinstance(answer.value, bytes) and b">22<" in answer.value and b">22000<" in answer.value

    answer, hosts = asyncio.run(gather("max", TOWN.index(("is/0/0", Role.METER)), is_right))
    assert is_right(answer)
    assert answer.gathering is Gathering.SPREAD
    # What one device sends is what its neighbours read: nothing is junk.
    assert sum(one.endpoint.counters["accumulator refused"] for one in hosts) == 0


def test_a_town_estimates_its_demand_and_its_size() -> None:

    def is_near(answer: Answer) -> bool:
        assert answer.estimate is not None
        return abs(answer.estimate.groups[0].count.value / len(TOWN) - 1) < 5 * answer.estimate.error

    answer, hosts = asyncio.run(gather("estimate", 0, is_near))
    assert answer.estimate is not None
    (group,) = answer.estimate.groups
    assert abs(group.count.value / len(TOWN) - 1) < 5 * answer.estimate.error
    for field, factor in zip(group.fields, (1, 1_000, 0), strict=True):
        assert abs(field.sum.value - factor * sum(range(len(TOWN)))) <= 5 * answer.estimate.error * factor * 253
    assert sum(one.endpoint.counters["too large for a datagram"] for one in hosts) == 0
