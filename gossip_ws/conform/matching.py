"""Whom a device answers by WS-Discovery: what of its types, scopes and address is matched, under which matching rule,
and what is met with silence.

Judges what was sent and heard. Knows no rule by name: `discovery_rules` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gossip_ws.conform.evidence import Evidence
from gossip_ws.conform.rule import Finding, failed, not_applicable, passed
from gossip_ws.conform.scopes import MISSES
from gossip_ws.conform.udp_rules import unheard
from gossip_ws.kernel.names import WSD, qname

_RULE_NOT_SUPPORTED: Final = qname(WSD, "MatchingRuleNotSupported")
_MISSES: Final = ("types_miss", "resolve_miss", *MISSES)


def _matched(seen: Evidence, name: str) -> bool:
    """Was there an answer with the device in it?"""
    return bool(seen.own_matches(name))


def _judged(seen: Evidence, hits: Iterable[str], misses: Iterable[str], good: str) -> Finding:
    """The device answers `hits`, and does not name itself in answer to `misses`, as far as they were asked."""
    if not seen.is_heard():
        return unheard(seen)
    asked = [name for name in (*hits, *misses) if name in seen.udp]
    if not asked:
        return not_applicable("the device has no scope that this could be asked with")
    for name in asked:
        if name in misses and _matched(seen, name):
            return failed(f"the device matches {_what(seen, name)}")
        if name not in misses and not _matched(seen, name):
            return failed(f"no match for {_what(seen, name)}")
    return passed(good)


def _what(seen: Evidence, name: str) -> str:
    """The Types or Scopes of a question, as they were sent."""
    frame = seen.udp[name].frame.decode(errors="replace")
    return frame.partition("<s12:Body>")[2].partition("</s12:Body>")[0].replace(f' xmlns:wsd="{WSD}"', "")


def silence(seen: Evidence) -> Finding:
    if not seen.is_heard():
        return unheard(seen)
    for name in _MISSES:
        if name in seen.udp and seen.own(name) and not _matched(seen, name):
            return failed(f"an empty answer to {_what(seen, name)}")
    return passed("what matches nothing is met with silence")


def resolving(seen: Evidence) -> Finding:
    if not seen.is_heard():
        return unheard(seen)
    found = seen.own("resolve")
    if not found:
        return failed("a Resolve of the device is not answered")
    for answer in found:
        payload = answer.message.payload if answer.message is not None else None
        if payload is None or payload.tag != qname(WSD, "ResolveMatches") or len(payload) > 1:
            return failed("a Resolve is answered with something else than one ResolveMatch")
    if _matched(seen, "resolve_miss"):
        return failed("a Resolve of another device is answered")
    return passed("its own Resolve is answered, another's is not")


def types_match(seen: Evidence) -> Finding:
    return _judged(
        seen, ("types",), ("types_miss",), "all its types are found under strange prefixes, one too many is not"
    )


def scopes_match(seen: Evidence) -> Finding:
    return _judged(seen, ("scope",), ("scope_other",), "its own scope is matched, another is not")


def rfc3986(seen: Evidence) -> Finding:
    return _judged(
        seen,
        ("scope_above", "scope_host"),
        ("scope_part", "scope_case"),
        "whole segments, in their case; scheme and host in any",
    )


def strcmp0(seen: Evidence) -> Finding:
    return _judged(seen, (), ("strcmp0_above",), "under strcmp0 no prefix matches")


def both_rules(seen: Evidence) -> Finding:
    return _judged(seen, ("scope_rfc3986", "scope_strcmp0"), (), "its scope is matched under either")


def unknown_rule(seen: Evidence) -> Finding:
    if _matched(seen, "scope_rule"):
        return failed("a multicast Probe with an unknown matching rule is matched")
    directed = seen.http.get("directed_rule")
    if directed is None or not takes_probes(seen):
        return not_applicable("Probes by HTTP are not taken (R1015)")
    fault = directed.message.fault if directed.message is not None else None
    if fault is None or not fault.has(_RULE_NOT_SUPPORTED):
        return failed(f"a directed Probe with an unknown matching rule: {directed}")
    if qname(WSD, "SupportedMatchingRules") not in fault.detail:
        return failed("the fault does not tell the supported matching rules")
    return passed(str(directed))


def takes_probes(seen: Evidence) -> bool:
    """Is a Probe by HTTP taken?"""
    exchange = seen.http.get("directed")
    message = exchange.message if exchange is not None else None
    return message is not None and message.holds(qname(WSD, "ProbeMatches"))
