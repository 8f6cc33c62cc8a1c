"""The Balance service: what devices that agree tell one another, one one-way operation for each kind of message.

Announce and Metered are made to be gossiped: to a device's nano grid, once for all of it. Gather is made to be pulled:
of all who speak for the children of a cluster, with every single reply. All others are said to one device.
GetResidual is made to be aggregated: summed over an area it is what the area's devices can still give and still need,
and what they have sold and bought, period by period. Knows no protocol: a BalancingState does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol

from gossip_ws.consensus import messages
from gossip_ws.consensus.card import Card
from gossip_ws.consensus.clusters import LARGEST
from gossip_ws.consensus.door import FRESH
from gossip_ws.consensus.trust import Sealed
from gossip_ws.consensus.vector import Vector, shortage, surplus
from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.names import BALANCE, qname
from gossip_ws.kernel.terms import Priority
from gossip_ws.services import _spyne as spyne
from gossip_ws.services.balance_messages import (
    MAX_PERIODS,
    MAX_TOLD,
    MAX_WATTS,
    PARTS,
    parts,
    read_octets,
    read_sealed,
    sealed_element,
)
from gossip_ws.services.contract import call
from gossip_ws.services.gossip import aggregate, gossip_enabled, push
from gossip_ws.services.hosting import SpyneHosted
from gossip_ws.services.shape import reading
from gossip_ws.wire.envelope import read_root

PATH: Final = "/Balance"
"""Where the service stands on every device that agrees: a card says it in full."""
MAX_OFFERS: Final = 4_096
"""Offers of one device on a day, each of which it may have sold: what is sold stays so when a smaller one follows."""


@dataclass(frozen=True, slots=True)
class Residual:
    """W by period, none negative. `could` and `wanted`: the device's offer of the day. `sold` and `bought`: agreed
    with others; a promise counts until its seller has released it. `sold_beyond` and `bought_beyond`: of these, with
    devices of other areas. `gives` and `needs`: what is left."""

    could: Vector
    wanted: Vector
    sold: Vector
    bought: Vector
    sold_beyond: Vector
    bought_beyond: Vector
    gives: Vector
    needs: Vector


@dataclass(frozen=True, slots=True)
class Reported:
    """What a device answers to who gathers. rest: W by period, given positive, needed negative. report: a Report,
    signed for who asks; `cards` go with it."""

    rest: Vector
    report: Sealed
    cards: tuple[Card, ...]


class BalancingState(Protocol):
    """Where a device's Balance service gets its numbers, and what is done with what others say."""

    def told(self, sealed: Sealed, cards: Sequence[Card]) -> None:
        """A message to this device, as it came: nobody has looked at its signature. Raises RemoteError when it is not
        to be believed."""

    def asked(self, sealed: Sealed) -> Reported | None:
        """A Gather, as it came; None when this device has nothing to say to it, or does not believe it."""

    def residual(self, day: int | None) -> Residual | None:
        """Of a day, of the present one if none is named; None where the device has no schedule for it."""


def _watts(most: int = MAX_WATTS * MAX_OFFERS) -> Any:
    return reading(spyne.Integer, 0, most, min_occurs=1, max_occurs=MAX_PERIODS)


class ResidualType(spyne.ComplexModel):
    """W by period. could, wanted: offered and asked for; sold, bought: agreed, and with other areas of that; gives,
    needs: left."""

    __namespace__ = BALANCE
    __type_name__ = "Residual"
    could = _watts()
    wanted = _watts()
    sold = _watts()
    bought = _watts()
    soldBeyond = _watts()
    boughtBeyond = _watts()
    gives = _watts()
    needs = _watts()


class ReportedType(spyne.ComplexModel):
    """W by period that a child can still give, and still needs: in a sum those of all. report: the Report element with
    which it would be told unasked; in a sum there is none."""

    __namespace__ = BALANCE
    __type_name__ = "Reported"
    gives = _watts(MAX_TOLD)
    needs = _watts(MAX_TOLD)
    report = spyne.ByteArray(min_occurs=0, nillable=False)


