"""Probes that show how a device compares scopes: variants of one of its own, that match or must not."""

from __future__ import annotations

from collections.abc import Sequence

from gossip_ws.conform import frames
from gossip_ws.conform.frames import Asked
from gossip_ws.dpws.matching import RFC3986, STRCMP0

HITS = ("scope", "scope_rfc3986", "scope_strcmp0", "scope_above", "scope_host")
"""Questions that the device matches, as far as they could be asked."""
MISSES = ("scope_other", "scope_part", "scope_case", "strcmp0_above", "scope_rule")


def scope_questions(scopes: Sequence[str]) -> dict[str, Asked]:
    """By name; fewer where the scopes have no authority, no path of two segments, or no letters in it."""
    questions = {"scope_other": frames.probe((), [f"{frames.NOWHERE}:scope"])}
    if not scopes:
        return questions
    scope = max(scopes, key=lambda one: ("://" in one, one.count("/")))
    questions |= {
        "scope": frames.probe((), [scope]),
        "scope_rfc3986": frames.probe((), [scope], RFC3986),
        "scope_strcmp0": frames.probe((), [scope], STRCMP0),
        "scope_rule": frames.probe((), [scope], f"{frames.NOWHERE}:no-such-rule"),
    }
    bare = scope.partition("?")[0].partition("#")[0]
    start, mark, rest = bare.partition("://")
    authority, slash, path = rest.partition("/")
    segments = [segment for segment in path.split("/") if segment]
    if mark and authority and authority.lower() != authority.upper():
        changed = f"{start.upper()}{mark}{_other_case(authority)}{slash}{path}"
        questions["scope_host"] = frames.probe((), [changed])
    if mark and segments:
        above = f"{start}{mark}{authority}" + "".join(f"/{segment}" for segment in segments[:-1])
        # Under strcmp0 nothing but the whole string is the same.
        questions |= {"scope_above": frames.probe((), [above]), "strcmp0_above": frames.probe((), [above], STRCMP0)}
        last = segments[-1]
        if len(last) > 1 and "%" not in last:
            questions["scope_part"] = frames.probe((), [f"{above}/{last[:-1]}"])
        if "%" not in path and _other_case(path) != path:
            questions["scope_case"] = frames.probe((), [f"{start}{mark}{authority}/{_other_case(path)}"])
    return questions


def _other_case(text: str) -> str:
    return text.swapcase()
