"""Which messages a node has had, and the few it keeps whole for those that missed them. Both bounded."""

from __future__ import annotations

import heapq
from typing import NamedTuple

from gossip_ws.core.messages import Content
from gossip_ws.kernel.names import GossipId
from gossip_ws.kernel.terms import Priority


class Seen:
    """Ids of checked messages until they expire. Full, it forgets the one that expires first: that one
    stays harmful for the shortest time, should it be replayed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.ids: set[GossipId] = set()
        """To look into, without a call: it is done for every frame that comes."""
        self._heads: set[bytes] = set()
        self._refused: set[GossipId] = set()
        self._by_expiry: list[tuple[float, GossipId]] = []

    def __contains__(self, id: GossipId) -> bool:
        return id in self.ids

    def __len__(self) -> int:
        return len(self.ids)

    def has_head(self, head: bytes) -> bool:
        """Is one of the ids known by its first 8 octets?"""
        return head in self._heads

    def refuse(self, id: GossipId) -> None:
        """The service here did not accept what came. Only of an id that is remembered, so it is bounded with them."""
        if id in self.ids:
            self._refused.add(id)

    def is_refused(self, id: GossipId) -> bool:
        return id in self._refused

    def add(self, id: GossipId, expires: float, wall: float) -> None:
        """Remember `id` until `expires`; forget what has expired at `wall` (both wall s)."""
        while self._by_expiry and (self._by_expiry[0][0] <= wall or len(self.ids) >= self._limit):
            gone = heapq.heappop(self._by_expiry)[1]
            self.ids.discard(gone)
            self._refused.discard(gone)
            self._heads.discard(gone[:8])
        self.ids.add(id)
        self._heads.add(id[:8])
        heapq.heappush(self._by_expiry, (expires, id))


class Kept(NamedTuple):
    """A message held for repair. `age` (s) was its age on arrival at `since` (monotonic s); `rounds` and `hops`
    are those of the hop header it goes on with."""

    content: Content
    age: float
    since: float
    rounds: int = 0
    hops: int = 1

    @property
    def octets(self) -> int:
        return len(self.content.sealed) + len(self.content.body)


class Recent:
    """The latest messages, whole, for peers that ask for news: at most `limit`, of `octets`. Of the class that takes up
    most, the oldest makes room: a flood of bulk pushes out bulk. What is in force is spared for as long as it
    takes up no more than half: who joins late needs it, however much was said since."""

    def __init__(self, limit: int, octets: int) -> None:
        self._limit = limit
        self._most_octets = octets
        self._kept: dict[GossipId, Kept] = {}
        self._octets = 0
        # By class, None for what is in force, each in order of arrival: who makes room is found without a search.
        self._lanes: dict[Priority | None, dict[GossipId, None]] = {lane: {} for lane in (None, *Priority)}
        self._taken = dict.fromkeys(Priority, 0)

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, kept: Kept) -> None:
        while self._kept and (len(self._kept) >= self._limit or self._octets + kept.octets > self._most_octets):
            self.forget(self._least_needed())
        self._kept[kept.content.id] = kept
        self._charge(kept, kept.octets)
        self._lanes[_lane(kept)][kept.content.id] = None

    def forget(self, id: GossipId) -> None:
        """It is not given to anybody any more: superseded, or to make room."""
        gone = self._kept.pop(id, None)
        if gone is not None:
            self._charge(gone, -gone.octets)
            del self._lanes[_lane(gone)][id]

    def unexpired(self, wall: float) -> tuple[Kept, ...]:
        """All that may still spread; the expired are dropped on the way."""
        for id in [id for id, kept in self._kept.items() if kept.content.terms.expires <= wall]:
            self.forget(id)
        return tuple(self._kept.values())

    def get(self, id: GossipId) -> Kept | None:
        return self._kept.get(id)

    def _least_needed(self) -> GossipId:
        in_force = self._lanes[None]
        if len(in_force) > self._limit // 2 or len(in_force) == len(self._kept):
            return next(iter(in_force))
        waiting = [priority for priority in Priority if self._lanes[priority]]
        most = max(waiting, key=lambda priority: (self._taken[priority], priority))
        return next(iter(self._lanes[most]))

    def _charge(self, kept: Kept, octets: int) -> None:
        self._octets += octets
        lane = _lane(kept)
        if lane is not None:
            self._taken[lane] += octets


def _lane(kept: Kept) -> Priority | None:
    return None if kept.content.terms.latest else kept.content.terms.priority
