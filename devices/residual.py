"""What a device has offered, agreed and left, as its Balance service says it: from its book, for its area.

Knows no socket and no message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gossip_ws.consensus.book import Book
from gossip_ws.consensus.clusters import KINDS, Hierarchy
from gossip_ws.consensus.log import Kind
from gossip_ws.consensus.vector import minus, plus, shortage, surplus, zero
from gossip_ws.kernel.scopes import covers
from gossip_ws.services.balancing import Residual

_AREA: Final = KINDS[2]


def residual_of(book: Book, hierarchy: Hierarchy, place: Callable[[str], str]) -> Residual:
    """On the device's present day. `place`: each device's scope in the grid. Who has left the clusters since is of the
    area in which its place is."""
    area = book.device
    while area not in hierarchy.clusters or hierarchy.clusters[area].kind != _AREA:
        area = hierarchy.parent(area)
        if not area:
            break
    scope = area.rpartition(":")[0]
    nothing = zero(len(book.offer))
    sold = bought = nothing
    for record in book.records:
        if record.day != book.day or not record.agreement:
            continue
        peer = record.peer
        if hierarchy.is_below(peer, area) if peer in hierarchy.home else covers(scope, place(peer)):
            continue
        match record.kind:
            case Kind.COMMITTED:
                sold = plus(sold, record.watts)
            case Kind.PREPARED:
                bought = plus(bought, record.watts)
            case Kind.RELEASED:
                bought = minus(bought, record.watts)
    left = book.free(nothing)
    return Residual(
        surplus(book.offer), shortage(book.offer), book.given, book.taken, sold, bought, surplus(left), shortage(left)
    )
