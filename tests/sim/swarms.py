"""Whole grids, for the stories of this folder."""

from gossip_ws.core.config import FanoutTable, NodeConfig
from gossip_ws.core.peers import Role
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.sim.device import SimDevice
from gossip_ws.sim.numbers import NumberService, notify_request
from gossip_ws.sim.swarm import address, device_id
from gossip_ws.sim.world import World

PUSH = notify_request("news")


def http(device: SimDevice) -> Address:
    return Address(Binding.HTTP, device.address.host, 80, "/Peers")


def grid(
    world: World,
    substations: int,
    meters: int,
    appliances: int,
    codec=None,
    make=NumberService,
    combiner=None,
    **settings,
):
    """An information system, its substations, their meters and appliances, that enrol by themselves. `combiner` makes
    the one of a host."""
    devices, services = [], []

    def add(role: Role, host: str, scope: str, seeds: tuple[Address, ...]) -> SimDevice:
        service = make(len(devices) + 1)
        config = NodeConfig(
            device=device_id(len(devices)),
            role=role,
            scopes=(scope,),
            udp=address(host),
            seeds=seeds,
            wide=FanoutTable(((1_000_000, 6, 4),)),
            field=FanoutTable(((1_000_000, 2, 1),)),
            peers_per_host=4096,
            **settings,
        )
        services.append(service)
        own = combiner(host) if combiner is not None else None
        devices.append(SimDevice(world, config, (service,), codec=codec, combiner=own))
        return devices[-1]

    top = add(Role.INFORMATION_SYSTEM, "is", "grid://t", ())
    for s in range(substations):
        ssc = add(Role.SUBSTATION, f"ssc{s}", f"grid://t/{s}", (http(top),))
        for m in range(meters):
            meter = add(Role.METER, f"sm{s}.{m}", f"grid://t/{s}/{m}", (http(ssc),))
            for a in range(appliances):
                add(Role.APPLIANCE, f"ied{s}.{m}.{a}", f"grid://t/{s}/{m}/{a}", (http(meter),))
    known = world.run_until(lambda: sum(peer.subtree for peer in top.endpoint.peers) == len(devices) - 1, 120)
    assert known, "every device's registration reaches the top"
    return devices, services
