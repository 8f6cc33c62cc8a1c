"""Four devices as processes, one a tier, signed, and what the command line does with them.

They are started once; the tests go through a day in the order in which they stand, each also a story by itself.
"""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from single_devices import GET_DEMAND, SET_TARIFF, Running, children, cli, eventually, ports, resident, start

from gossip_ws.client import Answer, GossipClient, wanted
from gossip_ws.kernel.errors import GossipError, RemoteError

DAY = date(2026, 11, 21)
USED = [900, 1800, 2700 + 600]
"""The household's fixed Wh, and its white goods at 18 o'clock."""
TIERS = ("is", "ssc", "sm", "ied")


@dataclass
class Town:
    """An information system, a substation, a meter and an appliance in `folder`."""

    folder: Path
    running: dict[str, Running] = field(default_factory=dict)

    @property
    def entry(self) -> str:
        return str(self.running["is"].told["http"])

    @property
    def login(self) -> tuple[str, ...]:
        return "--user", "dispatcher", "--password-file", str(self.folder / "password")

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.toml"

    def pull(self, **more: Any) -> Answer:
        client = GossipClient(f"{self.entry}/Metering", user="dispatcher", password="lights on")
        try:
            return client.call("GetDemand", DAY, wanted=wanted(**more))
        finally:
            client.close()

    def everybody(self, count: int = 4) -> bool:
        """Do `count` devices contribute, and nobody else is expected?"""
        try:
            report = self.pull(timeout=1).report
        except GossipError:
            return False
        assert report is not None
        return report.contributors == report.expected == count


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = Town(tmp_path_factory.mktemp("town"))
    folder = town.folder
    for name in TIERS:
        assert cli("key", "new", folder / f"{name}.key").returncode == 0
    (folder / "password").write_text("lights on\n")
    hashed = cli("key", "password", stdin="lights on\n").stdout.strip()
    believed = f'[[originator]]\nkey = "is.key.pub"\nactions = ["{SET_TARIFF}", "{GET_DEMAND}"]\n'
    (folder / "trust.toml").write_text(believed)
    (folder / "is-trust.toml").write_text(
        f'{believed}[[caller]]\nuser = "dispatcher"\npassword = "{hashed}"\nactions = ["{SET_TARIFF}", "{GET_DEMAND}"]\n'
    )
    places = {
        "is": ("InformationSystem", "grid://town", 'trust = "is-trust.toml"'),
        "ssc": ("SubstationController", "grid://town/ssc", 'trust = "trust.toml"'),
        "sm": (
            "SmartMeter",
            "grid://town/ssc/sm",
            'trust = "trust.toml"\n[demand]\nenergy_wh = [1000, 2000, 3000]\n[meter]\ndisplay = "display.json"',
        ),
        "ied": (
            "Appliance",
            "grid://town/ssc/sm/charger",
            'trust = "trust.toml"\n[[task]]\nkind = "home-charger"\nenergy_wh = 8000\nduration_s = 7200\nstarts = "17:00"',
        ),
    }
    try:
        for number, name in enumerate(TIERS, 1):
            role, scope, rest = places[name]
            seeds = f'seeds = ["{town.running[TIERS[number - 2]].told["peers"]}"]\n' if number > 1 else ""
            town.file(name).write_text(
                f'role = "{role}"\naddresses = ["127.0.7.{number}"]\nscopes = ["{scope}"]\n{seeds}'
                f'discovery.enabled = false\nstore = "{name}.sqlite"\nkey = "{name}.key"\n{rest}\n'
            )
            town.running[name] = start(town.file(name))
        eventually(town.everybody)
        yield town
    finally:
        for running in town.running.values():
            running.process.kill()
            running.process.communicate()


def test_demand_before_any_tariff(town: Town) -> None:
    done = cli("pull-demand", town.entry, "--day", DAY, "--json", *town.login)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["rows"] == [{"category": "mixed", "value_wh": [1000, 2000, 3000 + 8000]}]
    assert (told["contributors"], told["expected"], told["missing"], told["failed"]) == (4, 4, 0, 0)
