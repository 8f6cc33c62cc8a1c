"""A tariff as written by a person: a file of JSON, prices, times. Knows nothing of who takes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from gossip_ws.grid.tariff import Band, Tariff
from gossip_ws.kernel.errors import LocalError

_KEYS = frozenset(("id", "version", "start", "end", "bands"))
_BAND_KEYS = frozenset(("fromMinute", "toMinute", "price"))
_MAX_FILE = 65_536
FINEST: Final = 12
"""Digits of a price after the point: twice what devices take. Without end, a short number would have a long text."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A tariff as SetTariff takes it. bands: from minute, to minute, price. What it means is judged by the device."""

    id: str
    version: int
    start: datetime
    end: datetime
    bands: tuple[tuple[int, int, Decimal], ...]

    def tariff(self) -> Tariff:
        """As planners take it. Raises LocalError when it is none."""
        bands = tuple(Band(start, end, price) for start, end, price in self.bands)
        return Tariff(self.id, self.version, self.start.timestamp(), self.end.timestamp(), bands)

    def parameter(self) -> dict[str, Any]:
        """As zeep takes it."""
        return {
            "id": self.id,
            "version": self.version,
            "start": self.start,
            "end": self.end,
            "band": [{"fromMinute": start, "toMinute": end, "price": f"{price:f}"} for start, end, price in self.bands],
        }


def read_tariff(file: Path) -> Pushed:
    """The tariff in a file. Raises LocalError when it cannot be read or is none."""
    try:
        with file.open("rb") as stream:
            held = json.loads(stream.read(_MAX_FILE), parse_float=Decimal)
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise LocalError(f"{file}: not JSON: {error}") from None
    where = str(file)
    if not isinstance(held, dict) or held.keys() != _KEYS or not isinstance(held["bands"], list):
        raise LocalError(f"{where}: a tariff is an object with {', '.join(sorted(_KEYS))}")
    for name, kind in (("id", str), ("version", int), ("start", str), ("end", str)):
        if not isinstance(held[name], kind) or isinstance(held[name], bool):
            raise LocalError(f"{where}: {name} is not a {'whole number' if kind is int else 'string'}")
    bands = tuple(_band_object(f"{where}: bands {number}", band) for number, band in enumerate(held["bands"], 1))
    start, end = (read_time(f"{where}: {name}", held[name]) for name in ("start", "end"))
    return Pushed(held["id"], held["version"], start, end, bands)


def _band_object(where: str, band: Any) -> tuple[int, int, Decimal]:
    if not isinstance(band, dict) or band.keys() != _BAND_KEYS:
        raise LocalError(f"{where}: a band is an object with {', '.join(sorted(_BAND_KEYS))}")
    minutes = band["fromMinute"], band["toMinute"]
    if not all(isinstance(minute, int) and not isinstance(minute, bool) for minute in minutes):
        raise LocalError(f"{where}: minutes are whole numbers")
    return *minutes, read_price(where, str(band["price"]))


def read_price(where: str, written: str) -> Decimal:
    """For one kWh; `where` it is written, for the error. Raises LocalError when it is no number."""
    try:
        price = Decimal(written)
    except InvalidOperation:
        raise LocalError(f"{where}: not a price: {written!r:.60}") from None
    exponent = price.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -FINEST:
        raise LocalError(f"{where}: not a price of at most {FINEST} digits after the point: {written!r:.60}")
    return price


def read_time(where: str, written: str) -> datetime:
    """ISO 8601 with a time zone, as UTC; `where` as above. Raises LocalError."""
    try:
        found = datetime.fromisoformat(written)
        if found.tzinfo is None:
            raise LocalError(f"{where}: a time without its zone: {written!r}")
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        # An hour before the year 1 in UTC there is none.
        raise LocalError(f"{where}: not a time in ISO 8601: {written!r:.60}") from None
