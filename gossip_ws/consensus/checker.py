"""Do the devices' logs keep what was promised? Recomputed from the logs alone, by none of the protocol's own code.

Finds violations and says them; changes nothing and trusts no sum that a device has told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.log import AgreementId, Kind, Log, Record, seller_of
from gossip_ws.consensus.movements import could, could_agree, days, left_on_schedule, overdone
from gossip_ws.consensus.vector import Vector, minus, plus, zero


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that is broken, by name, and where."""

    rule: str
    what: str


@dataclass(frozen=True, slots=True)
class Cut:
    """From `since` to before `until` (s) only devices of one island hear one another; who is in none is in one more."""

    since: float
    until: float
    islands: tuple[frozenset[str], ...]

    def island(self, device: str) -> int:
        return next((number for number, island in enumerate(self.islands, 1) if device in island), 0)

    def parts(self, one: str, other: str, at: float) -> bool:
        """Are two devices out of each other's hearing at `at` (s)?"""
        return self.since <= at < self.until and self.island(one) != self.island(other)


Residuals = Mapping[int, Mapping[str, Vector]]
"""What clusters say that they have left, by level and cluster."""


def violations(
    logs: Mapping[str, Log],
    *,
    cuts: Sequence[Cut] = (),
    hierarchy: Hierarchy | None = None,
    claimed: Residuals | None = None,
    settled: bool = False,
    since: int | None = None,
    meanwhile: Sequence[Hierarchy] = (),
) -> list[Violation]:
    """Everything that is wrong; empty when all promises are kept.

    cuts: when who could not hear whom. With `hierarchy` also what clusters claim to have left is recomputed, and the
    level at which two have met; when all is `settled` and no cut lasts, also that nothing is left that some could give
    and others need. since: the first day of which logs have to have all; without it, they begin at their beginning.
    meanwhile: other clusters in which devices met on the last day, while some had left.
    """
    found = _sequences(logs, since is not None)
    found += _order(logs, since is not None)
    if since is not None:
        logs = {device: tuple(one for one in log if one.day >= since) for device, log in logs.items()}
    unequal = _periods(logs)
    if unequal:
        # What is not of one length cannot be added up.
        return found + unequal
    found += _identities(logs)
    found += _fates(logs)
    found += _causes(logs)
    found += _commitments(logs)
    found += _cut(logs, cuts)
    if hierarchy is not None and claimed:
        found += _levels(logs, (hierarchy, *meanwhile))
        found += _residuals(logs, hierarchy, claimed)
    if settled:
        found += _signs(logs)
    return found


def _sequences(logs: Mapping[str, Log], may_begin_later: bool) -> list[Violation]:
    return [
        Violation("log", f"{device} has number {record.number} of {record.device} at place {place}")
        for device, log in logs.items()
        for place, record in enumerate(log, log[0].number if log and may_begin_later else 0)
        if (record.device, record.number) != (device, place)
    ]


def _periods(logs: Mapping[str, Log]) -> list[Violation]:
    """All schedules of a day have its periods."""
    lengths: dict[int, int] = {}
    return [
        Violation("periods", f"{record.device} at {record.number} has {len(record.watts)} of the {length} of its day")
        for record in _records(logs, *Kind)
        if record.kind is not Kind.STARTED
        and len(record.watts) != (length := lengths.setdefault(record.day, len(record.watts)))
    ]


def _records(logs: Mapping[str, Log], *kinds: Kind) -> Iterable[Record]:
    return (record for log in logs.values() for record in log if record.kind in kinds)


def _identities(logs: Mapping[str, Log]) -> list[Violation]:
    """An identity is of one agreement: one seller, whose name it bears, one buyer, one schedule."""
    found = []
    committed: dict[AgreementId, Record] = {}
    for record in _records(logs, Kind.COMMITTED):
        if record.agreement in committed:
            found.append(Violation("identity", f"{record.agreement} was made twice"))
        committed[record.agreement] = record
        if seller_of(record.agreement) != record.device:
            found.append(Violation("identity", f"{record.agreement} was made by {record.device}"))
        if not record.watts or min(record.watts) < 0 or not any(record.watts) or record.peer == record.device:
            found.append(Violation("identity", f"{record.agreement} is about nothing"))
    return found


