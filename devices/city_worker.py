"""One process of the city: some substation areas, or the information system, on real sockets.

Told what to do by lines of JSON on its standard input, answers each with one line on its standard output.
Run as `python -m gossip_ws.devices.city_worker`; `city` starts it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from inspect import isawaitable
from pathlib import Path
from random import Random
from typing import Any

from gossip_ws.core.peers import Role
from gossip_ws.devices.city_assignment import Assignment
from gossip_ws.devices.city_balance import draw as balance_plan
from gossip_ws.devices.city_balance import population as dealt_out
from gossip_ws.devices.city_balancers import Balancers
from gossip_ws.devices.city_loads import Loads, idle
from gossip_ws.devices.city_prosumers import Prosumers
from gossip_ws.devices.hearsay import GRADIENTS
from gossip_ws.devices.host import Host, HostSettings, ServiceFactory
from gossip_ws.devices.load import Load
from gossip_ws.endpoint.discovery import Listener
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.filters.runner import AsyncRunner
from gossip_ws.grid.faults import Fate, places
from gossip_ws.grid.population import Population, choose, load
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import BALANCE, METERING, REPORT, ROUTING, TARIFF, DeviceId, GossipId
from gossip_ws.net.clock import LoopClock
from gossip_ws.net.limits import raise_open_files
from gossip_ws.net.loss import Lossy
from gossip_ws.net.multicast import Group, Multicast
from gossip_ws.ports import Network
from gossip_ws.security.authority import CallerRule, Originator, Trust
from gossip_ws.security.keys import PrivateKey, PublicKey
from gossip_ws.security.passwords import PasswordHash
from gossip_ws.security.verifier import TrustVerifier
from gossip_ws.services.tariff import HeldTariff
from gossip_ws.wire.gossip import XmlCodec

ACTIONS = frozenset(
    {
        f"{TARIFF}:SetTariff",
        f"{METERING}:GetDemand",
        f"{METERING}:GetMeasurement",
        f"{REPORT}:GetReport",
        f"{ROUTING}:GetGradients",
        f"{BALANCE}:GetResidual",
    }
)
"""What the information system of the city may originate. Who routes, or tells on what is said of links, may originate
gradients; nobody else may originate anything."""
OPENED_AT_ONCE = 50
"""Devices opened before the loop turns to those that are open already."""
CROWDED = {"probe_quiet": 30.0, "shuffle_period": 60.0, "lease": 300.0}
"""Hundreds of devices share a processor here. At their own pace, made for a processor each, they would take half of one
to ask one another whether they are there, and to renew their registrations. A death is noticed after half a minute
instead of six seconds."""
NEWS_UNDER_LOSS = 2.0
"""Seconds, as `pull_period`, where datagrams are lost: the demo waits for what repair brings."""


class Worker:
    """The devices of one process."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        drawn = dealt_out if assignment.balance else _drawn
        self._population = drawn(assignment.grid, assignment.meters, assignment.seed)
        self._numbers = {place.device: place.number for place in places(self._population)}
        self._fate = Fate.draw(self._population, assignment.crash, assignment.seed)
        self._group = Group(port=assignment.group_port)
        self._clock = LoopClock()
        self._listener = Listener(self._clock)
        self._multicast = Multicast(["127.0.0.1"], self._group)
        self._codec = XmlCodec()
        self._runner = AsyncRunner()
        self._combiner = FilterCombiner(self._runner)
        self._hosts: list[Host] = []
        self._crashed: list[Host] = []
        self._accepted: dict[DeviceId, float] = {}
        self.prosumers: Prosumers | None = None
        if assignment.prosumers:
            self.prosumers = Prosumers(assignment, self._population, self._address, self._clock)
        self.balancers: Balancers | None = None
        if assignment.balance:
            plan = balance_plan(
                self._population,
                assignment.day,
                assignment.seed,
                assignment.round,
                flexible=assignment.flexible,
                overstate=assignment.overstate,
            )
            operator = PublicKey.from_pem(assignment.public_key.encode())
            self.balancers = Balancers(plan, Path(assignment.folder), operator, self._clock)
        self._verifier = self._verifier_of(assignment)
        self._cut: frozenset[str] = frozenset()

    async def open(self) -> None:
        """Bring every device up. Discovery and enrolment go on by themselves."""
        self._multicast.open(self._listener.receive)
        for number, host in enumerate(self._build(), 1):
            self._hosts.append(host)
            await host.open()
            if self.prosumers is not None:
                await self.prosumers.open(host.settings.device)
            if number % OPENED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def close(self) -> None:
        for host in self._hosts:
            await host.close(leave=False)
        if self.prosumers is not None:
            self.prosumers.close()
        if self.balancers is not None:
            self.balancers.close()
        self._multicast.close()
        self._runner.close()

    # -- commands ------------------------------------------------------------------------------

    def addresses(self) -> dict[str, str]:
        """The HTTP address of the first device of each role here that no crash takes or cuts off."""
        first: dict[str, str] = {}
        for host in self._hosts:
            if self._fate.is_served(host.settings.device):
                first.setdefault(host.settings.role.value, str(host.http))
        return first

    def known(self) -> int:
        """Devices registered anywhere below the first device here."""
        return sum(peer.subtree for peer in self._hosts[0].endpoint.peers)

    def told(self) -> bool:
        """Do all devices here stand in the books of those above them, with everybody below?"""
        return all(host.endpoint.node.is_told for host in self._hosts)

    async def crash(self) -> None:
        """All that go down do so at once: every socket is closed before the first of them is waited for."""
        down = [host for host in self._hosts if host.settings.device in self._fate.crashed]
        self._hosts = [host for host in self._hosts if host not in down]
        await asyncio.gather(*(host.crash() for host in down))
        self._crashed += down

    def contributed(self, id: str) -> dict[int, tuple[list[int] | None, list[int]]]:
        """What the devices here say themselves of the request `id` (hexadecimal): `grid.faults.Own` of each that took
        part, the own value as the device announces it now."""
        day = date.fromisoformat(self._assignment.day)
        found: dict[int, tuple[list[int] | None, list[int]]] = {}
        for host in self._hosts:
            own, children = host.endpoint.node.taken(GossipId(bytes.fromhex(id)))
            if own or children:
                energies = [energies for _, energies in host.load.demand(day)]
                value = [sum(column) for column in zip(*energies, strict=True)] if own else None
                found[self._numbers[host.settings.device]] = (value, [self._numbers[child] for child in children])
        return found

    def counters(self) -> dict[str, int]:
        """Envelopes sent, duplicates, drops by reason and, of what a full queue dropped, by class, over all devices
        here."""
        total: Counter[str] = Counter()
        for host in (*self._hosts, *self._crashed):
            total.update(host.endpoint.counters)
            dropped, by_class = host.network.counters.dropped, host.network.counters.crowded_out
            total.update({f"network: {drop.value}": count for drop, count in dropped.items()})
            total.update({f"network: {drop.value}, {of.name.lower()}": count for (drop, of), count in by_class.items()})
            if host.network.overflowed:
                total["network: lost in the system's buffer"] += host.network.overflowed
        return dict(total)

    def accepted(self) -> list[float]:
        """When each device here that no crash takes or cuts off accepted a tariff, monotonic s of this machine."""
        return sorted(at for device, at in self._accepted.items() if self._fate.is_served(device))

    def routed(self) -> dict[str, int]:
        """What the devices here counted that route or tell on, and the envelopes that these sent, in all and with
        reports in them."""
        total = self.prosumers.counted() if self.prosumers is not None else Counter()
        for host in self._hosts:
            if len(host.settings.scopes) > 1:
                total["envelopes"] += host.endpoint.counters["sent"]
                # Nothing else is gossiped while they route, but for what an operator asks.
                total["gossips"] += host.endpoint.counters["sent Gossip"]
                total["devices"] += 1
        return dict(total)

    def counted(self) -> dict[str, int]:
        """What the devices here counted that balance, and the envelopes by which announcements and pulls go. Nothing
        else is gossiped while they balance, but for what an operator asks."""
        total = self.balancers.counted() if self.balancers is not None else Counter()
        for host in self._hosts:
            for kind in ("sent Gossip", "sent Receipt", "sent Partial", "sent Fetch"):
                total[kind] += host.endpoint.counters[kind]
        return dict(total)

    def cut(self, scope: str) -> None:
        """Nothing gets through between the area of a substation and the rest of the city, as far as devices here are
        concerned."""
        area = next(one for one in self._population.substations if one.scope == scope)
        devices = [area.device]
        for meter in area.meters:
            devices += [meter.device, *(appliance.device for appliance in meter.appliances)]
        self._cut = frozenset(map(self._address, devices))

    def heal(self) -> None:
        """Everything gets through again."""
        self._cut = frozenset()

    # -- building ------------------------------------------------------------------------------

    def _verifier_of(self, assignment: Assignment) -> TrustVerifier:
        key = PrivateKey.load(Path(assignment.key_file)) if assignment.key_file else None
        top = PublicKey.from_pem(assignment.public_key.encode())
        originators: tuple[Originator, ...] = (Originator(top, ACTIONS),)
        if self.prosumers is not None:
            tellers = self.prosumers.tellers
            originators = (
                Originator(top, ACTIONS | {GRADIENTS}),
                Originator(tellers.public, frozenset({GRADIENTS})),
            )
            key = key or tellers
        if self.balancers is not None:
            originators += self.balancers.announcers
        callers: tuple[CallerRule, ...] = ()
        if assignment.user:
            callers = (CallerRule(ACTIONS, assignment.user, PasswordHash.parse(assignment.password_hash)),)
        return TrustVerifier(Trust(originators, callers), key, self._clock)

    def _build(self) -> Iterator[Host]:
        population, assignment = self._population, self._assignment
        if not assignment.seed_address:
            yield self._host(Role.INFORMATION_SYSTEM, population.device, population.scope, idle())
            return
        seeds = (Address.parse(assignment.seed_address),)
        for area in assignment.areas:
            substation = population.substations[area]
            loads = Loads(population, substation, assignment.day, assignment.seed)
            yield self._host(Role.SUBSTATION, substation.device, substation.scope, loads.station(), seeds)
            for meter in substation.meters:
                yield self._host(Role.METER, meter.device, meter.scope, loads.of(meter))
                for appliance in meter.appliances:
                    yield self._host(Role.APPLIANCE, appliance.device, appliance.scope, loads.of(appliance))

    def _host(self, role: Role, device: DeviceId, scope: str, load: Load, seeds: tuple[Address, ...] = ()) -> Host:
        assignment = self._assignment
        scopes: tuple[str, ...] = (scope,)
        services: tuple[ServiceFactory, ...] = ()
        verifier = self._verifier
        if self.balancers is not None:
            services = (self.balancers.service(device),)
            verifier = self.balancers.verifier(device, verifier)
        if self.prosumers is not None:
            scopes, services = self.prosumers.routing(role, device, scope)
        settings = HostSettings(
            device=device,
            role=role,
            scopes=scopes,
            host=self._address(device),
            udp_port=assignment.port,
            http_port=assignment.port,
            group=self._group,
            seeds=seeds,
            incarnation=int(time.time()),
            node={**CROWDED, "pull_period": NEWS_UNDER_LOSS} if assignment.loss else CROWDED,
        )
        wrap = None
        if assignment.loss or assignment.balance:
            wrap = partial(self._lossy, settings.host, Random(f"{assignment.seed} {scope}"))
        host = Host(
            settings,
            load,
            verifier,
            self._combiner,
            listener=self._listener,
            codec=self._codec,
            wrap=wrap,
            services=services,
        )

        def accepted(_: HeldTariff) -> None:
            self._accepted.setdefault(device, time.monotonic())

        host.tariffs.listeners.append(accepted)
        return host

    def _address(self, device: DeviceId) -> str:
        number = self._numbers[device]
        return f"{self._assignment.network}.{1 + number // 250}.{1 + number % 250}"

    def _lossy(self, host: str, dice: Random, network: Network) -> Network:
        def apart(other: Address) -> bool:
            return (host in self._cut) != (other.host in self._cut)

        return Lossy(network, self._assignment.loss, dice, apart=apart)


