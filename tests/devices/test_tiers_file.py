"""Tiers as an operator writes them, and what is said of a file that is none."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from gossip_ws.devices.tiers_file import load_tiers
from gossip_ws.kernel.errors import LocalError
from gossip_ws.theory.tiers import Segment

TOWN = """
[[tier]]
name = "WAN"
nodes = 90

[[tier]]
name = "FAN"
nodes = 5400
groups = 90
loss = 0.1
crashed = 0.05
delay = 0.05
bandwidth = 128_000
"""


def test_each_tier_in_order_with_the_defaults_of_the_call(tmp_path: Path) -> None:
    file = tmp_path / "town.toml"
    file.write_text(TOWN)
    assert load_tiers(file, loss=0.01, crashed=0.2) == (
        Segment("WAN", 90, 1, 0.01, 0.2, 0.02, inf),
        Segment("FAN", 5400, 90, 0.1, 0.05, 0.05, 128_000.0),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "tier: missing"),
        ("tier = 3", "tier: tables [[tier]]"),
        ("[[tier]]\nnodes = 3", "tier 1.name: missing"),
        ('[[tier]]\nname = "A"', "tier 1.nodes: missing"),
        ('[[tier]]\nname = "A"\nnodes = 0', "tier 1.nodes: a whole number from 1"),
        ('[[tier]]\nname = "A"\nnodes = 3\ngroups = 4', "tier 1: tier A: "),
        ('[[tier]]\nname = "A"\nnodes = 3\nloss = 1.0', "tier 1: tier A: loss lies in [0, 1)"),
        ('[[tier]]\nname = "A"\nnodes = 3\nloss = nan', "tier 1.loss: a number"),
        ('[[tier]]\nname = "A"\nnodes = 3\ncrashed = 1.0', "tier 1: tier A: crashed lies in [0, 1)"),
        ('[[tier]]\nname = "A"\nnodes = 3\nbandwidth = 0', "tier 1.bandwidth: a number from 1"),
        ('[[tier]]\nname = "A"\nnodes = 3\nfanout = 4', "tier 1.fanout: unknown key"),
        ('nodes = 3\n[[tier]]\nname = "A"\nnodes = 3', "nodes: unknown key"),
        ('[[tier]]\nname = "A"\nnodes = 3\n[[tier]]\nname = "A"\nnodes = 3', "a name of its own"),
        ("[[tier", "not TOML"),
    ],
)
def test_one_line_for_what_is_wrong(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(LocalError) as caught:
        load_tiers(file)
    assert told in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="No such file"):
        load_tiers(tmp_path / "none.toml")
