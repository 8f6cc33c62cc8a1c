"""One datagram socket on the event loop: emptied at once, handled and sent a little a turn, the urgent first.

What the kernel holds for a socket is little, and it drops without asking what. So datagrams are taken out of it before
they are handled, into a queue of our own. In each turn of the loop a socket handles up to `HANDLED` and sends up
to `SENT`, fewer than it handles: where a thousand devices that pass everything on share a loop, each is then sent
no more than it keeps up with, and what waits, waits with its sender.

It uses the loop's readiness callbacks and not `asyncio.DatagramProtocol`: the latter takes one datagram a
wake-up into a fresh 256 KiB buffer, which measured 50 µs a datagram against 8 here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.allowance import Allowance
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.homes import is_link_local
from gossip_ws.kernel.terms import Priority
from gossip_ws.net.counters import Counters, Drop
from gossip_ws.net.interfaces import locate, packed, present, socket_address, zone_of
from gossip_ws.net.queue import FrameQueue
from gossip_ws.ports import Frame
from gossip_ws.wire.priority import claimed_priority

MAX_DATAGRAM: Final = 65_507
"""Octets: what IPv4 leaves of 65,535 after its own header and UDP's."""
BUFFER: Final = 524_288
"""Octets asked for in each direction. Linux doubles it and charges a 2 KB datagram with 4.4 KB, so this holds
some 240 of them; the usual default holds 48."""
INBOX: Final = 2_048
"""Datagrams that wait to be handled: a burst of 100 messages comes to a device of a fanout of 14 in 1,400 copies."""
OUTBOX: Final = 65_536
"""Datagrams that wait to be sent, of the same octets mostly: a burst of 100 to a roster of 540 is 54,000."""
QUEUED: Final = 4_194_304
"""Octets in each of the two."""
HANDLED: Final = 32
"""Datagrams handled in one turn of the loop, after which the other sockets have theirs."""
SENT: Final = 12
"""Datagrams sent in one turn of the loop: see above why they are fewer. A receiver that is busy for that turn gets
about as many from the others together; the usual default of a buffer holds 48 of 2 KB."""
_BATCH = 16
"""Datagrams handled before the kernel's buffer is looked into again: they may be slow, and it is small."""
_TAKEN = 256
"""Datagrams taken out of the kernel at once."""
_SHARE = 0.005
"""Seconds of a turn after which no more is handled: a device whose service is slow holds the others up no longer."""

# From asm-generic/socket.h; the socket module lacks them. The first two exceed net.core.*mem_max, with CAP_NET_ADMIN.
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
_SK_MEMINFO_DROPS = 8

# One for the process: the loop is single-threaded and a datagram is copied out before the next is taken.
_buffer = memoryview(bytearray(MAX_DATAGRAM + 1))


def family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def grow_buffers(sock: socket.socket, octets: int = BUFFER) -> None:
    """Ask for send and receive buffers of `octets`; the system may grant less to the unprivileged."""
    for option, force in ((socket.SO_SNDBUF, _SO_SNDBUFFORCE), (socket.SO_RCVBUF, _SO_RCVBUFFORCE)):
        sock.setsockopt(socket.SOL_SOCKET, option, octets)
        # What getsockopt tells is the doubled figure.
        if sock.getsockopt(socket.SOL_SOCKET, option) < 2 * octets:
            with contextlib.suppress(PermissionError):
                sock.setsockopt(socket.SOL_SOCKET, force, octets)


def bound_socket(host: str, port: int, buffer: int = BUFFER) -> socket.socket:
    """A non-blocking UDP socket on (host, port); port 0 lets the system choose, and a link-local host has its zone.

    It may multicast out of the interface that has `host`: TTL 1 (SOAP-over-UDP 1.1 appendix I), heard on
    this machine too. Raises LocalError when the address cannot be had.
    """
    sock = socket.socket(family(host), socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        grow_buffers(sock, buffer)
        if sock.family == socket.AF_INET:
            # Without the explicit interface the routing table chooses, and on loopback there is no route.
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(host))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        else:
            local = locate(host, present())
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, local.index if local is not None else 0)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
        sock.bind(socket_address(host, port))
    except OSError as error:
        sock.close()
        raise LocalError(f"cannot listen on {Address(Binding.UDP, host, port)}: {error.strerror}") from None
    return sock


