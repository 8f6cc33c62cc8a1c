"""A device with nothing to agree about among others that balance: it passes on what is pulled and says nothing."""

from __future__ import annotations

from collections.abc import Sequence

from gossip_ws.consensus.card import Card
from gossip_ws.consensus.trust import Sealed
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.names import BALANCE
from gossip_ws.ports import Gossip, HostedService
from gossip_ws.services.balancing import Reported, Residual, balance_service


class Bystander:
    """The Balance service's state of a device that has nothing to agree about, but passes on what is asked of all."""

    def told(self, sealed: Sealed, cards: Sequence[Card]) -> None:
        raise sender_fault("NotForHere", f"said to {sealed.to}", namespace=BALANCE)

    def asked(self, sealed: Sealed) -> Reported | None:
        return None

    def residual(self, day: int | None) -> Residual | None:
        return None


def bystander(_: Gossip) -> HostedService:
    """The Balance service of one that stands by."""
    return balance_service(Bystander())
