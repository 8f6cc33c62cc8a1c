"""Four devices as processes, one a tier, signed, and what the command line does with them.

They are started once, and the tests follow one another through their day: before any tariff, a push, a reboot.
"""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from single_devices import GET_DEMAND, SET_TARIFF, Running, children, cli, eventually, held, ports, resident, start

from gossip_ws.client import GossipClient, wanted
from gossip_ws.kernel.errors import GossipError

DAY = date(2026, 11, 21)
TIERS = ("is", "ssc", "sm", "ied")
BRIEFLY = "--timeout", "3"
"""Of a pull by exchange: it goes on for half of that, and four neighbours agree within a second."""
TARIFF_FILE = {
    "id": "night",
    "version": 7,
    "start": "2026-11-20T00:00:00Z",
    "end": "2099-01-01T00:00:00Z",
    "bands": [
        {"fromMinute": 0, "toMinute": 360, "price": "0.1"},
        {"fromMinute": 360, "toMinute": 1440, "price": "0.4"},
    ],
}


@dataclass
class Street:
    """An information system, a substation, a meter and an appliance, each with its files in `folder`."""

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

    def everybody(self, count: int = 4) -> bool:
        """Do `count` devices contribute, and nobody else is expected?"""
        client = GossipClient(f"{self.entry}/Metering", user="dispatcher", password="lights on")
        try:
            report = client.call("GetDemand", DAY, wanted=wanted(timeout=1)).report
        except GossipError:
            return False
        finally:
            client.close()
        assert report is not None
        return report.contributors == report.expected == count


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    street = Street(tmp_path_factory.mktemp("street"))
    folder = street.folder
    for name in TIERS:
        assert cli("key", "new", folder / f"{name}.key").returncode == 0
    (folder / "password").write_text("lights on\n")
    (folder / "night.json").write_text(json.dumps(TARIFF_FILE))
    actions = json.dumps([SET_TARIFF, GET_DEMAND])
    believed = f'[[originator]]\nkey = "is.key.pub"\nactions = {actions}\n'
    hashed = cli("key", "password", stdin="lights on\n").stdout.strip()
    caller = f'[[caller]]\nuser = "dispatcher"\npassword = "{hashed}"\nactions = {actions}\n'
    (folder / "trust.toml").write_text(believed)
    (folder / "is-trust.toml").write_text(believed + caller)
    task = '[[task]]\nkind = "home-charger"\nenergy_wh = 8000\nduration_s = 7200\nstarts = "17:00"\n'
    meter = '[demand]\nenergy_wh = [1000, 2000, 3000]\n[meter]\ndisplay = "display.json"\n'
    places = {
        "is": ("InformationSystem", "grid://street", ""),
        "ssc": ("SubstationController", "grid://street/ssc", ""),
        # Its appliance refreshes at a third of this, and so is soon back after the meter's reboot.
        "sm": ("SmartMeter", "grid://street/ssc/sm", f"gossip.lease = 2\n{meter}"),
        "ied": ("Appliance", "grid://street/ssc/sm/charger", task),
    }
    try:
        for number, name in enumerate(TIERS, 1):
            role, scope, rest = places[name]
            seeds = f'seeds = ["{street.running[TIERS[number - 2]].told["peers"]}"]\n' if number > 1 else ""
            trust = "is-trust.toml" if name == "is" else "trust.toml"
            street.file(name).write_text(
                f'role = "{role}"\naddresses = ["127.0.7.{number}"]\nscopes = ["{scope}"]\n{seeds}'
                f'discovery.enabled = false\nstore = "{name}.sqlite"\nkey = "{name}.key"\ntrust = "{trust}"\n{rest}'
            )
            street.running[name] = start(street.file(name))
        eventually(street.everybody)
        yield street
    finally:
        for running in street.running.values():
            running.process.kill()
            running.process.communicate()


