"""Which messages were seen before: SOAP-over-UDP sends every message more than once."""

from __future__ import annotations

from gossip_ws.kernel.errors import LocalError


class RecentIds:
    """The last `limit` message ids; beyond that the oldest is forgotten."""

    __slots__ = ("_ids", "_limit")

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise LocalError("a memory of message ids holds at least one")
        self._limit = limit
        self._ids: dict[str, None] = {}

    def first_time(self, message_id: str) -> bool:
        """Remember it; False when it was remembered already. Being seen again does not make it younger."""
        if message_id in self._ids:
            return False
        if len(self._ids) >= self._limit:
            del self._ids[next(iter(self._ids))]
        self._ids[message_id] = None
        return True

    def __len__(self) -> int:
        return len(self._ids)
