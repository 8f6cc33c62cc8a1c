"""Who is dead: neighbours that are silent are pinged, directly and through others, and suspected before they are given
up (SWIM: Das, Gupta, Motivala, 2002).

SWIM spreads what one member found and lets all believe it. Here nobody believes an accusation: every neighbour of the
dead finds out by itself. Refuses to know what a death is for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import Effect, LookAgain
from gossip_ws.core.introductions import NONCE_BITS
from gossip_ws.core.messages import Ack, Ping, PingRequest
from gossip_ws.core.peers import Peer, PeerTable
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.allowance import Allowance
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId

LOOKS = 16
"""Peers that are looked at, at once: three times as many as there are neighbours."""
OVER = 64
"""Looks that have ended and whose late answers are known for such; the oldest makes room."""
HELPERS = 3
"""Others that are asked to ping whoever did not answer; SWIM's k."""
PING_GAP = 0.08
"""Seconds between two pings of a suspect."""
HELP_EACH = 4
"""Every so many pings of a suspect one more helper is asked."""
HELPED = 64
"""Pings on others' behalf whose answers are waited for; the oldest makes room."""
HELP_RATE = 32.0
"""Pings a second on others' behalf: a neighbour whose neighbours all died asks for 16."""
_SUSPECT = 2
"""The attempt of a look with which suspicion begins."""


@dataclass(slots=True)
class _Look:
    """One peer that is being looked at. All pings have one nonce: an answer to any of them will do."""

    peer: Peer
    nonce: bytes
    helpers: tuple[Peer, ...]


@dataclass(frozen=True, slots=True)
class _Help:
    """A ping on somebody's behalf: where its Ack goes, with which nonce."""

    asker: Address
    nonce: bytes
    about: DeviceId
    at: Address