def _told(kind: type) -> Any:
    """The one-way operation that carries one kind of message."""

    def operation(ctx: Any, sender: str, to: str, stamp: int, said: Any, signature: Any, card: Any) -> None:
        call(ctx).state.told(*read_sealed(kind, sender, to, stamp, said, signature, card))

    operation.__name__ = kind.__name__
    operation.__doc__ = kind.__doc__
    return spyne.rpc(*parts(kind), _args=PARTS)(operation)


@gossip_enabled(
    # The last of a device is in force, for as long as its seal lets it in.
    Announce=push(priority=Priority.STATUS, lifetime=FRESH, latest=True),
    Metered=push(priority=Priority.STATUS, lifetime=FRESH, latest=True),
    # Every reply of it is asked for; by default the sum of what all of them have left.
    Gather=aggregate("sum", priority=Priority.STATUS),
    # By HTTP: eight schedules of a day in quarters of an hour are no datagram.
    GetResidual=aggregate("sum", priority=Priority.STATUS, binding=Binding.HTTP),
)
class BalanceService(spyne.Service):
    """Takes the messages by which devices agree, and says what is left. State: a BalancingState."""

    __service_name__ = "Balance"

    Announce = _told(messages.Announce)
    Metered = _told(messages.Metered)
    Propose = _told(messages.Propose)
    Accept = _told(messages.Accept)
    Confirm = _told(messages.Confirm)
    Release = _told(messages.Release)
    Decline = _told(messages.Decline)
    Report = _told(messages.Report)
    Heard = _told(messages.Heard)
    Moved = _told(messages.Moved)
    Inquire = _told(messages.Inquire)
    Board = _told(messages.Board)
    Seek = _told(messages.Seek)
    Found = _told(messages.Found)
    Supply = _told(messages.Supply)
    Done = _told(messages.Done)
    Shown = _told(messages.Shown)

    @spyne.rpc(*parts(messages.Gather), _args=PARTS, _returns=spyne.Array(ReportedType))
    def Gather(ctx: Any, sender: str, to: str, stamp: int, said: Any, signature: Any, card: Any) -> Any:
        """What a child has left, to who speaks for the cluster above; nothing where it cannot say."""
        sealed, _ = read_sealed(messages.Gather, sender, to, stamp, said, signature, card)
        found = call(ctx).state.asked(sealed)
        if found is None:
            return []
        gives, needs = surplus(found.rest), shortage(found.rest)
        told = sealed_element(found.report, found.cards)
        return [ReportedType(gives=list(gives), needs=list(needs), report=[told])]

    @spyne.rpc(spyne.Integer64(ge=0, min_occurs=0, nillable=False), _returns=spyne.Array(ResidualType))
    def GetResidual(ctx: Any, day: int | None) -> Any:
        """What the device has left of a day, the present one if none is given; nothing where it has no schedule."""
        found = call(ctx).state.residual(day)
        if found is None:
            return []
        return [
            ResidualType(
                could=list(found.could),
                wanted=list(found.wanted),
                sold=list(found.sold),
                bought=list(found.bought),
                soldBeyond=list(found.sold_beyond),
                boughtBeyond=list(found.bought_beyond),
                gives=list(found.gives),
                needs=list(found.needs),
            )
        ]


def reports_in(response: bytes) -> list[bytes]:
    """The Report elements in the response to a Gather, at most one for each of a full cluster's children. Raises
    RemoteError where what stands there is not even base64."""
    found = read_root(response).iter(qname(BALANCE, "report"))
    return [read_octets(one.text or "") for one in islice(found, LARGEST)]


def action(message: messages.Message) -> str:
    """The wsa:Action under which a message is sent."""
    return f"{BALANCE}:{type(message).__name__}"


def balance_service(state: BalancingState) -> SpyneHosted:
    """The Balance service of the device that `state` speaks for."""
    return SpyneHosted(BalanceService, BALANCE, state, path=PATH)
