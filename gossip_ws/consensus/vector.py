"""Schedules: one whole number of watts a period, as tuples. Given is positive, needed is negative."""

from __future__ import annotations

from collections.abc import Iterable

Vector = tuple[int, ...]
"""W by period; all vectors of an instance have the same length."""


def zero(periods: int) -> Vector:
    """Nothing in any period."""
    return (0,) * periods


def plus(one: Vector, other: Vector) -> Vector:
    """Period by period."""
    return tuple([a + b for a, b in zip(one, other, strict=True)])


def minus(one: Vector, other: Vector) -> Vector:
    """Period by period."""
    return tuple([a - b for a, b in zip(one, other, strict=True)])


def least(one: Vector, other: Vector) -> Vector:
    """The smaller of both, period by period."""
    return tuple([min(a, b) for a, b in zip(one, other, strict=True)])


def surplus(one: Vector) -> Vector:
    """What is given; 0 where something is needed."""
    return tuple([max(a, 0) for a in one])


def shortage(one: Vector) -> Vector:
    """What is needed, as positive numbers; 0 where something is given."""
    return tuple([max(-a, 0) for a in one])


def total(vectors: Iterable[Vector], periods: int) -> Vector:
    """The sum of any number of them."""
    columns = [0] * periods
    for vector in vectors:
        for period, watts in enumerate(vector):
            columns[period] += watts
    return tuple(columns)
