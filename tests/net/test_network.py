"""A device's network as a whole: opening, closing, many in one process, multicast between processes' listeners."""

from __future__ import annotations

import asyncio
import random
import resource
import socket

import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Priority
from gossip_ws.net import udp
from gossip_ws.net.clock import LoopClock
from gossip_ws.net.counters import Drop
from gossip_ws.net.limits import raise_open_files
from gossip_ws.net.multicast import Group, Multicast
from gossip_ws.net.network import DeviceNetwork
from gossip_ws.ports import Response


def run(main):
    async def bounded():
        async with asyncio.timeout(10):
            await main()

    asyncio.run(bounded())


def ignore(request, respond):
    respond(Response(202))


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_two_hundred_devices_in_one_process_share_a_port_number():
    async def main():
        raise_open_files()
        port = free_udp_port()
        seen = set()
        all_seen = asyncio.Event()

        def handle(request, respond):
            seen.add(request.caller.local)
            respond(Response(202))
            if len(seen) == len(networks):
                all_seen.set()

        networks = [DeviceNetwork(f"127.45.0.{n}", udp_port=port) for n in range(1, 201)]
        for network in networks:
            await network.open(handle)
        for number, network in enumerate(networks):
            target = networks[number - 1]
            network.send(b"x", target.http if number % 10 == 0 else target.udp)
        await all_seen.wait()
        assert {network.udp.port for network in networks} == {port}
        await asyncio.gather(*(network.close() for network in networks))

    run(main)


def test_opening_that_fails_leaves_nothing_open():
    async def main():
        first = DeviceNetwork("127.45.1.1")
        await first.open(ignore)
        second = DeviceNetwork("127.45.1.1", http_port=first.http.port)
        with pytest.raises(LocalError, match="Address already in use"):
            await second.open(ignore)
        assert (second.udp, second.http) == (None, None)
        with pytest.raises(LocalError, match="already open"):
            await first.open(ignore)
        await first.close()

    run(main)


def test_a_closed_network_drops_and_opens_again():
    async def main():
        network = DeviceNetwork("127.45.2.1")
        await network.open(ignore)
        udp, http = network.udp, network.http
        await network.close()
        await network.close()
        network.send(b"x", udp)
        network.send(b"x", http)
        network.multicast(b"x")
        got = asyncio.get_running_loop().create_future()
        network.request(b"x", http, 1.0, got.set_result)
        assert await got is None
        assert network.counters.dropped == {Drop.CLOSED: 4}
        with pytest.raises(LocalError, match="not open"):
            await network.get(f"{http}/x")
        await network.open(ignore)
        assert network.udp is not None
        await network.close()

    run(main)


def test_a_device_without_listeners_can_still_ask():
    async def main():
        client = DeviceNetwork("127.45.3.1", udp_port=None, http_port=None)
        server = DeviceNetwork("127.45.3.2")
        await client.open(ignore)
        await server.open(lambda request, respond: respond(Response(200, request.method.encode())))
        assert (client.udp, client.http) == (None, None)
        assert await client.get(f"{server.http}/x") == b"GET"
        client.send(b"x", server.udp)
        client.multicast(b"x")
        assert client.counters.dropped == {Drop.UNSUITABLE: 2}
        await client.close()
        await server.close()

    run(main)


def test_counters_tell_both_sides_the_same():
    async def main():
        alice, bob = DeviceNetwork("127.45.4.1"), DeviceNetwork("127.45.4.2")
        arrived = asyncio.Event()

        def handle(request, respond):
            respond(Response(200, b"four"))

        await alice.open(lambda request, respond: arrived.set())
        await bob.open(handle)
        alice.send(b"seven77", bob.udp)
        await arrived.wait()
        got = asyncio.get_running_loop().create_future()
        alice.request(b"five5", bob.http, 1.0, got.set_result)
        assert await got == b"four"
        a, b = alice.counters, bob.counters
        assert (a.udp_sent, a.udp_sent_octets) == (b.udp_received, b.udp_received_octets) == (1, 7)
        assert (b.udp_sent, b.udp_sent_octets) == (a.udp_received, a.udp_received_octets) == (1, 4)
        assert (a.http_sent, a.http_sent_octets) == (b.http_received, b.http_received_octets) == (1, 5)
        assert (b.http_sent, b.http_sent_octets) == (a.http_received, a.http_received_octets) == (1, 4)
        await alice.close()
        await bob.close()

    run(main)


