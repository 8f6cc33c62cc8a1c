"""Scopes taken apart by the matching rules that need more than the text: uuid and ldap (WS-Discovery 1.1 section 5.1).

Each reads a scope as a path, so that one scope covers another when its path is a prefix of the other's. What a rule
cannot read matches nothing.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from gossip_ws.kernel.scopes import ScopePath

_UUID: Final = re.compile(r"(?:urn:)?uuid:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
_LDAP: Final = re.compile(r"ldap://([^/?#]*)/?([^?#]*)(?:[?#].*)?", re.IGNORECASE | re.DOTALL)
_LDAP_PORT: Final = ":389"
# RFC 4514 section 3: an escaped octet as two hexadecimal digits, or a character as itself.
_PAIR: Final = re.compile(rb"\\([0-9a-fA-F]{2}|.)", re.DOTALL)
_BACKSLASH, _COMMA, _PLUS = b"\\,+"


def uuid_path(scope: str) -> ScopePath | None:
    """The 16 octets of a `uuid:` or `urn:uuid:` scope, however its letters are written."""
    found = _UUID.fullmatch(scope)
    return (bytes.fromhex(found[1].replace("-", "")),) if found else None


def ldap_path(scope: str) -> ScopePath | None:
    """Host and port of an `ldap:` scope (RFC 4516), then its relative names from the root of the directory down.

    A distinguished name is written with its root last (RFC 4514), so `ldap://h/dc=example` covers
    `ldap://h/ou=meters,dc=example`. Letters and repeated spaces do not count, as for the attributes that such names
    are made of. Attribute types are compared as they are written, by name or by number.
    """
    found = _LDAP.fullmatch(scope)
    if found is None:
        return None
    host = found[1].lower().removesuffix(_LDAP_PORT).encode()
    names = []
    for name in _split(_COMMA, unquote_to_bytes(found[2])):
        parts = []
        for part in _split(_PLUS, name) or [name]:
            kind, mark, value = part.partition(b"=")
            if not mark or not kind.strip():
                return None
            parts.append(kind.strip().lower() + mark + _plain(value))
        # Several attributes of one name have no order.
        names.append(b"\0".join(sorted(parts)))
    return (host, *reversed(names))


def _split(separator: int, octets: bytes) -> list[bytes]:
    """At the separators that are not escaped; nothing has no parts."""
    parts = [bytearray()]
    escaped = False
    for octet in octets:
        if octet == separator and not escaped:
            parts.append(bytearray())
        else:
            parts[-1].append(octet)
        escaped = octet == _BACKSLASH and not escaped
    return [bytes(part) for part in parts] if octets else []


def _plain(value: bytes) -> bytes:
    plain = _PAIR.sub(lambda pair: bytes.fromhex(pair[1].decode()) if len(pair[1]) == 2 else pair[1], value.strip())
    words = plain.decode(errors="surrogateescape").casefold().split()
    return " ".join(words).encode(errors="surrogateescape")
