"""One datagram socket on the event loop: drained in batches, sent without ever blocking.

It uses the loop's readiness callbacks and not `asyncio.DatagramProtocol`: the latter takes one datagram a
wake-up into a fresh 256 KiB buffer, which measured 50 µs a datagram against 8 here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.net.counters import Counters, Drop
from gossip_ws.net.interfaces import packed
from gossip_ws.ports import Frame

MAX_DATAGRAM: Final = 65_507
"""Octets: what IPv4 leaves of 65,535 after its own header and UDP's."""
BUFFER: Final = 524_288
"""Octets asked for in each direction. Linux doubles it and charges a 2 KB datagram with 4.4 KB, so this holds
some 240 of them; the usual default holds 48."""
QUEUE: Final = 256
"""Datagrams that wait when the socket would block."""
_BATCH = 64
"""Datagrams taken a wake-up, after which the other sockets of the loop have their turn."""

# From asm-generic/socket.h; the socket module lacks them. They exceed net.core.*mem_max, with CAP_NET_ADMIN.
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33

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
    """A non-blocking UDP socket on (host, port); port 0 lets the system choose.

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
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise LocalError(f"cannot listen on {Address(Binding.UDP, host, port)}: {error.strerror}") from None
    return sock


@lru_cache(maxsize=4096)
def _source(host: str, port: int) -> Address:
    return Address(Binding.UDP, host, port)


@lru_cache(maxsize=4096)
def _is_literal(host: str) -> bool:
    # sendto would look a name up, and block the loop meanwhile.
    return packed(host) is not None


class UdpSocket:
    """Carries datagrams of a bound, non-blocking socket to `received(frame, source)` and back.

    Takes the socket over. Empty datagrams are counted and dropped before `received`, whose exceptions are
    reported to the loop and do not stop it.
    """

    def __init__(self, sock: socket.socket, received: Callable[[Frame, Address], None], counters: Counters) -> None:
        self._socket = sock
        self._received = received
        self._counters = counters
        self._queue: deque[tuple[Frame, tuple[str, int]]] = deque()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        name = sock.getsockname()
        self.address: Final = Address(Binding.UDP, name[0], name[1])
        self._loop.add_reader(sock.fileno(), self._readable)

    def send(self, frame: Frame, host: str, port: int) -> bool:
        """Best effort, never blocks; False when the frame was dropped at once (and counted)."""
        reason = self._refusal(frame, host)
        if reason is None:
            target = (host, port)
            if self._queue:
                reason = self._enqueue(frame, target)
            else:
                try:
                    self._socket.sendto(frame, target)
                except BlockingIOError:
                    self._loop.add_writer(self._socket.fileno(), self._writable)
                    reason = self._enqueue(frame, target)
                except OSError:
                    reason = Drop.SEND_FAILED
                else:
                    self._counters.udp_sent += 1
                    self._counters.udp_sent_octets += len(frame)
        if reason is not None:
            self._counters.drop(reason)
        return reason is None

    def close(self) -> None:
        """Drop what is queued and release the socket. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._queue.clear()
        self._socket.close()

    def _refusal(self, frame: Frame, host: str) -> Drop | None:
        if self._closed:
            return Drop.CLOSED
        if not frame:
            return Drop.EMPTY
        if len(frame) > MAX_DATAGRAM:
            return Drop.OVERSIZE
        return None if _is_literal(host) else Drop.UNSUITABLE

    def _enqueue(self, frame: Frame, target: tuple[str, int]) -> Drop | None:
        if len(self._queue) >= QUEUE:
            return Drop.SEND_QUEUE
        self._queue.append((frame, target))
        return None

    def _writable(self) -> None:
        while self._queue:
            frame, target = self._queue[0]
            try:
                self._socket.sendto(frame, target)
            except BlockingIOError:
                return
            except OSError:
                self._counters.drop(Drop.SEND_FAILED)
            else:
                self._counters.udp_sent += 1
                self._counters.udp_sent_octets += len(frame)
            self._queue.popleft()
        self._loop.remove_writer(self._socket.fileno())

    def _readable(self) -> None:
        counters = self._counters
        for _ in range(_BATCH):
            # The handler may close the socket under us.
            if self._closed:
                return
            try:
                size, source = self._socket.recvfrom_into(_buffer)
            except BlockingIOError:
                return
            except OSError:
                counters.drop(Drop.RECEIVE_FAILED)
                return
            if not size:
                counters.drop(Drop.EMPTY)
                continue
            counters.udp_received += 1
            counters.udp_received_octets += size
            try:
                self._received(bytes(_buffer[:size]), _source(source[0], source[1]))
            except Exception as error:  # noqa: BLE001 - one frame must not end the socket
                counters.drop(Drop.HANDLER)
                self._loop.call_exception_handler({"message": "a datagram's handler raised", "exception": error})
