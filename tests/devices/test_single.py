"""One configured device in this process: its memory, its hand-on, its addresses, and a Peer Service elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gossip_ws.client import GossipClient
from gossip_ws.core.peers import Role
from gossip_ws.devices.config import DeviceConfig, HandOn, Security
from gossip_ws.devices.config_energy import Energy
from gossip_ws.devices.single import Single, identity, instance
from gossip_ws.devices.store import SqliteStore
from gossip_ws.devices.versions import metadata_version
from gossip_ws.dpws.messages import Probe, ProbeMatches
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.population import device_id
from gossip_ws.grid.tasks import tasks_of
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError
from gossip_ws.net.counters import Counters
from gossip_ws.net.http_client import HttpClient
from gossip_ws.net.http_server import HttpServer
from gossip_ws.net.multicast import Group
from gossip_ws.ports import Request, Respond, Response
from gossip_ws.services.tariff import HeldTariff
from gossip_ws.wire.discovery import decode, encode
from gossip_ws.wire.envelope import parse

TARIFF = {
    "id": "night",
    "version": 3,
    "start": "2026-11-20T00:00:00Z",
    "end": "2099-01-01T00:00:00Z",
    "band": [
        {"fromMinute": 0, "toMinute": 360, "price": "0.100"},
        {"fromMinute": 360, "toMinute": 1440, "price": "0.1"},
    ],
}


def device(place: str, role: Role = Role.METER, host: str = "127.0.8.1", **more: Any) -> DeviceConfig:
    """In development mode, quiet: no multicast."""
    scope = f"grid://town/{place}".rstrip("/")
    return DeviceConfig(role, (host,), (scope,), Security(), identity=device_id(scope), **more)


async def opened(stack: AsyncExitStack, config: DeviceConfig) -> Single:
    single = Single(config)
    await single.open()
    stack.push_async_callback(single.close)
    return single


async def eventually(condition: Callable[[], Awaitable[Any] | Any], within: float = 5.0) -> Any:
    async with asyncio.timeout(within):
        while True:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)


def push(single: Single, tariff: dict[str, Any]) -> Awaitable[None]:
    """SetTariff at the shadow, by a client in a thread: it waits for its answer."""

    def call() -> None:
        client = GossipClient(str(single.host.http.at("/Tariff")))
        client.call("SetTariff", tariff)
        client.close()

    return asyncio.to_thread(call)


def test_an_identity_is_made_once(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.sqlite")
    made = identity(store)
    store.close()
    again = SqliteStore(tmp_path / "a.sqlite")
    assert identity(again) == made
    assert made.startswith("urn:uuid:")
    again.close()
    with pytest.raises(LocalError):
        identity(None)


def test_a_file_that_is_no_store_is_refused_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    path.write_text("not a database, " * 100)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(LocalError, match="cannot keep a store"):
        SqliteStore(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_instance_grows_whatever_the_clock_says(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.sqlite")
    assert instance(store, 1_000.9) == 1_000
    assert instance(store, 1_000.9) == 1_001
    assert instance(store, 10.0) == 1_002
    assert instance(store, 2_000.0) == 2_000
    assert instance(store, 1e12) == 2**32 - 1
    store.close()
    assert instance(None, 7.5) == 7


def test_the_metadata_version_moves_with_the_metadata_and_outlives_a_restart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.sqlite")
    assert metadata_version(store, b"one") == 1
    assert metadata_version(store, b"one") == 1
    assert metadata_version(store, b"two") == 2
    store.close()
    store = SqliteStore(tmp_path / "a.sqlite")
    assert metadata_version(store, b"two") == 2
    assert metadata_version(store, b"one") == 3
    store.put("metadata", b"%d -" % (2**32 - 1))
    assert metadata_version(store, b"one") == 2**32 - 1
    store.close()
    assert metadata_version(None, b"any") == 1


def test_a_device_that_is_started_again_says_the_same_version_until_it_is_changed(tmp_path: Path) -> None:
    """WSDBIT 1.1.3: the same endpoint and MetadataVersion; and an instance id that has grown (WS-Discovery 1.1 §7)."""

    async def told(config: DeviceConfig) -> tuple[str, int, int]:
        single = Single(config)
        await single.open()
        try:
            found = HttpClient("", Counters())
            answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
            found.request(encode(Probe("urn:uuid:1")), single.host.http.at("/device"), 5.0, answer.set_result)
            frame = await answer
            await found.close()
            assert frame is not None
            matches = decode(frame)
            assert isinstance(matches, ProbeMatches)
            (target,) = matches.matches
            return target.device, target.metadata_version, matches.app.instance_id
        finally:
            await single.close()

    async def story() -> None:
        tcp, udp = await asyncio.to_thread(_two_free_ports)
        store = tmp_path / "sm.sqlite"
        config = replace(device("ssc/sm", host="127.0.8.2"), identity=None, store=store, http_port=tcp, udp_port=udp)
        config = replace(config, discovery=Group("239.255.255.250", 37_020))
        first = await told(config)
        again = await told(config)
        assert again[:2] == first[:2]
        assert again[2] > first[2]
        moved = await told(replace(config, scopes=("grid://town/ssc/other",)))
        assert moved[:2] == (first[0], first[1] + 1)
        assert moved[2] > again[2]

    asyncio.run(story())


def test_a_meter_hands_a_tariff_on_to_a_webhook_and_a_display(tmp_path: Path) -> None:
    """The webhook takes an envelope that any Tariff service takes: the one here is another device's."""

    async def story() -> tuple[HeldTariff | None, Any, list[bytes]]:
        heard: list[bytes] = []

        def hook(request: Request, respond: Respond) -> None:
            heard.append(request.frame)
            respond(Response(202))

        async with AsyncExitStack() as stack:
            display = await opened(stack, device("ssc/sm/display", Role.APPLIANCE))
            server = HttpServer(hook, Counters())
            await server.open("127.0.8.1", 0)
            stack.push_async_callback(server.close)
            first = HandOn(tmp_path / "shown.json", display.host.http.at("/Tariff"))
            meter = await opened(stack, device("ssc/sm", hand_on=first))
            other = await opened(stack, device("ssc/sm2", hand_on=HandOn(None, server.address.at("/hook"))))
            await push(meter, TARIFF)
            await push(other, TARIFF)
            await eventually(lambda: display.host.tariffs.current and heard)
            return display.host.tariffs.current, json.loads((tmp_path / "shown.json").read_text()), heard

    held, shown, heard = asyncio.run(story())
    assert held is not None
    assert (held.id, held.version, held.bands[1].from_minute, str(held.bands[1].price)) == ("night", 3, 360, "0.1")
    assert shown == {
        **{name: TARIFF[name] for name in ("id", "version", "start", "end")},
        "bands": [
            {"fromMinute": 0, "toMinute": 360, "price": "0.100"},
            {"fromMinute": 360, "toMinute": 1440, "price": "0.1"},
        ],
    }
    assert [path.name for path in tmp_path.iterdir()] == ["shown.json"]
    assert parse(heard[0]).addressing.action == "urn:gossip-ws:2026:tariff:SetTariff"