def _fates(logs: Mapping[str, Log]) -> list[Violation]:
    """Both sides say the same of an agreement, and what one gives the other takes."""
    found = []
    committed = {record.agreement: record for record in _records(logs, Kind.COMMITTED)}
    promised: dict[AgreementId, list[Record]] = defaultdict(list)
    for record in _records(logs, Kind.PREPARED, Kind.SETTLED, Kind.RELEASED):
        promised[record.agreement].append(record)
    for id, sold in committed.items():
        bought = [one for one in promised.get(id, ()) if one.kind is Kind.PREPARED and one.device == sold.peer]
        if not bought:
            found.append(Violation("atomic", f"{id}: {sold.peer} has promised nothing"))
        elif _terms(bought[-1]) != (sold.watts, sold.device, sold.day, sold.level):
            found.append(Violation("zero sum", f"{id}: what is given is not what is taken"))
    for id, records in promised.items():
        kinds = [record.kind for record in records]
        if len({record.device for record in records}) > 1:
            found.append(Violation("identity", f"{id} is of two buyers"))
        if Kind.SETTLED in kinds and id not in committed:
            found.append(Violation("atomic", f"{id} is settled and was never made"))
        if Kind.RELEASED in kinds and id in committed:
            found.append(Violation("atomic", f"{id} was made and is released"))
        if kinds[0] is not Kind.PREPARED or kinds.count(Kind.PREPARED) > 1:
            found.append(Violation("atomic", f"{id} was promised {kinds.count(Kind.PREPARED)} times"))
        if len(kinds) - kinds.count(Kind.PREPARED) > 1:
            found.append(Violation("atomic", f"{id} has ended more than once"))
        if any(_terms(one) != _terms(records[0]) for one in records):
            found.append(Violation("atomic", f"{id} has ended otherwise than it was promised"))
    return found


def _terms(record: Record) -> tuple[Vector, str, int, int]:
    """What a buyer has promised, to whom."""
    return record.watts, record.peer, record.day, record.level


def _causes(logs: Mapping[str, Log]) -> list[Violation]:
    """A decision names the promise on which it rests, and who has settled the decision."""
    ground = {Kind.COMMITTED: Kind.PREPARED, Kind.SETTLED: Kind.COMMITTED}
    there = {(record.device, record.number): record for record in _records(logs, *ground.values())}
    found = []
    for record in _records(logs, *ground):
        cause = there.get((record.cause.device, record.cause.number)) if record.cause is not None else None
        told = (cause.kind, cause.agreement, cause.device) if cause is not None else None
        if told != (ground[record.kind], record.agreement, record.peer):
            found.append(Violation("order", f"{record.device} at {record.number} does not name its cause"))
    return found


def _commitments(logs: Mapping[str, Log]) -> list[Violation]:
    """Nobody promises more than it has offered at that time, in any period; a promise counts until it is released. What
    can be moved is looked at in `movements`."""
    found = []
    for device, log in logs.items():
        found += [
            Violation("over-commitment", f"{device} at {record.number}: {record.agreement}: {what}")
            for record, what in overdone(log)
        ]
        offers: dict[int, Record] = {}
        held: dict[tuple[int, bool], Vector] = {}
        for record in log:
            sells = record.kind is Kind.COMMITTED
            key = record.day, sells
            if record.kind is Kind.OFFERED:
                offers[record.day] = record
            elif record.day in offers and offers[record.day].ability:
                continue
            elif sells or record.kind is Kind.PREPARED:
                held[key] = plus(held.get(key, zero(len(record.watts))), record.watts)
                offer = offers[record.day].watts if record.day in offers else zero(len(record.watts))
                sign = 1 if sells else -1
                sums = zip(record.watts, held[key], offer, strict=True)
                if any(watts and sum_ > max(0, sign * top) for watts, sum_, top in sums):
                    found.append(Violation("over-commitment", f"{device} at {record.number}: {record.agreement}"))
            elif record.kind is Kind.RELEASED:
                held[key] = minus(held.get(key, zero(len(record.watts))), record.watts)
    return found


