"""Devices that balance over real sockets on loopback, each with its ledger on disk."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http.client import HTTPConnection
from itertools import product
from pathlib import Path
from uuid import UUID

import pytest
from neighbours import PACE, Neighbours, device_id, drawn

from gossip_ws.consensus.ability import Ability, Need, Storage
from gossip_ws.consensus.book import Book
from gossip_ws.consensus.checker import violations
from gossip_ws.consensus.door import Stamps
from gossip_ws.consensus.instance import Device, Feeder, Instance
from gossip_ws.consensus.log import Kind, Log, Record, agreements
from gossip_ws.consensus.messages import NEVER, Announce
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.outcome import delivered
from gossip_ws.consensus.trust import seal
from gossip_ws.consensus.vector import minus, shortage, surplus, total, zero
from gossip_ws.devices.ledger import Ledger, read
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import BALANCE, qname
from gossip_ws.security.keys import PrivateKey
from gossip_ws.services.balance_messages import sealed_element
from gossip_ws.services.balancing import PATH, action
from gossip_ws.wire.envelope import Addressing, build, message_id, parse
from gossip_ws.wire.soap import read_fault


def played(neighbours: Neighbours, story: Callable[[Neighbours], Awaitable[None]]) -> None:
    async def whole() -> None:
        try:
            await neighbours.open()
            await story(neighbours)
        finally:
            await neighbours.close()

    asyncio.run(whole())


def check(neighbours: Neighbours, instance: Instance) -> None:
    """No promise is broken, and all that can be matched is."""
    logs = neighbours.logs
    assert violations(logs, hierarchy=neighbours.hierarchy, settled=True) == []
    assert sum(sum(one.watts) for one in agreements(logs)) == matched(instance)


@pytest.mark.parametrize(("devices", "network"), [(2, "127.131"), (8, "127.132")])
def test_a_nano_grid_matches_all_it_can(devices: int, network: str, tmp_path: Path) -> None:
    instance = drawn(devices, 1)

    async def story(neighbours: Neighbours) -> None:
        neighbours.start()
        await neighbours.until(neighbours.is_done, "all matched")
        check(neighbours, instance)

    played(Neighbours(instance, tmp_path, network), story)


def test_what_can_wait_waits_and_what_is_stored_comes_back_over_sockets(tmp_path: Path) -> None:
    pv, heat, car, battery = map(device_id, range(1000, 1004))
    area = "grid://town/0"
    devices = (
        Device(pv, 1, (6, 9, 0), area),
        Device(heat, 3, (-6, 0, -3), area),
        Device(car, 2, (0, 0, 0), area, Ability((Need(4, 4, 0, 3),))),
        Device(battery, 2, (0, 0, 0), area, Ability((), Storage(9, 9, 9))),
    )
    instance = Instance(Feeder((0, 0, 1, 2), (0, 10, 10, 10)), devices, 3)

    async def story(neighbours: Neighbours) -> None:
        neighbours.start()
        await neighbours.until(lambda: delivered(instance, agreements(neighbours.logs)) == matched(instance), "all")
        logs = neighbours.logs
        assert violations(logs, hierarchy=neighbours.hierarchy) == []
        made = [(one.seller, one.buyer, one.watts) for one in agreements(logs)]
        assert {(pv, heat, (6, 0, 0)), (pv, car, (0, 4, 0)), (battery, heat, (0, 0, 3))} < set(made)
        # At least what it gave: it may be asked again while the first is on its way.
        assert sum(watts[1] for seller, buyer, watts in made if (seller, buyer) == (pv, battery)) >= 3
        # What it can move is in its ledger, so it is the same after a crash.
        assert [one.ability for one in logs[car] if one.kind is Kind.OFFERED] == [devices[2].ability]

    played(Neighbours(instance, tmp_path, "127.141"), story)


def test_three_areas_agree_signed_and_with_loss(tmp_path: Path) -> None:
    instance = drawn(24, 1, 3)
    keys = {device.id: PrivateKey.generate() for device in instance.devices}

    async def story(neighbours: Neighbours) -> None:
        neighbours.start()
        await neighbours.until(neighbours.is_done, "all matched")
        check(neighbours, instance)
        made = agreements(neighbours.logs)
        assert max(one.level for one in made) > 1, "nothing was agreed across areas"
        areas = neighbours.areas
        for area in dict.fromkeys(areas.values()):
            pulled = await neighbours.residual(area)
            offers = [neighbours.offers[device] for device in areas if areas[device] == area]
            sold = total((one.watts for one in made if areas[one.seller] == area), 3)
            bought = total((one.watts for one in made if areas[one.buyer] == area), 3)
            beyond = [one for one in made if areas[one.seller] != areas[one.buyer]]
            assert pulled["could"] == total(map(surplus, offers), 3)
            assert pulled["wanted"] == total(map(shortage, offers), 3)
            assert (pulled["sold"], pulled["bought"]) == (sold, bought)
            assert pulled["soldBeyond"] == total((one.watts for one in beyond if areas[one.seller] == area), 3)
            assert pulled["boughtBeyond"] == total((one.watts for one in beyond if areas[one.buyer] == area), 3)
            assert pulled["gives"] == minus(pulled["could"], sold)
            assert pulled["needs"] == minus(pulled["wanted"], bought)
        whole = await neighbours.residual("grid://town")
        assert whole["sold"] == whole["bought"]

    played(Neighbours(instance, tmp_path, "127.133", loss=0.1, keys=keys), story)


def test_half_of_them_are_killed_in_the_middle_and_every_promise_is_kept(tmp_path: Path) -> None:
    """By a real SIGKILL of the process that they are in, time and again, whatever they were writing or saying."""
    numbers = (8, 5, 24)
    instance = drawn(*numbers)
    here, there = instance.devices[:4], instance.devices[4:]

    def written() -> dict[str, Log]:
        return {device.id: read(tmp_path / f"{UUID(device.id)}.ledger")[1] for device in instance.devices}

    def is_done() -> bool:
        books = [Book(device, log) for device, log in written().items()]
        left = [book.free(zero(len(book.offer))) for book in books]
        if not all(left) or any(book.doubts for book in books):
            return False
        return not any(max(column) > 0 > min(column) for column in zip(*left, strict=True))

    async def half(neighbours: Neighbours) -> asyncio.subprocess.Process:
        """Comes up, and balances when this returns."""
        seed = str(neighbours.seeds[instance.devices[0].area])
        given = [str(tmp_path), neighbours.network, seed, *map(str, numbers)]
        found = await asyncio.create_subprocess_exec(
            sys.executable, str(Path(__file__).with_name("neighbours.py")), *given, stdout=asyncio.subprocess.PIPE
        )
        assert found.stdout is not None
        assert await found.stdout.readline() == b"up\n"
        return found

    async def story(neighbours: Neighbours) -> None:
        other = await half(neighbours)
        neighbours.start()
        try:
            for _ in range(2):
                before = sum(map(len, written().values()))
                await neighbours.until(
                    lambda least=before + 3: sum(map(len, written().values())) >= least or is_done(),  # type: ignore[misc]
                    "something to lose",
                )
                other.kill()
                await other.wait()
                other = await half(neighbours)
            await neighbours.until(is_done, "all matched")
        finally:
            other.kill()
            await other.wait()
        logs = written()
        assert violations(logs, hierarchy=neighbours.hierarchy, settled=True) == []
        made = agreements(logs)
        assert sum(sum(one.watts) for one in made) == matched(instance)
        names = {device.id for device in here}
        assert any((one.seller in names) != (one.buyer in names) for one in made)

    elsewhere = frozenset(device.id for device in there)
    played(Neighbours(instance, tmp_path, "127.135", elsewhere=elsewhere), story)


def test_each_goes_down_in_the_middle_and_comes_up_again_at_another_port(tmp_path: Path) -> None:
    instance = drawn(8, 3, 4)

    async def story(neighbours: Neighbours) -> None:
        neighbours.start()
        for number, device in enumerate(neighbours.offers):
            busy = neighbours.balancers[device]
            await neighbours.until(
                lambda busy=busy, most=2 + number % 3: len(busy.log) > most or neighbours.is_done(),  # type: ignore[misc]
                "something to lose",
            )
            before = neighbours.hosts[device].http
            await neighbours.crash(device)
            await neighbours.up(device)
            assert neighbours.hosts[device].http != before
            neighbours.balancers[device].start(0, neighbours.offers[device])
        await neighbours.until(neighbours.is_done, "all matched")
        check(neighbours, instance)
        starts = [record for log in neighbours.logs.values() for record in log if record.kind is Kind.STARTED]
        assert len(starts) == 16

    played(Neighbours(instance, tmp_path, "127.134", loss=0.1), story)


def posted(url: Address, frame: bytes) -> tuple[int, str]:
    """(HTTP status, subcode of the fault or empty), of a client that waits for its answer."""
    connection = HTTPConnection(url.host, url.port, timeout=10)
    try:
        connection.request("POST", url.path, frame, {"Content-Type": "application/soap+xml; charset=utf-8"})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    fault = read_fault(parse(body)) if body else None
    return response.status, str(fault.subcode) if fault is not None else ""


def test_what_is_forged_or_said_to_another_is_refused_by_http_and_counted_by_datagram(tmp_path: Path) -> None:
    instance = drawn(2, 1)
    keys = {device.id: PrivateKey.generate() for device in instance.devices}
    one, other = (device.id for device in instance.devices)
    announce = Announce(0, 1_000_000, (3_000, 3_000), NEVER)

    async def story(neighbours: Neighbours) -> None:
        neighbours.start()
        await neighbours.until(neighbours.is_done, "all matched")
        host, balancer = neighbours.hosts[one], neighbours.balancers[one]
        stamp = Stamps().next(time.time())
        good = seal(other, one, announce, keys[other].sign, stamp)
        told = {
            "NotBelieved": [
                seal(other, one, announce, PrivateKey.generate().sign, stamp),
                replace(good, message=replace(announce, number=1_000_001)),
                replace(good, sender=device_id(9)),
                replace(good, stamp=stamp + 1),
                replace(good, signature=b""),
            ],
            "NotForHere": [replace(good, to=other)],
        }
        http, udp = host.http.at(PATH), host.network.udp
        assert udp is not None
        before = balancer.counters["received Announce"]
        expected: Counter[str] = Counter()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            for subcode, forged in told.items():
                for sealed in forged:
                    body = sealed_element(sealed)
                    by_http = build(Addressing(action(announce), message_id(), str(http)), body)
                    assert await asyncio.to_thread(posted, http, by_http) == (400, qname(BALANCE, subcode))
                    by_udp = build(Addressing(action(announce), message_id(), str(udp.at(PATH))), body)
                    sock.sendto(by_udp, (udp.host, udp.port))
                    expected[subcode] += 2
            for subcode, count in expected.items():
                await neighbours.until(
                    lambda subcode=subcode, count=count: host.endpoint.counters[subcode] == count,  # type: ignore[misc]
                    subcode,
                )
            assert balancer.counters["received Announce"] == before
            # As it was signed it counts, once.
            right = build(Addressing(action(announce), message_id(), str(http)), sealed_element(good))
            assert await asyncio.to_thread(posted, http, right) == (202, "")
            assert await asyncio.to_thread(posted, http, right) == (202, "")
            assert balancer.counters["received Announce"] == before + 1
            assert balancer.counters["said before"] == 1
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(65_535)

    played(Neighbours(instance, tmp_path, "127.136", keys=keys), story)


def test_one_joins_while_the_others_balance_and_what_was_agreed_stands(tmp_path: Path) -> None:
    instance = drawn(8, 2)
    without = replace(instance, devices=instance.devices[:-1])

    async def story(neighbours: Neighbours) -> None:
        neighbours.start()
        await neighbours.until(neighbours.is_done, "the seven have matched")
        before = {one.id for one in agreements(neighbours.logs)}
        left = total((balancer.rest for balancer in neighbours.balancers.values()), 2)
        assert any(left)
        late = replace(instance.devices[-1], watts=minus(zero(2), left))
        neighbours.join(replace(instance, devices=(*without.devices, late)))
        for balancer in neighbours.balancers.values():
            balancer.regroup(neighbours.hierarchy)
        await neighbours.up(late.id)
        neighbours.balancers[late.id].start(0, late.watts)
        await neighbours.until(neighbours.is_done, "all have matched")
        made = {one.id for one in agreements(neighbours.logs)}
        assert before < made
        assert not any(map(any, (balancer.rest for balancer in neighbours.balancers.values())))
        assert violations(neighbours.logs, hierarchy=neighbours.hierarchy, settled=True) == []

    played(Neighbours(without, tmp_path, "127.137"), story)


def test_a_disk_that_takes_no_more_silences_the_device(tmp_path: Path) -> None:
    """What cannot be written down is not said: the others go on without it."""
    instance = drawn(2, 1)
    one = instance.devices[0].id

    async def story(neighbours: Neighbours) -> None:
        neighbours.ledgers[one].close()
        neighbours.balancers[one].start(0, neighbours.offers[one])
        await neighbours.until(lambda: not neighbours.balancers[one].is_running, "stopped")
        assert neighbours.balancers[one].counters["not written down"] == 1
        assert neighbours.messages() == 0
        with pytest.raises(LocalError, match="not balancing"):
            neighbours.balancers[one].change(1, neighbours.offers[one])
        neighbours.ledgers.pop(one)

    played(Neighbours(instance, tmp_path, "127.138"), story)


class Full(Ledger):
    """A disk that has no room at one write, and has again afterwards."""

    def __init__(self, path: Path, device: str, write: int) -> None:
        super().__init__(path, device)
        self._until = write

    def write(self, *records: Record) -> None:
        self._until -= 1
        if not self._until:
            raise LocalError("no room")
        super().write(*records)


def silent(neighbours: Neighbours) -> list[str]:
    return [device for device, balancer in neighbours.balancers.items() if not balancer.is_running]


@pytest.mark.parametrize("write", [1, 2])
def test_who_was_silenced_by_its_disk_may_start_again_from_what_is_on_it(write: int, tmp_path: Path) -> None:
    """What it had in mind and could not write down is nothing: neither its promises nor their numbers."""
    instance = drawn(2, 1)

    async def story(neighbours: Neighbours) -> None:
        for one in neighbours.offers:
            await neighbours.crash(one)
            await neighbours.up(one, Full(tmp_path / f"{UUID(one)}.ledger", one, write))
        neighbours.start()
        for _ in neighbours.offers:
            await neighbours.until(lambda: bool(silent(neighbours)), "one silenced")
            (device, *_) = silent(neighbours)
            neighbours.balancers[device].start(0, neighbours.offers[device])
        await neighbours.until(neighbours.is_done, "all matched")
        check(neighbours, instance)
        for one in neighbours.offers:
            await neighbours.crash(one)
            await neighbours.up(one)

    played(Neighbours(instance, tmp_path, f"127.14{2 + write}"), story)


def test_old_days_leave_the_disk_and_no_promise_is_lost_by_it(tmp_path: Path) -> None:
    instance = drawn(2, 1)
    one = instance.devices[0].id

    async def story(neighbours: Neighbours) -> None:
        neighbours.start()
        for day in range(5):
            for device, balancer in neighbours.balancers.items():
                balancer.change(day, neighbours.offers[device])
            await neighbours.until(neighbours.is_done, f"all of day {day} matched")
            await neighbours.crash(one)
            await neighbours.up(one)
            neighbours.balancers[one].start(day, neighbours.offers[one])
        for ledger in neighbours.ledgers.values():
            assert ledger.past().before == 3
            assert min(record.day for record in ledger.records()) == 3
        assert violations(neighbours.logs, settled=True, since=3) == []
        made = agreements(neighbours.logs)
        assert {one.day for one in made} == {3, 4}
        assert sum(sum(one.watts) for one in made) == 2 * matched(instance)

    played(Neighbours(instance, tmp_path, "127.139", pace=replace(PACE, keep=1)), story)


class Failing(Ledger):
    """A disk that takes so many writes. The last one is written, and the power goes before that is known; or it is
    not."""

    def __init__(self, path: Path, device: str, writes: int, is_written: bool) -> None:
        super().__init__(path, device)
        self._writes = writes
        self._is_written = is_written

    def write(self, *records: Record) -> None:
        self._writes -= 1
        if self._writes > 0 or self._is_written:
            super().write(*records)
        if self._writes <= 0:
            raise LocalError("the power has gone")


@pytest.mark.parametrize("is_written", [True, False])
def test_the_power_may_go_at_any_write(is_written: bool, tmp_path: Path) -> None:
    """Of the seller and of the buyer, at each write there is."""
    instance = drawn(2, 1)

    async def story(neighbours: Neighbours) -> None:
        neighbours.start()
        for day, (device, writes) in enumerate(product(neighbours.offers, range(1, 4)), 1):
            await neighbours.crash(device)
            ledger = Failing(tmp_path / f"{UUID(device)}.ledger", device, writes, is_written)
            await neighbours.up(device, ledger)
            failing = neighbours.balancers[device]
            for other, balancer in neighbours.balancers.items():
                if other != device:
                    balancer.change(day, neighbours.offers[other])
            failing.start(day, neighbours.offers[device])
            await neighbours.until(
                lambda failing=failing: not failing.is_running or neighbours.is_done(),  # type: ignore[misc]
                "gone or done",
            )
            await neighbours.crash(device)
            await neighbours.up(device)
            neighbours.balancers[device].start(day, neighbours.offers[device])
            await neighbours.until(neighbours.is_done, f"all of day {day} matched")
        assert violations(neighbours.logs, settled=True, since=2) == []
        made = Counter({day: 0 for day in range(2, 7)})
        for one in agreements(neighbours.logs):
            made[one.day] += sum(one.watts)
        assert {made[day] for day in range(2, 7)} == {matched(instance)}

    pace = replace(PACE, keep=16)
    played(Neighbours(instance, tmp_path, "127.141" if is_written else "127.142", pace=pace), story)
