"""All rules in one list, and the verdict on a device by each of them."""

from __future__ import annotations

from typing import Final

from gossip_ws.conform import description_rules, discovery_rules, eventing_rules, messaging_rules, udp_rules
from gossip_ws.conform.evidence import Evidence
from gossip_ws.conform.rule import Finding, Group, Result, Rule, failed

_PARTS: Final = (udp_rules, discovery_rules, messaging_rules, description_rules, eventing_rules)
RULES: Final[tuple[Rule, ...]] = tuple(
    rule for group in Group for part in _PARTS for rule in part.RULES if rule.group is group
)
"""In the order in which they are told."""


def judge(seen: Evidence) -> tuple[Result, ...]:
    """One result a rule, in the order of `RULES`. Never raises, whatever the device sent."""
    return tuple(Result(rule, _checked(rule, seen)) for rule in RULES)


def _checked(rule: Rule, seen: Evidence) -> Finding:
    try:
        return rule.check(seen)
    except Exception as error:  # noqa: BLE001 - what a hostile device sent must not end the examination of it
        return failed(f"what came cannot be judged: {type(error).__name__}: {error}")
