"""A rule of the profile as data, and what a device was found to do about it. Knows no socket and no XML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gossip_ws.conform.evidence import Evidence

MAX_SEEN: Final = 200
"""Characters of what was seen that are told; a device may send any number."""


class Level(StrEnum):
    """How much a rule binds. What is known only from memory or from peers' habits is never more than SHOULD."""

    MUST = "must"
    SHOULD = "should"
    MAY = "may"


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "n/a"


class Group(StrEnum):
    """The parts of the profile, in the order in which they are told."""

    UDP = "SOAP-over-UDP"
    DISCOVERY = "discovery"
    MESSAGING = "messaging"
    FAULTS = "faults"
    DESCRIPTION = "description"
    EVENTING = "eventing"


class Source(StrEnum):
    """Where a rule is known from."""

    SCHEMA = "schema"
    """The published XML schemas and WSDLs."""
    MICROSOFT = "Microsoft's compliance pages"
    """They number the rules as 2006/02 did, which 1.1 keeps."""
    SCENARIOS = "WSDBIT scenarios"
    SUITE = "a DPWS 1.1 conformance suite"
    STACKS = "two or more independent stacks"
    PEERS = "what peers were seen to need"
    ONVIF = "ONVIF core quoting WS-Discovery"
    MEMORY = "memory of the text"


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one rule, and what was seen or why it does not apply. Made by the three functions below."""

    verdict: Verdict
    seen: str


def passed(seen: str) -> Finding:
    return Finding(Verdict.PASS, clean(seen))


def failed(seen: str) -> Finding:
    return Finding(Verdict.FAIL, clean(seen))


def not_applicable(why: str) -> Finding:
    return Finding(Verdict.NOT_APPLICABLE, clean(why))


def clean(seen: str) -> str:
    """One line of bounded length that a terminal can show: a device may send escape sequences."""
    line = " ".join(seen.split())
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return shown if len(shown) <= MAX_SEEN else shown[: MAX_SEEN - 1] + "\N{HORIZONTAL ELLIPSIS}"


Check = Callable[["Evidence"], Finding]


@dataclass(frozen=True, slots=True)
class Rule:
    """`id`: the profile's own number, or a name where it has none. `text`: one sentence. `check` judges evidence that
    is complete, and asks the device nothing."""

    id: str
    group: Group
    level: Level
    source: Source
    text: str
    check: Check


@dataclass(frozen=True, slots=True)
class Result:
    rule: Rule
    finding: Finding

    @property
    def is_violation(self) -> bool:
        """Is it a must that the device does not keep?"""
        return self.rule.level is Level.MUST and self.finding.verdict is Verdict.FAIL