def test_a_flooded_device_answers_http_meanwhile(monkeypatch):
    """Ten times what it holds: the rest is dropped and counted, and whoever asks is answered before it is through."""
    monkeypatch.setattr(udp, "INBOX", 400)

    async def main():
        handled = 0

        def handle(request, respond):
            nonlocal handled
            handled += not request.method
            respond(Response(200, b"" if not request.method else b"%d" % len(device._udp._inbox)))

        device, client = DeviceNetwork("127.45.8.1", buffer=16_777_216), DeviceNetwork("127.45.8.2")
        await device.open(handle)
        await client.open(ignore)
        await client.get(f"{device.http}/")  # The connection is there.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
            for _ in range(4_000):
                raw.sendto(b'<g:Terms xmlns:g="urn:gossip-ws:2026" Priority="3">', (device.host, device.udp.port))
        lost = device.overflowed
        waiting = [int(await client.get(f"{device.http}/")) for _ in range(5)]
        assert 0 < waiting[0] <= 400
        while handled + device.counters.dropped.get(Drop.RECEIVE_QUEUE, 0) + lost < 4_000:
            assert len(device._udp._inbox) <= 400
            await asyncio.sleep(0)
        assert device.counters.crowded_out[Drop.RECEIVE_QUEUE, Priority.BULK] == 4_000 - lost - handled > 0
        assert device.counters.dropped == {Drop.RECEIVE_QUEUE: 4_000 - lost - handled}
        await client.close()
        await device.close()

    run(main)


class Ear:
    def __init__(self, expected):
        self.heard = []
        self.full = asyncio.Event()
        self._expected = expected

    def __call__(self, frame, source):
        self.heard.append((frame, source))
        if len(self.heard) == self._expected:
            self.full.set()


def test_every_listener_of_the_machine_hears_every_multicast_once():
    async def main():
        group = Group(port=free_udp_port())
        listeners = [Multicast(["127.0.0.1", "127.0.0.1"], group) for _ in range(3)]
        ears = [Ear(20) for _ in listeners]
        for listener, ear in zip(listeners, ears, strict=True):
            listener.open(ear)
        devices = [DeviceNetwork(f"127.45.5.{n}", http_port=None, group=group) for n in range(1, 21)]
        for device in devices:
            await device.open(ignore)
            device.multicast(b"hello from " + device.host.encode())
        expected = sorted((b"hello from " + device.host.encode(), device.udp) for device in devices)
        for ear in ears:
            await ear.full.wait()
            assert sorted(ear.heard) == expected
        assert all(device.counters.multicast_sent == 1 for device in devices)
        assert all(device.counters.udp_received == 0 for device in devices)
        for device in devices:
            await device.close()
        for listener in listeners:
            listener.close()
            listener.close()

    run(main)


def test_a_listener_hears_only_the_interfaces_it_joined():
    async def main():
        group = Group(port=free_udp_port())
        nowhere, loopback = Multicast([], group), Multicast(["127.0.0.1"], group)
        deaf, ear = Ear(1), Ear(1)
        nowhere.open(deaf)
        loopback.open(ear)
        device = DeviceNetwork("127.45.6.1", group=group)
        await device.open(ignore)
        device.multicast(b"hello")
        await ear.full.wait()
        await asyncio.sleep(0)
        assert deaf.heard == []
        await device.close()
        nowhere.close()
        loopback.close()

    run(main)


def test_unicast_to_the_discovery_port_belongs_to_the_device():
    async def main():
        group = Group(port=free_udp_port())
        listener, ear = Multicast(["127.0.0.1"], group), Ear(1)
        listener.open(ear)
        arrived = asyncio.Event()
        device = DeviceNetwork("127.0.0.1", udp_port=group.port, group=group)
        await device.open(lambda request, respond: arrived.set())
        device.send(b"probe match", device.udp)
        await arrived.wait()
        assert ear.heard == []
        await device.close()
        listener.close()

    run(main)


def test_a_group_that_cannot_be_joined_is_one_clear_line():
    async def main():
        with pytest.raises(LocalError, match=r"cannot join 239\.255\.255\.250:\d+ on 192\.0\.2\.77: No such device"):
            Multicast(["192.0.2.77"], Group(port=free_udp_port())).open(Ear(1))
        with pytest.raises(LocalError, match="cannot join"):
            Multicast(["127.0.0.1"], Group("127.0.0.1", free_udp_port())).open(Ear(1))

    run(main)


def test_the_clock_is_the_loops_and_the_walls():
    async def main():
        clock = LoopClock()
        before, fired = clock.now(), asyncio.Event()
        clock.call_later(0.01, fired.set)
        await fired.wait()
        after = clock.now()
        assert 0.009 < after.monotonic - before.monotonic < 5
        assert after.wall > before.wall > 1_700_000_000

    run(main)


def test_open_files_are_raised_to_the_hard_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, hard, 512), hard))
        assert raise_open_files() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_junk_over_both_bindings_harms_no_device():
    """Random octets, seeded: whatever they are, the next good request is answered."""

    async def main():
        dice = random.Random(7)
        device = DeviceNetwork("127.45.7.1")
        await device.open(lambda request, respond: respond(Response(200, b"ok")))
        for _ in range(100):
            junk = dice.randbytes(dice.randrange(1, 300))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
                raw.sendto(junk, (device.host, device.udp.port))
            reader, writer = await asyncio.open_connection(device.host, device.http.port)
            writer.write(dice.choice([junk, b"POST / HTTP/1.1\r\n" + junk + b"\r\n\r\n"]))
            writer.write_eof()
            await reader.read()
            writer.close()
        assert await device.get(f"{device.http}/") == b"ok"
        assert Drop.HANDLER not in device.counters.dropped
        await device.close()

    run(main)
