"""Who should give to whom: from what everybody has told, the same for all who have heard the same.

From the ends of the feeder upward, whoever meets first is matched first, so no branch carries power both ways. Of the
buyers that meet at one point, the one goes first that was served longest ago. Who can choose the period is given one
first, by `spread`. Knows no message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from gossip_ws.consensus.instance import Feeder
from gossip_ws.consensus.loose import Left, Movable, could_agree
from gossip_ws.consensus.messages import NEVER, Served
from gossip_ws.consensus.spread import spread
from gossip_ws.consensus.turns import Turn, Turns
from gossip_ws.consensus.vector import Vector


@dataclass(frozen=True, slots=True)
class Standing:
    """A device or a cluster: its bus (a cluster's way out), what it has left, how well it has fared, what it can
    move."""

    name: str
    bus: int
    rest: Vector
    served: Served = NEVER
    loose: Movable = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """W by period from one to another."""

    seller: str
    buyer: str
    watts: Vector


def plan(feeder: Feeder, standings: Sequence[Standing], day: int = 0) -> tuple[Flow, ...]:
    """The flows between `standings`: in each period as much as can be. In the order of buyer and seller, behind those
    from a cluster to itself: what it is to store."""
    periods = len(standings[0].rest) if standings else 0
    stored: tuple[Flow, ...] = ()
    # Mostly nobody could, and then nothing else has to be worked out.
    if not could_agree([Left(standing.rest, standing.loose) for standing in standings]):
        return ()
    if any(standing.loose for standing in standings):
        standings, stored = _scheduled(standings)
    columns = list(zip(*(standing.rest for standing in standings), strict=True))
    both = [period for period, column in enumerate(columns) if min(column) < 0 < max(column)]
    if not both:
        return stored
    order, children = _meetings(feeder, standings)
    turns = Turns([Turn(standing.name, standing.served) for standing in standings])
    at: dict[int, list[int]] = {}
    for number, standing in enumerate(standings):
        at.setdefault(standing.bus, []).append(number)
    found: dict[tuple[int, int], list[int]] = {}
    for period in both:
        rest = list(columns[period])
        left: dict[int, tuple[list[int], list[int]]] = {}
        for bus in order:
            sellers: list[int] = []
            buyers: list[int] = []
            for number in at.get(bus, ()):
                if rest[number]:
                    (sellers if rest[number] > 0 else buyers).append(number)
            for child in children[bus]:
                if child in left:
                    more_sellers, more_buyers = left.pop(child)
                    sellers += more_sellers
                    buyers += more_buyers
            if sellers and buyers:
                if sum(rest[number] for number in (*sellers, *buyers)) < 0:
                    # Not all can be served: who has waited longest comes first.
                    turns.sort(buyers)
                _match(sellers, buyers, rest, found, period, periods)
                sellers = [number for number in sellers if rest[number]]
                buyers = [number for number in buyers if rest[number]]
            if sellers or buyers:
                left[bus] = (sellers, buyers)
        for buyer, watts in enumerate(columns[period]):
            if watts < rest[buyer]:
                turns.give(buyer, rest[buyer] - watts, -watts, day * periods + period)
    return stored + tuple(
        Flow(standings[seller].name, standings[buyer].name, tuple(watts))
        for (seller, buyer), watts in sorted(found.items(), key=lambda one: one[0][::-1])
    )


def _scheduled(standings: Sequence[Standing]) -> tuple[list[Standing], tuple[Flow, ...]]:
    """Everybody with a schedule, and what clusters are to store of what they give themselves."""
    order = sorted(range(len(standings)), key=lambda number: (standings[number].served, standings[number].name))
    found = spread([Left(standing.rest, standing.loose) for standing in standings], order)
    scheduled = [
        replace(standing, rest=tuple(rest), loose=()) for standing, rest in zip(standings, found.rests, strict=True)
    ]
    within = zip(standings, found.within, strict=True)
    return scheduled, tuple(Flow(one.name, one.name, tuple(watts)) for one, watts in within if any(watts))


def _match(
    sellers: list[int],
    buyers: list[int],
    rest: list[int],
    found: dict[tuple[int, int], list[int]],
    period: int,
    periods: int,
) -> None:
    one = other = 0
    while one < len(sellers) and other < len(buyers):
        seller, buyer = sellers[one], buyers[other]
        watts = min(rest[seller], -rest[buyer])
        found.setdefault((seller, buyer), [0] * periods)[period] += watts
        rest[seller] -= watts
        rest[buyer] += watts
        one += not rest[seller]
        other += not rest[buyer]


def _meetings(feeder: Feeder, standings: Sequence[Standing]) -> tuple[list[int], dict[int, list[int]]]:
    """The buses where somebody stands or two ways to the root meet, ends first, and each one's next below."""
    stood = sorted({standing.bus for standing in standings})
    buses = set(stood)
    # Meetings of neighbours in the order of a walk around the tree are all that there are.
    walked = sorted(stood, key=lambda bus: _way(feeder, bus))
    buses.update(feeder.meeting(one, other) for one, other in pairwise(walked))
    order = sorted(buses, reverse=True)
    children: dict[int, list[int]] = {bus: [] for bus in order}
    for bus in order:
        above = bus
        while above:
            above = feeder.parent[above]
            if above in buses:
                children[above].append(bus)
                break
    return order, children


def _way(feeder: Feeder, bus: int) -> tuple[int, ...]:
    """The buses from the root to `bus`: in this order a walk around the tree comes to them."""
    way = [bus]
    while way[-1]:
        way.append(feeder.parent[way[-1]])
    return tuple(reversed(way))
