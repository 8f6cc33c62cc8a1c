"""`gossip-ws route`: what it answers, by each way in which reports travel, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gossip_ws.devices.cli import call
from gossip_ws.routing.kinds import Pattern, Topology, seed_001

RING = str(Path(__file__).parents[2] / "docs" / "examples" / "ring.json")


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert call(["route", RING, "--ticks", "30", "--json", *arguments]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_reports_are_asked_for_pushed_or_gossiped(capsys: pytest.CaptureFixture[str]) -> None:
    asked, pushed, gossiped, less = (
        answer(capsys, "--reports", *how) for how in (["ask"], ["push"], ["gossip"], ["gossip", "--fanout", "1"])
    )
    assert answer(capsys, "--reports", "gossip", "--lag", "3")["trace"] != gossiped["trace"]
    for one in (asked, pushed, gossiped, less):
        assert one["usable"]
        assert one["gap"] < 0.05 * one["cost"]
        assert len(one["trace"]) == 31
    assert asked == answer(capsys)
    assert min(asked["messages"], pushed["messages"]) > 1
    assert less["messages"] <= 1 < gossiped["messages"] <= 3


def test_the_text_says_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["route", RING, "--ticks", "5", "--reports", "gossip"]) == 0
    said = capsys.readouterr().out
    assert "reports a node and tick" in said
    assert "delay cost" in said


@pytest.mark.parametrize(
    "wrong",
    [
        ("--reports", "gossip", "--algorithm", "halo"),
        ("--reports", "gossip", "--fanout", "0"),
        ("--reports", "gossip", "--lag", "-1"),
        ("--reports", "gossip", "--lag", "nan"),
        ("--reports", "pull"),
        ("--reports", "gossip", "--async-max", "-1"),
    ],
    ids=" ".join,
)
def test_bad_usage_is_exit_2(wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["route", RING, *wrong]) == 2
    assert capsys.readouterr().err


def test_what_fails_to_fit_is_told_apart_from_what_is_not_decided(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """0 and 3 have 56.7 kb for 1 and 2, the ring's links 50 each: they go two ways, not one."""
    assert answer(capsys)["feasible"] is True
    assert call(["route", RING, "--fail", "0-1@5", "--ticks", "10", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["feasible"] is False
    assert call(["route", RING, "--fail", "0-1@5", "--ticks", "10"]) == 1
    assert "no routing fits" in capsys.readouterr().out
    # So near to the limit of 0.64609375 that the check gives up.
    near = seed_001(Topology.MESH, Pattern.CYCLIC, 0.646093749)
    file = tmp_path / "near.json"
    links = list(near.capacity)
    demands = [[one.source, one.target, one.demand] for one in near.commodities]
    file.write_text(
        json.dumps(
            {"nodes": 4, "links": links, "capacity_kb": [near.capacity[link] for link in links], "demands": demands}
        )
    )
    assert call(["route", str(file), "--ticks", "1", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["feasible"] is None
    assert call(["route", str(file), "--ticks", "1"]) == 1
    assert "not decided" in capsys.readouterr().out
    # What it starts with is overloaded, but that it fits is known; afterwards it does not.
    full = ["route", RING, "--algorithm", "minhop", "--ticks", "1", "--json"]
    assert call([*full, "--change", "0-1@1=20"]) == 1
    assert json.loads(capsys.readouterr().out)["feasible"] is True
    assert call([*full, "--change", "0-1@1=1"]) == 1
    assert json.loads(capsys.readouterr().out)["feasible"] is False
