"""How a discovery message leaves: a datagram more than once, a request over HTTP with an answer.

Knows no device and no state of discovery.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from gossip_ws.dpws.messages import Message, Probe, Resolve
from gossip_ws.dpws.repetition import UDP_MAX_DELAY, schedule
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.counts import Counts
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.ports import Clock, Frame
from gossip_ws.wire.discovery import decode, encode

REPEAT: Final = 1
"""MULTICAST_UDP_REPEAT and UNICAST_UDP_REPEAT of DPWS 1.1."""
LAST_COPY: Final = UDP_MAX_DELAY + 0.010
"""Seconds after which the copy of what was said last is out: whoever says Bye stays for it."""
TIMEOUT: Final = 5.0
"""Seconds in which a request over HTTP is answered; DP_MAX_TIMEOUT is as long."""


def repeated(send: Callable[[], None], clock: Clock, dice: Dice) -> None:
    """Send a datagram now, and its copy when SOAP-over-UDP says."""
    for delay in schedule(REPEAT, dice):
        if delay:
            clock.call_later(delay, send)
        else:
            send()


class Http(Protocol):
    """The part of a Network that speaks HTTP."""

    def send(self, frame: Frame, to: Address) -> None: ...

    def request(self, frame: Frame, to: Address, timeout: float, done: Callable[[Frame | None], None]) -> None: ...


def by_http(
    network: Http, message: Message, to: Address, answered: Callable[[Message | None], None], counters: Counts
) -> None:
    """POST a message. `answered` is given the answer to a request, None when there is none."""
    frame = encode(message)
    if not isinstance(message, Probe | Resolve):
        network.send(frame, to)
        return

    def done(reply: Frame | None) -> None:
        try:
            found = decode(reply) if reply else None
        except RemoteError:
            found = None
        if found is None:
            counters["no answer over HTTP"] += 1
        answered(found)

    network.request(frame, to, TIMEOUT, done)
