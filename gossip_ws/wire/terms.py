"""`g:Terms` and `g:Wanted`: on what terms a message may spread, as header blocks (docs/wire.md).

Knows no envelope and no canonical form; reads elements, writes text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple, TypeVar

from lxml import etree

from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.errors import RemoteError, sender_fault
from gossip_ws.kernel.names import GOSSIP, WSD, QName, qname
from gossip_ws.kernel.terms import Budget, Filter, Gathering, Priority, Style, Terms, Tier, Variant, Wanted
from gossip_ws.wire.envelope import MAX_URI, Envelope, attribute, text
from gossip_ws.wire.values import (
    MAX_COUNT,
    SOAP_ATTRIBUTES,
    Attributes,
    attributes,
    clark,
    integer,
    malformed,
    milliseconds,
    one_of,
    only,
    required,
    seconds,
    time,
    timestamp,
    truth,
    when,
)

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

MAX_ITEMS: Final = 8
"""Budgets, types and scopes, each."""
MAX_FILTER: Final = 8_192
"""Octets of a filter."""
MAX_LIFETIME: Final = 7 * 86_400.0
"""Seconds from issue to expiry."""
MAX_SPREAD: Final = 65_535
"""The largest fanout or number of rounds that is read; what is done of it is capped far below, locally."""
MAX_PREFIXES: Final = 16
MAX_NAME: Final = 64
"""Characters of a key id, a filter's name, a field's name."""

TERMS: Final = qname(GOSSIP, "Terms")
WANTED: Final = qname(GOSSIP, "Wanted")
_BUDGET: Final = qname(GOSSIP, "Budget")
_TYPE: Final = qname(GOSSIP, "Type")
_SCOPE: Final = qname(GOSSIP, "Scope")
_FILTER: Final = qname(GOSSIP, "Filter")
_ID: Final = qname(WSD, "Id")


def by_value(kind: type[E]) -> dict[str, E]:
    """The members of an enumeration by how they are written."""
    return {str(member.value): member for member in kind}


VARIANTS: Final = by_value(Variant)
STYLES: Final = by_value(Style)
BINDINGS: Final = by_value(Binding)
PRIORITIES: Final = by_value(Priority)
TIERS: Final = by_value(Tier)
GATHERINGS: Final = by_value(Gathering)

_COMMON = SOAP_ATTRIBUTES | {_ID, "Variant", "Binding", "Priority", "MinReplies", "TimeoutMs", "MinGroup", "Gathering"}
_FIXED = _COMMON | {"Style", "Originator", "Issued", "Expires", "Prefixes", "Latest", "OneHop"}
_ASKED = _COMMON | {"LifetimeMs"}
# The canonical form has its attributes in this order; only these two are new in every message.
_TIMES = re.compile(
    rb'(<g:Terms xmlns:g="%b" xmlns:wsd="%b" Binding="[a-z.]+") Expires="([^"]+)" Issued="([^"]+)"( .*)'
    % (re.escape(GOSSIP.encode()), re.escape(WSD.encode())),
    re.DOTALL,
)
_MAX_KNOWN: Final = 64
_MAX_OCTETS: Final = 2_048
_PREFIX = re.compile(r"[^\W\d][\w.\-]*")


class Sealed(NamedTuple):
    """Terms as they were fixed, and the prefixes that the canonical form of the body keeps."""

    terms: Terms
    prefixes: tuple[str, ...]


class _Targets(NamedTuple):
    budgets: tuple[Budget, ...]
    types: tuple[QName, ...]
    scopes: tuple[str, ...]
    filter: Filter | None


class TermsReader:
    """Reads `g:Terms`, and remembers by their canonical octets those that it read: what a device hears
    differs in its times, hardly ever in more. Bounded: 64 terms of at most 2,048 octets, the oldest
    forgotten first; longer ones are read every time.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], Sealed] = {}

    def read(self, element: etree._Element, octets: bytes) -> Sealed:
        """The block, whose canonical form is `octets`.

        Raises RemoteError: Malformed, TooMany, FilterTooLarge, LifetimeTooLong.
        """
        parts = _TIMES.fullmatch(octets)
        if parts is None:
            return _read_terms(element)
        head, expires, issued, rest = parts.groups()
        known = self._known.get((head, rest))
        if known is None:
            sealed = _read_terms(element)
            if len(octets) <= _MAX_OCTETS:
                if len(self._known) >= _MAX_KNOWN:
                    del self._known[next(iter(self._known))]
                self._known[head, rest] = sealed
            return sealed
        terms, prefixes = known
        begin, end = when("Issued", issued.decode()), when("Expires", expires.decode())
        _check_lifetime(begin, end)
        return Sealed(
            Terms(
                terms.variant,
                terms.style,
                terms.binding,
                terms.priority,
                terms.budgets,
                terms.types,
                terms.scopes,
                terms.originator,
                begin,
                end,
                terms.filter,
                terms.min_replies,
                terms.timeout,
                terms.min_group,
                terms.gathering,
                terms.latest,
                terms.one_hop,
            ),
            prefixes,
        )


