"""A swarm: equals that know one another from the beginning, each with a service of the same kind.

It refuses to know grids, where devices find one another and register by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gossip_ws.core.config import FanoutTable, NodeConfig
from gossip_ws.core.peers import Role
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.contract import GossipPolicy
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import DeviceId
from gossip_ws.ports import Codec
from gossip_ws.sim.device import SimDevice
from gossip_ws.sim.numbers import NumberService
from gossip_ws.sim.world import World

_FOREVER: Final = 1e9
"""Seconds for which they hold one another: nobody registers, so nobody renews."""


def address(host: str) -> Address:
    """Where the gossip endpoint of a simulated host is."""
    return Address(Binding.UDP, host, 3702, "/gossip")


def device_id(number: int) -> DeviceId:
    return DeviceId(f"urn:uuid:{number:08x}-0000-4000-8000-000000000000")


def swarm(
    world: World,
    size: int,
    fanout: int,
    rounds: int,
    policy: GossipPolicy | None = None,
    make: Callable[[int, GossipPolicy], Any] = NumberService,
    *,
    known: int | None = None,
    codec: Callable[[], Codec] | None = None,
    **settings: Any,
) -> tuple[list[SimDevice], list[Any]]:
    """`size` equals at the hosts n0, n1, ..., and their services, each made of its number and `policy`.

    fanout, rounds: the budget of a message that names none. known: how many others each draws whom it knows; two
    know each other when one has drawn the other; None: everybody knows everybody. codec: makes each device's own.
    `settings`: of `NodeConfig`. Raises LocalError when `known` is no number of others.
    """
    if known is not None and not 0 <= known < size:
        raise LocalError(f"a device among {size} knows at most {size - 1}, not {known}")
    services = [make(number, policy or GossipPolicy(aggregate="sum")) for number in range(size)]
    table = FanoutTable(((1_000_000, fanout, rounds),))
    devices = [
        SimDevice(
            world,
            NodeConfig(
                device=device_id(number), role=Role.SUBSTATION, udp=address(f"n{number}"), wide=table, **settings
            ),
            (service,),
            codec=codec() if codec is not None else None,
        )
        for number, service in enumerate(services)
    ]
    # One entry of each, which all share: of a thousand devices there are a million.
    peers = [device.peer for device in devices]
    for number, device in enumerate(devices):
        put = device.endpoint.peers.put
        for other in range(size) if known is None else world.dice.sample(range(size), known):
            if other != number:
                put(peers[other], _FOREVER, proven=True)
                if known is not None:
                    devices[other].endpoint.peers.put(peers[number], _FOREVER, proven=True)
    return devices, services
