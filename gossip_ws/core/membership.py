"""Who is there and who is not: the views of each scope, and what follows when somebody dies or comes back.

A death changes nothing but what this device does itself. Refuses to know what is gossiped, and makes and checks no
signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.detector import Detector
from gossip_ws.core.effects import Effect, KeepViews, LookAgain
from gossip_ws.core.introductions import Introductions
from gossip_ws.core.messages import (
    Ack,
    Alive,
    Disconnect,
    MembershipMessage,
    Neighbor,
    NeighborReply,
    PingRequest,
    Shuffle,
    Suspect,
)
from gossip_ws.core.own import Own
from gossip_ws.core.peers import Peer, PeerTable, Relation, speaks_from
from gossip_ws.core.views import View
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.allowance import Allowance
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId
from gossip_ws.kernel.terms import Tier

LOST = 30
"""The dead that are pinged now and then; the oldest makes room. As many as a passive view holds."""
LOST_EACH = 5
"""Rounds between two pings of the dead, one of them at random: this merges a partition that has healed."""
MAX_JUMP = 1_000
"""How far ahead of the held one an incarnation may be. A device raises it by one, at most once a second."""
_REFUTE_EACH = 1.0
_ACCUSED_RATE = 8.0
_ACCUSED_BURST = 32
"""Looks that others' accusations cause, in the long run and at once."""
_INTRODUCED_RATE = 16.0
_INTRODUCED_BURST = 64
"""Strangers' addresses that are pinged: each Ping is smaller than what asked for it, and they are few."""


Consequence = Callable[[Peer, Instant], list[Effect]]


