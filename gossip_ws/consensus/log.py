"""What a device has written down, to be kept over a crash and to be checked by others: events in order, with causes.

All logs together are a partial order: each record comes after the one before it in its own log, and after those that
it names as causes. Knows no message and no rule of the protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from gossip_ws.consensus.ability import RIGID, Ability
from gossip_ws.consensus.vector import Vector

AgreementId = NewType("AgreementId", str)
"""`seller/start.number`: the seller counts its starts in its log, and its proposals since, so no id comes twice."""


def seller_of(agreement: AgreementId) -> str:
    """Whose name it bears, which may have slashes in it."""
    return agreement.rpartition("/")[0]


class Kind(StrEnum):
    """What happened."""

    STARTED = "started"
    """The device came up; nothing from before is open at it as a seller."""
    OFFERED = "offered"
    """From now on this is what it gives (positive) and needs (negative), and can move."""
    PREPARED = "prepared"
    """The buyer has promised, and keeps the watts until it hears what became of it."""
    COMMITTED = "committed"
    """The seller has decided: the agreement is made."""
    SETTLED = "settled"
    """The buyer knows that it is made."""
    RELEASED = "released"
    """The buyer knows that it is not."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A record in another device's log."""

    device: str
    number: int


@dataclass(frozen=True, slots=True)
class Record:
    """One event. number: its place in the log, from 0, without gaps. at: seconds by the device's clock. day: the
    offer's to which it belongs. agreement, peer, level: of which agreement, with whom, met in a cluster of which level.
    watts: of an offer signed, of an agreement what the seller gives. ability: of an offer, what can be moved."""

    device: str
    number: int
    at: float
    kind: Kind
    day: int = 0
    agreement: AgreementId = AgreementId("")
    peer: str = ""
    level: int = 0
    watts: Vector = ()
    cause: Cause | None = None
    ability: Ability = RIGID


Log = tuple[Record, ...]
"""One device's, in order."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What two devices have agreed: W by period that `seller` gives and `buyer` takes on a day."""

    id: AgreementId
    seller: str
    buyer: str
    watts: Vector
    level: int
    day: int
    at: float


def agreements(logs: dict[str, Log]) -> list[Agreement]:
    """Those that are made: their sellers have written so."""
    return [
        Agreement(record.agreement, record.device, record.peer, record.watts, record.level, record.day, record.at)
        for log in logs.values()
        for record in log
        if record.kind is Kind.COMMITTED
    ]
