"""The grids that ship, whom `choose` takes, and files that are none."""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib import resources
from pathlib import Path
from uuid import UUID

import pytest

from gossip_ws.grid import population
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.population import Counts, Grid, Tree, available, choose, device_id, load
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.scopes import covers

RURAL = "1-MVLV-rural-all-2-sw"
SMALL = "1-LV-rural1--2-sw"


@cache
def rural() -> Grid:
    return load(RURAL)


def test_what_ships() -> None:
    assert available() == (SMALL, RURAL)
    assert rural().counts() == Counts(1, 90, 5367, 3230)
    assert load(SMALL).counts() == Counts(1, 1, 13, 28)


def test_the_data_stays_small_and_carries_its_licences() -> None:
    folder = resources.files("gossip_ws.grid.data")
    files = {entry.name: len(entry.read_bytes()) for entry in folder.iterdir() if entry.is_file()}
    assert sum(size for name, size in files.items() if name.endswith(".gz")) < 400_000
    assert {"README.md", "LICENSE-ODbL.txt", "LICENSE-DbCL.txt"} <= set(files)
    notice = folder.joinpath("README.md").read_text(encoding="utf-8")
    assert "SimBench" in notice
    assert "Meinecke" in notice
    assert "Open Database License" in notice


def test_a_childs_scope_extends_its_parents() -> None:
    grid = rural()
    assert grid.scope == "grid://rural"
    scopes = [grid.scope]
    for substation in grid.substations:
        assert covers(grid.scope, substation.scope)
        scopes.append(substation.scope)
        for meter in substation.meters:
            assert covers(substation.scope, meter.scope)
            scopes.append(meter.scope)
            for appliance in meter.appliances:
                assert covers(meter.scope, appliance.scope)
                scopes.append(appliance.scope)
    assert len(set(scopes)) == len(scopes) == grid.counts().total
    assert not covers("grid://rural/ssc-1", "grid://rural/ssc-10/sm-1")


def test_an_endpoint_reference_is_a_name_based_uuid_of_the_scope() -> None:
    meter = rural().substations[2].meters[0]
    assert meter.scope == "grid://rural/ssc-3/sm-1"
    assert UUID(meter.device.removeprefix("urn:uuid:")).version == 5
    assert meter.device == device_id(meter.scope) == device_id("grid://rural/ssc-3/sm-1")
    assert meter.device != rural().substations[2].meters[1].device


def test_devices_are_what_simbench_says() -> None:
    kinds = {kind: 0 for kind in Kind}
    for appliance in rural().appliances():
        kinds[appliance.kind] += 1
        assert appliance.power > 0
        assert (appliance.capacity > 0) == (appliance.kind is Kind.STORAGE)
        assert appliance.profile in rural().profiles.names
    assert kinds[Kind.STORAGE] == 628
    assert kinds[Kind.PHOTOVOLTAIC] == 944
    assert kinds[Kind.WORK_CHARGER] == 24 + 17 + 47
    assert kinds[Kind.HEAT_PUMP] + kinds[Kind.HOME_CHARGER] == 3230 - 628 - 944 - 88
    assert {meter.kind for meter in rural().meters()} == {Kind.HOUSEHOLD, Kind.BUSINESS, Kind.FARM}


def test_every_appliance_is_at_its_meters_bus() -> None:
    for meter in rural().meters():
        assert all(appliance.bus == meter.bus for appliance in meter.appliances)


def test_electrical_distances() -> None:
    for substation in rural().substations:
        feeder = substation.feeder
        assert all(meter.distance == pytest.approx(feeder.distance(0, meter.bus)) for meter in substation.meters)
        # SimBench's rural low voltage: cables of at most a few hundred metres, 0.22 ohm a kilometre.
        assert 0 < max(meter.distance for meter in substation.meters) < 0.3
        assert 0 < substation.distance < 20


def test_distance_in_a_tree() -> None:
    """Root 0, a branch 1-2 and a branch 3; edges of 5, 13 and 1 ohm."""
    tree = Tree((0, 0, 1, 0), (0.0, 3.0, 5.0, 1.0), (0.0, 4.0, 12.0, 0.0))
    assert tree.depths() == (0.0, 5.0, 18.0, 1.0)
    assert tree.distance(2, 3) == tree.distance(3, 2) == 19.0
    assert tree.distance(1, 2) == 13.0
    assert tree.distance(2, 2) == 0.0


@pytest.mark.parametrize("meters", [1, 5, 200, 540, 541, 1000, 5367])
def test_choose_takes_exactly_as_many_meters(meters: int) -> None:
    chosen = choose(rural(), meters, seed=3)
    assert chosen.counts().meters == meters
    whole = {substation.scope: substation for substation in rural().substations}
    cut = [s for s in chosen.substations if s.meters != whole[s.scope].meters]
    assert len(cut) <= 1
    for substation in cut:
        assert set(substation.meters) < set(whole[substation.scope].meters)
    if meters >= 540:
        assert chosen.counts().substations >= 4


def test_choose_is_by_seed() -> None:
    scopes = [[s.scope for s in choose(rural(), 540, seed).substations] for seed in (1, 1, 2)]
    assert scopes[0] == scopes[1] != scopes[2]


