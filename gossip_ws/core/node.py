"""The gossip node: messages, timers and completions in, effects out.

It refuses to know XML, sockets, signatures, clocks and threads: what reaches it has been decoded and
verified, and what it returns is carried out by `endpoint`.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from gossip_ws.core.account import Known, Lack
from gossip_ws.core.choice import choice_for
from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import (
    AskAgain,
    ChallengeAgain,
    Deadline,
    Effect,
    EnrolAgain,
    FetchAgain,
    Invoke,
    KeepViews,
    LookAgain,
    MeasureWays,
    MergeAgain,
    PullNews,
    ReplyAgain,
    ServeAgain,
    Timer,
)
from gossip_ws.core.enrolment import Enrolment, Registrar
from gossip_ws.core.in_force import InForce
from gossip_ws.core.membership import Membership
from gossip_ws.core.messages import (
    Ack,
    Advert,
    Aside,
    Content,
    Digest,
    Fetch,
    Gossip,
    Hop,
    Merge,
    Message,
    Partial,
    Ping,
    Prune,
    Receipt,
    Standing,
)
from gossip_ws.core.overlay import Overlay
from gossip_ws.core.own import Own
from gossip_ws.core.peers import Peer, PeerTable, Relation, speaks_from
from gossip_ws.core.push import Push
from gossip_ws.core.repair import Repair
from gossip_ws.core.requests import Requests
from gossip_ws.core.seen import Kept, Recent, Seen
from gossip_ws.core.spreading import Spreading
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.allowance import Allowance
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.errors import Fault, receiver_fault, sender_fault
from gossip_ws.kernel.estimate import Estimate
from gossip_ws.kernel.homes import Home
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId, GossipId
from gossip_ws.kernel.scopes import any_covers
from gossip_ws.kernel.terms import Gathering, Style, Variant

_DUPLICATE: Final = Dropped("duplicate")
_ADAPTIVE: Final = Variant.ADAPTIVE
"""As `address.UDP`."""


class Node:
    """One device's gossip protocol. `hosted`: the actions that it can deliver and contribute to."""

    __slots__ = (
        "_allowance",
        "_booted",
        "_choice",
        "_dice",
        "_down",
        "_enrolment",
        "_hosted",
        "_in_force",
        "_overlay",
        "_own",
        "_push",
        "_recent",
        "_registrar",
        "_repair",
        "_requests",
        "_seen",
        "_seen_ids",
        "_spreading",
        "_watched",
        "config",
        "membership",
        "peers",
    )

    def __init__(self, config: NodeConfig, dice: Dice, booted: Instant, hosted: Container[str]) -> None:
        self.config = config
        self._hosted = hosted
        self.peers = PeerTable(config.role, config.peer_limit)
        self._dice = dice
        self._booted = booted
        self._seen = Seen(config.seen_limit)
        self._seen_ids = self._seen.ids
        self._recent = Recent(config.store_limit, config.store_octets)
        self._in_force = InForce(config.in_force_limit, config.max_lifetime)
        self._allowance = Allowance(config.max_rate, config.max_burst)
        self._choice = choice = choice_for(config, self.peers, dice)
        self._requests = Requests(config, self.peers, choice)
        self._spreading = Spreading(config, self.peers, dice, choice)
        self._registrar = Registrar(config, self.peers, dice)
        self._own = Own(config, self.peers)
        self._enrolment = Enrolment(config, self.peers, dice, self._own)
        self.membership = Membership(config, self.peers, dice, self._own, self._died, self._returned)
        # Looked into for every message that comes, so without a call.
        self._watched = self.membership.watched
        self._down = self.peers.down
        self._overlay = Overlay(self.peers, self.membership)
        self._push = Push(config, self.peers, dice, choice, self._recent, self._overlay)
        self._repair = Repair(config, self.peers, dice, choice, self._seen, self._recent, self._requests, self._overlay)

    # -- inputs --------------------------------------------------------------------------------

    def start(self, now: Instant) -> list[Effect]:
        """The device is up."""
        effects = [*self._enrolment.start(now), self._pull_timer(), *self.membership.start(now)]
        return [*effects, *self._choice.start()]

    def stop(self) -> tuple[Address | None, list[Effect]]:
        """The device is about to go down: the Peer Service that has to be told, if any, and what its neighbours are."""
        return self._enrolment.leave(), self.membership.farewell()

    def moved(self, homes: tuple[Home, ...], now: Instant) -> list[Effect]:
        """The device's addresses are others: it says so as a later incarnation. None at all change nothing: nobody
        could be told."""
        if not homes:
            return []
        self._own.homes = homes
        self._own.incarnation += 1
        return self._enrolment.moved(now)

    def originate(self, content: Content, now: Instant, *, delivered: bool = False) -> list[Effect]:
        """A checked message starts here: from a client of the shadow service, or the device itself.

        `delivered`: the hosted service here has had it already, as the first to judge it. Raises RemoteError
        when it cannot be accepted; then nothing was changed.
        """
        self.check_new(content, now)
        return self._accept(content, None, now, delivered=delivered)

    def check_new(self, content: Content, now: Instant) -> None:
        """May a message start here? Raises RemoteError: Expired, LifetimeTooLong, TimeoutTooLong, NotYetIssued,
        Duplicate, Superseded, Busy."""
        self._check_lifetime(content, now)
        if self.holds(content.id):
            raise sender_fault("Duplicate", "this very message was accepted before")
        if self._in_force.is_superseded(content):
            raise sender_fault("Superseded", "a message of this originator that was issued later is in force")
        if self._is_full(content, now):
            raise receiver_fault("Busy", "too many open requests")
        if self._allowance.is_spent(now.monotonic, self.config.spared(content.terms.priority)):
            raise receiver_fault("Busy", f"more than {self.config.max_rate:g} messages a second")

    def is_target(self, content: Content) -> bool:
        """Is it for the hosted service of this device, or does it only pass through?"""
        terms = content.terms
        return (
            content.action in self._hosted
            and set(terms.types).issubset(self.config.types)
            and any_covers(terms.scopes, self.config.scopes)
        )

    def receive(self, message: Message, source: Address, now: Instant) -> list[Effect]:
        """One decoded, verified message from `source`."""
        if isinstance(message, Gossip):
            content, hop = message
            back = []
            if (self._watched and hop.sender in self._watched) or (self._down and hop.sender in self._down):
                back = self.membership.heard(hop.sender, source, now)
            effects = self._again(content, hop) if content.id in self._seen_ids else self._gossip(message, source, now)
            return [*back, *effects] if back else effects
        sender = message.sender
        # An Ack is a sign of life by its nonce only: helpers pass it on.
        if (sender in self._watched or sender in self._down) and not isinstance(message, Ack):
            return [*self.membership.heard(sender, source, now), *self._received(message, source, now)]
        return self._received(message, source, now)

    def _received(self, message: Aside, source: Address, now: Instant) -> list[Effect]:
        match message:
            case Receipt():
                unknown = self._from_peer(message.sender, source)
                if unknown:
                    return unknown
                known = message.about in self._requests
                return self._requests.receipt(message, now) if known else self._push.receipt(message)
            case Partial():
                # An orphan's sender is unknown here: what it may claim is bounded by whom it passes by.
                unknown = [] if message.bypassing else self._from_peer(message.sender, source)
                return unknown or self._requests.partial(message, source, now)
            case Merge():
                return self._from_peer(message.sender, source) or self._merge(message, now)
            case Digest():
                return self._from_peer(message.sender, source) or self._repair.digest(message, now)
            case Advert():
                return self._from_peer(message.sender, source) or self._repair.advert(message, now)
            case Fetch():
                return self._from_peer(message.sender, source) or self._repair.fetch(message, now)
            case Prune():
                unknown = self._from_peer(message.sender, source)
                if not unknown:
                    self._overlay.prune(message.sender)
                return unknown
            case Ping():
                # Answered to whoever sent it: as small as the question, so of no use for reflection.
                return [Send(Ack(self.config.device, message.nonce, self._own.incarnation), (source,))]
            case Ack():
                return self._acked(message, source, now)
            case _:
                return self.membership.receive(message, source, now)

    def timer(self, timer: Timer, now: Instant) -> list[Effect]:
        match timer:
            case ServeAgain():
                return self._push.serve_again(timer, now)
            case AskAgain():
                doubtful = self._requests.doubtful(timer)
                return [*self._requests.ask_again(timer, now), *self.membership.look(doubtful, now)]
            case ReplyAgain():
                return self._requests.reply_again(timer)
            case Deadline():
                if timer.id in self._spreading:
                    return self._spreading.deadline(timer.id)
                return self._requests.deadline(timer.id, now)
            case MergeAgain():
                return self._spreading.merge_again(timer, now)
            case FetchAgain():
                return self._repair.fetch_again(timer, now)
            case PullNews():
                return self._pull_news(now)
            case ChallengeAgain():
                return self._registrar.again(timer)
            case EnrolAgain():
                return self._enrolment.again(timer, now)
            case KeepViews():
                return self.membership.round(now)
            case LookAgain():
                return self.membership.look_again(timer, now)
            case MeasureWays():
                return self._choice.round(now)

    def invoked(self, id: GossipId, outcome: bytes | Fault, now: Instant) -> list[Effect]:
        """Completion of Invoke: the reply's canonical element (empty for one-way), or a fault."""
        if id in self._requests:
            return self._requests.invoked(id, outcome, now)
        if id in self._spreading:
            return self._spreading.invoked(id, outcome)
        if not isinstance(outcome, Fault):
            return []
        self._seen.refuse(id)
        return [Dropped("delivery refused by the service")]

    def combined(
        self,
        id: GossipId,
        value: bytes | Fault,
        refused: tuple[int, ...],
        now: Instant,
        estimate: Estimate | None = None,
    ) -> list[Effect]:
        """Completion of Combine."""
        if id in self._spreading:
            return self._spreading.combined(id, value, refused, estimate)
        return self._requests.combined(id, value, refused, now)

    def enrolled(self, lease: float, registrar: Peer, now: Instant) -> list[Effect]:
        """Completion of Enrol."""
        known = self._enrolment.registrar
        effects = [*self._enrolment.enrolled(lease, registrar, now), *self._proved_alive(registrar.device, now)]
        if registrar.device != known:
            # Who joins, or comes back, does not wait for its turn to ask for news.
            effects.append(self._repair.digest_to(registrar, now))
        return effects

    def enrol_failed(self, now: Instant) -> list[Effect]:
        return self._enrolment.failed(now)

    def peers_told(self, peers: tuple[Peer, ...], now: Instant, relation: Relation | None = None) -> list[Effect]:
        """Completion of AskPeers, with its `relation`; empty when nothing came."""
        return self._enrolment.told(peers, relation, now)

    def service_found(self, service: Address, now: Instant) -> list[Effect]:
        """Discovery found a Peer Service that this device belongs to."""
        return self._enrolment.found(service, now)

    def register(self, peer: Peer, now: Instant, source: Address | None = None) -> tuple[float, list[Effect]]:
        """A device registers from `source` with the Peer Service here. (lease in s, effects); raises RemoteError."""
        lease, effects = self._registrar.register(peer, now, source)
        return lease, [*effects, *self._enrolment.subtree_changed(), *self._proved_alive(peer.device, now)]

    def forget(self, device: DeviceId) -> list[Effect]:
        """It said goodbye."""
        self.peers.forget(device)
        return self._enrolment.subtree_changed()

    @property
    def is_enrolled(self) -> bool:
        return self._enrolment.is_enrolled

    @property
    def is_told(self) -> bool:
        """Does the Peer Service that this device is registered with know of everybody who is registered here?"""
        return self._enrolment.is_told

    @property
    def self_peer(self) -> Peer:
        return self._own.peer

    def own_towards(self, other: Address) -> Peer:
        """This device as whoever is at `other` is to hold it."""
        return self._own.towards(other)

    def holds(self, id: GossipId) -> bool:
        """Was this message accepted here? The cheap test before any expensive check."""
        return id in self._seen_ids or id in self._requests

    def taken(self, id: GossipId) -> tuple[bool, tuple[DeviceId, ...]]:
        """Of an open request: did the own value go in, and whose partials with a value were taken?"""
        return self._requests.taken(id)

    def known(self, id: GossipId) -> Known:
        """Did it come here, and was it accepted? Of a request that was answered here: whom does that leave out?"""
        own = None if self.holds(id) else Lack.MISSING
        return Known(Lack.REFUSED if self._seen.is_refused(id) else own, self._requests.lacking(id))

    def hops(self, id: GossipId) -> int | None:
        """How many hops a message took to here, 0 where it began; None when it is not kept (any more)."""
        kept = self._recent.get(id)
        return kept.hops - 1 if kept is not None else None

    def ask_for_news(self, now: Instant) -> list[Effect]:
        """Ask a peer at random for what was missed, besides the times when that is done anyway."""
        return self._repair.ask(now)

    # -- messages ------------------------------------------------------------------------------

    def _gossip(self, gossip: Gossip, source: Address, now: Instant) -> list[Effect]:
        content, hop = gossip.content, gossip.hop
        if content.id in self._requests:
            if self._from_peer(hop.sender, source):
                return [Dropped("unknown sender"), *self._enrolment.stranger(now)]
            return [*self._requests.again(gossip, now), _DUPLICATE]
        if content.terms.expires <= now.wall:
            return [Dropped("expired")]
        if content.terms.expires - content.terms.issued > self.config.max_lifetime:
            return [Dropped("lifetime too long")]
        if content.terms.timeout > self.config.max_timeout:
            return [Dropped("timeout too long")]
        if content.terms.issued > now.wall + self.config.max_skew:
            return [Dropped("not yet issued")]
        spent = self._allowance.is_spent(now.monotonic, self.config.spared(content.terms.priority))
        if content.terms.style is Style.ONE_WAY and spent:
            return [Dropped("too many messages")]
        if content.terms.gathering is Gathering.SPREAD and (spent or self._is_full(content, now)):
            return [*self._receipt_for(gossip, Standing.BUSY), Dropped("busy")]
        if content.terms.makes_tree:
            unknown = self._from_peer(hop.sender, source)
            if unknown:
                return [*unknown, *self._enrolment.stranger(now)]
            if content.terms.issued < self._booted.wall:
                # It may have answered before it went down: it must not be counted again.
                return [*self._receipt_for(gossip, Standing.DECLINED), Dropped("older than this boot")]
            if spent or self._requests.is_full(now):
                return [*self._receipt_for(gossip, Standing.BUSY), Dropped("busy")]
        if self._in_force.is_superseded(content):
            # Marked as seen, so that its next copy costs a look at the id; receipted, so that nobody resends it; not
            # told as accepted when somebody asks who has it.
            self._allowance.spend()
            self._seen.add(content.id, content.terms.expires, now.wall)
            self._seen.refuse(content.id)
            return [*self._receipt_for(gossip, Standing.LATE), Dropped("superseded")]
        return [*self._receipt_for(gossip, Standing.TAKEN), *self._accept(content, hop, now)]

    def _again(self, content: Content, hop: Hop) -> list[Effect]:
        """Seen before: who waits for a receipt gets one, and who brought it learns that nobody needed it."""
        if hop.receipt:
            late = self._in_force.is_superseded(content)
            return [*self._receipt_for(Gossip(content, hop), Standing.LATE if late else Standing.TAKEN), _DUPLICATE]
        if content.terms.variant is _ADAPTIVE:
            return [*self._push.duplicate(hop), _DUPLICATE]
        return [_DUPLICATE]

    def _accept(self, content: Content, hop: Hop | None, now: Instant, *, delivered: bool = False) -> list[Effect]:
        self._allowance.spend()
        if content.terms.makes_tree:
            self._keep(content, hop, now)
            return self._requests.join(content, hop, now, contributes=self.is_target(content))
        self._seen.add(content.id, content.terms.expires, now.wall)
        superseded = self._in_force.take(content, now.wall)
        if superseded is not None:
            self._recent.forget(superseded)
            self._push.forget(superseded)
        if not content.terms.one_hop:
            self._keep(content, hop, now)
        effects = self._push.relay(content, hop, now)
        if content.terms.variant is Variant.PUSH_PULL:
            effects += self._repair.ask(now)
        if content.terms.style is Style.REQUEST_RESPONSE:
            return [*effects, *self._spread(content, hop, now)]
        return effects if delivered else [*effects, *self._deliver(content)]

    def _spread(self, content: Content, hop: Hop | None, now: Instant) -> list[Effect]:
        if content.action not in self._hosted:
            # Nobody here can read what others combine: it only passes the request on.
            return []
        age = hop.age if hop is not None else max(now.wall - content.terms.issued, 0.0)
        # It may have contributed before it went down, and drawn other lots then.
        anew = hop is not None and content.terms.issued < self._booted.wall
        contributes = self.is_target(content) and not anew
        return self._spreading.join(content, age, now, is_entry=hop is None, contributes=contributes)

    def _merge(self, merge: Merge, now: Instant) -> list[Effect]:
        effects = self._spreading.merge(merge, now)
        sender = self.peers.get(merge.sender)
        unheard = merge.about not in self._seen and not self._spreading.is_full(now)
        if merge.wants_reply and sender is not None and unheard:
            # The request has not come by here: who combines for it has it.
            fetch = Fetch(self.config.device, (merge.about[:8],))
            return [*effects, Send(fetch, (sender.address(Binding.UDP),))]
        return effects

    def _is_full(self, content: Content, now: Instant) -> bool:
        """Is no place left for one more open request of its kind?"""
        if content.terms.style is Style.ONE_WAY:
            return False
        return (self._requests if content.terms.makes_tree else self._spreading).is_full(now)

    def _deliver(self, content: Content) -> list[Effect]:
        if not self.is_target(content):
            return []
        return [Invoke(content.id, content.action, content.body, content.terms.originator)]

    # -- membership ----------------------------------------------------------------------------

    def _acked(self, ack: Ack, source: Address, now: Instant) -> list[Effect]:
        measured = self._choice.acked(ack, source, now)
        if measured is not None:
            return self.membership.alive(measured, now)
        known = self.membership.acked(ack, source, now)
        if known is not None:
            return known
        wrong = self._registrar.met(ack, now)
        return wrong or [*self._newcomer(ack.sender, now), *self._proved_alive(ack.sender, now)]

    def _proved_alive(self, device: DeviceId, now: Instant) -> list[Effect]:
        """It answered, or registered from its address."""
        peer = self.peers.get(device)
        return self.membership.alive(peer, now) if peer is not None else []

    def _died(self, peer: Peer, now: Instant) -> list[Effect]:
        return self._requests.peer_died(peer.device, now)

    def _returned(self, peer: Peer, now: Instant) -> list[Effect]:
        """Perhaps it was cut off, and everybody with it: what each side has not heard of is exchanged at once."""
        return [self._repair.digest_to(peer, now)]

    # -- repair --------------------------------------------------------------------------------

    def _newcomer(self, device: DeviceId, now: Instant) -> list[Effect]:
        """It has proved its address. It has asked for news already, but perhaps before it was known here; one of
        both digests finds the other side ready."""
        return [*self._enrolment.subtree_changed(), *self._repair.offer(device, now)]

    def _pull_news(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = [self._pull_timer()]
        if self.peers.expire(now.monotonic):
            effects += self._enrolment.subtree_changed()
        return [*effects, *self._enrolment.stale(now), *self._repair.ask(now)]

    # -- small steps ---------------------------------------------------------------------------

    def _from_peer(self, sender: DeviceId, source: Address) -> list[Effect]:
        """Empty when `sender` is a registered peer that sends from its registered host."""
        peer = self.peers.reachable(sender)
        return [] if peer is not None and speaks_from(peer, source) else [Dropped("unknown sender")]

    def _receipt_for(self, gossip: Gossip, standing: Standing) -> list[Effect]:
        """To the registered address of the claimed sender, never to where the datagram says it came from."""
        peer = self.peers.get(gossip.hop.sender) if gossip.hop.receipt else None
        if peer is None:
            return []
        to = (peer.address(gossip.content.terms.binding),)
        return [Send(Receipt(gossip.content.id, self.config.device, standing), to)]

    def _keep(self, content: Content, hop: Hop | None, now: Instant) -> None:
        age = hop.age if hop is not None else max(now.wall - content.terms.issued, 0.0)
        budget = content.terms.budget(self.config.own_tier).rounds
        rounds = hop.rounds - 1 if hop is not None and hop.tier is self.config.own_tier else budget - 1
        hops = hop.hops + 1 if hop is not None else 1
        self._recent.add(Kept(content, age, now.monotonic, max(min(rounds, budget), 0), hops))

    def _check_lifetime(self, content: Content, now: Instant) -> None:
        terms = content.terms
        if terms.timeout > self.config.max_timeout:
            raise sender_fault("TimeoutTooLong", f"at most {self.config.max_timeout:g} s")
        if terms.issued > now.wall + self.config.max_skew:
            raise sender_fault("NotYetIssued", "issued in the future, by this device's clock")
        if terms.expires <= now.wall:
            raise sender_fault("Expired", "the message has expired")
        if terms.expires - terms.issued > self.config.max_lifetime:
            raise sender_fault("LifetimeTooLong", f"at most {self.config.max_lifetime:g} s")

    def _pull_timer(self) -> SetTimer:
        return SetTimer(PullNews(), self.config.pull_period * self._choice.patience() * self._dice.uniform(0.5, 1.5))
