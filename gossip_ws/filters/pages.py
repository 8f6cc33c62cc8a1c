"""Pages of names out of many devices: each the smallest of a union, in order, and whole up to its last name.

A page says where it was cut. Nothing beyond the last name of any cut page is kept when pages are merged: there might
be others between. So the next page begins after the last name of this one, and together they are the set, whoever
cut where. Knows no XML.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from gossip_ws.core.account import Lack, Lacking

MAX_NAMES: Final = 200
"""Names asked for at once."""
MAX_OCTETS: Final = 28_000
"""Octets of a page in the operation's response, so that the envelope stays under the 32,767 of DPWS 1.1."""
_AROUND: Final = 170
"""Octets of an entry without its name, from above."""


@dataclass(frozen=True, slots=True)
class Page:
    """`entries` in the order of their names, at most `limit`. `complete`: there are none after them."""

    limit: int
    complete: bool
    entries: tuple[Lacking, ...]

    def __post_init__(self) -> None:
        names = [entry.device for entry in self.entries]
        if not 1 <= self.limit <= MAX_NAMES or len(names) > self.limit:
            raise ValueError(f"a page of {len(names)} names, {self.limit} are asked for, at most {MAX_NAMES}")
        if any(a >= b for a, b in pairwise(names)):
            raise ValueError("the names of a page are in order, each once")
        if not self.complete and not names:
            raise ValueError("a page that ends before its first name")


def page(entries: Iterable[Lacking], after: str, limit: int) -> Page:
    """The first `limit` of the names greater than `after`."""
    return _cut({entry.device: entry for entry in entries if entry.device > after}, limit, complete=True)


def merge(pages: Iterable[Page]) -> Page:
    """One page of all. Of a name that stands in several, who knows that it is counted has the last word, and who
    knows nothing of it the first; else the entry stays that most devices stand behind."""
    held: dict[str, Lacking] = {}
    limit, ends = MAX_NAMES, []
    for one in pages:
        limit = min(limit, one.limit)
        if not one.complete:
            ends.append(one.entries[-1].device)
        for entry in one.entries:
            other = held.get(entry.device)
            if other is None or _rank(entry) > _rank(other):
                held[entry.device] = entry
    known = {name: entry for name, entry in held.items() if not ends or name <= min(ends)}
    return _cut(known, limit, complete=not ends)


def _rank(entry: Lacking) -> tuple[bool, bool, int, str]:
    standing = entry.standing
    return standing is Lack.COUNTED, standing is not Lack.UNKNOWN, entry.devices, standing.value


def _cut(entries: dict[str, Lacking], limit: int, *, complete: bool) -> Page:
    kept: list[Lacking] = []
    room = MAX_OCTETS
    for name in sorted(entries):
        room -= _AROUND + len(name.encode()) + 5 * sum(map(name.count, "&<>\r"))
        if len(kept) == limit or (room < 0 and kept):
            return Page(limit, False, tuple(kept))
        kept.append(entries[name])
    return Page(limit, complete, tuple(kept))
