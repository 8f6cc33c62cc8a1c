"""What the owner of some links says of all of them at one moment, and when that is worth saying.

A statement is what spreads: numbered by its owner, the later one replaces the earlier. It has one form in octets, over
which its owner signs, so that whoever passes it on cannot change it. Knows no key, no clock and nobody to tell.

The octets, big-endian: owner (two), seq (eight), number of links (one), and for each link its other end (two),
capacity and load in kb (IEEE 754 single, four each), the number of its sources (two) and its price (single, four).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from struct import Struct
from typing import Final

from gossip_ws.routing.instance import MOST_KB, MOST_NODES
from gossip_ws.routing.peer import GradientReport

MOST_LINKS: Final = 64
"""That leave one node."""
CHANGED: Final = 0.01
"""Share of its capacity by which a link's load has to change for its owner to say so at once."""
WEIGHT: Final = 0.1
"""A price that has changed by a tenth is worth saying as a load that has by a hundredth of the capacity."""
KEEP: Final = 10
"""Ticks after which all is said again though nothing has changed: somebody may have missed it, or be new."""
_HEAD: Final = Struct(">HQB")
_LINK: Final = Struct(">HffHf")
MOST_OCTETS: Final = _HEAD.size + MOST_LINKS * _LINK.size
MOST_PRICE: Final = 1e9
"""Per kb; what is dearer is said to cost so much."""
_MOST_SEQ: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class LinkState:
    """One link that leaves the owner for the node `to`. capacity: kb, 0 of one that has failed. load: kb now, of so
    many `sources`. price: what the owner asks per kb; 0 of one that has failed."""

    to: int
    capacity: float
    load: float
    sources: int
    price: float


@dataclass(frozen=True, slots=True)
class Statement:
    """`seq` rises with each statement of this owner."""

    owner: int
    seq: int
    links: tuple[LinkState, ...]

    def reports(self, at: float) -> tuple[GradientReport, ...]:
        """What it tells a peer. at: when it was measured, on the peer's scale."""
        return tuple(
            GradientReport(
                (self.owner, one.to),
                self.seq,
                at,
                one.capacity,
                one.load,
                one.sources,
                one.price if one.capacity else None,
            )
            for one in self.links
        )

    def change(self, since: Statement | None) -> float:
        """The largest change of a load, as a share of its capacity, or of a price, `WEIGHT` times its share;
        infinite where there was nothing before, or another capacity."""
        if since is None or len(since.links) != len(self.links):
            return inf
        found = 0.0
        for old, new in zip(since.links, self.links, strict=True):
            if (old.to, old.capacity) != (new.to, new.capacity):
                return inf
            if old.load != new.load:
                found = max(found, abs(new.load - old.load) / new.capacity if new.capacity else inf)
            if old.price != new.price:
                found = max(found, WEIGHT * abs(new.price - old.price) / max(new.price, old.price))
        return found


def octets(statement: Statement) -> int:
    """How many `encode` makes."""
    return _HEAD.size + len(statement.links) * _LINK.size


def encode(statement: Statement) -> bytes:
    """At most `MOST_OCTETS`."""
    links = b"".join(_LINK.pack(one.to, one.capacity, one.load, one.sources, one.price) for one in statement.links)
    return _HEAD.pack(statement.owner, statement.seq, len(statement.links)) + links


def decode(octets: bytes) -> Statement:
    """Raises ValueError for everything that is no statement."""
    if not _HEAD.size <= len(octets) <= MOST_OCTETS:
        raise ValueError("size")
    owner, seq, count = _HEAD.unpack_from(octets)
    if len(octets) != _HEAD.size + count * _LINK.size or owner >= MOST_NODES or not 0 < seq <= _MOST_SEQ:
        raise ValueError("fields")
    links = tuple(LinkState(*found) for found in _LINK.iter_unpack(octets[_HEAD.size :]))
    for one in links:
        # Written so that what is no number fails too.
        if not (0 <= one.capacity <= MOST_KB and 0 <= one.load <= MOST_KB and 0 <= one.price <= MOST_PRICE):
            raise ValueError("link")
        if max(one.to, one.sources) > MOST_NODES:
            raise ValueError("link")
    if len({one.to for one in links}) < count or any(one.to in (owner, MOST_NODES) for one in links):
        raise ValueError("ends")
    return Statement(owner, seq, links)


class Speaker:
    """Makes one node's statements. `first`: above every number that this node has used before."""

    __slots__ = ("_node", "_said", "_seq", "_silent")

    def __init__(self, node: int, first: int = 0) -> None:
        self._node = node
        self._seq = first
        self._said: Statement | None = None
        self._silent = 0

    def measured(self, links: Sequence[LinkState]) -> Statement:
        """What would be said now, with a number of its own."""
        self._seq += 1
        return Statement(self._node, self._seq, tuple(links))

    def is_due(self, statement: Statement) -> bool:
        """Once a tick: is this to be said? Then it counts as said."""
        self._silent += 1
        if statement.change(self._said) <= CHANGED and self._silent < KEEP:
            return False
        self._said, self._silent = statement, 0
        return True

    def surpass(self, seq: int) -> None:
        """The node's own statement of this number is about, from before it started: nothing below it would be heard.
        All is said anew, above it."""
        if seq > self._seq:
            self._seq = seq
            self._said = None
