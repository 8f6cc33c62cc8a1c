"""Every device's own reply, from some sixty devices on sockets that lose every fifth datagram."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from random import Random

import pytest
from single_devices import cli
from town import PASSWORD, USER, Device, Town, wait_for

from gossip_ws.client import GossipClient, wanted
from gossip_ws.core.peers import Role
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.tasks import Task
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.net.loss import Lossy
from gossip_ws.ports import Network

DAY = date(2026, 11, 21)
LOSS = 0.2
NODE = {
    # Some twelve replies a part, so that the top's answer takes five, and a substation's two.
    "max_part": 6_000,
    # Nobody dies here, and with so many resends nobody is given up: what does not arrive is a fault of the protocol.
    "retries": 12,
    "orphan_after": 12,
    "retry_longest": 0.5,
    "peers_per_host": 128,
}


class City(Town):
    """One information system, three substations, six meters at each, two appliances behind each meter: 58 devices."""

    def __init__(self) -> None:
        super().__init__()
        self.networks: list[Lossy] = []
        self.energy: dict[str, int] = {}
        self.top = self.add(Role.INFORMATION_SYSTEM, "grid://city", None)
        for s in range(3):
            substation = self.add(Role.SUBSTATION, f"grid://city/{s}", self.top)
            for m in range(6):
                meter = self.add(Role.METER, f"grid://city/{s}/{m}", substation)
                for a in range(2):
                    self.add(Role.APPLIANCE, f"grid://city/{s}/{m}/{a}", meter)
        wait_for(lambda: sum(p.subtree for p in self.top.host.endpoint.peers) == len(self.devices) - 1, "subtrees")
        for network in self.networks:
            # Only now: that devices find one another under loss is another test's affair.
            network._probability = LOSS
        address = self.top.url("/Metering")
        self.client = GossipClient(address, user=USER, password=PASSWORD)

    def add(self, role: Role, scope: str, parent: Device | None) -> Device:
        number = len(self.devices) + 1
        task = Task(Kind.HEAT_PUMP, number, 3_600, (0, number, 0))
        key = self.operator if parent is None else None
        added = self.open(role, scope, parent, key=key, tasks=(task,), node=NODE)
        self.energy[added.id] = number
        return added

    def wrapped(self, network: Network) -> Network:
        self.networks.append(Lossy(network, 0.0, Random(len(self.networks))))
        return self.networks[-1]


@pytest.fixture(scope="module")
def city() -> Iterator[City]:
    made = City()
    yield made
    made.client.close()
    made.close()


def test_each_device_replies_once_and_the_sum_of_the_replies_is_the_sum(city):
    everybody = wanted(timeout=20)
    found = [(device, [(row.category, row.energyWh) for row in value]) for device, value in
             city.client.replies("GetDemand", DAY, wanted=everybody)]  # fmt: skip
    report = city.client.header.report
    assert report is not None
    assert (report.contributors, report.expected, report.failed) == (58, 58, 0)
    assert len(found) == 58
    assert {device: rows for device, rows in found} == {
        device.id: [(device.host.settings.role.value, [0, city.energy[device.id], 0])] for device in city.devices
    }

    # In the same conditions, combined on the way.
    answer = city.client.call("GetDemand", DAY, wanted=everybody)
    assert answer.report is not None
    assert answer.report.contributors == 58
    singly = [sum(row[1][period] for _, rows in found for row in rows) for period in range(3)]
    assert [int(wh) for wh in answer.value[0].energyWh] == singly == [0, 58 * 59 // 2, 0]
    assert sum(network.lost for network in city.networks) > 0


def test_the_replies_came_in_several_parts(city):
    assert len(city.top.host._server._collected) == 1
    (held,) = city.top.host._server._collected._held.values()
    assert len(held.bodies) >= 4
    # Whoever stops early fetches no further part.
    asked = wanted(timeout=20, scopes=["grid://city/1"])
    assert next(city.client.replies("GetDemand", DAY, wanted=asked)).device in city.energy


def test_the_command_line_prints_a_line_a_device(city, tmp_path: Path):
    (tmp_path / "password").write_text(PASSWORD)
    asked = [
        *("pull-demand", city.top.url(""), "--all", "--day", str(DAY), "--timeout", "20"),
        *("--user", USER, "--password-file", tmp_path / "password", "--scope", "grid://city/2"),
    ]
    # A substation, its meters and their appliances.
    there = [one for one in city.devices if one.host.settings.scopes[0].startswith("grid://city/2")]
    told = cli(*asked)
    assert (told.returncode, told.stderr) == (0, "")
    *lines, last = told.stdout.splitlines()
    assert last.startswith("contributors 19, expected 19, missing 0, failed 0, late 0, uncertain 0; ")
    assert sorted(lines) == sorted(
        f"{one.id}  {one.host.settings.role.value} 0 {city.energy[one.id]} 0" for one in there
    )
    told = cli(*asked, "--json", "--periods", "2")
    assert told.returncode == 0
    assert told.stderr.startswith("contributors 19, ")
    listed = json.loads(told.stdout)
    assert {one["device"]: one["rows"] for one in listed} == {
        one.id: [{"category": one.host.settings.role.value, "value_wh": [city.energy[one.id]]}] for one in there
    }


def test_the_command_line_says_what_it_was_refused(city, tmp_path: Path):
    (tmp_path / "password").write_text(PASSWORD)
    login = ("--user", USER, "--password-file", tmp_path / "password")
    asked = ("pull-demand", city.top.url(""), "--all", "--timeout", "20", *login)
    told = cli(*asked, "--min-group", "5", "--json")
    assert (told.returncode, told.stdout) == (1, "[]\n")
    assert told.stderr.startswith("gossip-ws: FilterNotAllowed: ")


def test_every_reply_is_no_single_answer(city):
    with pytest.raises(LocalError, match="replies"):
        city.client.call("GetDemand", DAY, wanted=wanted(filter="all"))
    with pytest.raises(RemoteError, match="at least 3 devices"):
        next(city.client.replies("GetDemand", DAY, wanted=wanted(min_group=3)))