def _order(logs: Mapping[str, Log], may_begin_later: bool) -> list[Violation]:
    """The logs together are a partial order: nothing comes, by any way, before its own cause."""
    first = {device: log[0].number if log and may_begin_later else 0 for device, log in logs.items()}
    waits: dict[tuple[str, int], int] = {}
    frees: dict[tuple[str, int], list[tuple[str, int]]] = defaultdict(list)
    found = []
    for device, log in logs.items():
        for place, record in enumerate(log, first[device]):
            key = (device, place)
            causes = [(device, place - 1)] if place > first[device] else []
            if record.cause is not None:
                cause = (record.cause.device, record.cause.number)
                begin = first.get(cause[0], 0)
                if begin <= cause[1] < begin + len(logs.get(cause[0], ())):
                    causes.append(cause)
                elif not 0 <= cause[1] < begin:
                    found.append(Violation("order", f"{device} at {place}: its cause is nowhere"))
            waits[key] = len(causes)
            for cause in causes:
                frees[cause].append(key)
    ready = [key for key, count in waits.items() if not count]
    for key in ready:
        for after in frees[key]:
            waits[after] -= 1
            if not waits[after]:
                ready.append(after)
    if len(ready) < len(waits):
        stuck = min(key for key, count in waits.items() if count)
        found.append(Violation("order", f"{len(waits) - len(ready)} records come before themselves, as {stuck}"))
    return found


def _cut(logs: Mapping[str, Log], cuts: Sequence[Cut]) -> list[Violation]:
    """Who made an agreement heard the other side when it did."""
    return [
        Violation("partition", f"{record.agreement} was made across a cut")
        for record in _records(logs, Kind.COMMITTED)
        if any(cut.parts(record.device, record.peer, record.at) for cut in cuts)
    ]


def left_over(logs: Mapping[str, Log], hierarchy: Hierarchy) -> dict[int, dict[str, Vector]]:
    """What clusters have left on the last day, by level and cluster: what the devices below have offered, without what
    they have agreed at that level or below. Level 0: the devices, before any agreement."""
    offers: dict[str, Record] = {}
    last = max((record.day for record in _records(logs, Kind.OFFERED)), default=0)
    for record in _records(logs, Kind.OFFERED):
        if record.day == last:
            offers[record.device] = record
    length = len(next(iter(offers.values())).watts) if offers else 0
    traded: dict[int, list[tuple[str, Vector]]] = defaultdict(list)
    for record in _records(logs, Kind.COMMITTED):
        if record.day == last:
            traded[record.level] += [(record.device, record.watts), (record.peer, minus(zero(length), record.watts))]
    found: dict[int, dict[str, Vector]] = {0: {device: offer.watts for device, offer in offers.items()}}
    so_far = {device: zero(length) for device in offers}
    for level in range(1, hierarchy.depth + 1):
        for device, watts in traded[level]:
            so_far[device] = plus(so_far.get(device, zero(length)), watts)
        sums: dict[str, Vector] = {}
        for device, offer in offers.items():
            if device in hierarchy.home:
                cluster = hierarchy.above(device, level)
                rest = left_on_schedule(offer.watts, offer.ability, so_far[device])
                sums[cluster] = plus(sums.get(cluster, zero(length)), rest)
        found[level] = sums
    return found


def _levels(logs: Mapping[str, Log], hierarchies: Sequence[Hierarchy]) -> list[Violation]:
    """Those who agreed on the last day are in one cluster of the level at which they say that they met."""
    last = max((record.day for record in _records(logs, Kind.OFFERED)), default=0)
    return [
        Violation("level", f"{record.agreement} was not met at level {record.level}")
        for record in _records(logs, Kind.COMMITTED)
        if record.day == last
        and {record.device, record.peer} <= hierarchies[0].home.keys()
        and not any(_meet(record, hierarchy) for hierarchy in hierarchies)
    ]


def _meet(record: Record, hierarchy: Hierarchy) -> bool:
    """Are the two in one cluster at the level of their agreement?"""
    if not 0 < record.level <= hierarchy.depth or not {record.device, record.peer} <= hierarchy.home.keys():
        return False
    return hierarchy.above(record.device, record.level) == hierarchy.above(record.peer, record.level)


def _residuals(logs: Mapping[str, Log], hierarchy: Hierarchy, claimed: Residuals) -> list[Violation]:
    truth = left_over(logs, hierarchy)
    return [
        Violation("residual", f"{cluster} of level {level} says that it has {told} left")
        for level, clusters in claimed.items()
        for cluster, told in clusters.items()
        if truth.get(level, {}).get(cluster) != told
    ]


def _signs(logs: Mapping[str, Log]) -> list[Violation]:
    """When all is done, there is no period in which one could still use what another, or storage from an earlier one,
    could give."""
    last = max((record.day for record in _records(logs, Kind.OFFERED)), default=0)
    lefts = [could(found[last]) for log in logs.values() if last in (found := days(log))]
    return [
        Violation("one sign", f"in period {period} some can still give and some still need")
        for period in could_agree(lefts)
    ]
