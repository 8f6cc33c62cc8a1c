"""Do needs that can wait and storage keep within what they are? Recomputed from one device's log at every record of it.

For the checker, and like it by none of the protocol's own code. Knows no other device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from gossip_ws.consensus.ability import RIGID, Ability, Storage
from gossip_ws.consensus.flow import Network
from gossip_ws.consensus.log import AgreementId, Kind, Log, Record
from gossip_ws.consensus.vector import Vector, minus, plus, zero


@dataclass(slots=True)
class Moved:
    """One device's day. given: what it has sold. taken: what it has bought for certain. doubts: what it has promised to
    take, each of which may yet be released."""

    offer: Vector
    ability: Ability = RIGID
    given: Vector = ()
    taken: Vector = ()
    doubts: dict[AgreementId, Vector] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.given = self.given or zero(len(self.offer))
        self.taken = self.taken or zero(len(self.offer))

    @property
    def most_taken(self) -> Vector:
        """If nothing is released any more."""
        found = self.taken
        for watts in self.doubts.values():
            found = plus(found, watts)
        return found

    def waited(self) -> Vector:
        """What was taken beyond the schedule: what is on schedule is served first."""
        return self._off_schedule(self.most_taken)

    def _off_schedule(self, taken: Vector) -> Vector:
        return tuple([max(0, some - max(0, -watts)) for some, watts in zip(taken, self.offer, strict=True)])

    def wrong(self, record: Record) -> str:
        """What is wrong with a promise that has just been made; empty when nothing is. What a smaller offer no longer
        covers of earlier ones is no fault of this one."""
        first = next((period for period, watts in enumerate(record.watts) if watts), 0)
        if self.ability.storage is not None:
            return self._wrong_storage(self.ability.storage, first, record)
        if record.kind is Kind.COMMITTED:
            tops = zip(record.watts, self.given, self.offer, strict=True)
            return "gives more than it has" if any(some and all_ > max(0, top) for some, all_, top in tops) else ""
        waited = self.waited()
        before = self._off_schedule(minus(self.most_taken, record.watts))
        more = sum(waited) - sum(before)
        is_over = more and served(self.ability, waited) - served(self.ability, before) < more
        return f"lets {waited} wait" if is_over else ""

    def _wrong_storage(self, storage: Storage, first: int, record: Record) -> str:
        """Whatever becomes of the doubts: is it within its power where it says so, and its level within bounds from a
        period on?"""
        if record.kind is Kind.COMMITTED:
            low = list(accumulate(minus(self.taken, self.given), initial=storage.initial))
            is_over = _beyond(storage.discharge, self.given, record) or min(low[first + 1 :]) < 0
            return "gives what it does not hold" if is_over else ""
        high = list(accumulate(minus(self.most_taken, self.given), initial=storage.initial))
        is_over = _beyond(storage.charge, self.most_taken, record) or max(high[first + 1 :]) > storage.capacity
        return "takes more than it has room for" if is_over else ""

    def is_kept(self, kind: Kind, watts: Vector) -> bool:
        """Would a promise of such a kind be in order, now that it is reckoned with?"""
        return not self.wrong(Record("", 0, 0.0, kind, watts=watts))

    def enter(self, record: Record) -> None:
        """One more record of the day."""
        match record.kind:
            case Kind.OFFERED:
                self.offer, self.ability = record.watts, record.ability
            case Kind.COMMITTED:
                self.given = plus(self.given, record.watts)
            case Kind.PREPARED:
                self.doubts[record.agreement] = record.watts
            case Kind.SETTLED:
                self.doubts.pop(record.agreement, None)
                self.taken = plus(self.taken, record.watts)
            case Kind.RELEASED:
                self.doubts.pop(record.agreement, None)


def _beyond(power: int, watts: Vector, record: Record) -> bool:
    """Is it more than its power in a period that this promise is about?"""
    return any(some and all_ > power for some, all_ in zip(record.watts, watts, strict=True))


def days(log: Log) -> dict[int, Moved]:
    """What came of each day."""
    found: dict[int, Moved] = {}
    for record in log:
        if record.kind is not Kind.STARTED:
            found.setdefault(record.day, Moved(zero(len(record.watts)))).enter(record)
    return found


def overdone(log: Log) -> list[tuple[Record, str]]:
    """The promises that go beyond what the device can, at the time at which they are made. Of a device that cannot move
    anything the checker says so itself."""
    found = []
    state: dict[int, Moved] = {}
    for record in log:
        if record.kind is Kind.STARTED:
            continue
        day = state.setdefault(record.day, Moved(zero(len(record.watts))))
        day.enter(record)
        is_promise = record.kind in (Kind.COMMITTED, Kind.PREPARED)
        if is_promise and day.ability and (what := day.wrong(record)):
            found.append((record, what))
    return found


@dataclass(frozen=True, slots=True)
class _Serving:
    """What a device's needs have been given, as a flow. periods: its nodes that bring what comes in each."""

    network: Network
    periods: Sequence[int]
    sink: int
    watts: int


