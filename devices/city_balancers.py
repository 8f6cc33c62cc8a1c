"""The devices of one process of the city that balance: each with a key, a ledger on disk, and a Balance service.

What a device needs beside its plan lies in one folder, so that a process that was killed finds it again. Decides
nothing of what is agreed; knows no other process.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from gossip_ws.consensus.log import Log
from gossip_ws.consensus.trust import Roll
from gossip_ws.consensus.vector import plus, zero
from gossip_ws.core.peers import Role
from gossip_ws.devices.balancer import Balancer
from gossip_ws.devices.bystander import bystander
from gossip_ws.devices.city_balance import BalancePlan
from gossip_ws.devices.city_standing import as_told, standing
from gossip_ws.devices.host import ServiceFactory, role_type
from gossip_ws.devices.ledger import Ledger, read
from gossip_ws.kernel.names import BALANCE
from gossip_ws.ports import Clock
from gossip_ws.security.authority import Originator
from gossip_ws.security.enrolment import Enrolments, enrol, load, save
from gossip_ws.security.keys import PrivateKey, PublicKey
from gossip_ws.security.verifier import TrustVerifier

ENROLMENTS: Final = "enrolments"
ANNOUNCED: Final = frozenset({f"{BALANCE}:Announce", f"{BALANCE}:Metered", f"{BALANCE}:Gather"})
DAY: Final = 86_400
"""Seconds for which the city's devices are enrolled."""
PATIENCE: Final = 100
"""Rounds that are waited for until a device that leaves has nothing open."""
_LOOK: Final = 0.02
"""Seconds between two looks at whether anything is open."""


def prepare(plan: BalancePlan, folder: Path, operator: PrivateKey) -> None:
    """Make the key of every device that agrees and that of its meter, and have the operator enrol them, in `folder`.
    Raises LocalError when that cannot be."""
    now = int(time.time())
    found = []
    for device in plan.instance.devices:
        key, meter = PrivateKey.generate(), PrivateKey.generate()
        key.save(_file(folder, device.id, "pem"))
        meter.save(_file(folder, device.id, "meter.pem"))
        place, since, until = plan.places[device.id], now - DAY, now + DAY
        found.append(enrol(operator, device.id, key.public, place, since, until, bus=device.bus, meter=meter.public))
    save(folder / ENROLMENTS, Enrolments(found))


def ledgers(plan: BalancePlan, folder: Path) -> dict[str, Log]:
    """What every device has on disk now, while it may be writing; nothing of one that has no ledger yet."""
    found = {}
    for device in plan.offers:
        path = _file(folder, device, "ledger")
        found[device] = read(path)[1] if path.is_file() else ()
    return found


def _file(folder: Path, device: str, kind: str) -> Path:
    return folder / f"{device.rpartition(':')[2]}.{kind}"


