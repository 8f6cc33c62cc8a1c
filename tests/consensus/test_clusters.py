from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip_ws.consensus.clusters import KINDS, build, regrouped
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


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 80), st.integers(1, 5), st.integers(2, 16))
def test_every_device_has_one_place_on_every_level_and_no_cluster_is_too_large(seed, count, areas, size):
    instance = scattered(seed, count, areas)
    hierarchy = build(instance, size)
    everybody = sorted(device.id for device in instance.devices)
    assert sorted(hierarchy.leaves(hierarchy.top)) == everybody
    area = {device.id: device.area for device in instance.devices}
    below = {cluster: set(hierarchy.leaves(cluster)) for cluster in hierarchy.clusters}
    for cluster in hierarchy.clusters.values():
        assert 1 <= len(cluster.children) <= size
        assert cluster.level == 1 + max(hierarchy.level(child) for child in cluster.children)
        assert all(hierarchy.parent(child) == cluster.id for child in cluster.children)
        if cluster.kind in KINDS[:3]:
            assert len({area[leaf] for leaf in below[cluster.id]}) == 1
    for name in set(area.values()):
        whole = {device for device, at in area.items() if at == name}
        assert whole in [below[cluster.id] for cluster in hierarchy.clusters.values() if cluster.kind in ("SSC", "IS")]


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(2, 8))
def test_nothing_passes_through_a_cluster_that_does_not_belong_to_it(seed, count, size):
    instance = scattered(seed, count, 1)
    hierarchy = build(instance, size)
    for cluster in hierarchy.clusters.values():
        inside = set(hierarchy.leaves(cluster.id))
        for leaf in inside:
            # The buses from a member to the way out, the way out itself left out: what hangs there is inside too.
            bus = hierarchy.bus[leaf]
            while bus != cluster.exit:
                assert {device.id for device in instance.devices if device.bus == bus} <= inside
                bus = instance.feeder.parent[bus]


def test_everybody_can_speak_for_a_cluster_if_need_be():
    hierarchy = build(scattered(7, 60, 3), 4)
    for cluster in hierarchy.clusters:
        assert sorted(hierarchy.candidates(cluster)) == sorted(hierarchy.leaves(cluster))
    children = hierarchy.clusters[hierarchy.top].children
    first = hierarchy.candidates(hierarchy.top)[: len(children)]
    assert all(any(device in hierarchy.leaves(child) for device in first) for child in children)


def test_a_line_is_cut_into_pieces_that_hang_together():
    hierarchy = build(line(20), 8)
    assert [(cluster.kind, cluster.children) for cluster in hierarchy.clusters.values()] == [
        ("nano grid", tuple(f"0-{n}" for n in range(12, 20))),
        ("street", (*(f"0-{n}" for n in range(5, 12)), "ssc-0:0")),
        ("SSC", (*(f"0-{n}" for n in range(5)), "ssc-0:1")),
    ]


def test_the_largest_cluster_of_a_level():
    hierarchy = build(line(20, areas=2), 8)
    assert hierarchy.above("0-19", 0) == "0-19"
    assert hierarchy.above("0-19", 2) == "ssc-0:1"
    assert hierarchy.above("0-1", 2) == "0-1"
    assert hierarchy.above("0-1", 9) == hierarchy.top
    assert hierarchy.depth == 4


def test_who_joins_changes_the_clusters_of_its_area_alone():
    before = line(20, areas=3)
    hierarchy = build(before, 8)
    more = Instance(before.feeder, (*before.devices, Device("new", 3, (1,), "ssc-0")), 1)
    after = regrouped(hierarchy, more, ["ssc-0"])
    assert after.home["new"].startswith("ssc-0")
    assert after == build(more, 8)
    for name, cluster in hierarchy.clusters.items():
        if name.startswith(("ssc-1", "ssc-2")):
            assert after.clusters[name] == cluster
        assert set(after.clusters) >= set(hierarchy.clusters)


def test_who_leaves_takes_the_last_of_its_area_along():
    before = line(3, areas=2)
    less = Instance(before.feeder, before.devices[:3], 1)
    after = regrouped(build(before, 8), less, ["ssc-1"])
    assert after == build(less, 8)


@pytest.mark.parametrize("size", [1, 65])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(LocalError, match="members"):
        build(line(3), size)


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        (
            (Device("a", 0, (1,), "town"), Device("town:0", 1, (-1,), "town")),
            "device 'town:0' is called like a cluster",
        ),
        ((Device("a", 0, (1,), "town"), Device("*:0", 1, (-1,), "*")), "no area is called '\\*'"),
    ],
)
def test_what_is_called_like_a_cluster_is_refused(devices, said):
    with pytest.raises(LocalError, match=said):
        build(Instance(Feeder((0, 0), (0, 5)), devices, 1))
