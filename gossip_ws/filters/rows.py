"""The algebra of named aggregates: rows of accumulated numbers that merge in any order. Knows no XML.

A *cell list* holds what is accumulated for one field, occurrence by occurrence: one number each, but two
for the mean (the sum, and how many values are in it). All merging is cell by cell, so it is associative
and commutative: exactly for integers and decimals, to rounding for doubles.

What the aggregates mean when several rows of ONE device fall in one group:

- ``sum``: they add.
- ``min``, ``max``: the extreme of all of them.
- ``set``: the values of a key, each once and no numbers; the first 32 in order where there are more.
- ``mean``: over values, not over devices: every row's value counts. Sums and numbers of values travel, so
  a mean of means never happens. The mean of an integer field is rounded half-even to an integer, that of
  a decimal field half-even to 18 fraction digits.
- ``count``: the number of devices that gave such a value; the device counts once.

N of a row, the number of devices in it, counts a device once in all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import zip_longest
from math import ceil, floor, isfinite
from typing import Final

from gossip_ws.kernel.contract import Field, Number

Value = int | Decimal | float

MIXED: Final = "mixed"
"""What a key reads once rows of different keys were merged."""
MAX_ROWS: Final = 32
"""Rows of one value, and groups of one combination."""
MAX_CELLS: Final = 256
"""Numbers in one combination."""
MAX_KEY: Final = 64
"""Characters of a key."""
_MAX_DIGITS: Final = 30
_MAX_FRACTION: Final = 20

_LARGEST: Final = Decimal(10**_MAX_DIGITS)
_LARGEST_DOUBLE: Final = 1e290
"""What one device can give where its service declares no range: keeps every number's text short and every
sum of doubles finite."""
_TOLERANCE: Final = 1e-9
"""Relative; doubles only: N additions in another order."""
_EXACT: Final = Context(prec=120)
"""More digits than any sum of bounded decimals has: nothing is ever rounded in it."""
_LEXICAL: Final = {
    Number.INTEGER: re.compile(r"[+-]?[0-9]{1,60}"),
    Number.DECIMAL: re.compile(
        rf"[+-]?(?:[0-9]{{1,60}}(?:\.[0-9]{{0,{_MAX_FRACTION}}})?|\.[0-9]{{1,{_MAX_FRACTION}}})"
    ),
    Number.DOUBLE: re.compile(r"[+-]?(?:[0-9]{1,60}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})(?:[eE][+-]?[0-9]{1,3})?"),
}


def read_number(text: str, number: Number) -> Value:
    """The XML Schema lexical form of an integer, decimal or finite double. Raises ValueError."""
    text = text.strip(" \t\r\n")
    if not _LEXICAL[number].fullmatch(text):
        raise ValueError(f"not a bounded {number}: {text[:40]!r}")
    if number is Number.INTEGER:
        return int(text)
    if number is Number.DECIMAL:
        return Decimal(text)
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"not a finite double: {text[:40]!r}")
    # Minus zero equals zero but prints differently: which of the two won would depend on the order.
    return value + 0.0


def write_number(value: Value) -> str:
    """One text for one number, whatever the order in which it came about."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return "0" if text == "-0" else text
    return repr(value)


def _add(a: Value, b: Value) -> Value:
    if isinstance(a, Decimal) and isinstance(b, Decimal):
        return _EXACT.add(a, b)
    return a + b  # type: ignore[operator]  # both int or both float: one field, one type


def _lower(a: Value, b: Value) -> Value:
    return min(a, b)


def _higher(a: Value, b: Value) -> Value:
    return max(a, b)


@lru_cache(maxsize=256)
def _range(field: Field) -> tuple[Value, Value]:
    """What one device can give."""
    if field.number is Number.DOUBLE:
        return (
            -_LARGEST_DOUBLE if field.low is None else max(-_LARGEST_DOUBLE, float(field.low)),
            _LARGEST_DOUBLE if field.high is None else min(_LARGEST_DOUBLE, float(field.high)),
        )
    # repr: the range is declared as 0.1, not as the double next to it.
    low = -_LARGEST if field.low is None else max(-_LARGEST, Decimal(repr(field.low)))
    high = _LARGEST if field.high is None else min(_LARGEST, Decimal(repr(field.high)))
    return (ceil(low), floor(high)) if field.number is Number.INTEGER else (low, high)


def _times(bound: Value, times: int) -> Value:
    return _EXACT.multiply(bound, times) if isinstance(bound, Decimal) else bound * times


def _inside(values: Cells, low: Value, high: Value) -> bool:
    return all(low <= value <= high for value in values)


def _possible_sum(cells: Cells, field: Field, devices: int) -> bool:
    low, high = _range(field)
    # Not every device need have this occurrence: at least one has.
    least = _times(low, devices) if low < 0 else low
    most = _times(high, devices) if high > 0 else high
    return _inside(cells, *_loosened(least, most, devices))


