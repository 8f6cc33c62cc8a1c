"""Who lives in a grid: the information system, its substations, their meters, their appliances.

Reads the compact files of `grid.data` or of an import. Knows devices by name, scope and place on the
feeder; knows nothing of addresses, keys, services or messages.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from io import BytesIO
from math import hypot
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.profiles import Profiles
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import DeviceId

FORMAT: Final = "gossip-ws grid 1"
OHM: Final = 10_000
"""Impedances in a file are in steps of 0.1 mOhm."""
LARGEST_FILE: Final = 64 * 2**20
"""Octets, unpacked: twenty times the largest SimBench grid. What is larger is no grid file."""
LARGEST: Final = 1_000_000_000
"""W, var, Wh, VA or V of one device."""
SPREAD_FROM: Final = 540
"""Meters: from here on a population has at least `SPREAD` substations."""
SPREAD: Final = 4
_SUFFIX = ".json.gz"
# What a file of the wrong shape makes gzip, json and the reading below raise.
_MALFORMED = (
    OSError,
    EOFError,
    zlib.error,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class Tree:
    """A feeder: bus k hangs at bus parent[k] < k by r[k] + j x[k] ohm; bus 0 is the root, its own parent."""

    parent: tuple[int, ...]
    r: tuple[float, ...]
    x: tuple[float, ...]

    def distance(self, one: int, other: int) -> float:
        """Electrical distance of two buses: the sum of |Z| along the path between them, ohm."""
        return along(self.parent, self.r, self.x, one, other)

    def depths(self) -> tuple[float, ...]:
        """The electrical distance of every bus from the root, ohm."""
        depth = [0.0] * len(self.parent)
        for bus in range(1, len(depth)):
            depth[bus] = depth[self.parent[bus]] + hypot(self.r[bus], self.x[bus])
        return tuple(depth)


def along(parent: Sequence[int], r: Sequence[float], x: Sequence[float], one: int, other: int) -> float:
    """The sum of |Z| along the path between two nodes of a tree whose parents come before their children, ohm."""
    total = 0.0
    # The later of the two is never above the other.
    while one != other:
        if one < other:
            one, other = other, one
        total += hypot(r[one], x[one])
        one = parent[one]
    return total


@dataclass(frozen=True, slots=True)
class Appliance:
    """An IED. power: rated W, what its profile multiplies; reactive: var at rated power; capacity: Wh, of a
    storage. distance: ohm from its substation's busbar along the feeder."""

    scope: str
    kind: Kind
    profile: str
    power: int
    reactive: int
    capacity: int
    bus: int
    distance: float

    @property
    def device(self) -> DeviceId:
        return device_id(self.scope)


@dataclass(frozen=True, slots=True)
class Meter:
    """An SM and what is metered behind it; fields as of an Appliance."""

    scope: str
    kind: Kind
    profile: str
    power: int
    reactive: int
    bus: int
    distance: float
    appliances: tuple[Appliance, ...]

    @property
    def device(self) -> DeviceId:
        return device_id(self.scope)


@dataclass(frozen=True, slots=True)
class Substation:
    """An SSC and its area. name: SimBench's of the area; rated: VA; volts: line to line on the lower side;
    r, x: the transformer's ohm seen from there. feeder: the area's low voltage, its root the busbar.
    bus, distance: its place on the grid's medium voltage, ohm from the IS."""

    scope: str
    name: str
    rated: int
    volts: int
    r: float
    x: float
    feeder: Tree
    bus: int
    distance: float
    meters: tuple[Meter, ...]

    @property
    def device(self) -> DeviceId:
        return device_id(self.scope)


@dataclass(frozen=True, slots=True)
class Counts:
    """Devices by tier."""

    information_systems: int
    substations: int
    meters: int
    appliances: int

    @property
    def total(self) -> int:
        return self.information_systems + self.substations + self.meters + self.appliances


@dataclass(frozen=True, slots=True)
class Population:
    """An information system and its substations: a whole grid, or some areas of one.

    scope: the grid's, which every other device's extends. code: SimBench's.
    """

    code: str
    scope: str
    medium_voltage: Tree = field(repr=False)
    profiles: Profiles = field(repr=False)
    substations: tuple[Substation, ...] = field(repr=False)

    @property
    def device(self) -> DeviceId:
        """The information system's."""
        return device_id(self.scope)

    def meters(self) -> Iterator[Meter]:
        for substation in self.substations:
            yield from substation.meters

    def appliances(self) -> Iterator[Appliance]:
        for meter in self.meters():
            yield from meter.appliances

    def counts(self) -> Counts:
        return Counts(
            1,
            len(self.substations),
            sum(len(substation.meters) for substation in self.substations),
            sum(len(meter.appliances) for meter in self.meters()),
        )


Grid = Population
"""A population that nothing was left out of."""


def device_id(scope: str) -> DeviceId:
    """The endpoint reference of a device of the city: a name-based UUID of its scope, the same every time."""
    return DeviceId(uuid5(NAMESPACE_URL, scope).urn)


