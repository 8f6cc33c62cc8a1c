"""A county on hosts of its own: every device a process of the command line in a network namespace, signed.

The information system and three substations are in the WAN. Behind a router lies the field: a fourth substation, all
meters and their appliances. Three quarters of the meters find their substation by a seed across the router, the rest
by multicast. What a device announces to use is one bit of a number of its own, so a sum says by itself whom it holds.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from laboratory import Laboratory, Space, Subnet
from single_devices import CLI, GET_DEMAND, SET_TARIFF, Running, asked, cli, eventually, held, ready, spawn

from gossip_ws.client import GossipClient, wanted
from gossip_ws.kernel.errors import GossipError
from gossip_ws.kernel.names import METERING, REPORT

DAY = "2026-11-21"
HTTP, UDP = 8080, 8081
METERS_EACH = 4
GET_REPORT = f"{REPORT}:GetReport"
USER, PASSWORD = "dispatcher", "lights on"
WITHIN = 40.0
"""Seconds for what repair has to bring: some rounds of news, and a backed-off enrolment or two."""


@dataclass(frozen=True)
class Place:
    """Where a device is. `seed`: whose Peer Service it is told; empty where it looks by multicast. `bit`: of the sum,
    None for a device that uses nothing."""

    role: str
    scope: str
    subnet: Subnet
    number: int
    seed: str = ""
    bit: int | None = None

    @property
    def address(self) -> str:
        return self.subnet.address(self.number)

    @property
    def url(self) -> str:
        return f"http://{self.address}:{HTTP}"


def _places() -> dict[str, Place]:
    places = {"is": Place("InformationSystem", "grid://county", Subnet.WAN, 1)}
    for ssc in range(1, 5):
        subnet = Subnet.FAN if ssc == 4 else Subnet.WAN
        places[f"ssc-{ssc}"] = Place("SubstationController", f"grid://county/{ssc}", subnet, 10 + ssc, "is")
    for sm in range(4 * METERS_EACH):
        ssc = 1 + sm // METERS_EACH
        seed = "" if ssc == 4 else f"ssc-{ssc}"
        places[f"sm-{sm + 1}"] = Place("SmartMeter", f"grid://county/{ssc}/{sm + 1}", Subnet.FAN, 21 + sm, seed, sm)
    places["ied-1"] = Place("Appliance", "grid://county/1/1/car", Subnet.FAN, 61, "sm-1", 16)
    places["ied-2"] = Place("Appliance", "grid://county/4/16/car", Subnet.FAN, 62, "", 17)
    return places


PLACES = _places()
LATE = Place("SmartMeter", "grid://county/4/late", Subnet.FAN, 51, "", 18)
"""A meter that is installed while everybody else is at work."""


@dataclass
class County:
    """Open it, then start devices. By name: what each `told` to use when it started, and its identity in `ids`."""

    folder: Path
    laboratory: Laboratory = field(default_factory=Laboratory)
    spaces: dict[str, Space] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)
    told: dict[str, list[int]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    version: int = 0

    def open(self) -> None:
        """Hosts, keys and files, and all devices, tier after tier; back when everybody contributes to a pull."""
        for name, place in PLACES.items():
            self.spaces[name] = self.laboratory.host(name, place.subnet, place.number)
        self._trust()
        for tier in ("is", "ssc", "sm", "ied"):
            self.start(*(name for name in PLACES if name.partition("-")[0] == tier))
        self.everybody_contributes()

    def start(self, *names: str) -> None:
        """Devices side by side, ready when this returns: new ones, or dead ones with the memory that they had."""
        processes = []
        for name in names:
            if not self._file(name).exists():
                self._write(name, PLACES.get(name, LATE))
            with self.spaces[name].inside():
                # Should this process be killed, its devices go too.
                processes.append(spawn(self._file(name), "setpriv", "--pdeathsig", "KILL"))
        for name, process in zip(names, processes, strict=True):
            self.running[name] = ready(process, WITHIN)
            self.told[name] = self.demand(name)
            self.ids[name] = self.running[name].told["device"]

    def install(self, name: str) -> None:
        """A host that was not there before, and its device."""
        self.spaces[name] = self.laboratory.host(name, LATE.subnet, LATE.number)
        self.start(name)

    def kill(self, name: str) -> None:
        """Gone at once, as when the power fails. What it wrote on standard error is an error here."""
        running = self.running.pop(name)
        running.process.kill()
        _, complaint = running.process.communicate()
        assert complaint == "", f"{name}: {complaint}"

    def freeze(self, names: Iterable[str]) -> None:
        """So slow that nothing happens at all, until `thaw`."""
        for name in names:
            self.running[name].process.send_signal(signal.SIGSTOP)

    def thaw(self, names: Iterable[str]) -> None:
        for name in names:
            self.running[name].process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """All devices down. Raises AssertionError for what they complained of."""
        try:
            for name in list(self.running):
                self.kill(name)
        finally:
            for running in self.running.values():
                running.process.kill()
                running.process.communicate()
            self.laboratory.close()

    # -- asked at the original address, on the device's own host: no frame of it crosses a wire ----

    def tariff(self, name: str) -> tuple[str, int] | None:
        with self.spaces[name].inside():
            return held(self.running[name])

    def demand(self, name: str) -> list[int]:
        """Wh of each period that the device announces."""
        body = f'<GetDemand xmlns="{METERING}"><day>{DAY}</day></GetDemand>'
        with self.spaces[name].inside():
            payload = asked(self.running[name], "/Metering", f"{METERING}:GetDemand", body)
        assert payload is not None
        energies = [int(text) for text in payload.xpath("//*[local-name() = 'energyWh']/text()")]
        return [sum(energies[period::3]) for period in range(3)]

    # -- asked of gossip, on the host of the information system --------------------------------------

    def push(self) -> None:
        """One more version of the tariff."""
        self.version += 1
        tariff = "--id", "county", "--version", str(self.version), "--band", "00:00-24:00=0.2"
        with self.spaces["is"].inside():
            done = cli("push-tariff", PLACES["is"].url, *tariff, *self._login)
        assert (done.returncode, done.stderr) == (0, "")

    def everybody_has_it(self, names: Sequence[str] | None = None) -> None:
        """Waits until each of `names`, or all that run, has the version pushed last in force."""
        lacking = set(names or self.running)

        def asked_again() -> bool:
            lacking.difference_update({name for name in lacking if self.tariff(name) == ("county", self.version)})
            return not lacking

        try:
            eventually(asked_again, WITHIN)
        except AssertionError:
            raise AssertionError(f"without version {self.version}: {sorted(lacking)}") from None

    def everybody_contributes(self) -> None:
        """Waits until a pull has all devices that run, and expects no other."""

        def complete() -> bool:
            try:
                report = client.call("GetDemand", wanted=wanted(timeout=2)).report
            except GossipError:
                return False
            return report is not None and report.contributors == report.expected == len(self.running)

        with self.spaces["is"].inside():
            client = GossipClient(f"{PLACES['is'].url}/Metering", user=USER, password=PASSWORD)
            try:
                eventually(complete, WITHIN)
            finally:
                client.close()

    def ask(self, timeout: float, *more: str) -> subprocess.Popen[str]:
        """A pull of the whole county that is under way."""
        command = [*CLI, "pull-demand", PLACES["is"].url, "--day", DAY, "--timeout", str(timeout), "--json"]
        with self.spaces["is"].inside():
            return subprocess.Popen([*command, *self._login, *more], stdout=subprocess.PIPE, text=True)

    @staticmethod
    def answer(asking: subprocess.Popen[str]) -> dict[str, Any]:
        """What came of it."""
        said, _ = asking.communicate(timeout=60)
        return json.loads(said)

    def pull(self, timeout: float, *more: str) -> dict[str, Any]:
        return self.answer(self.ask(timeout, *more))

    def not_counted(self, told: Mapping[str, Any]) -> dict[str, int]:
        """Whom a pull with --missing names, and how many devices stand behind each."""
        names = {device: name for name, device in self.ids.items()}
        return {names[one["device"]]: one["devices"] for one in told["not_counted"]["told"]}

    # -- files -----------------------------------------------------------------------------------------

    @property
    def _login(self) -> tuple[str, ...]:
        return "--user", USER, "--password-file", str(self.folder / "password")

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.toml"

    def _trust(self) -> None:
        assert cli("key", "new", self.folder / "is.key").returncode == 0
        (self.folder / "password").write_text(f"{PASSWORD}\n")
        hashed = cli("key", "password", stdin=f"{PASSWORD}\n").stdout.strip()
        actions = json.dumps([SET_TARIFF, GET_DEMAND, GET_REPORT])
        believed = f'[[originator]]\nkey = "is.key.pub"\nactions = {actions}\n'
        caller = f'[[caller]]\nuser = "{USER}"\npassword = "{hashed}"\nactions = {actions}\n'
        (self.folder / "trust.toml").write_text(believed)
        (self.folder / "is-trust.toml").write_text(believed + caller)

    def _write(self, name: str, place: Place) -> None:
        is_top = name == "is"
        lines = [
            f'role = "{place.role}"',
            f'scopes = ["{place.scope}"]',
            'interfaces = ["eth0"]',
            f"http_port = {HTTP}",
            f"udp_port = {UDP}",
            f'store = "{name}.sqlite"',
            f'trust = "{"is-trust" if is_top else "trust"}.toml"',
            # News is asked for often: what takes rounds is to take seconds here.
            "gossip.pull_period = 1",
            "gossip.peers_max_age = 8",
        ]
        if is_top:
            lines.append('key = "is.key"')
        if place.seed:
            lines.append(f'seeds = ["{PLACES[place.seed].url}/Peers"]')
        if place.bit is not None:
            # Runs that fill their windows: no tariff moves them.
            for energy, ready_at, done_by in ((1 << place.bit, "00:00", "08:00"), (1, "08:00", "16:00")):
                window = f'ready = "{ready_at}"\nfinish_by = "{done_by}"'
                lines.append(f"[[task]]\nenergy_wh = {energy}\nduration_s = 28800\n{window}")
        self._file(name).write_text("\n".join(lines) + "\n")


def contributors(told: Mapping[str, Any], announced: Mapping[str, list[int]]) -> set[str]:
    """Who is in the sum of a pull, read out of the sum. Raises AssertionError unless it is exactly theirs, each once,
    and all are accounted for."""
    (row,) = told["rows"]
    value = row["value_wh"]
    those = {name for name, (bit, *_) in announced.items() if bit & value[0]}
    assert value == [sum(announced[name][period] for name in those) for period in range(3)]
    # In the second period each of them announces 1 Wh. Of whoever was counted twice this would be 2.
    assert value[1] == len(those)
    idle = sum(not bit for bit, *_ in announced.values())
    assert 0 <= told["contributors"] - len(those) <= idle
    accounted = sum(told[name] for name in ("contributors", "missing", "failed", "late", "uncertain"))
    assert accounted == told["expected"]
    return those
