"""The single replies that an entry client asked for and has not fetched yet, as the parts that it may ask for.

Bounded in octets and in answers; what has expired is forgotten. Knows who may fetch a part, refuses to know HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gossip_ws.core.replies import Replies, split
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.names import GossipId
from gossip_ws.ports import Caller, Clock
from gossip_ws.wire.replies import Part, write_part, write_replies

MAX_OCTETS: Final = 8 * 1024 * 1024
"""Of all answers together: two of the largest that a node gathers."""
MAX_ANSWERS: Final = 16


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asked, for which action. `signed`: the client's own signature let it, so no credentials are asked for."""

    action: str
    caller: Caller
    signed: bool


@dataclass(frozen=True, slots=True)
class Collection:
    """One answer. `bodies`: the parts in order, each one element; `report`: the header block about them all."""

    id: GossipId
    asker: Asker
    report: bytes
    bodies: tuple[bytes, ...]

    def part(self, number: int) -> tuple[bytes, bytes]:
        """(Body, header blocks) of one part, from 1. Raises RemoteError when there is none."""
        if not 1 <= number <= len(self.bodies):
            raise sender_fault("NoSuchPart", f"part {number} of {len(self.bodies)}")
        return self.bodies[number - 1], write_part(Part(self.id, number, len(self.bodies))) + self.report

    @property
    def octets(self) -> int:
        return sum(map(len, self.bodies))


class Collected:
    """The answers of one device."""

    def __init__(self, clock: Clock, max_part: int) -> None:
        self._clock = clock
        self._max_part = max_part
        self._held: dict[GossipId, Collection] = {}

    def __len__(self) -> int:
        return len(self._held)

    def keep(self, id: GossipId, asker: Asker, report: bytes, replies: Replies) -> Collection:
        """Until the request expires, or newer answers need the room. One part is not kept: it is the answer itself."""
        bodies = tuple(map(write_replies, split(replies.singles, self._max_part)))
        made = Collection(id, asker, report, bodies)
        if len(bodies) > 1:
            self._held[id] = made
            while len(self._held) > MAX_ANSWERS or sum(one.octets for one in self._held.values()) > MAX_OCTETS:
                del self._held[next(iter(self._held))]
            left = max(replies.expires - self._clock.now().wall, 0.0)
            self._clock.call_later(left, lambda: self._forget(id))
        return made

    def of(self, id: GossipId, caller: Caller) -> Collection:
        """For whoever asked, from the same host. Raises RemoteError: unknown, expired and another's look alike."""
        found = self._held.get(id)
        if found is None or found.asker.caller.source.host != caller.source.host:
            raise sender_fault("NoSuchReplies", "no replies by that id: unknown, expired, or not yours")
        return found

    def _forget(self, id: GossipId) -> None:
        self._held.pop(id, None)
