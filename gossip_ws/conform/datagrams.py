"""Questions by datagram: each leaves from sockets of its own, so whatever comes back there answers it."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gossip_ws.conform.reading import MatchSeen, Message, matches, read
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.net.interfaces import socket_address, zone_of
from gossip_ws.net.multicast import Group
from gossip_ws.net.udp import MAX_DATAGRAM, bound_socket

MAX_ANSWERS: Final = 256
"""Datagrams kept for one question; all devices of a network may answer a Probe."""
_BUFFER: Final = 262_144
_TAKEN: Final = 64
# From asm-generic/socket.h; the socket module lacks it. Gaps are measured where the datagram comes in, not where a
# busy process takes it.
_SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("@ll")


@dataclass(frozen=True, slots=True)
class Answer:
    """One datagram. `at`: seconds of the system's clock when it came in."""

    frame: bytes
    source: Address
    at: float
    message: Message | None
    matches: tuple[MatchSeen, ...]
    """What devices say of themselves in it."""


@dataclass(slots=True)
class Question:
    """What was sent, when first (seconds of the system's clock), and every datagram that came back."""

    message_id: str
    frame: bytes
    at: float = 0.0
    answers: list[Answer] = field(default_factory=list)


class Mouth:
    """Asks from each of the addresses `interfaces`, out of the interface that has it. Close it when all is heard."""

    def __init__(self, interfaces: Sequence[str], group: Group) -> None:
        self._interfaces = interfaces
        self._group = group
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[int, dict[str, socket.socket]] = {}
        self.arrived: Final = asyncio.Event()
        """Set with every datagram; whoever waits clears it."""

    def ask(self, question: Question, to: Address | None = None) -> None:
        """Send one copy, to the multicast group where `to` is None; the first time, sockets are made for it. Raises
        LocalError when an address cannot be had."""
        sockets = self._sockets.get(id(question))
        if sockets is None:
            sockets = self._sockets[id(question)] = {}
            question.at = time.time()
            for host in self._interfaces:
                sock = sockets[host] = bound_socket(host, 0, _BUFFER)
                sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
                self._loop.add_reader(sock.fileno(), self._readable, sock, question)
        for host, sock in sockets.items():
            where = (to.host, to.port) if to is not None else (self._group.beside(host), self._group.port)
            try:
                sock.sendto(question.frame, socket_address(*where))
            except OSError:
                # An interface without a way there; the device is behind another one, or does not answer.
                continue

    def close(self) -> None:
        for sockets in self._sockets.values():
            for sock in sockets.values():
                self._loop.remove_reader(sock.fileno())
                sock.close()
        self._sockets.clear()

    def _readable(self, sock: socket.socket, question: Question) -> None:
        for _ in range(_TAKEN):
            try:
                frame, ancillary, _, source = sock.recvmsg(MAX_DATAGRAM, socket.CMSG_SPACE(_TIMESPEC.size))
            except OSError:
                return
            if len(question.answers) < MAX_ANSWERS:
                zone = zone_of(source) if sock.family == socket.AF_INET6 else ""
                address = Address(Binding.UDP, source[0] + zone, source[1])
                message = read(frame)
                told = matches(message) if message is not None else ()
                question.answers.append(Answer(frame, address, _arrival(ancillary), message, told))
                self.arrived.set()


def _arrival(ancillary: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return float(seconds) + float(nanoseconds) / 1e9
    return time.time()