def served(ability: Ability, watts: Vector) -> int:
    """How much of `watts` the needs can take in all, each in its window, up to its power and its energy."""
    return _serve(ability, watts).watts


def _serve(ability: Ability, watts: Vector) -> _Serving:
    network, source, sink = Network(), 0, 1
    network.nodes(2)
    periods = network.nodes(len(watts))
    for period, some in zip(periods, watts, strict=True):
        network.edge(source, period, some)
    for need in ability.needs:
        node = network.node()
        for period in range(need.since, need.finish_by):
            network.edge(periods[period], node, need.most)
        network.edge(node, sink, need.energy)
    return _Serving(network, periods, sink, network.push(source, sink))


@dataclass(frozen=True, slots=True)
class Could:
    """What a device could still do in a period, be it a watt: give, use, store, or return of what it had stored."""

    give: bool = False
    use: bool = False
    store: bool = False
    hand_back: bool = False


def could(day: Moved) -> list[Could]:
    """By period."""
    found = []
    waited, taken = day.waited(), day.most_taken
    serving = _serve(day.ability, waited) if day.ability.needs else None
    for period, watts in enumerate(day.offer):
        if day.ability.storage is not None:
            one = tuple([int(number == period) for number in range(len(day.offer))])
            give = replace(day, given=plus(day.given, one)).is_kept(Kind.COMMITTED, one)
            store = replace(day, taken=plus(day.taken, one)).is_kept(Kind.PREPARED, one)
            found.append(Could(give, False, store, day.given[period] < day.ability.storage.discharge))
            continue
        use = taken[period] < -watts
        if serving is not None and watts <= 0 and not use:
            # All that was taken is served, and one more in this period besides.
            use = serving.watts == sum(waited) and serving.network.is_open(serving.periods[period], serving.sink)
        found.append(Could(day.given[period] < watts, use))
    return found


def could_agree(lefts: Sequence[Sequence[Could]]) -> list[int]:
    """The periods in which one could still use what another, or storage from an earlier one, could give."""
    periods = range(max(map(len, lefts), default=0))
    over = [any(left[period].give and not left[period].hand_back for left in lefts) for period in periods]
    found = []
    for period in periods:
        givers = any(left[period].give for left in lefts) or any(
            left[period].hand_back and any(over[before] and left[before].store for before in range(period))
            for left in lefts
        )
        if givers and any(left[period].use for left in lefts):
            found.append(period)
    return found


def left_on_schedule(offer: Vector, ability: Ability, traded: Vector) -> Vector:
    """An offer without what was traded of it (given positive). What was moved is no part of the schedule."""
    if not ability:
        return minus(offer, traded)
    return tuple(
        [watts - some if watts > 0 else min(0, watts - min(0, some)) for watts, some in zip(offer, traded, strict=True)]
    )