class Membership:
    """Keeps the views of one device and watches its neighbours. `died`, `returned`: what else follows from it."""

    def __init__(
        self, config: NodeConfig, table: PeerTable, dice: Dice, own: Own, died: Consequence, returned: Consequence
    ) -> None:
        self._config = config
        self._table = table
        self._dice = dice
        self._own = own
        self._died = died
        self._returned = returned
        self._introductions = Introductions(config, table, dice)
        self._detector = Detector(config, table, dice)
        # An appliance has no equals that it speaks to.
        scopes = () if config.own_tier is Tier.HAN else config.view_scopes
        self._views = {scope: View(config, scope, table, dice, own, self._introductions) for scope in scopes}
        self._lost: dict[DeviceId, Peer] = {}
        self._accused = Allowance(_ACCUSED_RATE, _ACCUSED_BURST)
        self._introduced = Allowance(_INTRODUCED_RATE, _INTRODUCED_BURST)
        self._rounds = 0
        self._refuted_at = float("-inf")

    @property
    def watched(self) -> set[DeviceId]:
        """Those whose signs of life are waited for, besides the dead."""
        return self._detector.watched

    @property
    def views(self) -> tuple[View, ...]:
        return tuple(self._views.values())

    @property
    def active(self) -> tuple[DeviceId, ...]:
        """Everybody in an active view."""
        found: dict[DeviceId, None] = {}
        for view in self._views.values():
            found.update(dict.fromkeys(view.active))
        return tuple(found)

    # -- from time to time ---------------------------------------------------------------------

    def start(self, now: Instant) -> list[Effect]:
        for view in self._views.values():
            view.start(now)
        # The first one early: without a view nothing spreads by the adaptive variant.
        return [SetTimer(KeepViews(), self._config.probe_period * self._dice.random())] if self._views else []

    def farewell(self) -> list[Effect]:
        """The device is about to go down."""
        return [effect for view in self._views.values() for effect in view.farewell()]

    def round(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = [SetTimer(KeepViews(), self._config.probe_period * self._dice.uniform(0.8, 1.2))]
        for view in self._views.values():
            effects += view.round(now)
        effects += self._detector.round(self.active, now)
        self._rounds += 1
        if self._lost and self._rounds % LOST_EACH == 0:
            (device,) = self._dice.sample(tuple(self._lost), 1)
            effects += self._introductions.ping(self._lost[device])
        return effects

    def look(self, silent: Iterable[Peer], now: Instant) -> list[Effect]:
        """These owe an answer: each is found dead, or shows life. Nobody without views looks."""
        effects: list[Effect] = []
        for peer in silent if self._views else ():
            if not self._detector.is_suspicious(peer.device) and not self._detector.lately(peer.device, now):
                effects += self._detector.look(peer, self._helpers(peer))
        return effects

    def look_again(self, timer: LookAgain, now: Instant) -> list[Effect]:
        peer = self._detector.becomes_suspect(timer)
        accusation = self._accuse(peer) if peer is not None else []
        effects = self._detector.again(timer)
        if effects is not None:
            return [*accusation, *effects]
        dead = self._table.get(timer.device)
        if dead is None:
            return []
        self._table.mark_down(dead.device)
        for view in self._views.values():
            view.leave(dead.device)
        while len(self._lost) >= LOST:
            del self._lost[next(iter(self._lost))]
        self._lost[dead.device] = dead
        return self._died(dead, now)

    # -- life ----------------------------------------------------------------------------------

    def heard(self, sender: DeviceId, source: Address, now: Instant) -> list[Effect]:
        """A message came of one that is watched or down: from its registered address it is a sign of life."""
        peer = self._table.get(sender)
        return self.alive(peer, now) if peer is not None and speaks_from(peer, source) else []

    def alive(self, peer: Peer, now: Instant) -> list[Effect]:
        """It has shown life."""
        self._detector.heard(peer.device, now)
        self._lost.pop(peer.device, None)
        if not self._table.is_down(peer.device):
            return []
        self._table.lift(peer.device)
        reunion = [effect for view in self._views.values() for effect in view.reunite(peer, now)]
        return [*reunion, *self._returned(peer, now)]

    def acked(self, ack: Ack, source: Address, now: Instant) -> list[Effect] | None:
        """None: it answers no Ping of membership."""
        passed_on = self._detector.helped(ack, source)
        if passed_on is not None:
            return passed_on
        met = self._table.get(ack.sender) if self._detector.met(ack) else self._introductions.met(ack, source, now)
        return self.alive(met, now) if met is not None else None

    # -- messages ------------------------------------------------------------------------------

    def receive(self, message: MembershipMessage, source: Address, now: Instant) -> list[Effect]:
        """One message from `source`."""
        sender = self._table.get(message.sender)
        if isinstance(message, Alive):
            return self._refuted(message, sender, source, now)
        if sender is None or not speaks_from(sender, source):
            return self._stranger(message, source, now) if isinstance(message, Neighbor) else [_UNKNOWN]
        match message:
            case PingRequest():
                return self._detector.help(message, sender, now)
            case Suspect():
                return self._suspect(message, sender, now)
            case Neighbor() | NeighborReply() | Disconnect() | Shuffle():
                view = self._views.get(message.scope)
                if view is None or not view.suits(sender):
                    return [Dropped("no such view")]
                return self._view(view, message, sender)

    def _view(self, view: View, message: Neighbor | NeighborReply | Disconnect | Shuffle, sender: Peer) -> list[Effect]:
        match message:
            case Neighbor():
                return view.neighbor(message, sender)
            case NeighborReply():
                return view.replied(message)
            case Disconnect():
                view.disconnected(message.sender)
                return []
            case Shuffle():
                return view.shuffled(message, sender)

    def _stranger(self, message: Neighbor, source: Address, now: Instant) -> list[Effect]:
        """It is pinged where it says it is reached, and answered when it asks again: by then it is proved, or not."""
        peer, view = message.peer, self._views.get(message.scope)
        sound = self._introductions.is_sound(peer) and peer.device == message.sender
        if view is None or not sound or not view.suits(peer) or not speaks_from(peer, source):
            return [Dropped("no such view")]
        if self._introduced.is_spent(now.monotonic):
            return [Dropped("too many strangers")]
        self._introduced.spend()
        return self._introductions.ping(peer)

    def _suspect(self, message: Suspect, sender: Peer, now: Instant) -> list[Effect]:
        """Somebody is accused. Of whom this device is to know the truth, it finds out by itself."""
        if message.about == self._config.device:
            return self._refute(message, sender, now)
        peer = self._table.get(message.about)
        if peer is None or self._table.is_down(peer.device):
            return [Dropped("suspicion of nobody here")]
        if peer.device in self.active:
            helpers = self._helpers(peer)
        elif self._table.relation_of(peer) is Relation.CHILD:
            children = self._table.up(Relation.CHILD)
            helpers = self._dice.sample(children, min(len(children), 8))
        else:
            return [Dropped("suspicion of nobody here")]
        if self._detector.is_suspicious(peer.device) or self._detector.lately(peer.device, now):
            return []
        if self._accused.is_spent(now.monotonic):
            return [Dropped("too many suspicions")]
        self._accused.spend()
        return self._detector.look(peer, [helper for helper in helpers if helper.device != peer.device])

    def _refute(self, message: Suspect, sender: Peer, now: Instant) -> list[Effect]:
        """I am suspected: say that I live, newer than what the accuser holds."""
        to = [sender]
        if now.monotonic - self._refuted_at >= _REFUTE_EACH:
            self._refuted_at = now.monotonic
            if message.incarnation >= self._own.incarnation:
                self._own.incarnation += 1
            to += [peer for peer in self._witnesses() if peer.device != sender.device]
        alive = Alive(self._config.device, self._own.incarnation)
        return [Send(alive, tuple(peer.address(Binding.UDP) for peer in to))]

    def _refuted(self, message: Alive, peer: Peer | None, source: Address, now: Instant) -> list[Effect]:
        """The subject says that it lives. Its own address has been taken for life before; what counts here is that
        it is newer, and, from elsewhere, that it is signed."""
        # Whoever has a key signs, and the endpoint has checked it; of all others only the address can be told.
        if peer is None or not (message.signature is not None if peer.key else speaks_from(peer, source)):
            return [_UNKNOWN]
        if message.incarnation <= peer.incarnation:
            return [Dropped("life of old")]
        if message.incarnation > peer.incarnation + MAX_JUMP:
            return [Dropped("incarnation too far ahead")]
        self._table.renew(peer.device, message.incarnation)
        return self.alive(peer, now)

    # -- small steps ---------------------------------------------------------------------------

    def _helpers(self, peer: Peer) -> list[Peer]:
        """The other neighbours: they may reach whom this device does not."""
        held = (self._table.get(device) for device in self.active if device != peer.device)
        return [one for one in held if one is not None]

    def _accuse(self, peer: Peer) -> list[Effect]:
        """Tell the suspect, so that it can answer, and those who may hold it, so that they look."""
        message = Suspect(self._config.device, peer.device, peer.incarnation)
        others = [other for other in self._witnesses() if other.device != peer.device]
        return [Send(message, tuple(one.address(Binding.UDP) for one in (peer, *others)))]

    def _witnesses(self) -> list[Peer]:
        """The active neighbours and the parents."""
        active = [peer for device in self.active if (peer := self._table.get(device)) is not None]
        return active + [p for p in self._table.related(Relation.PARENT) if p not in active]


_UNKNOWN = Dropped("unknown sender")