class Detector:
    """Looks at the silent, and helps others to."""

    def __init__(self, config: NodeConfig, table: PeerTable, dice: Dice) -> None:
        self._config = config
        self._table = table
        self._dice = dice
        self._heard: dict[DeviceId, float] = {}
        self._looks: dict[DeviceId, _Look] = {}
        self.watched: set[DeviceId] = set()
        """The neighbours and who is looked at: to look into, without a call, for every message that comes."""
        self._over: dict[DeviceId, bytes] = {}
        self._helped: dict[bytes, _Help] = {}
        self._help = Allowance(HELP_RATE, HELPED)
        self._pings = max(int(config.suspicion / PING_GAP), 1)

    def is_suspicious(self, device: DeviceId) -> bool:
        """Is it being looked at?"""
        return device in self._looks

    def heard(self, device: DeviceId, now: Instant) -> None:
        """It has shown life: nothing is wrong with it."""
        look = self._looks.pop(device, None)
        if look is not None:
            # More answers may come: they are none to a challenge.
            self._over.pop(device, None)
            while len(self._over) >= OVER:
                del self._over[next(iter(self._over))]
            self._over[device] = look.nonce
        if device in self._heard:
            self._heard[device] = now.monotonic
        else:
            self.watched.discard(device)

    def lately(self, device: DeviceId, now: Instant) -> bool:
        """Was it heard within the last period?"""
        return now.monotonic - self._heard.get(device, float("-inf")) < self._config.probe_period

    def forget(self, device: DeviceId) -> None:
        """It is no neighbour any more, or dead."""
        self._heard.pop(device, None)
        self._looks.pop(device, None)
        self.watched.discard(device)

    def round(self, neighbours: Collection[DeviceId], now: Instant) -> list[Effect]:
        """Look at the neighbour that has been silent for longest, if for long: a link needs one ping for both ends."""
        for device in [device for device in self._heard if device not in neighbours]:
            del self._heard[device]
            if device not in self._looks:
                self.watched.discard(device)
        self.watched.update(neighbours)
        for device in neighbours:
            since = self._heard.setdefault(device, now.monotonic)
            # Who answers stays held, registered here or not.
            self._table.extend(device, since + 2 * self._config.peers_max_age)
        silent = [device for device in self._heard if device not in self._looks]
        longest = min(silent, key=self._heard.__getitem__, default=None)
        if longest is None or now.monotonic - self._heard[longest] < self._config.probe_quiet:
            return []
        peer = self._table.get(longest)
        return self.look(peer, self._others(longest)) if peer is not None else []

    def look(self, peer: Peer, helpers: Sequence[Peer]) -> list[Effect]:
        """Ping it, and go on from there until it shows life or is dead. `helpers`: who may be asked to ping it."""
        if len(self._looks) >= LOOKS:
            return [Dropped("too many suspicions")]
        nonce = self._nonce()
        self.watched.add(peer.device)
        self._looks[peer.device] = _Look(peer, nonce, tuple(self._dice.sample(helpers, len(helpers))))
        return [self._ping(self._looks[peer.device]), self._later(peer.device, nonce, 1, self._config.probe_timeout)]

    def again(self, timer: LookAgain) -> list[Effect] | None:
        """Another ping, by other ways too. None: nothing has answered, it is dead."""
        look = self._looks.get(timer.device)
        if look is None or look.nonce != timer.nonce:
            return []
        turn = timer.attempt - _SUSPECT
        if turn >= self._pings:
            self.forget(timer.device)
            return None
        if turn < 0:
            wait = self._config.probe_period - self._config.probe_timeout
            helpers = look.helpers[:HELPERS]
        else:
            wait = PING_GAP
            helpers = (look.helpers[turn // HELP_EACH % len(look.helpers)],) if self._in_turn(look, turn) else ()
        effects: list[Effect] = [self._ping(look)]
        if helpers:
            request = PingRequest(self._config.device, look.nonce, timer.device, look.peer.address(Binding.UDP))
            effects.append(Send(request, tuple(helper.address(Binding.UDP) for helper in helpers)))
        return [*effects, self._later(timer.device, look.nonce, timer.attempt + 1, wait)]

    def becomes_suspect(self, timer: LookAgain) -> Peer | None:
        """The peer, when suspicion of it begins with this timer: it and others are to be told."""
        look = self._looks.get(timer.device)
        begins = look is not None and look.nonce == timer.nonce and timer.attempt == _SUSPECT
        return look.peer if look is not None and begins else None

    def met(self, ack: Ack) -> bool:
        """Is it the answer to a ping of ours, directly or through a helper?"""
        look = self._looks.get(ack.sender)
        return ack.nonce == (look.nonce if look is not None else self._over.get(ack.sender))

    # -- for others ----------------------------------------------------------------------------

    def help(self, request: PingRequest, asker: Peer, now: Instant) -> list[Effect]:
        """A proved peer cannot reach somebody: try. Where the table has an address of its own, that one is pinged."""
        known = self._table.get(request.about)
        at = known.address(Binding.UDP) if known is not None else request.address
        if request.about == self._config.device or at.binding is not Binding.UDP:
            return [Dropped("ping of nobody")]
        if self._help.is_spent(now.monotonic):
            return [Dropped("too many pings for others")]
        self._help.spend()
        while len(self._helped) >= HELPED:
            del self._helped[next(iter(self._helped))]
        nonce = self._nonce()
        self._helped[nonce] = _Help(asker.address(Binding.UDP), request.nonce, request.about, at)
        return [Send(Ping(self._config.device, nonce), (at,))]

    def helped(self, ack: Ack, source: Address) -> list[Effect] | None:
        """Pass on the answer to a ping for somebody else. None: it is none."""
        helped = self._helped.get(ack.nonce)
        if helped is None or helped.about != ack.sender or helped.at.host != source.host:
            return None
        del self._helped[ack.nonce]
        return [Send(Ack(ack.sender, helped.nonce, ack.incarnation), (helped.asker,))]

    # -- small steps ---------------------------------------------------------------------------

    def _others(self, device: DeviceId) -> list[Peer]:
        """The other neighbours: they know this device, so they answer it."""
        others = (self._table.get(other) for other in self._heard if other != device and other not in self._looks)
        return [peer for peer in others if peer is not None]

    def _in_turn(self, look: _Look, turn: int) -> bool:
        return bool(look.helpers) and turn % HELP_EACH == 0

    def _ping(self, look: _Look) -> Send:
        return Send(Ping(self._config.device, look.nonce), (look.peer.address(Binding.UDP),))

    def _later(self, device: DeviceId, nonce: bytes, attempt: int, wait: float) -> SetTimer:
        return SetTimer(LookAgain(device, nonce, attempt), wait)

    def _nonce(self) -> bytes:
        return self._dice.getrandbits(NONCE_BITS).to_bytes(NONCE_BITS // 8, "big")