def pulled(*arguments: Any) -> Any:
    """The JSON of a pull that is answered."""
    done = cli("pull-demand", *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_demand_before_any_tariff(street: Street) -> None:
    told = pulled(street.entry, "--day", DAY, *street.login)
    assert told["rows"] == [{"category": "mixed", "value_wh": [1000, 2000, 3000 + 8000]}]
    assert (told["contributors"], told["expected"], told["missing"], told["failed"]) == (4, 4, 0, 0)


def test_who_does_not_prove_itself_pushes_nothing(street: Street) -> None:
    done = cli("push-tariff", street.entry, "--tariff", street.folder / "night.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("gossip-ws: ")
    assert done.stderr.count("\n") == 1
    assert {held(running) for running in street.running.values()} == {None}


def test_a_push_reaches_every_tier_and_the_display(street: Street) -> None:
    done = cli("push-tariff", street.entry, "--tariff", street.folder / "night.json", "--json", *street.login)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "accepted": True,
        "at": f"{street.entry}/Tariff/gossip",
        "id": "night",
        "version": 7,
    }
    eventually(lambda: {held(running) for running in street.running.values()} == {("night", 7)})
    assert json.loads((street.folder / "display.json").read_text()) == TARIFF_FILE


def test_the_demand_shifts_to_where_it_is_cheap(street: Street) -> None:
    told = pulled(street.entry, "--day", DAY, "--group-by", "category", "--periods", "1,3", *street.login)
    rows = {row["category"]: row["value_wh"] for row in told["rows"]}
    assert told["periods"] == [1, 3]
    # The car, due whenever, has moved from the evening into the night; the washing, a tenth, to six in the morning.
    assert rows["home-charger"] == [8000, 0]
    assert rows["station"] == [0, 0]
    assert rows["household"] == [900 + 600, 2700]


@pytest.mark.parametrize(("name", "night"), [("max", 8000), ("count", 4), ("min", 0)])
def test_named_aggregates(street: Street, name: str, night: int) -> None:
    (row,) = pulled(street.entry, "--day", DAY, "--filter", name, "--periods", "1", *street.login)["rows"]
    assert row["value_wh"] == [night]


def test_a_stylesheet_from_a_file_makes_what_the_sum_makes(street: Street) -> None:
    stylesheet = Path(__file__).parents[2] / "wsdl" / "demand-sum.xslt"
    by_name = pulled(street.entry, "--day", DAY, *street.login)
    by_file = pulled(street.entry, "--day", DAY, "--filter", stylesheet, *street.login)
    assert by_file["rows"] == by_name["rows"]
    assert by_file["contributors"] == 4


def test_one_meter_with_its_filter_worker_is_small(street: Street) -> None:
    (worker,) = children(street.running["sm"].process.pid)
    own, workers = resident(street.running["sm"].process.pid), resident(worker)
    # The bench measures a fresh one; this one has worked, perhaps without bytecode, and only shows what creeps in.
    assert own < 52 * 1024
    assert workers < 18 * 1024


def test_a_stylesheet_that_reads_files_is_refused(street: Street) -> None:
    bad = street.folder / "bad.xslt"
    bad.write_text(
        '<x:stylesheet version="1.0" xmlns:x="http://www.w3.org/1999/XSL/Transform">'
        "<x:template match='/'><x:copy-of select=\"document('/etc/passwd')\"/></x:template></x:stylesheet>"
    )
    done = cli("pull-demand", street.entry, "--filter", bad, *street.login)
    assert done.returncode == 1
    assert done.stderr.startswith("gossip-ws: FilterNotAllowed: ")
    assert done.stderr.count("\n") == 1


def test_a_table_says_what_the_value_is_worth(street: Street) -> None:
    done = cli("pull-demand", street.entry, "--day", DAY, "--filter", "sum", *street.login)
    assert done.returncode == 0
    assert "2026-11-21" in done.stdout
    assert "contributors 4, expected 4, missing 0, failed 0" in done.stdout


def test_by_exchange_a_maximum_is_found_and_told_apart_from_an_exact_one(street: Street) -> None:
    arguments = street.entry, "--day", DAY, "--gathering", "spread", *BRIEFLY, *street.login
    # The answer of a machine so slow that not all have replied is right, and not yet the one.
    eventually(lambda: max(pulled(*arguments, "--filter", "max")["rows"][0]["value_wh"]) == 8000)
    told = pulled(*arguments, "--filter", "max")
    assert (told["gathering"], told["contributors"], told["expected"], told["uncertain"]) == ("spread", 1, 4, 3)
    assert "bounds_wh" not in told["rows"][0]
    done = cli("pull-demand", *arguments, "--filter", "max")
    assert "not exact, by exchange between neighbours: 4 registered, not counted" in done.stdout
    assert "contributors" not in done.stdout


def test_an_estimate_is_printed_with_its_error(street: Street) -> None:
    file = street.folder / "estimate.csv"
    arguments = street.entry, "--day", DAY, "--gathering", "spread", *BRIEFLY, *street.login

    def off(told: Any) -> float:
        (group,) = told["estimate"]["groups"]
        return max(abs(group["devices"]["value"] / 4 - 1), abs(sum(o["value"] for o in group["sum_wh"]) / 14_000 - 1))

    eventually(lambda: off(pulled(*arguments, "--filter", "estimate")) < 4 * 0.0628)
    told = pulled(*arguments, "--filter", "estimate", "--csv", file)
    (group,) = told["estimate"]["groups"]
    assert all(one["low"] <= one["value"] <= one["high"] for one in group["mean_wh"])
    with file.open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["gathering"], row["relative_deviation"]) == ("spread", "0.0627")
    done = cli("pull-demand", *arguments, "--filter", "estimate")
    assert "in brackets 95 % intervals; standard deviation 6.3% of a sum or count" in done.stdout
    assert "estimated, by exchange between neighbours: 4 registered, not counted" in done.stdout


