"""The neighbours of the adaptive variant: whom payloads go to at once, and who only hears of them.

They are those of the active views: links that stay, and that both ends know of. Links that bring duplicates turn lazy,
links by which a missed payload was fetched turn eager, so that a spanning tree emerges from the use of the links
(Plumtree: Leitao, Pereira, Rodrigues, 2007). It refuses to know messages: what a duplicate is, `push` says.
"""

from __future__ import annotations

from collections.abc import Callable

from gossip_ws.core.membership import Membership
from gossip_ws.core.peers import Peer, PeerTable
from gossip_ws.kernel.names import DeviceId


class Overlay:
    """Eager and lazy neighbours: a link is eager until it is pruned. As many as the active views hold."""

    def __init__(self, table: PeerTable, membership: Membership) -> None:
        self._table = table
        self._membership = membership
        self._pruned: set[DeviceId] = set()

    def __len__(self) -> int:
        return len(self._membership.active)

    def links(self, suits: Callable[[Peer], bool]) -> tuple[tuple[Peer, ...], tuple[Peer, ...]]:
        """(eager, lazy)."""
        active = self._membership.active
        self._pruned.intersection_update(active)
        found = [peer for device in active if (peer := self._table.get(device)) is not None and suits(peer)]
        eager = tuple(peer for peer in found if peer.device not in self._pruned)
        return eager, tuple(peer for peer in found if peer.device in self._pruned)

    def graft(self, device: DeviceId) -> None:
        """A payload was, or is to be, had by this link: make it eager."""
        self._pruned.discard(device)

    def prune(self, device: DeviceId) -> None:
        """The link brought a duplicate: make it lazy."""
        active = self._membership.active
        if device in active:
            self._pruned.add(device)
            self._pruned.intersection_update(active)
