"""What the city's devices have left while they agree: told by each worker process, put together by the one that asks.

Says when nothing is left that two of them could agree on. Knows no ledger.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from gossip_ws.consensus.loose import Left, Loose, could_agree
from gossip_ws.consensus.vector import minus, plus, shortage, surplus, zero

Standing = Mapping[str, Sequence[Left]]
"""By area: what its devices have left. Those with nothing but a schedule are one that could give and one that needs."""


def standing(lefts: Iterable[tuple[str, Left]]) -> dict[str, list[Left]]:
    """Of devices, each with its area."""
    schedules: dict[str, list[Left]] = {}
    movable: dict[str, list[Left]] = {}
    for area, left in lefts:
        nothing = Left(zero(len(left.rest)))
        gives, needs = schedules.get(area) or (nothing, nothing)
        schedules[area] = [
            Left(plus(gives.rest, surplus(left.rest))),
            Left(minus(needs.rest, shortage(left.rest))),
        ]
        if left.loose:
            movable.setdefault(area, []).append(Left(nothing.rest, left.loose))
    return {area: both + movable.get(area, []) for area, both in schedules.items()}


def as_told(standing: Standing) -> dict[str, Any]:
    """As JSON has it."""
    return {
        area: [[left.rest, [[one.use, one.watts, one.total] for one in left.loose]] for left in lefts]
        for area, lefts in standing.items()
    }


def merged(told: Iterable[Mapping[str, Any]]) -> Standing:
    """Of several processes, as they told it in JSON."""
    found: dict[str, list[Left]] = {}
    for areas in told:
        for area, lefts in areas.items():
            found.setdefault(area, []).extend(
                Left(tuple(rest), tuple(Loose(use, tuple(watts), total) for use, watts, total in loose))
                for rest, loose in lefts
            )
    return found


def is_matched(standing: Standing, cut_off: Collection[str]) -> bool:
    """Is nothing left that one could give in an hour and another needs, then or at any time? Areas that are cut off
    count apart from the others, all of them as one."""
    return not any(
        could_agree([left for area, lefts in standing.items() if (area in cut_off) is apart for left in lefts])
        for apart in (True, False)
    )
