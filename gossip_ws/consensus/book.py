"""What one device has offered and promised: its log, and what follows from it.

Everything here is made from the records again after a crash. Knows no message and nobody else's affairs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gossip_ws.consensus.ability import RIGID, Ability, Store, Waiting
from gossip_ws.consensus.log import AgreementId, Cause, Kind, Record
from gossip_ws.consensus.loose import Movable, movable
from gossip_ws.consensus.past import Past, served_by
from gossip_ws.consensus.vector import Vector, least, minus, plus, shortage, surplus, zero

NONE: Final = AgreementId("")
NOTHING: Final = Past()


class Book:
    """One device's. `past`: what stands for the records before `records`. Raises ValueError when they are not one
    device's log."""

    def __init__(self, device: str, records: Iterable[Record] = (), past: Past = NOTHING) -> None:
        self.device = device
        self.past = past
        self.records: list[Record] = []
        self.starts = past.starts
        self.day = -1
        self.offer: Vector = ()
        self.ability = RIGID
        self.given: Vector = ()
        """Promised to buyers on this day, and"""
        self.taken: Vector = ()
        """by sellers, and of that"""
        self.settled: Vector = ()
        """known to be made."""
        self.today = 0
        """Agreements and promises of the day, released ones too."""
        self.sold: dict[AgreementId, Record] = {}
        self.doubts: dict[AgreementId, Record] = {}
        """Promised to sellers that have not told what became of it."""
        self.closed: dict[AgreementId, Kind] = {}
        """Of what was promised to sellers that have told."""
        self.served = past.served
        self._waits: Waiting | None = None
        for record in records:
            if record.device != device or record.number != self.length:
                raise ValueError(f"record {record.number} of {record.device} in the log of {device}")
            self._enter(record)

    @property
    def length(self) -> int:
        """Of the whole log, with what is past."""
        return self.past.number + len(self.records)

    def forget(self, before: int) -> None:
        """Let go of the records of days before `before`, as far as no later one is among them. What was promised so
        long ago and never answered is given up."""
        count = next((place for place, one in enumerate(self.records) if one.day >= before), len(self.records))
        gone = self.records[:count]
        if not gone:
            return
        self.past = self.past.with_(gone, before)
        del self.records[:count]
        for record in gone:
            match record.kind:
                case Kind.COMMITTED:
                    del self.sold[record.agreement]
                case Kind.PREPARED:
                    self.doubts.pop(record.agreement, None)
                case Kind.SETTLED | Kind.RELEASED:
                    self.closed.pop(record.agreement, None)

    def write(
        self,
        kind: Kind,
        at: float,
        *,
        day: int | None = None,
        agreement: AgreementId = NONE,
        peer: str = "",
        level: int = 0,
        watts: Vector = (),
        cause: Cause | None = None,
        ability: Ability = RIGID,
    ) -> Record:
        """The next record, entered; it has to be persisted before anybody hears of it."""
        record = Record(
            self.device,
            self.length,
            at,
            kind,
            self.day if day is None else day,
            agreement,
            peer,
            level,
            watts,
            cause,
            ability,
        )
        self._enter(record)
        return record

    def free(self, kept: Vector) -> Vector:
        """What of the day's offer is neither promised nor among what is `kept`: given positive, needed negative. What
        a smaller offer no longer covers is nothing left, never the other sign."""
        return tuple(
            [
                (left if (left := offer - given - some) > 0 else 0)
                if offer > 0
                else (left if (left := offer + taken) < 0 else 0)
                for offer, given, taken, some in zip(self.offer, self.given, self.taken, kept, strict=True)
            ]
        )

    def loose(self, kept: Vector) -> Movable:
        """What can be moved, beside all that is promised and `kept`."""
        if self.ability.needs:
            return movable(self._waiting().left())
        store = self._store(kept)
        return store.left() if store is not None else ()

    def could_take(self, offered: Vector) -> Vector:
        """As much of `offered` as the device can use."""
        nothing = zero(len(offered))
        free = least(offered, shortage(self.free(nothing)))
        if self.ability.needs:
            return plus(free, self._waiting().more(minus(offered, free)))
        store = self._store(nothing)
        return store.charged(offered) if store is not None else free

    def could_give(self, wanted: Vector, kept: Vector) -> Vector:
        """As much of `wanted` as the device has, beside what is `kept`."""
        store = self._store(kept)
        return store.discharged(wanted) if store is not None else least(wanted, surplus(self.free(kept)))

    def _waiting(self) -> Waiting:
        # What is on schedule is served first; a surplus needs nothing.
        if self._waits is None:
            self._waits = Waiting(self.ability.needs, surplus(minus(self.taken, shortage(self.offer))))
        return self._waits

    def _store(self, kept: Vector) -> Store | None:
        storage = self.ability.storage
        if storage is None:
            return None
        return Store(storage, self.settled, self.taken, self.given, plus(self.given, kept))

    def _enter(self, record: Record) -> None:
        self.records.append(record)
        self._waits = None
        match record.kind:
            case Kind.STARTED:
                self.starts += 1
            case Kind.OFFERED:
                if record.day != self.day:
                    self._turn_to(record.day, len(record.watts))
                # Else what is promised stays promised, whatever is offered from now on.
                self.day, self.offer, self.ability = record.day, record.watts, record.ability
            case Kind.COMMITTED:
                self.sold[record.agreement] = record
            case Kind.PREPARED:
                self.doubts[record.agreement] = record
            case Kind.SETTLED:
                self._close(record)
                self.served = served_by(self.served, record)
            case Kind.RELEASED:
                self._close(record)
        if record.day == self.day:
            self._count(record)

    def _turn_to(self, day: int, periods: int) -> None:
        """Nothing is promised for it yet, unless it comes back because a clock was set back."""
        self.given = self.taken = self.settled = zero(periods)
        self.today = 0
        for record in self.records:
            if record.day == day:
                self._count(record)

    def _count(self, record: Record) -> None:
        match record.kind:
            case Kind.COMMITTED:
                self.today += 1
                self.given = plus(self.given, record.watts)
            case Kind.PREPARED:
                self.today += 1
                self.taken = plus(self.taken, record.watts)
            case Kind.SETTLED:
                self.settled = plus(self.settled, record.watts)
            case Kind.RELEASED:
                self.taken = minus(self.taken, record.watts)

    def _close(self, record: Record) -> None:
        # Of an agreement on the edge of the past the promise may be gone.
        self.doubts.pop(record.agreement, None)
        self.closed[record.agreement] = record.kind
