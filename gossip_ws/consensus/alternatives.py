"""What seed 004 names beside pairwise agreement: an elected leader, a distributed ledger, the power of two choices.

Each decides for the devices that hear one another, and what it costs in messages and rounds is counted, not played
message by message: what is lost is sent again, so what has to be answered is sent 1 / (1 - loss)^2 times on average.
Their devices never crash. Logs are those of the devices, held against the same checker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, log

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.log import AgreementId, Cause, Kind, Log, Record
from gossip_ws.consensus.messages import Served
from gossip_ws.consensus.plan import Flow, Standing, plan
from gossip_ws.consensus.vector import Vector, minus, plus
from gossip_ws.kernel.dice import Dice

ATTEMPTS = 64
"""Times that a buyer draws two sellers before it gives up."""


@dataclass(slots=True)
class Books:
    """The devices' logs as they come about, and what the scheme has cost."""

    hierarchy: Hierarchy
    offers: dict[str, Vector]
    day: int = 0
    time: float = 0.0
    messages: float = 0.0
    rest: dict[str, Vector] = field(default_factory=dict)
    served: dict[str, Served] = field(default_factory=dict)
    logs: dict[str, list[Record]] = field(default_factory=dict)
    last: float = 0.0
    """When the last agreement of the day was made."""

    def begin(self, day: int) -> None:
        """Everybody offers the same again."""
        self.day, self.last = day, self.time
        for device, offer in self.offers.items():
            self.logs.setdefault(device, [])
            if not day:
                self._write(device, Kind.STARTED)
            self._write(device, Kind.OFFERED, watts=offer)
            self.rest[device] = offer

    def agree(self, seller: str, buyer: str, watts: Vector) -> None:
        """Both write it down."""
        self.last = self.time
        id = AgreementId(f"{seller}/1.{len(self.logs[seller])}")
        level = next(
            level
            for level in range(1, self.hierarchy.depth + 1)
            if self.hierarchy.above(seller, level) == self.hierarchy.above(buyer, level)
        )
        promise = self._write(buyer, Kind.PREPARED, id, seller, level, watts)
        made = self._write(seller, Kind.COMMITTED, id, buyer, level, watts, Cause(buyer, promise.number))
        self._write(buyer, Kind.SETTLED, id, seller, level, watts, Cause(seller, made.number))
        self.rest[seller] = minus(self.rest[seller], watts)
        self.rest[buyer] = plus(self.rest[buyer], watts)
        before = self.served.get(buyer, Served())
        periods = [period for period, some in enumerate(watts) if some]
        last = self.day * len(watts) + periods[-1]
        self.served[buyer] = Served(max(before.last, last), before.times + len(periods))

    def flows(self, devices: Sequence[str]) -> tuple[Flow, ...]:
        """What follows for whoever knows all of `devices`."""
        bus = self.hierarchy.bus
        standings = [
            Standing(device, bus[device], self.rest[device], self.served.get(device, Served()))
            for device in devices
            if any(self.rest[device])
        ]
        return plan(self.hierarchy.feeder, standings, self.day)

    def _write(
        self,
        device: str,
        kind: Kind,
        agreement: AgreementId | None = None,
        peer: str = "",
        level: int = 0,
        watts: Vector = (),
        cause: Cause | None = None,
    ) -> Record:
        number = len(self.logs[device])
        record = Record(
            device, number, self.time, kind, self.day, agreement or AgreementId(""), peer, level, watts, cause
        )
        self.logs[device].append(record)
        return record


@dataclass(frozen=True, slots=True)
class Alternative:
    """What came of it: the devices' logs, messages, and rounds of each day until its last agreement."""

    logs: dict[str, Log]
    messages: float
    rounds: list[float]


def run(
    scheme: str, instance: Instance, hierarchy: Hierarchy, conditions: Conditions, dice: Dice, days: int = 1
) -> Alternative:
    """`leader`, `ledger` or `two-choices`. A cut counts from the day on that begins in it, and what was kept apart goes
    on when it ends."""
    books = Books(hierarchy, {device.id: device.watts for device in instance.devices})
    rounds = []
    for day in range(days):
        books.begin(day)
        began = books.time
        ends = sorted({cut.until for cut in conditions.cuts if began < cut.until < float("inf")})
        for start in (began, *ends):
            books.time = max(books.time, start)
            for part in _parts(instance, conditions, books.time):
                at = books.time
                match scheme:
                    case "leader":
                        _leader(books, part, len(instance.devices), conditions.loss)
                    case "ledger":
                        _ledger(books, part, len(instance.devices), conditions.loss)
                    case _:
                        _two_choices(books, part, conditions.loss, dice)
                # Parts go on at the same time.
                books.time = at
        rounds.append(books.last - began)
        books.time = max(books.time, books.last) + 1
    return Alternative({device: tuple(records) for device, records in books.logs.items()}, books.messages, rounds)


