"""The neighbours of one scope: a small active view, the same from both sides, and a larger passive one to refill it.

HyParView (Leitao, Pereira, Rodrigues, 2007) without its random walks: a walk ends with an answer to an address that
an unsigned message names. New neighbours come from the table, from whoever asks, and from shuffles between
neighbours. Refuses to know who is dead; it is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import Effect
from gossip_ws.core.introductions import Introductions
from gossip_ws.core.messages import Disconnect, Neighbor, NeighborReply, Shuffle
from gossip_ws.core.own import Own
from gossip_ws.core.peers import Peer, PeerTable, Relation
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, Send
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId
from gossip_ws.kernel.scopes import any_covers

ACTIVE = 5
PASSIVE = 30
"""As HyParView has them for 10,000 nodes."""
FEW = 3
"""With fewer active neighbours a device insists. HyParView does with none; but two links are cut off by two deaths."""
SHUFFLED_ACTIVE = 3
SHUFFLED_PASSIVE = 4
"""Entries of each view in a shuffle, besides the sender itself."""
TRIES = 4
"""Rounds in which one candidate is asked before the next: at 10 % loss all of them fail with 0.1 %."""
LONGEST_WAIT = 32.0
"""Periods between two tries to fill a view that nobody wanted to fill; doubles up to it."""


@dataclass(slots=True)
class _Courted:
    """A candidate that was asked and has not answered. `urgent`: it is to make room, and so do we."""

    tries: int
    urgent: bool


class View:
    """The views of one scope. The active one holds proved peers of the table only, the passive one mere hints."""

    def __init__(
        self, config: NodeConfig, scope: str, table: PeerTable, dice: Dice, own: Own, introductions: Introductions
    ) -> None:
        self._config = config
        self._scope = scope
        self._table = table
        self._dice = dice
        self._own = own
        self._introductions = introductions
        self._active: dict[DeviceId, None] = {}
        self._passive: dict[DeviceId, Peer] = {}
        self._courted: dict[DeviceId, _Courted] = {}
        self._fill_at = 0.0
        self._fill_wait = 0.0
        self._shuffle_at = 0.0
        self._reunite_at = 0.0

    @property
    def active(self) -> tuple[DeviceId, ...]:
        return tuple(self._active)

    @property
    def passive(self) -> tuple[DeviceId, ...]:
        return tuple(self._passive)

    def suits(self, peer: Peer) -> bool:
        """Is it an equal of this device that lies in the scope?"""
        equal = self._table.relation_of(peer) is Relation.EQUAL and peer.device != self._config.device
        return equal and (not self._scope or any_covers((self._scope,), peer.scopes))

    # -- from time to time ---------------------------------------------------------------------

    def start(self, now: Instant) -> None:
        self._shuffle_at = self._next_shuffle(now)

    def round(self, now: Instant) -> list[Effect]:
        """Ask again who did not answer, fill empty places, and now and then exchange views."""
        for device in [device for device in self._active if not self._is_up(device)]:
            self.leave(device)
        effects = self._court_again()
        effects += self._fill(now)
        if now.monotonic >= self._shuffle_at:
            self._shuffle_at = self._next_shuffle(now)
            effects += self._shuffle()
        return effects

    def _court_again(self) -> list[Effect]:
        effects: list[Effect] = []
        for device, courted in list(self._courted.items()):
            if courted.tries < TRIES:
                courted.tries += 1
                effects += self._court(device, courted.urgent)
                continue
            del self._courted[device]
            self._passive.pop(device, None)
            # It may have said yes, and the answer was lost: a link has two ends or none.
            effects += self._disconnect(device)
        return effects

    def _fill(self, now: Instant) -> list[Effect]:
        lacking = ACTIVE - len(self._active) - len(self._courted)
        if lacking <= 0 or now.monotonic < self._fill_at:
            return []
        candidates = self._candidates()
        if not candidates:
            return []
        # Somebody has to make room for whoever has hardly anybody and was refused before.
        urgent = len(self._active) < FEW and self._fill_wait > 0
        effects: list[Effect] = []
        for device in self._dice.sample(candidates, min(lacking, len(candidates))):
            self._courted[device] = _Courted(1, urgent)
            effects += self._court(device, urgent)
            urgent = False
        self._fill_wait = min(max(2 * self._fill_wait, 1.0), LONGEST_WAIT)
        self._fill_at = now.monotonic + self._fill_wait * self._config.probe_period * self._dice.uniform(0.5, 1.0)
        return effects

    def _candidates(self) -> list[DeviceId]:
        def free(devices: Iterable[DeviceId]) -> list[DeviceId]:
            taken = (self._active, self._courted)
            return [d for d in devices if not any(d in held for held in taken) and not self._table.is_down(d)]

        found = free(self._passive)
        if not found:
            equals = self._table.up(Relation.EQUAL, (self._scope,) if self._scope else ())
            for peer in self._dice.sample(equals, min(len(equals), PASSIVE)):
                self.remember(peer)
            found = free(self._passive)
        return found

    def _court(self, device: DeviceId, urgent: bool) -> list[Effect]:
        """Ask it to be a neighbour; one that was not proved is pinged first, and asked in a later round."""
        peer = self._table.get(device)
        if peer is None:
            hint = self._passive.get(device)
            return self._introductions.ping(hint) if hint is not None else []
        to = peer.address(Binding.UDP)
        return [Send(Neighbor(self._config.device, self._scope, self._own.towards(to), urgent), (to,))]

    # -- messages, all from proved peers -------------------------------------------------------

    def neighbor(self, message: Neighbor, sender: Peer) -> list[Effect]:
        """It wants to be a neighbour."""
        effects: list[Effect] = []
        full = len(self._active) >= ACTIVE
        accepted = message.sender in self._active or not full or message.urgent
        if accepted:
            self._courted.pop(message.sender, None)
            effects = self._join(message.sender)
        else:
            self.remember(sender)
        reply = NeighborReply(self._config.device, self._scope, accepted)
        return [*effects, Send(reply, (sender.address(Binding.UDP),))]

    def replied(self, message: NeighborReply) -> list[Effect]:
        """The answer of a candidate."""
        courted = self._courted.pop(message.sender, None)
        if message.sender in self._active:
            return []
        if courted is None:
            # It answers after we gave it up, or was never asked.
            return [*(self._disconnect(message.sender) if message.accepted else []), Dropped("reply of no candidate")]
        if not message.accepted:
            return []
        if len(self._active) >= ACTIVE and not courted.urgent:
            return self._disconnect(message.sender)
        return self._join(message.sender)

    def disconnected(self, device: DeviceId) -> None:
        """It has left us."""
        peer = self._table.get(device)
        if device in self._active:
            self.leave(device)
            if peer is not None:
                self.remember(peer)

    def shuffled(self, message: Shuffle, sender: Peer) -> list[Effect]:
        """Hints from a neighbour; as many go back, to where it is registered."""
        effects: list[Effect] = []
        if message.wants_reply:
            to = sender.address(Binding.UDP)
            reply = Shuffle(self._config.device, self._scope, self._some(len(message.peers), to), wants_reply=False)
            effects.append(Send(reply, (to,)))
            if message.sender not in self._active:
                # It takes us for a neighbour: a reply or a farewell was lost.
                if len(self._active) < ACTIVE and self.suits(sender):
                    effects += self._join(message.sender)
                else:
                    effects += self._disconnect(message.sender)
        for peer in message.peers[: 1 + SHUFFLED_ACTIVE + SHUFFLED_PASSIVE]:
            self.remember(peer)
        return effects

    # -- what others find out ------------------------------------------------------------------

    def remember(self, peer: Peer) -> None:
        """Take a hint into the passive view; when it is full, one at random makes room."""
        device = peer.device
        if not (self._introductions.is_sound(peer) and self.suits(peer)):
            return
        if device in self._active or self._table.is_down(device):
            return
        if device not in self._passive and len(self._passive) >= PASSIVE:
            (gone,) = self._dice.sample(tuple(self._passive), 1)
            del self._passive[gone]
        self._passive[device] = peer

    def leave(self, device: DeviceId) -> None:
        """It is dead, or gone: its place is to be filled soon."""
        self._passive.pop(device, None)
        self._courted.pop(device, None)
        if device in self._active:
            del self._active[device]
            self._fill_at = self._fill_wait = 0.0

    def reunite(self, peer: Peer, now: Instant) -> list[Effect]:
        """Somebody that was dead is back, perhaps with everybody from its side of a partition. Both views may be
        full by now, each with its own side: so now and then both make room."""
        if not self.suits(peer) or peer.device in self._active or peer.device in self._courted:
            return []
        self.remember(peer)
        if now.monotonic < self._reunite_at:
            return []
        self._reunite_at = now.monotonic + self._config.shuffle_period
        self._courted[peer.device] = _Courted(1, urgent=True)
        return self._court(peer.device, urgent=True)

    def farewell(self) -> list[Effect]:
        """This device goes down: its neighbours need not find out."""
        return [effect for device in self._active for effect in self._disconnect(device)]

    # -- small steps ---------------------------------------------------------------------------

    def _join(self, device: DeviceId) -> list[Effect]:
        effects: list[Effect] = []
        if device not in self._active and len(self._active) >= ACTIVE:
            (gone,) = self._dice.sample(self.active, 1)
            effects = self._disconnect(gone)
            self.disconnected(gone)
        self._active[device] = None
        self._passive.pop(device, None)
        self._fill_wait = 0.0
        return effects

    def _disconnect(self, device: DeviceId) -> list[Effect]:
        peer = self._table.get(device)
        if peer is None:
            return []
        return [Send(Disconnect(self._config.device, self._scope), (peer.address(Binding.UDP),))]

    def _shuffle(self) -> list[Effect]:
        if not self._active:
            return []
        # In turn: each neighbour learns within five periods whether the link has two ends.
        device = next(iter(self._active))
        del self._active[device]
        self._active[device] = None
        peer = self._table.get(device)
        if peer is None:
            return []
        to = peer.address(Binding.UDP)
        some = self._some(1 + SHUFFLED_ACTIVE + SHUFFLED_PASSIVE, to)
        return [Send(Shuffle(self._config.device, self._scope, some, wants_reply=True), (to,))]

    def _some(self, most: int, to: Address) -> tuple[Peer, ...]:
        """This device first, as it is to be held at `to`, then some of both views."""
        active = [peer for device in self._active if (peer := self._table.get(device)) is not None]
        passive = [self._table.get(device) or hint for device, hint in self._passive.items()]
        drawn = self._dice.sample(active, min(len(active), SHUFFLED_ACTIVE))
        drawn += self._dice.sample(passive, min(len(passive), SHUFFLED_PASSIVE))
        return (self._own.towards(to), *drawn)[: max(most, 1)]

    def _is_up(self, device: DeviceId) -> bool:
        return self._table.is_proven(device) and not self._table.is_down(device)

    def _next_shuffle(self, now: Instant) -> float:
        return now.monotonic + self._config.shuffle_period * self._dice.uniform(0.5, 1.5)
