"""A simulated grid of devices that agree: a virtual clock in rounds, a bad network, crashes, cuts; one seed, one trace.

Knows the devices only as `member` shows them. What it sees of all of them at once serves to end a run, never to help.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import accumulate
from math import inf

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import Believe, Effect, Persist, Pull, Spread, Tell, Timer
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.log import Kind, Log, Record
from gossip_ws.consensus.loose import Left, could_agree
from gossip_ws.consensus.member import Member
from gossip_ws.consensus.messages import Message
from gossip_ws.consensus.post import Post
from gossip_ws.consensus.reliance import Reliance
from gossip_ws.consensus.trust import Sealed
from gossip_ws.consensus.vector import Vector, minus, plus, zero
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.instant import Instant

PACE = Pace()
"""A simulated second is a round."""
EVENING = 5.0
"""Rounds until what meters have said has arrived, or is lost."""


@dataclass(slots=True)
class Trace:
    """What came of a run. logs: what each device had written down. rounds: of each day until its last agreement was
    made. messages: sent from one device to another, by name. dropped: what changed nothing, by reason. settled: was
    nothing left to do when it ended? claimed: what clusters say that they have left, by level."""

    logs: dict[str, Log]
    rounds: list[float] = field(default_factory=list)
    messages: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    settled: bool = False
    claimed: dict[int, dict[str, Vector]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Arrival:
    """sealed: None where nobody signs. attack: by whom it was not said, empty for what was."""

    message: Message
    sender: str
    sealed: Sealed | None = None
    attack: str = ""


@dataclass(frozen=True, slots=True)
class _Restart:
    """The device comes up again."""


@dataclass(frozen=True, slots=True)
class _Change:
    """From now on these are the devices and what they can do."""

    instance: Instance
    hierarchy: Hierarchy


@dataclass(frozen=True, slots=True)
class _Switch:
    """From now on the device gives and needs this."""

    watts: Vector


@dataclass(frozen=True, slots=True)
class _Leave:
    """The device goes as soon as nothing is in doubt at it. Of what it has agreed it still tells who asks."""


class Run:
    """One simulation. `days`: how often the same is offered again, from `day` on. `post`: every message is signed and
    verified. `reliances`: how far devices believe their neighbours; who has none believes all."""

    def __init__(
        self,
        instance: Instance,
        hierarchy: Hierarchy,
        conditions: Conditions,
        dice: Dice,
        *,
        day: int = 0,
        days: int = 1,
        post: Post | None = None,
        reliances: Mapping[str, Reliance] | None = None,
    ) -> None:
        self.instance = instance
        self.hierarchy = hierarchy
        self.time = 0.0
        self.trace = Trace({})
        self.members: dict[str, Member] = {}
        self._left: dict[str, Member] = {}
        self._conditions = conditions
        self._dice = dice
        self._last = day + days - 1
        self._post = post
        self._reliances = reliances or {}
        self._day = day
        self._began = 0.0
        self._offers = {device.id: (device.watts, device.ability) for device in instance.devices}
        self._written: dict[str, list[Record]] = {device: [] for device in self._offers}
        self._boots: Counter[str] = Counter()
        self._doomed: dict[str, float] = {}
        self._due: list[tuple[float, int, str, int, object]] = []
        self._count = 0
        self._last_fault = conditions.last_cut

    def change(self, at: float, instance: Instance, hierarchy: Hierarchy) -> None:
        """At a time devices join, leave or can do something else. Called before `run`."""
        self._last_fault = max(self._last_fault, at)
        self._push(at, "", 0, _Change(instance, hierarchy))

    def switch(self, at: float, device: str, watts: Vector) -> None:
        """At a time a device gives and needs something else; it can move what it could before. Called before `run`."""
        self._last_fault = max(self._last_fault, at)
        self._push(at, device, 0, _Switch(watts))

    def run(self) -> Trace:
        """Let it happen until nothing is left to do, or patience ends."""
        for device in self._offers:
            self._doom(device)
            self._boot(device)
        check = 1.0
        while self._due:
            if self._due[0][0] > check:
                self.time = check
                check += 1.0
                if self._is_done():
                    self._close_day()
                    if self._day >= self._last:
                        self.trace.settled = True
                        break
                    self._next_day()
                elif self.time > max(self._last_fault, self._began) + self._conditions.patience:
                    self._close_day()
                    break
                continue
            self._step()
        self.trace.logs = {device: tuple(records) for device, records in self._written.items()}
        self.trace.claimed = self._claims()
        return self.trace

    def evening(self, seen: Mapping[str, Vector]) -> None:
        """After `run`: the meters of these devices tell what they have seen of the last day."""
        for device, watts in seen.items():
            member = self.members.get(device)
            if member is not None:
                self._carry(device, member.metered(self._day, watts))
        until = self.time + EVENING
        while self._due and self._due[0][0] <= until:
            self._step()

    # -- what happens --------------------------------------------------------------------------

    def _step(self) -> None:
        self.time, _, device, boot, what = heappop(self._due)
        member = self.members.get(device) or self._left.get(device)
        match what:
            case _Arrival():
                # Who is cut off meanwhile does not get what is on its way.
                if member is not None and not self._are_apart(what.sender, device):
                    self._carry(device, self._arrived(device, member, what))
            case _Restart():
                self._boot(device)
            case _Change():
                self._change(what)
            case _Switch():
                _, ability = self._offers[device]
                self._offers[device] = what.watts, ability
                if member is not None:
                    self._carry(device, member.change(self._day, what.watts, self._now(), ability))
            case _Leave():
                if member is not None:
                    self._leave(device, member)
            case _ if member is not None and boot == self._boots[device]:
                timer: Timer = what  # type: ignore[assignment]  # only timers are left
                self._carry(device, member.due(timer, self._now()))

    def _arrived(self, device: str, member: Member, arrival: _Arrival) -> list[Effect]:
        if self._post is None or arrival.sealed is None:
            return member.receive(arrival.message, arrival.sender, self._now())
        message = self._post.opened(device, arrival.sealed, self.time)
        if isinstance(message, Dropped):
            return [message]
        effects = member.receive(message, arrival.sender, self._now(), arrival.sealed)
        self._post.judge(device, arrival.sealed, arrival.attack, effects)
        return effects

    def _boot(self, device: str) -> None:
        self._boots[device] += 1
        watts, ability = self._offers[device]
        audit = self._post.start(device, self.hierarchy, self.time) if self._post is not None else None
        member = Member(
            device, self.hierarchy, PACE, self._written[device], audit=audit, reliance=self._reliances.get(device)
        )
        self.members[device] = member
        self._carry(device, member.start(self._day, watts, self._now(), ability))

    def _change(self, change: _Change) -> None:
        before = set(self._offers)
        self.hierarchy = change.hierarchy
        now = {device.id: (device.watts, device.ability) for device in change.instance.devices}
        for device in before - now.keys():
            self._push(0.0, device, 0, _Leave())
        for device, member in list(self.members.items()):
            if device in now:
                if self._post is not None:
                    self._post.regroup(device, change.hierarchy)
                self._carry(device, member.regroup(change.hierarchy, self._now()))
                if now[device] != self._offers[device]:
                    watts, ability = now[device]
                    self._carry(device, member.change(self._day, watts, self._now(), ability))
        self._offers = now
        for device in now.keys() - before:
            self._written[device] = []
            self._boot(device)

    def _leave(self, device: str, member: Member) -> None:
        self._carry(device, member.change(self._day, zero(len(member.rest)), self._now()))
        if member.party.is_busy:
            self._push(1.0, device, 0, _Leave())
        else:
            self._left[device] = self.members.pop(device)

    def _doom(self, device: str) -> None:
        if self._conditions.crashes and self._dice.random() < self._conditions.crashes:
            self._doomed[device] = self._dice.uniform(0.0, self._conditions.within)
            self._last_fault = max(self._last_fault, self._doomed[device] + self._conditions.down)

    def _carry(self, device: str, effects: list[Effect]) -> None:
        """Do what it wants done, or, if it is time for it to crash, only the first part of that."""
        if self._doomed.get(device, inf) <= self.time:
            del self._doomed[device]
            for effect in effects[: int(self._dice.random() * (len(effects) + 1))]:
                self._carry_out(device, effect)
            del self.members[device]
            self._boots[device] += 1
            self._push(self._dice.uniform(0.0, self._conditions.down), device, 0, _Restart())
            return
        for effect in effects:
            self._carry_out(device, effect)

    def _carry_out(self, device: str, effect: Effect) -> None:
        match effect:
            case Persist():
                self._written[device].append(effect.record)
            case Believe():
                # Whoever runs this keeps the reliances, whatever becomes of a device.
                pass
            case Tell():
                self.trace.messages[type(effect.message).__name__] += len(effect.to)
                for to in effect.to:
                    self._send(device, to, effect.message, self._sealed(device, to, effect.message))
            case Spread() | Pull():
                # Copies are counted, whoever passes them on.
                self.trace.messages[type(effect.message).__name__] += len(effect.to)
                sealed = self._sealed(device, effect.cluster, effect.message)
                for to in effect.to:
                    self._send(device, to, effect.message, sealed)
            case SetTimer():
                self._push(effect.delay, device, self._boots[device], effect.timer)
            case Dropped():
                self.trace.dropped[effect.reason] += 1

    def _send(self, source: str, to: str, message: Message, sealed: Sealed | None = None) -> None:
        there = self._conditions
        if self._post is not None and sealed is not None:
            self._meddle(self._post, to, sealed)
        if self._are_apart(source, to) or self._happens(there.loss):
            return
        arrival = _Arrival(message, source, sealed)
        for _ in range(2 if self._happens(there.twice) else 1):
            delay = self._dice.uniform(there.least, there.most)
            if self._happens(there.held):
                delay += self._dice.uniform(0.0, there.hold)
            self._push(delay, to, 0, arrival)

    def _sealed(self, source: str, to: str, message: Message) -> Sealed | None:
        return self._post.sealed(source, to, message, self.time) if self._post is not None else None

    def _meddle(self, post: Post, to: str, sealed: Sealed) -> None:
        meddled = post.attackers.meddle(to, sealed, self.instance.periods) if post.attackers is not None else None
        if meddled is not None:
            post.meddled[meddled.attack] += 1
            arrival = _Arrival(meddled.sealed.message, meddled.sealed.sender, meddled.sealed, meddled.attack)
            self._push(meddled.delay, meddled.to, 0, arrival)

    # -- days ----------------------------------------------------------------------------------

    def _next_day(self) -> None:
        self._day += 1
        self._began = self.time
        for device, member in list(self.members.items()):
            watts, ability = self._offers[device]
            self._carry(device, member.change(self._day, watts, self._now(), ability))

    def _close_day(self) -> None:
        made = [
            record.at
            for log in self._written.values()
            for record in log
            if record.kind is Kind.COMMITTED and record.day == self._day
        ]
        self.trace.rounds.append(max(made, default=self._began) - self._began)

    def _is_done(self) -> bool:
        """Is everybody up, nothing in doubt, and nothing left that two who hear one another could agree on?"""
        if self._last_fault > self.time or self.members.keys() != self._offers.keys():
            return False
        if any(member.party.is_busy for member in self.members.values()):
            return False
        cuts = [cut for cut in self._conditions.cuts if cut.since <= self.time < cut.until]
        islands: dict[tuple[int, ...], list[Left]] = {}
        for device, member in self.members.items():
            islands.setdefault(tuple(cut.island(device) for cut in cuts), []).append(member.party.left)
        return not any(could_agree(lefts) for lefts in islands.values())

    # -- small steps ---------------------------------------------------------------------------

    def _claims(self) -> dict[int, dict[str, Vector]]:
        """What clusters say that they have left: each device from its own book, summed on the way up."""
        depth = self.hierarchy.depth
        found: dict[int, dict[str, Vector]] = {level: {} for level in range(1, depth + 1)}
        for device, member in self.members.items():
            for level, left in enumerate(_left(member, depth), 1):
                cluster = self.hierarchy.above(device, level)
                sums = found[level]
                sums[cluster] = plus(sums[cluster], left) if cluster in sums else left
        return found

    def _are_apart(self, one: str, other: str) -> bool:
        cuts = self._conditions.cuts
        return bool(cuts) and any(cut.parts(one, other, self.time) for cut in cuts)

    def _happens(self, share: float) -> bool:
        # Nothing is thrown for what never happens: a calm run's trace is the same as ever.
        return share > 0 and self._dice.random() < share

    def _push(self, delay: float, device: str, boot: int, what: object) -> None:
        self._count += 1
        heappush(self._due, (self.time + delay, self._count, device, boot, what))

    def _now(self) -> Instant:
        return Instant(self.time, self.time)


def _left(member: Member, depth: int) -> list[Vector]:
    """A device's offer without what it has agreed at level 1, without what at 2 or below, and so on."""
    book = member.party.book
    length = len(book.offer)
    agreed = [zero(length) for _ in range(depth + 1)]
    for record in book.records:
        if record.day == book.day:
            if record.kind is Kind.COMMITTED:
                agreed[record.level] = plus(agreed[record.level], record.watts)
            elif record.kind is Kind.SETTLED:
                agreed[record.level] = minus(agreed[record.level], record.watts)
    if not book.ability:
        return list(accumulate(agreed[1:], minus, initial=book.offer))[1:]
    # What was moved is no part of the schedule: it is given or taken when it suits.
    found = []
    for traded in accumulate(agreed[1:], plus):
        on_schedule = zip(book.offer, traded, strict=True)
        found.append(
            tuple([watts - some if watts > 0 else min(0, watts - min(0, some)) for watts, some in on_schedule])
        )
    return found


def messages_per_agreement(trace: Trace) -> float:
    """Everything that was sent, by the agreements that were made; 0 without any."""
    made = sum(record.kind is Kind.COMMITTED for log in trace.logs.values() for record in log)
    return sum(trace.messages.values()) / made if made else 0.0
