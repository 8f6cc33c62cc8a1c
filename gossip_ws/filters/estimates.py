"""The named aggregate `estimate`: count, sum and mean over an operation's shape, each with its error.

An own input is the service's response element; any other is a partial. The partial form is one element

    <g:Sketch K="256"><g:Row><g:Key>…</g:Key><g:Count>base64</g:Count><g:Minima>base64 …</g:Minima></g:Row>…</g:Sketch>

with one Key for every key of the shape and one Minima for every field, in the shape's order, one text in it for
each occurrence, rows sorted by their keys: one text for one result. Draws are made from the seed of an own
input, so the same value with the same seed is the same sketch. The final form is the response element with the
estimated sums, one row for each group. What minima are stands in `sketch`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from random import Random
from typing import Final

from lxml import etree

from gossip_ws.filters import sketch
from gossip_ws.filters.elements import canonical, read
from gossip_ws.filters.named import KEY, ROW
from gossip_ws.filters.rows import MAX_ROWS, MIXED, Cells, Value
from gossip_ws.filters.shaped import grouping, read_key, read_response, write_response
from gossip_ws.filters.sketch import Codes
from gossip_ws.kernel.contract import Field, Number, Shape
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.estimate import Estimate, EstimatedField, EstimatedGroup
from gossip_ws.kernel.names import GOSSIP, qname
from gossip_ws.kernel.terms import Filter, Gathering
from gossip_ws.ports import Combination, Input

ESTIMATE: Final = "estimate"
"""The name of this filter."""
MINIMA: Final = 256
"""K of an estimate of one group: an error of 6.3 %, and three fields and the count still fit one datagram."""
MINIMA_OF_GROUPS: Final = 64
"""K of each group where there are several: an error of 12.7 %."""
MAX_OCTETS: Final = 16_384
"""Of the minima of one sketch: as text it fits an envelope."""
MAX_DEVICES: Final = 1e9
"""No sketch of more is taken for one."""

SKETCH: Final = qname(GOSSIP, "Sketch")
COUNT: Final = qname(GOSSIP, "Count")
CELLS: Final = qname(GOSSIP, "Minima")


@dataclass(frozen=True, slots=True)
class _Row:
    """One group: a text for every key of the shape, the devices' minima, and those of every field's occurrences."""

    keys: tuple[str, ...]
    count: Codes
    fields: tuple[tuple[Codes, ...], ...]

    def merged(self, other: _Row) -> _Row:
        return _Row(
            tuple(a if a == b else MIXED for a, b in zip(self.keys, other.keys, strict=True)),
            sketch.merged(self.count, other.count),
            tuple(
                tuple(b if a is None else a if b is None else sketch.merged(a, b) for a, b in zip_longest(mine, theirs))
                for mine, theirs in zip(self.fields, other.fields, strict=True)
            ),
        )

    @property
    def vectors(self) -> int:
        return 1 + sum(map(len, self.fields))


_Groups = dict[str, _Row]


@dataclass(frozen=True, slots=True)
class Estimator:
    """`estimate` fitted to one shape. `by` is the index of the key to group by, None for one group."""

    shape: Shape
    by: int | None

    @classmethod
    def fit(cls, filter: Filter, shape: Shape | None, gathering: Gathering) -> Estimator:
        """Raises RemoteError when the values climb a tree, where they are exact, or may be negative."""
        if gathering is not Gathering.SPREAD:
            raise sender_fault(
                "FilterNotAllowed", "estimate is for what is gathered by spread: a tree has sum and mean"
            )
        if shape is None:
            raise sender_fault("FilterNotAllowed", "estimate: the operation does not say where its numbers are")
        for field in shape.fields:
            if field.low is None or field.low < 0:
                raise sender_fault(
                    "FilterNotAllowed", f"estimate: values of {field.name} may be negative, or nobody says that not"
                )
        return cls(shape, grouping(filter, shape))

    @property
    def minima(self) -> int:
        return MINIMA if self.by is None else MINIMA_OF_GROUPS

    def combine(self, inputs: tuple[Input, ...], final: bool) -> Combination:
        """All inputs in one value. What is malformed or impossible is left out and its index returned."""
        groups: _Groups = {}
        refused: list[int] = []
        for index, value in sorted(enumerate(inputs), key=lambda pair: not pair[1].own):
            try:
                root = read(value.value)
                groups = self._merge(groups, self._own(root, value.seed) if value.own else self._received(root))
            except ValueError:
                refused.append(index)
        told = [(group, groups[group]) for group in sorted(groups)]
        out = tuple(sorted(refused))
        if final:
            return Combination(self._response([row for _, row in told]), out, self._estimate(told))
        return Combination(self._partial([row for _, row in told]), out)

    def _merge(self, into: _Groups, more: _Groups) -> _Groups:
        merged = dict(into)
        for group, row in more.items():
            held = merged.get(group)
            merged[group] = row if held is None else held.merged(row)
        octets = 2 * self.minima * sum(row.vectors for row in merged.values())
        if len(merged) > MAX_ROWS or octets > MAX_OCTETS:
            raise ValueError("more groups or numbers than are kept")
        return merged

    def _own(self, root: etree._Element, seed: int) -> _Groups:
        totals: dict[str, tuple[tuple[str, ...], list[list[float]]]] = {}
        for keys, fields in read_response(root, self.shape):
            group = self._group(keys)
            values = [list(map(float, cells)) for cells in fields]
            held = totals.get(group)
            if held is None:
                totals[group] = keys, values
            else:
                mixed = tuple(a if a == b else MIXED for a, b in zip(held[0], keys, strict=True))
                totals[group] = mixed, [_added(mine, more) for mine, more in zip(held[1], values, strict=True)]
        chance = Random(seed)
        groups: _Groups = {}
        for group in sorted(totals):
            keys, values = totals[group]
            for field, cells in zip(self.shape.fields, values, strict=True):
                if not all(_fits(field, cell) for cell in cells) or not _occurs(field, len(cells)):
                    raise ValueError("outside of what one device can give")
            groups[group] = _Row(
                keys,
                sketch.draw(chance, 1.0, self.minima),
                tuple(tuple(sketch.draw(chance, cell, self.minima) for cell in cells) for cells in values),
            )
        return groups

    def _received(self, root: etree._Element) -> _Groups:
        if root.tag != SKETCH or root.get("K") != str(self.minima):
            raise ValueError(f"not a sketch of {self.minima} minima: {root.tag}")
        if len(root) > MAX_ROWS:
            raise ValueError(f"more than {MAX_ROWS} rows")
        groups: _Groups = {}
        for element in root:
            row = self._received_row(element)
            group = self._group(row.keys)
            if group in groups:
                raise ValueError("one group twice")
            groups[group] = row
        return groups

    def _received_row(self, element: etree._Element) -> _Row:
        keys, fields = self.shape.keys, self.shape.fields
        children = list(element)
        if element.tag != ROW or [child.tag for child in children] != [KEY] * len(keys) + [COUNT] + [CELLS] * len(
            fields
        ):
            raise ValueError("not a row of this operation's shape")
        texts = [child.text or "" for child in children]
        count = self._codes(texts[len(keys)])
        if not 0 < sketch.estimate(count).value <= MAX_DEVICES:
            raise ValueError("not a number of devices")
        cells = [tuple(map(self._codes, text.split())) for text in texts[len(keys) + 1 :]]
        for field, vectors in zip(fields, cells, strict=True):
            most = sketch.MOST if field.high is None else field.high
            if not _occurs(field, len(vectors)) or not all(sketch.is_plausible(one, count, most) for one in vectors):
                raise ValueError("outside of what so many devices could give")
        return _Row(tuple(map(read_key, texts[: len(keys)])), count, tuple(cells))

    def _codes(self, text: str) -> Codes:
        if len(text) > 4 * self.minima:
            raise ValueError("more minima than are kept")
        return sketch.read(b64decode(text, validate=True), self.minima)

    def _group(self, keys: tuple[str, ...]) -> str:
        return "" if self.by is None else keys[self.by]

    def _partial(self, rows: list[_Row]) -> bytes:
        root = etree.Element(SKETCH, nsmap={"g": GOSSIP}, K=str(self.minima))
        for row in rows:
            element = etree.SubElement(root, ROW)
            for key in row.keys:
                etree.SubElement(element, KEY).text = key
            etree.SubElement(element, COUNT).text = _text(row.count)
            for vectors in row.fields:
                etree.SubElement(element, CELLS).text = " ".join(map(_text, vectors))
        return canonical(root)

    def _response(self, rows: list[_Row]) -> bytes:
        def sums(row: _Row) -> tuple[Cells, ...]:
            return tuple(
                [_written(sketch.estimate(one).value, field.number) for one in vectors]
                for field, vectors in zip(self.shape.fields, row.fields, strict=True)
            )

        return write_response(((row.keys, sums(row)) for row in rows), self.shape)

    def _estimate(self, told: list[tuple[str, _Row]]) -> Estimate:
        return Estimate(
            self.minima,
            sketch.error(self.minima),
            sketch.quotient_error(self.minima),
            tuple(
                EstimatedGroup(
                    group,
                    sketch.estimate(row.count),
                    tuple(
                        EstimatedField(field.name, at, sketch.estimate(one), sketch.quotient(one, row.count))
                        for field, vectors in zip(self.shape.fields, row.fields, strict=True)
                        for at, one in enumerate(vectors)
                    ),
                )
                for group, row in told
            ),
        )


def _added(mine: list[float], more: list[float]) -> list[float]:
    return [a + b for a, b in zip_longest(mine, more, fillvalue=0.0)]


def _fits(field: Field, value: float) -> bool:
    low, high = field.low or 0.0, sketch.MOST if field.high is None else field.high
    return low <= value <= high and (value == 0 or value >= sketch.LEAST)


def _occurs(field: Field, times: int) -> bool:
    return field.least <= times and (field.most is None or times <= field.most)


def _text(codes: Codes) -> str:
    return b64encode(sketch.write(codes)).decode("ascii")


def _written(value: float, number: Number) -> Value:
    """An estimate as a number of the field. Nine digits: more would be made up."""
    if number is Number.DOUBLE:
        return value
    rounded = Decimal(f"{value:.9g}")
    return round(rounded) if number is Number.INTEGER else rounded
