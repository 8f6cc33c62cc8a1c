"""A Trust from a TOML file. Whatever does not fit is a LocalError that names the file and the key.

clock_skew = 60                # seconds
max_lifetime = 86400           # seconds

[[originator]]
key = "information-system.pem" # public key; relative to this file
actions = ["urn:gossip-ws:2026:tariff:SetTariff"]
interfaces = ["10.1.0.7"]      # optional: local addresses on which it must arrive

[[caller]]
user = "dispatcher"
password = "scrypt$16384$8$1$…$…"
actions = ["urn:gossip-ws:2026:tariff:SetTariff"]
networks = ["10.9.0.0/16"]     # optional with a password
interfaces = ["10.9.0.1"]      # optional with a password
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, TypeVar

from gossip_ws.kernel.errors import LocalError
from gossip_ws.security.authority import CallerRule, Ip, IpNetwork, Originator, Trust, ip
from gossip_ws.security.keys import PublicKey
from gossip_ws.security.passwords import PasswordHash

R = TypeVar("R")

_TOP: Final = frozenset(("clock_skew", "max_lifetime", "originator", "caller"))
_ORIGINATOR: Final = frozenset(("key", "actions", "interfaces"))
_CALLER: Final = frozenset(("user", "password", "actions", "networks", "interfaces"))


def load_trust(path: Path) -> Trust:
    """Read the rules of one device. Raises LocalError."""
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LocalError(f"{path}: not TOML: {error}") from None
    _only(document, _TOP, str(path))
    numbers = {name: _number(document, name, str(path)) for name in ("clock_skew", "max_lifetime") if name in document}
    originators = _each(document, "originator", path, _originator)
    callers = _each(document, "caller", path, _caller)
    return _named(str(path), lambda: Trust(originators, callers, **numbers))


def _originator(table: dict[str, Any], where: str, folder: Path) -> Originator:
    _only(table, _ORIGINATOR, where)
    name = _text(table, "key", where)
    key = _named(f"{where}: key", lambda: PublicKey.load(folder / name))
    return Originator(key, _actions(table, where), _interfaces(table, where))


def _caller(table: dict[str, Any], where: str, folder: Path) -> CallerRule:
    _only(table, _CALLER, where)
    user = _text(table, "user", where) if "user" in table else ""
    password = None
    if "password" in table:
        written = _text(table, "password", where)
        password = _named(f"{where}: password", lambda: PasswordHash.parse(written))
    actions, networks, interfaces = _actions(table, where), _networks(table, where), _interfaces(table, where)
    return _named(where, lambda: CallerRule(actions, user, password, networks, interfaces))


def _each(
    document: dict[str, Any], name: str, path: Path, read: Callable[[dict[str, Any], str, Path], R]
) -> tuple[R, ...]:
    tables = document.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise LocalError(f"{path}: {name} is written [[{name}]]")
    return tuple(read(table, f"{path}: {name} {number}", path.parent) for number, table in enumerate(tables, 1))


def _only(table: dict[str, Any], known: frozenset[str], where: str) -> None:
    for name in table:
        if name not in known:
            raise LocalError(f"{where}: unknown key: {name}")


def _text(table: dict[str, Any], name: str, where: str) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value:
        raise LocalError(f"{where}: {name} is missing or not a string")
    return value


def _texts(table: dict[str, Any], name: str, where: str) -> list[str]:
    values = table.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        raise LocalError(f"{where}: {name} is not a list of strings")
    return values


def _number(table: dict[str, Any], name: str, where: str) -> float:
    value = table[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LocalError(f"{where}: {name} is not a number: {value!r}")
    return float(value)


def _actions(table: dict[str, Any], where: str) -> frozenset[str]:
    actions = frozenset(_texts(table, "actions", where))
    if not actions:
        raise LocalError(f"{where}: actions are missing: a rule says what it allows")
    return actions


def _interfaces(table: dict[str, Any], where: str) -> frozenset[Ip]:
    found = set()
    for value in _texts(table, "interfaces", where):
        address = ip(value)
        if address is None:
            raise LocalError(f"{where}: interfaces: not a literal address: {value!r}")
        found.add(address)
    return frozenset(found)


def _networks(table: dict[str, Any], where: str) -> tuple[IpNetwork, ...]:
    try:
        return tuple(ip_network(value) for value in _texts(table, "networks", where))
    except ValueError as error:
        raise LocalError(f"{where}: networks: {error}") from None


def _named(where: str, make: Callable[[], R]) -> R:
    try:
        return make()
    except LocalError as error:
        raise LocalError(f"{where}: {error}") from None
