"""What could be matched at best, and with how little transport: computed from the whole instance at once.

Shares nothing with the protocol but the instance, so that each can be held against the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from itertools import pairwise

from gossip_ws.consensus.instance import Feeder, Instance
from gossip_ws.consensus.log import Agreement


def matched(instance: Instance, among: Collection[str] | None = None) -> int:
    """The most that can be matched, W summed over periods, if only the devices `among` can be heard (all without).

    What is given in a period serves any need of that period. What can wait takes what is left over, in the period
    that lets the most be done: a largest flow from periods to needs.
    """
    given = [0] * instance.periods
    needed = [0] * instance.periods
    waiting = []
    for device in instance.devices:
        if among is not None and device.id not in among:
            continue
        for period, watts in enumerate(device.watts):
            if watts > 0:
                given[period] += watts
            else:
                needed[period] -= watts
        if device.flexible is not None:
            waiting.append(device.flexible)
    fixed = [min(g, n) for g, n in zip(given, needed, strict=True)]
    left = [g - f for g, f in zip(given, fixed, strict=True)]
    windows = [(one.energy, one.watts, one.ready, one.finish_by) for one in waiting]
    return sum(fixed) + sum(sum(row) for row in largest_flow(left, windows))


def largest_flow(left: list[int], windows: list[tuple[int, int, int, int]]) -> list[list[int]]:
    """How needs that can wait, each (energy, watts, ready, finish_by), take the most of `left` W by period.

    Each need's W by period. By augmenting ways: a need that finds no watts takes another's place where that one can
    move.
    """
    rest = list(left)
    taken = [[0] * len(left) for _ in windows]
    for number, (energy, _, _, _) in enumerate(windows):
        missing = energy
        while missing:
            way = _way(number, rest, taken, windows)
            if way is None:
                break
            amount = min(missing, rest[way[-1][1]], *(windows[need][1] - taken[need][period] for need, period in way))
            # Every need on the way after the first gives up the period that the one before it gets.
            for (_, period), (need, _) in pairwise(way):
                amount = min(amount, taken[need][period])
            for step, (need, period) in enumerate(way):
                taken[need][period] += amount
                if step:
                    taken[need][way[step - 1][1]] -= amount
            rest[way[-1][1]] -= amount
            missing -= amount
    return taken


def _way(
    start: int, rest: list[int], taken: list[list[int]], windows: list[tuple[int, int, int, int]]
) -> list[tuple[int, int]] | None:
    """The shortest chain of (need, period): each takes its period, the last from what is left."""
    before: dict[tuple[int, int], tuple[int, int] | None] = {}
    queue: list[tuple[int, int]] = []
    needs_seen = {start}
    periods_seen: set[int] = set()

    def spread(need: int, source: tuple[int, int] | None) -> None:
        _, watts, ready, finish_by = windows[need]
        for period in range(ready, finish_by):
            if period not in periods_seen and taken[need][period] < watts:
                periods_seen.add(period)
                before[need, period] = source
                queue.append((need, period))

    spread(start, None)
    while queue:
        here = queue.pop(0)
        if rest[here[1]]:
            way: list[tuple[int, int]] = []
            step: tuple[int, int] | None = here
            while step is not None:
                way.append(step)
                step = before[step]
            return way[::-1]
        for need in range(len(windows)):
            if need not in needs_seen and taken[need][here[1]]:
                needs_seen.add(need)
                spread(need, here)
    return None


def transport(feeder: Feeder, bus: Mapping[str, int], made: Iterable[Agreement]) -> int:
    """Watts times electrical distance of what was agreed, pair by pair, summed over periods: W micro-ohm."""
    return sum(sum(one.watts) * feeder.distance(bus[one.seller], bus[one.buyer]) for one in made)


def least_transport(feeder: Feeder, bus: Mapping[str, int], made: Iterable[Agreement]) -> int:
    """The least for which the same devices could give and take the same: on a tree, each branch carries what is over
    on one side of it, and nothing both ways. W micro-ohm."""
    injected: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for one in made:
        for period, watts in enumerate(one.watts):
            if watts:
                injected[period][bus[one.seller]] += watts
                injected[period][bus[one.buyer]] -= watts
    least = 0
    for at in injected.values():
        over = [0] * len(feeder.parent)
        for number, watts in at.items():
            over[number] = watts
        for number in range(len(over) - 1, 0, -1):
            if over[number]:
                least += abs(over[number]) * feeder.micro_ohm[number]
                over[feeder.parent[number]] += over[number]
    return least


def transport_ratio(feeder: Feeder, bus: Mapping[str, int], made: Collection[Agreement]) -> float:
    """`transport` over `least_transport`; 1 when nothing has to go anywhere."""
    least = least_transport(feeder, bus, made)
    went = transport(feeder, bus, made)
    return float(Fraction(went, least)) if least else 1.0


def jain(shares: Collection[float]) -> float:
    """Jain's index of fairness: 1 when all are equal, 1/n when one has everything; 1 for nobody."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0
