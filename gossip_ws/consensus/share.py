"""How what is there in some periods is shared out to those that can choose the period: as much as can be.

Who comes first is served as well as anybody could serve it; who comes later may move an earlier one to other periods,
and never takes anything from it. Knows no place and no protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gossip_ws.consensus.loose import Loose
from gossip_ws.consensus.vector import Vector


def assign(supply: Sequence[int], wants: Sequence[Loose]) -> list[list[int]]:
    """W by period for each of `wants`: a largest flow from `supply` (W by period) to them."""
    found = [[0] * len(supply) for _ in wants]
    fill(list(supply), wants, found)
    return found


def assign_in_turn(supply: Sequence[int], wants: Sequence[Loose], turns: Sequence[int]) -> list[list[int]]:
    """As much in all as `assign`; of the period that comes first in `turns` as much as can be, then of the next."""
    found = [[0] * len(supply) for _ in wants]
    for period in turns:
        if supply[period]:
            fill([some if number == period else 0 for number, some in enumerate(supply)], wants, found)
    return found


def fill(left: list[int], wants: Sequence[Loose], found: list[list[int]]) -> None:
    """Share out `left`, which is what remains afterwards, beside what was `found` before. What a period has given
    stays given."""
    for number, want in enumerate(wants):
        room = want.total - sum(found[number])
        if room <= 0:
            continue
        there = [period for period, some in enumerate(left) if some]
        if not any(one.watts[period] > row[period] for period in there for one, row in zip(wants, found, strict=True)):
            # All that is left is in periods in which nobody takes more, whoever makes way for whom.
            return
        while room > 0 and any(left):
            way = _way(left, wants, found, number)
            if not way:
                break
            watts = min(room, left[way[-1][1]])
            for who, period in way:
                watts = min(watts, wants[who].watts[period] - found[who][period])
            for (_, period), (who, _) in pairwise(way):
                watts = min(watts, found[who][period])
            for who, period in way:
                found[who][period] += watts
            for (_, period), (who, _) in pairwise(way):
                found[who][period] -= watts
            left[way[-1][1]] -= watts
            room -= watts


def _way(
    left: Sequence[int], wants: Sequence[Loose], found: Sequence[Vector | list[int]], number: int
) -> list[tuple[int, int]]:
    """How `number` gets something: from a period of which something is left, or in a period from another, which gets
    it elsewhere, and so on. (who, period in which it gets more), from `number` on; empty when there is no way."""
    came: dict[int, tuple[int, int] | None] = {number: None}
    for who in (queue := [number]):
        open_ = [
            period for period, (most, some) in enumerate(zip(wants[who].watts, found[who], strict=True)) if some < most
        ]
        # Where most is left, it is missed least.
        best = max(open_, key=left.__getitem__, default=None)
        if best is None:
            continue
        if left[best] > 0:
            way = [(who, best)]
            while (before := came[way[0][0]]) is not None:
                way.insert(0, before)
            return way
        for period in open_:
            for other in range(len(wants)):
                if other not in came and found[other][period] > 0:
                    came[other] = (who, period)
                    queue.append(other)
    return []
