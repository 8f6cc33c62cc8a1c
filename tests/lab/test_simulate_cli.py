"""`gossip-ws simulate`: what it prints, and what it refuses."""

from __future__ import annotations

import builtins
import json

import pytest

from gossip_ws.devices.cli import call


def simulate(capsys, *arguments):
    assert call(["simulate", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_json_has_the_trial_and_the_summary(capsys):
    told = json.loads(
        simulate(capsys, "--nodes", 1000, "--fanout", 11, "--rounds", 20, "--loss", 0.1, "--seed", 5, "--json")
    )
    assert told["trial"] == {
        "nodes": 1000,
        "fanout": 11,
        "rounds": 20,
        "loss": 0.1,
        "crashed": 0.0,
        "variant": "eager-push",
    }
    assert told["seed"] == 5
    assert told["repeat"] == 1000
    assert set(told["coverage"]) == {"mean", "p1", "minimum"}
    assert 0.92 < told["all_reached"] < 0.98
    assert set(told["rounds"]) == {"median", "p99"}
    assert 10.9 < told["envelopes_per_delivery"] < 11.1
    assert told["rmr"] == pytest.approx(told["envelopes_per_delivery"] - 1)
    assert told["seconds"] > 0


def test_without_fanout_and_rounds_the_planner_chooses(capsys):
    told = json.loads(simulate(capsys, "--nodes", 200, "--loss", 0.1, "--crashed", 0.1, "--repeat", 500, "--json"))
    assert told["all_reached"] > 0.98
    assert told["rounds"]["p99"] <= told["trial"]["rounds"] < 20


def test_people_get_lines(capsys):
    told = simulate(capsys, "--nodes", 50, "--fanout", 49, "--rounds", 2, "--repeat", 3).splitlines()
    assert told[0] == "50 devices, 50 live: eager-push, fanout 49, 2 rounds, loss 0"
    assert told[2].split(maxsplit=2) == ["everyone", "reached", "100.00% of 3 repetitions"]


TIERS = """
[[tier]]
name = "WAN"
nodes = 11
delay = 0.03
[[tier]]
name = "FAN"
nodes = 500
groups = 10
loss = 0.2
bandwidth = 1_000_000
"""


def test_tiers_from_a_file(capsys, tmp_path):
    file = tmp_path / "tiers.toml"
    file.write_text(TIERS)
    told = json.loads(simulate(capsys, "--tiers", file, "--loss", 0.1, "--repeat", 20, "--json"))
    wan, fan = told["tiers"]
    assert wan["tier"] == {
        "name": "WAN",
        "nodes": 11,
        "groups": 1,
        "fanout": wan["tier"]["fanout"],
        "rounds": wan["tier"]["rounds"],
        "loss": 0.1,
        "crashed": 0.0,
        "delay": 0.03,
        "bandwidth": None,
    }
    assert (fan["tier"]["groups"], fan["tier"]["loss"], fan["tier"]["bandwidth"]) == (10, 0.2, 1e6)
    assert wan["time"]["median"] < fan["time"]["median"] == told["time"]["median"]
    assert fan["all_reached"] > 0.8
    assert (told["nodes"], told["seed"], told["repeat"]) == (511, 1, 20)
    assert told["coverage"]["mean"] > 0.999
    lines = simulate(capsys, "--tiers", file, "--fanout", 3, "--rounds", 2, "--repeat", 2).splitlines()
    assert lines[1].split()[:5] == ["WAN", "11", "1", "3", "2"]
    assert lines[3].split()[:2] == ["all", "511"]


def test_the_tiers_of_a_grid(capsys):
    told = json.loads(simulate(capsys, "--grid", "1-LV-rural1--2-sw", "--repeat", 5, "--json"))
    assert [(one["tier"]["name"], one["tier"]["nodes"]) for one in told["tiers"]] == [
        ("WAN", 2),
        ("FAN", 13),
        ("HAN", 28),
    ]
    assert told["all_reached"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nodes", "10", "--grid", "1-LV-rural1--2-sw"),
        ("--tiers", "nowhere.toml"),
        ("--grid", "nowhere"),
        ("--grid", "pyproject.json.gz"),
        ("--grid", "1-LV-rural1--2-sw", "--variant", "lazy-push"),
        ("--grid", "1-LV-rural1--2-sw", "--loss", "1"),
        ("--grid", "1-LV-rural1--2-sw", "--fanout", "-1"),
        ("--grid", "1-LV-rural1--2-sw", "--rounds", "20000"),
        ("--grid", "1-LV-rural1--2-sw", "--repeat", "0"),
        ("--nodes", "10", "--loss", "1"),
        ("--nodes", "10", "--loss", "nan"),
        ("--nodes", "10", "--crashed", "1"),
        ("--nodes", "10", "--crashed", "-0.1"),
        ("--nodes", "10", "--fanout", "10"),
        ("--nodes", "10", "--fanout", "-1"),
        ("--nodes", "10", "--rounds", "-1"),
        ("--nodes", "10", "--variant", "shouting"),
        ("--nodes", "10", "--variant", "adaptive"),
        ("--nodes", "10", "--repeat", "0"),
        ("--nodes", "10", "--seed", "-1"),
        ("--nodes", "0"),
        ("--nodes", "1000000000000"),
        (),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_2(capsys, arguments):
    assert call(["simulate", *arguments]) == 2
    told = capsys.readouterr()
    assert not told.out
    assert len(told.err.splitlines()) == 1


def test_without_numpy_the_extra_is_named(capsys, monkeypatch):
    real = builtins.__import__

    def missing(name, *arguments):
        if name.startswith("gossip_ws.lab"):
            raise ModuleNotFoundError("No module named 'numpy'", name="numpy")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    assert call(["simulate", "--nodes", "10"]) == 2
    assert "gossip-ws[lab]" in capsys.readouterr().err


@pytest.mark.parametrize("codec", [(), ("--codec", "xml")])
def test_the_real_core_simulates_too(capsys, codec):
    asked = ("--nodes", 30, "--fanout", 5, "--rounds", 12, "--loss", 0.1, "--engine", "core", *codec, "--json")
    told = json.loads(simulate(capsys, *asked, "--repeat", 3))
    assert (told["engine"], told["repeat"], told["trial"]["nodes"]) == ("core", 3, 30)
    assert 0.9 < told["coverage"]["mean"] <= 1
    assert 4 < told["envelopes_per_delivery"] < 6


def test_the_real_core_has_the_adaptive_variant(capsys):
    asked = ("--nodes", 20, "--variant", "adaptive", "--engine", "core", "--repeat", 1, "--json")
    told = json.loads(simulate(capsys, *asked))
    assert told["coverage"]["mean"] == 1
    assert told["rmr"] < 1.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--nodes", 40_000, "--fanout", 3, "--engine", "core"), "at most 30000 devices, not 40000"),
        (("--sweep", "nodes=10,40000", "--fanout", 3, "--engine", "core"), "at most 30000 devices, not 40000"),
        (("--nodes", 10, "--codec", "xml"), "--codec goes with --engine core"),
        (("--grid", "1-LV-rural1--2-sw", "--engine", "core"), "--engine core goes with --nodes"),
    ],
)
def test_what_the_real_core_does_not_do_is_one_line(capsys, arguments, said):
    assert call(["simulate", *map(str, arguments)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
