"""`push-tariff --receipt` and `pull-demand --missing`, as they are typed, with all alive and with some dead."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streets import Streets
from town import ACTIONS, GET_REPORT, PASSWORD, USER

from gossip_ws.devices.cli import call

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(streets: Streets, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """run(verb, options...) -> (exit code, standard output), at the information system, as the operator."""
    (tmp_path / "password").write_text(PASSWORD + "\n")

    def run(verb: str, *options: str, at: Streets = streets) -> tuple[int, str]:
        login = "--user", USER, "--password-file", str(tmp_path / "password")
        code = call([verb, at.top.url(""), *login, *options])
        told = capsys.readouterr()
        assert told.err == ""
        return code, told.out

    return run


def push(version: int, *more: str) -> tuple[str, ...]:
    return "push-tariff", "--id", "night", "--version", str(version), "--band", "00:00-24:00=0.2", *more


def lines(*expected: str) -> str:
    return "".join(f"{line}\n" for line in expected)


def test_a_receipt_when_everyone_has_it(run: Run, streets: Streets) -> None:
    code, told = run(*push(1, "--receipt"))
    accepted = f"accepted by {streets.top.url('/Tariff/gossip')}: night, version 1"
    assert (code, told) == (0, lines(accepted, "7 of 7 have it, 0 unreached, 0 silent"))
    assert all(device.version == 1 for device in streets.town.devices)


def test_a_receipt_for_machines(run: Run) -> None:
    code, told = run(*push(2, "--receipt", "--json"))
    found = json.loads(told)
    receipt = found.pop("receipt")
    assert (code, found["accepted"], found["version"]) == (0, True, 2)
    assert re.fullmatch("[0-9a-f]{64}", receipt.pop("gossip_id"))
    assert receipt == {
        "expected": 7,
        "answered": 7,
        "reached": 7,
        "unreached": 0,
        "silent": 0,
        "unreached_names": {"told": [], "unnamed": 0},
        "silent_names": {"told": [], "unnamed": 0},
        "names_at_most": 2000,
        "certain": {"low": 7, "high": 7},
        "estimate": None,
        "everyone": True,
    }


def test_without_a_receipt_nothing_has_changed(run: Run, streets: Streets) -> None:
    accepted = f"accepted by {streets.top.url('/Tariff/gossip')}: night, version 3"
    assert run(*push(3)) == (0, lines(accepted))
    code, told = run(*push(4, "--json"))
    assert (code, set(json.loads(told))) == (0, {"accepted", "at", "id", "version"})


def test_a_receipt_of_one_street(run: Run, streets: Streets) -> None:
    code, told = run(*push(5, "--scope", "grid://town/2", "--receipt"))
    assert code == 0
    assert told.endswith("3 of 3 have it, 0 unreached, 0 silent\n")
    assert streets.meters[0].version < 5


def test_nobody_is_named_when_nobody_is_missing(run: Run) -> None:
    code, told = run("pull-demand", "--missing", "--json")
    found = json.loads(told)
    assert (code, found["not_counted"]) == (0, {"told": [], "unnamed": 0})
    # There is no doubt about a value that everyone is in.
    assert "bounds_wh" not in found["rows"][0]


def test_a_device_that_refuses_is_unreached_by_name(run: Run, streets: Streets) -> None:
    meter = streets.ahead(99)
    code, told = run(*push(6, "--receipt", "--within", "1.5"))
    assert code == 1
    assert told.splitlines()[1:] == ["6 of 7 have it, 1 unreached, 0 silent", f"  unreached: {meter.id} (refused)"]


@pytest.fixture
def dead(streets: Streets) -> tuple[str, str]:
    """(a meter, a substation with both its meters), dead from the first test that asks for them."""
    meter, substation = streets.meters[1], streets.substations[1]
    for device in (meter, substation):
        if device in streets.town.devices:
            streets.crash(device)
    return meter.id, substation.id


def test_the_silent_are_named_and_no_success_is_made_up(run: Run, dead: tuple[str, str]) -> None:
    meter, substation = dead
    code, told = run(*push(100, "--receipt", "--within", "1.5"))
    assert code == 1
    head, *names, certain, estimate = told.splitlines()[1:]
    # Nobody refuses 100: of the seven two are dead, and two more are out of reach behind one of them.
    assert head == "3 of 7 have it, 0 unreached, 4 silent"
    assert sorted(names) == sorted([f"  silent: {meter} (missing)", f"  silent: {substation} (missing, 3 devices)"])
    assert certain == "certain: 3 to 7 have it"
    assert estimate.startswith("of the 4 silent about 4.0 have it (1 to 4 at 95 %), if")
    code, told = run(*push(101, "--receipt", "--within", "1.5", "--json"))
    receipt = json.loads(told)["receipt"]
    assert (code, receipt["everyone"], receipt["reached"], receipt["silent"]) == (1, False, 3, 4)
    assert receipt["certain"] == {"low": 3, "high": 7}
    assert receipt["silent_names"]["unnamed"] == 0
    assert (receipt["estimate"]["low"], receipt["estimate"]["high"]) == (1, 4)


def test_the_missing_of_a_pull_are_named_and_what_they_could_change_is_told(
    run: Run, streets: Streets, dead: tuple[str, str]
) -> None:
    meter, substation = dead
    code, told = run("pull-demand", "--day", "2026-11-21", "--missing", "--timeout", "1.5", "--json")
    found = json.loads(told)
    assert (code, found["contributors"], found["expected"], found["missing"]) == (0, 3, 7, 4)
    by_name = sorted(found["not_counted"]["told"], key=lambda one: one["devices"])
    assert by_name == [
        {"device": meter, "standing": "missing", "devices": 1},
        {"device": substation, "standing": "missing", "devices": 3},
    ]
    assert found["not_counted"]["unnamed"] == 0
    assert found["rows"][0]["bounds_wh"] == [[0, 4_000_000_000]] * 3
    code, told = run("pull-demand", "--day", "2026-11-21", "--missing", "--timeout", "1.5", "--periods", "2")
    assert code == 0
    shown = told.splitlines()
    assert shown[2:4] == [f"{'at least':>24}{'0':>16}", f"{'at most':>24}{'4000000000':>16}"]
    assert sorted(shown[5:]) == sorted(
        [f"  not counted: {meter} (missing)", f"  not counted: {substation} (missing, 3 devices)"]
    )


@pytest.mark.parametrize(
    ("filter", "bounds", "why"),
    [
        ("mean", [[0, 571_428_572]] * 3, None),
        ("count", [[3, 7]] * 3, None),
        ("max", None, "only sum, mean, count have bounds"),
    ],
)
def test_other_filters_have_the_bounds_that_can_be_known(
    filter: str, bounds: Any, why: str | None, run: Run, dead: tuple[str, str]
) -> None:
    code, told = run("pull-demand", "--filter", filter, "--timeout", "1.5", "--json")
    found = json.loads(told)
    assert (code, found["contributors"]) == (0, 3)
    assert (found["rows"][0]["bounds_wh"], found.get("no_bounds")) == (bounds, why)


def test_an_entry_that_may_not_ask_gives_no_receipt_and_says_why(run: Run) -> None:
    closed = Streets.open(ACTIONS - {GET_REPORT})
    try:
        code, told = run(*push(1, "--receipt"), at=closed)
        assert code == 1
        accepted, reason = told.splitlines()
        assert accepted.startswith("accepted by ")
        assert reason.startswith("no receipt: ")
    finally:
        closed.town.close()


def test_options_that_do_not_go_together(streets: Streets, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*push(1, "--within", "3"), streets.top.url("")]) == 2
    assert "--within goes with --receipt" in capsys.readouterr().err
