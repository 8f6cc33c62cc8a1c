"""Pull aggregation: a request spreads, the first asker is the parent, one reply climbs back.

The value is always the aggregate over exactly the devices counted as contributors: each value is frozen
when first read, a child's partial is taken once, and what a node has sent up never changes.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

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
from gossip_ws.core.messages import Content, Gossip, Hop, Partial, Receipt, Standing, Tally
from gossip_ws.core.peers import Peer, PeerTable, Relation
from gossip_ws.core.spread import binding_for, plan
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
    tally: Tally = field(default_factory=Tally)
    value: bytes = b""


@dataclass(slots=True)
class Request:
    """One request at this node. `parent` is None where a client asked."""

    content: Content
    parent: DeviceId | None
    from_below: bool
    deadline: float
    stage: Stage = Stage.GATHERING
    own: Input | Fault | None = None
    own_awaited: bool = False
    asked: dict[DeviceId, Asked] = field(default_factory=dict)
    taken: list[Asked] = field(default_factory=list)
    partial: Partial | None = None


class Requests:
    """The open requests of one node."""

    def __init__(self, config: NodeConfig, table: PeerTable, dice: Dice, hosted: Container[str]) -> None:
        self._config = config
        self._hosted = hosted
        self._table = table
        self._dice = dice
        self._open: dict[GossipId, Request] = {}

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
            sender is None or self._table.relation_of(sender) is Relation.CHILD,
            now.monotonic + remaining * (1 - config.hop_margin),
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
        if gossip.hop.sender != request.parent:
            return self._receipt(gossip, Standing.COUNTED)
        effects = self._receipt(gossip, Standing.TAKEN)
        if request.partial is not None:
            effects += self._reply(request)
        return effects

    def receipt(self, receipt: Receipt, now: Instant) -> list[Effect]:
        """What an asked peer says of the request, or the parent of the partial."""
        request = self._open.get(receipt.about)
        if request is None:
            return [Dropped("receipt of nothing")]
        if receipt.sender == request.parent:
            if request.stage is Stage.REPLYING:
                request.stage = Stage.DONE
            return []
        asked = request.asked.get(receipt.sender)
        if asked is None or asked.closed:
            return [Dropped("receipt out of turn")]
        match receipt.standing:
            case Standing.TAKEN:
                asked.joined = True
                return []
            case Standing.COUNTED:
                # Its value comes by another way: neither awaited nor expected here.
                asked.closed = True
            case _:
                asked.closed = asked.refused = True
        return self._settle(receipt.about, now)

    def partial(self, partial: Partial, now: Instant) -> list[Effect]:
        """A child's reply: taken once, receipted always."""
        request = self._open.get(partial.about)
        child = self._table.get(partial.sender)
        if request is None or child is None or partial.sender not in request.asked:
            return [Dropped("partial of nothing")]
        asked = request.asked[partial.sender]
        to = (child.address(request.content.terms.binding),)
        mine = self._config.device
        if request.stage is not Stage.GATHERING and asked not in request.taken:
            return [Send(Receipt(partial.about, mine, Standing.LATE), to), Dropped("late partial")]
        effects: list[Effect] = [Send(Receipt(partial.about, mine, Standing.TAKEN), to)]
        if asked in request.taken:
            return effects
        tally = partial.tally
        most = self._table.subtree if self._table.relation_of(child) is not Relation.CHILD else child.subtree
        claimed = tally.contributors + tally.failed + tally.uncertain
        if self._table.relation_of(child) is Relation.CHILD and claimed > most:
            asked.closed = True
            asked.tally = Tally(expected=most, failed=most)
            return [*effects, Dropped("partial of more than its subtree"), *self._settle(partial.about, now)]
        if not partial.value and tally.contributors:
            # A value was lost on the way here (its filter failed below): nobody of them contributed.
            tally = replace(tally, contributors=0, failed=tally.failed + tally.contributors)
        asked.closed, asked.tally, asked.value = True, tally, partial.value
        request.taken.append(asked)
        return effects + self._settle(partial.about, now)

    def invoked(self, id: GossipId, outcome: bytes | Fault, now: Instant) -> list[Effect]:
        """The own service replied; from here on its value is frozen for this request."""
        request = self._open.get(id)
        if request is None or request.own is not None or request.stage is not Stage.GATHERING:
            return [Dropped("invocation out of turn")]
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
        silent = [asked for asked in request.asked.values() if not asked.closed and not asked.joined]
        # One that joined resends its partial by itself.
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
        if timer.attempt > self._config.retries:
            request.stage = Stage.DONE
            return [Dropped("partial without a receipt")]
        wait = min(self._config.retry_first * 2.0**timer.attempt, self._config.retry_longest)
        return [*self._reply(request), SetTimer(ReplyAgain(timer.id, timer.attempt + 1), wait)]

    def combined(self, id: GossipId, value: bytes | Fault, refused: Iterable[int], now: Instant) -> list[Effect]:
        """The filter ran. `refused` are indices of inputs left out as malformed or out of range."""
        request = self._open.get(id)
        if request is None or request.stage is not Stage.COMBINING:
            return [Dropped("combination out of turn")]
        tally = self._tally(request)
        for index in refused:
            lost = self._inputs(request)[index].contributors
            tally = replace(tally, contributors=tally.contributors - lost, failed=tally.failed + lost)
        if isinstance(value, Fault):
            tally = replace(tally, contributors=0, failed=tally.failed + tally.contributors)
        return self._conclude(request, value, tally)

    # -- steps ---------------------------------------------------------------------------------

    def _ask(self, request: Request, peers: Iterable[Peer], hop: Hop, now: Instant) -> list[Effect]:
        newly = []
        for peer in peers:
            if peer.device not in request.asked and len(request.asked) < MAX_COVER:
                request.asked[peer.device] = Asked(peer, hop)
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

    def _expected(self, request: Request, peer: Peer) -> int:
        """How many devices are missing with a silent peer: all it registered, if all its area was asked."""
        return peer.subtree if any_covers(request.content.terms.scopes, peer.scopes) else 1

    def _settle(self, id: GossipId, now: Instant) -> list[Effect]:
        """Combine once nothing more is awaited, or the minimum of replies is in."""
        request = self._open[id]
        if request.stage is not Stage.GATHERING or (request.own_awaited and request.own is None):
            return []
        least = request.content.terms.min_replies
        enough = least > 0 and len(request.taken) >= least
        if not enough and not all(asked.closed for asked in request.asked.values()):
            return []
        return self._combine(request)

    def _inputs(self, request: Request) -> tuple[Input, ...]:
        own = (request.own,) if isinstance(request.own, Input) else ()
        return own + tuple(
            Input(asked.value, asked.tally.contributors, own=False)
            for asked in request.taken
            if asked.tally.contributors
        )

    def _combine(self, request: Request) -> list[Effect]:
        request.stage = Stage.COMBINING
        inputs = self._inputs(request)
        if not inputs:
            return self._conclude(request, b"", self._tally(request))
        terms = request.content.terms
        # A request without a filter never gets this far: the entry names the operation's default.
        chosen = terms.filter or Filter(name="sum")
        return [Combine(request.content.id, request.content.action, chosen, inputs, request.parent is None)]

    def _tally(self, request: Request) -> Tally:
        total = Tally()
        if request.own_awaited:
            own = isinstance(request.own, Input)
            faulted = isinstance(request.own, Fault)
            total += Tally(contributors=int(own), expected=1, failed=int(faulted), missing=int(not own and not faulted))
        refused = 0
        for asked in request.asked.values():
            subtree = self._expected(request, asked.peer)
            if asked.closed and not asked.refused:
                total += asked.tally
            elif self._table.relation_of(asked.peer) is Relation.EQUAL:
                # Other equals asked it too: only whoever stands for the whole tier may say that it is lost.
                refused += subtree if asked.refused else 0
            elif asked.refused:
                total += Tally(expected=subtree, failed=subtree)
            else:
                total += Tally(expected=subtree, missing=subtree)
        if request.from_below and not request.content.terms.types:
            # Whoever stands for the upper tier knows of registered devices that no branch accounted for.
            known = int(request.own_awaited) + sum(
                peer.subtree
                for kind in (Relation.EQUAL, Relation.CHILD)
                for peer in self._table.related(kind)
                if peer.device != request.parent and any_covers(request.content.terms.scopes, peer.scopes)
            )
            unaccounted = max(known - total.expected, 0)
            failed = min(refused, unaccounted)
            total += Tally(expected=unaccounted, failed=failed, missing=unaccounted - failed)
        return total

    def _conclude(self, request: Request, value: bytes | Fault, tally: Tally) -> list[Effect]:
        id, terms = request.content.id, request.content.terms
        if request.parent is None:
            request.stage = Stage.DONE
            if not isinstance(value, Fault):
                if tally.contributors == 0 and isinstance(request.own, Fault):
                    value = request.own
                elif tally.contributors == 0:
                    value = _fault("NoContributors", "no device contributed a value")
                elif tally.contributors < terms.min_group:
                    value = _fault(
                        "GroupTooSmall", f"{tally.contributors} devices, at least {terms.min_group} are asked for"
                    )
            return [Answer(id, value, tally)]
        fault = value if isinstance(value, Fault) else None
        cover = tuple(device_digest(asked.peer.device) for asked in request.taken)
        request.partial = Partial(
            id, self._config.device, tally, b"" if isinstance(value, Fault) else value, cover, fault
        )
        request.stage = Stage.REPLYING
        return [*self._reply(request), SetTimer(ReplyAgain(id, 1), self._config.retry_first)]

    def _reply(self, request: Request) -> list[Effect]:
        peer = self._table.get(request.parent) if request.parent is not None else None
        if peer is None or request.partial is None:
            return [Dropped("asker is gone")]
        binding = binding_for(request.content.terms, len(request.partial.value))
        return [Send(request.partial, (peer.address(binding),))]


def device_digest(device: DeviceId) -> bytes:
    """8 octets that stand for a device in a cover: the head of its uuid."""
    return bytes.fromhex(device.rpartition(":")[2].replace("-", "")[:16])


def _fault(name: str, reason: str) -> Fault:
    return Fault(FaultCode.RECEIVER, qname(GOSSIP, name), reason)
