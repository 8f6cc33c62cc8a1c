"""Pull aggregation: a request spreads, the first asker is the parent, one reply climbs back.

The value is always the aggregate over exactly the devices counted as contributors: each value is frozen
when first read, a child's partial is taken once, and what a node has sent up never changes. Where every reply is
asked for, the answer is the list of exactly their replies instead (`core.replies`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gossip_ws.core.account import Account, Lack, Lacking, Ledger, device_digest
from gossip_ws.core.choice import Choice
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
from gossip_ws.core.intake import Intake
from gossip_ws.core.messages import Content, DeviceReply, Gossip, Hop, Partial, Receipt, Standing, Tally
from gossip_ws.core.peers import Peer, PeerTable, Relation
from gossip_ws.core.replies import Inbox, Outbox, Replies, own_reply, size
from gossip_ws.core.request import MAX_COVER, Asked, Request, Stage
from gossip_ws.core.spread import binding_for, may_ask, plan
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.errors import Fault, FaultCode
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import GOSSIP, DeviceId, GossipId, qname
from gossip_ws.kernel.terms import Filter

MAX_ANCESTORS = 12
"""A request that has climbed and sunk through more askers than this is not passed on."""
MAX_BYPASSED = 2
"""Askers that an orphan passes by; a grid of four tiers has no more between it and the first."""


class Requests:
    """The open requests of one node."""

    def __init__(self, config: NodeConfig, table: PeerTable, choice: Choice) -> None:
        self._config = config
        self._table = table
        self._choice = choice
        self._open: dict[GossipId, Request] = {}
        self._ledger = Ledger(config.query_limit)
        self._intake = Intake(config, table, self._ledger)

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

    def join(self, content: Content, hop: Hop | None, now: Instant, *, contributes: bool) -> list[Effect]:
        """Take part: pass the request on, wait. `contributes`: the own service is invoked."""
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
            legs = plan(config, self._table, self._choice, terms, hop)
            age, hops = (hop.age, hop.hops + 1) if hop is not None else (0.0, 1)
            for leg in (legs.sampled, *legs.served):
                peers = tuple(peer for peer in leg.peers if peer.device not in ancestors)
                header = Hop(config.device, leg.tier, max(leg.rounds, 0), hops, age, ancestors=ancestors, receipt=True)
                effects += self._ask(request, peers, header, now)
        if contributes:
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
        if not may_ask(self._table, self._table.relation_of(peer), request.content.terms):
            # A slow copy is on its way from the parent.
            return []
        effects = self._ask(request, (peer,), hop._replace(receipt=True), now)
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
        return [*self._intake.partial(request, partial, source), *self._settle(partial.about, now)]

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
        if timer.attempt > self._config.orphan_after and not request.from_below:
            # An equal that says nothing is dead, or far away: if it lives, its value comes by another way. Whoever
            # stands for the tier is that way, and waits: see `doubtful`.
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

    def doubtful(self, timer: AskAgain) -> tuple[Peer, ...]:
        """Equals that have said nothing since they were asked, where this node stands for the tier: dead, or on a
        machine that stood still. Once a request, when everybody else has given them up."""
        request = self._open.get(timer.id)
        due = timer.attempt == self._config.orphan_after + 1
        if request is None or request.stage is not Stage.GATHERING or not due or not request.from_below:
            return ()
        return tuple(
            asked.peer
            for asked in request.asked.values()
            if asked.awaited and not asked.joined and self._table.relation_of(asked.peer) is Relation.EQUAL
        )

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
        config, account = self._config, Account(request, self._table)
        tally, lacking = account.tally(), list(account.lacking(config.device))
        inputs, below = request.inputs(), request.below()
        left_out = frozenset(refused)
        for index in left_out:
            lost = inputs[index].contributors
            tally = replace(tally, contributors=tally.contributors - lost, failed=tally.failed + lost)
            whose = config.device if inputs[index].own else below[index - len(inputs)]
            lacking.append(Lacking(whose, Lack.FAILED, lost))
        if isinstance(value, Fault) and tally.contributors:
            # Whoever's values they were, it is here that they were lost.
            lacking.append(Lacking(config.device, Lack.FAILED, tally.contributors))
            tally = replace(tally, contributors=0, failed=tally.failed + tally.contributors)
            return self._conclude(request, value, tally, lacking)
        return self._conclude(request, value, tally, lacking, request.replies(config, left_out))

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
            Gossip(request.content, hop._replace(remaining=remaining)),
            tuple(peer.address(binding) for peer in peers),
        )

    def _receipt(self, gossip: Gossip, standing: Standing) -> list[Effect]:
        peer = self._table.get(gossip.hop.sender)
        if peer is None or not gossip.hop.receipt:
            return []
        to = (peer.address(gossip.content.terms.binding),)
        return [Send(Receipt(gossip.content.id, self._config.device, standing), to)]

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

    def _combine(self, request: Request) -> list[Effect]:
        effects: list[Effect] = []
        for asked in request.asked.values():
            if asked.orphans:
                effects += self._intake.fence(request, asked)
        request.stage = Stage.COMBINING
        request.inbox.close()
        inputs = request.inputs()
        if not inputs:
            account = Account(request, self._table)
            lacking = account.lacking(self._config.device)
            replies = request.replies(self._config)
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


def _fault(name: str, reason: str) -> Fault:
    return Fault(FaultCode.RECEIVER, qname(GOSSIP, name), reason)