def test_a_display_that_cannot_be_written_loses_no_tariff(tmp_path: Path) -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            to = HandOn(tmp_path / "no" / "shown.json")
            meter = await opened(stack, device("ssc/sm", hand_on=to))
            await push(meter, TARIFF)
            assert meter.host.tariffs.current is not None
            assert meter.host.tariffs.failed_listeners == 1

    asyncio.run(story())


def test_what_was_stored_before_the_power_went_is_shown_at_the_next_start(tmp_path: Path) -> None:
    async def story() -> None:
        config = device("ssc/sm", store=tmp_path / "sm.sqlite")
        async with AsyncExitStack() as stack:
            await push(await opened(stack, config), TARIFF)
        async with AsyncExitStack() as stack:
            await opened(stack, replace(config, hand_on=HandOn(tmp_path / "shown.json")))
        assert json.loads((tmp_path / "shown.json").read_text())["version"] == 3

    asyncio.run(story())


def test_a_device_takes_calls_at_all_of_its_addresses() -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            config = replace(device("ssc/sm"), addresses=("127.0.8.1", "127.0.8.2"))
            first, second = await asyncio.to_thread(_two_free_ports)
            single = await opened(stack, replace(config, http_port=first, udp_port=second))
            there = str(Address.parse(f"http://127.0.8.2:{first}/Tariff"))
            # The WSDL there names that address, and not the first one: who asks has just reached it.
            client = await asyncio.to_thread(GossipClient, there)
            assert client.shadow == there + "/gossip"
            assert single.host.http.host == "127.0.8.1"
            client.close()

    asyncio.run(story())


def test_nothing_is_left_open_when_an_address_is_taken(tmp_path: Path) -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            taken = (await opened(stack, device("ssc/one"))).host.http.port
            config = device("ssc/two", http_port=taken, store=tmp_path / "two.sqlite")
            with pytest.raises(LocalError, match="cannot listen on"):
                await Single(config).open()
            await opened(stack, replace(config, http_port=0))

    asyncio.run(story())


@pytest.mark.parametrize("role", [Role.INFORMATION_SYSTEM, Role.SUBSTATION])
def test_whose_demand_would_be_counted_twice_has_none(role: Role) -> None:
    energy = Energy("household", tasks_of(Kind.HOUSEHOLD, (1, 2, 3), 3_000))
    with pytest.raises(LocalError, match="no demand and no tasks"):
        asyncio.run(Single(device("", role, energy=energy)).open())


def test_a_peer_service_elsewhere_is_asked_and_asked_again() -> None:
    """The information system's peers are those that have registered with another node (seed 002 section III.A)."""

    async def story() -> None:
        quick = {"peers_max_age": 0.2, "pull_period": 0.1}
        async with AsyncExitStack() as stack:
            registry = await opened(stack, device("registry", Role.SUBSTATION))
            peers = registry.host.http.at("/Peers")
            one = await opened(stack, device("one", Role.SUBSTATION, "127.0.8.3", seeds=(peers,)))
            system = await opened(
                stack, device("", Role.INFORMATION_SYSTEM, "127.0.8.4", peer_service=peers, node=quick)
            )
            known = lambda: devices(system.host.endpoint.peers)  # noqa: E731
            await eventually(lambda: devices([one.host.endpoint.own]) <= known())
            two = await opened(stack, device("two", Role.SUBSTATION, "127.0.8.5", seeds=(peers,)))
            await eventually(lambda: devices([two.host.endpoint.own]) <= known())
            # Nobody has registered with the system itself: a push through it goes to whom the registry named.
            await push(system, TARIFF)
            await eventually(lambda: all(single.host.tariffs.current for single in (one, two)))

    def devices(peers: Iterable[Any]) -> set[str]:
        return {peer.device for peer in peers}

    asyncio.run(story())


def _two_free_ports() -> tuple[int, int]:
    import socket

    found = []
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.bind(("127.0.8.2", 0))
            found.append(sock.getsockname()[1])
    return found[0], found[1]
