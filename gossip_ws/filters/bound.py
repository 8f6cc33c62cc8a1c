"""What those that an answer does not count could change: from the range that the service states for one device.

Only for sums, means and counts. Where no range is stated nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Final

from gossip_ws.filters.rows import Value
from gossip_ws.kernel.contract import Field, Number

BOUNDED: Final = ("sum", "mean", "count")
_HALF: Final = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Bound:
    """With everybody counted the value would lie in [low, high]. None: no range is stated on that side."""

    low: Value | None
    high: Value | None


def bound(aggregate: str, field: Field, value: Value, contributors: int, lacking: int) -> Bound | None:
    """For one value of one row, as a final combination has it. None for an aggregate that has no such bound.

    A device that is lacking may also have nothing to give, or give it to another row: so a sum's bound reaches to
    where those devices change nothing. Of a mean the bound holds if every device gives one value a row.
    """
    if lacking <= 0 and aggregate in BOUNDED:
        return Bound(value, value)
    match aggregate:
        case "count":
            return Bound(value, _typed(_exact(value) + lacking, Number.INTEGER, up=True))
        case "sum":
            return Bound(*(_added(field, value, lacking, up=up) for up in (False, True)))
        case "mean" if contributors > 0:
            return Bound(*(_mixed(field, value, contributors, lacking, up=up) for up in (False, True)))
        case _:
            return None


def _added(field: Field, value: Value, lacking: int, *, up: bool) -> Value | None:
    extreme = field.high if up else field.low
    if extreme is None:
        return None
    each = _exact(extreme)
    each = max(each, Fraction(0)) if up else min(each, Fraction(0))
    return _typed(_exact(value) + lacking * each, field.number, up=up)


def _mixed(field: Field, value: Value, contributors: int, lacking: int, *, up: bool) -> Value | None:
    extreme = field.high if up else field.low
    if extreme is None:
        return None
    mean = _exact(value)
    if field.number is Number.INTEGER:
        # It was rounded to a whole number, from one within the range.
        mean = min(mean + _HALF, _exact(extreme)) if up else max(mean - _HALF, _exact(extreme))
    mixed = (contributors * mean + lacking * _exact(extreme)) / (contributors + lacking)
    # The value itself stays possible: those devices may have nothing to give.
    return _typed(max(mixed, _exact(value)) if up else min(mixed, _exact(value)), field.number, up=up)


def _exact(value: Value) -> Fraction:
    # repr: a range is declared as 0.1, not as the double next to it.
    return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)


def _typed(exact: Fraction, number: Number, *, up: bool) -> Value:
    """Rounded outward to what a field of this kind can hold."""
    if number is Number.INTEGER:
        return ceil(exact) if up else floor(exact)
    if number is Number.DOUBLE:
        return float(exact)
    scaled = exact * 10**18
    return Decimal(ceil(scaled) if up else floor(scaled)).scaleb(-18).normalize()
