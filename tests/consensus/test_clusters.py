from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip_ws.consensus.clusters import build, regrouped
from gossip_ws.consensus.instance import Device, Feeder, Instance
from gossip_ws.kernel.errors import LocalError


def line(count, areas=1):
    """Devices along feeders of their own, one for each area, all at one root."""
    parent, ohm, devices = [0], [0], []
    for area in range(areas):
        at = 0
        for number in range(count):
            parent.append(at)
            ohm.append(10)
            at = len(parent) - 1
            devices.append(Device(f"{area}-{number}", at, (1,), f"ssc-{area}"))
    return Instance(Feeder(tuple(parent), tuple(ohm)), tuple(devices), 1)


def scattered(seed, count, areas):
    dice = Random(seed)
    parent, area_of = [0], [0]
    for area in range(areas):
        start = len(parent)
        parent.append(0)
        area_of.append(area)
        for _ in range(dice.randrange(1, 2 * count)):
            parent.append(dice.randrange(start, len(parent)))
            area_of.append(area)
    buses = [dice.randrange(1, len(parent)) for _ in range(count)]
    devices = tuple(Device(f"d{n}", bus, (1,), f"ssc-{area_of[bus]}") for n, bus in enumerate(buses))
    ohm = (0, *(dice.randrange(1, 1000) for _ in parent[1:]))
    return Instance(Feeder(tuple(parent), ohm), devices, 1)


@given(st.integers(0, 10_000), st.integers(1, 120), st.integers(1, 5), st.integers(2, 16))
def test_every_device_has_one_place_on_every_level_and_no_cluster_is_too_large(seed, count, areas, size):
    instance = scattered(seed, count, areas)
    hierarchy = build(instance, size)
    (top,) = hierarchy.at(hierarchy.depth)
    assert sorted(hierarchy.leaves(top.id)) == sorted(device.id for device in instance.devices)
    area = {device.id: device.area for device in instance.devices}
    for cluster in hierarchy.clusters.values():
        assert 1 <= len(cluster.children) <= size
        if cluster.level <= hierarchy.area_levels:
            assert len({area[leaf] for leaf in hierarchy.leaves(cluster.id)}) == 1
        if cluster.level > 1:
            assert all(hierarchy.clusters[child].parent == cluster.id for child in cluster.children)
        asked = {hierarchy.candidate(cluster.id, number) for number in range(64 * len(hierarchy.leaves(cluster.id)))}
        assert asked == set(hierarchy.leaves(cluster.id))


def test_a_line_is_cut_into_pieces_that_hang_together():
    hierarchy = build(line(24), 8)
    assert [cluster.children for cluster in hierarchy.at(1)] == [
        tuple(f"0-{n}" for n in range(16, 24)),
        tuple(f"0-{n}" for n in range(8, 16)),
        tuple(f"0-{n}" for n in range(8)),
    ]
    assert [hierarchy.level_name(level) for level in (1, 2)] == ["nano grid", "SSC"]


def test_devices_meet_at_the_lowest_level_that_has_both():
    hierarchy = build(line(64, areas=2), 8)
    assert hierarchy.meeting_level("0-1", "0-2") == 1
    assert hierarchy.meeting_level("0-1", "0-60") == 2
    assert hierarchy.meeting_level("0-1", "1-1") == hierarchy.depth == 3


def test_who_joins_changes_the_clusters_of_its_area_alone():
    before = line(20, areas=3)
    hierarchy = build(before, 8)
    more = Instance(before.feeder, (*before.devices, Device("new", 3, (1,), "ssc-0")), 1)
    after = regrouped(hierarchy, more, ["ssc-0"])
    assert after.home["new"].startswith("ssc-0")
    assert after.clusters == build(more, 8).clusters
    for name, cluster in hierarchy.clusters.items():
        if name.startswith(("ssc-1", "ssc-2")):
            assert after.clusters[name] == cluster


def test_who_leaves_takes_the_last_of_its_area_along():
    before = line(3, areas=2)
    less = Instance(before.feeder, before.devices[:3], 1)
    after = regrouped(build(before, 8), less, ["ssc-1"])
    assert after.clusters == build(less, 8).clusters


@pytest.mark.parametrize("size", [1, 65])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(LocalError, match="members"):
        build(line(3), size)
