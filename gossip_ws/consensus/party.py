"""How one device comes to an agreement with another: propose, accept, confirm, or release.

The seller decides. A buyer that has accepted keeps its promise until it hears; a seller of which a proposal is not
known any more has not made it (presumed abort), so only two things have to be written down before they are said: the
buyer's promise and the seller's decision. Every message may be lost, doubled or late, and either side may crash
between any two steps. Refuses to know who should agree with whom.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gossip_ws.consensus.ability import RIGID, Ability
from gossip_ws.consensus.book import NOTHING, Book
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import AcceptAgain, AskAgain, Effect, Persist, Tell, copies
from gossip_ws.consensus.log import AgreementId, Cause, Kind, Record, seller_of
from gossip_ws.consensus.loose import Left
from gossip_ws.consensus.messages import Accept, Confirm, Decline, Message, Propose, Release
from gossip_ws.consensus.past import Past
from gossip_ws.consensus.vector import Vector, minus, plus, zero
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.instant import Instant

EAGER: Final = 8
"""Questions about a promise before the waits between them grow, in proportion to their number."""
SELDOMEST: Final = 30.0
"""Times the usual wait for an answer: the longest between two such questions."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Open at the seller: its watts are kept for the buyer."""

    buyer: str
    watts: Vector
    level: int


