"""The demand of a real population, pulled in simulation, beside what its data say.

The devices are the real nodes and endpoints with the real Metering service; clock and network are the simulator's.
Whom a device knows is set up at once: how devices find one another is not what is asked here. Knows no sockets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Final

from lxml import etree

from gossip_ws.core.config import FanoutTable, NodeConfig
from gossip_ws.core.effects import Answer
from gossip_ws.core.messages import Tally
from gossip_ws.core.peers import Role
from gossip_ws.endpoint.paths import GOSSIP_PATH
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.filters.shaped import read_response
from gossip_ws.grid.faults import Fate, contributions, places
from gossip_ws.grid.population import Appliance, Meter, Population
from gossip_ws.grid.profiles import Jitter
from gossip_ws.grid.tasks import Periods, place, tasks_of
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import METERING, DeviceId
from gossip_ws.kernel.terms import Wanted
from gossip_ws.ports import Codec
from gossip_ws.services.metering import Measured, metering_service
from gossip_ws.sim.device import SimDevice
from gossip_ws.sim.world import Weather, World
from gossip_ws.theory.tables import FIELD_AREA, WIDE_AREA

MOST_DEVICES: Final = 50_000
"""Each takes 2 ms of a processor and 32 KB."""
_GET_DEMAND: Final = f"{METERING}:GetDemand"
_FOREVER: Final = 1e9
_PORT: Final = 3702
_NOTHING: Final[Periods] = (0, 0, 0)
_WIDE: Final = FanoutTable(WIDE_AREA)
_FIELD: Final = FanoutTable(FIELD_AREA)


@dataclass(frozen=True, slots=True)
class Pulled:
    """One pull. All energies are whole Wh of the three 8-hour periods.

    value: what came up to the information system, None without an answer. truth: the sum over the `counted` devices
    that contributed, by what each announces. total: of the whole population, by its profiles. crashed, unreachable:
    devices that were down, and live ones below them. seconds: of simulated time until the answer.
    """

    value: Periods | None
    truth: Periods
    total: Periods
    tally: Tally
    counted: int
    crashed: int
    unreachable: int
    seconds: float

    @property
    def is_exact(self) -> bool:
        """Is the value the sum over as many as it claims, and everyone who was expected accounted for?"""
        tally = self.tally
        accounted = tally.contributors + tally.missing + tally.failed + tally.uncertain + tally.late
        return self.value == self.truth and tally.contributors == self.counted and accounted == tally.expected

    @property
    def is_whole(self) -> bool:
        """Did everybody contribute?"""
        return self.tally.contributors == self.tally.expected


def pull(
    population: Population,
    day: str,
    seed: int,
    *,
    loss: float = 0.0,
    crashed: float = 0.0,
    codec: Codec | None = None,
) -> Pulled:
    """Pull the demand of `day` at the information system of `population`.

    seed: how devices depart from their profiles, as in the city; who crashes, and all chance of the network. loss: of
    each datagram. crashed: the share of devices, the information system apart, that is down all the time.
    codec: `wire.gossip.XmlCodec` for messages of real octets; objects without. Raises LocalError when there are more
    devices than `MOST_DEVICES`, for a share that is none, and for a day without profiles.
    """
    devices = population.counts().total
    if devices > MOST_DEVICES:
        raise LocalError(f"at most {MOST_DEVICES} devices are pulled from one by one; {population.code} has {devices}")
    if not 0 <= loss < 1 or not 0 <= crashed < 1:
        raise LocalError(f"loss and crashed lie in [0, 1): loss={loss}, crashed={crashed}")
    world = World(seed, Weather(loss=loss))
    members = tuple(_members(population, day, seed))
    swarm = _swarm(world, members, codec)
    fate = Fate.draw(population, crashed, seed)
    for device in swarm:
        if device.config.device in fate.crashed:
            world.crash(device.address.host)
    answers: list[Answer] = []
    top = swarm[0].endpoint
    operation = top.hosting.by_action[_GET_DEMAND].operations[_GET_DEMAND]
    top.start(operation, _request(day), Wanted(), answers.append)
    # Every request ends at its deadline, whoever is silent.
    world.run_until(lambda: bool(answers), top.node.config.max_timeout)
    (answer,) = answers
    numbers = {device.config.device: number for number, device in enumerate(swarm)}
    own: dict[int, tuple[list[int] | None, list[int]]] = {}
    for number, device in enumerate(swarm):
        took_part, children = device.endpoint.node.taken(answer.id)
        own[number] = ([*members[number].energy] if took_part else None, [numbers[child] for child in children])
    counted = contributions(own)
    value: Periods | None = None
    if isinstance(answer.value, bytes) and answer.value and operation.shape is not None:
        ((_, (cells,)),) = read_response(etree.fromstring(answer.value), operation.shape)
        value = _total([[int(cell) for cell in cells]])
    return Pulled(
        value,
        _total(counted.values()),
        _total(_used(population, day, seed)),
        answer.tally,
        len(counted),
        len(fate.crashed),
        len(fate.unreachable),
        world.time,
    )


@dataclass(frozen=True, slots=True)
class _Member:
    """One device, and the `MeterState` behind its Metering service: what it announces, worked out beforehand."""

    role: Role
    device: DeviceId
    scope: str
    above: int
    category: str
    energy: Periods

    def demand(self, day: date) -> Sequence[tuple[str, Periods]]:
        return [(self.category, self.energy)]

    def measurement(self) -> Sequence[Measured]:
        return ()


def _members(population: Population, day: str, seed: int) -> Iterator[_Member]:
    """Every device, in the order of `places`."""
    above = {place.device: place.above for place in places(population)}

    def stands(role: Role, device: DeviceId, scope: str) -> _Member:
        return _Member(role, device, scope, above[device], "station", _NOTHING)

    def uses(role: Role, one: Meter | Appliance) -> _Member:
        jitter = Jitter.draw(seed, one.scope)
        tasks = tasks_of(one.kind, population.profiles.energy(one.profile, day, one.power, jitter), one.power)
        return _Member(role, one.device, one.scope, above[one.device], one.kind.value, place(tasks, None))

    yield stands(Role.INFORMATION_SYSTEM, population.device, population.scope)
    for substation in population.substations:
        yield stands(Role.SUBSTATION, substation.device, substation.scope)
        for meter in substation.meters:
            yield uses(Role.METER, meter)
            for appliance in meter.appliances:
                yield uses(Role.APPLIANCE, appliance)


def _swarm(world: World, members: Sequence[_Member], codec: Codec | None) -> list[SimDevice]:
    combiner = FilterCombiner()
    swarm = [
        SimDevice(
            world,
            NodeConfig(
                device=member.device,
                role=member.role,
                scopes=(member.scope,),
                udp=Address(Binding.UDP, f"n{number}", _PORT, GOSSIP_PATH),
                wide=_WIDE,
                field=_FIELD,
                # Who asks whom follows the tables; neighbours that ping one another would only take time.
                view_scopes=(),
            ),
            (metering_service(member),),
            codec=codec,
            combiner=combiner,
        )
        for number, member in enumerate(members)
    ]
    families: dict[int, list[SimDevice]] = defaultdict(list)
    # From the last to the first: whoever registers knows by then how many are below it.
    for number in range(len(swarm) - 1, 0, -1):
        above = members[number].above
        families[above].append(swarm[number])
        swarm[above].endpoint.peers.put(swarm[number].peer, _FOREVER, proven=True)
    for above, children in families.items():
        known = [child.peer for child in children] if members[above].role is not Role.METER else []
        for child in children:
            for peer in (swarm[above].peer, *known):
                if peer.device != child.config.device:
                    child.endpoint.peers.put(peer, _FOREVER, proven=True)
    return swarm


def _request(day: str) -> bytes:
    return f'<m:GetDemand xmlns:m="{METERING}"><m:day>{day}</m:day></m:GetDemand>'.encode()


def _used(population: Population, day: str, seed: int) -> Iterator[Periods]:
    """What each device uses by the data themselves, without tasks and without a message."""
    for device in chain[Meter | Appliance](population.meters(), population.appliances()):
        if not device.kind.feeds_in:
            jitter = Jitter.draw(seed, device.scope)
            yield population.profiles.energy(device.profile, day, device.power, jitter)


def _total(many: Iterable[Sequence[int]]) -> Periods:
    first, second, third = map(sum, zip(_NOTHING, *many, strict=True))
    return first, second, third
