"""Which message of its kind is in force: of one originator's messages about one thing, the one issued last.

A kind is an originator, an action, types and scopes, of messages whose terms say `latest`. It refuses to know
what a message means: whether a tariff's version is newer, its service says.
"""

from __future__ import annotations

from hashlib import sha256

from gossip_ws.core.messages import Content
from gossip_ws.kernel.names import GossipId
from gossip_ws.kernel.terms import Style

Rank = tuple[float, GossipId]
"""When it was issued (wall s); of two issued at once the greater id wins, at every device the same."""


class InForce:
    """The newest of each kind, remembered until nothing older can be unexpired. Full, it forgets the kind issued
    first, which is the next that time would have it forget."""

    def __init__(self, limit: int, max_lifetime: float) -> None:
        self._limit = limit
        self._max_lifetime = max_lifetime
        self._newest: dict[bytes, Rank] = {}

    def __len__(self) -> int:
        return len(self._newest)

    def is_superseded(self, content: Content) -> bool:
        """Is a newer one of its kind known here?"""
        if not self._newest or not _counts(content):
            return False
        newest = self._newest.get(_kind(content))
        return newest is not None and _rank(content) < newest

    def take(self, content: Content, wall: float) -> GossipId | None:
        """`content`, which is not superseded, is in force from now (`wall` s) on. Returns the one that it replaces."""
        if not _counts(content):
            return None
        kind = _kind(content)
        before = self._newest.get(kind)
        if before is None:
            self._make_room(wall)
        self._newest[kind] = _rank(content)
        return before[1] if before is not None else None

    def _make_room(self, wall: float) -> None:
        # What was issued before a message, and lives as long as it may, has expired by then.
        lapsed = [kind for kind, (issued, _) in self._newest.items() if issued + self._max_lifetime <= wall]
        for kind in lapsed:
            del self._newest[kind]
        while len(self._newest) >= self._limit:
            del self._newest[min(self._newest, key=self._newest.__getitem__)]


def _counts(content: Content) -> bool:
    # A request is over when it is answered; what supersedes another is a statement.
    return content.terms.latest and content.terms.style is Style.ONE_WAY


def _rank(content: Content) -> Rank:
    return content.terms.issued, content.id


def _kind(content: Content) -> bytes:
    """A digest: what a kind is made of may be long, what is remembered is not."""
    terms = content.terms
    named = (terms.originator, content.action, sorted(set(terms.types)), sorted(set(terms.scopes)))
    return sha256(repr(named).encode()).digest()