class Party:
    """One device's. `records`: its log from before a crash."""

    def __init__(self, device: str, pace: Pace, records: Iterable[Record] = (), past: Past = NOTHING) -> None:
        self.device = device
        self.book = Book(device, records, past)
        self.proposals: dict[AgreementId, Proposal] = {}
        self.misses = 0
        """Proposals and promises that came to nothing, or to less: others reckon with more than there is."""
        self._pace = pace
        self._count = 0
        self._kept: Vector = zero(len(self.book.offer))
        self._free: Left | None = None
        self.is_patient = False
        """Does what can be moved still wait for what cannot?"""

    @property
    def left(self) -> Left:
        """What of the day's offer is neither promised nor proposed."""
        if self._free is None:
            self._free = Left(self.book.free(self._kept), self.book.loose(self._kept))
        return self._free

    @property
    def told(self) -> Left:
        """What others hear of that."""
        left = self.left
        return Left(left.rest) if self.is_patient and left.loose else left

    @property
    def rest(self) -> Vector:
        """What of that is on schedule: given positive, needed negative."""
        return self.left.rest

    def could_give(self, wanted: Vector) -> Vector:
        """As much of `wanted` as this device would propose."""
        return self.book.could_give(wanted, self._kept)

    @property
    def is_busy(self) -> bool:
        """Is anything proposed or promised of which the end is not known?"""
        return bool(self.proposals or self.book.doubts)

    def is_owed(self, message: Message, sender: str) -> bool:
        """Does it end what the two have begun? Who has left the clusters since still has to say so, and be told."""
        match message:
            case Accept() | Decline():
                return seller_of(message.agreement) == self.device
            case Confirm() | Release():
                doubt = self.book.doubts.get(message.agreement)
                return doubt is not None and doubt.peer == sender
            case _:
                return False

    def start(self, now: Instant) -> list[Effect]:
        """The device comes up: after this nothing of before is open at it as a seller."""
        effects: list[Effect] = [Persist(self.book.write(Kind.STARTED, now.monotonic))]
        for record in self.book.doubts.values():
            effects += self._accept(record, 1)
        return effects

    def check(self, day: int, watts: Vector) -> None:
        """Before `start` and `offer`. Raises LocalError for a schedule that cannot be offered: of a day of which
        promises may have been let go, or of other periods than the day has."""
        if day < max(0, self.book.past.before):
            raise LocalError(f"{self.device}: day {day} is over, and what was promised for it not known any more")
        if not watts or (day == self.book.day and len(watts) != len(self.book.offer)):
            raise LocalError(f"{self.device}: {len(watts)} periods are not those of day {day}")

    def offer(self, day: int, watts: Vector, now: Instant, ability: Ability = RIGID) -> list[Effect]:
        """What the device gives and needs from now on, and can move. A new day: what was promised for the last one is
        done with. Proposals that are open bind nobody; they were made of the old offer, and end."""
        if (day, watts, ability) == (self.book.day, self.book.offer, self.book.ability):
            return []
        self.proposals.clear()
        self._kept = zero(len(watts))
        self._free = None
        offered = self.book.write(Kind.OFFERED, now.monotonic, day=day, watts=watts, ability=ability)
        self.book.forget(day - self._pace.keep)
        return [Persist(offered)]

    # -- as a seller ---------------------------------------------------------------------------

    def propose(self, buyer: str, watts: Vector, level: int) -> list[Effect]:
        """Offer a buyer as much of `watts` as is left; nothing happens where nothing is."""
        watts = self.could_give(watts)
        if not any(watts) or buyer == self.device:
            return []
        if len(self.proposals) >= self._pace.open or self.book.today >= self._pace.a_day:
            return [Dropped("too many proposals")]
        id = AgreementId(f"{self.device}/{self.book.starts}.{self._count}")
        self._count += 1
        self.proposals[id] = Proposal(buyer, watts, level)
        self._kept = plus(self._kept, watts)
        self._free = None
        return self._ask(id, 1)

    def ask_again(self, timer: AskAgain) -> list[Effect]:
        """No answer yet: repeat, or give up. Who accepts later is told that it is not made."""
        proposal = self.proposals.get(timer.agreement)
        if proposal is None:
            return []
        if timer.tries < self._pace.tries:
            return self._ask(timer.agreement, timer.tries + 1)
        self._end(timer.agreement)
        self.misses += 1
        return []

    def accepted(self, accept: Accept, sender: str, now: Instant) -> list[Effect]:
        """The decision, if it is open; else what it was."""
        sold = self.book.sold.get(accept.agreement)
        if sold is not None:
            if sold.peer != sender:
                return [Dropped("accepted by another")]
            return [Tell((sender,), Confirm(accept.agreement, sold.number))]
        proposal = self.proposals.get(accept.agreement)
        if proposal is None:
            if self.book.past.may_hold(accept.agreement):
                # Whoever has it written down does not find out from here any more. It must not be denied.
                return [Dropped("accepted too late to be known")]
            return [Tell((sender,), Release(accept.agreement))]
        if proposal.buyer != sender:
            return [Dropped("accepted by another")]
        if not _is_part(accept.watts, proposal.watts):
            # It cannot be what this seller would make; as it is not made, the buyer may have it back.
            self._end(accept.agreement)
            return [Dropped("accepted more than proposed"), Tell((sender,), Release(accept.agreement))]
        self._end(accept.agreement)
        self.misses += accept.watts != proposal.watts
        made = self.book.write(
            Kind.COMMITTED,
            now.monotonic,
            agreement=accept.agreement,
            peer=sender,
            level=proposal.level,
            watts=accept.watts,
            cause=Cause(sender, accept.record),
        )
        self._free = None
        return [Persist(made), Tell((sender,), Confirm(accept.agreement, made.number))]

    def declined(self, decline: Decline, sender: str) -> list[Effect]:
        """Its watts are free again."""
        proposal = self.proposals.get(decline.agreement)
        if proposal is None or proposal.buyer != sender:
            return [Dropped("declined and not open")]
        self._end(decline.agreement)
        self.misses += 1
        return []

    # -- as a buyer ----------------------------------------------------------------------------

    def proposed(self, propose: Propose, sender: str, now: Instant) -> list[Effect]:
        """Promise as much of it as is needed. What was answered is answered again in the same way."""
        doubt = self.book.doubts.get(propose.agreement)
        if doubt is not None:
            return (
                [Tell((doubt.peer,), self._acceptance(doubt))] if doubt.peer == sender else [Dropped("not the seller")]
            )
        if propose.agreement in self.book.closed:
            return [Dropped("proposed again")]
        if min(propose.watts) < 0:
            return [Dropped("no schedule")]
        taken = self.book.could_take(propose.watts) if propose.day == self.book.day else ()
        self.misses += taken != propose.watts
        if not any(taken) or self.book.today >= self._pace.a_day or sender == self.device:
            return [Tell((sender,), Decline(propose.agreement))]
        promise = self.book.write(
            Kind.PREPARED,
            now.monotonic,
            agreement=propose.agreement,
            peer=sender,
            level=propose.level,
            watts=taken,
        )
        self._free = None
        return [Persist(promise), *self._accept(promise, 1)]

    def accept_again(self, timer: AcceptAgain) -> list[Effect]:
        """Still in doubt: ask until the seller answers, be it for days. It may have written that it is made."""
        doubt = self.book.doubts.get(timer.agreement)
        return self._accept(doubt, timer.tries + 1) if doubt is not None else []

    def confirmed(self, confirm: Confirm, sender: str, now: Instant) -> list[Effect]:
        """It is made."""
        return self._closed(Kind.SETTLED, confirm.agreement, sender, now, Cause(sender, confirm.record))

    def released(self, release: Release, sender: str, now: Instant) -> list[Effect]:
        """It is not made: the watts are needed again."""
        self.misses += 1
        return self._closed(Kind.RELEASED, release.agreement, sender, now, None)

    # -- small steps ---------------------------------------------------------------------------

    def _ask(self, id: AgreementId, tries: int) -> list[Effect]:
        proposal = self.proposals[id]
        return [
            *copies(Tell((proposal.buyer,), Propose(id, self.book.day, proposal.watts, proposal.level)), tries),
            SetTimer(AskAgain(id, tries), self._pace.answer * self._pace.round),
        ]

    def _end(self, id: AgreementId) -> None:
        proposal = self.proposals.pop(id)
        self._kept = minus(self._kept, proposal.watts)
        self._free = None

    def _accept(self, record: Record, tries: int) -> list[Effect]:
        # The longer it takes the seldomer, so that a seller which is gone for days is no flood; but one that comes back
        # is asked soon, by how long it was away.
        seldomer = min(max(1.0, tries / EAGER), SELDOMEST)
        return [
            Tell((record.peer,), self._acceptance(record)),
            SetTimer(AcceptAgain(record.agreement, tries), seldomer * self._pace.answer * self._pace.round),
        ]

    def _acceptance(self, record: Record) -> Accept:
        return Accept(record.agreement, record.watts, record.number)

    def _closed(self, kind: Kind, id: AgreementId, sender: str, now: Instant, cause: Cause | None) -> list[Effect]:
        doubt = self.book.doubts.get(id)
        if doubt is None:
            return [] if id in self.book.closed else [Dropped("told of what was never promised")]
        if doubt.peer != sender:
            return [Dropped("not the seller")]
        record = self.book.write(
            kind,
            now.monotonic,
            day=doubt.day,
            agreement=id,
            peer=sender,
            level=doubt.level,
            watts=doubt.watts,
            cause=cause,
        )
        self._free = None
        return [Persist(record)]


def _is_part(part: Vector, whole: Vector) -> bool:
    return (
        len(part) == len(whole) and any(part) and all(0 <= some <= most for some, most in zip(part, whole, strict=True))
    )
