"""The derivation from SimBench's tables, on a net small enough to check by eye, and on the real one if it is there."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.population import load
from gossip_ws.kernel.errors import LocalError
from gossip_ws.lab import simbench_import as lab


def line(index: int, one: int, other: int, km: float = 1.0) -> dict[str, Any]:
    ohm = {"r_ohm_per_km": 0.3, "x_ohm_per_km": 0.4, "parallel": 1}
    return {"index": index, "from_bus": one, "to_bus": other, "length_km": km, "in_service": True, **ohm}


def load_at(bus: int, profile: str) -> dict[str, Any]:
    return {"bus": bus, "profile": profile, "p_mw": 0.002, "q_mvar": 0.001}


def transformer(index: int, high: int, low: int, volts: float) -> dict[str, Any]:
    rating = {"vn_lv_kv": volts, "sn_mva": 0.16, "parallel": 1, "vk_percent": 5.0, "vkr_percent": 3.0}
    place = {"index": index, "hv_bus": high, "lv_bus": low, "in_service": True}
    return {**place, **rating, "name": f"T{index}", "subnet": f"LV{index}"}


@pytest.fixture
def tables() -> dict[str, list[dict[str, Any]]]:
    """110 kV bus 0, 20 kV buses 1 and 2; low voltage 10 - 11 - 12 and 10 - 13, and a ring 12 - 13 that is open."""
    volts = {0: 110.0, 1: 20.0, 2: 20.0, 10: 0.4, 11: 0.4, 12: 0.4, 13: 0.4, 14: 0.4}
    return {
        "bus": [{"index": bus, "vn_kv": kv} for bus, kv in volts.items()],
        "line": [line(0, 1, 2), line(1, 10, 11), line(2, 11, 12), line(3, 10, 13, 0.1), line(4, 12, 13, 0.01)],
        "trafo": [transformer(0, 0, 1, 20.0), transformer(1, 2, 10, 0.4)],
        "switch": [
            {"bus": 12, "element": 4, "et": "l", "closed": False},
            {"bus": 13, "element": 14, "et": "b", "closed": True},
            {"bus": 1, "element": 0, "et": "t", "closed": True},
        ],
        "load": [
            load_at(11, "H0-A"),
            load_at(14, "G1-A"),
            load_at(14, "L2-A"),
            load_at(1, "G3-M"),
            load_at(12, "Air_Parallel_1"),
            load_at(14, "HLS_A_3.7"),
            load_at(14, "APLS_A_3.7"),
        ],
        "sgen": [load_at(11, "PV1"), load_at(1, "WP4")],
        "storage": [{**load_at(11, "Storage_PV1_H0-A"), "p_mw": -0.003, "max_e_mwh": 0.006}],
        "ext_grid": [{"bus": 0}],
    }


def test_the_area_is_what_the_closed_switches_leave(tables: dict[str, Any]) -> None:
    grid = lab.derive("code", tables)
    (area,) = grid["areas"]
    # By distance: 10, 13 and behind its coupler 14, 11, 12; the open ring line is no short cut.
    assert area["low_voltage"]["parent"] == [0, 0, 1, 0, 3]
    assert area["low_voltage"]["r"] == [0, 300, 0, 3000, 3000]
    assert area["low_voltage"]["x"] == [0, 400, 0, 4000, 4000]
    assert grid["medium_voltage"]["parent"] == [0, 0]
    assert area["medium_voltage_bus"] == 1


def test_meters_and_appliances(tables: dict[str, Any]) -> None:
    (area,) = lab.derive("code", tables)["areas"]
    assert area["meters"]["profile"] == ["G1-A", "L2-A", "H0-A"]
    assert area["meters"]["power"] == [2000] * 3
    used = area["appliances"]
    attached = dict(zip(used["profile"], used["meter"], strict=True))
    # Two meters at a bus take turns; the heat pump has no meter at its bus and goes to the nearest.
    assert attached == {
        "HLS_A_3.7": 0,
        "APLS_A_3.7": 1,
        "PV1": 2,
        "Storage_PV1_H0-A": 2,
        "Air_Parallel_1": 2,
    }
    assert area["moved"] == 1
    storage = used["profile"].index("Storage_PV1_H0-A")
    assert (used["power"][storage], used["capacity"][storage]) == (3000, 6000)
    assert all(Kind(kind) for kind in used["kind"])


def test_the_transformer_seen_from_below(tables: dict[str, Any]) -> None:
    """5 % and 3 % of (400 V)^2 / 160 kVA = 1 ohm: z 0.05, r 0.03, x 0.04."""
    (area,) = lab.derive("code", tables)["areas"]
    assert (area["r"], area["x"], area["volts"], area["rated"]) == (300, 400, 400, 160_000)


def test_a_transformer_switched_off_has_no_area(tables: dict[str, Any]) -> None:
    tables["switch"].append({"bus": 2, "element": 1, "et": "t", "closed": False})
    with pytest.raises(LocalError, match="no transformer"):
        lab.derive("code", tables)


def test_an_area_that_the_substation_does_not_feed(tables: dict[str, Any]) -> None:
    tables["line"][0]["in_service"] = False
    with pytest.raises(LocalError, match="not connected"):
        lab.derive("code", tables)


def times(days: int, short: int = -1) -> list[str]:
    return [
        f"{18 + day:02}.01.2016 {quarter // 4:02}:{quarter % 4 * 15:02}"
        for day in range(days)
        for quarter in range(92 if day == short else 96)
    ]


def test_profiles_are_cut_to_weeks_and_kept_as_differences() -> None:
    values = [0.25, 0.5, 0.125] + [0.0] * (96 * 7)
    cut = lab.cut({"P": values}, ["P"], times(8), ["2016-01-18"])
    assert cut["differences"]["P"][:4] == [2500, 2500, -3750, -1250]
    assert len(cut["differences"]["P"]) == 7 * 96
    assert cut["weeks"] == ["2016-01-18"]


@pytest.mark.parametrize("week", ["2016-01-19", "2016-02-01"])
def test_a_week_that_is_not_there(week: str) -> None:
    with pytest.raises(LocalError):
        lab.cut({"P": [0.0] * 2000}, ["P"], times(7), [week])


def test_a_week_with_a_change_of_summer_time() -> None:
    with pytest.raises(LocalError, match="24 hours"):
        lab.cut({"P": [0.0] * 2000}, ["P"], times(9, short=3), ["2016-01-18"])


def test_what_is_written_is_read(tables: dict[str, Any], tmp_path: Path) -> None:
    grid = lab.derive("1-X-village-1", tables)
    profiles = {name: [0.5] * 700 for name in lab.used(grid)}
    grid["profiles"] = lab.cut(profiles, lab.used(grid), times(8), ["2016-01-18"])
    path = tmp_path / "village.json.gz"
    lab.write(grid, path)
    first = path.read_bytes()
    lab.write(grid, path)
    assert path.read_bytes() == first
    village = load(path)
    assert village.scope == "grid://village"
    assert (village.counts().meters, village.counts().appliances) == (3, 5)
    (substation,) = village.substations
    assert substation.distance == pytest.approx(0.5)
    assert [round(meter.distance, 6) for meter in substation.meters] == [0.05, 0.05, 0.5]
    assert village.profiles.energy("H0-A", "2016-01-24", 2000) == (8000, 8000, 8000)


@pytest.mark.skipif(find_spec("simbench") is not None, reason="the laboratory is installed")
def test_without_the_laboratory_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"gossip-ws\[lab\]"):
        lab.import_grid("1-LV-rural1--2-sw", tmp_path)


@pytest.mark.skipif(find_spec("simbench") is None, reason="needs the lab extra")
@pytest.mark.filterwarnings("ignore")
def test_the_shipped_grid_is_made_again(tmp_path: Path) -> None:
    code = "1-LV-rural1--2-sw"
    assert load(lab.import_grid(code, tmp_path)) == load(code)
    with pytest.raises(LocalError, match="no grid"):
        lab.import_grid("1-LV-nowhere", tmp_path)
