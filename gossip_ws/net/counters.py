"""What a device's sockets did, in numbers. The reasons are words of this room, so the table is bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gossip_ws.kernel.terms import Priority


class Drop(StrEnum):
    """Why something was not carried further."""

    EMPTY = "empty frame"
    OVERSIZE = "frame too large for its binding"
    UNSUITABLE = "address not fit for this network"
    SEND_FAILED = "datagram refused by the system"
    SEND_QUEUE = "datagram queue full"
    RECEIVE_QUEUE = "datagram inbox full"
    RECEIVE_FAILED = "socket error on receiving"
    HANDLER = "handler raised"
    CONNECTIONS = "too many connections"
    MALFORMED = "malformed HTTP"
    METHOD = "HTTP method not allowed"
    BODY = "HTTP body too large"
    HEADERS = "HTTP headers too large"
    CODING = "HTTP content coding not known"
    SLOW = "client too slow"
    HELD = "request held too long"
    GONE = "client gone before the response"
    LATE = "response nobody waits for"
    HTTP_QUEUE = "HTTP queue full"
    UNREACHABLE = "no HTTP connection"
    BROKEN = "HTTP connection broken or response malformed"
    TIMEOUT = "no HTTP response in time"
    STATUS = "HTTP status other than 2xx"
    CLOSED = "network closed"


@dataclass(slots=True)
class Counters:
    """Frames and octets (of frames, without headers) since `open`. Multicast counts as UDP too."""

    udp_sent: int = 0
    udp_sent_octets: int = 0
    udp_received: int = 0
    udp_received_octets: int = 0
    multicast_sent: int = 0
    http_sent: int = 0
    http_sent_octets: int = 0
    http_received: int = 0
    http_received_octets: int = 0
    dropped: dict[Drop, int] = field(default_factory=dict)
    crowded_out: dict[tuple[Drop, Priority], int] = field(default_factory=dict)
    """Of `dropped`, what did not fit a queue, by class."""

    def drop(self, reason: Drop, priority: Priority | None = None) -> None:
        """`priority`: the class, of what a full queue dropped."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        if priority is not None:
            key = (reason, priority)
            self.crowded_out[key] = self.crowded_out.get(key, 0) + 1