def _loosened(low: Value, high: Value, additions: int) -> tuple[Value, Value]:
    if additions == 1 or not (isinstance(low, float) and isinstance(high, float)):
        return low, high
    slack = _TOLERANCE * max(abs(low), abs(high))
    return low - slack, high + slack


def _possible_value(cells: Cells, field: Field, devices: int) -> bool:
    return _inside(cells, *_range(field))


def _possible_mean(cells: Cells, field: Field, devices: int) -> bool:
    low, high = _range(field)
    for total, values in zip(cells[::2], cells[1::2], strict=True):
        times = int(values)
        if not 1 <= times <= devices * MAX_ROWS:
            return False
        if not _inside([total], *_loosened(_times(low, times), _times(high, times), times)):
            return False
    return True


def _possible_count(cells: Cells, field: Field, devices: int) -> bool:
    return all(1 <= value <= devices for value in cells)


def _possible_set(cells: Cells, field: Field, devices: int) -> bool:
    return not cells


def _as_they_are(cells: Cells, field: Field) -> Cells:
    return cells


def _as_few_as_may_be(cells: Cells, field: Field) -> Cells:
    """A schema may demand numbers where there are none: zeros, or what is next to zero in the range."""
    low, high = _range(field)
    nought = read_number("0", field.number)
    return [_lower(_higher(nought, low), high)] * field.least


def _divide(cells: Cells, field: Field) -> Cells:
    return [_mean(total, int(values), field.number) for total, values in zip(cells[::2], cells[1::2], strict=True)]


def _mean(total: Value, values: int, number: Number) -> Value:
    if number is Number.DOUBLE:
        return float(total) / values
    exact = Fraction(total) / values
    if number is Number.INTEGER:
        return round(exact)
    return Decimal(round(exact * 10**18)).scaleb(-18, _EXACT).normalize(_EXACT)


Cells = list[Value]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """How one named aggregate starts from a value, merges, bounds and ends.

    `across` merges the cells of different devices, `within` those of several rows of one. `possible` is the
    range rule: could `devices` devices, each inside of the field's declared range, have given these cells?
    `idempotent`: a value may come in twice.
    """

    name: str
    across: Callable[[Value, Value], Value]
    within: Callable[[Value, Value], Value]
    possible: Callable[[Cells, Field, int], bool]
    finish: Callable[[Cells, Field], Cells] = _as_they_are
    idempotent: bool = False

    def start(self, values: Cells) -> Cells:
        """The cells of one row of one device."""
        if self.name == "count":
            return [1] * len(values)
        if self.name == "mean":
            return [cell for value in values for cell in (value, 1)]
        if self.name == "set":
            return []
        return values

    def fits(self, cells: Cells, field: Field, devices: int) -> bool:
        """Could `devices` devices have given these cells, in values and in number?"""
        if self.name == "set":
            return self.possible(cells, field, devices)
        occurrences = len(cells) // 2 if self.name == "mean" else len(cells)
        if occurrences < field.least or (field.most is not None and occurrences > field.most):
            return False
        return self.possible(cells, field, devices)

    def read(self, texts: list[str], number: Number) -> Cells:
        """Cells as they travel. Raises ValueError."""
        if self.name == "count":
            return [read_number(text, Number.INTEGER) for text in texts]
        if self.name == "mean":
            if len(texts) % 2:
                raise ValueError("a sum without its number of values")
            kinds = (number, Number.INTEGER)
            return [read_number(text, kinds[index % 2]) for index, text in enumerate(texts)]
        return [read_number(text, number) for text in texts]


SET: Final = Aggregate("set", _higher, _higher, _possible_set, _as_few_as_may_be, idempotent=True)
AGGREGATES: Final = {
    made.name: made
    for made in (
        Aggregate("sum", _add, _add, _possible_sum),
        Aggregate("max", _higher, _higher, _possible_value, idempotent=True),
        Aggregate("min", _lower, _lower, _possible_value, idempotent=True),
        Aggregate("mean", _add, _add, _possible_mean, _divide),
        Aggregate("count", _add, _higher, _possible_count),
        SET,
    )
}


@dataclass(frozen=True, slots=True)
class Row:
    """One group: a value for every key of the shape, N devices, and the cells of every field."""

    keys: tuple[str, ...]
    devices: int
    cells: tuple[Cells, ...]

    def merged(self, other: Row, merge: Callable[[Value, Value], Value], devices: int) -> Row:
        """Both in one; keys that differ read `mixed`."""
        return Row(
            tuple(a if a == b else MIXED for a, b in zip(self.keys, other.keys, strict=True)),
            devices,
            tuple(_merged(a, b, merge) for a, b in zip(self.cells, other.cells, strict=True)),
        )

    @property
    def size(self) -> int:
        return sum(map(len, self.cells))


def _merged(a: Cells, b: Cells, merge: Callable[[Value, Value], Value]) -> Cells:
    if len(a) == len(b):
        return list(map(merge, a, b))
    return [y if x is None else x if y is None else merge(x, y) for x, y in zip_longest(a, b)]
