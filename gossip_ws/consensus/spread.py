"""When those take and give that can choose the period: the same for all who have heard the same.

What is over in a period goes to needs that can wait, then what storage holds goes to what is still needed; last,
storage takes of a surplus what is needed in a later period. After this everybody has a schedule. Knows no place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gossip_ws.consensus.loose import HOLDS, RETURNS, STORES, WAITS, Left, Loose
from gossip_ws.consensus.share import assign, assign_in_turn
from gossip_ws.consensus.vector import total


class _Open:
    """What one of them can still move: by period, and in all."""

    def __init__(self, number: int, one: Loose) -> None:
        self.number = number
        self.watts = list(one.watts)
        self.total = one.total
        self.drawn = [0] * len(one.watts)

    def most(self, period: int) -> int:
        return min(self.watts[period], self.total)

    def draw(self, period: int, watts: int) -> None:
        self.watts[period] -= watts
        self.total -= watts
        self.drawn[period] += watts

    def less(self, watts: Sequence[int]) -> None:
        for period, some in enumerate(watts):
            self.draw(period, min(some, self.most(period)))


@dataclass(slots=True)
class Spread:
    """rests: a schedule for each, W by period, given positive and taken negative. within: what a cluster is to store of
    its own surplus, which it does not do by itself, as it does not know who will need it."""

    rests: list[list[int]]
    within: list[list[int]]


@dataclass(frozen=True, slots=True)
class _Store:
    takes: _Open
    returns: _Open


def spread(lefts: Sequence[Left], order: Sequence[int]) -> Spread:
    """A schedule for each of `lefts`. order: who goes first of those that take."""
    periods = len(lefts[0].rest)
    found = Spread([list(left.rest) for left in lefts], [[0] * periods for _ in lefts])
    over = total((left.rest for left in lefts), periods)
    supply, short = [max(0, watts) for watts in over], [max(0, -watts) for watts in over]
    # Who waits takes what comes late, as what comes early can be stored; what is held goes out early, to make room.
    late = range(periods)[::-1] if any(left.of(STORES) for left in lefts) else ()
    waiting = _assigned(WAITS, lefts, order, supply, late, found.rests, -1)
    holding = _assigned(HOLDS, lefts, order, short, range(periods), found.rests, 1)
    for period in range(periods) if holding and waiting else ():
        needing = [need for need in waiting if need.most(period)]
        for holder in holding if needing else ():
            for need in needing:
                watts = min(holder.most(period), need.most(period))
                if watts and holder.number != need.number:
                    holder.draw(period, watts)
                    need.draw(period, watts)
                    found.rests[holder.number][period] += watts
                    found.rests[need.number][period] -= watts
    stores = []
    for number in order:
        takes, returns = lefts[number].of(STORES), lefts[number].of(RETURNS)
        if takes is not None and returns is not None:
            stores.append(_Store(_Open(number, takes), _Open(number, returns)))
    for holder in holding:
        for store in stores:
            if store.returns.number == holder.number:
                store.returns.less(holder.drawn)
    for period in range(periods) if stores else ():
        if short[period]:
            _keep(period, supply, short[period], stores, found)
        for need in waiting:
            if wanted := need.most(period):
                need.draw(period, _keep(period, supply, wanted, stores, found))
    return found


def _assigned(
    use: str,
    lefts: Sequence[Left],
    order: Sequence[int],
    there: list[int],
    turns: Sequence[int],
    rests: list[list[int]],
    sign: int,
) -> list[_Open]:
    """Share out what is `there`, by the period in `turns` if there are any, and take it out of that. What each of them
    can move besides."""
    ones = [(number, one) for number in order if (one := lefts[number].of(use)) is not None]
    wants = [one for _, one in ones]
    found = assign_in_turn(there, wants, turns) if turns else assign(there, wants)
    open_ = []
    for (number, one), watts in zip(ones, found, strict=True):
        left = _Open(number, one)
        for period, some in enumerate(watts):
            left.draw(period, some)
            there[period] -= some
            rests[number][period] += sign * some
        open_.append(left)
    return open_


def _keep(needed: int, supply: list[int], watts: int, stores: Sequence[_Store], found: Spread) -> int:
    """Store up to `watts` of earlier surplus for a period, the latest first: so room is taken for the shortest time."""
    kept = 0
    able = [store for store in stores if store.returns.most(needed)]
    for period in range(needed - 1, -1, -1) if able else ():
        for store in able if supply[period] else ():
            some = min(watts - kept, supply[period], store.takes.most(period), store.returns.most(needed))
            if some <= 0:
                continue
            number = store.takes.number
            store.takes.draw(period, some)
            store.returns.draw(needed, some)
            supply[period] -= some
            found.within[number][period] += min(some, max(0, found.rests[number][period]))
            found.rests[number][period] -= some
            kept += some
        if kept == watts:
            break
    return kept
