"""Three meters of one street agree on an hour, and tell in the evening what they have seen: one process, real sockets.

A roof announces twice what it gives. On the next day its neighbours believe it less. Run it with `python street.py`.
"""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.instance import Device, Feeder, Instance
from gossip_ws.consensus.log import agreements
from gossip_ws.consensus.trust import Roll
from gossip_ws.core.peers import Role
from gossip_ws.devices.balancer import Balancer
from gossip_ws.devices.bystander import bystander
from gossip_ws.devices.config import Energy
from gossip_ws.devices.host import Host, HostSettings
from gossip_ws.devices.ledger import Ledger
from gossip_ws.devices.smart_meter import load
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.kernel.names import DeviceId
from gossip_ws.net.clock import LoopClock
from gossip_ws.security.development import DevelopmentVerifier
from gossip_ws.security.keys import PrivateKey

ROOF, SHOP, HOUSE = (f"urn:uuid:{UUID(int=number)}" for number in (1, 2, 3))
ANNOUNCED = {SHOP: -1500, HOUSE: -1500, ROOF: 2000}  # W in the one hour; given is positive, needed negative
SEEN = ANNOUNCED | {ROOF: 1000}  # by the meters
PLACES = {device: f"grid://town/1/{number}" for number, device in enumerate(ANNOUNCED, 1)}

# The feeder: the shop hangs at the busbar, the house at the shop, the roof at the house, by so many micro-ohm.
feeder = Feeder((0, 0, 1, 2), (0, 100, 100, 100))
street = Instance(feeder, tuple(Device(one, bus, (ANNOUNCED[one],), "1") for bus, one in enumerate(PLACES, 1)), 1)
# In the field the operator enrols these, `gossip-ws key enrol`, each device with its meter's key.
keys, meters = ({device: PrivateKey.generate() for device in PLACES} for _ in range(2))
roll = Roll(
    {device: key.public.verifies for device, key in keys.items()},
    meters={device: key.public.verifies for device, key in meters.items()},
)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.1)


async def main(folder):
    station = HostSettings(DeviceId(f"urn:uuid:{UUID(int=9)}"), Role.SUBSTATION, ("grid://town/1",), "127.1.1.9")
    hosts = [Host(station, load(Energy()), DevelopmentVerifier(), FilterCombiner(), services=(bystander,))]
    await hosts[0].open()
    balancers = {}
    for number, (device, place) in enumerate(PLACES.items(), 1):
        balancers[device] = Balancer(
            device,
            build(street),
            Pace(round=0.1),
            Ledger(Path(folder, f"{number}.ledger"), device),
            clock=LoopClock(),
            place=PLACES.get,
            sign=keys[device].sign,
            meter=meters[device].sign,
            roll=roll,
        )
        settings = HostSettings(
            DeviceId(device), Role.METER, (place,), f"127.1.1.{number}", seeds=(hosts[0].http.at("/Peers"),)
        )
        hosts.append(
            Host(
                settings, load(Energy()), DevelopmentVerifier(), FilterCombiner(), services=(balancers[device].service,)
            )
        )
        await hosts[-1].open()
    await until(lambda: all(host.endpoint.node.is_enrolled for host in hosts[1:]))

    def sold(day):
        made = agreements({device: balancer.log for device, balancer in balancers.items()})
        return sum(sum(one.watts) for one in made if one.day == day)

    for day in range(2):
        for device, balancer in balancers.items():
            offer = balancer.change if day else balancer.start
            offer(day, (ANNOUNCED[device],))
        await until(lambda day=day: sold(day) > 1700)
        print(f"day {day}: {sold(day)} W of the roof are promised to its neighbours")
        for device, balancer in balancers.items():
            balancer.metered(day, (SEEN[device],))
        await until(lambda day=day: ROOF in balancers[HOUSE].scores and balancers[HOUSE].scores[ROOF].day == day)
        print(f"        the house believes {balancers[HOUSE].scores[ROOF].gives / 1000:.3f} of it")
    for balancer in balancers.values():
        balancer.stop()
    for host in hosts:
        await host.close()


with TemporaryDirectory() as folder:
    asyncio.run(main(folder))
