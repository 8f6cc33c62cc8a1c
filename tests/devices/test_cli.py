"""The command line itself: help, exit codes, one line for an error, and what is not imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from single_devices import CLI, cli, start

from gossip_ws.devices.cli import call
from gossip_ws.security.keys import PrivateKey, PublicKey
from gossip_ws.security.passwords import PasswordHash

VERBS = [
    ("city",),
    ("balance",),
    ("discover",),
    ("conform",),
    ("push-tariff",),
    ("pull-demand",),
    ("route",),
    ("subscribe",),
    ("device", "run"),
    ("plan",),
    ("key", "new"),
    ("key", "show"),
    ("key", "enrol"),
    ("key", "list"),
    ("key", "password"),
    ("grid", "import"),
    ("grid", "list"),
    ("what-if",),
]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_explains_itself_with_an_example(verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*verb, "--help"]) == 0
    told = capsys.readouterr().out
    assert "Example:" in told
    assert f"gossip-ws {' '.join(verb)}" in told
    assert "--json" in told


def test_the_group_lists_its_verbs_without_importing_them() -> None:
    code = """
import sys
from gossip_ws.devices.cli import call
assert call(["--help"]) == 0
heavy = {"asyncio", "lxml", "spyne", "zeep", "requests", "cryptography", "numpy", "sqlite3"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {verb[0] for verb in VERBS} <= set(done.stdout.split())


def test_a_running_device_imports_no_client_and_no_grid(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from gossip_ws.devices import cli_device, single
def run(config, ready):
    loaded = {name for name, module in sys.modules.items() if module is not None}
    heavy = {"zeep", "requests", "numpy", "ssl", "email", "gossip_ws.grid.population"} & loaded
    heavy |= {name for name in loaded if name.startswith("gossip_ws.consensus.")}
    assert not heavy, heavy
single.run = run
from gossip_ws.devices.cli import main
main(["device", "run", sys.argv[1]])
"""
    file = tmp_path / "meter.toml"
    file.write_text(
        'role = "SmartMeter"\naddresses = ["127.0.0.1"]\nscopes = ["grid://a/b"]\nstore = "a.sqlite"\n'
        'security = "development"\ndemand.energy_wh = [1, 2, 3]\n'
    )
    lean = "from gossip_ws.devices.lean import become_lean; become_lean()"
    done = subprocess.run(
        [sys.executable, "-c", f"{lean}\n{code}", str(file)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["device", "nonsense"], "No such command 'nonsense'"),
        (["discover", "--timeout", "soon"], "'soon' is not a valid float"),
        (["discover", "--interface", "none0"], "neither an interface nor an address of this machine: 'none0'"),
        (["discover", "--type", "{a"], "--type: not a name"),
        (["device", "run"], "Missing argument 'FILE'"),
        (["device", "run", "none.toml"], "none.toml: No such file or directory"),
        (["push-tariff"], "a URL, or a --scope"),
        (["push-tariff", "http://127.0.0.1:1/Tariff"], "a tariff is a --tariff FILE, or"),
        (["push-tariff", "http://127.0.0.1:1/Tariff", "--tariff", "none.json"], "none.json: No such file"),
        (
            ["push-tariff", "http://127.0.0.1:1/Tariff", "--id", "a", "--version", "1", "--band", "0-8=1"],
            "not a time of day HH:MM: '0'",
        ),
        (
            ["push-tariff", "http://127.0.0.1:1/Tariff", "--id", "a", "--version", "1", "--band", "00:00-24:00=dear"],
            "--band: not a price: 'dear'",
        ),
        (
            [
                *("push-tariff", "http://127.0.0.1:1/Tariff", "--id", "a", "--version", "1"),
                *("--band", "00:00-24:00=1", "--end", "2026-01-01T00:00"),
            ],
            "--end: a time without its zone",
        ),
        (["pull-demand"], "a URL, or a --scope"),
        (["pull-demand", "ftp://127.0.0.1/a"], "not a soap.udp or http address"),
        (["pull-demand", "http://127.0.0.1:1/Metering", "--filter", "median"], "neither one of sum, max, min, mean"),
        (["pull-demand", "http://127.0.0.1:1/Metering", "--periods", "4"], "--periods: some of 1,2,3"),
        (["pull-demand", "http://127.0.0.1:1/Metering", "--day", "today"], "--day: not YYYY-MM-DD: 'today'"),
        (["pull-demand", "http://127.0.0.1:1/Metering", "--user", "a"], "--user needs a --password-file"),
        (["pull-demand", "http://127.0.0.1:1/Metering", "--fanout", "3"], "fanout and rounds are given together"),
        (["pull-demand", "http://127.0.0.1:1/Metering", "--times", "3"], "--times goes with --every"),
        (["pull-demand", "http://127.0.0.1:1/Metering", "--all", "--filter", "max"], "--all goes without --filter"),
        (["key", "show", "none.key"], "none.key: No such file or directory"),
        (["grid", "import", "none", "--output", "none"], "--output: not a folder: none"),
        (["grid", "import", "no-such-grid"], ""),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(arguments) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("gossip-ws: ")
    assert error.count("\n") == 1
    assert told in error


@pytest.mark.parametrize("content", ["[]", "{}", "no", '{"id": "a"}', "[" * 100_000])
def test_a_file_that_is_no_tariff(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tariff.json"
    file.write_text(content)
    assert call(["push-tariff", "http://127.0.0.1:1/Tariff", "--tariff", str(file)]) == 2
    assert capsys.readouterr().err.startswith(f"gossip-ws: {file}: ")


def test_nothing_said_is_help_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert call([]) == 2
    assert "pull-demand" in capsys.readouterr().err
    assert call(["key"]) == 2
    assert "password" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("colour = 1", "colour: unknown key"),
        ('addresses = ["203.0.113.9"]', "addresses: not an address of this machine"),
    ],
)
def test_a_device_with_a_wrong_file_does_not_start(line: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "meter.toml"
    address = "" if "addresses" in line else 'addresses = ["127.0.0.1"]\n'
    file.write_text(
        f'role = "SmartMeter"\nscopes = ["grid://a/b"]\nstore = "a.sqlite"\nsecurity = "development"\n{address}{line}\n'
    )
    done = cli("device", "run", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"gossip-ws: {file}: {told}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "a.sqlite").exists()


def test_keys_are_made_shown_and_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "meter.key"
    assert call(["key", "new", str(file), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["id"] == PrivateKey.load(file).id == PublicKey.load(tmp_path / "meter.key.pub").id
    for name in ("meter.key", "meter.key.pub"):
        assert call(["key", "show", str(tmp_path / name), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["id"] == made["id"]
    before = file.read_bytes()
    assert call(["key", "new", str(file)]) == 2
    assert file.read_bytes() == before


def test_a_password_is_hashed_from_standard_input() -> None:
    done = cli("key", "password", stdin="lights on\n")
    assert done.returncode == 0
    assert PasswordHash.parse(done.stdout.strip()).fits("lights on")
    assert cli("key", "password", stdin="\n").returncode == 2


def test_the_grids_that_ship(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["grid", "list", "--json"]) == 0
    grids = json.loads(capsys.readouterr().out)
    assert {"code": "1-LV-rural1--2-sw", "SSC": 1, "SM": 13, "IED": 28} in grids


def test_a_device_is_found_by_multicast_and_pulled_from(tmp_path: Path) -> None:
    """Answers to a Probe wait up to 2.5 s: three waits are most of this file's time, and they are at once."""
    port = str(Random().randrange(20_000, 30_000))
    file = tmp_path / "meter.toml"
    file.write_text(
        'role = "SmartMeter"\naddresses = ["127.0.9.1"]\nscopes = ["grid://found/ssc/sm"]\nstore = "a.sqlite"\n'
        f'security = "development"\ndiscovery.port = {port}\ndemand.energy_wh = [100, 200, 300]\n'
    )
    running = start(file)
    try:
        asked = [
            ["discover", "--interface", "127.0.9.2", "--port", port, "--type", "SmartMeter", "--json"],
            ["discover", "--interface", "127.0.9.3", "--port", port, "--scope", "grid://other", "--json"],
            ["pull-demand", "--interface", "127.0.9.4", "--port", port, "--scope", "grid://found", "--json"],
        ]
        calls = [subprocess.Popen([*CLI, *one], stdout=subprocess.PIPE, text=True) for one in asked]
        (found, other, demand) = (json.loads(one.communicate(timeout=20)[0]) for one in calls)
        assert [one.returncode for one in calls] == [0, 1, 0]
        assert other == []
        (device,) = found
        assert device["device"] == running.told["device"]
        assert device["scopes"] == ["grid://found/ssc/sm"]
        assert device["addresses"] == [running.address("/device")]
        services = {one["type"].rpartition("}")[2]: one for one in device["services"]}
        assert services["Tariff"]["address"] == running.address("/Tariff")
        assert services["Tariff"]["shadow"] == running.address("/Tariff/gossip")
        assert services["Peers"]["shadow"] is None
        assert demand["contributors"] == 1
        assert sum(demand["rows"][0]["value_wh"]) == 600
    finally:
        assert running.stop() == 0


def test_a_key_is_enrolled_with_its_place_and_a_forged_enrolment_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    operator, meter, file = tmp_path / "operator.key", tmp_path / "meter.key", tmp_path / "enrolments.jsonl"
    for key in (operator, meter):
        assert call(["key", "new", str(key)]) == 0
    capsys.readouterr()
    device = "urn:uuid:1f0a1d5e-0f8e-4c8a-9b53-5c1c8a6e7d10"
    enrol = ["key", "enrol", f"{meter}.pub", "--operator", str(operator), "--device", device]
    listed = ["key", "list", str(file), "--operator", f"{operator}.pub"]
    assert call([*enrol, "--place", "grid://town/1/7"]) == 0
    printed = capsys.readouterr().out
    for place in ("grid://town/1/7", "grid://town/1/8"):
        assert call([*enrol, "--place", place, "--bus", "4", "--into", str(file), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["place"] == place
    # A device has one place: the second took the first one's line.
    assert call([*listed, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["device"], told["place"], told["bus"], told["state"]) == (device, "grid://town/1/8", 4, "valid")
    assert told["key_id"] == PublicKey.load(tmp_path / "meter.key.pub").id
    assert call(listed) == 0
    assert "valid" in capsys.readouterr().out
    file.write_text(printed.replace("town/1/7", "town/2/7"))
    assert call(listed) == 2
    forged = capsys.readouterr().err
    assert "forged" in forged
    assert forged.count("\n") == 1
    assert call([*enrol, "--place", "here"]) == 2


def test_an_enrolment_that_has_expired_is_a_bad_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gossip_ws.security.enrolment import Enrolments, enrol, save

    operator, file = PrivateKey.generate(), tmp_path / "enrolments.jsonl"
    (tmp_path / "operator.pub").write_bytes(operator.public.pem())
    device = "urn:uuid:1f0a1d5e-0f8e-4c8a-9b53-5c1c8a6e7d10"
    save(file, Enrolments([enrol(operator, device, PrivateKey.generate().public, "grid://town/1/7", 0, 1000)]))
    assert call(["key", "list", str(file), "--operator", str(tmp_path / "operator.pub")]) == 1
    assert "expired" in capsys.readouterr().out
