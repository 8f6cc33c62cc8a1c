"""Who balances with whom: devices in nano grids, nano grids in streets, and so on up to the whole grid.

A cluster is a part of the feeder with one way out, upward: so what it cannot match leaves it without crossing what it
has matched. Made from places alone, by one rule, so whoever knows the same devices knows the same clusters. Knows no
watts and no protocol.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Final

from gossip_ws.consensus.instance import Device, Feeder, Instance
from gossip_ws.kernel.errors import LocalError

SIZE: Final = 8
"""Members of a cluster; more costs messages by the square, fewer costs levels."""
LARGEST: Final = 64
"""Members at most: what fits into one announcement of a cluster."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """level: 1 for a nano grid, whose children are devices; above, they are clusters of the level below. exit: the
    bus through which everything leaves it. parent: the cluster above; empty for the topmost."""

    id: str
    level: int
    children: tuple[str, ...]
    exit: int
    parent: str = ""


@dataclass(frozen=True)
class Hierarchy:
    """All clusters by id. home: each device's nano grid. area_levels: the level at which an area is one cluster."""

    feeder: Feeder = field(repr=False)
    clusters: Mapping[str, Cluster] = field(repr=False)
    home: Mapping[str, str] = field(repr=False)
    bus: Mapping[str, int] = field(repr=False)
    depth: int
    area_levels: int
    size: int

    def level_name(self, level: int) -> str:
        """What the level is called in a distribution grid."""
        if level == 1:
            return "nano grid"
        if level < self.area_levels:
            return "street"
        if level == self.area_levels:
            return "SSC"
        return "IS" if level == self.depth else "region"

    def above(self, device: str, level: int) -> Cluster:
        """The cluster of that level in which the device is."""
        cluster = self.clusters[self.home[device]]
        while cluster.level < level:
            cluster = self.clusters[cluster.parent]
        return cluster

    def meeting_level(self, one: str, other: str) -> int:
        """The lowest level at which two devices are in one cluster."""
        mine, its = self.clusters[self.home[one]], self.clusters[self.home[other]]
        while mine.id != its.id:
            mine, its = self.clusters[mine.parent], self.clusters[its.parent]
        return mine.level

    def place(self, child: str) -> int:
        """The bus of a device, or the way out of a cluster."""
        return self.bus[child] if child in self.bus else self.clusters[child].exit

    def candidate(self, cluster: str, number: int) -> str:
        """The device that speaks for a cluster when those before it do not answer. One after the other they come from
        different children, so a part that is cut off does not hold all of the first."""
        here = self.clusters[cluster]
        count = len(here.children)
        if here.level == 1:
            return here.children[number % count]
        # Shifted by level, so that not one device speaks for all levels.
        child = here.children[(number + here.level - 1) % count]
        return self.candidate(child, number // count)

    def leaves(self, cluster: str) -> tuple[str, ...]:
        """All devices below."""
        here = self.clusters[cluster]
        if here.level == 1:
            return here.children
        return tuple(leaf for child in here.children for leaf in self.leaves(child))

    def at(self, level: int) -> list[Cluster]:
        """The clusters of one level."""
        return [cluster for cluster in self.clusters.values() if cluster.level == level]


def build(instance: Instance, size: int = SIZE) -> Hierarchy:
    """Clusters of at most `size` members, each level within its area up to the area, and areas together above.

    Raises LocalError for a size that is none.
    """
    if not 2 <= size <= LARGEST:
        raise LocalError(f"a cluster has 2 to {LARGEST} members, not {size}")
    areas: dict[str, list[Device]] = defaultdict(list)
    for device in instance.devices:
        areas[device.area].append(device)
    stacks = {area: _stack(instance.feeder, area, devices, size) for area, devices in areas.items()}
    return _joined(instance, stacks, size)


def regrouped(hierarchy: Hierarchy, instance: Instance, areas: Iterable[str]) -> Hierarchy:
    """After devices joined or left: clusters of `areas` anew, those of all other areas as they were."""
    changed = set(areas)
    devices: dict[str, list[Device]] = defaultdict(list)
    for device in instance.devices:
        devices[device.area].append(device)
    stacks = {}
    for area, members in devices.items():
        if area in changed or not any(device.id in hierarchy.home for device in members):
            stacks[area] = _stack(hierarchy.feeder, area, members, hierarchy.size)
        else:
            stacks[area] = _kept(hierarchy, area, members)
    return _joined(instance, stacks, hierarchy.size)


Stack = list[list[Cluster]]
"""The clusters of one area by level, the nano grids first; the last level has one."""


def _stack(feeder: Feeder, area: str, devices: Sequence[Device], size: int) -> Stack:
    items = [(device.id, device.bus) for device in sorted(devices, key=lambda one: (one.bus, one.id))]
    stack: Stack = []
    while not stack or len(stack[-1]) > 1:
        level = len(stack) + 1
        groups = grouped(feeder, items, size)
        stack.append(
            [Cluster(f"{area}:{level}.{number}", level, members, way) for number, (members, way) in enumerate(groups)]
        )
        items = [(cluster.id, cluster.exit) for cluster in stack[-1]]
    return stack


def _kept(hierarchy: Hierarchy, area: str, devices: Sequence[Device]) -> Stack:
    levels: Stack = []
    here = {hierarchy.home[device.id]: None for device in devices}
    while True:
        clusters = [hierarchy.clusters[one] for one in here]
        levels.append([replace(cluster, parent="") for cluster in sorted(clusters, key=lambda one: one.id)])
        if len(clusters) == 1:
            return levels
        here = {cluster.parent: None for cluster in clusters}


def _joined(instance: Instance, stacks: Mapping[str, Stack], size: int) -> Hierarchy:
    """The areas' clusters under one top. A shallow area is its own only member until it is as deep as the others."""
    deepest = max(len(stack) for stack in stacks.values())
    clusters: dict[str, Cluster] = {}
    tops: list[tuple[str, int]] = []
    for area, stack in stacks.items():
        padded = list(stack)
        while len(padded) < deepest:
            (top,) = padded[-1]
            level = len(padded) + 1
            padded.append([Cluster(f"{area}:{level}.0", level, (top.id,), top.exit)])
        for level_clusters in padded:
            clusters.update((cluster.id, cluster) for cluster in level_clusters)
        tops.append((padded[-1][0].id, padded[-1][0].exit))
    level = deepest
    while len(tops) > 1:
        level += 1
        groups = grouped(instance.feeder, sorted(tops, key=lambda one: (one[1], one[0])), size)
        made = [Cluster(f"*:{level}.{number}", level, members, way) for number, (members, way) in enumerate(groups)]
        clusters.update((cluster.id, cluster) for cluster in made)
        tops = [(cluster.id, cluster.exit) for cluster in made]
    for cluster in list(clusters.values()):
        if cluster.level > 1:
            for child in cluster.children:
                clusters[child] = replace(clusters[child], parent=cluster.id)
    home = {leaf: cluster.id for cluster in clusters.values() if cluster.level == 1 for leaf in cluster.children}
    bus = {device.id: device.bus for device in instance.devices}
    return Hierarchy(instance.feeder, clusters, home, bus, level, deepest, size)


def grouped(feeder: Feeder, items: Iterable[tuple[str, int]], size: int) -> list[tuple[tuple[str, ...], int]]:
    """Groups of at most `size` of the items, which have a bus each, and the bus through which each group is left.

    From the ends of the feeder upward: what hangs together below a bus and fits is carried on; where it does not fit,
    full groups are closed and the smallest is carried on.
    """
    waiting: dict[int, list[list[str]]] = defaultdict(list)
    rank: dict[str, int] = {}
    order: list[int] = []
    for name, bus in items:
        rank[name] = len(rank)
        if bus not in waiting:
            heappush(order, -bus)
        waiting[bus].append([name])
    closed: list[tuple[tuple[str, ...], int]] = []
    while order:
        bus = -heappop(order)
        bins: list[list[str]] = []
        for bag in sorted(waiting.pop(bus), key=len, reverse=True):
            room = next((one for one in bins if len(one) + len(bag) <= size), None)
            if room is None:
                bins.append(list(bag))
            else:
                room.extend(bag)
        bins.sort(key=len, reverse=True)
        carried = bins.pop() if bus else None
        closed += [(tuple(sorted(one, key=rank.__getitem__)), bus) for one in bins]
        if carried is not None:
            parent = feeder.parent[bus]
            if parent not in waiting:
                heappush(order, -parent)
            waiting[parent].append(carried)
    return closed