@lru_cache(maxsize=4096)
def _source(host: str, port: int) -> Address:
    return Address(Binding.UDP, host, port)


# An interface that is made anew has another number, and then no datagram goes to the old one.
_target = lru_cache(maxsize=4096)(socket_address)


@lru_cache(maxsize=4096)
def _family(host: str) -> int | None:
    """Of a literal. None for a name: sendto would look it up, and block the loop meanwhile."""
    return None if packed(host) is None else family(host)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a device sends datagrams: `rate` a second in the long run, `burst` at once.

    The defaults are 80 Mbit/s of 2 KB messages, what a Fast Ethernet port carries, and a roster of a thousand at once.
    On a narrower network choose the datagrams a second that its slowest link takes; the price is that a burst
    takes longer to be out.
    """

    rate: float = 5_000.0
    burst: int = 1_024

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.burst < 1:
            raise LocalError("a device sends at least one datagram")


class UdpSocket:
    """Carries datagrams of a bound, non-blocking socket to `received(frame, source)` and back.

    Takes the socket over. Empty datagrams are counted and dropped before `received`, whose exceptions are
    reported to the loop and do not stop it. What does not fit the queues is counted by its class.
    """

    def __init__(
        self,
        sock: socket.socket,
        received: Callable[[Frame, Address], None],
        counters: Counters,
        pace: Pace | None = None,
    ) -> None:
        self._socket = sock
        self._received = received
        self._counters = counters
        pace = pace or Pace()
        self._pace = Allowance(pace.rate, pace.burst)
        self._at_once = min(SENT, pace.burst)
        self._inbox: FrameQueue[Address] = FrameQueue(INBOX, QUEUED)
        self._outbox: FrameQueue[tuple[str, int]] = FrameQueue(OUTBOX, QUEUED)
        # Taken out of the outbox when the socket would block.
        self._stuck: tuple[Frame, tuple[str, int]] | None = None
        self._quota = SENT
        self._turn_due = False
        self._pausing: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._closed = False
        name = sock.getsockname()
        self.address: Final = Address(Binding.UDP, name[0], name[1])
        # What is bound to a link-local address is bound to its link: it needs no zone, and peers name none.
        self._names_zones = ":" in name[0] and not is_link_local(name[0])
        self._loop.add_reader(sock.fileno(), self._readable)

    def backlog(self, priority: Priority) -> float:
        """Seconds until a datagram of this class, sent now, is out, at the pace."""
        waiting = self._outbox.ahead(priority) if self._outbox else 0
        return self._pace.wait(self._loop.time(), waiting + 1) if waiting else 0.0

    @property
    def waiting(self) -> int:
        """Datagrams in the two queues."""
        return len(self._inbox) + len(self._outbox) + (self._stuck is not None)

    @property
    def overflowed(self) -> int:
        """Datagrams that the system dropped because they came faster than the socket was emptied (Linux; else 0)."""
        if self._closed:
            return 0
        try:
            told = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        except OSError:
            return 0
        return int(_MEMINFO.unpack(told)[_SK_MEMINFO_DROPS]) if len(told) == _MEMINFO.size else 0

    def send(self, frame: Frame, host: str, port: int) -> bool:
        """Best effort, never blocks; False when the frame was dropped at once (and counted)."""
        reason = self._refusal(frame, host)
        if reason is not None:
            self._counters.drop(reason)
            return False
        if self._quota > 0 and not self._outbox and self._stuck is None and not self._pace.is_spent(self._loop.time()):
            try:
                return self._emit(frame, (host, port))
            except BlockingIOError:
                self._wait_for_room(frame, (host, port))
                return True
        gone = self._outbox.push(frame, (host, port))
        for priority in gone:
            self._counters.drop(Drop.SEND_QUEUE, priority)
        self._continue()
        # Of its class it is the newest, so the first to go.
        return not gone or claimed_priority(frame) not in gone

    def close(self) -> None:
        """Drop what is queued and release the socket. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        if self._pausing is not None:
            self._pausing.cancel()
            self._pausing = None
        self._inbox.clear()
        self._outbox.clear()
        self._stuck = None
        self._socket.close()

    def _refusal(self, frame: Frame, host: str) -> Drop | None:
        if self._closed:
            return Drop.CLOSED
        if not frame:
            return Drop.EMPTY
        if len(frame) > MAX_DATAGRAM:
            return Drop.OVERSIZE
        fits = _family(host)
        if fits is None:
            return Drop.UNSUITABLE
        # The system would say so too; but of an address with a zone by a TypeError.
        return None if fits == self._socket.family else Drop.SEND_FAILED

    # Out.

    def _emit(self, frame: Frame, target: tuple[str, int]) -> bool:
        """Raises BlockingIOError when the system has no room for it now."""
        counters = self._counters
        try:
            self._socket.sendto(frame, _target(*target))
        except BlockingIOError:
            raise
        except OSError:
            counters.drop(Drop.SEND_FAILED)
            return False
        self._quota -= 1
        self._pace.spend()
        counters.udp_sent += 1
        counters.udp_sent_octets += len(frame)
        return True

    def _send_waiting(self) -> None:
        if self._stuck is not None:
            return
        while self._outbox and self._quota > 0:
            now = self._loop.time()
            if self._pace.is_spent(now):
                if self._pausing is None:
                    self._pausing = self._loop.call_later(self._pace.wait(now, self._at_once), self._resume)
                return
            frame, target = self._outbox.pop()
            try:
                self._emit(frame, target)
            except BlockingIOError:
                self._wait_for_room(frame, target)
                return

    def _wait_for_room(self, frame: Frame, target: tuple[str, int]) -> None:
        self._stuck = (frame, target)
        self._loop.add_writer(self._socket.fileno(), self._writable)

    def _writable(self) -> None:
        if self._stuck is not None:
            try:
                self._emit(*self._stuck)
            except BlockingIOError:
                return
            self._stuck = None
        self._loop.remove_writer(self._socket.fileno())
        self._continue()

    def _resume(self) -> None:
        self._pausing = None
        self._continue()

    # In.

    def _readable(self) -> None:
        self._empty()
        if not self._turn_due:
            self._turn()

    def _empty(self) -> None:
        """Out of the kernel's buffer, which knows no classes, into the inbox."""
        counters = self._counters
        for _ in range(_TAKEN):
            try:
                size, source = self._socket.recvfrom_into(_buffer)
            except BlockingIOError:
                break
            except OSError:
                counters.drop(Drop.RECEIVE_FAILED)
                break
            if not size:
                counters.drop(Drop.EMPTY)
                continue
            counters.udp_received += 1
            counters.udp_received_octets += size
            host = source[0] + zone_of(source) if self._names_zones and source[3] else source[0]
            for priority in self._inbox.push(bytes(_buffer[:size]), _source(host, source[1])):
                counters.drop(Drop.RECEIVE_QUEUE, priority)

    def _handle_waiting(self) -> None:
        # The handler may close the socket under us; then the inbox is empty.
        inbox = self._inbox
        if not inbox:
            return
        until = self._loop.time() + _SHARE
        for handled in range(HANDLED):
            if handled and handled % _BATCH == 0:
                self._empty()
            frame, source = inbox.pop()
            try:
                self._received(frame, source)
            except Exception as error:  # noqa: BLE001 - one frame must not end the socket
                self._counters.drop(Drop.HANDLER)
                self._loop.call_exception_handler({"message": "a datagram's handler raised", "exception": error})
            if not inbox or self._loop.time() > until:
                return

    # Turns.

    def _turn(self) -> None:
        # Before the handlers, that send at once what they may: or it were twice as much a turn.
        self._quota = SENT
        self._handle_waiting()
        if not self._closed:
            self._send_waiting()
            self._continue()

    def _continue(self) -> None:
        """Have another turn when there is something to do in it."""
        can_send = self._outbox and self._stuck is None and self._pausing is None
        if not self._turn_due and (self._inbox or can_send):
            self._turn_due = True
            self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turn_due = False
        if not self._closed:
            # The loop would call `_readable` after this, when as much again has come.
            self._empty()
            self._turn()
