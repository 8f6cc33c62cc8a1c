"""Pull aggregation: a request spreads, the first asker is the parent, one reply climbs back.

The value is always the aggregate over exactly the devices counted as contributors: each value is frozen
when first read, a child's partial is taken once, and what a node has sent up never changes. Where every reply is
asked for, the answer is the list of exactly their replies instead (`core.replies`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from gossip_ws.core.account import Account, Lack, Lacking, Ledger, device_digest
from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import (
    Answer,
    AskAgain,
    Combine,
    Deadline,
    Effect,
    Input,
    Invoke,
    ReplyAgain,
)
from gossip_ws.core.messages import Content, DeviceReply, Gossip, Hop, Partial, Receipt, Standing, Tally
from gossip_ws.core.peers import Peer, PeerTable, Relation
from gossip_ws.core.replies import REFUSED, Inbox, Outbox, Replies, own_reply, size
from gossip_ws.core.spread import binding_for, plan
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.errors import Fault, FaultCode
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import GOSSIP, DeviceId, GossipId, qname
from gossip_ws.kernel.scopes import any_covers
from gossip_ws.kernel.terms import Filter

MAX_ANCESTORS = 12
"""A request that has climbed and sunk through more askers than this is not passed on."""
MAX_COVER = 256
MAX_BYPASSED = 2
"""Askers that an orphan passes by; a grid of four tiers has no more between it and the first."""


class Stage(Enum):
    """Where one request stands at this node. Only ever moves down this list."""

    GATHERING = "gathering"
    COMBINING = "combining"
    REPLYING = "replying"
    DONE = "done"


@dataclass(slots=True)
class Asked:
    """One peer that was sent the request. `closed`: nothing more is expected from it."""

    peer: Peer
    hop: Hop
    joined: bool = False
    closed: bool = False
    refused: bool = False
    counted: bool = False
    tally: Tally = field(default_factory=Tally)
    cover: tuple[bytes, ...] | None = None
    fenced: bool = False
    adopted: int = 0
    orphans: dict[DeviceId, Partial] = field(default_factory=dict)
    late: Tally | None = None
    down: bool = False
    """`cover` is that of its partial, None until taken. `orphans` passed it by, and wait for what becomes of it; no two
    of them hold the same device. `fenced`: they were adopted, so its own partial is not taken any more. `adopted`:
    devices that came so, or wait. `counted`: it said so. `late`: what its partial stood for, when that came after the
    inputs had been frozen and before the answer left. `down`: it does not answer, so it is not waited for; what it says
    nevertheless is taken."""

    @property
    def awaited(self) -> bool:
        """Is something still to come?"""
        return not self.closed and not self.down


@dataclass(frozen=True, slots=True)
class Taken:
    """A partial that was taken in, once and for all."""

    device: DeviceId
    tally: Tally
    value: bytes
    cover: tuple[bytes, ...] = ()
    replies: tuple[DeviceReply, ...] = ()


@dataclass(slots=True)
class Request:
    """One request at this node. `parent` is None where a client asked."""

    content: Content
    parent: DeviceId | None
    ancestors: tuple[DeviceId, ...]
    from_below: bool
    deadline: float
    inbox: Inbox
    stage: Stage = Stage.GATHERING
    own: Input | Fault | None = None
    own_awaited: bool = False
    own_late: bool = False
    asked: dict[DeviceId, Asked] = field(default_factory=dict)
    taken: dict[DeviceId, Taken] = field(default_factory=dict)
    outbox: Outbox | None = None
    bypassed: int = 0
    uncertain: dict[DeviceId, int] = field(default_factory=dict)
    """Orphans that were left out, and the devices that each stands for."""

    @property
    def wants_all(self) -> bool:
        """Is every single reply asked for?"""
        chosen = self.content.terms.filter
        return chosen is not None and chosen.is_all

    @property
    def reply_to(self) -> DeviceId | None:
        """The nearest asker that is not known to be dead."""
        return self.ancestors[-1 - self.bypassed] if self.parent is not None else None


class Requests:
    """The open requests of one node."""

    def __init__(self, config: NodeConfig, table: PeerTable, dice: Dice, hosted: Container[str]) -> None:
        self._config = config
        self._hosted = hosted
        self._table = table
        self._dice = dice
        self._open: dict[GossipId, Request] = {}
        self._ledger = Ledger(config.query_limit)

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, id: GossipId) -> bool:
        return id in self._open

    def has_head(self, head: bytes) -> bool:
        """Is one of the open requests known by the first 8 octets of its id?"""
        return any(id[:8] == head for id in self._open)

    def is_full(self, now: Instant) -> bool:
        """One that has not expired is never evicted: it could otherwise be joined, and counted, twice."""
        for id in [id for id, request in self._open.items() if request.content.terms.expires <= now.wall]:
            del self._open[id]
        return len(self._open) >= self._config.query_limit

    def taken(self, id: GossipId) -> tuple[bool, tuple[DeviceId, ...]]:
        """What went into the answer so far: the own value or not, and whose partials with a value. For measurements."""
        request = self._open.get(id)
        if request is None:
            return False, ()
        children = tuple(one.device for one in request.taken.values() if one.tally.contributors)
        return isinstance(request.own, Input), children

    def lacking(self, id: GossipId) -> tuple[Lacking, ...]:
        """Whom the answer given here leaves out, by name; of those further down only who stands for them."""
        return self._ledger.get(id)

    def gathering(self, id: GossipId, now: Instant) -> bool:
        """May a peer that missed the request still be asked?"""
        request = self._open.get(id)
        return request is not None and request.stage is Stage.GATHERING and now.monotonic < request.deadline

    def join(self, content: Content, hop: Hop | None, now: Instant) -> list[Effect]:
        """Take part: invoke the own service, pass the request on, wait."""
        terms = content.terms
        config = self._config
        sender = self._table.get(hop.sender) if hop is not None and hop.sender else None
        remaining = min(terms.timeout, hop.remaining) if sender is not None and hop is not None else terms.timeout
        request = Request(
            content,
            sender.device if sender is not None else None,
            _askers(hop, sender.device) if sender is not None and hop is not None else (),
            sender is None or self._table.relation_of(sender) is Relation.CHILD,
            now.monotonic + remaining * (1 - config.hop_margin),
            Inbox(config.max_replies, config.max_part),
        )
        self._open[content.id] = request
        effects: list[Effect] = []
        ancestors = (hop.ancestors if hop is not None else ()) + (config.device,)
        if len(ancestors) < MAX_ANCESTORS:
            legs = plan(config, self._table, self._dice, terms, hop)
            age, hops = (hop.age, hop.hops + 1) if hop is not None else (0.0, 1)
            for leg in (legs.sampled, *legs.served):
                peers = tuple(peer for peer in leg.peers if peer.device not in ancestors)
                header = Hop(config.device, leg.tier, max(leg.rounds, 0), hops, age, ancestors=ancestors, receipt=True)
                effects += self._ask(request, peers, header, now)
        if self._is_target(request):
            request.own_awaited = True
            effects.append(Invoke(content.id, content.action, content.body, terms.originator))
        effects.append(SetTimer(Deadline(content.id), request.deadline - now.monotonic))
        if request.asked:
            effects.append(SetTimer(AskAgain(content.id, 1), config.retry_first))
        return effects + self._settle(content.id, now)

    def ask_too(self, id: GossipId, peer: Peer, hop: Hop, now: Instant) -> list[Effect]:
        """Ask one more peer, that missed the request, while it is still open."""
        request = self._open[id]
        if peer.device in request.asked or len(request.asked) >= MAX_COVER:
            return []
        effects = self._ask(request, (peer,), replace(hop, receipt=True), now)
        return [*effects, SetTimer(AskAgain(id, 1), self._config.retry_first)]

    def again(self, gossip: Gossip, now: Instant) -> list[Effect]:
        """The request came once more: from the parent (its copy of the receipt was lost) or another asker."""
        request = self._open[gossip.content.id]
        if request.parent is None:
            # It is in every asker's chain, so nobody asks the entry but where the same message entered twice:
            # somebody replays it. Said openly; `counted` would take this subtree out of the report in silence.
            return self._receipt(gossip, Standing.DECLINED)
        if gossip.hop.sender != request.parent:
            return self._receipt(gossip, Standing.COUNTED)
        effects = self._receipt(gossip, Standing.TAKEN)
        if request.outbox is not None:
            effects += self._reply(request, request.outbox.due())
        return effects

    def receipt(self, receipt: Receipt, now: Instant) -> list[Effect]:
        """What an asked peer says of the request, or the parent of the partial."""
        request = self._open.get(receipt.about)
        if request is None:
            return [Dropped("receipt of nothing")]
        if receipt.sender == request.reply_to:
            if request.stage is not Stage.REPLYING or request.outbox is None:
                return []
            more = request.outbox.receipted(receipt.part)
            if request.outbox.is_empty or receipt.standing is not Standing.TAKEN:
                if receipt.standing in (Standing.TAKEN, Standing.COUNTED):
                    self._ledger.confirm(receipt.about)
                request.stage = Stage.DONE
                request.outbox = None
                return []
            return self._reply(request, more)
        asked = request.asked.get(receipt.sender)
        if asked is None or asked.closed:
            return [Dropped("receipt out of turn")]
        match receipt.standing:
            case Standing.TAKEN:
                asked.joined = True
                # It lives after all.
                asked.down = False
                return []
            case Standing.COUNTED:
                # Its value comes by another way: neither awaited nor expected here.
                asked.closed = asked.counted = True
            case _:
                asked.closed = asked.refused = True
        return self._settle(receipt.about, now)

    def partial(self, partial: Partial, source: Address, now: Instant) -> list[Effect]:
        """A child's reply, or an orphan's: taken once, receipted always."""
        request = self._open.get(partial.about)
        if request is None:
            return [Dropped("partial of nothing")]
        if partial.bypassing:
            return self._orphan(request, partial, source, now)
        child = self._table.get(partial.sender)
        asked = request.asked.get(partial.sender)
        if child is None or asked is None:
            return [Dropped("partial of nothing")]
        to = child.address(request.content.terms.binding)
        if partial.sender in request.taken:
            return [self._say(request, Standing.TAKEN, to, partial.part)]
        if request.stage is not Stage.GATHERING or asked.fenced:
            self._came_late(request, asked, partial.tally)
            return [self._say(request, Standing.LATE, to, partial.part), Dropped("late partial")]
        effects: list[Effect] = [self._say(request, Standing.TAKEN, to, partial.part)]
        most = child.subtree
        if self._table.relation_of(child) is Relation.CHILD and _claimed(partial.tally) > most:
            asked.closed = True
            asked.tally = Tally(expected=most, failed=most)
            asked.orphans = {}
            return [*effects, Dropped("partial of more than its subtree"), *self._settle(partial.about, now)]
        asked.joined = True
        whole, dropped = self._whole(request, partial)
        effects += dropped
        if whole is None:
            return effects
        asked.closed, asked.cover = True, whole.cover
        effects += self._take(request, whole)
        effects += self._adopt_all(request, asked)
        return effects + self._settle(partial.about, now)

    def _orphan(self, request: Request, partial: Partial, source: Address, now: Instant) -> list[Effect]:
        """A reply that passes by askers which died. Adopted only where nothing of it can have come otherwise."""
        below = request.asked.get(partial.bypassing[-1])
        if below is None:
            return [Dropped("orphan of nobody here")]
        if partial.sender in request.taken or partial.sender in below.orphans:
            return [self._say(request, Standing.TAKEN, source, partial.part)]
        if request.stage is not Stage.GATHERING:
            return [self._say(request, Standing.LATE, source, partial.part), Dropped("late partial")]
        devices = partial.tally.expected
        # An equal that the dead had asked is registered here too. Anybody else is of those that the dead registered.
        is_equal = self._is_equal(partial.sender)
        if is_equal and not self._is_at(partial.sender, source):
            return [Dropped("unknown sender")]
        # Whoever gave up a slow asker of its own, too, comes again inside that one's partial.
        within = [one for one in below.orphans.values() if device_digest(one.sender) in partial.cover]
        again = sum(one.tally.expected for one in within if not self._is_equal(one.sender))
        fits = is_equal or below.adopted - again + devices <= max(below.peer.subtree - 1, 0)
        if not fits or _claimed(partial.tally) > devices:
            return [Dropped("orphans of more than its subtree")]
        standing = self._fate(request, below, partial)
        if standing is not Standing.TAKEN:
            self._refuse(request, below, partial)
            uncertain = [Dropped("uncertain orphan")] if standing is Standing.UNCERTAIN else []
            return [self._say(request, standing, source, partial.part), *uncertain]
        taken = self._say(request, Standing.TAKEN, source, partial.part)
        if any(device_digest(partial.sender) in one.cover for one in below.orphans.values()):
            return [taken]
        whole, dropped = self._whole(request, partial)
        if whole is None:
            return [taken, *dropped]
        below.adopted += 0 if is_equal else devices
        if below.cover is not None or below.fenced:
            dropped += self._adopt(request, below, whole)
        else:
            # The dead may be alive, and only its receipts lost: then its own partial, with all the others, comes yet.
            for one in within:
                del below.orphans[one.sender]
            below.adopted -= again
            below.orphans[partial.sender] = whole
        all_came = below.adopted >= below.peer.subtree - 1 and not self._hides_equals(request, below)
        if below.cover is None and all_came:
            dropped += self._fence(request, below)
            below.closed = True
            if self._table.relation_of(below.peer) is Relation.CHILD:
                rest = max(Account(request, self._table).expected(below.peer) - below.adopted, 0)
                below.tally = Tally(expected=rest, missing=rest)
        return [taken, *dropped, *self._settle(partial.about, now)]

    def _fence(self, request: Request, below: Asked) -> list[Dropped]:
        """From here on the dead cannot count its orphans any more, whatever it may still send."""
        below.fenced = True
        return self._adopt_all(request, below)

    def _adopt_all(self, request: Request, below: Asked) -> list[Dropped]:
        """Decide on the orphans that were waiting."""
        dropped: list[Dropped] = []
        orphans, below.orphans = below.orphans, {}
        for orphan in orphans.values():
            if self._fate(request, below, orphan) is Standing.TAKEN:
                dropped += self._adopt(request, below, orphan)
            else:
                below.adopted -= 0 if self._is_equal(orphan.sender) else orphan.tally.expected
                self._refuse(request, below, orphan)
        return dropped

    def _fate(self, request: Request, below: Asked, orphan: Partial) -> Standing:
        """TAKEN where nothing of it can have come otherwise, else COUNTED or UNCERTAIN."""
        held = _held(request)
        if device_digest(orphan.sender) in held:
            # The dead had passed it on; or another one did, that was not dead but slow.
            return Standing.COUNTED
        if _passed_between(below, orphan) or not held.isdisjoint(orphan.cover):
            # Of a second dead between them the elder had passed something on; or the orphan was itself slow, and
            # somebody of its own passed it by and is in.
            return Standing.UNCERTAIN
        return Standing.TAKEN

    def _refuse(self, request: Request, below: Asked, orphan: Partial) -> None:
        if _passed_between(below, orphan) and orphan.sender not in request.uncertain:
            self._leave_out(request, below.peer.device, orphan.sender, orphan.tally.expected)

    def _adopt(self, request: Request, below: Asked, orphan: Partial) -> list[Dropped]:
        if below.cover is not None and not self._is_equal(orphan.sender):
            self._unmiss(request, below.peer.device, orphan.tally.expected)
        return self._take(request, orphan)

    def _whole(self, request: Request, partial: Partial) -> tuple[Partial | None, list[Dropped]]:
        """The answer of which `partial` is a part, once it is here; a value is always in one."""
        if request.wants_all:
            return request.inbox.take(partial, self._config.device)
        return (partial, []) if partial.parts == 1 else (None, [Dropped("parts of one value")])

    def _is_equal(self, sender: DeviceId) -> bool:
        peer = self._table.get(sender)
        return peer is not None and self._table.relation_of(peer) is Relation.EQUAL

    def _is_at(self, sender: DeviceId, source: Address) -> bool:
        """Does it send from where it is registered?"""
        peer = self._table.get(sender)
        return peer is not None and any(own is not None and own.host == source.host for own in (peer.udp, peer.http))

    def _hides_equals(self, request: Request, below: Asked) -> bool:
        """May an equal that is not in yet have chosen the dead as its asker? A child asks nobody's equals."""
        if self._table.relation_of(below.peer) is Relation.CHILD:
            return False
        held = _held(request) | {device_digest(orphan) for orphan in below.orphans}
        elsewhere = (below.peer.device, *request.ancestors)
        return any(
            peer.device not in elsewhere and device_digest(peer.device) not in held
            for peer in self._table.overlapping(Relation.EQUAL, request.content.terms.scopes)
        )

    def _take(self, request: Request, partial: Partial) -> list[Dropped]:
        dropped: list[Dropped] = []
        if request.wants_all:
            partial, dropped = request.inbox.admit(partial)
        tally = partial.tally
        if not (partial.replies if request.wants_all else partial.value) and tally.contributors:
            # A value was lost on the way here (its filter failed below): nobody of them contributed.
            tally = replace(tally, contributors=0, failed=tally.failed + tally.contributors)
        request.taken[partial.sender] = Taken(partial.sender, tally, partial.value, partial.cover, partial.replies)
        return dropped

    def _came_late(self, request: Request, asked: Asked, tally: Tally) -> None:
        """Too late for the value. Before the answer has left, its devices are told from those that said nothing."""
        if asked.fenced or asked.refused or asked.counted or asked.late is not None or asked.tally != Tally():
            return
        if self._table.relation_of(asked.peer) is Relation.CHILD and _claimed(tally) > asked.peer.subtree:
            return
        if request.stage is Stage.COMBINING:
            asked.late = replace(tally, contributors=0, late=tally.late + tally.contributors)
        else:
            self._ledger.came_late(request.content.id, asked.peer.device)

    def _unmiss(self, request: Request, device: DeviceId, devices: int) -> None:
        """The dead reported as missing who now came by itself."""
        taken = request.taken[device]
        found = min(taken.tally.missing, devices)
        tally = replace(taken.tally, expected=taken.tally.expected - found, missing=taken.tally.missing - found)
        request.taken[device] = replace(taken, tally=tally)

    def _leave_out(self, request: Request, device: DeviceId, orphan: DeviceId, devices: int) -> None:
        taken = request.taken[device]
        moved = min(taken.tally.missing, devices)
        if moved and len(request.uncertain) < MAX_COVER:
            request.uncertain[orphan] = request.uncertain.get(orphan, 0) + moved
        tally = replace(taken.tally, missing=taken.tally.missing - moved, uncertain=taken.tally.uncertain + moved)
        request.taken[device] = replace(taken, tally=tally)

    def _say(self, request: Request, standing: Standing, to: Address, part: int) -> Send:
        return Send(Receipt(request.content.id, self._config.device, standing, part), (to,))

    def peer_died(self, device: DeviceId, now: Instant) -> list[Effect]:
        """Nothing more is waited for from it, in any open request."""
        effects: list[Effect] = []
        for request in list(self._open.values()):
            asked = request.asked.get(device)
            if request.stage is Stage.GATHERING and asked is not None and asked.awaited:
                asked.down = True
                effects += self._settle(request.content.id, now)
        return effects

    def invoked(self, id: GossipId, outcome: bytes | Fault, now: Instant) -> list[Effect]:
        """The own service replied; from here on its value is frozen for this request."""
        request = self._open.get(id)
        if request is None or request.own is not None or request.stage is not Stage.GATHERING:
            if request is not None and request.stage is Stage.COMBINING and isinstance(outcome, bytes):
                request.own_late = request.own is None
            return [Dropped("invocation out of turn")]
        if request.wants_all:
            # One that does not fit a part has failed.
            own = own_reply(self._config.device, outcome, self._config.max_part)
            outcome = own.fault or own.value
        request.own = outcome if isinstance(outcome, Fault) else Input(outcome, 1, own=True)
        return self._settle(id, now)

    def deadline(self, id: GossipId, now: Instant) -> list[Effect]:
        request = self._open.get(id)
        if request is None or request.stage is not Stage.GATHERING:
            return []
        return self._combine(request)

    def ask_again(self, timer: AskAgain, now: Instant) -> list[Effect]:
        request = self._open.get(timer.id)
        if request is None or request.stage is not Stage.GATHERING or timer.attempt > self._config.retries:
            return []
        silent = [asked for asked in request.asked.values() if asked.awaited and not asked.joined]
        # One that joined resends its partial by itself.
        if not silent:
            return []
        if timer.attempt > self._config.orphan_after:
            # An equal that says nothing is dead, or far away: if it lives, its value comes by another way.
            for asked in silent:
                asked.closed = self._table.relation_of(asked.peer) is Relation.EQUAL
            settled = self._settle(timer.id, now)
            if settled or request.stage is not Stage.GATHERING:
                return settled
            silent = [asked for asked in silent if not asked.closed]
            if not silent:
                return []
        effects: list[Effect] = []
        for asked in silent:
            effects.append(self._send(request, (asked.peer,), asked.hop, now))
        wait = min(self._config.retry_first * 2.0**timer.attempt, self._config.retry_longest)
        return [*effects, SetTimer(AskAgain(timer.id, timer.attempt + 1), wait)]

    def reply_again(self, timer: ReplyAgain) -> list[Effect]:
        request = self._open.get(timer.id)
        if request is None or request.stage is not Stage.REPLYING:
            return []
        outbox = request.outbox
        if outbox is None:
            return []
        # An asker that gives receipts lives, however long the list is.
        attempt = 1 if outbox.has_moved() else timer.attempt
        if attempt > self._config.orphan_after and self._turn(request, outbox):
            return [*self._reply(request, outbox.due()), SetTimer(ReplyAgain(timer.id, 1), self._config.retry_first)]
        if attempt > self._config.retries:
            request.stage = Stage.DONE
            return [Dropped("partial without a receipt")]
        wait = min(self._config.retry_first * 2.0**attempt, self._config.retry_longest)
        return [*self._reply(request, outbox.due()), SetTimer(ReplyAgain(timer.id, attempt + 1), wait)]

    def combined(self, id: GossipId, value: bytes | Fault, refused: Iterable[int], now: Instant) -> list[Effect]:
        """The filter ran. `refused` are indices of inputs left out as malformed or out of range."""
        request = self._open.get(id)
        if request is None or request.stage is not Stage.COMBINING:
            return [Dropped("combination out of turn")]
        account = Account(request, self._table)
        tally, lacking = account.tally(), list(account.lacking(self._config.device))
        inputs, below = self._inputs(request), self._below(request)
        left_out = frozenset(refused)
        for index in left_out:
            lost = inputs[index].contributors
            tally = replace(tally, contributors=tally.contributors - lost, failed=tally.failed + lost)
            whose = self._config.device if inputs[index].own else below[index - len(inputs)]
            lacking.append(Lacking(whose, Lack.FAILED, lost))
        if isinstance(value, Fault) and tally.contributors:
            # Whoever's values they were, it is here that they were lost.
            lacking.append(Lacking(self._config.device, Lack.FAILED, tally.contributors))
            tally = replace(tally, contributors=0, failed=tally.failed + tally.contributors)
            return self._conclude(request, value, tally, lacking)
        return self._conclude(request, value, tally, lacking, self._replies(request, left_out))

    # -- steps ---------------------------------------------------------------------------------

    def _turn(self, request: Request, outbox: Outbox) -> bool:
        """The asker is silent: turn to the one before it, if it is known."""
        dead = request.bypassed + 1
        if dead > MAX_BYPASSED or dead >= len(request.ancestors):
            return False
        if self._table.reachable(request.ancestors[-1 - dead]) is None:
            return False
        request.bypassed = dead
        outbox.turn(tuple(reversed(request.ancestors[-dead:])))
        return True

    def _ask(self, request: Request, peers: Iterable[Peer], hop: Hop, now: Instant) -> list[Effect]:
        newly = []
        for peer in peers:
            if peer.device not in request.asked and len(request.asked) < MAX_COVER:
                request.asked[peer.device] = Asked(peer, hop, down=self._table.is_down(peer.device))
                newly.append(peer)
        return [self._send(request, tuple(newly), hop, now)] if newly else []

    def _send(self, request: Request, peers: tuple[Peer, ...], hop: Hop, now: Instant) -> Send:
        remaining = max(request.deadline - now.monotonic, 0.0)
        binding = binding_for(request.content.terms, len(request.content.sealed))
        return Send(
            Gossip(request.content, replace(hop, remaining=remaining)),
            tuple(peer.address(binding) for peer in peers),
        )

    def _receipt(self, gossip: Gossip, standing: Standing) -> list[Effect]:
        peer = self._table.get(gossip.hop.sender)
        if peer is None or not gossip.hop.receipt:
            return []
        to = (peer.address(gossip.content.terms.binding),)
        return [Send(Receipt(gossip.content.id, self._config.device, standing), to)]

    def _is_target(self, request: Request) -> bool:
        terms, config = request.content.terms, self._config
        return (
            request.content.action in self._hosted
            and set(terms.types).issubset(config.types)
            and any_covers(terms.scopes, config.scopes)
        )

    def _settle(self, id: GossipId, now: Instant) -> list[Effect]:
        """Combine once nothing more is awaited, or the minimum of replies is in."""
        request = self._open[id]
        if request.stage is not Stage.GATHERING or (request.own_awaited and request.own is None):
            return []
        least = request.content.terms.min_replies
        enough = least > 0 and len(request.taken) >= least
        if not enough and any(asked.awaited for asked in request.asked.values()):
            return []
        return self._combine(request)

    def _inputs(self, request: Request) -> tuple[Input, ...]:
        own = (request.own,) if isinstance(request.own, Input) else ()
        if request.wants_all:
            return own + tuple(
                Input(reply.value, 1, own=False)
                for taken in request.taken.values()
                for reply in taken.replies
                if reply.fault is None
            )
        return own + tuple(
            Input(taken.value, taken.tally.contributors, own=False)
            for taken in request.taken.values()
            if taken.tally.contributors
        )

    def _below(self, request: Request) -> tuple[DeviceId, ...]:
        """Who stands behind each input but the own one."""
        if request.wants_all:
            replies = [reply for taken in request.taken.values() for reply in taken.replies]
            return tuple(reply.device for reply in replies if reply.fault is None)
        return tuple(taken.device for taken in request.taken.values() if taken.tally.contributors)

    def _replies(self, request: Request, refused: frozenset[int]) -> tuple[DeviceReply, ...]:
        """Each reply as it came, the own one first; `refused` are indices of inputs, which are those with a value."""
        if not request.wants_all:
            return ()
        held: list[DeviceReply] = []
        if request.own is not None:
            outcome = request.own.value if isinstance(request.own, Input) else request.own
            held.append(own_reply(self._config.device, outcome, self._config.max_part))
        held += [reply for taken in request.taken.values() for reply in taken.replies]
        if refused:
            values = [place for place, reply in enumerate(held) if reply.fault is None]
            for index in refused:
                held[values[index]] = DeviceReply(held[values[index]].device, b"", REFUSED)
        return tuple(held)

    def _combine(self, request: Request) -> list[Effect]:
        effects: list[Effect] = []
        for asked in request.asked.values():
            if asked.orphans:
                effects += self._fence(request, asked)
        request.stage = Stage.COMBINING
        request.inbox.close()
        inputs = self._inputs(request)
        if not inputs:
            account = Account(request, self._table)
            lacking = account.lacking(self._config.device)
            replies = self._replies(request, frozenset())
            return effects + self._conclude(request, b"", account.tally(), lacking, replies)
        terms = request.content.terms
        # A request without a filter never gets this far: the entry names the operation's default.
        chosen = terms.filter or Filter(name="sum")
        return [*effects, Combine(request.content.id, request.content.action, chosen, inputs, request.parent is None)]

    def _conclude(
        self,
        request: Request,
        value: bytes | Fault,
        tally: Tally,
        lacking: Iterable[Lacking],
        replies: tuple[DeviceReply, ...] = (),
    ) -> list[Effect]:
        id, terms = request.content.id, request.content.terms
        left_out = (Lacking(device, Lack.FAILED, 1) for device in request.inbox.left_out)
        self._ledger.add(id, (*lacking, *left_out))
        for device, taken in request.taken.items():
            # Whoever is told has the list; a request is remembered for longer.
            request.taken[device] = replace(taken, replies=())
        if request.parent is None:
            self._ledger.confirm(id)
            request.stage = Stage.DONE
            answer: bytes | Fault | Replies = value
            if not isinstance(value, Fault):
                if request.wants_all:
                    answer = Replies(replies, terms.expires)
                if tally.contributors == 0 and isinstance(request.own, Fault):
                    answer = request.own
                elif tally.contributors == 0:
                    answer = _fault("NoContributors", "no device contributed a value")
                elif tally.contributors < terms.min_group:
                    answer = _fault(
                        "GroupTooSmall", f"{tally.contributors} devices, at least {terms.min_group} are asked for"
                    )
            return [Answer(id, answer, tally)]
        fault = value if isinstance(value, Fault) else None
        cover = tuple(device_digest(device) for device in request.taken)
        partial = Partial(
            id, self._config.device, tally, b"" if isinstance(value, Fault) else value, cover, fault, replies=replies
        )
        request.outbox = Outbox(partial, self._config.max_part)
        request.stage = Stage.REPLYING
        return [*self._reply(request, request.outbox.due()), SetTimer(ReplyAgain(id, 1), self._config.retry_first)]

    def _reply(self, request: Request, parts: Iterable[Partial]) -> list[Effect]:
        """Some parts to the asker, each by datagram if it fits one."""
        peer = self._table.reachable(request.reply_to) if request.reply_to is not None else None
        if peer is None:
            return [Dropped("asker is gone")]
        effects: list[Effect] = []
        for part in parts:
            binding = binding_for(request.content.terms, size(part))
            effects.append(Send(part, (peer.address(binding),)))
        return effects


def _askers(hop: Hop, sender: DeviceId) -> tuple[DeviceId, ...]:
    """The chain that the hop names, the sender last whatever it says."""
    return hop.ancestors if hop.ancestors and hop.ancestors[-1] == sender else (sender,)


def _held(request: Request) -> set[bytes]:
    """Whoever is known to be in what was taken: who sent it, and whose partials those had taken."""
    return {digest for taken in request.taken.values() for digest in (device_digest(taken.device), *taken.cover)}


def _passed_between(below: Asked, orphan: Partial) -> bool:
    """Two died in a row: did the elder pass on what the younger had, perhaps the orphan's?"""
    return below.cover is not None and any(device_digest(dead) in below.cover for dead in orphan.bypassing[-2:-1])


def _claimed(tally: Tally) -> int:
    return tally.contributors + tally.failed + tally.uncertain


def _fault(name: str, reason: str) -> Fault:
    return Fault(FaultCode.RECEIVER, qname(GOSSIP, name), reason)
