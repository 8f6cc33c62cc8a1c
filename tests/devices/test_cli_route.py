"""`gossip-ws route`: what it answers, by each way in which reports travel, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gossip_ws.devices.cli import call

RING = str(Path(__file__).parents[2] / "docs" / "examples" / "ring.json")


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert call(["route", RING, "--ticks", "30", "--json", *arguments]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_reports_are_asked_for_pushed_or_gossiped(capsys: pytest.CaptureFixture[str]) -> None:
    asked, pushed, gossiped, less = (
        answer(capsys, "--reports", *how) for how in (["ask"], ["push"], ["gossip"], ["gossip", "--fanout", "1"])
    )
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
        ("--reports", "pull"),
        ("--reports", "gossip", "--async-max", "-1"),
    ],
    ids=" ".join,
)
def test_bad_usage_is_exit_2(wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["route", RING, *wrong]) == 2
    assert capsys.readouterr().err
