"""Flow on links, taken apart into paths: what really arrives of it, and where.

For algorithms that know no paths. Flow that goes round in a cycle arrives nowhere, nor does what ends in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gossip_ws.routing.graph import Link, Path, links_of

TRIFLE: Final = 1e-9
"""kb. Less is not followed."""


def arriving(flow: Mapping[Link, float], wanted: Mapping[int, float], target: int) -> dict[Path, float]:
    """kb on each path to `target`, for no source more than is wanted. flow: kb on each link of what goes there.
    wanted: kb for each source, in the order in which they are served."""
    rest = {link: kb for link, kb in flow.items() if kb > TRIFLE}
    after: dict[int, list[int]] = {}
    for node, other in sorted(rest):
        after.setdefault(node, []).append(other)
    found: dict[Path, float] = {}
    for source, kb in wanted.items():
        left = kb
        while left > TRIFLE:
            path = _follow(rest, after, source, target)
            if path is None:
                break
            taken = min(left, *(rest[link] for link in links_of(path)))
            for link in links_of(path):
                rest[link] -= taken
            found[path] = found.get(path, 0.0) + taken
            left -= taken
    return found


def _follow(rest: Mapping[Link, float], after: Mapping[int, list[int]], source: int, target: int) -> Path | None:
    """Some loopless path over links that have flow left, the fullest link first."""
    path = [source]
    closed = {source}
    while path and path[-1] != target:
        node = path[-1]
        onward = [other for other in after.get(node, ()) if other not in closed and rest[node, other] > TRIFLE]
        if onward:
            path.append(max(onward, key=lambda other: rest[node, other]))
            closed.add(path[-1])
        else:
            path.pop()
    return tuple(path) if path else None
