"""Devices that balance over real sockets on loopback, each with its ledger on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from neighbours import Neighbours, drawn

from gossip_ws.consensus.checker import violations
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.log import agreements
from gossip_ws.consensus.optimum import matched
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
