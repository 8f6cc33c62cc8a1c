"""The gossip node: messages, timers and completions in, effects out.

It refuses to know XML, sockets, signatures, clocks and threads: what reaches it has been decoded and
verified, and what it returns is carried out by `endpoint`.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import (
    AskAgain,
    ChallengeAgain,
    Deadline,
    Effect,
    EnrolAgain,
    Invoke,
    PullNews,
    ReplyAgain,
    ServeAgain,
    Timer,
)
from gossip_ws.core.enrolment import Enrolment, Registrar, self_peer
from gossip_ws.core.messages import (
    Challenge,
    ChallengeMet,
    Content,
    Digest,
    Gossip,
    Hop,
    Message,
    Partial,
    Receipt,
    Standing,
)
from gossip_ws.core.peers import LOWER_TIER, Peer, PeerTable, Relation, overlaps
from gossip_ws.core.requests import Requests
from gossip_ws.core.seen import Kept, Recent, Seen
from gossip_ws.core.spread import binding_for, plan
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.errors import Fault, receiver_fault, sender_fault
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId, GossipId
from gossip_ws.kernel.scopes import any_covers
from gossip_ws.kernel.terms import Style

NEWS_AT_ONCE = 8
"""Messages sent in answer to one Digest: a late joiner catches up over several periods."""


@dataclass(slots=True)
class _Served:
    """Who still owes a receipt for a one-way message."""

    waiting: dict[DeviceId, tuple[Peer, Hop]]


class Node:
    """One device's gossip protocol. `hosted`: the actions that it can deliver and contribute to."""

    def __init__(self, config: NodeConfig, dice: Dice, booted: Instant, hosted: Container[str]) -> None:
        self.config = config
        self._hosted = hosted
        self.peers = PeerTable(config.role, config.peer_limit)
        self._dice = dice
        self._booted = booted
        self._seen = Seen(config.seen_limit)
        self._recent = Recent(config.store_limit)
        self._requests = Requests(config, self.peers, dice, hosted)
        self._registrar = Registrar(config, self.peers, dice)
        self._enrolment = Enrolment(config, self.peers, dice)
        self._served: dict[GossipId, _Served] = {}

    # -- inputs --------------------------------------------------------------------------------

    def start(self, now: Instant) -> list[Effect]:
        """The device is up."""
        return [*self._enrolment.start(now), self._pull_timer()]

    def stop(self) -> Address | None:
        """The device is about to go down: the Peer Service that has to be told, if any."""
        return self._enrolment.leave()

    def originate(self, content: Content, now: Instant, *, delivered: bool = False) -> list[Effect]:
        """A checked message starts here: from a client of the shadow service, or the device itself.

        `delivered`: the hosted service here has had it already, as the first to judge it. Raises RemoteError
        when it cannot be accepted; then nothing was changed.
        """
        self.check_new(content, now)
        return self._accept(content, None, now, delivered=delivered)

    def check_new(self, content: Content, now: Instant) -> None:
        """May a message start here? Raises RemoteError: Expired, LifetimeTooLong, Duplicate, Busy."""
        self._check_lifetime(content, now)
        if self.holds(content.id):
            raise sender_fault("Duplicate", "this very message was accepted before")
        if content.terms.style is Style.REQUEST_RESPONSE and self._requests.is_full(now):
            raise receiver_fault("Busy", "too many open requests")

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
        match message:
            case Gossip():
                return self._gossip(message, source, now)
            case Receipt():
                return self._from_peer(message.sender, source) or self._receipt(message, now)
            case Partial():
                return self._from_peer(message.sender, source) or self._requests.partial(message, now)
            case Digest():
                return self._from_peer(message.sender, source) or self._digest(message, now)
            case Challenge():
                # Answered to whoever sent it: as small as the question, so of no use for reflection.
                return [Send(ChallengeMet(self.config.device, message.nonce), (source,))]
            case ChallengeMet():
                return self._registrar.met(message, now) or self._enrolment.subtree_changed()

    def timer(self, timer: Timer, now: Instant) -> list[Effect]:
        match timer:
            case ServeAgain():
                return self._serve_again(timer, now)
            case AskAgain():
                return self._requests.ask_again(timer, now)
            case ReplyAgain():
                return self._requests.reply_again(timer)
            case Deadline():
                return self._requests.deadline(timer.id, now)
            case PullNews():
                return self._pull_news(now)
            case ChallengeAgain():
                return self._registrar.again(timer)
            case EnrolAgain():
                return self._enrolment.again(timer, now)

    def invoked(self, id: GossipId, outcome: bytes | Fault, now: Instant) -> list[Effect]:
        """Completion of Invoke: the reply's canonical element (empty for one-way), or a fault."""
        if id in self._requests:
            return self._requests.invoked(id, outcome, now)
        return [Dropped("delivery refused by the service")] if isinstance(outcome, Fault) else []

    def combined(self, id: GossipId, value: bytes | Fault, refused: tuple[int, ...], now: Instant) -> list[Effect]:
        """Completion of Combine."""
        return self._requests.combined(id, value, refused, now)

    def enrolled(self, lease: float, registrar: Peer, now: Instant) -> list[Effect]:
        """Completion of Enrol."""
        return self._enrolment.enrolled(lease, registrar, now)

    def enrol_failed(self, now: Instant) -> list[Effect]:
        return self._enrolment.failed(now)

    def peers_told(self, peers: tuple[Peer, ...], now: Instant) -> list[Effect]:
        """Completion of AskPeers; empty when nothing came."""
        return self._enrolment.told(peers, now)

    def service_found(self, service: Address, now: Instant) -> list[Effect]:
        """Discovery found a Peer Service that this device belongs to."""
        return self._enrolment.found(service, now)

    def register(self, peer: Peer, now: Instant, source: Address | None = None) -> tuple[float, list[Effect]]:
        """A device registers from `source` with the Peer Service here. (lease in s, effects); raises RemoteError."""
        lease, effects = self._registrar.register(peer, now, source)
        return lease, [*effects, *self._enrolment.subtree_changed()]

    def forget(self, device: DeviceId) -> list[Effect]:
        """It said goodbye."""
        self.peers.forget(device)
        return self._enrolment.subtree_changed()

    @property
    def is_enrolled(self) -> bool:
        return self._enrolment.is_enrolled

    @property
    def self_peer(self) -> Peer:
        return self_peer(self.config, self.peers.subtree)

    def holds(self, id: GossipId) -> bool:
        """Was this message accepted here? The cheap test before any expensive check."""
        return id in self._seen or id in self._requests

    # -- messages ------------------------------------------------------------------------------

    def _gossip(self, gossip: Gossip, source: Address, now: Instant) -> list[Effect]:
        content, hop = gossip.content, gossip.hop
        if content.id in self._requests:
            if self._from_peer(hop.sender, source):
                return [Dropped("unknown sender"), *self._enrolment.stranger(now)]
            return [*self._requests.again(gossip, now), Dropped("duplicate")]
        if content.id in self._seen:
            return [*self._receipt_for(gossip, Standing.TAKEN), Dropped("duplicate")]
        if content.terms.expires <= now.wall:
            return [Dropped("expired")]
        if content.terms.expires - content.terms.issued > self.config.max_lifetime:
            return [Dropped("lifetime too long")]
        if content.terms.style is Style.REQUEST_RESPONSE:
            unknown = self._from_peer(hop.sender, source)
            if unknown:
                return [*unknown, *self._enrolment.stranger(now)]
            if content.terms.issued < self._booted.wall:
                # It may have answered before it went down: it must not be counted again.
                return [*self._receipt_for(gossip, Standing.DECLINED), Dropped("older than this boot")]
            if self._requests.is_full(now):
                return [*self._receipt_for(gossip, Standing.BUSY), Dropped("busy")]
        return [*self._receipt_for(gossip, Standing.TAKEN), *self._accept(content, hop, now)]

    def _accept(self, content: Content, hop: Hop | None, now: Instant, *, delivered: bool = False) -> list[Effect]:
        if content.terms.style is Style.REQUEST_RESPONSE:
            self._keep(content, hop, now)
            return self._requests.join(content, hop, now)
        self._seen.add(content.id, content.terms.expires, now.wall)
        self._keep(content, hop, now)
        relayed = self._relay(content, hop, now)
        return relayed if delivered else [*relayed, *self._deliver(content)]

    def _deliver(self, content: Content) -> list[Effect]:
        if not self.is_target(content):
            return []
        return [Invoke(content.id, content.action, content.body, content.terms.originator)]

    def _relay(self, content: Content, hop: Hop | None, now: Instant) -> list[Effect]:
        legs = plan(self.config, self.peers, self._dice, content.terms, hop)
        age, hops = (hop.age, hop.hops + 1) if hop is not None else (max(now.wall - content.terms.issued, 0.0), 1)
        effects: list[Effect] = []
        if legs.sampled.peers:
            header = Hop(self.config.device, legs.sampled.tier, legs.sampled.rounds, hops, age)
            effects.append(self._send(content, header, legs.sampled.peers))
        waiting: dict[DeviceId, tuple[Peer, Hop]] = {}
        for leg in legs.served:
            header = Hop(self.config.device, leg.tier, leg.rounds, hops, age, receipt=True)
            effects.append(self._send(content, header, leg.peers))
            waiting.update({peer.device: (peer, header) for peer in leg.peers})
        if waiting:
            if len(self._served) >= self.config.store_limit:
                del self._served[next(iter(self._served))]
            self._served[content.id] = _Served(waiting)
            effects.append(SetTimer(ServeAgain(content.id, 1), self.config.retry_first))
        return effects

    def _receipt(self, receipt: Receipt, now: Instant) -> list[Effect]:
        if receipt.about in self._requests:
            return self._requests.receipt(receipt, now)
        served = self._served.get(receipt.about)
        if served is None or served.waiting.pop(receipt.sender, None) is None:
            return [Dropped("receipt of nothing")]
        if not served.waiting:
            del self._served[receipt.about]
        return []

    def _serve_again(self, timer: ServeAgain, now: Instant) -> list[Effect]:
        served = self._served.get(timer.id)
        kept = self._recent.get(timer.id)
        if served is None:
            return []
        if timer.attempt > self.config.retries or kept is None or kept.content.terms.expires <= now.wall:
            del self._served[timer.id]
            return [Dropped("served without a receipt") for _ in served.waiting]
        groups: dict[Hop, list[Peer]] = {}
        for peer, hop in served.waiting.values():
            groups.setdefault(hop, []).append(peer)
        age = kept.age + now.monotonic - kept.since
        effects: list[Effect] = [
            self._send(kept.content, replace(hop, age=age), tuple(peers)) for hop, peers in groups.items()
        ]
        wait = min(self.config.retry_first * 2.0**timer.attempt, self.config.retry_longest)
        return [*effects, SetTimer(ServeAgain(timer.id, timer.attempt + 1), wait)]

    # -- repair --------------------------------------------------------------------------------

    def _pull_news(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = [self._pull_timer()]
        if self.peers.expire(now.monotonic):
            effects += self._enrolment.subtree_changed()
        effects += self._enrolment.stale(now)
        candidates = self.peers.related(Relation.PARENT) + self.peers.related(Relation.EQUAL)
        if candidates:
            (peer,) = self._dice.sample(candidates, 1)
            held = tuple(kept.content.id[:8] for kept in self._recent.unexpired(now.wall))
            effects.append(Send(Digest(self.config.device, held), (peer.address(Binding.UDP),)))
        return effects

    def _digest(self, digest: Digest, now: Instant) -> list[Effect]:
        peer = self.peers.get(digest.sender)
        if peer is None:
            return [Dropped("unknown sender")]
        held = set(digest.held)
        effects: list[Effect] = []
        for kept in reversed(self._recent.unexpired(now.wall)):
            content = kept.content
            if content.id[:8] in held or not overlaps(content.terms.scopes, peer):
                continue
            hop = self._news_hop(peer, kept, now)
            if content.terms.style is Style.ONE_WAY:
                effects.append(self._send(content, hop, (peer,)))
            elif self._requests.gathering(content.id, now):
                effects += self._requests.ask_too(content.id, peer, hop, now)
            if len(effects) >= NEWS_AT_ONCE:
                break
        return effects

    def _news_hop(self, peer: Peer, kept: Kept, now: Instant) -> Hop:
        own = self.config.own_tier
        below = self.peers.relation_of(peer) is Relation.CHILD
        tier = LOWER_TIER.get(self.config.role, own) if below else own
        age = kept.age + now.monotonic - kept.since
        return Hop(self.config.device, tier, 0, 1, age, ancestors=(self.config.device,))

    # -- small steps ---------------------------------------------------------------------------

    def _from_peer(self, sender: DeviceId, source: Address) -> list[Effect]:
        """Empty when `sender` is a registered peer that sends from its registered host."""
        peer = self.peers.get(sender)
        if peer is not None:
            for own in (peer.udp, peer.http):
                if own is not None and own.host == source.host:
                    return []
        return [Dropped("unknown sender")]

    def _receipt_for(self, gossip: Gossip, standing: Standing) -> list[Effect]:
        """To the registered address of the claimed sender, never to where the datagram says it came from."""
        peer = self.peers.get(gossip.hop.sender) if gossip.hop.receipt else None
        if peer is None:
            return []
        to = (peer.address(gossip.content.terms.binding),)
        return [Send(Receipt(gossip.content.id, self.config.device, standing), to)]

    def _send(self, content: Content, hop: Hop, peers: tuple[Peer, ...]) -> Send:
        binding = binding_for(content.terms, len(content.sealed))
        return Send(Gossip(content, hop), tuple(peer.address(binding) for peer in peers))

    def _keep(self, content: Content, hop: Hop | None, now: Instant) -> None:
        age = hop.age if hop is not None else max(now.wall - content.terms.issued, 0.0)
        self._recent.add(Kept(content, age, now.monotonic))

    def _check_lifetime(self, content: Content, now: Instant) -> None:
        terms = content.terms
        if terms.expires <= now.wall:
            raise sender_fault("Expired", "the message has expired")
        if terms.expires - terms.issued > self.config.max_lifetime:
            raise sender_fault("LifetimeTooLong", f"at most {self.config.max_lifetime:g} s")

    def _pull_timer(self) -> SetTimer:
        return SetTimer(PullNews(), self.config.pull_period * self._dice.uniform(0.5, 1.5))
