"""Where a device that agrees can be reached, in its own words: shown to whoever may have to speak to it.

Whoever names a device to another one shows its card too, so nobody has to know all addresses of a grid.
Knows no message and no directory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from gossip_ws.kernel.address import Address


@dataclass(frozen=True, slots=True)
class Card:
    """number: grows with every start and every move, so that of two cards the newer is known. udp, http: of the
    device's own Balance service; one of both is there. signature: the device's own, empty where nobody signs."""

    device: str
    number: int
    udp: Address | None
    http: Address | None
    signature: bytes = b""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """A datagram first, where it is large enough."""
        return tuple(address for address in (self.udp, self.http) if address is not None)


def card_statement(card: Card) -> bytes:
    """What is signed: no message has the same octets (the last thing that `trust.statement` tells is a list, here it is
    a text)."""
    told = ["card", card.device, card.number, str(card.udp or ""), str(card.http or "")]
    return json.dumps(told, separators=(",", ":")).encode()
