"""Which messages a node has had, and the few it keeps whole for those that missed them. Both bounded."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from gossip_ws.core.messages import Content
from gossip_ws.kernel.names import GossipId


class Seen:
    """Ids of checked messages until they expire. Full, it forgets the one that expires first: that one
    stays harmful for the shortest time, should it be replayed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: set[GossipId] = set()
        self._heads: set[bytes] = set()
        self._refused: set[GossipId] = set()
        self._by_expiry: list[tuple[float, GossipId]] = []

    def __contains__(self, id: GossipId) -> bool:
        return id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def has_head(self, head: bytes) -> bool:
        """Is one of the ids known by its first 8 octets?"""
        return head in self._heads

    def refuse(self, id: GossipId) -> None:
        """The service here did not accept what came. Only of an id that is remembered, so it is bounded with them."""
        if id in self._ids:
            self._refused.add(id)

    def is_refused(self, id: GossipId) -> bool:
        return id in self._refused

    def add(self, id: GossipId, expires: float, wall: float) -> None:
        """Remember `id` until `expires`; forget what has expired at `wall` (both wall s)."""
        while self._by_expiry and (self._by_expiry[0][0] <= wall or len(self._ids) >= self._limit):
            gone = heapq.heappop(self._by_expiry)[1]
            self._ids.discard(gone)
            self._refused.discard(gone)
            self._heads.discard(gone[:8])
        self._ids.add(id)
        self._heads.add(id[:8])
        heapq.heappush(self._by_expiry, (expires, id))


@dataclass(frozen=True, slots=True)
class Kept:
    """A message held for repair. `age` (s) was its age on arrival at `since` (monotonic s); `rounds` and `hops`
    are those of the hop header it goes on with."""

    content: Content
    age: float
    since: float
    rounds: int = 0
    hops: int = 1


class Recent:
    """The latest messages, whole, for peers that ask for news. The oldest makes room; what is in force is spared for
    as long as it takes up no more than half: who joins late needs it, however much was said since."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[GossipId, Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, kept: Kept) -> None:
        while len(self._kept) >= self._limit:
            del self._kept[self._oldest()]
        self._kept[kept.content.id] = kept

    def forget(self, id: GossipId) -> None:
        """It was superseded: it is not given to anybody any more."""
        self._kept.pop(id, None)

    def unexpired(self, wall: float) -> tuple[Kept, ...]:
        """All that may still spread; the expired are dropped on the way."""
        for id in [id for id, kept in self._kept.items() if kept.content.terms.expires <= wall]:
            del self._kept[id]
        return tuple(self._kept.values())

    def get(self, id: GossipId) -> Kept | None:
        return self._kept.get(id)

    def _oldest(self) -> GossipId:
        in_force = [id for id, kept in self._kept.items() if kept.content.terms.latest]
        if len(in_force) > self._limit // 2:
            return in_force[0]
        return next(id for id, kept in self._kept.items() if not kept.content.terms.latest)
