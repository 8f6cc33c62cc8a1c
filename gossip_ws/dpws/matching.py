"""Does a device have what a Probe asks for (WS-Discovery 1.1 section 5)? Both sides are taken apart once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gossip_ws.dpws.messages import Probe, Target
from gossip_ws.kernel.errors import Fault, FaultCode, RemoteError
from gossip_ws.kernel.names import WSD, QName, qname
from gossip_ws.kernel.scopes import ScopePath, is_prefix, scope_path

RFC3986: Final = WSD + "/rfc3986"
STRCMP0: Final = WSD + "/strcmp0"
SUPPORTED: Final = (RFC3986, STRCMP0)
"""The rules DPWS 1.1 R1019 asks for; an absent MatchBy is the first."""

# A Fault carries its detail as the element to send, and this one never varies.
_SUPPORTED_DETAIL = (
    f'<wsd:SupportedMatchingRules xmlns:wsd="{WSD}">{" ".join(SUPPORTED)}</wsd:SupportedMatchingRules>'.encode()
)


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
    """What is asked for, ready to be compared. `paths` is empty under strcmp0, `exact` under rfc3986."""

    types: frozenset[QName]
    paths: tuple[ScopePath | None, ...]
    exact: frozenset[str]

    @classmethod
    def of(cls, types: tuple[QName, ...], scopes: tuple[str, ...], match_by: str = "") -> Criteria | None:
        """None when the matching rule is none of ours."""
        if not match_by or match_by == RFC3986:
            return cls(frozenset(types), tuple(map(scope_path, scopes)), frozenset())
        if match_by == STRCMP0:
            return cls(frozenset(types), (), frozenset(scopes))
        return None

    def met_by(self, subject: Subject) -> bool:
        """Every type is there, and every scope has one that it covers (or equals, under strcmp0)."""
        if not (self.types <= subject.types and self.exact <= subject.scopes):
            return False
        return all(any(is_prefix(path, own) for own in subject.paths) for path in self.paths)


def criteria(probe: Probe) -> Criteria | None:
    """What a Probe asks for; None when its MatchBy is none of ours."""
    return Criteria.of(probe.types, probe.scopes, probe.match_by)


def rule_not_supported(match_by: str) -> RemoteError:
    """What a directed Probe with an unknown MatchBy earns; a multicast one earns silence."""
    reason = f"the matching rule is not supported: {match_by}"
    return RemoteError(Fault(FaultCode.SENDER, qname(WSD, "MatchingRuleNotSupported"), reason, _SUPPORTED_DETAIL))
