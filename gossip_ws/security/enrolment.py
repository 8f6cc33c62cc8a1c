"""Who is who, and where: enrolments, which an operator signs, and files of them.

An enrolment binds a device's identity to its key and to its place in the grid, for a time. A file has one a line, each
a JSON object; docs/nano-grids.md has its members. Nobody without the operator's key can make one, move one or make it
last longer. Refuses to know what a device may say once it is enrolled.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from binascii import Error, a2b_base64
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import DeviceId
from gossip_ws.kernel.scopes import scope_path
from gossip_ws.security.keys import PrivateKey, PublicKey

FORMAT: Final = "gossip-ws enrolment 1"
MOST: Final = 20_000
"""Enrolments of a file: as many as an instance has devices."""
_LINE: Final = 4_096
_URI: Final = 256
_DEVICE: Final = re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_TIMES: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_NEEDED: Final = frozenset({"format", "device", "place", "key", "from", "until", "operator", "signature"})
_MAY: Final = frozenset({"bus", "meter"})


@dataclass(frozen=True, slots=True)
class Enrolment:
    """device: its identity, lower case. place: its scope in the grid. bus: where it hangs on the feeder tree, if
    that is known. meter: the key of the meter that tells what it gives and takes, if another's. since, until:
    seconds since 1970, whole. operator: the key id of who signed.

    Raises LocalError for an identity that is no `urn:uuid:`, a place that is no scope, and times out of order.
    """

    device: DeviceId
    key: PublicKey
    place: str
    since: int
    until: int
    operator: str
    bus: int | None = None
    meter: PublicKey | None = None
    signature: bytes = b""

    def __post_init__(self) -> None:
        if _DEVICE.fullmatch(self.device) is None:
            raise LocalError(f"device is no urn:uuid: in lower case: {self.device[:_URI]!r}")
        if len(self.place) > _URI or "://" not in self.place or scope_path(self.place) is None:
            raise LocalError(
                f"place is no scope of at most {_URI} characters, as grid://town/1/7: {self.place[:_URI]!r}"
            )
        if self.bus is not None and self.bus < 0:
            raise LocalError(f"bus is a number from 0: {self.bus}")
        if not 0 <= self.since < self.until:
            raise LocalError("until is not after from")

    def statement(self) -> bytes:
        """What the operator signs: the members but the signature, in order of their names, in JSON without spaces."""
        return _canonical(self._told())

    def line(self) -> str:
        """As it stands in a file."""
        return json.dumps(self._told() | {"signature": _text(self.signature)})

    def is_valid(self, wall: float) -> bool:
        """At a time, seconds since 1970?"""
        return self.since <= wall < self.until

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "format": FORMAT,
            "device": self.device,
            "place": self.place,
            "key": _text(self.key.raw),
            "from": time_text(self.since),
            "until": time_text(self.until),
            "operator": self.operator,
        }
        if self.bus is not None:
            told["bus"] = self.bus
        if self.meter is not None:
            told["meter"] = _text(self.meter.raw)
        return told


def enrol(
    operator: PrivateKey,
    device: str,
    key: PublicKey,
    place: str,
    since: int,
    until: int,
    *,
    bus: int | None = None,
    meter: PublicKey | None = None,
) -> Enrolment:
    """Sign one. Raises LocalError where it is none."""
    found = Enrolment(DeviceId(device.lower()), key, place, since, until, operator.id, bus, meter)
    return replace(found, signature=operator.sign(found.statement()))


def parse(line: str | bytes, operators: Collection[PublicKey]) -> Enrolment:
    """Read one, whatever its times are. Raises LocalError when it is none, or not signed by one of `operators`."""
    if len(line) > _LINE:
        raise LocalError(f"an enrolment has at most {_LINE} octets")
    try:
        told = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise LocalError("no JSON") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise LocalError(f"no enrolment: format is not {FORMAT!r}")
    if not told.keys() >= _NEEDED or not told.keys() <= _NEEDED | _MAY:
        raise LocalError(
            f"no enrolment: lacks or has too much: {', '.join(map(repr, sorted(told.keys() ^ _NEEDED)))[:_URI]}"
        )
    found = Enrolment(
        DeviceId(_member(told, "device")),
        PublicKey.from_raw(_octets(told, "key")),
        _member(told, "place"),
        _time(told, "from"),
        _time(told, "until"),
        _member(told, "operator"),
        _bus(told),
        PublicKey.from_raw(_octets(told, "meter")) if "meter" in told else None,
        _octets(told, "signature"),
    )
    signer = next((operator for operator in operators if operator.id == found.operator), None)
    if signer is None:
        raise LocalError(f"{found.device} is enrolled by another operator, key {found.operator[:32]!r}")
    if not signer.verifies(found.signature, found.statement()):
        raise LocalError(f"{found.device}: forged: not what the operator has signed")
    return found


class Enrolments(Mapping[str, Enrolment]):
    """By device; one a device, and no key for two. Raises LocalError otherwise."""

    def __init__(self, found: Iterable[Enrolment] = ()) -> None:
        self._by_device: dict[str, Enrolment] = {}
        keys: dict[PublicKey, str] = {}
        for one in found:
            if one.device in self._by_device:
                raise LocalError(f"{one.device} is enrolled twice")
            for key in (one.key, one.meter):
                # A meter may measure several devices; who speaks for itself does so alone.
                other = keys.setdefault(key, one.device) if key is not None else one.device
                if other != one.device and (key == one.key or self._by_device[other].key == key):
                    raise LocalError(f"{one.device} and {other} have one key")
            self._by_device[one.device] = one

    def __getitem__(self, device: str) -> Enrolment:
        return self._by_device[device]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_device)

    def __len__(self) -> int:
        return len(self._by_device)

    def at(self, wall: float) -> Enrolments:
        """Those that are valid at a time: who is not enrolled any more is not believed."""
        return Enrolments(one for one in self._by_device.values() if one.is_valid(wall))

    def one(self, device: str, wall: float) -> Enrolment:
        """A device's own. Raises LocalError when it is not enrolled, not yet, or no longer."""
        found = self._by_device.get(device)
        if found is None:
            raise LocalError(f"{device} is not enrolled")
        if wall < found.since:
            raise LocalError(f"{device} is enrolled from {time_text(found.since)} on")
        if wall >= found.until:
            raise LocalError(f"the enrolment of {device} expired at {time_text(found.until)}")
        return found


