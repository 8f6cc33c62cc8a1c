"""Named aggregates over an operation's shape: sum, max, min, mean, count, each ungrouped or by one key, and the set
of a key's values.

An own input is the service's response element; any other is a partial. The partial form is one element

    <g:Rows><g:Row N="devices"><g:Key>…</g:Key><g:Values>1 2 3</g:Values></g:Row>…</g:Rows>

with one Key for every key of the shape and one Values for every field, in the shape's order, rows sorted by
their keys: one text for one result. The final form is the response element with one row for each group. Where
neighbours exchange partials (`Gathering.SPREAD`), a value may come in twice and nobody counts devices: N stays 1.
What the numbers mean stands in `rows`. This module knows XML and shapes, and does no arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from gossip_ws.filters.elements import canonical, read
from gossip_ws.filters.rows import (
    AGGREGATES,
    MAX_CELLS,
    MAX_ROWS,
    SET,
    Aggregate,
    Row,
    write_number,
)
from gossip_ws.filters.shaped import grouping, read_key, read_response, write_response
from gossip_ws.kernel.contract import Shape
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.names import GOSSIP, qname
from gossip_ws.kernel.terms import Filter, Gathering
from gossip_ws.ports import Combination, Input

ROWS = qname(GOSSIP, "Rows")
ROW = qname(GOSSIP, "Row")
KEY = qname(GOSSIP, "Key")
VALUES = qname(GOSSIP, "Values")

_Groups = dict[str, Row]


@dataclass(frozen=True, slots=True)
class Named:
    """One aggregate fitted to one shape. `by` is the index of the key to group by, None for one group."""

    aggregate: Aggregate
    shape: Shape
    by: int | None
    gathering: Gathering = Gathering.TREE

    @classmethod
    def fit(cls, filter: Filter, shape: Shape | None, gathering: Gathering = Gathering.TREE) -> Named:
        """Raises RemoteError when there is no such aggregate, no shape, no such key, or a value may come in twice
        that must not."""
        aggregate = AGGREGATES.get(filter.name)
        if aggregate is None:
            raise sender_fault("FilterNotAllowed", f"no aggregate {filter.name[:64]!r}: one of {', '.join(AGGREGATES)}")
        if gathering is Gathering.SPREAD and not aggregate.idempotent:
            raise sender_fault(
                "FilterNotAllowed",
                f"{filter.name} must not take a value in twice, as spread does: max, min, set, or estimate for sums",
            )
        if shape is None:
            raise sender_fault("FilterNotAllowed", f"{filter.name}: the operation does not say where its numbers are")
        by = grouping(filter, shape)
        if aggregate is SET and by is None:
            if len(shape.keys) != 1:
                raise sender_fault("FilterNotAllowed", "set: name the key whose values are wanted, to group by")
            by = 0
        return cls(aggregate, shape, by, gathering)

    def combine(self, inputs: tuple[Input, ...], final: bool) -> Combination:
        """All inputs in one value. What is malformed or impossible is left out and its index returned.

        A value that would make more groups or numbers than are kept is refused too; the device's own comes
        first, so that no neighbour can crowd it out.
        """
        groups: _Groups = {}
        refused: list[int] = []
        for index, value in sorted(enumerate(inputs), key=lambda pair: not pair[1].own):
            try:
                groups = self._merge(groups, self._read(value))
            except ValueError:
                refused.append(index)
        rows = [groups[group] for group in sorted(groups)]
        return Combination(self._response(rows) if final else self._partial(rows), tuple(sorted(refused)))

    def _merge(self, into: _Groups, more: _Groups) -> _Groups:
        merged = dict(into)  # A refused input leaves no trace in `into`.
        for group, row in more.items():
            held = merged.get(group)
            if held is None:
                merged[group] = row
            else:
                devices = 1 if self.gathering is Gathering.SPREAD else held.devices + row.devices
                merged[group] = held.merged(row, self.aggregate.across, devices)
        if self.aggregate is SET:
            # The first in order, so that whoever merges what in which order keeps the same ones.
            return {group: merged[group] for group in sorted(merged)[:MAX_ROWS]}
        if len(merged) > MAX_ROWS or sum(row.size for row in merged.values()) > MAX_CELLS:
            raise ValueError("more groups or numbers than are kept")
        return merged

    def _read(self, value: Input) -> _Groups:
        if value.contributors < 1:
            raise ValueError("a value from nobody")
        root = read(value.value)
        groups = self._own(root) if value.own else self._received(root, value.contributors)
        for row in groups.values():
            if not all(map(self.aggregate.fits, row.cells, self.shape.fields, [row.devices] * len(row.cells))):
                raise ValueError("outside of what its contributors could give")
        return groups

    def _own(self, root: etree._Element) -> _Groups:
        groups: _Groups = {}
        for keys, fields in read_response(root, self.shape):
            row = Row(keys, 1, tuple(map(self.aggregate.start, fields)))
            group = self._group(row)
            held = groups.get(group)
            groups[group] = row if held is None else held.merged(row, self.aggregate.within, 1)
        return groups

    def _received(self, root: etree._Element, contributors: int) -> _Groups:
        if root.tag != ROWS:
            raise ValueError(f"not a partial of a named aggregate: {root.tag}")
        if len(root) > MAX_ROWS:
            raise ValueError(f"more than {MAX_ROWS} rows")
        groups: _Groups = {}
        for element in root:
            row = self._received_row(element, contributors)
            group = self._group(row)
            if group in groups:
                raise ValueError("one group twice")
            groups[group] = row
        return groups

    def _received_row(self, element: etree._Element, contributors: int) -> Row:
        keys, fields = self.shape.keys, self.shape.fields
        children = list(element)
        expected = [KEY] * len(keys) + [VALUES] * len(fields)
        if element.tag != ROW or [child.tag for child in children] != expected:
            raise ValueError("not a row of this operation's shape")
        devices = element.get("N", "")
        if not (devices.isascii() and devices.isdigit() and len(devices) < 16 and 1 <= int(devices) <= contributors):
            raise ValueError(f"a row of {devices[:20]!r} devices from {contributors} contributors")
        values = children[len(keys) :]
        return Row(
            tuple(read_key(child.text or "") for child in children[: len(keys)]),
            int(devices),
            tuple(
                self.aggregate.read((child.text or "").split(), field.number)
                for child, field in zip(values, fields, strict=True)
            ),
        )

    def _group(self, row: Row) -> str:
        return "" if self.by is None else row.keys[self.by]

    def _partial(self, rows: list[Row]) -> bytes:
        root = etree.Element(ROWS, nsmap={"g": GOSSIP})
        for row in rows:
            element = etree.SubElement(root, ROW, N=str(row.devices))
            for key in row.keys:
                etree.SubElement(element, KEY).text = key
            for cells in row.cells:
                etree.SubElement(element, VALUES).text = " ".join(map(write_number, cells))
        return canonical(root)

    def _response(self, rows: list[Row]) -> bytes:
        fields = self.shape.fields
        return write_response(
            ((row.keys, tuple(map(self.aggregate.finish, row.cells, fields))) for row in rows), self.shape
        )
