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
    repair have left of it, and half of it whatever they have.
    """

    def __init__(
        self, keys: Mapping[int, PublicKey], nodes: int, *, scope: str, clock: Clock, fanout: int = FANOUT
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._rumours: Rumours[tuple[bytes, float]] = Rumours(keys, nodes)
        self._scope = scope
        self._fanout = fanout
        self._free = fanout
        self._sent: int | None = None
        self.gossip: Gossip | None = None
        """By which it tells; until it is set, nobody is told."""
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

    def tell(self) -> None:
        """Once a tick: one message to some peers, if there is anything to tell."""
        if self.gossip is None:
            return
        fanout = self._affordable(self.gossip)
        now = self._clock.now().monotonic
        said = [Said(now - at, signed) for signed, at in self._rumours.tell()]
        if not said:
            return
        budgets = tuple(Budget(tier, fanout, 1) for tier in (Tier.WAN, Tier.FAN))
        try:
            self.gossip.originate(GRADIENTS, gradients_element(said), Wanted(scopes=(self._scope,), budgets=budgets))
            self.counters["statements told"] += len(said)
        except GossipError:
            # Too many at once, say. It is told in the next tick.
            self._rumours.take_back()
            self.counters["messages refused"] += 1

    def _affordable(self, gossip: Gossip) -> int:
        """Peers that this tick has room for. What went beyond the last one is made up for; what it spared is not."""
        if self._sent is not None:
            self._free += self._fanout - (gossip.sent - self._sent)
        # An operator who asks a whole grid costs a device more than a tick's, and shall not silence it for long.
        self._free = max(-self._fanout, min(self._fanout, self._free))
        self._sent = gossip.sent
        return max(self._free, (self._fanout + 1) // 2)

    def _take(self, statement: Statement, signed: bytes, at: float) -> None:
        self._rumours.take(statement, (signed, at))
