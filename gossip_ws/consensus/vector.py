"""Schedules: one whole number of watts a period, as tuples. Given is positive, needed is negative."""

from __future__ import annotations

from collections.abc import Iterable
from operator import add, sub

Vector = tuple[int, ...]
"""W by period; all vectors of an instance have the same length, and it is looked at where one comes from outside."""


def zero(periods: int) -> Vector:
    """Nothing in any period."""
    return (0,) * periods


def plus(one: Vector, other: Vector) -> Vector:
    """Period by period."""
    return tuple(map(add, one, other))


def minus(one: Vector, other: Vector) -> Vector:
    """Period by period."""
    return tuple(map(sub, one, other))


def least(one: Vector, other: Vector) -> Vector:
    """The smaller of both, period by period."""
    return tuple([a if a < b else b for a, b in zip(one, other, strict=True)])


def surplus(one: Vector) -> Vector:
    """What is given; 0 where something is needed."""
    return tuple([a if a > 0 else 0 for a in one])


def shortage(one: Vector) -> Vector:
    """What is needed, as positive numbers; 0 where something is given."""
    return tuple([-a if a < 0 else 0 for a in one])


def total(vectors: Iterable[Vector], periods: int) -> Vector:
    """The sum of any number of them."""
    rows = list(vectors)
    return tuple(map(sum, zip(*rows, strict=True))) if rows else zero(periods)
