"""Devices whose hosts have several interfaces, IPv6, or addresses that change while they run."""

from __future__ import annotations

import json
import re
import selectors
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from signal import SIGINT
from subprocess import PIPE, Popen
from typing import Any

import pytest
from laboratory import Laboratory, Space, Subnet, Tap
from single_devices import CLI, Running, cli, eventually, held, ready, spawn

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("permitted")]

PORT = 8080
WITHIN = 60.0
PROXY_TYPE = "{http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01}DiscoveryProxy"
_UUID = "urn:uuid:5dc1a2f0-0000-4000-8000-00000000000"
Start = Callable[[Space, str, str], Running]


@pytest.fixture
def laboratory() -> Iterator[Laboratory]:
    made = Laboratory()
    yield made
    made.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the device of a place ("" for the substation) on a host; all go down in order."""
    with ExitStack() as stack:

        def started(space: Space, place: str, lines: str) -> Running:
            role = "SmartMeter" if place else "SubstationController"
            file = tmp_path / f"device{place.replace('/', '')}.toml"
            file.write_text(
                f'role = "{role}"\nscopes = ["grid://town/1{place}"]\nidentity = "{_UUID}{place[-1:] or 0}"\n'
                f'security = "development"\nhttp_port = {PORT}\nwatch = 0.2\nstylesheets = false\n{lines}\n'
            )
            with space.inside():
                running = ready(spawn(file, "setpriv", "--pdeathsig", "KILL"), WITHIN)

            def down() -> None:
                assert running.stop() == 0

            stack.callback(down)
            return running

        yield started


def found(space: Space, *more: str, at: str = "eth0") -> list[dict[str, Any]]:
    """Who answers a Probe from `at`, as its host sees it. With an address instead of the interface one Probe comes:
    of two, who is asked answers the one that it reads first."""
    with space.inside():
        done = cli("discover", "--interface", at, "--json", *more)
    assert done.stderr == ""
    return json.loads(done.stdout)


def pull(space: Space, url: str) -> dict[str, Any]:
    with space.inside():
        done = cli("pull-demand", url, "--day", "2026-11-21", "--timeout", "2", "--json")
    return json.loads(done.stdout) if done.returncode == 0 else {}


def everybody_contributes(space: Space, url: str, devices: int) -> None:
    def complete() -> bool:
        told = pull(space, url)
        return told.get("contributors") == told.get("expected") == devices

    eventually(complete, WITHIN)


def has_tariff(space: Space, running: Running, host: str, version: int) -> None:
    """Waits until the device at `host` has that version in force."""
    there = Running(running.process, {**running.told, "http": f"http://{host}:{PORT}"})

    def holds() -> bool:
        with space.inside():
            return held(there) == ("one", version)

    eventually(holds, WITHIN)


def push(space: Space, url: str, version: int) -> None:
    with space.inside():
        tariff = "--id", "one", "--version", str(version), "--band", "00:00-24:00=0.2"
        done = cli("push-tariff", url, *tariff)
    assert (done.returncode, done.stderr) == (0, "")


def hello(packet: bytes, host: str) -> int:
    """The MetadataVersion of a Hello whose first address is at `host`; 0 for anything else."""
    told = re.search(rb"XAddrs>http://([^: <]+)[^<]*<.*MetadataVersion>(\d+)<", packet, re.DOTALL)
    return int(told[2]) if told and b"/Hello<" in packet and told[1].decode() == host else 0


def test_an_interface_comes_and_each_asker_is_told_first_what_it_reaches(laboratory: Laboratory, start: Start) -> None:
    host = laboratory.host("two", Subnet.WAN, 1)
    wan, fan = laboratory.host("wan", Subnet.WAN, 9), laboratory.host("fan", Subnet.FAN, 9)
    start(host, "", 'interfaces = ["*"]')
    (before,) = found(wan, at="10.71.0.9")
    assert found_first(before) == f"http://10.71.0.1:{PORT}"
    laboratory.attach("two-fan", Subnet.FAN, 1, host)
    (there,) = eventually(lambda: found_or_none(fan, at="10.71.1.9"), WITHIN)
    (here,) = found(wan, at="10.71.0.9")
    assert there["device"] == here["device"] == before["device"]
    assert (found_first(here), found_first(there)) == (f"http://10.71.0.1:{PORT}", f"http://10.71.1.1:{PORT}")
    for told in (here, there):
        assert not any("%" in address for address in told["addresses"])
        # Its metadata name where it was asked, so its services are reached there too.
        assert {service["address"].rpartition("/")[0] for service in told["services"]} == {found_first(told)}
    # And gone again: nobody is told of it any more, and nothing else has happened.
    host.configure("link del eth1")
    eventually(lambda: not any("10.71.1.1" in address for address in found(wan)[0]["addresses"]), WITHIN)


def test_a_device_bound_to_one_address_is_not_there_at_the_other(laboratory: Laboratory, start: Start) -> None:
    host = laboratory.host("two", Subnet.WAN, 1)
    laboratory.attach("two-fan", Subnet.FAN, 1, host)
    wan, fan = laboratory.host("wan", Subnet.WAN, 9), laboratory.host("fan", Subnet.FAN, 9)
    start(host, "", 'addresses = ["10.71.0.1"]')
    (here,) = found(wan)
    assert here["addresses"] == [f"http://10.71.0.1:{PORT}/device"]
    assert found_or_none(fan) is None


def test_hosts_of_ipv6_alone_find_one_another_push_and_pull(laboratory: Laboratory, start: Start) -> None:
    one, two, third = (six(laboratory, number) for number in (1, 2, 3))
    substation = start(one, "", 'interfaces = ["eth0"]')
    meter = start(two, "/1", 'interfaces = ["eth0"]')
    url = f"http://[fd00:71::1]:{PORT}"
    assert (substation.told["http"], meter.told["http"]) == (url, f"http://[fd00:71::2]:{PORT}")
    everybody_contributes(third, url, 2)
    push(third, url, 1)
    has_tariff(two, meter, "[fd00:71::2]", 1)
    assert {found_first(told) for told in found(third)} == {url, f"http://[fd00:71::2]:{PORT}"}


def test_a_link_is_enough_of_an_address(laboratory: Laboratory, start: Start) -> None:
    """Link-local addresses alone: told without zone, and each side takes them for its own link's."""
    one, two = (six(laboratory, number, wide=False) for number in (1, 2))
    start(one, "", 'interfaces = ["eth0"]')
    (told,) = eventually(lambda: found_or_none(two), WITHIN)
    assert re.fullmatch(rf"http://\[fe80::[0-9a-f:]+\]:{PORT}/device", told["addresses"][0])
    assert told["services"]