def load(path: Path, operators: Collection[PublicKey]) -> Enrolments:
    """Read a file of enrolments. One line that is forged, of another operator or none at all spoils it: LocalError,
    which names the line. Those that have expired are read; ask `at` or `one`."""
    found = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if number > MOST:
                    raise LocalError(f"{path}: more than {MOST} enrolments")
                if line.strip():
                    found.append(_at(f"{path}:{number}", line, operators))
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from None
    try:
        return Enrolments(found)
    except LocalError as error:
        raise LocalError(f"{path}: {error}") from None


def save(path: Path, enrolments: Enrolments) -> None:
    """Write a file anew; whoever reads it finds the old or the new one. Raises LocalError."""
    written: str | None = None
    try:
        with NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False, encoding="ascii") as file:
            written = file.name
            file.writelines(f"{one.line()}\n" for one in enrolments.values())
            file.flush()
            os.fsync(file.fileno())
        os.chmod(written, 0o644)
        os.replace(written, path)
    except OSError as error:
        if written is not None:
            Path(written).unlink(missing_ok=True)
        raise LocalError(f"{path}: {error.strerror}") from None


def time_text(seconds: int) -> str:
    """Seconds since 1970 as they are written: UTC, to the second."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(_TIME)
    except (ValueError, OverflowError, OSError):
        raise LocalError(f"no time that can be written: {seconds}") from None


def _at(where: str, line: bytes, operators: Collection[PublicKey]) -> Enrolment:
    try:
        return parse(line, operators)
    except LocalError as error:
        raise LocalError(f"{where}: {error}") from None


def _canonical(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def _text(octets: bytes) -> str:
    return b64encode(octets).decode()


def _member(told: Mapping[str, Any], name: str) -> str:
    value = told[name]
    # JSON can write halves of characters, which are no text anywhere else.
    if not isinstance(value, str) or any("\ud800" <= one <= "\udfff" for one in value):
        raise LocalError(f"{name} is no string")
    return value


def _octets(told: Mapping[str, Any], name: str) -> bytes:
    try:
        return a2b_base64(_member(told, name), strict_mode=True)
    except (Error, ValueError):
        raise LocalError(f"{name} is no base64") from None


def _time(told: Mapping[str, Any], name: str) -> int:
    text = _member(told, name)
    try:
        if _TIMES.fullmatch(text):
            return int(datetime.strptime(text, _TIME).replace(tzinfo=UTC).timestamp())
    except ValueError:
        pass
    raise LocalError(f"{name} is no time as 2026-04-18T00:00:00Z: {text[:32]!r}")


def _bus(told: Mapping[str, Any]) -> int | None:
    value = told.get("bus")
    if "bus" in told and (not isinstance(value, int) or isinstance(value, bool)):
        raise LocalError("bus is no number")
    return value


def _no_number(text: str) -> Any:
    raise ValueError(text)