def available() -> tuple[str, ...]:
    """The codes of the grids that ship with the package."""
    names = (entry.name for entry in resources.files("gossip_ws.grid.data").iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def load(code: str | Path) -> Grid:
    """A grid that ships with the package, by its SimBench code, or any imported one, by its file's path.

    Raises LocalError when there is none or the file is no grid.
    """
    if isinstance(code, str) and not code.endswith(_SUFFIX):
        if code not in available():
            raise LocalError(f"no grid {code!r} here; there are {', '.join(available())}")
        packed = resources.files("gossip_ws.grid.data").joinpath(code + _SUFFIX).read_bytes()
    else:
        try:
            packed = Path(code).read_bytes()
        except OSError as error:
            raise LocalError(f"cannot read the grid {code}: {error.strerror}") from None
    try:
        return _grid(json.loads(_unpack(packed)))
    except _MALFORMED as error:
        raise LocalError(f"{code} is no grid file: {error}") from None


def choose(grid: Grid, meters: int, seed: int, *, areas: int = 1) -> Population:
    """Whole areas of `grid`, drawn by `seed`, until there are `meters` meters; never more or less than that.

    The last area is cut to size: meters drawn by `seed` leave with their appliances, the rest keep their
    names. From `SPREAD_FROM` meters on there are at least `SPREAD` substations. With `areas` above 1 no area has more
    than its share of the meters among so many, so there are as many or more. Raises LocalError when the grid has
    fewer meters in such areas.
    """
    there = sum(len(substation.meters) for substation in grid.substations)
    if not 1 <= meters <= there:
        raise LocalError(f"{grid.code} has {there} meters, not {meters}")
    dice = Random(f"population/{seed}")
    order = [substation for substation in grid.substations if substation.meters]
    dice.shuffle(order)
    least = min(SPREAD if meters >= SPREAD_FROM else 1, len(order))
    most = meters if areas <= 1 else -(-meters // areas)
    taken: list[Substation] = []
    wanted = meters
    for substation in order:
        # Each area still needed for the spread is left one meter at the least.
        room = min(wanted - max(0, least - len(taken) - 1), most)
        if room <= 0:
            break
        kept = substation.meters
        if len(kept) > room:
            keep = sorted(dice.sample(range(len(kept)), room))
            kept = tuple(kept[k] for k in keep)
        taken.append(replace(substation, meters=kept))
        wanted -= len(kept)
    if wanted:
        raise LocalError(f"{grid.code} has too few areas to deal {meters} meters out to {areas}")
    order_of = {substation.scope: number for number, substation in enumerate(grid.substations)}
    taken.sort(key=lambda substation: order_of[substation.scope])
    return replace(grid, substations=tuple(taken))


def _unpack(packed: bytes) -> bytes:
    # Read bounded: a file of someone else's making may unpack to anything.
    with gzip.open(BytesIO(packed)) as stream:
        text = stream.read(LARGEST_FILE + 1)
    if len(text) > LARGEST_FILE:
        raise ValueError(f"more than {LARGEST_FILE} octets")
    return text


def _grid(data: Any) -> Grid:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"not of the format {FORMAT!r}")
    code = str(data["code"])
    scope = "grid://" + short_name(code)
    medium = _tree(data["medium_voltage"])
    depths = medium.depths()
    profiles = Profiles.read(data["profiles"])
    substations = tuple(
        _substation(area, f"{scope}/ssc-{number}", depths, profiles) for number, area in enumerate(data["areas"], 1)
    )
    return Grid(code, scope, medium, profiles, substations)


def short_name(code: str) -> str:
    """The part of a SimBench code that names the place: `rural` of 1-MVLV-rural-all-2-sw."""
    parts = code.split("-")
    return parts[2].lower() if len(parts) > 2 and parts[2] else code.lower()


def _tree(data: Any) -> Tree:
    tree = Tree(tuple(data["parent"]), tuple(r / OHM for r in data["r"]), tuple(x / OHM for x in data["x"]))
    if not len(tree.parent) == len(tree.r) == len(tree.x) or not tree.parent or tree.parent[0] != 0:
        raise ValueError("a tree's columns differ")
    if any(not 0 <= parent < bus for bus, parent in enumerate(tree.parent) if bus):
        raise ValueError("a bus hangs at a later one")
    return tree


def _whole(values: Iterable[Any]) -> None:
    """Raises ValueError for what is no magnitude: a whole number from 0 to `LARGEST`."""
    for value in values:
        if type(value) is not int or not 0 <= value <= LARGEST:
            raise ValueError(f"not a whole number from 0 to {LARGEST}: {value!r:.40}")


def _substation(area: Any, scope: str, medium: tuple[float, ...], profiles: Profiles) -> Substation:
    feeder = _tree(area["low_voltage"])
    depths = feeder.depths()
    metered, used = area["meters"], area["appliances"]
    if not {*metered["profile"], *used["profile"]} <= set(profiles.names):
        raise ValueError("a device without a profile")
    # A place beyond the end is an IndexError below; before the start Python would count from behind.
    _whole(area[name] for name in ("rated", "volts", "medium_voltage_bus"))
    for name in ("bus", "power", "reactive"):
        _whole(metered[name])
    for name in ("meter", "bus", "power", "reactive", "capacity"):
        _whole(used[name])
    behind: list[list[Appliance]] = [[] for _ in metered["bus"]]
    for home, bus, kind, profile, power, reactive, capacity in zip(
        *(used[name] for name in ("meter", "bus", "kind", "profile", "power", "reactive", "capacity")), strict=True
    ):
        name = f"{scope}/sm-{home + 1}/ied-{len(behind[home]) + 1}"
        behind[home].append(
            Appliance(name, Kind(kind), profile, power, reactive, capacity, bus, depths[bus]),
        )
    meters = tuple(
        Meter(
            f"{scope}/sm-{number + 1}",
            Kind.of_meter(profile),
            profile,
            power,
            reactive,
            bus,
            depths[bus],
            tuple(behind[number]),
        )
        for number, (bus, profile, power, reactive) in enumerate(
            zip(*(metered[name] for name in ("bus", "profile", "power", "reactive")), strict=True)
        )
    )
    place = area["medium_voltage_bus"]
    return Substation(
        scope,
        str(area["name"]),
        area["rated"],
        area["volts"],
        area["r"] / OHM,
        area["x"] / OHM,
        feeder,
        place,
        medium[place],
        meters,
    )
