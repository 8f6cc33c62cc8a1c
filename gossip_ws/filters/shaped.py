"""A response element by its operation's shape: its rows read, and made from rows. Knows no aggregate."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from gossip_ws.filters.elements import canonical
from gossip_ws.filters.rows import MAX_KEY, MAX_ROWS, Cells, read_number, write_number
from gossip_ws.kernel.contract import Shape
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.names import split
from gossip_ws.kernel.terms import Filter

Shaped = tuple[tuple[str, ...], tuple[Cells, ...]]
"""One row: a text for every key of the shape, the numbers of every field."""


def grouping(filter: Filter, shape: Shape) -> int | None:
    """The index of the key that the filter groups by, None for one group. Raises RemoteError for one not there."""
    if not filter.group_by:
        return None
    names = [split(key)[1] for key in shape.keys]
    if filter.group_by not in names:
        raise sender_fault("FilterNotAllowed", f"no key {filter.group_by[:64]!r} to group by: one of {names}")
    return names.index(filter.group_by)


def read_response(root: etree._Element, shape: Shape) -> list[Shaped]:
    """The rows of one device's reply. Raises ValueError."""
    if root.tag != shape.response:
        raise ValueError(f"not the operation's response: {root.tag}")
    parent: etree._Element | None = root
    for step in shape.path:
        parent = parent.find(step) if parent is not None else None
    elements = [] if parent is None else parent.findall(shape.row)
    if len(elements) > MAX_ROWS:
        raise ValueError(f"more than {MAX_ROWS} rows")
    return [_read_row(element, shape) for element in elements]


def write_response(rows: Iterable[Shaped], shape: Shape) -> bytes:
    """The canonical response element with these rows."""
    root = etree.Element(shape.response, nsmap={"r": split(shape.response)[0]} if shape.response[0] == "{" else None)
    parent = root
    for step in shape.path:
        parent = etree.SubElement(parent, step)
    for keys, fields in rows:
        texts: dict[str, list[str]] = {key: [text] for key, text in zip(shape.keys, keys, strict=True) if text}
        for field, cells in zip(shape.fields, fields, strict=True):
            texts[field.name] = list(map(write_number, cells))
        element = etree.SubElement(parent, shape.row)
        for name in shape.elements:
            for text in texts.get(name, ()):
                etree.SubElement(element, name).text = text
    return canonical(root)


def read_key(text: str) -> str:
    """A key as it is compared. Raises ValueError when it is too long."""
    key = " ".join(text.split())
    if len(key) > MAX_KEY:
        raise ValueError(f"a key of more than {MAX_KEY} characters")
    return key


def _read_row(element: etree._Element, shape: Shape) -> Shaped:
    texts: dict[str, list[str]] = {}
    for child in element:
        texts.setdefault(child.tag, []).append(child.text or "")
    return (
        tuple(read_key(texts.get(key, [""])[0]) for key in shape.keys),
        tuple([read_number(text, field.number) for text in texts.get(field.name, ())] for field in shape.fields),
    )
