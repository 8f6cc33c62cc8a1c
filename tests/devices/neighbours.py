"""Meters of a drawn grid that balance over real sockets, below real substations and an information system."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import UUID

from lxml import etree

sys.path.insert(0, str(Path(__file__).parents[1] / "consensus"))
from grids import grid

from gossip_ws.consensus.card import Card
from gossip_ws.consensus.clusters import Hierarchy, build
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.log import Log
from gossip_ws.consensus.trust import Roll, Sealed
from gossip_ws.core.messages import Tally
from gossip_ws.core.peers import Role
from gossip_ws.devices.balancer import Balancer
from gossip_ws.devices.host import Host, HostSettings, ServiceFactory, role_type
from gossip_ws.devices.ledger import Ledger
from gossip_ws.devices.load import Load, no_tasks
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.names import BALANCE, DeviceId, qname
from gossip_ws.kernel.scopes import covers
from gossip_ws.kernel.terms import Wanted
from gossip_ws.net.clock import LoopClock
from gossip_ws.net.loss import Lossy
from gossip_ws.ports import Gossip, HostedService, Network
from gossip_ws.security.development import DevelopmentVerifier
from gossip_ws.security.keys import PrivateKey
from gossip_ws.services.balancing import Reported, Residual, balance_service
from gossip_ws.services.metering import Measured

DEADLINE = 60.0
QUIET = {"pull_period": 86_400.0, "lease": 86_400.0, "peers_max_age": 86_400.0, "view_scopes": ()}
PACE = Pace(round=0.08)


def device_id(number: int) -> str:
    return f"urn:uuid:{UUID(int=number)}"


def drawn(devices: int, seed: int, periods: int = 2, *, area: int = 8, watts: int = 3000) -> Instance:
    """Areas of so many devices on feeders of 8, named as devices are; each gives or needs up to `watts` by chance."""
    made: Instance = grid(devices, seed, periods, area=area, watts=watts, feeder=8, named=_named)
    return made


def _named(number: int, area: int) -> tuple[str, str]:
    return device_id(1000 + number), f"grid://town/{area}"


class Bystander:
    """What passes questions on and has nothing to agree about."""

    def told(self, sealed: Sealed, cards: Sequence[Card]) -> None:
        raise AssertionError("nobody speaks to one that does not balance")

    def asked(self, sealed: Sealed) -> Reported | None:
        return None

    def residual(self, day: int | None) -> Residual | None:
        return None


def bystander(_: Gossip) -> HostedService:
    return balance_service(Bystander())


@dataclass
class Neighbours:
    """All in one event loop. `network`: two octets of the loopback addresses."""

    instance: Instance
    folder: Path
    network: str
    loss: float = 0.0
    keys: dict[str, PrivateKey] | None = None
    meters: dict[str, PrivateKey] = field(default_factory=dict)
    """Of devices whose meter has another key than they."""
    pace: Pace = PACE
    size: int = 8
    hosts: dict[str, Host] = field(default_factory=dict)
    balancers: dict[str, Balancer] = field(default_factory=dict)
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    seeds: dict[str, Address] = field(default_factory=dict)
    """By area, the substation's Peer Service."""
    elsewhere: frozenset[str] = frozenset()
    """Meters of another process."""

    def __post_init__(self) -> None:
        if self.keys is not None:
            keys, meters = ({name: key.public.verifies for name, key in of.items()} for of in (self.keys, self.meters))
            self.roll: Roll | None = Roll(keys, meters=meters)
        else:
            self.roll = None
        self.join(self.instance)

    def join(self, instance: Instance) -> None:
        """From now on these are the devices, for whoever comes up, and for those that are told so."""
        self.instance = instance
        self.hierarchy: Hierarchy = build(self.instance, self.size)
        self.offers = {device.id: device.watts for device in self.instance.devices}
        self.areas = {device.id: device.area for device in self.instance.devices}
        self.places = {device.id: f"{device.area}/{number}" for number, device in enumerate(self.instance.devices)}

    async def open(self) -> None:
        """The information system, the substations, and all meters that are not of another process."""
        self.clock = LoopClock()
        top = await self._host(device_id(1), Role.INFORMATION_SYSTEM, "grid://town", None)
        for number, area in enumerate(dict.fromkeys(device.area for device in self.instance.devices)):
            substation = await self._host(device_id(100 + number), Role.SUBSTATION, area, top.http.at("/Peers"))
            self.seeds[area] = substation.http.at("/Peers")
            for device in self.instance.devices:
                if device.area == area and device.id not in self.elsewhere:
                    await self.up(device.id)

    async def up(self, device: str, on: Ledger | None = None) -> None:
        """A meter comes up, for the first time or again; it does not balance yet. `on`: a ledger of its own kind."""
        ledger = self.ledgers[device] = on or Ledger(self.folder / f"{UUID(device)}.ledger", device)
        key = self.keys[device] if self.keys is not None else None
        balancer = self.balancers[device] = Balancer(
            device,
            self.hierarchy,
            self.pace,
            ledger,
            clock=self.clock,
            place=lambda other: self.places.get(other, ""),
            sign=key.sign if key is not None else None,
            meter=self.meters[device].sign if device in self.meters else None,
            roll=self.roll,
        )
        seed = self.seeds[self.areas[device]]
        await self._host(device, Role.METER, self.places[device], seed, balancer.service)

    def start(self, day: int = 0) -> None:
        told = self.instance.by_id()
        for device, balancer in self.balancers.items():
            balancer.start(day, self.offers[device], told[device].ability)

    async def crash(self, device: str) -> None:
        """It goes down in the middle of whatever it does: what is not written yet never will be."""
        self.ledgers[device].close()
        self.balancers.pop(device).stop()
        await self.hosts.pop(device).crash()

    @property
    def logs(self) -> dict[str, Log]:
        return {device: ledger.records() for device, ledger in self.ledgers.items()}

    def is_done(self) -> bool:
        """Is nothing in doubt, and nothing left that two could agree on?"""
        if any(balancer.is_busy for balancer in self.balancers.values()):
            return False
        columns = zip(*(balancer.rest for balancer in self.balancers.values()), strict=True)
        return not any(max(column) > 0 > min(column) for column in columns)

    async def until(self, condition: Callable[[], bool], what: str) -> float:
        """Seconds until it holds. Raises AssertionError after the deadline."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not condition():
            assert loop.time() < began + DEADLINE, f"not in time: {what}"
            await asyncio.sleep(0.03)
        return loop.time() - began

    async def close(self) -> None:
        for balancer in self.balancers.values():
            balancer.stop()
        for host in self.hosts.values():
            await host.close(leave=False)
        for ledger in self.ledgers.values():
            ledger.close()

    async def _host(
        self, device: str, role: Role, scope: str, seed: Address | None, service: ServiceFactory = bystander
    ) -> Host:
        number = UUID(device).int
        settings = HostSettings(
            device=DeviceId(device),
            role=role,
            scopes=(scope,),
            host=f"{self.network}.{number // 250}.{1 + number % 250}",
            seeds=(seed,) if seed is not None else (),
            discover=False,
            incarnation=time.time_ns() // 1_000_000,
            node=QUIET,
        )
        nothing = Load("station", no_tasks, Measured(0.0, 0.0, 0.0))
        dice = Random(f"loss/{device}")

        def lossy(network: Network) -> Network:
            return Lossy(network, self.loss, dice)

        host = Host(
            settings,
            nothing,
            DevelopmentVerifier(),
            FilterCombiner(None),
            services=(service,),
            wrap=lossy if self.loss else None,
        )
        await host.open()
        self.hosts[device] = host
        if seed is not None:
            await self.until(lambda: host.endpoint.node.is_enrolled, f"{scope} enrolled")
        return host

    async def residual(self, scope: str) -> dict[str, tuple[int, ...]]:
        """W by field and period, summed by the devices on the way up to the information system, which asks. Where
        messages are lost not every pull is whole: it asks again, five times at most."""
        below = [device for device, place in self.places.items() if covers(scope, place)]
        for _ in range(5):
            value, tally = await self._asked(Wanted(scopes=(scope,), types=(role_type(Role.METER),)))
            if tally.contributors == len(below):
                break
        assert tally.contributors == len(below)
        assert isinstance(value, bytes), value
        (row,) = etree.fromstring(value).iter(qname(BALANCE, "Residual"))
        found: dict[str, tuple[int, ...]] = {}
        for one in row:
            name = one.tag.partition("}")[2]
            found[name] = (*found.get(name, ()), int(one.text or ""))
        return found

    async def _asked(self, wanted: Wanted) -> tuple[object, Tally]:
        answered: asyncio.Future[tuple[object, Tally]] = asyncio.get_running_loop().create_future()
        self.hosts[device_id(1)].endpoint.ask(
            f"{BALANCE}:GetResidual",
            f'<GetResidual xmlns="{BALANCE}"/>'.encode(),
            wanted,
            lambda value, tally: answered.set_result((value, tally)),
        )
        return await answered

    def calls(self) -> int:
        """Messages of consensus that all devices have sent to another one."""
        told = (one for balancer in self.balancers.values() for one in balancer.counters.items())
        return sum(count for name, count in told if name.startswith("sent "))

    def messages(self) -> int:
        """These, and all envelopes by which announcements have spread: all that is gossiped until an area is asked."""
        kinds = ("sent Gossip", "sent Receipt", "sent Fetch")
        return self.calls() + sum(host.endpoint.counters[kind] for host in self.hosts.values() for kind in kinds)


async def _process(folder: str, network: str, seed: str, *numbers: str) -> None:
    """Some meters of one area in a process of their own, until it is killed. They say `up` when they balance."""
    instance = drawn(*map(int, numbers))
    mine = frozenset(device.id for device in instance.devices[len(instance.devices) // 2 :])
    neighbours = Neighbours(instance, Path(folder), network)
    neighbours.clock = LoopClock()
    neighbours.seeds[instance.devices[0].area] = Address.parse(seed)
    for device in mine:
        await neighbours.up(device)
    neighbours.start()
    sys.stdout.write("up\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_process(*sys.argv[1:]))
