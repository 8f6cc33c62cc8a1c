"""Datagram sockets on loopback: bursts, bounded queues, junk."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Priority
from gossip_ws.net import udp
from gossip_ws.net.counters import Counters, Drop
from gossip_ws.net.udp import Pace, UdpSocket, bound_socket

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
        (b"x", "fe80::1%lo", Drop.SEND_FAILED),
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

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.sent = []

    def sendto(self, data, address):
        if self.full:
            raise BlockingIOError
        self.sent.append(data)
        return super().sendto(data, address)


def datagram(priority, number):
    """What the queues see of a message."""
    return b'<g:Terms xmlns:g="urn:gossip-ws:2026" Priority="%d">%06d</g:Terms>' % (priority, number)


def test_a_full_socket_queues_up_to_the_bound_and_drops_the_least_urgent(monkeypatch):
    monkeypatch.setattr(udp, "OUTBOX", 256)

    async def main():
        inbox = Inbox(257)
        receiver = UdpSocket(bound_socket(HOST, 0, 4_194_304), inbox, Counters())
        sock = Congested(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind((HOST, 0))
        counters = Counters()
        sender = UdpSocket(sock, Inbox(0), counters)
        # One is with the system, and 256 wait.
        bulk = [datagram(Priority.BULK, n) for n in range(260)]
        taken = [sender.send(frame, HOST, receiver.address.port) for frame in bulk]
        urgent = datagram(Priority.PROTECTION, 0)
        assert taken == [True] * 257 + [False] * 3
        assert sender.send(urgent, HOST, receiver.address.port)
        assert counters.dropped == {Drop.SEND_QUEUE: 4}
        assert counters.crowded_out == {(Drop.SEND_QUEUE, Priority.BULK): 4}
        assert counters.udp_sent == 0
        sock.full = False
        await inbox.full.wait()
        assert sock.sent == [bulk[0], urgent, *bulk[1:256]]
        assert sorted(inbox.frames) == sorted(sock.sent)
        assert counters.udp_sent == 257
        sender.close()
        receiver.close()

    run(main)


def test_a_device_sends_no_faster_than_its_pace():
    async def main():
        inbox = Inbox(100)
        receiver = UdpSocket(bound_socket(HOST, 0), inbox, Counters())
        counters = Counters()
        sender = UdpSocket(bound_socket("127.43.0.2", 0), Inbox(0), counters, Pace(rate=1_000.0, burst=10))
        begun = asyncio.get_running_loop().time()
        for number in range(100):
            assert sender.send(b"%d" % number, HOST, receiver.address.port)
        # Nine tenths wait for their turn, and are no more than the pace away.
        assert counters.udp_sent < 20
        assert 0.05 < sender.backlog(Priority.BULK) < 0.1
        assert sender.backlog(Priority.PROTECTION) == 0.0
        await inbox.full.wait()
        # The bucket is exact, so this holds on a slow machine too: nothing is early.
        assert asyncio.get_running_loop().time() - begun >= 0.089
        assert sender.backlog(Priority.BULK) == 0.0
        assert inbox.frames == [b"%d" % number for number in range(100)]
        sender.close()
        receiver.close()

    run(main)


def test_with_a_backlog_the_urgent_are_handled_first():
    async def main():
        inbox = Inbox(201)
        receiver = UdpSocket(bound_socket(HOST, 0, 4_194_304), inbox, Counters())
        urgent = datagram(Priority.PROTECTION, 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
            for number in range(200):
                raw.sendto(datagram(Priority.BULK, number), (HOST, receiver.address.port))
            raw.sendto(urgent, (HOST, receiver.address.port))
        await inbox.full.wait()
        assert inbox.frames[0] == urgent
        assert inbox.frames[1:] == [datagram(Priority.BULK, number) for number in range(200)]
        receiver.close()

    run(main)


def test_a_busy_device_empties_its_socket_before_it_goes_on():
    """More than the kernel's buffer holds arrives while the handler is at work with some of it."""

    async def main():
        raw = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sent = 0

        def busy(frame, source):
            # One in hand, and two more come meanwhile.
            nonlocal sent
            inbox(frame, source)
            while sent < 600 and sent < 2 * len(inbox.frames):
                raw.sendto(datagram(Priority.NORMAL, sent) + bytes(1_000), (HOST, receiver.address.port))
                sent += 1

        inbox = Inbox(601)
        sock = bound_socket(HOST, 0, 65_536)
        receiver = UdpSocket(sock, busy, Counters())
        raw.sendto(b"begin", (HOST, receiver.address.port))
        await inbox.full.wait()
        assert receiver.overflowed == 0
        assert inbox.frames[1:] == [datagram(Priority.NORMAL, number) + bytes(1_000) for number in range(600)]
        raw.close()
        receiver.close()

    run(main)


def test_what_the_system_dropped_is_told():
    async def main():
        inbox = Inbox(1)
        receiver = UdpSocket(bound_socket(HOST, 0, 4_096), inbox, Counters())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
            for _ in range(500):
                raw.sendto(bytes(2_000), (HOST, receiver.address.port))
        await inbox.full.wait()
        assert 400 < receiver.overflowed < 500
        receiver.close()
        assert receiver.overflowed == 0

    run(main)


def test_a_flood_leaves_the_inbox_bounded_and_what_it_drops_is_counted_by_class(monkeypatch):
    monkeypatch.setattr(udp, "INBOX", 100)

    async def main():
        counters = Counters()
        inbox = Inbox(100 + udp.HANDLED)
        receiver = UdpSocket(bound_socket(HOST, 0, 4_194_304), inbox, counters)
        frames = {priority: datagram(priority, 0) for priority in Priority}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
            for number in range(1_000):
                raw.sendto(frames[Priority.PROTECTION if number % 20 == 0 else Priority.BULK], receiver_at(receiver))
        most = 0
        while counters.udp_received < 1_000 or receiver._inbox:
            most = max(most, len(receiver._inbox))
            await asyncio.sleep(0)
        assert most <= 100
        assert inbox.frames.count(frames[Priority.PROTECTION]) == 50, "none of the urgent is lost"
        assert counters.crowded_out == {(Drop.RECEIVE_QUEUE, Priority.BULK): 1_000 - len(inbox.frames)}
        assert counters.dropped == {Drop.RECEIVE_QUEUE: 1_000 - len(inbox.frames)}
        assert len(inbox.frames) < 1_000
        receiver.close()

    run(main)


def receiver_at(receiver):
    return receiver.address.host, receiver.address.port


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


def test_a_slow_handler_costs_the_others_one_datagram_a_turn():
    """It takes longer than its share of a turn, and has one datagram in each; the other has many."""

    async def main():
        loop = asyncio.get_running_loop()
        clock, worked = loop.time, 0.0
        loop.time = lambda: clock() + worked
        slow_sock, quick_sock = bound_socket(HOST, 0, 4_194_304), bound_socket(HOST, 0, 4_194_304)
        done = asyncio.Event()
        slow, quick = [], []

        def take_long(frame, source):
            nonlocal worked
            worked += 2 * udp._SHARE
            slow.append(frame)

        def take_none(frame, source):
            quick.append(frame)
            if len(quick) == 160:
                done.set()

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
            for sock in (slow_sock, quick_sock):
                for _ in range(160):
                    raw.sendto(b"x", sock.getsockname())
        sockets = [UdpSocket(slow_sock, take_long, Counters()), UdpSocket(quick_sock, take_none, Counters())]
        await done.wait()
        assert len(slow) <= 160 / udp.HANDLED + 2
        for one in sockets:
            one.close()

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
