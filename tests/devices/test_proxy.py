"""A discovery proxy on real sockets, on one machine: devices register, clients switch to it and back."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from gossip_ws.core.peers import Role
from gossip_ws.devices.config import DeviceConfig, Security, load_config
from gossip_ws.devices.finding import discover
from gossip_ws.devices.proxy import ProxySettings, RunningProxy
from gossip_ws.devices.single import Single
from gossip_ws.grid.population import device_id
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.names import DEVICE
from gossip_ws.net.multicast import Group

HOST, ELSEWHERE = "127.0.9.1", "127.0.9.2"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", 0))
        return int(sock.getsockname()[1])


def meter(place: str, group: Group, host: str = HOST, **more: Any) -> DeviceConfig:
    scope = f"grid://town/{place}"
    return DeviceConfig(
        Role.METER, (host,), (scope,), Security(), identity=device_id(scope), discovery=group, name=place, **more
    )


async def eventually(condition: Callable[[], Any], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what it waits for happens elsewhere, and tells nobody
            await asyncio.sleep(0.02)


async def proxied(stack: AsyncExitStack, settings: ProxySettings) -> RunningProxy:
    proxy = RunningProxy(settings)
    await proxy.open()
    stack.push_async_callback(proxy.close)
    return proxy


async def opened(stack: AsyncExitStack, config: DeviceConfig) -> Single:
    single = Single(config)
    await single.open()
    stack.push_async_callback(single.close)
    return single


def held(proxy: RunningProxy) -> set[str]:
    return {target.device for target in proxy.server.proxy.registered}


def test_devices_register_by_the_group_and_across_it_and_leave() -> None:
    """Two segments: the proxy hears one of them, and a device on the other is told its address."""

    async def story() -> None:
        async with AsyncExitStack() as stack:
            here, there = Group(port=free_port()), Group("239.255.255.251", free_port())
            proxy = await proxied(stack, ProxySettings((HOST,), group=here))
            near = await opened(stack, meter("near", here))
            far = await opened(stack, meter("far", there, ELSEWHERE, proxy=proxy.http))
            both = {near.host.settings.device, far.host.settings.device}
            await eventually(lambda: held(proxy) == both)
            # On a third segment nobody answers: what is found is what the proxy knows.
            nowhere = Group("239.255.255.252", free_port())
            found = await discover((HOST,), nowhere, types=(DEVICE,), within=1.0, proxy=proxy.http)
            assert {one.device for one in found} == both
            assert all(one.services for one in found)
            await far.close()
            await eventually(lambda: held(proxy) == {near.host.settings.device})

    asyncio.run(story())


def test_a_client_of_the_group_is_led_to_the_proxy_and_finds_what_the_group_cannot_reach() -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            here, there = Group(port=free_port()), Group("239.255.255.251", free_port())
            proxy = await proxied(stack, ProxySettings((HOST,), group=here))
            far = await opened(stack, meter("far", there, ELSEWHERE, proxy=proxy.http))
            await eventually(lambda: held(proxy))
            (found,) = await discover((HOST,), here, types=(DEVICE,), within=1.5)
            assert found.device == far.host.settings.device

    asyncio.run(story())


def test_with_the_proxy_gone_the_group_is_asked() -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            group = Group(port=free_port())
            proxy = await proxied(stack, ProxySettings((HOST,), group=group))
            address = proxy.http
            await proxy.close()
            near = await opened(stack, meter("near", group))
            await eventually(lambda: near.host.network.counters.multicast_sent)
            (found,) = await discover((HOST,), group, types=(DEVICE,), within=3.5, proxy=address)
            assert found.device == near.host.settings.device

    asyncio.run(story())


def test_a_device_finds_its_parent_through_the_proxy_it_was_told_of() -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            here, there = Group(port=free_port()), Group("239.255.255.251", free_port())
            proxy = await proxied(stack, ProxySettings((HOST,), group=here))
            scopes = ("grid://town/1",)
            parent = DeviceConfig(
                Role.SUBSTATION, (HOST,), scopes, Security(), identity=device_id(scopes[0]), discovery=here
            )
            substation = await opened(stack, parent)
            await eventually(lambda: held(proxy))
            far = await opened(stack, meter("1/7", there, ELSEWHERE, proxy=proxy.http))
            peers = substation.host.endpoint.peers
            await eventually(lambda: peers.get(far.host.settings.device) is not None)

    asyncio.run(story())


def test_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gossip_ws.devices.cli", "proxy", "run", "--json", "--port", str(free_port())]
    command += ["--interface", HOST, "--store", str(tmp_path / "proxy.sqlite")]
    devices = set()
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGTERM)
            _, complaint = process.communicate(timeout=15)
            assert (process.returncode, complaint) == (0, "")
        devices.add(told["device"])
        assert Address.parse(told["http"]).path == "/proxy"
    assert len(devices) == 1


def test_a_device_file_names_its_proxy(tmp_path: Path) -> None:
    file = tmp_path / "meter.toml"
    given = f'role = "SmartMeter"\naddresses = ["{HOST}"]\nscopes = ["grid://t/1/1"]\nsecurity = "development"\n'
    file.write_text(
        f'{given}store = "a.sqlite"\n[discovery]\nproxy = "http://{HOST}:8081/proxy"\ngenerations = ["1.1"]\n'
    )
    config = load_config(file)
    assert config.proxy == Address.parse(f"http://{HOST}:8081/proxy")
    assert [generation.value for generation in config.announce] == ["1.1"]
