"""Does a device have what a Probe asks for (WS-Discovery 1.1 section 5)? Both sides are taken apart once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gossip_ws.dpws.messages import Generation, Probe, Target
from gossip_ws.dpws.scope_rules import ldap_path, uuid_path
from gossip_ws.kernel.errors import Fault, FaultCode, RemoteError
from gossip_ws.kernel.names import WSD, WSD_2005, QName, qname
from gossip_ws.kernel.scopes import ScopePath, is_prefix, scope_path

RFC3986: Final = WSD + "/rfc3986"
UUID: Final = WSD + "/uuid"
LDAP: Final = WSD + "/ldap"
STRCMP0: Final = WSD + "/strcmp0"
NONE: Final = WSD + "/none"
RFC2396: Final = WSD_2005 + "/rfc2396"
"""What rfc3986 is called in the draft."""
SUPPORTED: Final = {
    Generation.OASIS: (RFC3986, UUID, LDAP, STRCMP0, NONE),
    Generation.DRAFT: (RFC2396, WSD_2005 + "/uuid", WSD_2005 + "/ldap", WSD_2005 + "/strcmp0"),
}
"""All that the specifications name; an absent MatchBy is the first."""

_PATHS: Final[dict[str, Callable[[str], ScopePath | None]]] = {
    "": scope_path,
    RFC3986: scope_path,
    RFC2396: scope_path,
    UUID: uuid_path,
    WSD_2005 + "/uuid": uuid_path,
    LDAP: ldap_path,
    WSD_2005 + "/ldap": ldap_path,
}
"""Rules under which one scope covers another: how each reads a scope."""
_EXACT: Final = frozenset((STRCMP0, WSD_2005 + "/strcmp0"))
_NAMESPACE: Final = {Generation.OASIS: WSD, Generation.DRAFT: WSD_2005}


@dataclass(frozen=True, slots=True)
class Subject:
    """A target's types and scopes, ready to be compared."""

    types: frozenset[QName]
    scopes: frozenset[str]
    paths: tuple[ScopePath | None, ...]

    @classmethod
    def of(cls, target: Target) -> Subject:
        return cls(frozenset(target.types), frozenset(target.scopes), tuple(map(scope_path, target.scopes)))


@dataclass(frozen=True, slots=True)
class Criteria:
    """What is asked for, ready to be compared. `exact` is for strcmp0, `paths` for the rules by which a scope covers
    another, read by `reading`; `scopeless` for none, that is met by whoever has no scopes."""

    types: frozenset[QName]
    paths: tuple[ScopePath | None, ...] = ()
    exact: frozenset[str] = frozenset()
    reading: Callable[[str], ScopePath | None] = scope_path
    scopeless: bool = False

    @classmethod
    def of(cls, types: tuple[QName, ...], scopes: tuple[str, ...], match_by: str = "") -> Criteria | None:
        """None when the matching rule is none of WS-Discovery's."""
        if match_by in _PATHS:
            reading = _PATHS[match_by]
            return cls(frozenset(types), tuple(map(reading, scopes)), reading=reading)
        if match_by in _EXACT:
            return cls(frozenset(types), exact=frozenset(scopes))
        # A scope beside the rule none can be met by nobody.
        return cls(frozenset(types), exact=frozenset(scopes), scopeless=True) if match_by == NONE else None

    def met_by(self, subject: Subject) -> bool:
        """Every type is there, and every scope has one that it covers (or equals, under strcmp0)."""
        if not (self.types <= subject.types and self.exact <= subject.scopes) or (self.scopeless and subject.scopes):
            return False
        held = subject.paths if self.reading is scope_path else tuple(map(self.reading, subject.scopes))
        return all(any(is_prefix(path, own) for own in held) for path in self.paths)


def criteria(probe: Probe) -> Criteria | None:
    """What a Probe asks for; None when its MatchBy is none of ours."""
    return Criteria.of(probe.types, probe.scopes, probe.match_by)


def rule_not_supported(probe: Probe) -> RemoteError:
    """What a directed Probe with an unknown MatchBy earns, in its own words; a multicast one earns silence."""
    namespace = _NAMESPACE[probe.generation]
    rules = " ".join(SUPPORTED[probe.generation])
    # A Fault carries its detail as the element to send; nothing in this one has to be escaped.
    detail = f'<wsd:SupportedMatchingRules xmlns:wsd="{namespace}">{rules}</wsd:SupportedMatchingRules>'
    reason = f"the matching rule is not supported: {probe.match_by}"
    subcode = qname(namespace, "MatchingRuleNotSupported")
    return RemoteError(Fault(FaultCode.SENDER, subcode, reason, detail.encode()))
