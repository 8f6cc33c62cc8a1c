"""`gossip-ws what-if`: what it prints, what it is given, and that the devices of the city plan the same."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from gossip_ws.devices.city_loads import planned
from gossip_ws.devices.cli import call
from gossip_ws.devices.load import Load
from gossip_ws.grid.population import choose, load
from gossip_ws.grid.profiles import Jitter
from gossip_ws.services.metering import Measured
from gossip_ws.services.tariff import HeldTariff, PriceBand

VILLAGE = ("--grid", "1-LV-rural1--2-sw")
BANDS = [(0, 480, "0.12"), (480, 960, "0.30"), (960, 1440, "0.38")]


def tariff_file(folder: Path, **changed: object) -> str:
    held = {
        "id": "night",
        "version": 1,
        "start": "2026-11-21T00:00:00Z",
        "end": "2026-12-21T00:00:00Z",
        "bands": [{"fromMinute": start, "toMinute": end, "price": price} for start, end, price in BANDS],
    }
    file = folder / "night.json"
    file.write_text(json.dumps({**held, **changed}))
    return str(file)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert call(["what-if", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_devices_of_the_city_announce_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "--meters", "40", "--seed", "7", "--prices", "0.12,0.30,0.38", "--day", "2016-01-18")
    population = choose(load("1-MVLV-rural-all-2-sw"), 40, 7)
    bands = tuple(PriceBand(start, end, Decimal(price)) for start, end, price in BANDS)
    held = HeldTariff("t", 1, 0.0, 1.0, bands)
    before, after = [0, 0, 0], [0, 0, 0]
    for device in (*population.meters(), *population.appliances()):
        tasks = partial(planned, device, population.profiles, Jitter.draw(7, device.scope))
        own = Load(device.kind.value, tasks, Measured(0.0, 0.0, 0.0))
        for total in (before, after):
            ((_, energies),) = own.demand(date(2016, 1, 18))
            total[:] = [a + b for a, b in zip(total, energies, strict=True)]
            own.adapt(held)
    assert found["before"]["demand_wh"] == before
    assert found["after"]["demand_wh"] == after
    assert found["devices"]["SM"] == 40


def test_a_file_and_prices_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_file = told(capsys, *VILLAGE, "--tariff", tariff_file(tmp_path))
    by_prices = told(capsys, *VILLAGE, "--prices", "0.12, 0.30, 0.38")
    assert by_file == by_prices
    assert by_file["before"]["total_wh"] == by_file["after"]["total_wh"]
    assert len(by_file["quarters_w"]["before"]) == 96


def test_the_start_chooses_what_is_after(capsys: pytest.CaptureFixture[str]) -> None:
    prices = ("--prices", "0.12,0.30,0.38")
    together, spread = told(capsys, *VILLAGE, *prices), told(capsys, *VILLAGE, *prices, "--start", "random")
    assert together["rebound"] == spread["rebound"]
    for found in (together, spread):
        assert found["after"]["peak"] == found["rebound"][found["start"]]["peak"]
    assert together["after"]["peak"]["w"] > spread["after"]["peak"]["w"]


def test_a_person_reads_demand_cost_and_peaks(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["what-if", *VILLAGE, "--prices", "0.12,0.30,0.38"]) == 0
    said = capsys.readouterr().out
    assert "161,272         236,852         +75,580" in said
    assert "cost       226.36 before, 208.31 after" in said
    assert "108.8 kW at 00:00 after, all at once" in said


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "a --tariff FILE or --prices"),
        (("--prices", "1,2,3", "--tariff", "x.json"), "a --tariff FILE or --prices"),
        (("--prices", "1,2"), "one for each of the 3 periods"),
        (("--prices", "1,2,3,4"), "one for each of the 3 periods"),
        (("--prices", "1,two,3"), "not a price: 'two'"),
        (("--prices", "1,,3"), "not a price: ''"),
        (("--prices", "1,inf,3"), "not a price"),
        (("--prices", "1,1e99,3"), "not a price"),
        (("--prices", "1,1e-99,3"), "at most 12 digits after the point"),
        (("--prices", "1,2,3", "--day", "tomorrow"), "no profiles for 'tomorrow'"),
        (("--prices", "1,2,3", "--meters", "14"), "has 13 meters, not 14"),
        (("--prices", "1,2,3", "--grid", "nowhere"), "no grid 'nowhere'"),
        (("--tariff", "nowhere.json"), "nowhere.json: No such file"),
    ],
)
def test_bad_usage_is_one_line(arguments: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["what-if", *VILLAGE, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert reason in err


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"bands": []}, "needs bands"),
        ({"bands": [{"fromMinute": -480, "toMinute": 480, "price": "0.1"}]}, "from minute -480"),
        ({"bands": [{"fromMinute": 480, "toMinute": 0, "price": "0.1"}]}, "from minute 480 to 0"),
        ({"bands": [{"fromMinute": 0, "toMinute": 480, "price": "cheap"}]}, "not a price: 'cheap'"),
        ({"bands": "none"}, "a tariff is an object"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "start: not a time"),
        ({"end": "2020-01-01T00:00:00Z"}, "ends before it starts"),
    ],
)
def test_a_tariff_that_is_none_is_one_line(
    changed: dict[str, object], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["what-if", *VILLAGE, "--tariff", tariff_file(tmp_path, **changed)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert reason in err


def test_a_file_that_is_no_grid_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "town.json.gz"
    file.write_bytes(b"no gzip")
    assert call(["what-if", "--grid", str(file), "--prices", "1,2,3"]) == 2
    assert "is no grid file" in capsys.readouterr().err
