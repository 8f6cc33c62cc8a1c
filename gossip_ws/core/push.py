"""How a one-way message goes on from here: at once to some equals, announced to others, and to the roster below
until each gave a receipt. What goes a single hop goes to some of all these, and nobody is waited for."""

from __future__ import annotations

from dataclasses import dataclass

from gossip_ws.core.choice import Choice
from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import Effect, ServeAgain
from gossip_ws.core.messages import Advert, Content, Gossip, Hop, Prune, Receipt
from gossip_ws.core.overlay import Overlay
from gossip_ws.core.peers import Peer, PeerTable, overlaps
from gossip_ws.core.seen import Recent
from gossip_ws.core.spread import binding_for, is_in_vain, plan, some_of_all
from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId, GossipId
from gossip_ws.kernel.terms import Variant


@dataclass(slots=True)
class _Served:
    """Who still owes a receipt for a one-way message."""

    waiting: dict[DeviceId, tuple[Peer, Hop]]


class Push:
    """Relays, and serves the roster."""

    def __init__(
        self, config: NodeConfig, table: PeerTable, dice: Dice, choice: Choice, recent: Recent, overlay: Overlay
    ) -> None:
        self._config = config
        self._table = table
        self._dice = dice
        self._choice = choice
        self._recent = recent
        self._overlay = overlay
        self._served: dict[GossipId, _Served] = {}

    def relay(self, content: Content, hop: Hop | None, now: Instant) -> list[Effect]:
        """Everything that goes out because of a new message."""
        config, terms = self._config, content.terms
        if terms.one_hop:
            return self._to_some(content, now) if hop is None else []
        legs = plan(config, self._table, self._choice, terms, hop)
        age, hops = (hop.age, hop.hops + 1) if hop is not None else (max(now.wall - terms.issued, 0.0), 1)
        header = Hop(config.device, legs.sampled.tier, max(legs.sampled.rounds, 0), hops, age)
        effects = self._to_equals(content, hop, header, legs.sampled.peers)
        waiting: dict[DeviceId, tuple[Peer, Hop]] = {}
        for leg in legs.served:
            peers = tuple([peer for peer in leg.peers if not is_in_vain(terms, peer)]) if terms.types else leg.peers
            if not peers:
                continue
            header = Hop(config.device, leg.tier, leg.rounds, hops, age, receipt=True)
            effects.append(send(content, header, peers))
            waiting.update({peer.device: (peer, header) for peer in peers})
        if waiting:
            if len(self._served) >= config.store_limit:
                unserved = self._served.pop(next(iter(self._served)))
                effects += [Dropped("served without a receipt") for _ in unserved.waiting]
            self._served[content.id] = _Served(waiting)
            effects.append(SetTimer(ServeAgain(content.id, 1), config.retry_first))
        return effects

    def _to_some(self, content: Content, now: Instant) -> list[Effect]:
        config, terms = self._config, content.terms
        fanout = min(terms.budget(config.own_tier).fanout, config.max_fanout)
        peers = some_of_all(self._table, self._dice, terms.scopes, fanout)
        header = Hop(config.device, config.own_tier, 0, 1, max(now.wall - terms.issued, 0.0))
        return [send(content, header, peers)] if peers else []

    def _to_equals(self, content: Content, hop: Hop | None, header: Hop, sampled: tuple[Peer, ...]) -> list[Effect]:
        terms = content.terms
        match terms.variant:
            case Variant.EAGER_PUSH | Variant.PUSH_PULL:
                return [send(content, header, sampled)] if sampled else []
            case Variant.LAZY_PUSH:
                return [self._advert(content, sampled)] if sampled else []
            case Variant.EAGER_PULL | Variant.LAZY_PULL:
                # It waits to be asked for.
                return []
            case Variant.ADAPTIVE:
                if not sampled and header.rounds == 0:
                    return []
                sender = hop.sender if hop is not None else DeviceId("")
                if sender:
                    self._overlay.graft(sender)

                def suits(peer: Peer) -> bool:
                    return peer.device != sender and overlaps(terms.scopes, peer)

                # A device that has only just come up has no neighbours yet.
                eager, lazy = self._overlay.links(suits) if len(self._overlay) else (sampled, ())
                effects: list[Effect] = [send(content, header, eager)] if eager else []
                return [*effects, self._advert(content, lazy)] if lazy else effects

    def duplicate(self, hop: Hop) -> list[Effect]:
        """By the adaptive variant a payload came that was here already, and of which no receipt is due: its link is
        not needed for payloads."""
        peer = self._table.get(hop.sender)
        if peer is None:
            return []
        self._overlay.prune(peer.device)
        return [Send(Prune(self._config.device), (peer.address(Binding.UDP),))]

    def receipt(self, receipt: Receipt) -> list[Effect]:
        """Somebody of the roster has it."""
        served = self._served.get(receipt.about)
        if served is None or served.waiting.pop(receipt.sender, None) is None:
            return [Dropped("receipt of nothing")]
        if not served.waiting:
            del self._served[receipt.about]
        return []

    def forget(self, id: GossipId) -> None:
        """It was superseded: nobody is served with it any more, and its timer is stale."""
        self._served.pop(id, None)

    def serve_again(self, timer: ServeAgain, now: Instant) -> list[Effect]:
        """To those of the roster that are still silent."""
        served = self._served.get(timer.id)
        kept = self._recent.get(timer.id)
        if served is None:
            return []
        if timer.attempt > self._config.retries or kept is None or kept.content.terms.expires <= now.wall:
            del self._served[timer.id]
            return [Dropped("served without a receipt") for _ in served.waiting]
        groups: dict[Hop, list[Peer]] = {}
        for peer, hop in served.waiting.values():
            groups.setdefault(hop, []).append(peer)
        age = kept.age + now.monotonic - kept.since
        effects: list[Effect] = [
            send(kept.content, hop._replace(age=age), tuple(peers)) for hop, peers in groups.items()
        ]
        wait = min(self._config.retry_first * 2.0**timer.attempt, self._config.retry_longest)
        return [*effects, SetTimer(ServeAgain(timer.id, timer.attempt + 1), wait)]

    def _advert(self, content: Content, peers: tuple[Peer, ...]) -> Send:
        advert = Advert(self._config.device, content.terms.variant, (content.id[:8],))
        return Send(advert, tuple(peer.address(Binding.UDP) for peer in peers))


def send(content: Content, hop: Hop, peers: tuple[Peer, ...]) -> Send:
    """One hop of a message to some peers."""
    binding = binding_for(content.terms, len(content.sealed))
    return Send(Gossip(content, hop), tuple([peer.address(binding) for peer in peers]))
