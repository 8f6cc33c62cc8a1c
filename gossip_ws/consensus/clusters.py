"""Who balances with whom: devices in nano grids, nano grids in streets, and so on up to the whole grid.

A cluster is everything that hangs below one point of the feeder: its ends are clusters of their own, and those are
members of the next one up the feeder. So all of a cluster leaves it by one way, and nothing passes through it. Made
from places alone, by one rule: whoever knows the same devices knows the same clusters. Knows no watts and no protocol.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import zip_longest
from typing import Final

from gossip_ws.consensus.instance import Device, Feeder, Instance
from gossip_ws.kernel.errors import LocalError

SIZE: Final = 8
"""Members of a cluster; more costs messages by the square, fewer costs levels."""
LARGEST: Final = 64
"""Members at most: what fits into one announcement of a cluster."""
_TOGETHER: Final = "*"
"""Where other clusters have the name of their area, those of several areas have this."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """level: one more than that of its highest child; a device's is 0. children: devices and clusters. exit: the bus
    through which everything leaves it. kind: what it is called in a grid. parent: the cluster above; the topmost has
    none."""

    id: str
    level: int
    children: tuple[str, ...]
    exit: int
    kind: str
    parent: str = ""


KINDS: Final = ("nano grid", "street", "SSC", "region", "IS")
"""From below: of devices alone; within an area; a whole area; areas of one medium voltage feeder; everything."""


@dataclass(frozen=True)
class Hierarchy:
    """All clusters by id. home: the cluster whose child a device is."""

    feeder: Feeder = field(repr=False)
    clusters: Mapping[str, Cluster] = field(repr=False)
    home: Mapping[str, str] = field(repr=False)
    bus: Mapping[str, int] = field(repr=False)
    top: str
    size: int
    _candidates: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def depth(self) -> int:
        """The level of the topmost cluster."""
        return self.clusters[self.top].level

    def level(self, child: str) -> int:
        """Of a cluster; 0 of a device."""
        return self.clusters[child].level if child in self.clusters else 0

    def parent(self, child: str) -> str:
        """The cluster whose child a device or a cluster is; empty for the topmost, and for what there is not."""
        return self.clusters[child].parent if child in self.clusters else self.home.get(child, "")

    def is_below(self, device: str, child: str) -> bool:
        """Is the device in this cluster, or the same device? Never where there is no such device."""
        here = device if device in self.home else ""
        while here and here != child:
            here = self.parent(here)
        return bool(here)

    def below(self, device: str, cluster: str) -> str:
        """The child of a cluster in which a device is: the device itself, or another cluster; empty where it is in
        none."""
        here = device if device in self.home else ""
        while here and self.parent(here) != cluster:
            here = self.parent(here)
        return here

    def above(self, device: str, level: int) -> str:
        """The largest cluster of at most that level in which the device is; the device itself where there is none."""
        here = device
        while (parent := self.parent(here)) and self.clusters[parent].level <= level:
            here = parent
        return here

    def place(self, child: str) -> int:
        """The bus of a device, or the way out of a cluster."""
        return self.bus[child] if child in self.bus else self.clusters[child].exit

    def candidates(self, cluster: str) -> tuple[str, ...]:
        """The devices that may speak for a cluster, in the order in which they are asked to: all of them, one child's
        after the other's, so a part that is cut off does not hold all of the first."""
        if cluster not in self._candidates:
            here = self.clusters[cluster]
            # Shifted by level, so that not one device speaks for all levels.
            shift = (here.level - 1) % len(here.children)
            lines = [
                self.candidates(child) if child in self.clusters else (child,)
                for child in (*here.children[shift:], *here.children[:shift])
            ]
            self._candidates[cluster] = tuple(
                device for rank in zip_longest(*lines) for device in rank if device is not None
            )
        return self._candidates[cluster]

    def leaves(self, child: str) -> tuple[str, ...]:
        """All devices below."""
        here = self.clusters.get(child)
        return (child,) if here is None else tuple(leaf for one in here.children for leaf in self.leaves(one))


def build(instance: Instance, size: int = SIZE) -> Hierarchy:
    """Clusters of at most `size` members; no cluster but those of whole areas has devices of two areas.

    Raises LocalError for a size that is none, and where something is called like a cluster.
    """
    if not 2 <= size <= LARGEST:
        raise LocalError(f"a cluster has 2 to {LARGEST} members, not {size}")
    return _together(
        instance, {area: _area(instance.feeder, area, members, size) for area, members in _areas(instance)}, size
    )


