"""Attribute values read strictly and written one way: numbers, durations, times, octets, names.

Knows no message. Whatever does not read is a RemoteError, subcode `Malformed`, that names the attribute.
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error, a2b_base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NoReturn, TypeVar, cast

from lxml import etree

from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.names import SOAP12, DeviceId
from gossip_ws.wire.envelope import MAX_URI

V = TypeVar("V")

MAX_COUNT: Final = 1_000_000_000
"""The largest count of devices that is read."""
MAX_MILLISECONDS: Final = 7 * 86_400_000
"""The longest duration that is read: the longest lifetime."""

MAX_DEVICE: Final = 256
"""Characters of a device's endpoint reference address."""
MAX_INCARNATION: Final = (1 << 63) - 1
"""The largest incarnation that is read, as in the Peer Service's contract."""

_MAX_DIGITS: Final = 19
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")
_CLARK = re.compile(r"(?:\{[^{}\s]+\})?[^\W\d][\w.\-]*")
_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}

Attributes = Mapping[str, str]

SOAP_ATTRIBUTES: Final = frozenset(f"{{{SOAP12}}}{name}" for name in ("mustUnderstand", "role", "relay"))
"""What SOAP itself may write on any header block (SOAP 1.2 part 1 section 5.2)."""


def attributes(element: etree._Element) -> dict[str, str]:
    """All attributes at once, names in Clark notation: cheaper than asking for each."""
    return dict(cast(list[tuple[str, str]], element.items()))


def malformed(reason: str) -> NoReturn:
    """Raise the RemoteError of a block that cannot be read."""
    raise sender_fault("Malformed", reason)


def required(values: Attributes, name: str, limit: int = MAX_URI) -> str:
    """The attribute's text, not empty and at most `limit` characters."""
    value = values.get(name)
    if not value or len(value) > limit:
        malformed(f"{name} is missing, empty or longer than {limit}")
    return value


def integer(values: Attributes, name: str, most: int, default: int | None = None, least: int = 0) -> int:
    """A decimal integer, digits only, from `least` to `most`; `default` where the attribute is absent."""
    value = values.get(name)
    if value is None:
        if default is None:
            malformed(f"{name} is missing")
        return default
    # isdigit alone takes superscripts and other scripts; int alone takes signs, spaces and underscores.
    if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
        malformed(f"{name} is not a number of 0 to {most}: {value[:32]!r}")
    number = int(value)
    if not least <= number <= most:
        malformed(f"{name} is not from {least} to {most}: {value}")
    return number


def seconds(values: Attributes, name: str, default: float | None = None) -> float:
    """A duration written in whole milliseconds, in seconds."""
    if default is not None and name not in values:
        return default
    return integer(values, name, MAX_MILLISECONDS) / 1000


def milliseconds(duration: float) -> int:
    """Seconds as the whole milliseconds that `seconds` reads back, held to its range."""
    return min(max(round(duration * 1000), 0), MAX_MILLISECONDS)


def one_of(values: Attributes, name: str, members: Mapping[str, V], default: V | None = None) -> V:
    """The member of `members` that the attribute names."""
    value = values.get(name)
    if value is None and default is not None:
        return default
    if value is None or value not in members:
        malformed(f"{name} is none of {', '.join(members)}: {value[:64]!r}" if value else f"{name} is missing")
    return members[value]


def truth(values: Attributes, name: str) -> bool:
    """An xs:boolean, false where it is absent."""
    return one_of(values, name, _TRUTH, default=False)


def time(values: Attributes, name: str) -> float:
    """`2026-11-21T03:15:25.123456Z` as wall seconds."""
    return when(name, values.get(name, ""))


def when(name: str, value: str) -> float:
    """`value`, which stands in the attribute `name`, as `time` reads it."""
    if not _TIME.fullmatch(value):
        malformed(f"{name} is not a time in UTC that ends with Z: {value[:64]!r}")
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError as error:
        malformed(f"{name}: {error}")


def timestamp(wall: float) -> str:
    """Wall seconds with microseconds in UTC."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def octets(values: Attributes, name: str, most: int) -> bytes:
    """Base64 without white space, at most `most` octets; nothing where the attribute is absent or empty."""
    value = values.get(name)
    if not value:
        return b""
    if len(value) > 4 * (most // 3 + 1):
        malformed(f"{name} holds more than {most} octets")
    try:
        found = a2b_base64(value, strict_mode=True)
    except (Error, ValueError) as error:
        malformed(f"{name} is not base64: {error}")
    if len(found) > most:
        malformed(f"{name} holds more than {most} octets")
    return found


def base64(value: bytes) -> str:
    """Octets as `octets` reads them."""
    return b64encode(value).decode("ascii")


def device(values: Attributes, name: str = "Sender") -> DeviceId:
    """The endpoint reference address of a device."""
    return DeviceId(required(values, name, MAX_DEVICE))


def clark(value: str) -> str:
    """A qualified name in Clark notation: `{namespace}local`."""
    if len(value) > MAX_URI or not _CLARK.fullmatch(value):
        malformed(f"not a name as {{namespace}}local: {value[:64]!r}")
    return value


def only(values: Attributes, known: frozenset[str], where: str) -> None:
    """Refuse what is not `known`: a term that one device skips and another obeys is no term."""
    if not values.keys() <= known:
        malformed(f"unknown attribute of {where}: {sorted(values.keys() - known)[0][:64]}")
