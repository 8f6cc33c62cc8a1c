"""What links charge for flow while one step goes on, and how flow moves at these charges.

A step moves flow from dear paths to the cheapest; as it does, the links that it takes grow dearer and those that it
leaves cheaper. How fast is the difference between the two kinds: `Shared` goes by marginal costs, `Asked` by the prices
that owners ask. Links are known by number. Knows no report and no time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from math import inf
from typing import Final

from gossip_ws.routing.candidates import Candidates
from gossip_ws.routing.cost import KNEE, curvature, marginal
from gossip_ws.routing.graph import Path

LIMIT: Final = 0.9
"""Share of its part of the free capacity that a source fills in one step (the limiter)."""
CEILING: Final = 0.97
HALF: Final = 0.5
"""The limiter of who goes by asked prices: a part of what is free below the first, the second as its share of it."""
FULL: Final = 0.98
"""Who leaves a link that is fuller than this may fill another as far."""
DUST: Final = 1e-3
"""A rest below this share of the demand moves as a whole: links are counted by those who are really on them."""
TARGETS: Final = 4
"""Paths that one demand looks at in a sweep: where the cheapest has room for less than half, the next cheapest too."""
DOWN: Final = 1e18
"""The price of a link that has failed."""


class Charges(ABC):
    """capacity, load: kb of each link, the load as far as it is known. crowd: how many sources are taken to change the
    load of a link as this one does. price: of each link, before the first change. asked: the same, but `DOWN` where
    nothing has been heard from: nobody moves flow to there."""

    __slots__ = ("_capacity", "_change", "_crowd", "_load", "asked", "price")

    def __init__(
        self,
        capacity: Sequence[float],
        load: Sequence[float],
        crowd: Sequence[float],
        price: Sequence[float],
        heard: Collection[int],
    ) -> None:
        """heard: numbers of the links that were heard of."""
        self._capacity = capacity
        self._load = load
        self._crowd = crowd
        self._change = [0.0] * len(capacity)
        self.price = list(price)
        self.asked = [one if number in heard else DOWN for number, one in enumerate(price)]

    def relieve(self, one: Candidates) -> list[tuple[Path, Path, float]]:
        """Move flow of one demand from its dear paths to its cheapest: from where, to where, kb."""
        best, moves, _ = self._fill(one, set())
        return moves if best is not None else []

    @abstractmethod
    def _at(self, number: int, change: float) -> float:
        """The price of a link that is up after `change` kb more."""

    @abstractmethod
    def _steepness(self, number: int) -> float:
        """How fast the price of a link grows, per kb."""

    @abstractmethod
    def _room(self, left: list[int], taken: list[int]) -> float:
        """kb that the limiter lets onto the links `taken`."""

    @abstractmethod
    def _shortened(self, left: list[int], taken: list[int], gain: float, moved: float) -> float:
        """As much of `moved` as does not go past the minimum. gain: what the first kb saves."""

    def _fill(
        self, one: Candidates, without: Collection[int]
    ) -> tuple[int | None, list[tuple[Path, Path, float]], bool]:
        """Move to the cheapest path that is not one of `without`: its place, what moved, whether it had too little
        room."""
        costs = one.costs(self.asked)
        places = [place for place in range(len(costs)) if place not in without and costs[place] < DOWN]
        best = min(places, key=costs.__getitem__, default=None)
        moves: list[tuple[Path, Path, float]] = []
        if best is None:
            return None, moves, False
        short = False
        for place, kb in enumerate(one.kb):
            if kb <= 0 or place == best:
                continue
            # Links in both do not change, and a failed one would drown all differences.
            left = [number for number in one.over[place] if number not in one.over[best]]
            taken = [number for number in one.over[best] if number not in one.over[place]]
            gain = self._sum(left) - self._sum(taken)
            if gain <= 0:
                continue
            wanted = self._wanted(left, taken, gain, kb, DUST * one.demand)
            room = self._room(left, taken)
            short = short or room < HALF * wanted
            moved = self._shortened(left, taken, gain, min(wanted, room))
            if moved <= 1e-12 * one.demand:
                continue
            one.kb[place] = kb - moved if moved < kb else 0.0
            one.kb[best] += moved
            moves.append((one.routes[place], one.routes[best], moved))
            self._apply(left, -moved)
            self._apply(taken, moved)
        return best, moves, short

    def _wanted(self, left: list[int], taken: list[int], gain: float, kb: float, dust: float) -> float:
        """A Newton step."""
        slope = sum([self._steepness(number) for number in left]) + sum([self._steepness(number) for number in taken])
        moved = min(kb, gain / slope) if slope > 0 else kb
        return kb if kb - moved < dust else moved

    def _sum(self, numbers: Iterable[int]) -> float:
        return sum([self.price[number] for number in numbers])

    def _expected(self, number: int, change: float = 0.0) -> float:
        """kb on the link if the crowd moves as this peer does, and `change` more."""
        load = self._load[number] + self._crowd[number] * (self._change[number] + change)
        return load if load > 0 else 0.0

    def _apply(self, numbers: Iterable[int], change: float) -> None:
        for number in numbers:
            self._change[number] += change
            if self._capacity[number] > 0:
                self.price[number] = self._at(number, 0.0)
                if self.asked[number] < DOWN:
                    self.asked[number] = self.price[number]


class Shared(Charges):
    """By marginal costs: each source answers for its share of a link, as if all who share it did what it does. If the
    shares add up to 1, the cost after all have moved is no more than the mean of what each computed (Jensen)."""

    __slots__ = ()

    def _at(self, number: int, change: float) -> float:
        return marginal(self._expected(number, change), self._capacity[number])

    def _steepness(self, number: int) -> float:
        if self._capacity[number] <= 0:
            return 0.0
        return self._crowd[number] * curvature(self._expected(number), self._capacity[number])

    def _room(self, left: list[int], taken: list[int]) -> float:
        if any(self._expected(number) > KNEE * self._capacity[number] for number in left):
            return inf
        rooms = [LIMIT * (self._capacity[one] - self._expected(one)) / self._crowd[one] for one in taken]
        return max(0.0, min(rooms, default=inf))

    def _shortened(self, left: list[int], taken: list[int], gain: float, moved: float) -> float:
        for _ in range(6):
            past = sum([self._after(number, -moved) for number in left]) - sum(
                [self._after(number, moved) for number in taken]
            )
            if past >= 0:
                return moved
            moved *= max(0.1, gain / (gain - past))
        return 0.0

    def _after(self, number: int, change: float) -> float:
        return self._at(number, change) if self._capacity[number] > 0 else DOWN


class Asked(Charges):
    """By the prices that owners ask, which grow with the own change alone."""

    __slots__ = ("_slope", "_start")

    def __init__(
        self,
        capacity: Sequence[float],
        load: Sequence[float],
        crowd: Sequence[float],
        price: Sequence[float],
        heard: Collection[int],
        slope: Sequence[float],
    ) -> None:
        """slope: price per kb of own change, of each link."""
        super().__init__(capacity, load, crowd, price, heard)
        self._slope = slope
        self._start = list(price)

    def relieve(self, one: Candidates) -> list[tuple[Path, Path, float]]:
        without: set[int] = set()
        moves: list[tuple[Path, Path, float]] = []
        for _ in range(TARGETS):
            best, more, short = self._fill(one, without)
            moves += more
            if best is None or not short:
                break
            without.add(best)
        return moves

    def _at(self, number: int, change: float) -> float:
        price = self._start[number] + self._slope[number] * (self._change[number] + change)
        return price if price > 0 else 0.0

    def _steepness(self, number: int) -> float:
        return self._slope[number]

    def _room(self, left: list[int], taken: list[int]) -> float:
        full = max([self._fullness(number) for number in left], default=0.0)
        part, ceiling = (HALF, CEILING) if full <= FULL else (1.0, full)
        rooms = [part * (ceiling * self._capacity[one] - self._expected(one)) / self._crowd[one] for one in taken]
        return max(0.0, min(rooms, default=inf))

    def _shortened(self, left: list[int], taken: list[int], gain: float, moved: float) -> float:
        return moved

    def _fullness(self, number: int) -> float:
        capacity = self._capacity[number]
        return self._expected(number) / capacity if capacity > 0 else inf
