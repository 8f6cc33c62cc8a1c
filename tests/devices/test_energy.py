"""The energy plane on loopback: messages take their path, owners measure, full and failed links lose."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from gossip_ws.devices.energy import FORGOTTEN_AT_ONCE, MOST_FLOWS, EnergyPlane, Flows, decode, encode
from gossip_ws.routing.graph import Path

CAPACITY = {(0, 1): 10.0, (1, 2): 10.0, (0, 2): 10.0}


class Time:
    now = 0.0


def test_a_message_comes_back_as_it_was_written() -> None:
    assert decode(encode((4, 999, 0), 2, 12.5)) == ((4, 999, 0), 2, 12.5)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"gwE1",
        encode((0, 1), 1, 1.0)[:-1],
        encode((0, 1), 1, 1.0) + b"\0\0",
        encode((0, 1), 1, 1.0).replace(b"gwE1", b"gwE2"),
        encode((0, 1), 0, 1.0),
        encode((0, 1), 2, 1.0),
        encode((0, 1, 0), 1, 1.0),
        encode((0, 1_000), 1, 1.0),
        encode((0, 1), 1, -1.0),
        encode((0, 1), 1, float("nan")),
        encode((0, 1), 1, float("inf")),
        struct.pack(">4sBBd", b"gwE1", 1, 65, 1.0) + bytes(130),
    ],
)
def test_junk_is_no_message(junk: bytes) -> None:
    with pytest.raises(ValueError, match=r"size|fields|path"):
        decode(junk)


async def _planes(time: Time, body: Callable[[list[EnergyPlane]], Awaitable[None]]) -> None:
    """Three nodes, each at an address of its own; the ports are those of sockets that were free a moment ago."""
    loop = asyncio.get_running_loop()
    hosts = {}
    for node in range(3):
        probe, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(f"127.93.0.{node + 1}", 0))
        hosts[node] = probe.get_extra_info("sockname")[:2]
        probe.close()
    await asyncio.sleep(0)
    planes = [EnergyPlane(node, CAPACITY, hosts, 5.0, Random(node), lambda: time.now) for node in range(3)]
    for plane in planes:
        await plane.open()
    try:
        await body(planes)
    finally:
        for plane in planes:
            plane.close()


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - a datagram that arrives sets no event
            await asyncio.sleep(0.005)


def test_owners_measure_what_takes_its_path_over_them() -> None:
    time = Time()

    async def body(planes: list[EnergyPlane]) -> None:
        planes[0].send((0, 1, 2), 3.0)
        planes[0].send((0, 2), 4.0)
        planes[1].send((1, 2), 2.0)
        await _until(lambda: planes[2].delivered() == {0: 7.0, 1: 2.0})
        assert (planes[0].load((0, 1)), planes[0].load((0, 2)), planes[1].load((1, 2))) == (3.0, 4.0, 5.0)
        assert (planes[1].sources((1, 2)), planes[0].sources((0, 1))) == (2, 1)
        # One says no more of a path for longer than the owner waits; another says that it is over.
        time.now = 4.0
        planes[1].send((1, 2), 2.5)
        planes[0].send((0, 2), 0.0)
        time.now = 6.0
        assert (planes[1].load((1, 2)), planes[0].load((0, 1)), planes[0].load((0, 2))) == (2.5, 0.0, 0.0)

    asyncio.run(_planes(time, body))


def test_a_failed_link_carries_nothing_and_a_full_one_not_all() -> None:
    async def body(planes: list[EnergyPlane]) -> None:
        planes[0].capacity[(0, 2)] = 0.0
        planes[0].send((0, 2), 1.0)
        assert planes[0].counters["lost on a full link"] == 1
        # Twice what it carries: about half of the messages get lost.
        for _ in range(200):
            planes[0].send((0, 1), 20.0)
        assert 60 < planes[0].counters["lost on a full link"] - 1 < 140

    asyncio.run(_planes(Time(), body))


FROM = [(f"127.93.0.{node + 1}", 40_000) for node in range(3)]


def test_junk_and_what_is_meant_for_others_is_counted() -> None:
    async def body(planes: list[EnergyPlane]) -> None:
        planes[1].datagram_received(b"junk", FROM[0])
        planes[1].datagram_received(encode((0, 2), 1, 1.0), FROM[0])
        planes[1].datagram_received(encode((2, 1, 0), 1, 1.0), FROM[2])
        planes[1].datagram_received(encode((0, 1, 999), 1, 1.0), FROM[0])
        assert dict(planes[1].counters) == {"no energy message": 1, "not for this node": 1, "no such link": 2}

    asyncio.run(_planes(Time(), body))


def test_a_message_is_taken_from_the_host_of_who_owns_the_link_before() -> None:
    async def body(planes: list[EnergyPlane]) -> None:
        # From elsewhere; from a node that is on the path, but not the one before.
        planes[2].datagram_received(encode((0, 1, 2), 2, 1.0), ("127.93.0.9", 40_000))
        planes[2].datagram_received(encode((0, 1, 2), 2, 1.0), FROM[0])
        assert planes[2].delivered() == {}
        assert dict(planes[2].counters) == {"not from the link's owner": 2}
        planes[2].datagram_received(encode((0, 1, 2), 2, 1.0), FROM[1])
        assert planes[2].delivered() == {0: 1.0}

    asyncio.run(_planes(Time(), body))


def test_what_is_remembered_of_a_link_is_bounded() -> None:
    async def body(planes: list[EnergyPlane]) -> None:
        for one in range(3, 70):
            for other in range(70, 140):
                planes[1].datagram_received(encode((one, other, 0, 1, 2), 3, 1e-3), FROM[0])
        assert planes[1].load((1, 2)) == pytest.approx(MOST_FLOWS * 1e-3)
        assert planes[1].counters["too many flows"] == 67 * 70 - MOST_FLOWS

    asyncio.run(_planes(Time(), body))


def test_what_nobody_remembers_of_a_link_does_not_pass_it() -> None:
    """Else it would go over the link and be no part of its load."""

    async def body(planes: list[EnergyPlane]) -> None:
        for number in range(MOST_FLOWS):
            assert planes[1]._passing[(1, 2)].put((number // 90 + 3, number % 90 + 100, 0, 1, 2), 1e-3, 0.0)
        known, new = (3, 100, 0, 1, 2), (90, 91, 0, 1, 2)
        planes[1].datagram_received(encode(new, 3, 1.0), FROM[0])
        planes[1].datagram_received(encode(known, 3, 2.0), FROM[0])
        await _until(lambda: 3 in planes[2].delivered())
        assert planes[2].delivered() == {3: 2.0}
        assert planes[1].counters["too many flows"] == 1

    asyncio.run(_planes(Time(), body))


def test_the_running_load_is_the_sum_and_what_is_gone_is_forgotten_bit_by_bit() -> None:
    dice = Random(4)
    flows = Flows(5.0)
    held: dict[Path, tuple[float, float]] = {}
    for turn in range(600):
        now = 0.1 * turn
        path, kb = (dice.randrange(9), 9, 10 + dice.randrange(9)), dice.choice([0.0, dice.random()])
        assert flows.put(path, kb, now)
        held.pop(path, None)
        if kb:
            held[path] = (kb, now)
        held = {path: one for path, one in held.items() if one[1] >= now - 5.0}
        assert flows.load == pytest.approx(sum(kb for kb, _ in held.values()))
    assert flows.settle(59.9) == {path: kb for path, (kb, _) in held.items()}
    many = Flows(5.0)
    for number in range(100):
        many.put((number, 1_000), 1.0, 0.0)
    # All are gone, but one datagram is not made to wait for that.
    many.put((500, 1_000), 1.0, 9.0)
    assert many.load == 101 - FORGOTTEN_AT_ONCE
    assert (many.settle(9.0), many.load) == ({(500, 1_000): 1.0}, 1.0)
