"""The same sockets in the other family, on ::1: brackets, zones, and who can reach whom."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.homes import Local
from gossip_ws.net.counters import Drop
from gossip_ws.net.interfaces import locate, present, socket_address
from gossip_ws.net.multicast import Group, Multicast
from gossip_ws.net.network import DeviceNetwork
from gossip_ws.ports import Response

LOOPBACK = Local("127.0.0.1", "lo", 1, 8)
FIRST = Local("10.71.0.5", "eth0", 2, 24)
LINK = Local("fe80::5", "eth0", 2, 64)

needs_ipv6 = pytest.mark.skipif(
    not any(one.host == "::1" for one in present()), reason="the loopback interface has no ::1"
)


def run(main):
    async def bounded():
        async with asyncio.timeout(10):
            await main()

    asyncio.run(bounded())


def bound(port):
    """How many IPv6 datagram sockets of this machine are bound to a port."""
    return Path("/proc/net/udp6").read_text().count(f":{port:04X} ")


@needs_ipv6
def test_datagrams_and_http_go_both_ways():
    async def main():
        seen = []
        replied = asyncio.get_running_loop().create_future()

        def handle(request, respond):
            seen.append(request.caller)
            respond(Response(200, b"pong"))

        one = DeviceNetwork("::1")
        other = DeviceNetwork("::1")
        await one.open(lambda request, respond: replied.set_result(request.frame))
        await other.open(handle)
        assert str(other.http) == f"http://[::1]:{other.http.port}"
        one.send(b"ping", other.udp)
        assert await replied == b"pong"
        body = asyncio.get_running_loop().create_future()
        one.request(b"ping", other.http.at("/x"), 5.0, body.set_result)
        assert await body == b"pong"
        assert [(caller.source.host, caller.local) for caller in seen] == [("::1", "::1")] * 2
        assert seen[0].source == one.udp
        await one.close()
        await other.close()

    run(main)


@needs_ipv6
@pytest.mark.parametrize(("own", "there"), [("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
def test_the_other_family_is_out_of_reach_and_costs_only_the_message(own, there):
    async def main():
        device = DeviceNetwork(own)
        await device.open(lambda request, respond: respond(Response(200, b"ok")))
        answer = asyncio.get_running_loop().create_future()
        device.request(b"x", Address(Binding.HTTP, there, device.http.port), 5.0, answer.set_result)
        assert await answer is None
        device.send(b"x", Address(Binding.UDP, there, device.udp.port))
        assert device.counters.dropped == {Drop.UNREACHABLE: 1, Drop.SEND_FAILED: 1}
        await device.close()

    run(main)


@needs_ipv6
def test_of_a_name_the_address_of_the_own_family_is_called():
    async def main():
        server, device = DeviceNetwork("127.0.0.1", udp_port=None), DeviceNetwork("127.0.0.1", udp_port=None)
        await server.open(lambda request, respond: respond(Response(200, b"ok")))
        await device.open(lambda request, respond: None)
        assert await device.get(f"http://localhost:{server.http.port}/") == b"ok"
        await server.close()
        await device.close()

    run(main)


@needs_ipv6
def test_a_listener_follows_the_interfaces_and_leaves_no_socket():
    async def main():
        (loopback,) = (one for one in present() if one.host == "::1")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
            group = Group(port=sock.getsockname()[1])
        listener = Multicast([], group)
        listener.open(lambda frame, source: None)
        listener.follow([loopback, LOOPBACK])
        listener.follow([loopback])
        assert bound(group.port) == 1
        # The kernel knows no such interface: counted, and tried again by the next call.
        listener.follow([loopback, Local("fd00::1", "gone", 2**20, 64)])
        assert listener.counters.dropped == {Drop.UNSUITABLE: 1}
        listener.follow([])
        assert bound(group.port) == 0
        listener.close()

    run(main)


def test_an_address_in_brackets_has_one_form_and_no_zone():
    parsed = Address.parse("http://[FD00:0:0::2]:80/x")
    assert parsed == Address(Binding.HTTP, "fd00::2", 80, "/x")
    assert str(parsed) == "http://[fd00::2]:80/x"
    for wrong in ("http://[fe80::1%eth0]:80/", "http://[fe80::1%25eth0]:80/", "http://[localhost]/", "http://[::1/x"):
        with pytest.raises(LocalError):
            Address.parse(wrong)


def test_an_address_is_located_however_it_is_written():
    known = (LOOPBACK, FIRST, LINK, Local("fe80::5", "eth1", 3, 64))
    assert locate("fe80:0::5%eth1", known) == known[3]
    assert locate("fe80::5", known) == LINK
    assert locate("127.45.6.7", known) == Local("127.45.6.7", "lo", 1, 8)
    assert locate("10.71.0.6", known) is None
    assert locate("", known) is None


def test_a_zone_is_a_number_to_the_system():
    index = socket.if_nametoindex("lo")
    assert socket_address("fe80::1%lo", 7) == ("fe80::1", 7, 0, index)
    assert socket_address("::1", 7) == ("::1", 7)
    with pytest.raises(OSError, match="interface"):
        socket_address("fe80::1%nowhere", 7)