def _parts(instance: Instance, conditions: Conditions, at: float) -> list[list[str]]:
    cuts = [cut for cut in conditions.cuts if cut.since <= at < cut.until]
    parts: dict[tuple[int, ...], list[str]] = {}
    for device in instance.devices:
        parts.setdefault(tuple(cut.island(device.id) for cut in cuts), []).append(device.id)
    return list(parts.values())


def _sent(loss: float) -> float:
    """How often a message is sent until its answer has arrived, on average."""
    return 1 / (1 - loss) ** 2


def _trips(targets: int, loss: float) -> int:
    """How many times there and back until all of them have answered, about."""
    missed = 1 - (1 - loss) ** 2
    return 1 if not missed or targets < 1 else 1 + ceil(log(max(targets, 2)) / -log(missed))


def _leader(books: Books, part: Sequence[str], everybody: int, loss: float) -> None:
    """Votes for a leader, offers told to it, and each decision replicated: proposed to all, answered by all, committed
    at all. Without a majority of all devices there is no leader, and nothing is decided."""
    if 2 * len(part) <= everybody:
        return
    others = len(part) - 1
    flows = books.flows(part)
    # Vote and answer, offer and answer, then for each decision proposal, answer and commit.
    books.messages += (4 * others + 3 * others * len(flows)) * _sent(loss)
    books.time += 2 * 2 * _trips(others, loss)
    for flow in flows:
        # One order for all decisions; one follows the other without waiting, so time is counted once.
        books.agree(flow.seller, flow.buyer, flow.watts)
    books.last += 2 * _trips(others, loss) + 1 if flows else 0


def _ledger(books: Books, part: Sequence[str], everybody: int, loss: float) -> None:
    """Everything goes to everybody and is verified there: offers, and of each agreement the proposal, the acceptance
    and the confirmation. It counts when a majority of all devices has it."""
    if 2 * len(part) <= everybody:
        return
    others = len(part) - 1
    flows = books.flows(part)
    books.messages += (len(part) * others + 3 * others * len(flows)) * _sent(loss)
    books.time += 2 * _trips(others, loss)
    for flow in flows:
        books.agree(flow.seller, flow.buyer, flow.watts)
    books.last += 3 * 2 * _trips(others, loss) if flows else 0


def _two_choices(books: Books, part: Sequence[str], loss: float, dice: Dice) -> None:
    """Each buyer draws two sellers, asks both, and takes from the one that has more left; again while it needs, and as
    long as it has not drawn in vain for too long."""
    vain = dict.fromkeys(part, 0)
    while True:
        sellers = [device for device in part if any(watts > 0 for watts in books.offers[device])]
        buyers = [
            device for device in part if vain[device] < ATTEMPTS and any(watts < 0 for watts in books.rest[device])
        ]
        if not buyers or not sellers:
            return
        # Asked and answered twice at once, then proposed, accepted and confirmed.
        books.time += 2 * _trips(2, loss) + 2 * _trips(1, loss) + 1
        for buyer in dice.sample(buyers, len(buyers)):
            drawn = dice.sample(sellers, min(2, len(sellers)))
            books.messages += 2 * len(drawn) * _sent(loss)
            best = max(drawn, key=lambda seller: sum(_share(books, seller, buyer)))
            watts = _share(books, best, buyer)
            if best != buyer and any(watts):
                books.messages += 3 * _sent(loss)
                books.agree(best, buyer, watts)
                vain[buyer] = 0
            else:
                vain[buyer] += 1


def _share(books: Books, seller: str, buyer: str) -> Vector:
    return tuple(
        [
            min(has, -needs) if has > 0 > needs else 0
            for has, needs in zip(books.rest[seller], books.rest[buyer], strict=True)
        ]
    )
