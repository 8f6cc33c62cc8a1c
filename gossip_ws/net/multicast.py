"""One listener a process for the WS-Discovery group. Each frame is handed on once, whoever it is meant for.

It only listens. A device multicasts from its own socket, because matches come back to the source of the
probe (WS-Discovery 1.1 section 3.1.1), and a port that several processes share would be a lottery.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError
from gossip_ws.net.counters import Counters
from gossip_ws.net.udp import UdpSocket, family, grow_buffers
from gossip_ws.ports import Frame

_BUFFER = 2_097_152
"""Octets: a thousand devices that say Hello at once, while this process parses."""

# From linux/in.h; the socket module lacks it.
_IP_MULTICAST_ALL = 49


@dataclass(frozen=True, slots=True)
class Group:
    """A multicast group; the default is WS-Discovery's (1.1 section 2.4)."""

    host: str = "239.255.255.250"
    port: int = 3702


class Multicast:
    """Hears `group` on the interfaces that have the addresses `interfaces` (IPv4 literals)."""

    def __init__(self, interfaces: Sequence[str], group: Group | None = None) -> None:
        self.group: Final = group or Group()
        self.counters: Final = Counters()
        self._interfaces = tuple(dict.fromkeys(interfaces))
        self._socket: UdpSocket | None = None

    def open(self, received: Callable[[Frame, Address], None]) -> None:
        """Join and listen: `received(frame, source)` for each datagram, this process's own among them.

        Needs the running loop. Raises LocalError when the group cannot be joined.
        """
        sock = socket.socket(family(self.group.host), socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            # Other processes of this machine listen to the same group; each gets its copy.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            grow_buffers(sock, _BUFFER)
            # Bound to the group and not to the wildcard: unicast to the port belongs to the devices.
            sock.bind((self.group.host, self.group.port))
            self._join(sock)
        except OSError as error:
            sock.close()
            raise LocalError(
                f"cannot join {self.group.host}:{self.group.port} on {', '.join(self._interfaces)}: {error.strerror}"
            ) from None
        self._socket = UdpSocket(sock, received, self.counters)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _join(self, sock: socket.socket) -> None:
        """What differs between the families is here alone."""
        # Otherwise Linux also delivers what any other program of this machine joined, on any interface.
        sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        group = socket.inet_aton(self.group.host)
        for interface in self._interfaces:
            try:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + socket.inet_aton(interface))
            except OSError as error:
                # Two addresses of one interface are one membership.
                if error.errno != errno.EADDRINUSE:
                    raise
