"""Bursts over real sockets with the system's default buffers, at a size for every run; `make bench` has a thousand."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from gossip_ws.kernel.terms import Priority
from gossip_ws.net.limits import raise_open_files
from tests.benchmarks import burst


@asynccontextmanager
async def crowd(*arguments):
    raise_open_files()
    made = burst.Crowd(*arguments)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def test_a_burst_of_a_hundred_into_many_devices_loses_none():
    """A fanout of five misses some by itself: what was not sent to a device is brought by digests."""

    async def main():
        async with crowd(60, 5, 2.0) as devices:
            started = {devices.start(Priority.NORMAL) for _ in range(100)}
            passed = await devices.settle(started)
            assert passed.drops == {}
            assert {len(service.numbers) for service in devices.services} == {100}

    asyncio.run(main())


def test_an_urgent_message_overtakes_bulk_at_nearly_every_device():
    async def main():
        async with crowd(40, 8) as devices:
            shares = await devices.overtake(60)
            # A tenth was there before it started, and it goes as fast as its hops.
            assert shares[len(shares) * 9 // 10] < 0.5

    asyncio.run(main())
