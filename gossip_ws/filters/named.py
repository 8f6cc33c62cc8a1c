"""Named aggregates over an operation's shape: sum, max, min, mean, count, each ungrouped or by one key.

An own input is the service's response element; any other is a partial. The partial form is one element

    <g:Rows><g:Row N="devices"><g:Key>…</g:Key><g:Values>1 2 3</g:Values></g:Row>…</g:Rows>

with one Key for every key of the shape and one Values for every field, in the shape's order, rows sorted by
their keys: one text for one result. The final form is the response element with one row for each group.
What the numbers mean stands in `rows`. This module knows XML and shapes, and does no arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from gossip_ws.filters.elements import canonical, read
from gossip_ws.filters.rows import (
    AGGREGATES,
    MAX_CELLS,
    MAX_KEY,
    MAX_ROWS,
    Aggregate,
    Cells,
    Row,
    read_number,
    write_number,
)
from gossip_ws.kernel.contract import Shape
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.names import GOSSIP, qname, split
from gossip_ws.kernel.terms import Filter
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

    @classmethod
    def fit(cls, filter: Filter, shape: Shape | None) -> Named:
        """Raises RemoteError when there is no such aggregate, no shape, or no such key."""
        aggregate = AGGREGATES.get(filter.name)
        if aggregate is None:
            raise sender_fault("FilterNotAllowed", f"no aggregate {filter.name[:64]!r}: one of {', '.join(AGGREGATES)}")
        if shape is None:
            raise sender_fault("FilterNotAllowed", f"{filter.name}: the operation does not say where its numbers are")
        if not filter.group_by:
            return cls(aggregate, shape, None)
        names = [split(key)[1] for key in shape.keys]
        if filter.group_by not in names:
            raise sender_fault("FilterNotAllowed", f"no key {filter.group_by[:64]!r} to group by: one of {names}")
        return cls(aggregate, shape, names.index(filter.group_by))

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
            merged[group] = row if held is None else held.merged(row, self.aggregate.across, held.devices + row.devices)
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
        shape = self.shape
        if root.tag != shape.response:
            raise ValueError(f"not the operation's response: {root.tag}")
        parent: etree._Element | None = root
        for step in shape.path:
            parent = parent.find(step) if parent is not None else None
        elements = [] if parent is None else parent.findall(shape.row)
        if len(elements) > MAX_ROWS:
            raise ValueError(f"more than {MAX_ROWS} rows")
        groups: _Groups = {}
        for element in elements:
            row = self._own_row(element)
            group = self._group(row)
            held = groups.get(group)
            groups[group] = row if held is None else held.merged(row, self.aggregate.within, 1)
        return groups

    def _own_row(self, element: etree._Element) -> Row:
        texts: dict[str, list[str]] = {}
        for child in element:
            texts.setdefault(child.tag, []).append(child.text or "")
        cells: list[Cells] = []
        for field in self.shape.fields:
            values = [read_number(text, field.number) for text in texts.get(field.name, ())]
            cells.append(self.aggregate.start(values))
        return Row(tuple(_key(texts.get(key, [""])[0]) for key in self.shape.keys), 1, tuple(cells))

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
            tuple(_key(child.text or "") for child in children[: len(keys)]),
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
        shape = self.shape
        root = etree.Element(
            shape.response, nsmap={"r": split(shape.response)[0]} if shape.response[0] == "{" else None
        )
        parent = root
        for step in shape.path:
            parent = etree.SubElement(parent, step)
        for row in rows:
            texts: dict[str, list[str]] = {key: [text] for key, text in zip(shape.keys, row.keys, strict=True) if text}
            for field, cells in zip(shape.fields, row.cells, strict=True):
                texts[field.name] = [write_number(cell) for cell in self.aggregate.finish(cells, field.number)]
            element = etree.SubElement(parent, shape.row)
            for name in shape.elements:
                for text in texts.get(name, ()):
                    etree.SubElement(element, name).text = text
        return canonical(root)


def _key(text: str) -> str:
    key = " ".join(text.split())
    if len(key) > MAX_KEY:
        raise ValueError(f"a key of more than {MAX_KEY} characters")
    return key