def regrouped(hierarchy: Hierarchy, instance: Instance, areas: Iterable[str]) -> Hierarchy:
    """After devices joined or left: clusters of `areas` anew, those within all other areas as they were."""
    changed = set(areas)
    kept: dict[str, list[Cluster]] = defaultdict(list)
    for cluster in hierarchy.clusters.values():
        if cluster.kind in KINDS[:3]:
            kept[cluster.id.rpartition(":")[0]].append(cluster)
    made = {
        area: kept[area]
        if area in kept and area not in changed
        else _area(hierarchy.feeder, area, members, hierarchy.size)
        for area, members in _areas(instance)
    }
    return _together(instance, made, hierarchy.size)


def _areas(instance: Instance) -> Iterable[tuple[str, list[Device]]]:
    areas: dict[str, list[Device]] = defaultdict(list)
    for device in instance.devices:
        areas[device.area].append(device)
    return areas.items()


def _area(feeder: Feeder, area: str, devices: Sequence[Device], size: int) -> list[Cluster]:
    """The last one is the whole area."""
    items = [(device.id, device.bus) for device in sorted(devices, key=lambda one: (one.bus, one.id))]
    made = grouped(feeder, items, size, area, {})
    kinds = [*("nano grid" if cluster.level == 1 else "street" for cluster in made[:-1]), "SSC"]
    return [replace(cluster, kind=kind) for cluster, kind in zip(made, kinds, strict=True)]


def _together(instance: Instance, areas: Mapping[str, Sequence[Cluster]], size: int) -> Hierarchy:
    if _TOGETHER in areas:
        raise LocalError(f"no area is called {_TOGETHER!r}: that is what clusters of several areas are called")
    clusters = {cluster.id: cluster for made in areas.values() for cluster in made}
    tops = sorted((made[-1] for made in areas.values()), key=lambda cluster: (cluster.exit, cluster.id))
    if len(tops) > 1:
        levels = {cluster.id: cluster.level for cluster in tops}
        made = grouped(instance.feeder, [(one.id, one.exit) for one in tops], size, _TOGETHER, levels)
        made[-1] = replace(made[-1], kind="IS")
        clusters.update((cluster.id, cluster) for cluster in made)
        top = made[-1].id
    else:
        top = tops[0].id
    home: dict[str, str] = {}
    for cluster in list(clusters.values()):
        for child in cluster.children:
            if child in clusters:
                clusters[child] = replace(clusters[child], parent=cluster.id)
            else:
                home[child] = cluster.id
    clusters[top] = replace(clusters[top], parent="")
    bus = {device.id: device.bus for device in instance.devices}
    both = next((device for device in bus if device in clusters), None)
    if both is not None:
        raise LocalError(f"device {both!r} is called like a cluster: its area, a colon and a number")
    return Hierarchy(instance.feeder, clusters, home, bus, top, size)


def grouped(
    feeder: Feeder, items: Iterable[tuple[str, int]], size: int, prefix: str, levels: Mapping[str, int]
) -> list[Cluster]:
    """Clusters of at most `size` members of the items, which have a bus each, and a level if it is not 0. The last one
    holds everything.

    From the ends of the feeder upward: what hangs together below a bus and fits is carried on. Where it does not fit,
    clusters are closed, and carried on as one member each.
    """
    waiting: dict[int, list[list[str]]] = defaultdict(list)
    level = dict(levels)
    rank: dict[str, int] = {}
    order: list[int] = []
    closed: list[Cluster] = []

    def close(members: list[str], bus: int) -> str:
        name = f"{prefix}:{len(closed)}"
        rank[name] = len(rank)
        level[name] = 1 + max(level.get(member, 0) for member in members)
        closed.append(Cluster(name, level[name], tuple(sorted(members, key=rank.__getitem__)), bus, "region"))
        return name

    for name, bus in items:
        rank[name] = len(rank)
        if bus not in waiting:
            heappush(order, -bus)
        waiting[bus].append([name])
    while order:
        bus = -heappop(order)
        bags = waiting.pop(bus)
        while sum(map(len, bags)) > size:
            bags = _packed(bags, size)
            # The emptiest stays open: more may come up to it. What is one alone is a member already.
            bags = [[close(bag, bus)] if len(bag) > 1 else bag for bag in bags[:-1]] + bags[-1:]
        carried = [member for bag in bags for member in bag]
        if not order:
            close(carried, bus)
            break
        parent = feeder.parent[bus]
        if parent not in waiting:
            heappush(order, -parent)
        waiting[parent].append(carried)
    return closed


def _packed(bags: Iterable[list[str]], size: int) -> list[list[str]]:
    """Bags put together where they fit, none taken apart; the fullest first."""
    packed: list[list[str]] = []
    for bag in sorted(bags, key=len, reverse=True):
        room = next((one for one in packed if len(one) + len(bag) <= size), None)
        if room is None:
            packed.append(list(bag))
        else:
            room.extend(bag)
    return sorted(packed, key=len, reverse=True)