def _read_terms(element: etree._Element) -> Sealed:
    values = attributes(element)
    only(values, _FIXED, "Terms")
    if values.get(_ID) != "T":
        malformed("wsd:Id of Terms is not T")
    prefixes = tuple(values.get("Prefixes", "").split())
    if len(prefixes) > MAX_PREFIXES:
        raise too_many("prefixes", MAX_PREFIXES)
    if not all(map(_PREFIX.fullmatch, prefixes)):
        malformed("Prefixes is not a list of prefixes")
    targets = _read_targets(element)
    terms = Terms(
        variant=one_of(values, "Variant", VARIANTS),
        style=one_of(values, "Style", STYLES),
        binding=one_of(values, "Binding", BINDINGS),
        priority=one_of(values, "Priority", PRIORITIES),
        budgets=targets.budgets,
        types=targets.types,
        scopes=targets.scopes,
        originator=required(values, "Originator", MAX_NAME),
        issued=time(values, "Issued"),
        expires=time(values, "Expires"),
        filter=targets.filter,
        min_replies=integer(values, "MinReplies", MAX_COUNT, 0),
        timeout=seconds(values, "TimeoutMs", 0.0),
        min_group=integer(values, "MinGroup", MAX_COUNT, 1, least=1),
        gathering=one_of(values, "Gathering", GATHERINGS) if "Gathering" in values else Gathering.TREE,
        latest=truth(values, "Latest"),
        one_hop=truth(values, "OneHop"),
    )
    if terms.one_hop and terms.style is not Style.ONE_WAY:
        malformed("OneHop of a request")
    _check_lifetime(terms.issued, terms.expires)
    return Sealed(terms, prefixes)


def _check_lifetime(issued: float, expires: float) -> None:
    if expires <= issued:
        malformed("Expires is not after Issued")
    if expires - issued > MAX_LIFETIME:
        raise sender_fault("LifetimeTooLong", f"a message lives at most {MAX_LIFETIME:.0f} s")


def write_terms(terms: Terms, prefixes: tuple[str, ...]) -> str:
    """The block as text, not yet canonical; it declares what it uses."""
    rest = f" Prefixes={attribute(' '.join(prefixes))}" if prefixes else ""
    if terms.gathering is not Gathering.TREE:
        rest += f' Gathering="{terms.gathering.value}"'
    if terms.latest:
        rest += ' Latest="true"'
    if terms.one_hop:
        rest += ' OneHop="true"'
    return (
        f'<g:Terms xmlns:g="{GOSSIP}" xmlns:wsd="{WSD}" wsd:Id="T" Variant="{terms.variant.value}"'
        f' Style="{terms.style.value}" Binding="{terms.binding.value}" Priority="{terms.priority.value}"'
        f" Originator={attribute(terms.originator)} Issued={_quoted_time(terms.issued)}"
        f' Expires={_quoted_time(terms.expires)} MinReplies="{terms.min_replies}"'
        f' TimeoutMs="{milliseconds(terms.timeout)}" MinGroup="{terms.min_group}"{rest}>'
        f"{_write_targets(terms.budgets, terms.types, terms.scopes, terms.filter)}</g:Terms>"
    )


def decode_wanted(envelope: Envelope) -> Wanted | None:
    """What an unsigned caller asks for; None when it says nothing. Raises RemoteError as `read_terms`."""
    element = envelope.header(WANTED)
    if element is None:
        return None
    values = attributes(element)
    only(values, _ASKED, "Wanted")
    targets = _read_targets(element)
    lifetime = _maybe(values, "LifetimeMs", lambda: seconds(values, "LifetimeMs"))
    if lifetime == 0.0:
        malformed("LifetimeMs is 0")
    return Wanted(
        variant=_maybe(values, "Variant", lambda: one_of(values, "Variant", VARIANTS)),
        binding=_maybe(values, "Binding", lambda: one_of(values, "Binding", BINDINGS)),
        priority=_maybe(values, "Priority", lambda: one_of(values, "Priority", PRIORITIES)),
        budgets=targets.budgets,
        types=targets.types,
        scopes=targets.scopes,
        filter=targets.filter,
        lifetime=lifetime,
        min_replies=_maybe(values, "MinReplies", lambda: integer(values, "MinReplies", MAX_COUNT)),
        timeout=_maybe(values, "TimeoutMs", lambda: seconds(values, "TimeoutMs")),
        min_group=_maybe(values, "MinGroup", lambda: integer(values, "MinGroup", MAX_COUNT, least=1)),
        gathering=_maybe(values, "Gathering", lambda: one_of(values, "Gathering", GATHERINGS)),
    )


