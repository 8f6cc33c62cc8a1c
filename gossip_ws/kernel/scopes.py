"""WS-Discovery scopes as gossip uses them: URIs compared by the rfc3986 rule, segment by segment."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

ScopePath = tuple[bytes, ...]
"""A scope taken apart: scheme, authority, then the path's segments, percent-decoded."""

# A device compares the same few scopes over and over. What strangers send is remembered too, so both the number and
# the length are bounded: 8 MiB at the very worst; the least recently used goes first.
_REMEMBERED = 2_048
_SHORT = 256

_DOTS = frozenset((b".", b".."))


def scope_path(scope: str) -> ScopePath | None:
    """Take a scope apart, to compare it many times. None when it has a "." or ".." segment: such a scope
    matches nothing (WS-Discovery 1.1 section 5.1, rule rfc3986).

    Scheme and authority are folded to lower case; query and fragment are left out; a slash at the end
    is no segment. Segments are decoded after they were split, so `%2F` never divides one, and kept as octets,
    so two that decode to no text still differ.
    """
    return _remembered(scope) if len(scope) <= _SHORT else _taken_apart(scope)


def is_prefix(wide: ScopePath | None, narrow: ScopePath | None) -> bool:
    """Is `wide` a segment-wise prefix of `narrow`? Never when one of them is None."""
    return wide is not None and narrow is not None and narrow[: len(wide)] == wide


def covers(wider: str, narrower: str) -> bool:
    """Is `wider` a segment-wise prefix of `narrower`? Scheme and authority compare case-insensitively.

    WS-Discovery 1.1 section 5.1, rule rfc3986; query and fragment are ignored.
    """
    return is_prefix(scope_path(wider), scope_path(narrower))


def any_covers(wider: Iterable[str], narrower: Iterable[str]) -> bool:
    """Does one of `wider` cover one of `narrower`? Nothing given covers everything."""
    wide = tuple(wider)
    if not wide:
        return True
    paths = [scope_path(scope) for scope in wide]
    return any(is_prefix(path, narrow) for narrow in map(scope_path, narrower) for path in paths)


def _taken_apart(scope: str) -> ScopePath | None:
    bare = scope.partition("#")[0].partition("?")[0]
    scheme, colon, rest = bare.partition(":")
    if not colon:
        scheme, rest = "", bare
    authority = b""
    if rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        # The slashes keep `grid://city` apart from `grid:city`, which has no authority.
        authority = b"//" + unquote_to_bytes(host).lower()
        rest = slash + rest
    segments = [unquote_to_bytes(segment) for segment in rest.removeprefix("/").split("/")]
    while segments and not segments[-1]:
        segments.pop()
    if not _DOTS.isdisjoint(segments):
        return None
    return (scheme.lower().encode(), authority, *segments)


_remembered = lru_cache(_REMEMBERED)(_taken_apart)
