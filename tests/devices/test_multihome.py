"""One network of several addresses that come and go, on loopback addresses that play subnets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gossip_ws.core.peers import Role
from gossip_ws.devices.config import DeviceConfig, Security
from gossip_ws.devices.multihome import Multihomed
from gossip_ws.devices.single import Single
from gossip_ws.dpws.eventing import Reference, Subscribe
from gossip_ws.grid.population import device_id
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.homes import Local
from gossip_ws.net.counters import Counters, Drop
from gossip_ws.net.http_client import HttpClient
from gossip_ws.net.network import DeviceNetwork
from gossip_ws.ports import Request, Respond, Response
from gossip_ws.wire.envelope import Addressing, Envelope, build, message_id, parse
from gossip_ws.wire.eventing import (
    RENEW,
    SUBSCRIBE,
    read_renew_response,
    read_subscribe_response,
    write_renew,
    write_subscribe,
)

FIRST = Local("127.46.1.1", "lo", 1, 24)
SECOND = Local("127.46.2.1", "lo", 1, 24)
NOWHERE = Local("192.0.2.77", "gone", 2**20, 24)


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await main()

    asyncio.run(bounded())


def refuse(request: Request, respond: Respond) -> None:
    respond(Response(404))


async def where_from(outward: Multihomed, host: str) -> tuple[str, str]:
    """The hosts from which somebody at `host` hears a datagram and a request."""
    heard: dict[str, str] = {}
    both = asyncio.Event()

    def handle(request: Request, respond: Respond) -> None:
        heard[request.method] = request.caller.source.host
        respond(Response(200, b"ok" if request.method else b""))
        if len(heard) == 2:
            both.set()

    other = DeviceNetwork(host)
    await other.open(handle)
    assert other.udp is not None
    assert other.http is not None
    outward.send(b"x", other.udp)
    answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
    outward.request(b"x", other.http, 5.0, answer.set_result)
    assert await answer == b"ok"
    await both.wait()
    await other.close(grace=0)
    return heard[""], heard["POST"]


def listening(host: str) -> int:
    """How many TCP sockets of this machine listen at a host."""
    octets = bytes(reversed([int(part) for part in host.split(".")])).hex().upper()
    lines = Path("/proc/net/tcp").read_text().splitlines()
    return sum(1 for line in lines if f" {octets}:" in line and " 0A " in line)


def test_each_is_spoken_to_from_the_address_that_suits_it_and_addresses_come_and_go() -> None:
    async def main() -> None:
        outward = Multihomed(DeviceNetwork)
        await outward.open((FIRST,), (), refuse)
        assert await where_from(outward, "127.46.2.9") == (FIRST.host, FIRST.host)
        assert await outward.follow((FIRST, SECOND))
        assert not await outward.follow((FIRST, SECOND))
        assert await where_from(outward, "127.46.2.9") == (SECOND.host, SECOND.host)
        assert await where_from(outward, "127.46.1.9") == (FIRST.host, FIRST.host)
        assert await outward.follow((SECOND,))
        assert (listening(FIRST.host), listening(SECOND.host)) == (0, 1)
        assert await where_from(outward, "127.46.1.9") == (SECOND.host, SECOND.host)
        await outward.close()
        assert listening(SECOND.host) == 0

    run(main)


def test_without_an_address_what_is_sent_is_counted_and_asked_is_not_answered() -> None:
    async def main() -> None:
        outward = Multihomed(DeviceNetwork)
        await outward.open((FIRST,), (), refuse)
        assert await outward.follow(())
        assert outward.homes == ()
        there = Address.parse("http://127.46.1.9:9/")
        outward.send(b"x", there)
        outward.multicast(b"x")
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        outward.request(b"x", there, 5.0, answer.set_result)
        assert await answer is None
        assert outward.counters.dropped == {Drop.CLOSED: 2}
        assert await outward.follow((FIRST,))
        await outward.close()

    run(main)


def test_what_cannot_be_had_is_an_error_at_the_start_where_it_is_needed_and_tried_again_later() -> None:
    async def main() -> None:
        outward = Multihomed(DeviceNetwork)
        for needed, others in (((FIRST, NOWHERE), ()), ((), (NOWHERE,)), ((), ())):
            with pytest.raises(LocalError):
                await outward.open(needed, others, refuse)
        assert listening(FIRST.host) == 0
        await outward.open((), (NOWHERE, FIRST), refuse)
        assert [home.local for home in outward.homes] == [FIRST]
        assert not await outward.follow((NOWHERE, FIRST))
        assert outward.counters.dropped == {Drop.UNSUITABLE: 1}
        await outward.close()

    run(main)


def test_a_subscription_is_managed_where_it_was_made_and_at_each_other_address() -> None:
    """Each address has a port of its own; the manager that is named is the one that the subscriber can reach."""

    async def main() -> None:
        scope = "grid://town/1/1"
        addresses = (FIRST.host, SECOND.host)
        config = DeviceConfig(
            Role.METER, addresses, (scope,), Security(), identity=device_id(scope), discovery=None, stylesheets=False
        )
        single = Single(config)
        await single.open()
        try:
            homes = [home.http for home in single.host.outward.homes if home.http is not None]
            assert [http.host for http in homes] == list(addresses)
            client = HttpClient("127.0.0.1", Counters())
            wanted = write_subscribe(Subscribe(Reference("http://127.0.0.1:9/"), expires=60.0))
            for http, other in (homes, homes[::-1]):
                answer = await asked(client, build(Addressing(SUBSCRIBE, message_id()), wanted), http.at("/Tariff"))
                manager = Address.parse(read_subscribe_response(answer.payload, 0.0).manager.address)
                assert (manager.host, manager.port) == (http.host, http.port)
                for place in (manager, other.at(manager.path)):
                    renew = build(Addressing(RENEW, message_id(), str(place)), write_renew(30.0))
                    assert read_renew_response((await asked(client, renew, place)).payload, 0.0) == 30.0
            await client.close()
        finally:
            await single.close()

    run(main)


async def asked(client: HttpClient, frame: bytes, to: Address) -> Envelope:
    answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
    client.request(frame, to, 5.0, answer.set_result)
    reply = await answer
    assert reply is not None
    return parse(reply)
