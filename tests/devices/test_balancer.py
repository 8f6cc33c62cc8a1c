"""Devices that balance over real sockets on loopback, each with its ledger on disk."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest
from neighbours import Neighbours, drawn

from gossip_ws.consensus.book import Book
from gossip_ws.consensus.checker import violations
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.log import Kind, Log, agreements
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.vector import zero
from gossip_ws.devices.ledger import read
from gossip_ws.security.keys import PrivateKey


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


def test_three_areas_agree_signed_and_with_loss(tmp_path: Path) -> None:
    instance = drawn(24, 1, 3)
    keys = {device.id: PrivateKey.generate() for device in instance.devices}

    async def story(neighbours: Neighbours) -> None:
        neighbours.start()
        await neighbours.until(neighbours.is_done, "all matched")
        check(neighbours, instance)
        levels = {one.level for one in agreements(neighbours.logs)}
        assert max(levels) > 1, "nothing was agreed across areas"

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
