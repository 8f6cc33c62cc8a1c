"""The devices of one process of the city that route energy, and those that tell on what is said of it.

Each prosumer has a key, an energy plane and a Routing service; substations and the information system pass on what it
says, and all others stand by. Decides nothing of what flows where; knows no other process.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, Final

from gossip_ws.core.peers import Role
from gossip_ws.devices.city_assignment import Assignment
from gossip_ws.devices.city_routing import SCOPE, draw, key_file
from gossip_ws.devices.energy import EnergyPlane
from gossip_ws.devices.hearsay import Hearsay
from gossip_ws.devices.host import ServiceFactory
from gossip_ws.devices.relay import Bystander, Relay
from gossip_ws.devices.router import Router
from gossip_ws.grid.population import Population
from gossip_ws.kernel.names import DeviceId
from gossip_ws.ports import Clock
from gossip_ws.security.keys import PrivateKey, PublicKey
from gossip_ws.services.routing import routing_service

ENERGY_PORT: Final = 20_077
"""Where prosumers hear of the energy on their links; each has an address of its own."""
PATIENCE: Final = 5
"""Ticks after which a flow that was not heard of again counts as gone."""


class Prosumers:
    """Those of one process. `address`: of each device. Raises LocalError: no such plan can be drawn."""

    def __init__(
        self, assignment: Assignment, population: Population, address: Callable[[DeviceId], str], clock: Clock
    ) -> None:
        self._assignment = assignment
        self._plan = draw(population, assignment.prosumers, assignment.seed, assignment.tick)
        self._telling = len(self._plan.nodes) + 1 + len(population.substations)
        self._address = address
        self._clock = clock
        self._owners = {node: PublicKey.from_raw(bytes.fromhex(key)) for node, key in enumerate(assignment.energy_keys)}
        self._planes: dict[int, EnergyPlane] = {}
        self._routers: dict[int, Router] = {}
        self._relays: list[Relay] = []

    @property
    def tellers(self) -> PrivateKey:
        """By which all who route or tell on sign their messages. Raises LocalError where it cannot be read."""
        return PrivateKey.load(key_file(self._assignment.energy_folder))

    def routing(self, role: Role, device: DeviceId, place: str) -> tuple[tuple[str, ...], tuple[ServiceFactory, ...]]:
        """The scopes and the Routing service of a device. What is said goes by way of the WAN from meter to meter.
        Raises LocalError where its key cannot be read."""
        assignment, plan = self._assignment, self._plan
        node = plan.numbers.get(device)
        tells = node is not None or role in (Role.INFORMATION_SYSTEM, Role.SUBSTATION)
        if not tells:
            return (place,), (lambda _: routing_service(Bystander()),)
        dice = Random(f"{assignment.seed} energy {device if node is None else node}")
        hearsay = Hearsay(self._owners, self._telling, scope=SCOPE, clock=self._clock, fanout=assignment.fanout)
        if node is None:
            relay = Relay(hearsay, plan.tick, self._clock, dice)
            self._relays.append(relay)
            return (place, SCOPE), (relay.service,)
        hosts = {number: (self._address(one), ENERGY_PORT) for number, one in enumerate(plan.nodes)}
        plane = EnergyPlane(node, plan.instance.capacity, hosts, PATIENCE * plan.tick, dice, time.monotonic)
        router = Router(
            node,
            plan.instance.capacity,
            plan.demands(node),
            plane,
            hearsay,
            PrivateKey.load(key_file(assignment.energy_folder, node)),
            tick=plan.tick,
            clock=self._clock,
            dice=dice,
        )
        self._planes[node], self._routers[node] = plane, router
        return (place, f"{SCOPE}/{node}"), (router.service,)

    async def open(self, device: DeviceId) -> None:
        """If it is a prosumer, it listens. Raises LocalError when its address cannot be had."""
        node = self._plan.numbers.get(device)
        if node is not None:
            await self._planes[node].open()

    def close(self) -> None:
        for one in self._tellers():
            one.stop()
        for plane in self._planes.values():
            plane.close()

    # -- commands ------------------------------------------------------------------------------

    @property
    def commands(self) -> dict[str, Callable[..., Any]]:
        """What a process is told of them, by name."""
        return {"route": self.start, "flows": self.flows, "link": self.link}

    def start(self) -> None:
        """The prosumers here begin to route, and others to tell on what they say."""
        for one in self._tellers():
            one.start()

    def flows(self) -> list[tuple[list[int], float]]:
        """(path, kb) of the prosumers here."""
        return [(list(path), kb) for router in self._routers.values() for path, kb in router.flows.items()]

    def link(self, source: str, target: str, capacity: str) -> None:
        """A link of a prosumer here has another capacity (kb); of one elsewhere, nothing."""
        if int(source) in self._routers:
            self._routers[int(source)].change((int(source), int(target)), float(capacity))

    def counted(self) -> Counter[str]:
        """What those here counted that route or tell on."""
        total: Counter[str] = Counter()
        for one in self._tellers():
            total.update(one.counters)
        for plane in self._planes.values():
            total.update(plane.counters)
        return total

    def _tellers(self) -> list[Router | Relay]:
        return [*self._routers.values(), *self._relays]