def test_a_few_large_areas_are_still_spread_over_four() -> None:
    """Where two areas had the meters, each of four gets some."""
    large = [s for s in rural().substations if len(s.meters) == 118]
    merged = [population.replace(large[k], meters=large[k].meters * 5, scope=f"grid://rural/ssc-{k}") for k in range(5)]
    chosen = choose(population.replace(rural(), substations=tuple(merged)), 540, seed=1)
    assert chosen.counts().meters == 540
    assert chosen.counts().substations == 4


def test_meters_are_dealt_out_to_so_many_areas() -> None:
    chosen = choose(rural(), 40, seed=1, areas=4)
    assert [len(substation.meters) for substation in chosen.substations] == [10, 10, 10, 10]
    # Where an area has fewer than its share, the next ones give more.
    more = choose(rural(), 120, seed=1, areas=4)
    sizes = [len(substation.meters) for substation in more.substations]
    assert sum(sizes) == 120
    assert len(sizes) > 4
    assert max(sizes) <= 30
    with pytest.raises(LocalError, match="too few areas"):
        choose(load(SMALL), 13, seed=1, areas=2)


@pytest.mark.parametrize("meters", [0, -1, 5368])
def test_choose_refuses_what_is_not_there(meters: int) -> None:
    with pytest.raises(LocalError, match="5367"):
        choose(rural(), meters, seed=1)


def test_an_unknown_code() -> None:
    with pytest.raises(LocalError, match="no grid"):
        load("1-MVLV-nowhere")
    with pytest.raises(LocalError, match="no grid"):
        load("../data/" + SMALL)


def test_a_grid_by_path(tmp_path: Path) -> None:
    packed = resources.files("gossip_ws.grid.data").joinpath(f"{SMALL}.json.gz").read_bytes()
    path = tmp_path / "mine.json.gz"
    path.write_bytes(packed)
    assert load(path) == load(str(path)) == load(SMALL)
    with pytest.raises(LocalError, match="cannot read"):
        load(tmp_path / "none.json.gz")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda grid: grid.update(format="another"),
        lambda grid: grid.pop("areas"),
        lambda grid: grid["areas"][0]["low_voltage"]["parent"].__setitem__(1, 9),
        lambda grid: grid["areas"][0]["low_voltage"]["r"].pop(),
        lambda grid: grid["areas"][0]["meters"]["profile"].__setitem__(0, "none"),
        lambda grid: grid["areas"][0]["meters"]["power"].pop(),
        lambda grid: grid["areas"][0]["appliances"]["meter"].__setitem__(0, 99),
        lambda grid: grid["areas"][0]["appliances"]["meter"].__setitem__(0, -1),
        lambda grid: grid["areas"][0]["appliances"]["kind"].__setitem__(0, "toaster"),
        lambda grid: grid["areas"][0]["meters"]["bus"].__setitem__(0, -1),
        lambda grid: grid["areas"][0].__setitem__("medium_voltage_bus", 7),
        lambda grid: grid["areas"][0].__setitem__("volts", "400"),
        lambda grid: grid["areas"][0]["meters"]["power"].__setitem__(0, -1),
        lambda grid: grid["areas"][0]["meters"]["power"].__setitem__(0, "2000"),
        lambda grid: grid["areas"][0]["meters"]["reactive"].__setitem__(0, None),
        lambda grid: grid["areas"][0]["appliances"]["power"].__setitem__(0, 1.5),
        lambda grid: grid["areas"][0]["appliances"]["capacity"].__setitem__(0, 10**30),
        lambda grid: grid["profiles"]["differences"]["H0-A"].pop(),
        lambda grid: grid["profiles"]["differences"]["H0-A"].__setitem__(0, 10**9),
        lambda grid: grid["profiles"].update(weeks=["yesterday"]),
        lambda grid: grid["profiles"].update(resolution=0),
        lambda grid: grid["profiles"].update(weeks=[], differences={k: [] for k in grid["profiles"]["differences"]}),
    ],
)
def test_a_spoiled_file_is_no_grid(tmp_path: Path, spoil: object) -> None:
    packed = resources.files("gossip_ws.grid.data").joinpath(f"{SMALL}.json.gz").read_bytes()
    grid = json.loads(gzip.decompress(packed))
    spoil(grid)  # type: ignore[operator]
    path = tmp_path / "spoiled.json.gz"
    path.write_bytes(gzip.compress(json.dumps(grid).encode()))
    with pytest.raises(LocalError, match="no grid file"):
        load(path)


@pytest.mark.parametrize(
    "octets",
    [b"", b"junk", gzip.compress(b"[1]"), gzip.compress(b"{}")[:-9], gzip.compress(b"{}")[:10] + b"\xff" * 20],
    ids=["empty", "no gzip", "a list", "cut off", "spoiled"],  # gzip writes the time; two processes need the same names
)
def test_junk_is_no_grid(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "junk.json.gz"
    path.write_bytes(octets)
    with pytest.raises(LocalError, match="no grid file"):
        load(path)


def test_a_file_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(population, "LARGEST_FILE", 1000)
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b" " * 1001))
    with pytest.raises(LocalError, match="more than 1000 octets"):
        load(path)
