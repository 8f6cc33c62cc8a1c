"""Where the numbers are in an operation's response, read from its declared return type.

A combiner adds fields without knowing any service; this is how it learns which ones. Knows Spyne's models
and nothing of messages.
"""

from __future__ import annotations

import re
from decimal import Decimal as Exact
from typing import Any

from spyne.model.complex import Array, ComplexModelBase, XmlModifier
from spyne.model.primitive import Decimal, Double, Float, Integer, Unicode

from gossip_ws.kernel.contract import Field, Number, Shape
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import QName, qname

MIXED = "mixed"
"""What a key reads when rows of different keys were merged."""


def reading(kind: Any, low: float, high: float, **facets: Any) -> Any:
    """A mandatory numeric element of which one device gives values from `low` to `high`.

    The range is not a facet of the schema: the sum over many devices must be valid against the same
    WSDL. It is what combiners hold each device's contribution to, and the WSDL says so in words.
    """
    if not low <= high:
        raise LocalError(f"a range goes from low to high, not {low} to {high}")
    said = f"One device gives {low:g} to {high:g}; an aggregate may be outside."
    facets = {"min_occurs": 1, "nillable": False, "doc": said, **facets}
    return kind(per_device=(low, high), **facets)


def element_name(model: Any, namespace: str) -> QName:
    """The qualified name of the element that carries a message of this model."""
    return qname(_space(model.Attributes.sub_ns, model.get_namespace(), namespace), model.get_element_name())


def shape_of(out_message: Any, namespace: str) -> Shape | None:
    """None when no combined response could be made: no row with a numeric field, more than one place for
    it, or a row that needs what no aggregate has."""
    response = element_name(out_message, namespace)
    found = _rows(out_message, (), namespace) if _is_structure(out_message) else []
    # The response element itself is the answer, not a row of it: its own numbers have no row around them.
    found = [place for place in found if place[0]]
    if len(found) != 1:
        return None
    path, row = found[0]
    if _unmergeable(row):
        return None
    keys, fields, elements = _columns(row, namespace)
    return Shape(response, path[:-1], path[-1], keys, fields, elements)


def _unmergeable(row: Any) -> bool:
    """Is there a child that must stand in the row but is neither key nor number?"""
    return any(
        model.Attributes.min_occurs > 0 and not _is_key(model) and _number(model) is None for _, model in _members(row)
    )


def _rows(structure: Any, path: tuple[QName, ...], namespace: str) -> list[tuple[tuple[QName, ...], Any]]:
    """(path to the row inclusive, its model) for every structure with numeric children of its own."""
    places: list[tuple[tuple[QName, ...], Any]] = []
    members = _members(structure)
    if any(_number(model) is not None for _, model in members):
        # A row's own children are its columns; deeper ones would need rows inside rows.
        return [(path, structure)]
    for name, model in members:
        # A structure that contains itself has no one place for its rows.
        if _is_structure(model) and len(path) < 8:
            places += _rows(model, (*path, _child(structure, name, model, namespace)), namespace)
    return places


def _columns(row: Any, namespace: str) -> tuple[tuple[QName, ...], tuple[Field, ...], tuple[QName, ...]]:
    keys: list[QName] = []
    fields: list[Field] = []
    elements: list[QName] = []
    for name, model in _members(row):
        qualified = _child(row, name, model, namespace)
        elements.append(qualified)
        number = _number(model)
        if number is not None:
            low, high = _range(model)
            most = model.Attributes.max_occurs
            fields.append(
                Field(
                    qualified,
                    number,
                    low,
                    high,
                    least=int(model.Attributes.min_occurs),
                    most=None if most in ("unbounded", float("inf")) else int(most),
                )
            )
        elif _is_key(model):
            keys.append(qualified)
    return tuple(keys), tuple(fields), tuple(elements)


def _members(structure: Any) -> list[tuple[str, Any]]:
    return [
        (name, model)
        for name, model in structure.get_flat_type_info(structure).items()
        # Attributes and text are no child elements; what is excluded is never written.
        if not issubclass(model, XmlModifier) and not model.Attributes.exc
    ]


def _child(parent: Any, name: str, model: Any, namespace: str) -> QName:
    space = _space(model.Attributes.sub_ns, parent.get_namespace(), namespace)
    return qname(space, model.Attributes.sub_name or name)


def _space(declared: Any, inherited: Any, target: str) -> str:
    """Spyne says "the service's own namespace" with a class, and "not declared" with None."""
    space = inherited if declared is None else declared
    return space if isinstance(space, str) else target


def _is_structure(model: Any) -> bool:
    return issubclass(model, (ComplexModelBase, Array))


def _number(model: Any) -> Number | None:
    if issubclass(model, Integer):
        return Number.INTEGER
    if issubclass(model, (Double, Float)):
        return Number.DOUBLE
    if issubclass(model, Decimal):
        return Number.DECIMAL
    return None


def _is_key(model: Any) -> bool:
    """A plain string that may read `mixed`."""
    if not issubclass(model, Unicode) or model.Attributes.max_occurs != 1:
        return False
    facets = model.Attributes
    if facets.values and MIXED not in facets.values:
        return False
    if facets.max_len < len(MIXED) or facets.min_len > len(MIXED):
        return False
    return facets.pattern is None or re.fullmatch(facets.pattern, MIXED) is not None


def _range(model: Any) -> tuple[float | None, float | None]:
    declared = getattr(model.Attributes, "per_device", None)
    if declared is not None:
        return declared[0], declared[1]
    return _finite(model.Attributes.ge, model.Attributes.gt), _finite(model.Attributes.le, model.Attributes.lt)


def _finite(*bounds: Any) -> float | None:
    """The first bound that is one: Spyne writes "none" as an infinity."""
    for bound in bounds:
        if bound is not None and Exact(bound).is_finite():
            return float(bound)
    return None