def test_whose_only_address_changes_registers_again(laboratory: Laboratory, start: Start) -> None:
    """Announced as changed metadata, with a later incarnation; without any address it waits for one."""
    one, two = laboratory.host("one", Subnet.FAN, 1), laboratory.host("two", Subnet.FAN, 2)
    url = f"http://10.71.1.1:{PORT}"
    start(one, "", 'addresses = ["10.71.1.1"]')
    tap = Tap(one)
    meter = start(two, "/1", 'interfaces = ["eth0"]')
    before = tap.until(lambda packet: hello(packet, "10.71.1.2"))
    everybody_contributes(one, url, 2)
    two.configure("addr del 10.71.1.2/24 dev eth0", "addr add 10.71.1.77/24 brd + dev eth0")
    assert tap.until(lambda packet: hello(packet, "10.71.1.77"), WITHIN) > before
    tap.close()
    everybody_contributes(one, url, 2)
    push(one, url, 1)
    has_tariff(two, meter, "10.71.1.77", 1)
    two.configure("addr del 10.71.1.77/24 dev eth0", "link set eth0 down")
    eventually(lambda: pull(one, url).get("contributors") == 1, WITHIN)
    assert meter.process.poll() is None
    two.configure("link set eth0 up", "addr add 10.71.1.2/24 brd + dev eth0")
    everybody_contributes(one, url, 2)


def test_a_parent_whose_only_address_changes_is_found_again(laboratory: Laboratory, start: Start) -> None:
    """Its children know it by discovery alone: they hear where it is now, and register there when the old address is
    silent."""
    one, two = laboratory.host("one", Subnet.FAN, 1), laboratory.host("two", Subnet.FAN, 2)
    start(one, "", 'interfaces = ["eth0"]\ngossip.lease = 3')
    meter = start(two, "/1", 'interfaces = ["eth0"]')
    everybody_contributes(two, f"http://10.71.1.1:{PORT}", 2)
    one.configure("addr del 10.71.1.1/24 dev eth0", "addr add 10.71.1.77/24 brd + dev eth0")
    everybody_contributes(two, f"http://10.71.1.77:{PORT}", 2)
    push(two, f"http://10.71.1.77:{PORT}", 1)
    has_tariff(two, meter, "10.71.1.2", 1)