def test_what_cannot_be_gathered_by_exchange_is_refused(street: Street) -> None:
    arguments = "pull-demand", street.entry, "--gathering", "spread", *street.login
    done = cli(*arguments, "--filter", "sum")
    assert done.returncode == 1
    assert "sum must not take a value in twice" in done.stderr
    assert "--missing goes with a tree" in cli(*arguments, "--filter", "max", "--missing").stderr
    assert "GatheringNotAllowed" in cli(*arguments, "--filter", "max", "--min-group", "2").stderr


def test_pulls_repeat_and_append_to_a_csv_file(street: Street) -> None:
    file = street.folder / "demand.csv"
    for _ in range(2):
        done = cli(
            *("pull-demand", street.entry, "--day", DAY, "--every", "0.1", "--times", "2"),
            *("--json", "--csv", file, *street.login),
        )
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) == 2
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4
    assert {row["contributors"] for row in rows} == {"4"}
    assert sum(int(rows[0][f"wh_{period}"]) for period in ("00-08", "08-16", "16-24")) == 14_000


def test_a_scope_narrows_who_is_asked(street: Street) -> None:
    told = pulled(street.entry, "--day", DAY, "--scope", "grid://street/ssc/sm/charger", *street.login)
    assert told["contributors"] == 1
    assert told["rows"] == [{"category": "home-charger", "value_wh": [8000, 0, 0]}]


def test_a_version_that_supersedes_nothing_is_refused(street: Street) -> None:
    done = cli(
        *("push-tariff", street.entry, "--id", "night", "--version", "6", "--band", "00:00-24:00=0.2"),
        *street.login,
    )
    assert done.returncode == 1
    assert "version 6 does not supersede 7" in done.stderr


def test_a_reboot_keeps_tariff_and_identity(street: Street) -> None:
    before = street.running["sm"]
    before.process.send_signal(signal.SIGKILL)
    before.process.communicate(timeout=10)
    # Its appliance knows where it was: the ports are those of before.
    street.file("sm").write_text(ports(before) + street.file("sm").read_text())
    after = street.running["sm"] = start(street.file("sm"))
    assert after.told["device"] == before.told["device"]
    assert after.told["instance"] > before.told["instance"]
    assert held(after) == ("night", 7)
    eventually(street.everybody)
    (row,) = pulled(street.entry, "--day", DAY, "--scope", "grid://street/ssc/sm", *street.login)["rows"]
    assert sum(row["value_wh"]) == 14_000


@pytest.mark.parametrize(("name", "number"), [("ied", signal.SIGTERM), ("sm", signal.SIGINT)])
def test_a_signal_ends_a_device_cleanly(street: Street, name: str, number: signal.Signals) -> None:
    assert street.running[name].stop(number) == 0


def test_nobody_answers_at_a_dead_address(street: Street) -> None:
    done = cli("pull-demand", "http://127.0.7.9:9/Metering")
    assert done.returncode == 1
    assert done.stderr.startswith("gossip-ws: no WSDL at http://127.0.7.9:9/Metering?wsdl: ")
    assert done.stderr.count("\n") == 1
