"""What the way to each peer costs, and peers chosen by it: gossip that shuns congested links.

The price of a way is its marginal delay: by how much one message more a second delays all. A device measures it alone,
by the round trips of Pings that it sends for nothing else. In an M/M/1 queue a message takes 1 / (c - y), and the
marginal delay c / (c - y)^2 is the square of that over 1 / c, what it takes when nothing else is on the way (seed 001
eq. (1a); `routing.cost`). So a price is the square of the round trip now over the least one known: s.

Nobody is shunned altogether. Of the copies of a message some go where they go whatever it costs: to those beside the
device on a ring, so that none is missed while no copy is lost, and to one by chance. What a device misses nevertheless
it asks for, more often than others do where its own link is congested.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gossip_ws.core.choice import Choice
from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import Effect, MeasureWays
from gossip_ws.core.introductions import NONCE_BITS
from gossip_ws.core.messages import Ack, Ping
from gossip_ws.core.peers import Peer, PeerTable, Relation, speaks_from
from gossip_ws.core.ring import Ring
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Send, SetTimer
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId

BY_CHANCE: Final = 1
"""Copies that a device sends to anybody, whatever it costs, besides those to the two beside it on the ring. So a device
gets three in the mean though all find the way to it dear; at a tenth lost, a push misses one such device in 250."""
FEWEST: Final = 4
"""Of a fanout of so many or fewer no copy is to spare: then a push goes by chance alone."""
LOOKED_AT: Final = 16
"""Peers that are looked at for each copy, to find so many cheap ones."""
LEAST_OF_ONE: Final = 1 / 4
"""The floor where one is chosen: halves of a network whose ways to one another are all dear still meet every fifth
time."""
TOLERATED: Final = 0.05
"""s: ways that cost no more are alike. A relay takes some 10 ms, and a busy one more."""
HALF_FULL: Final = 4.0
"""How much dearer than an idle link one is that is half full: c / (c - y)^2 over 1 / c."""
PATIENCE: Final = 1.0
"""s after which a Ping counts as lost; if it is answered later, that counts too."""
SHORTEST: Final = 1e-6
LONGEST: Final = 8.0
"""s: the shortest and the longest round trip that are believed. A coarse clock measures none at all, and a price is
over the least one."""
OPEN: Final = 64
"""Pings whose answers are waited for; the oldest makes room."""
_FORGIVEN: Final = 1 / 32
"""Share of the difference by which the least round trip follows the present one at each measurement: a way that has
become longer for good is not congested."""


@dataclass(slots=True)
class _Way:
    """Round trips in s: the present one, smoothed, and the least that it was."""

    now: float
    least: float

    @property
    def price(self) -> float:
        return self.now * self.now / self.least

    def measured(self, round_trip: float) -> None:
        """Half of what was known goes: measurements are rare, and congestion comes and goes between them."""
        self.now += (round_trip - self.now) / 2
        self.least = min(self.least + _FORGIVEN * (self.now - self.least), self.now)

    def missed(self) -> None:
        """No answer: a full queue drops, and so does bad weather. One loss is soon forgotten, several add up."""
        self.now = min(2 * self.now, LONGEST)


@dataclass(slots=True)
class _Open:
    """A Ping that is on its way, since when (monotonic s), and whether it counts as lost by now."""

    device: DeviceId
    since: float
    lost: bool = False


class Prices(Choice):
    """Measures one way every `price_period` s, of parents and equals in turn, and chooses by what was found.

    Receipts, digests and the Pings of `detector` measure nothing here: they are sent again before they are answered, by
    others too, or after work of their own. Bounded by the table: who leaves it is forgotten by the next turn.
    """

    def __init__(self, config: NodeConfig, table: PeerTable, dice: Dice) -> None:
        super().__init__(dice)
        self._config = config
        self._table = table
        self._ring = Ring(config.device)
        self._ways: dict[DeviceId, _Way] = {}
        self._open: dict[bytes, _Open] = {}
        self._due: list[Peer] = []
        self._reference: _Way | None = None

    def price(self, device: DeviceId) -> float | None:
        """The marginal delay of the way to a peer (s); None where nothing is known of it yet."""
        way = self._ways.get(device)
        return way.price if way is not None else None

    def weight(self, device: DeviceId) -> float:
        """What a peer weighs where no floor holds: 1 for the cheap and the unknown, less the more the way costs, in
        comparison to the way that a twentieth of all are cheaper than."""
        way = self._ways.get(device)
        if way is None:
            return 1.0
        return min(self._cheap.now / way.price, 1.0)

    # -- measuring -----------------------------------------------------------------------------

    def start(self) -> list[Effect]:
        return [SetTimer(MeasureWays(), self._config.price_period * self._dice.random())]

    def round(self, now: Instant) -> list[Effect]:
        again = SetTimer(MeasureWays(), self._config.price_period * self._dice.uniform(0.8, 1.2))
        for open_ in self._open.values():
            if now.monotonic - open_.since > PATIENCE:
                self._lose(open_)
        peer = self._next()
        if peer is None:
            return [again]
        while len(self._open) >= OPEN:
            self._lose(self._open.pop(next(iter(self._open))))
        nonce = self._dice.getrandbits(NONCE_BITS).to_bytes(NONCE_BITS // 8, "big")
        self._open[nonce] = _Open(peer.device, now.monotonic)
        return [again, Send(Ping(self._config.device, nonce), (peer.address(Binding.UDP),))]

    def acked(self, ack: Ack, source: Address, now: Instant) -> Peer | None:
        open_ = self._open.get(ack.nonce)
        peer = self._table.get(ack.sender)
        if open_ is None or open_.device != ack.sender or peer is None or not speaks_from(peer, source):
            return None
        del self._open[ack.nonce]
        took = min(max(now.monotonic - open_.since, SHORTEST), LONGEST)
        way = self._ways.setdefault(ack.sender, _Way(took, took))
        way.measured(took)
        self._reference = None
        return peer

    def _lose(self, open_: _Open) -> None:
        if not open_.lost:
            open_.lost = True
            self._ways.setdefault(open_.device, _Way(PATIENCE / 2, PATIENCE / 2)).missed()
            self._reference = None

    def _next(self) -> Peer | None:
        """Everybody once in an order by chance, then in another. None: there is nobody."""
        if not self._due:
            everybody = self._table.up(Relation.PARENT) + self._table.up(Relation.EQUAL)
            self._ways = {peer.device: way for peer in everybody if (way := self._ways.get(peer.device))}
            self._reference = None
            self._due = self._dice.sample(everybody, len(everybody))
        while self._due:
            peer = self._table.get(self._due.pop().device)
            if peer is not None and not self._table.is_down(peer.device):
                return peer
        return None

    # -- choosing ------------------------------------------------------------------------------

    @property
    def _cheap(self) -> _Way:
        """What a twentieth of the ways are cheaper than: their prices as of now, and when nothing else was on the way.
        Not the very cheapest, which may be so by luck; and an area that is small beside all others still tells its ways
        out, which are dear, from its own link, which is not."""
        if self._reference is None:
            few = len(self._ways) // 20
            prices = sorted(way.price for way in self._ways.values())
            idle = sorted(way.least for way in self._ways.values())
            self._reference = _Way(*(max(of[few], TOLERATED) if of else TOLERATED for of in (prices, idle)))
        return self._reference

    @property
    def ease(self) -> float:
        """1, and less where even the cheap ways are much dearer than they were: then it is this device's own link that
        is congested."""
        return min(HALF_FULL * self._cheap.least / self._cheap.now, 1.0)

    def patience(self) -> float:
        # Others find the way to here dear as well, and spare this device copies: what it misses, it asks for.
        return max(self.ease, LEAST_OF_ONE)

    def sample(self, peers: Sequence[Peer], fanout: int, exclude: DeviceId) -> list[Peer]:
        """Distinct peers: those beside this device on the ring, `BY_CHANCE` drawn from all alike, and the rest by
        weight. No more than `fanout`; fewer where even the cheap ways are dearer than they were, or few are cheap.

        One after the other is drawn, everybody alike, and taken with the probability of its weight: among many this is
        drawing by weight without replacement. Keys for all (Efraimidis and Spirakis) are that among few as well, but
        take a look at each of a thousand peers for each message.
        """
        if fanout <= FEWEST:
            return super().sample(peers, fanout, exclude)
        # Over the own link goes every copy; others, whose links are cheaper, pass the message on too.
        fanout = max(round(fanout * self.ease), FEWEST)
        beside = self._ring.beside(peers)
        taken = [peer for peer in beside if peer.device != exclude]
        passed_over = []
        by_chance = BY_CHANCE
        for peer in self._shuffled(peers, LOOKED_AT * fanout):
            if len(taken) == fanout:
                break
            if peer.device == exclude or peer in beside:
                continue
            if by_chance:
                by_chance -= 1
                taken.append(peer)
            elif self._dice.random() < self.weight(peer.device):
                taken.append(peer)
            else:
                passed_over.append(peer)
        return [*taken, *passed_over[: max(FEWEST - len(taken), 0)]]

    def _shuffled(self, peers: Sequence[Peer], most: int) -> Iterator[Peer]:
        """All in an order by chance, at most so many. Each is drawn when it is asked for (Fisher and Yates): mostly
        the first ones will do."""
        moved: dict[int, int] = {}
        for number in range(min(len(peers), most)):
            other = number + int(self._dice.random() * (len(peers) - number))
            yield peers[moved.get(other, other)]
            moved[other] = moved.get(number, number)

    def one(self, peers: Sequence[Peer]) -> Peer:
        drawn = self._dice.sample(peers, min(len(peers), round(1 / LEAST_OF_ONE)))
        for peer in drawn:
            if self._dice.random() < max(self.weight(peer.device), LEAST_OF_ONE):
                return peer
        return drawn[0]

    def in_turn(self, devices: Sequence[DeviceId]) -> Sequence[DeviceId]:
        """The cheapest first; of those that are alike, who is asked first without prices."""
        return sorted(devices, key=self.weight, reverse=True)