def _drawn(grid: str, meters: int, seed: int) -> Population:
    return choose(load(grid), meters, seed)


async def serve(lines: asyncio.StreamReader, say: Callable[[object], None]) -> None:
    """Carry out one command a line until the input ends, then close everything."""
    worker = Worker(Assignment.read((await lines.readline()).decode()))
    commands: dict[str, Callable[..., Any]] = {
        "addresses": worker.addresses,
        "known": worker.known,
        "told": worker.told,
        "contributed": worker.contributed,
        "counters": worker.counters,
        "accepted": worker.accepted,
        "crash": worker.crash,
        "cut": worker.cut,
        "heal": worker.heal,
    }
    if worker.prosumers is not None:
        commands |= {**worker.prosumers.commands, "routed": worker.routed}
    if worker.balancers is not None:
        commands |= {**worker.balancers.commands, "counted": worker.counted}
    try:
        await worker.open()
        say("open")
        while line := await lines.readline():
            command, *arguments = line.decode().split()
            reply = commands[command](*arguments)
            say(await reply if isawaitable(reply) else reply)
    finally:
        await worker.close()


async def main() -> None:
    # Ctrl-C reaches the whole process group: the parent decides, and closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_open_files()
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    def say(reply: object) -> None:
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()

    try:
        await serve(lines, say)
    except LocalError as error:
        say({"error": str(error)})


if __name__ == "__main__":
    asyncio.run(main())
