"""`gossip-ws plan`: what it prints, for people and for programs, and what it refuses in one line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gossip_ws.devices.cli import call

TOWN = """
[[tier]]
name = "WAN"
nodes = 31
bandwidth = 10_000_000

[[tier]]
name = "FAN"
nodes = 1500
groups = 30
crashed = 0.1
delay = 0.05
bandwidth = 128_000

[[tier]]
name = "HAN"
nodes = 3000
groups = 1350
loss = 0.02
"""
KEYS = {
    "name",
    "nodes",
    "groups",
    "fanout",
    "rounds",
    "coverage",
    "all_reached",
    "cut_off",
    "envelopes",
    "octets",
    "seconds",
}


def planned(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    assert call(["plan", "--json", *arguments]) == code
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_one_tier_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    told = planned(capsys, "--nodes", "1000", "--loss", "0.1", "--crashed", "0.2", "--target", "0.99")
    (tier,) = told["tiers"]
    assert tier.keys() == KEYS
    assert (told["nodes"], told["target"], told["variant"]) == (1000, 0.99, "eager-push")
    assert (tier["name"], tier["nodes"], tier["groups"], tier["fanout"]) == ("all", 1000, 1, 16)
    assert 0.99 <= told["all_reached"] == tier["all_reached"] < 0.995
    assert 0.9999 < tier["coverage"] < 1
    assert told["coverage"] == pytest.approx(tier["coverage"])
    assert tier["octets"] > 1_000 * tier["envelopes"] > 15_000


def test_tiers_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "town.toml"
    file.write_text(TOWN)
    told = planned(capsys, "--tiers", str(file), "--loss", "0.1")
    assert [tier["name"] for tier in told["tiers"]] == ["WAN", "FAN", "HAN"]
    product = 1.0
    for tier in told["tiers"]:
        assert tier.keys() == KEYS
        product *= tier["all_reached"]
    assert told["all_reached"] == pytest.approx(product)
    assert told["all_reached"] >= 0.999
    assert told["nodes"] == 4531
    assert any(note.startswith("HAN: 10.00% of those that are on are below") for note in told["notes"])
    # The loss of the command is that of tiers that say none.
    more = planned(capsys, "--tiers", str(file), "--loss", "0.3")
    assert more["tiers"][0]["fanout"] > told["tiers"][0]["fanout"]
    assert more["tiers"][2] == {**told["tiers"][2]}


def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["plan", "--nodes", "24", "--loss", "0.5", "--target", "0.5"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("eager-push to 24 devices: everyone who is on is reached with probability 0.5")
    assert told[1].split()[:5] == ["tier", "nodes", "groups", "fanout", "rounds"]
    assert told[2].split()[:3] == ["all", "24", "1"]


def test_a_fanout_that_devices_would_cap_is_said_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    told = planned(capsys, "--nodes", "1000", "--loss", "0.8")
    assert told["tiers"][0]["fanout"] > 64
    assert told["notes"] == ["all: a device sends to 64 others at most, if its configuration does not say otherwise"]


def test_a_plan_is_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numpy")
    told = planned(capsys, "--nodes", "100", "--loss", "0.1", "--target", "0.9", "--verify", "--repeat", "800")
    found = told["tiers"][0]["verified"]
    assert found.keys() == {"all_reached", "low", "high", "coverage", "repeat"}
    assert found["low"] <= told["all_reached"] <= found["high"]
    assert found["repeat"] == 800
    assert told["verified"] == found
    file = tmp_path / "town.toml"
    file.write_text(TOWN)
    told = planned(capsys, "--tiers", str(file), "--loss", "0.1", "--target", "0.9", "--verify", "--repeat", "60")
    assert [tier["verified"]["repeat"] for tier in told["tiers"]] == [60, 60, 60]
    assert told["verified"]["low"] <= told["all_reached"] <= told["verified"]["high"]


def test_a_promise_that_does_not_hold_is_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the formula promised two hundredths too much."""
    pytest.importorskip("numpy")
    from gossip_ws.theory import spread
    from gossip_ws.theory.reach import Push, Reach, reach

    def boastful(push: Push) -> Reach:
        return Reach(reach(push).all_reached + 0.02, 1.0)

    monkeypatch.setattr(spread, "reach", boastful)
    planned(capsys, "--nodes", "24", "--target", "0.9", "--verify", "--repeat", "4000", code=1)
    assert call(["plan", "--nodes", "24", "--target", "0.9", "--verify", "--repeat", "4000"]) == 1
    assert "the promise does not hold" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "one of --nodes and --tiers"),
        (["--nodes", "3", "--tiers", "x.toml"], "one of --nodes and --tiers"),
        (["--nodes", "0"], "1 to 100000000 nodes"),
        (["--nodes", "many"], "'many'"),
        (["--nodes", "9", "--loss", "1"], "--loss lies in [0, 1), not 1"),
        (["--nodes", "9", "--loss", "nan"], "--loss lies in [0, 1), not nan"),
        (["--nodes", "9", "--crashed", "12"], "--crashed is a share in [0, 1), not 12"),
        (["--nodes", "9", "--target", "1"], "a target lies between 0 and 1"),
        (["--nodes", "9", "--target", "0"], "a target lies between 0 and 1"),
        (["--nodes", "2", "--loss", "0.1"], "no fanout reaches all of 2 live devices"),
        (["--nodes", "9", "--variant", "shouting"], "'shouting'"),
        (["--nodes", "9", "--variant", "adaptive"], "adaptive"),
        (["--nodes", "9", "--repeat", "3"], "--repeat goes with --verify"),
        (["--tiers", "none.toml"], "No such file"),
    ],
)
def test_one_line_and_exit_code_2(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["plan", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert told in shown.err
    assert shown.err.count("\n") == 1


def test_the_page_shows_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "planning.md").read_text()
    (file,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "town.toml").write_text(file)
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"```console\n\$ gossip-ws (.*?)\n(.*?)```", page, re.DOTALL)
    assert len(shown) == 2
    for command, printed in shown:
        assert call(command.split()) == 0
        assert capsys.readouterr().out == printed


def test_a_plan_needs_no_laboratory() -> None:
    code = """
import sys
from gossip_ws.devices.cli import call
assert call(["plan", "--nodes", "200", "--loss", "0.1"]) == 0
heavy = {"numpy", "asyncio", "lxml", "spyne", "zeep"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
