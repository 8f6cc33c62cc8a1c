"""Every variant over real sockets: twelve substations that know one another, one tariff each way."""

import asyncio
from uuid import NAMESPACE_URL, uuid5

import pytest

from gossip_ws.core.config import FanoutTable
from gossip_ws.core.peers import Role
from gossip_ws.devices.host import Host, HostSettings
from gossip_ws.devices.load import Load, no_tasks
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.kernel.names import TARIFF, DeviceId
from gossip_ws.kernel.terms import Variant, Wanted
from gossip_ws.security.development import DevelopmentVerifier
from gossip_ws.services.metering import Measured
from gossip_ws.services.tariff import HeldTariff

SIZE = 12
DEADLINE = 15.0


def tariff(version: int) -> bytes:
    return (
        f'<t:SetTariff xmlns:t="{TARIFF}"><t:tariff><t:id>night</t:id><t:version>{version}</t:version>'
        "<t:start>2026-01-01T00:00:00Z</t:start><t:end>2999-01-01T00:00:00Z</t:end><t:band>"
        "<t:fromMinute>0</t:fromMinute><t:toMinute>480</t:toMinute><t:price>0.1</t:price></t:band></t:tariff>"
        "</t:SetTariff>"
    ).encode()


def host(number: int) -> Host:
    scope = f"grid://variants/{number}"
    settings = HostSettings(
        DeviceId(uuid5(NAMESPACE_URL, scope).urn),
        Role.SUBSTATION,
        (scope,),
        f"127.7.0.{number + 1}",
        discover=False,
        incarnation=1,
        node={"pull_period": 0.4, "wide": FanoutTable(((SIZE, 3, 4),))},
    )
    return Host(settings, Load("station", no_tasks, Measured(0, 0, 0)), DevelopmentVerifier(), FilterCombiner())


async def push_everywhere(variant: Variant) -> list[int]:
    """How often each device was handed the tariff, once everyone has it or the time is up."""
    hosts = [host(number) for number in range(SIZE)]
    try:
        for one in hosts:
            await one.open()
        for one in hosts:
            for other in hosts:
                if other is not one:
                    one.endpoint.peers.put(other.endpoint.own, 1e12, proven=True)
        operation = hosts[0].endpoint.hosting.operation(f"{TARIFF}:SetTariff")
        assert operation is not None
        everywhere = asyncio.Event()

        def accepted(_: HeldTariff) -> None:
            if all(one.tariffs.current for one in hosts):
                everywhere.set()

        for one in hosts:
            one.tariffs.listeners.append(accepted)
        hosts[0].endpoint.start(operation, tariff(1), Wanted(variant=variant))
        await asyncio.wait_for(everywhere.wait(), DEADLINE)
        return [one.endpoint.counters["delivered"] for one in hosts[1:] if one.tariffs.current]
    finally:
        for one in hosts:
            await one.close(leave=False)


@pytest.mark.parametrize("variant", list(Variant))
def test_everyone_has_the_tariff_and_was_handed_it_once(variant: Variant) -> None:
    assert asyncio.run(push_everywhere(variant)) == [1] * (SIZE - 1)