def encode_wanted(wanted: Wanted) -> bytes:
    """The header block by which a client asks for other terms than the device's defaults."""
    written = {
        "Variant": wanted.variant and wanted.variant.value,
        "Binding": wanted.binding and wanted.binding.value,
        "Priority": None if wanted.priority is None else wanted.priority.value,
        "LifetimeMs": None if wanted.lifetime is None else milliseconds(wanted.lifetime),
        "MinReplies": wanted.min_replies,
        "TimeoutMs": None if wanted.timeout is None else milliseconds(wanted.timeout),
        "MinGroup": wanted.min_group,
        "Gathering": wanted.gathering and wanted.gathering.value,
    }
    asked = "".join(f' {name}="{value}"' for name, value in written.items() if value is not None)
    targets = _write_targets(wanted.budgets, wanted.types, wanted.scopes, wanted.filter)
    return f'<g:Wanted xmlns:g="{GOSSIP}"{asked}>{targets}</g:Wanted>'.encode()


def too_many(what: str, most: int) -> RemoteError:
    """The fault of a list that is too long."""
    return sender_fault("TooMany", f"more than {most} {what}")


def _read_targets(element: etree._Element) -> _Targets:
    budgets: list[Budget] = []
    types: list[QName] = []
    scopes: list[str] = []
    filters: list[Filter] = []
    for child in element:
        tag = child.tag
        if tag == _BUDGET:
            values = attributes(child)
            budgets.append(
                Budget(
                    one_of(values, "Tier", TIERS),
                    integer(values, "Fanout", MAX_SPREAD),
                    integer(values, "Rounds", MAX_SPREAD),
                )
            )
        elif tag == _TYPE:
            types.append(QName(clark(content(child))))
        elif tag == _SCOPE:
            scopes.append(content(child))
        elif tag == _FILTER:
            filters.append(_read_filter(child))
        else:
            malformed(f"unknown element: {child.tag}"[:160])
    if max(len(budgets), len(types), len(scopes)) > MAX_ITEMS:
        raise too_many("budgets, types or scopes", MAX_ITEMS)
    if len({budget.tier for budget in budgets}) < len(budgets):
        malformed("two budgets for one tier")
    if len(filters) > 1:
        malformed("more than one Filter")
    return _Targets(tuple(budgets), tuple(types), tuple(scopes), filters[0] if filters else None)


def _read_filter(element: etree._Element) -> Filter:
    values = attributes(element)
    stylesheet = element.text or ""
    if len(element):
        malformed("a stylesheet is carried as text, escaped or in a CDATA section")
    if len(stylesheet.encode()) > MAX_FILTER:
        raise sender_fault("FilterTooLarge", f"a filter has at most {MAX_FILTER} octets")
    if "Name" not in values:
        if not stylesheet.strip() or "GroupBy" in values:
            malformed("a Filter is a Name, with a GroupBy or without, or a stylesheet")
        return Filter(stylesheet=stylesheet)
    if stylesheet.strip():
        malformed("a Filter is a Name or a stylesheet, not both")
    group_by = required(values, "GroupBy", MAX_NAME) if "GroupBy" in values else ""
    return Filter(name=required(values, "Name", MAX_NAME), group_by=group_by)


def _write_targets(
    budgets: tuple[Budget, ...], types: tuple[QName, ...], scopes: tuple[str, ...], chosen: Filter | None
) -> str:
    parts = [f'<g:Budget Tier="{b.tier.value}" Fanout="{b.fanout}" Rounds="{b.rounds}"/>' for b in budgets]
    parts += [f"<g:Type>{text(name)}</g:Type>" for name in types]
    parts += [f"<g:Scope>{text(scope)}</g:Scope>" for scope in scopes]
    if chosen is not None and chosen.name:
        group_by = f" GroupBy={attribute(chosen.group_by)}" if chosen.group_by else ""
        parts.append(f"<g:Filter Name={attribute(chosen.name)}{group_by}/>")
    elif chosen is not None:
        parts.append(f"<g:Filter>{text(chosen.stylesheet)}</g:Filter>")
    return "".join(parts)


def content(element: etree._Element) -> str:
    """The text of an element that holds nothing else: not empty, at most 2,048 characters."""
    value = (element.text or "").strip()
    if not value or len(value) > MAX_URI or len(element):
        malformed(f"{element.tag} is empty, too long or not text")
    return value


def _quoted_time(wall: float) -> str:
    return f'"{timestamp(wall)}"'


def _maybe(values: Attributes, name: str, read: Callable[[], T]) -> T | None:
    return read() if name in values else None
