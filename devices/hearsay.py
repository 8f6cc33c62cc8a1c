"""What one device has heard of all energy links, and tells on: once a tick, to a few, in one message.

A statement is taken if its owner signed it, whoever brings it, and dated by this device's own clock: it comes with its
age. So whoever tells on can hold a statement back, or lie about its age, but not change it, and no two devices need
clocks that agree. Does not know what a statement is good for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from gossip_ws.kernel.errors import GossipError
from gossip_ws.kernel.names import ROUTING
from gossip_ws.kernel.terms import Budget, Tier, Wanted
from gossip_ws.ports import Clock, Gossip
from gossip_ws.routing.allowance import Allowance
from gossip_ws.routing.rumours import FANOUT, Rumours
from gossip_ws.routing.statement import Statement, decode, encode
from gossip_ws.security.keys import PrivateKey, PublicKey
from gossip_ws.services.routing import Said, gradients_element

GRADIENTS: Final = ROUTING + ":Gradients"
_CONTEXT: Final = b"gossip-ws gradients 1\n"
_SIGNATURE: Final = 64


def signed(statement: Statement, key: PrivateKey) -> bytes:
    """A statement as it travels: its octets, then the owner's signature."""
    octets = encode(statement)
    return octets + key.sign(_CONTEXT + octets)


class Hearsay:
    """`keys`: of every owner. `nodes`: how many tell on, owners among them. `scope`: what they all have.

    `fanout`: envelopes that the device may send in a tick, of all kinds: as many peers are told as membership and
    repair have left of it (`Allowance`).
    """

    def __init__(
        self, keys: Mapping[int, PublicKey], nodes: int, *, scope: str, clock: Clock, fanout: int = FANOUT
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._rumours: Rumours[tuple[bytes, float]] = Rumours(keys, nodes)
        self._scope = scope
        self._fanout = fanout
        self._tick = 1.0
        self._allowance: Allowance | None = None
        self.gossip: Gossip | None = None
        """By which it tells; to be set before it begins."""
        self.counters: Counter[str] = Counter()

    def heard(self, said: Sequence[Said]) -> list[tuple[Statement, float]]:
        """Those that are news, each with the monotonic time by the own clock when it was measured. What others said is
        kept to be told on, if its owner signed it."""
        now = self._clock.now().monotonic
        news = []
        for one in said:
            octets, signature = one.signed[:-_SIGNATURE], one.signed[-_SIGNATURE:]
            try:
                statement = decode(octets)
            except ValueError:
                self.counters["no statement"] += 1
                continue
            if not self._rumours.is_news(statement):
                self.counters["statements known or of nobody"] += 1
            elif not self._keys[statement.owner].verifies(signature, _CONTEXT + octets):
                self.counters["statements not signed by their owner"] += 1
            else:
                self._take(statement, one.signed, now - one.age)
                self.counters["statements taken"] += 1
                news.append((statement, now - one.age))
        return news

    def say(self, signed: bytes) -> None:
        """Tell an own statement, measured just now."""
        # As others will read it: who brings it back is then seen to have it.
        self._take(decode(signed[:-_SIGNATURE]), signed, self._clock.now().monotonic)
        self.counters["statements made"] += 1

    def begin(self, tick: float) -> None:
        """From now on ticks of `tick` s are counted, and what the device sends in them. Before that nobody is told."""
        if self.gossip is not None:
            self._tick = tick
            self._allowance = Allowance(self._fanout, self._clock.now().monotonic / tick, self.gossip.sent)

    def tell(self) -> None:
        """Once a tick: one message to some peers, if there is anything to tell and the tick has room for it."""
        gossip, allowance = self.gossip, self._allowance
        if gossip is None or allowance is None:
            return
        now = self._clock.now().monotonic
        peers = allowance.peers(now / self._tick, gossip.sent)
        if peers:
            self._tell(gossip, peers, now)
        allowance.close(gossip.sent)

    def _tell(self, gossip: Gossip, peers: int, now: float) -> None:
        said = [Said(now - at, signed) for signed, at in self._rumours.tell()]
        if not said:
            return
        budgets = tuple(Budget(tier, peers, 1) for tier in (Tier.WAN, Tier.FAN))
        try:
            gossip.originate(GRADIENTS, gradients_element(said), Wanted(scopes=(self._scope,), budgets=budgets))
            self.counters["statements told"] += len(said)
        except GossipError:
            # Too many at once, say. It is told in the next tick.
            self._rumours.take_back()
            self.counters["messages refused"] += 1

    def _take(self, statement: Statement, signed: bytes, at: float) -> None:
        self._rumours.take(statement, (signed, at))
