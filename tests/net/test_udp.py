"""Datagram sockets on loopback: bursts, bounded queues, junk."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.net import udp
from gossip_ws.net.counters import Counters, Drop
from gossip_ws.net.udp import UdpSocket, bound_socket

HOST = "127.43.0.1"


def run(main):
    async def bounded():
        async with asyncio.timeout(5):
            await main()

    asyncio.run(bounded())


class Inbox:
    def __init__(self, expected):
        self.frames = []
        self.sources = []
        self.full = asyncio.Event()
        self._expected = expected

    def __call__(self, frame, source):
        self.frames.append(frame)
        self.sources.append(source)
        if len(self.frames) == self._expected:
            self.full.set()


def test_a_burst_of_a_hundred_messages_loses_none():
    allowed = int(Path("/proc/sys/net/core/rmem_max").read_text())
    sock = bound_socket(HOST, 0)
    granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if granted < 2 * udp.BUFFER:
        sock.close()
        pytest.skip(f"net.core.rmem_max of {allowed} grants {granted} octets, too few for this burst")

    async def main():
        inbox = Inbox(100)
        receiver = UdpSocket(sock, inbox, Counters())
        sender = UdpSocket(bound_socket("127.43.0.2", 0), Inbox(0), Counters())
        sent = [b"%04d" % number + bytes(2044) for number in range(100)]
        # Nothing of the loop runs in between: all hundred wait in the receiver's buffer.
        for frame in sent:
            assert sender.send(frame, HOST, receiver.address.port)
        await inbox.full.wait()
        assert inbox.frames == sent
        assert set(inbox.sources) == {sender.address}
        receiver.close()
        sender.close()

    run(main)


def test_an_empty_datagram_reaches_no_handler_but_the_counter():
    async def main():
        inbox, counters = Inbox(1), Counters()
        receiver = UdpSocket(bound_socket(HOST, 0), inbox, counters)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
            raw.sendto(b"", (HOST, receiver.address.port))
            raw.sendto(b"x", (HOST, receiver.address.port))
        await inbox.full.wait()
        assert inbox.frames == [b"x"]
        assert counters.dropped == {Drop.EMPTY: 1}
        assert (counters.udp_received, counters.udp_received_octets) == (1, 1)
        receiver.close()

    run(main)


@pytest.mark.parametrize(
    ("frame", "host", "reason"),
    [
        (b"", HOST, Drop.EMPTY),
        (bytes(65_508), HOST, Drop.OVERSIZE),
        (b"x", "a.name.to.resolve", Drop.UNSUITABLE),
        (b"x", "", Drop.UNSUITABLE),
        (b"x", "\udcff", Drop.UNSUITABLE),
        (b"x", "::1", Drop.SEND_FAILED),
        (b"x", "198.51.100.1", Drop.SEND_FAILED),
    ],
)
def test_what_cannot_be_sent_is_counted_and_never_raises(frame, host, reason):
    async def main():
        counters = Counters()
        sender = UdpSocket(bound_socket(HOST, 0), Inbox(0), counters)
        assert not sender.send(frame, host, 9)
        assert counters.dropped == {reason: 1}
        assert counters.udp_sent == 0
        sender.close()
        assert not sender.send(b"x", HOST, 9)
        assert counters.dropped[Drop.CLOSED] == 1

    run(main)


class Congested(socket.socket):
    """A real socket whose send buffer is full while `full`; on loopback the kernel's never is."""

    full = True

    def sendto(self, data, address):
        if self.full:
            raise BlockingIOError
        return super().sendto(data, address)


def test_a_full_socket_queues_up_to_the_bound_and_then_drops():
    async def main():
        inbox = Inbox(udp.QUEUE)
        receiver = UdpSocket(bound_socket(HOST, 0, 4_194_304), inbox, Counters())
        sock = Congested(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind((HOST, 0))
        counters = Counters()
        sender = UdpSocket(sock, Inbox(0), counters)
        taken = [sender.send(b"%d" % n, HOST, receiver.address.port) for n in range(udp.QUEUE + 3)]
        assert taken == [True] * udp.QUEUE + [False] * 3
        assert counters.dropped == {Drop.SEND_QUEUE: 3}
        assert counters.udp_sent == 0
        sock.full = False
        await inbox.full.wait()
        assert inbox.frames == [b"%d" % n for n in range(udp.QUEUE)]
        assert counters.udp_sent == udp.QUEUE
        assert sender.send(b"direct again", HOST, receiver.address.port)
        assert counters.udp_sent == udp.QUEUE + 1
        sender.close()
        receiver.close()

    run(main)


def test_a_handler_may_close_the_socket_that_feeds_it():
    async def main():
        closed = asyncio.Event()
        seen = []

        def once(frame, source):
            seen.append(frame)
            receiver.close()
            receiver.close()
            closed.set()

        receiver = UdpSocket(bound_socket(HOST, 0), once, Counters())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
            raw.sendto(b"one", (HOST, receiver.address.port))
            raw.sendto(b"two", (HOST, receiver.address.port))
        await closed.wait()
        await asyncio.sleep(0)
        assert seen == [b"one"]

    run(main)


def test_a_busy_socket_lets_the_others_have_their_turn():
    async def main():
        order = []
        done = asyncio.Event()
        busy = UdpSocket(bound_socket(HOST, 0, 4_194_304), lambda frame, source: order.append("busy"), Counters())

        def other(frame, source):
            order.append("other")
            done.set()

        quiet = UdpSocket(bound_socket(HOST, 0), other, Counters())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
            for _ in range(500):
                raw.sendto(b"x", (HOST, busy.address.port))
            raw.sendto(b"x", (HOST, quiet.address.port))
        await done.wait()
        assert len(order) < 500
        busy.close()
        quiet.close()

    run(main)


def test_ipv6_datagrams_come_with_an_ipv6_source():
    async def main():
        inbox = Inbox(1)
        try:
            receiver = UdpSocket(bound_socket("::1", 0), inbox, Counters())
        except LocalError:
            pytest.skip("no IPv6 loopback here")
        assert receiver.send(b"x", "::1", receiver.address.port)
        await inbox.full.wait()
        assert inbox.sources == [receiver.address]
        assert str(receiver.address).startswith("soap.udp://[::1]:")
        receiver.close()

    run(main)


def test_an_address_in_use_or_not_ours_is_one_clear_line():
    sock = bound_socket(HOST, 0)
    with pytest.raises(LocalError, match=r"cannot listen on soap\.udp://127\.43\.0\.1:\d+: Address already in use"):
        bound_socket(HOST, sock.getsockname()[1])
    sock.close()
    with pytest.raises(LocalError, match=r"192\.0\.2\.77"):
        bound_socket("192.0.2.77", 0)
