"""The part of JSON Schema that the instance format uses: a value keeps a schema, or is refused by place.

Knows no format. A keyword it has no rule for is an error of the schema, never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gossip_ws.kernel.errors import LocalError

_TYPES: Final[Mapping[str, type]] = {"object": dict, "array": list, "string": str, "integer": int}
_REMARKS: Final = frozenset({"$schema", "title", "description"})
_RULES: Final = frozenset(
    {
        "type",
        "const",
        "required",
        "properties",
        "additionalProperties",
        "items",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
    }
)
_SHOWN: Final = 40


def check(value: Any, schema: Mapping[str, Any], where: str = "") -> None:
    """Raises LocalError, naming the place as `devices[3].watts`, when `value` is not what `schema` demands."""
    unknown = schema.keys() - _RULES - _REMARKS
    if unknown:
        raise TypeError(f"no rule for {sorted(unknown)}")
    if "const" in schema and value != schema["const"]:
        raise _wrong(where, f"has to be {schema['const']!r}, not {str(value)[:_SHOWN]!r}")
    wanted = schema.get("type")
    # A boolean is an int to Python, but not to JSON.
    if wanted is not None and (not isinstance(value, _TYPES[wanted]) or isinstance(value, bool)):
        raise _wrong(where, f"has to be of type {wanted}")
    if isinstance(value, dict):
        _object(value, schema, where)
    elif isinstance(value, list):
        _size(len(value), schema, "Items", "items", where)
        if "items" in schema:
            for number, item in enumerate(value):
                check(item, schema["items"], f"{where}[{number}]")
    elif isinstance(value, str):
        _size(len(value), schema, "Length", "characters", where)
        if any("\ud800" <= one <= "\udfff" for one in value):
            # JSON can write it; nothing else can.
            raise _wrong(where, "has half a character")
    elif isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        raise _wrong(where, f"lies outside {schema.get('minimum')} to {schema.get('maximum')}")


def _object(value: dict[str, Any], schema: Mapping[str, Any], where: str) -> None:
    for name in schema.get("required", ()):
        if name not in value:
            raise _wrong(where, f"lacks {name!r}")
    known = schema.get("properties", {})
    for name, member in value.items():
        if name in known:
            check(member, known[name], f"{where}.{name}" if where else name)
        elif schema.get("additionalProperties") is False:
            raise _wrong(where, f"has {name[:_SHOWN]!r}, which there is not")


def _size(size: int, schema: Mapping[str, Any], suffix: str, what: str, where: str) -> None:
    if not schema.get(f"min{suffix}", size) <= size <= schema.get(f"max{suffix}", size):
        least, most = schema.get(f"min{suffix}", 0), schema.get(f"max{suffix}")
        raise _wrong(where, f"has {size} {what}, not {least} to {most}")


def _wrong(where: str, what: str) -> LocalError:
    return LocalError(f"{where or 'the instance'} {what}")
