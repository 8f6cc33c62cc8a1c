"""Chance, handed in from outside: a seeded random.Random fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Dice(Protocol):
    def random(self) -> float: ...

    def uniform(self, a: float, b: float) -> float: ...

    def sample(self, population: Sequence[T], k: int) -> list[T]: ...

    def getrandbits(self, k: int, /) -> int: ...
