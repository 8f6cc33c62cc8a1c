"""The neighbours of the adaptive variant: whom payloads go to at once, and who only hears of them.

Links that bring duplicates turn lazy, links by which a missed payload was fetched turn eager, so that a
spanning tree emerges from the use of the links (Plumtree: Leitao, Pereira, Rodrigues, 2007). It refuses to
know messages: what a duplicate is, `push` says.
"""

from __future__ import annotations

from collections.abc import Callable

from gossip_ws.core.peers import Peer, PeerTable, Relation
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.names import DeviceId

ACTIVE = 5
"""Links that a node chooses by itself; HyParView's active view. Others add about as many."""
MOST = 3 * ACTIVE
"""Links in all: who is chosen by more turns them away."""


class Overlay:
    """Eager and lazy neighbours among a node's equals. Stable: redundancy falls only over links that stay."""

    def __init__(self, table: PeerTable, dice: Dice) -> None:
        self._table = table
        self._dice = dice
        self._eager: dict[DeviceId, None] = {}
        self._lazy: dict[DeviceId, None] = {}

    def refresh(self) -> None:
        """Forget who left; choose more where there are fewer than `ACTIVE`."""
        for links in (self._eager, self._lazy):
            for device in [device for device in links if self._table.get(device) is None]:
                del links[device]
        lacking = ACTIVE - len(self._eager) - len(self._lazy)
        if lacking > 0:
            equals = self._table.related(Relation.EQUAL)
            for peer in self._dice.sample(equals, min(len(equals), ACTIVE + MOST)):
                if lacking > 0 and peer.device not in self._eager and peer.device not in self._lazy:
                    self._eager[peer.device] = None
                    lacking -= 1

    def eager(self, suits: Callable[[Peer], bool]) -> tuple[Peer, ...]:
        return self._peers(self._eager, suits)

    def lazy(self, suits: Callable[[Peer], bool]) -> tuple[Peer, ...]:
        return self._peers(self._lazy, suits)

    def graft(self, device: DeviceId) -> None:
        """A payload was, or is to be, had by this link: make it eager."""
        if device in self._lazy:
            del self._lazy[device]
        elif device in self._eager or len(self._eager) + len(self._lazy) >= MOST:
            return
        self._eager[device] = None

    def prune(self, device: DeviceId) -> None:
        """The link brought a duplicate: make it lazy. A stranger that chose us is taken up so: nobody else may
        ever have chosen it, and without a link it would hear of nothing."""
        if device in self._eager:
            del self._eager[device]
        elif device in self._lazy or len(self._eager) + len(self._lazy) >= MOST:
            return
        self._lazy[device] = None

    def _peers(self, links: dict[DeviceId, None], suits: Callable[[Peer], bool]) -> tuple[Peer, ...]:
        found = (self._table.get(device) for device in links)
        return tuple(peer for peer in found if peer is not None and suits(peer))
