"""What was missed is asked for: digests exchanged with a peer at random, adverts followed up by fetches.

Both sides of a digest gain: the asked sends what the asker lacks, and fetches what it lacks itself
(push-pull anti-entropy; Demers et al., 1987).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gossip_ws.core.choice import Choice
from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import Effect, FetchAgain
from gossip_ws.core.messages import Advert, Digest, Fetch, Hop
from gossip_ws.core.overlay import Overlay
from gossip_ws.core.peers import LOWER_TIER, Peer, PeerTable, Relation, overlaps
from gossip_ws.core.push import send
from gossip_ws.core.requests import Requests
from gossip_ws.core.seen import Kept, Recent, Seen
from gossip_ws.core.spread import is_in_vain
from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId
from gossip_ws.kernel.terms import Variant

AT_ONCE = 8
"""Messages sent, or fetched, in answer to one message: a late joiner catches up over several periods."""
WANTED = 256
"""Messages known of and not yet had; beyond it adverts are dropped, and digests bring them later."""
ADVERTISERS = 4
PATIENCE = 0.6
"""Seconds that the adaptive variant waits for the eager copy before it fetches. Too short, and links turn eager that
only bring duplicates; too long, and a lost copy comes late. A tree over 1,000 devices takes about twice that."""
SPREADING = 1.5
"""Seconds after its arrival for which a pushed message is no news to who holds others: its copies are still on their
way."""
_PULLED = (Variant.EAGER_PULL, Variant.LAZY_PULL)


@dataclass(slots=True)
class _Wanted:
    """Who said that they have it; asked in turn."""

    variant: Variant
    holders: list[DeviceId] = field(default_factory=list)
    asked: int = 0


class Repair:
    """Asks for what this node lacks, and gives what others lack."""

    def __init__(
        self,
        config: NodeConfig,
        table: PeerTable,
        dice: Dice,
        choice: Choice,
        seen: Seen,
        recent: Recent,
        requests: Requests,
        overlay: Overlay,
    ) -> None:
        self._config = config
        self._table = table
        self._dice = dice
        self._choice = choice
        self._seen = seen
        self._recent = recent
        self._requests = requests
        self._overlay = overlay
        self._wanted: dict[bytes, _Wanted] = {}

    def ask(self, now: Instant) -> list[Effect]:
        """One digest, to one peer at random: an equal or a parent."""
        candidates = self._table.up(Relation.PARENT) + self._table.up(Relation.EQUAL)
        if not candidates:
            return []
        return [self.digest_to(self._choice.one(candidates), now)]

    def offer(self, device: DeviceId, now: Instant) -> list[Effect]:
        """What is held here, to a peer that has just come: it fetches what it lacks."""
        peer = self._table.get(device)
        return [self.digest_to(peer, now)] if peer is not None and self._recent.unexpired(now.wall) else []

    def digest_to(self, peer: Peer, now: Instant) -> Send:
        """One digest, to this peer."""
        held = tuple(kept.content.id[:8] for kept in self._recent.unexpired(now.wall))
        return Send(Digest(self._config.device, held), (peer.address(Binding.UDP),))

    def digest(self, digest: Digest, now: Instant) -> list[Effect]:
        """Give what the asker lacks; fetch what it has and this node never had."""
        peer = self._table.get(digest.sender)
        if peer is None:
            return [Dropped("unknown sender")]
        # Who holds nothing has just started: no copy of what is still spreading is on its way to it.
        started = not digest.held
        held = set(digest.held)
        effects: list[Effect] = []
        announced: list[bytes] = []
        # The urgent first, and of a class the newest.
        for kept in sorted(reversed(self._recent.unexpired(now.wall)), key=lambda kept: kept.content.terms.priority):
            content = kept.content
            if content.id[:8] in held or not overlaps(content.terms.scopes, peer) or is_in_vain(content.terms, peer):
                continue
            pushed = content.terms.variant not in _PULLED
            if pushed and not started and now.monotonic - kept.since < SPREADING:
                continue
            if content.terms.makes_tree:
                if self._requests.gathering(content.id, now):
                    effects += self._requests.ask_too(content.id, peer, self._hop(peer, kept, now), now)
            elif content.terms.variant is Variant.LAZY_PULL:
                announced.append(content.id[:8])
            else:
                effects.append(send(content, self._hop(peer, kept, now), (peer,)))
            if len(effects) + len(announced) >= AT_ONCE:
                break
        if announced:
            advert = Advert(self._config.device, Variant.LAZY_PULL, tuple(announced))
            effects.append(Send(advert, (peer.address(Binding.UDP),)))
        lacking = [id for id in digest.held if not self._has(id)][:AT_ONCE]
        if lacking:
            effects.append(self._fetch(peer, lacking))
        return effects

    def advert(self, advert: Advert, now: Instant) -> list[Effect]:
        """A peer has these: fetch what is new, at once or, where an eager copy is due, after a while."""
        peer = self._table.get(advert.sender)
        if peer is None:
            return [Dropped("unknown sender")]
        effects: list[Effect] = []
        at_once = []
        for id in advert.ids[:AT_ONCE]:
            if self._has(id):
                continue
            wanted = self._wanted.get(id)
            if wanted is not None:
                if advert.sender not in wanted.holders and len(wanted.holders) < ADVERTISERS:
                    wanted.holders.append(advert.sender)
                continue
            if len(self._wanted) >= WANTED:
                return [*effects, Dropped("too much advertised")]
            self._wanted[id] = _Wanted(advert.variant, [advert.sender])
            if advert.variant is Variant.ADAPTIVE:
                effects.append(SetTimer(FetchAgain(id, 1), PATIENCE * self._dice.uniform(1.0, 3.0)))
            else:
                at_once.append(id)
                self._wanted[id].asked = 1
                effects.append(SetTimer(FetchAgain(id, 1), self._config.retry_first))
        if at_once:
            effects.append(self._fetch(peer, at_once))
        return effects

    def fetch(self, fetch: Fetch, now: Instant) -> list[Effect]:
        """Give the payloads; who grafts wants the next ones at once too."""
        peer = self._table.get(fetch.sender)
        if peer is None:
            return [Dropped("unknown sender")]
        if fetch.graft:
            self._overlay.graft(peer.device)
        wanted = set(fetch.ids[:AT_ONCE])
        return [
            send(kept.content, self._hop(peer, kept, now), (peer,))
            for kept in self._recent.unexpired(now.wall)
            if kept.content.id[:8] in wanted
            and not kept.content.terms.makes_tree
            and overlaps(kept.content.terms.scopes, peer)
        ]

    def fetch_again(self, timer: FetchAgain, now: Instant) -> list[Effect]:
        """It has not come: ask the next one that has it."""
        wanted = self._wanted.get(timer.id)
        if wanted is None:
            return []
        if self._has(timer.id) or timer.attempt > 2 * len(wanted.holders):
            del self._wanted[timer.id]
            return []
        holders = self._choice.in_turn(wanted.holders)
        holder = self._table.get(holders[wanted.asked % len(holders)])
        wanted.asked += 1
        again = SetTimer(FetchAgain(timer.id, timer.attempt + 1), self._config.retry_first * 2.0 ** (timer.attempt - 1))
        if holder is None:
            return [again]
        graft = wanted.variant is Variant.ADAPTIVE
        if graft:
            self._overlay.graft(holder.device)
        return [self._fetch(holder, [timer.id], graft=graft), again]

    def _has(self, id: bytes) -> bool:
        return self._seen.has_head(id) or self._requests.has_head(id)

    def _fetch(self, peer: Peer, ids: list[bytes], *, graft: bool = False) -> Send:
        return Send(Fetch(self._config.device, tuple(ids), graft), (peer.address(Binding.UDP),))

    def _hop(self, peer: Peer, kept: Kept, now: Instant) -> Hop:
        """As this node would have sent it on, had the peer been among those that it chose."""
        config = self._config
        tier, rounds = config.own_tier, kept.rounds
        if self._table.relation_of(peer) is Relation.CHILD:
            # It enters the tier below here: whatever is left of this tier's budget is none of that one's.
            tier = LOWER_TIER.get(config.role, tier)
            rounds = min(kept.content.terms.budget(tier).rounds, config.max_rounds)
        age = kept.age + now.monotonic - kept.since
        return Hop(config.device, tier, rounds, kept.hops, age, ancestors=(config.device,))