def test_a_subscription_outlives_an_address_and_is_made_again_at_the_next(laboratory: Laboratory, start: Start) -> None:
    """Events come from wherever the device is. Its manager is gone with the address that SubscribeResponse named, so
    when the time is over the subscriber looks for the device, and subscribes there: nothing is heard twice."""
    one, two = laboratory.host("one", Subnet.FAN, 1), laboratory.host("two", Subnet.FAN, 2)
    meter = start(two, "/1", 'interfaces = ["eth0"]')
    url = f"http://10.71.1.2:{PORT}"
    with one.inside():
        command = [*CLI, "subscribe", url, "--event", "TariffChanged", "--expires", "20", "--json"]
        listening = Popen(command, stdout=PIPE, stderr=PIPE, text=True)
    assert listening.stdout is not None
    assert listening.stderr is not None
    try:
        # Not subscribed before it hears: a push of the next version is repeated until one is told of.
        versions = count(1)

        def told() -> bool:
            push(one, url, next(versions))
            with selectors.DefaultSelector() as selector:
                selector.register(listening.stdout, selectors.EVENT_READ)
                return bool(selector.select(1.0))

        eventually(told, WITHIN)
        first = json.loads(listening.stdout.readline())
        assert first["source"] == f"{url}/Tariff"
        two.configure("addr del 10.71.1.2/24 dev eth0", "addr add 10.71.1.77/24 brd + dev eth0")
        url = f"http://10.71.1.77:{PORT}"
        eventually(lambda: pull(one, url), WITHIN)
        push(one, url, version := next(versions))
        second = json.loads(listening.stdout.readline())
        while second["body"]["tariff"]["version"] != str(version):  # what was pushed while it subscribed
            second = json.loads(listening.stdout.readline())
        assert second["source"] == first["source"], "the subscription is still the first"
        assert "does not answer" in listening.stderr.readline()
        assert f"{url}/Tariff has taken the subscription again" in listening.stderr.readline()
        for _ in range(2):
            push(one, url, version := next(versions))
            third = json.loads(listening.stdout.readline())
            assert (third["source"], third["body"]["tariff"]["version"]) == (f"{url}/Tariff", str(version))
    finally:
        listening.send_signal(SIGINT)
        assert listening.communicate(timeout=WITHIN)[1] == ""
    assert listening.returncode == 0
    assert meter.process.poll() is None


def test_a_proxy_is_on_a_link_that_comes_and_on_it_no_more_when_it_goes(
    laboratory: Laboratory, start: Start, tmp_path: Path
) -> None:
    """Who was there before it is found; who asks is told the proxy's address that it reaches."""
    host = laboratory.host("two", Subnet.WAN, 1)
    wan, fan = laboratory.host("wan", Subnet.WAN, 9), laboratory.host("fan", Subnet.FAN, 9)
    start(laboratory.host("meter", Subnet.FAN, 3), "/1", 'interfaces = ["eth0"]')
    with host.inside():
        command = [*CLI, "proxy", "run", "--http-port", "8081", "--watch", "0.2", "--json"]
        proxy = Popen([*command, "--store", str(tmp_path / "proxy.sqlite")], stdout=PIPE, stderr=PIPE, text=True)
    tap = Tap(wan)
    try:
        assert proxy.stdout is not None
        assert json.loads(proxy.stdout.readline())["http"] == "http://10.71.0.1:8081/proxy"
        first = tap.until(lambda packet: hello(packet, "10.71.0.1"))
        assert found_or_none(wan) is None
        laboratory.attach("two-fan", Subnet.FAN, 1, host)
        (meter,) = eventually(lambda: found_or_none(wan), WITHIN)
        assert f"http://10.71.1.3:{PORT}/device" in meter["addresses"]
        both = tap.until(lambda packet: b"10.71.1.1:8081/proxy" in packet and hello(packet, "10.71.0.1"), WITHIN)
        assert both > first
        (asked,) = found(fan, "--type", PROXY_TYPE, at="10.71.1.9")
        assert asked["addresses"] == ["http://10.71.1.1:8081/proxy", "http://10.71.0.1:8081/proxy"]
        host.configure("link del eth1")
        left = tap.until(lambda packet: b"10.71.1.1:8081/proxy" not in packet and hello(packet, "10.71.0.1"), WITHIN)
        assert left > both
    finally:
        tap.close()
        proxy.terminate()
        assert proxy.communicate(timeout=WITHIN)[1] == ""
    assert proxy.returncode == 0


def six(laboratory: Laboratory, number: int, *, wide: bool = True) -> Space:
    """A host without IPv4. Doubles of addresses are not looked for: it takes a second or two."""
    space = laboratory.host(f"six{number}", Subnet.FAN, number)
    space.configure(f"addr del {Subnet.FAN.address(number)}/24 dev eth0")
    if wide:
        space.configure(f"addr add fd00:71::{number}/64 dev eth0 nodad")
    return space


def found_first(told: dict[str, Any]) -> str:
    """The first address of a device, without path."""
    return str(told["addresses"][0]).removesuffix("/device")


def found_or_none(space: Space, at: str = "eth0") -> list[dict[str, Any]] | None:
    with space.inside():
        done = cli("discover", "--interface", at, "--json")
    return json.loads(done.stdout) if done.returncode == 0 else None