class Balancers:
    """Those of one process. `operator`: who has enrolled them. Raises LocalError for enrolments that are none."""

    def __init__(self, plan: BalancePlan, folder: Path, operator: PublicKey, clock: Clock) -> None:
        self._plan = plan
        self._folder = folder
        self._clock = clock
        enrolled = load(folder / ENROLMENTS, [operator]).at(clock.now().wall)
        self._roll = Roll(
            {device: enrolment.key.verifies for device, enrolment in enrolled.items()},
            {device: enrolment.bus for device, enrolment in enrolled.items() if enrolment.bus is not None},
            {device: enrolment.meter.verifies for device, enrolment in enrolled.items() if enrolment.meter is not None},
        )
        self.announcers = tuple(Originator(enrolment.key, ANNOUNCED) for enrolment in enrolled.values())
        """Every device that is enrolled may announce by gossip, also what its meter says, and gather by a pull."""
        self._balancers: dict[str, Balancer] = {}
        self._ledgers: list[Ledger] = []
        self._day = 0

    def service(self, device: str) -> ServiceFactory:
        """A device's own Balance service, on what it has on disk; that of a bystander where it has nothing to agree
        about. Raises LocalError when what is on disk is another's."""
        if device not in self._plan.offers:
            return bystander
        ledger = Ledger(_file(self._folder, device, "ledger"), device)
        self._ledgers.append(ledger)
        balancer = Balancer(
            device,
            self._plan.hierarchy,
            self._plan.pace,
            ledger,
            clock=self._clock,
            place=lambda other: self._plan.places.get(other, ""),
            types=() if any(device.ability for device in self._plan.instance.devices) else (role_type(Role.METER),),
            sign=self._key(device).sign,
            meter=self._key(device, "meter.pem").sign,
            roll=self._roll,
        )
        self._balancers[device] = balancer
        return balancer.service

    def verifier(self, device: str, common: TrustVerifier) -> TrustVerifier:
        """A device that agrees signs what it announces by gossip with its own key."""
        return common.of(self._key(device)) if device in self._plan.offers else common

    def start(self, day: str) -> None:
        """All of them offer their schedule for a day, whatever they have agreed for another."""
        self._day = int(day)
        for device, balancer in self._balancers.items():
            if balancer.is_running:
                balancer.change(self._day, *self._plan.offers[device])
            else:
                balancer.start(self._day, *self._plan.offers[device])

    def metered(self, day: str) -> None:
        """The day is over: all of their meters tell what they have seen."""
        for device, balancer in self._balancers.items():
            balancer.metered(int(day), self._plan.seen[device])

    def written(self) -> int:
        """Records in the logs of all of them."""
        return sum(len(balancer.log) for balancer in self._balancers.values())

    def scores(self) -> list[tuple[str, int, int, int]]:
        """(device, day, how much is believed of what it gives, of what it needs), by each neighbour that judges it."""
        return [
            (score.device, score.day, score.gives, score.needs)
            for balancer in self._balancers.values()
            for score in balancer.scores.values()
        ]

    def double(self, *devices: str) -> None:
        """From now on these, as far as they are here, do twice what is on their schedule."""
        for device in self._balancers.keys() & set(devices):
            watts, ability = self._plan.offers[device]
            self._balancers[device].change(self._day, plus(watts, watts), ability)

    async def leave(self, *devices: str) -> None:
        """These, as far as they are here, offer nothing any more; until nothing is open at them, or `PATIENCE` is over.
        Of what they have agreed they still tell who asks."""
        here = [self._balancers[device] for device in self._balancers.keys() & set(devices)]
        for balancer in here:
            balancer.change(self._day, zero(self._plan.instance.periods))
        for _ in range(round(PATIENCE * self._plan.pace.round / _LOOK)):
            if not any(balancer.is_busy for balancer in here):
                break
            await asyncio.sleep(_LOOK)

    def regroup(self, *gone: str) -> None:
        """These have left: everybody else here has other clusters."""
        hierarchy = self._plan.without(gone)
        for device, balancer in self._balancers.items():
            if device not in gone:
                balancer.regroup(hierarchy)

    def join(self, *devices: str) -> None:
        """These are back: everybody here has the clusters of before, and they their schedules."""
        for device, balancer in self._balancers.items():
            balancer.regroup(self._plan.hierarchy)
            if device in devices:
                balancer.change(self._day, *self._plan.offers[device])

    @property
    def commands(self) -> dict[str, Callable[..., Any]]:
        """What a process is told of them, by name."""
        return {
            "balance": self.start,
            "metered": self.metered,
            "scores": self.scores,
            "written": self.written,
            "double": self.double,
            "leave": self.leave,
            "regroup": self.regroup,
            "join": self.join,
            "standing": self.standing,
        }

    def standing(self) -> tuple[int, dict[str, Any]]:
        """How many have something open, and by area what they have left, as `city_standing` reads it."""
        lefts = [(self._plan.areas[device], balancer.left) for device, balancer in self._balancers.items()]
        busy = sum(balancer.is_busy for balancer in self._balancers.values())
        return busy, as_told(standing(lefts))

    def counted(self) -> Counter[str]:
        """Messages by kind and drops by reason, of all of them; and CPU ms of this process."""
        total = Counter({"CPU ms": round(1000 * time.process_time())})
        for balancer in self._balancers.values():
            total.update(balancer.counters)
        return total

    def _key(self, device: str, kind: str = "pem") -> PrivateKey:
        return PrivateKey.load(_file(self._folder, device, kind))

    def close(self) -> None:
        for balancer in self._balancers.values():
            balancer.stop()
        for ledger in self._ledgers:
            ledger.close()


def sent(counted: Iterable[tuple[str, int]]) -> int:
    """Messages of all kinds: from device to device, and every envelope by which an announcement spreads."""
    return sum(count for name, count in counted if name.startswith("sent "))
