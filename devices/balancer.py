"""A device that balances with others: `consensus.member` on a device, over sockets and on disk.

Carries out what the member wants done: writes to the ledger before anything is said, speaks to other devices by their
Balance service, hands timers back. Nothing in here decides who gets what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from gossip_ws.consensus.ability import RIGID, Ability
from gossip_ws.consensus.audit import Audit
from gossip_ws.consensus.card import Card
from gossip_ws.consensus.clusters import KINDS, Hierarchy
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.door import AGAIN, Door
from gossip_ws.consensus.effects import Believe, Effect, Persist, Pull, Spread, Tell, Timer
from gossip_ws.consensus.log import Log, Record
from gossip_ws.consensus.loose import Left
from gossip_ws.consensus.member import Member
from gossip_ws.consensus.messages import Announce, Report
from gossip_ws.consensus.reliance import Reliance, Score
from gossip_ws.consensus.trust import Roll, Sealed, Sign, is_meant
from gossip_ws.consensus.vector import Vector
from gossip_ws.devices.ledger import Ledger
from gossip_ws.devices.residual import residual_of
from gossip_ws.devices.voice import Voice
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import Fault, LocalError, RemoteError, sender_fault
from gossip_ws.kernel.names import BALANCE, QName
from gossip_ws.ports import Clock, Gossip, HostedService, Invocation, Outcome
from gossip_ws.services.balancing import Reported, Residual, balance_service
from gossip_ws.wire.envelope import Addressing, build

_NEAR: Final = KINDS[:3]
_REPORT: Final = f"{BALANCE}:{Report.__name__}"
_GATHER: Final = 0.06
"""Rounds for which records are gathered before they are written together."""
_LATE: Final = 0.25
"""Rounds by which a timer may be late before that means that this process is behind with its work."""
_POSTPONED: Final = 8
"""Times that a timer is put off for that. A process that is always behind must go on nevertheless."""


def _nowhere(device: str) -> str:
    return ""


class Balancer:
    """One device. Build it, hand `service` to its Host, `start` it once the Host is open."""

    def __init__(
        self,
        device: str,
        hierarchy: Hierarchy,
        pace: Pace,
        ledger: Ledger,
        *,
        clock: Clock,
        place: Callable[[str], str] = _nowhere,
        types: tuple[QName, ...] = (),
        sign: Sign | None = None,
        meter: Sign | None = None,
        roll: Roll | None = None,
    ) -> None:
        """`device`: its urn:uuid, the name that the hierarchy has for it. `place`: each device's scope in the grid, by
        which one that nobody has named is found. `types`: those that all devices have that balance. `sign` and `roll`:
        None where everybody is believed, as in the gossip of development mode. `meter`: with what the device's meter
        signs, where it is enrolled with a key of its own. Raises LocalError when the ledger is not that of one
        device."""
        self.device = device
        self.counters: Counter[str] = Counter()
        """Messages by kind, sent and received; drops by reason."""
        self._ledger = ledger
        self._clock = clock
        self._place = place
        self._types = types
        self._sign = sign
        self._meter = meter
        self._roll = roll
        self._pace = pace
        self._hierarchy = hierarchy
        self._member = self._recovered()
        self._past = self._member.party.book.past
        # What was announced before it came up for the first time cannot have been let in before.
        since = clock.now().wall if self._member.party.book.starts else 0.0
        self._door = Door(device, roll, hierarchy, since) if roll is not None else None
        self._voice: Voice | None = None
        self._service: HostedService | None = None
        self._early: dict[str, Sealed] = {}
        self._unwritten: list[Record | Score] = []
        self._unsaid: list[Tell | Spread | Pull] = []
        self._is_gathering = False
        self._running = False
        self._was_running = False

    def service(self, gossip: Gossip) -> HostedService:
        """The device's Balance service: what `Host` is given to make."""
        self._voice = Voice(
            self.device,
            self._pace,
            gossip,
            clock=self._clock,
            place=self._place,
            types=self._types,
            sign=self._sign,
            meter=self._meter,
            roll=self._roll,
            counters=self.counters,
        )
        self._service = balance_service(self)
        return self._service

    # -- what the device's owner does ----------------------------------------------------------

    def start(self, day: int, watts: Vector, ability: Ability = RIGID) -> None:
        """From now on it agrees with others, as its ledger says that it has before. Raises LocalError before the Host
        is open, when it is running, for a schedule that cannot be offered, and when the ledger cannot be read."""
        if self._voice is None or self._running:
            raise LocalError(f"{self.device}: not open yet, or balancing already")
        if self._was_running:
            # What it has in mind may go beyond what it could write down.
            self._member = self._recovered()
            self._past = self._member.party.book.past
        self._was_running = True
        effects = self._member.start(day, watts, self._clock.now(), ability)
        self._voice.begin(self._member.party.book.starts)
        self._running = True
        self._carry_out(effects)
        early, self._early = self._early, {}
        for sealed in early.values():
            self._carry_out(self._member.receive(sealed.message, sealed.sender, self._clock.now(), sealed))

    def change(self, day: int, watts: Vector, ability: Ability = RIGID) -> None:
        """From now on it can do this. Raises LocalError when it is not running, and for a schedule that cannot be
        offered."""
        self._check_running()
        self._carry_out(self._member.change(day, watts, self._clock.now(), ability))

    def regroup(self, hierarchy: Hierarchy) -> None:
        """Devices have joined or left. Raises LocalError when it is not running."""
        self._check_running()
        self._hierarchy = hierarchy
        if self._door is not None:
            self._door.regroup(hierarchy)
        self._carry_out(self._member.regroup(hierarchy, self._clock.now()))

    def metered(self, day: int, watts: Vector) -> None:
        """The device's meter has seen this of a day, W by period, given positive: those who hear what it announces are
        told, and believe that as far as meters bear it out. Raises LocalError when it is not running."""
        self._check_running()
        self._carry_out(self._member.metered(day, watts))

    @property
    def scores(self) -> dict[str, Score]:
        """How far neighbours are believed whose meters were heard; whoever is not here is wholly."""
        return self._reliance.scores

    def stop(self) -> None:
        """Say and do nothing more; what was agreed stands in the ledger."""
        self._write()
        self._running = False

    @property
    def is_running(self) -> bool:
        """False before `start`, after `stop`, and once the ledger took no more."""
        return self._running

    @property
    def rest(self) -> Vector:
        """W by period on schedule that is neither promised nor proposed: given positive, needed negative."""
        return self._member.rest

    @property
    def left(self) -> Left:
        """That, and what it could still move in time."""
        return self._member.party.left

    @property
    def is_busy(self) -> bool:
        """Is anything proposed or promised of which the end is not known, or not written down yet?"""
        return bool(self._unwritten) or self._member.party.is_busy

    @property
    def log(self) -> Log:
        """Its records of the last days; the last few may be on their way to the ledger."""
        return tuple(self._member.party.book.records)

    # -- services.balancing.BalancingState -----------------------------------------------------

    def told(self, sealed: Sealed, cards: Sequence[Card]) -> None:
        if not is_meant(self._hierarchy, self.device, sealed):
            raise sender_fault("NotForHere", f"said to {sealed.to}", namespace=BALANCE)
        is_spread = sealed.to != self.device
        if is_spread and sealed.sender == self.device:
            # Its own, that names a place which it stands in itself.
            return
        opened = self._door.opened(sealed, self._clock.now().wall) if self._door is not None else sealed.message
        if opened == AGAIN:
            # The same by another way, or somebody repeats it: nothing to complain of, and nothing to do.
            self.counters[opened.reason] += 1
            return
        if isinstance(opened, Dropped):
            raise sender_fault("NotBelieved", opened.reason, namespace=BALANCE)
        if not self._running or self._voice is None:
            self.counters["not balancing"] += 1
            is_announced = is_spread and isinstance(sealed.message, Announce)
            if is_announced and sealed.sender in self._hierarchy.clusters[sealed.to].children:
                # In force, so it will not come again: what its neighbours have said last is there when it starts.
                self._early[sealed.sender] = sealed
            return
        self.counters[f"received {type(sealed.message).__name__}"] += 1
        self._voice.take(cards)
        if not is_spread:
            self._voice.heard(sealed.sender)
        self._carry_out(self._member.receive(sealed.message, sealed.sender, self._clock.now(), sealed))

    def asked(self, sealed: Sealed) -> Reported | None:
        opened = self._door.opened(sealed, self._clock.now().wall) if self._door is not None else sealed.message
        if isinstance(opened, Dropped):
            self.counters[opened.reason] += 1
            return None
        # What it says may rest on what is not on the disk yet.
        self._write()
        if not self._running or self._voice is None or sealed.sender == self.device:
            return None
        self.counters[f"received {type(sealed.message).__name__}"] += 1
        answer, others = None, []
        for effect in self._member.receive(sealed.message, sealed.sender, self._clock.now(), sealed):
            if isinstance(effect, Tell) and isinstance(effect.message, Report) and effect.to == (sealed.sender,):
                answer = effect.message
            else:
                others.append(effect)
        self._carry_out(others)
        if answer is None:
            return None
        return Reported(answer.rest, self._voice.sealed(sealed.sender, answer), (self._voice.card,))

    def residual(self, day: int | None) -> Residual | None:
        book = self._member.party.book
        if not book.offer or day not in (None, book.day):
            return None
        return residual_of(book, self._hierarchy, self._place)

    # -- what the member wants done ------------------------------------------------------------

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        """Nothing is said before everything that came before it is written down."""
        for effect in effects:
            match effect:
                case Persist():
                    self._unwritten.append(effect.record)
                case Believe():
                    self._unwritten.append(effect.score)
                case Tell() | Spread() | Pull():
                    self._unsaid.append(effect)
                case SetTimer():
                    self._wait(effect.timer, effect.delay)
                case Dropped():
                    self.counters[effect.reason] += 1
        if not self._unwritten:
            self._write()
        elif not self._is_gathering:
            # A sync takes milliseconds, and several neighbours answer at the same time.
            self._is_gathering = True
            self._clock.call_later(_GATHER * self._pace.round, self._write)

    def _write(self) -> None:
        self._is_gathering = False
        unwritten, self._unwritten = self._unwritten, []
        said, self._unsaid = self._unsaid, []
        if not self._running or self._voice is None:
            return
        records = [one for one in unwritten if isinstance(one, Record)]
        scores = [one for one in unwritten if isinstance(one, Score)]
        if unwritten:
            try:
                if scores:
                    self._ledger.believe(*scores)
                if records:
                    self._ledger.write(*records)
                past = self._member.party.book.past
                if past != self._past:
                    self._ledger.forget(past)
                    self._past = past
            except LocalError:
                # What is not written down must not be said: from here on the device is as good as crashed.
                self.counters["not written down"] += 1
                self._running = False
                return
        for effect in said:
            match effect:
                case Spread():
                    self._voice.spread(effect)
                case Pull():
                    cluster = self._hierarchy.clusters.get(effect.cluster)
                    if cluster is not None:
                        self._voice.pull(effect, is_near=cluster.kind in _NEAR, take=self._pulled)
                case Tell():
                    for to in effect.to:
                        self._voice.tell(to, effect.message)

    def _recovered(self) -> Member:
        """As after a crash."""
        roll, sign = self._roll, self._sign
        audit = Audit(self.device, roll, sign) if roll is not None and sign is not None else None
        try:
            self._reliance = Reliance(self._ledger.scores())
            records, past = self._ledger.records(), self._ledger.past()
            return Member(self.device, self._hierarchy, self._pace, records, past, audit, self._reliance)
        except (ValueError, LookupError) as error:
            raise LocalError(f"{self._ledger.path}: not the log of {self.device}: {error}") from None

    def _wait(self, timer: Timer, delay: float, postponed: int = 0) -> None:
        due = self._clock.now().monotonic + delay
        member = self._member

        def expired() -> None:
            now = self._clock.now()
            late = now.monotonic - due
            if late > _LATE * self._pace.round and postponed < _POSTPONED:
                # This process was busy for so long, and an answer that came meanwhile is still to be handled: to ask
                # again would make it busier.
                self._wait(timer, late, postponed + 1)
            elif self._running and member is self._member:
                self._carry_out(member.due(timer, now))

        self._clock.call_later(delay, expired)

    def _pulled(self, report: bytes) -> None:
        """By the way that it would have come by unasked."""
        service = self._service
        if service is None:
            return
        operation, envelope = service.operations[_REPORT], build(Addressing(action=_REPORT), report)
        try:
            service.check(operation, envelope)
        except RemoteError:
            self.counters["answers to pulls that are none"] += 1
            return

        def heard(outcome: Outcome) -> None:
            if isinstance(outcome, Fault):
                self.counters["pulled reports refused"] += 1

        service.invoke(Invocation(operation, envelope, "", self._clock.now()), heard)

    def _check_running(self) -> None:
        if not self._running:
            raise LocalError(f"{self.device}: not balancing")
