"""WS-Discovery scopes as gossip uses them: URIs compared by the rfc3986 rule, segment by segment."""

from __future__ import annotations

from collections.abc import Iterable


def covers(wider: str, narrower: str) -> bool:
    """Is `wider` a segment-wise prefix of `narrower`? Scheme and authority compare case-insensitively.

    WS-Discovery 1.1 section 5.1, rule rfc3986; query and fragment are ignored.
    """
    wide, narrow = _segments(wider), _segments(narrower)
    return narrow[: len(wide)] == wide


def any_covers(wider: Iterable[str], narrower: Iterable[str]) -> bool:
    """Does one of `wider` cover one of `narrower`? Nothing given covers everything."""
    wide = tuple(wider)
    return not wide or any(covers(w, n) for n in narrower for w in wide)


def _segments(scope: str) -> list[str]:
    bare = scope.partition("#")[0].partition("?")[0]
    scheme, _, rest = bare.partition(":")
    if rest.startswith("//"):
        authority, _, path = rest[2:].partition("/")
        return [scheme.lower(), authority.lower(), *filter(None, path.split("/"))]
    # A URI without authority (urn:, ldap:) is one opaque segment after its scheme.
    return [scheme.lower(), *filter(None, rest.split("/"))]
