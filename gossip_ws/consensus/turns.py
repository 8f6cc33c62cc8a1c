"""Whose turn it is where not all can be served: who was served longest ago, period by period.

A cluster has as many turns as there are who need something in it: it goes on being first until it was given as much
as all of it needed in a period. Knows no feeder and no message but how somebody has fared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gossip_ws.consensus.messages import Served


@dataclass(frozen=True, slots=True)
class Turn:
    """Who it is, how well it has fared, and whether it is one of many: a cluster."""

    name: str
    served: Served
    is_many: bool = False


class Turns:
    """Of all these, by their numbers."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = turns
        self._served = [turn.served for turn in turns]
        self._given = [0] * len(turns)

    def sort(self, numbers: list[int]) -> None:
        """Who goes first comes first."""
        numbers.sort(key=lambda number: (self._served[number], self._turns[number].name))

    def give(self, number: int, watts: int, needed: int, at: int) -> None:
        """So much of what it needed it is given in a period; at: of the period, counted over all days."""
        if self._turns[number].is_many:
            self._given[number] += watts
            if self._given[number] < needed:
                return
            self._given[number] -= needed
        before = self._served[number]
        self._served[number] = Served(max(before.last, at), before.times + 1)
