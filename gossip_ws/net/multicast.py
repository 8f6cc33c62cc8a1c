"""One listener a process for the WS-Discovery group. Each frame is handed on once, whoever it is meant for.

Each interface has a socket of its own for each family, so nothing is heard twice or of another interface, and
interfaces may come and go. It only listens. A device multicasts from its own socket, because matches come back to the
source of the probe (WS-Discovery 1.1 section 3.1.1), and a port that several processes share would be a lottery.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.homes import Local
from gossip_ws.net.counters import Counters, Drop
from gossip_ws.net.interfaces import locate, present
from gossip_ws.net.udp import UdpSocket, family, grow_buffers
from gossip_ws.ports import Frame

_BUFFER = 2_097_152
"""Octets: a thousand devices that say Hello at once, while this process parses."""

# From linux/in.h and in6.h; the socket module lacks them.
_IP_MULTICAST_ALL = 49
_IPV6_MULTICAST_ALL = 29
_MREQN = struct.Struct("=4s4si")
_MREQ6 = struct.Struct("@16sI")


@dataclass(frozen=True, slots=True)
class Group:
    """A multicast group of each family at one port; the default is WS-Discovery's (1.1 section 2.4). `host6` is of the
    scope of a link."""

    host: str = "239.255.255.250"
    port: int = 3702
    host6: str = "ff02::c"

    def beside(self, host: str) -> str:
        """The group of the family of `host`."""
        return self.host6 if ":" in host else self.host


class Multicast:
    """Hears `group` on the interfaces that have the addresses `interfaces`, each in its family."""

    def __init__(self, interfaces: Sequence[str], group: Group | None = None) -> None:
        self.group: Final = group or Group()
        self.counters: Final = Counters()
        self._interfaces = tuple(dict.fromkeys(interfaces))
        self._sockets: dict[tuple[bool, int], UdpSocket] = {}
        self._received: Callable[[Frame, Address], None] | None = None

    def open(self, received: Callable[[Frame, Address], None]) -> None:
        """Join and listen: `received(frame, source)` for each datagram, this process's own among them. A link-local
        source has the zone of the interface.

        Needs the running loop. Raises LocalError, with nothing left open, when the group cannot be joined.
        """
        self._received = received
        known = present() if self._interfaces else ()
        try:
            for host in self._interfaces:
                self._hear(host, locate(host, known))
        except OSError as error:
            self.close()
            group = self.group.beside(host)
            raise LocalError(f"cannot join {group}:{self.group.port} on {host}: {error.strerror}") from None

    def follow(self, interfaces: Sequence[Local]) -> None:
        """Listen on the interfaces that have these addresses from now on, and on no others. One that cannot be
        joined is counted, and joined by a later call."""
        wanted = {(one.is_ipv6, one.index): one for one in interfaces}
        for key in self._sockets.keys() - wanted.keys():
            self._sockets.pop(key).close()
        for one in wanted.values():
            try:
                self._hear(one.zoned, one)
            except OSError:
                self.counters.drop(Drop.UNSUITABLE)

    def close(self) -> None:
        while self._sockets:
            self._sockets.popitem()[1].close()

    def _hear(self, host: str, local: Local | None) -> None:
        """Raises OSError."""
        index = local.index if local is not None else 0
        key = (":" in host, index)
        if self._received is None or key in self._sockets:
            return
        group = self.group.beside(host)
        sock = socket.socket(family(group), socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            # Other processes of this machine listen to the same group; each gets its copy.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            grow_buffers(sock, _BUFFER)
            self._join(sock, group, host, index)
        except OSError:
            sock.close()
            raise
        self._sockets[key] = UdpSocket(sock, self._received, self.counters)

    def _join(self, sock: socket.socket, group: str, host: str, index: int) -> None:
        """What differs between the families is here alone. Bound to the group and not to the wildcard: unicast to the
        port belongs to the devices. Without the first option Linux also delivers what any other program of this
        machine joined, on any interface."""
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
            sock.bind((group, self.group.port, 0, index))
            joined = _MREQ6.pack(socket.inet_pton(socket.AF_INET6, group), index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, joined)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            sock.bind((group, self.group.port))
            joined = _MREQN.pack(socket.inet_aton(group), socket.inet_aton(host), index)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
