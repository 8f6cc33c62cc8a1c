"""A device's file: what it gives, and that whatever does not fit is one line with the file and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gossip_ws.core.peers import Role
from gossip_ws.devices.config import HandOn, load_config
from gossip_ws.devices.config_energy import Energy, minute_of_day
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.tasks import Task
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import DeviceId
from gossip_ws.net.interfaces import present
from gossip_ws.net.multicast import Group
from gossip_ws.security.keys import PrivateKey

METER = """
role = "SmartMeter"
addresses = ["127.0.0.9"]
scopes = ["grid://town/ssc/sm"]
store = "meter.sqlite"
security = "development"
"""
UUID = "urn:uuid:0a0b0c0d-0000-4000-8000-00000000002a"


def written(folder: Path, text: str) -> Path:
    file = folder / "device.toml"
    file.write_text(text)
    return file


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(LocalError) as caught:
        load_config(written(folder, text))
    told = str(caught.value)
    assert told.startswith(str(folder / "device.toml"))
    assert "\n" not in told
    return told.removeprefix(f"{folder / 'device.toml'}: ")


def test_the_least_that_a_device_needs(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, METER))
    assert config.role is Role.METER
    assert config.addresses == ("127.0.0.9",)
    assert config.security.trust is None
    assert config.store == tmp_path / "meter.sqlite"
    assert config.discovery == Group()
    assert config.energy == Energy()


def test_everything_at_once(tmp_path: Path) -> None:
    PrivateKey.generate().save(tmp_path / "meter.key")
    (tmp_path / "utility.pem").write_bytes(PrivateKey.generate().public.pem())
    (tmp_path / "trust.toml").write_text('[[originator]]\nkey = "utility.pem"\nactions = ["urn:a"]\n')
    config = load_config(
        written(
            tmp_path,
            f"""
            role = "SmartMeter"
            name = "Kitchen"
            identity = "{UUID}"
            interfaces = ["lo"]
            watch = 0.5
            addresses = ["127.0.0.9"]
            udp_port = 3702
            http_port = 8080
            scopes = ["grid://town/ssc/sm", "place:kitchen"]
            seeds = ["http://10.0.0.1:8080/Peers"]
            peer_service = "http://10.0.0.2:8080/Peers"
            store = "meter.sqlite"
            key = "meter.key"
            trust = "trust.toml"
            stylesheets = false
            category = "flat"
            discovery = {{ group = "239.1.2.3", port = 37020 }}
            gossip = {{ max_fanout = 4, pull_period = 2, suspicion = 9, view_scopes = ["grid://t/1"],\
                peer_selection = "gradient" }}
            demand = {{ kind = "farm", energy_wh = [1, 2, 3], limit_wh = 5000 }}
            measured = {{ voltage = 230.5, phase_angle = -1, power = 700 }}
            meter = {{ display = "shown.json", webhook = "http://10.0.0.3:81/Tariff" }}
            [[task]]
            kind = "home-charger"
            energy_wh = 7000
            duration_s = 7200
            ready = "14:00"
            finish_by = "22:00"
            starts = "15:00"
            """,
        )
    )
    assert config.identity == DeviceId(UUID)
    assert (config.addresses, config.interfaces, config.watch) == (("127.0.0.9",), ("lo",), 0.5)
    assert [one.host for one in config.choice.of(present())][:2] == ["127.0.0.9", "127.0.0.1"]
    assert config.security.key is not None
    assert config.security.trust is not None
    assert config.discovery == Group("239.1.2.3", 37020)
    assert config.node == {
        "max_fanout": 4,
        "pull_period": 2.0,
        "peer_selection": "gradient",
        "view_scopes": ("grid://t/1",),
        "suspicion": 9.0,
    }
    assert config.hand_on == HandOn(tmp_path / "shown.json", Address.parse("http://10.0.0.3:81/Tariff"))
    assert (config.energy.category, config.energy.voltage, config.energy.power) == ("flat", 230.5, 700.0)
    assert config.energy.limit == 5_000
    charging, *farm = config.energy.tasks
    # From three on: one hour before the period ends, one after.
    assert charging == Task(Kind.HOME_CHARGER, 7000, 7200, (0, 3500, 3500), 14 * 60, 22 * 60)
    assert [task.energy for task in farm] == [1, 2, 3]
    assert not config.stylesheets


def test_a_profile_of_a_grid_as_demand(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, METER + 'demand = { profile = "H0-A", power_w = 4000 }'))
    assert sum(task.energy for task in config.energy.tasks) > 1000


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("colour = 1", "colour: unknown key"),
        ("gossip.colour = 1", "gossip.colour: unknown key"),
        ("discovery.colour = 1", "discovery.colour: unknown key"),
        ("[[task]]\nenergy_wh = 1\nduration_s = 60\ncolour = 1", "task 1.colour: unknown key"),
        ("meter.colour = 1", "meter.colour: unknown key"),
        ("http_port = '80'", "http_port: a whole number from 0 to 65535, not '80'"),
        ("http_port = true", "http_port: a whole number from 0 to 65535, not True"),
        ("udp_port = 70000", "udp_port: a whole number from 0 to 65535, not 70000"),
        ("seeds = 'http://a:1/Peers'", "seeds: a list of strings, not 'http://a:1/Peers'"),
        ("seeds = ['ftp://a/Peers']", "seeds: not a soap.udp or http address: 'ftp://a/Peers'"),
        ("peer_service = 'soap.udp://a:1'", "peer_service: not an http address: 'soap.udp://a:1'"),
        ("identity = 'meter-7'", "identity: not a urn:uuid: 'meter-7'"),
        ("interfaces = ['none0']", "interfaces: no interface 'none0'"),
        ("watch = 0.01", "watch: at least 0.1 s"),
        ("discovery.group6 = 'ff05::c'", "discovery.group6: not an IPv6 multicast address of the scope of a link"),
        ("stylesheets = 'yes'", "stylesheets: true or false, not 'yes'"),
        ("discovery.group = '10.0.0.1'", "discovery.group: not an IPv4 multicast address: '10.0.0.1'"),
        ("gossip.max_fanout = 65", "gossip.max_fanout: a whole number from 0 to 64, not 65"),
        ("gossip.suspicion = 0", "gossip.suspicion: a number from 0.001 to 3600, not 0"),
        ("gossip.view_scopes = ['area']", "gossip.view_scopes: not a URI: 'area'"),
        (f"gossip.view_scopes = {['grid://t'] * 9}", "gossip.view_scopes: more than 8"),
        ("gossip = 7", "gossip: a table [gossip], not 7"),
        ("gossip.peer_selection = 'best'", "gossip.peer_selection: 'best' is not a valid PeerSelection"),
        ("gossip.price_period = 0", "gossip.price_period: a number from 0.001 to 3600, not 0"),
        ("task = 7", "task: tables [[task]], not 7"),
        ("key = 'none.key'", "security: development mode has neither key nor trust"),
        ("demand.energy_wh = [1, 2]", "demand.energy_wh: 3 whole numbers from 0 to 1000000000, not [1, 2]"),
        ("demand.energy_wh = [1, 2, -3]", "demand.energy_wh: 3 whole numbers from 0 to 1000000000, not [1, 2, -3]"),
        ("demand.limit_wh = -1", "demand.limit_wh: a whole number from 0 to 1000000000, not -1"),
        ("demand.profile = 'H9-Z'", "demand: no profile 'H9-Z'"),
        ("demand.kind = 'castle'", "demand.kind: 'castle' is not a valid Kind"),
        ("measured.voltage = nan", "measured.voltage: a number from 0 to 500000, not nan"),
        ("[[task]]\nenergy_wh = 1\nduration_s = 7200\nready = '23:00'", "task 1: 7200 s from minute 1380 on"),
        ("[[task]]\nenergy_wh = 1\nduration_s = 60\nready = '7'", "task 1.ready: not a time of day HH:MM: '7'"),
        ("meter.webhook = 'display'", "meter.webhook: not a soap.udp or http address: 'display'"),
        ("= 1", "not TOML: "),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, line: str, told: str) -> None:
    assert complaint(tmp_path, METER + line).startswith(told)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('role = "SmartMeter"', "", "role: missing"),
        ('role = "SmartMeter"', 'role = "Toaster"', "role: 'Toaster' is not a valid Role"),
        ('addresses = ["127.0.0.9"]', "", "addresses: missing"),
        ('addresses = ["127.0.0.9"]', 'addresses = ["203.0.113.9"]', "addresses: not an address of this machine"),
        ('addresses = ["127.0.0.9"]', 'addresses = ["0.0.0.0"]', "addresses: not an address of this machine"),
        ('addresses = ["127.0.0.9"]', 'addresses = ["meter.example"]', "addresses: not an address of this machine"),
        ('scopes = ["grid://town/ssc/sm"]', "", "scopes: missing"),
        ('scopes = ["grid://town/ssc/sm"]', 'scopes = ["my house"]', "scopes: not a URI: 'my house'"),
        ('store = "meter.sqlite"', "", "identity: missing"),
        ('security = "development"', "", "trust: missing"),
        ('security = "development"', 'security = "none"', 'security: "development" is the only mode'),
        ('security = "development"', 'trust = "none.toml"', "trust: "),
        ('security = "development"', 'trust = "none.toml"\nkey = "none.key"', "key: "),
        (
            'role = "SmartMeter"',
            'role = "Appliance"\nmeter.display = "a.json"',
            "meter: a Appliance hands no tariff on",
        ),
    ],
)
def test_what_is_missing_or_is_no_such_thing(tmp_path: Path, before: str, after: str, told: str) -> None:
    assert before in METER
    # Where a table begins nothing of the top may follow: what comes in its place is put first.
    assert complaint(tmp_path, after + METER.replace(before, "")).startswith(told)


def test_a_key_that_others_may_read_is_not_taken(tmp_path: Path) -> None:
    PrivateKey.generate().save(tmp_path / "meter.key")
    (tmp_path / "meter.key").chmod(0o644)
    (tmp_path / "trust.toml").write_text("")
    text = METER.replace('security = "development"', 'trust = "trust.toml"\nkey = "meter.key"')
    assert "others may read this private key" in complaint(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"none\.toml: No such file"):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize(("written", "minute"), [("00:00", 0), ("07:05", 425), ("24:00", 1440)])
def test_times_of_day(written: str, minute: int) -> None:
    assert minute_of_day(written) == minute


@pytest.mark.parametrize("written", ["24:01", "12:60", "1:00", "0a:00", "12.00", "\u0660\u0667:\u0660\u0660", ""])
def test_what_is_no_time_of_day(written: str) -> None:
    with pytest.raises(LocalError):
        minute_of_day(written)
