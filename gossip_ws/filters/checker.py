"""Which stylesheets are filters: a static check of an allowed subset of XSLT 1.0. Applies none of them.

One template, no calls, so no recursion; loops at most two deep; XPath as in `xpath`; nothing that reads or
writes elsewhere, extends the language or differs between devices; no text that doubles from variable to
variable. A filter may still be slow on much data: the worker's limits are for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

from lxml import etree

from gossip_ws.filters.elements import parser
from gossip_ws.filters.xpath import Expression, examine, templates
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.names import GOSSIP, qname

MAX_STYLESHEET: Final = 8_192
"""Octets; docs/wire.md, limits."""
MAX_LOOPS: Final = 2
"""for-each inside for-each."""
_MAX_DEPTH: Final = 32
_MAX_WEIGHT: Final = 1_024
"""How many times as large as one value a variable may grow: see `_Check._weigh`."""
_LOOP_WEIGHT: Final = 8

XSL: Final = "http://www.w3.org/1999/XSL/Transform"
FORMS: Final = qname(GOSSIP, "forms")
PHASE: Final = "phase"

_XSL = f"{{{XSL}}}"
_ROOTS = frozenset({_XSL + "stylesheet", _XSL + "transform"})
_TOP: Final = frozenset({"output", "strip-space", "param", "variable", "template"})
_MATCHES: Final = frozenset({"/", "/*"})
_ATTRIBUTES: Final = {
    "output": {"method", "version", "encoding", "indent", "omit-xml-declaration"},
    "strip-space": {"elements"},
    "param": {"name", "select"},
    "variable": {"name", "select"},
    "template": {"match"},
    "for-each": {"select"},
    "sort": {"select", "data-type", "order"},
    "choose": set(),
    "when": {"test"},
    "otherwise": set(),
    "if": {"test"},
    "value-of": {"select"},
    "copy-of": {"select"},
    "text": set(),
}
_EXPRESSIONS: Final = frozenset({"select", "test"})
_VALUES: Final = {
    "method": {"xml"},
    "encoding": {"UTF-8", "utf-8"},
    "data-type": {"text", "number"},
    "order": {"ascending", "descending"},
    "elements": {"*"},
}


class Forms(StrEnum):
    """What a stylesheet declares in `g:forms`."""

    SAME = "same"
    """Partial and final have one form, the response element: own replies and partials look alike."""
    PARTIAL_FINAL = "partial final"
    """The param `phase` says which is wanted; the final one is made of the entry's one partial."""


@dataclass(frozen=True, slots=True)
class Stylesheet:
    """A checked filter, as it goes to the worker."""

    source: bytes
    forms: Forms


def check_stylesheet(text: str) -> Stylesheet:
    """Raises RemoteError, subcode `FilterNotAllowed` (`FilterTooLarge`), with the line and the reason."""
    try:
        source = text.encode()
    except UnicodeEncodeError:
        raise _not_allowed(1, "not text") from None
    if len(source) > MAX_STYLESHEET:
        raise sender_fault("FilterTooLarge", f"a filter of {len(source)} octets, at most {MAX_STYLESHEET} are taken")
    try:
        root = etree.fromstring(source, parser(keep_comments=True))
    except (etree.XMLSyntaxError, LookupError, ValueError) as error:
        raise _not_allowed(1, f"not well-formed XML: {error}") from None
    tree = root.getroottree()
    if tree.docinfo.internalDTD is not None:
        raise _not_allowed(1, "a document type")
    if (tree.docinfo.encoding or "UTF-8").upper() not in {"UTF-8", "ASCII", "US-ASCII"}:
        raise _not_allowed(1, f"encoded as {tree.docinfo.encoding}, not UTF-8")
    forms = _Check().stylesheet(root)
    try:
        # Compiling does no work yet; what libxslt itself finds wrong is better said at the origin.
        etree.XSLT(tree, access_control=etree.XSLTAccessControl.DENY_ALL)  # type: ignore[attr-defined]  # in lxml, not in its stubs
    except (etree.XSLTParseError, etree.XMLSyntaxError) as error:
        raise _not_allowed(_line(root), f"no XSLT 1.0: {error}") from None
    return Stylesheet(source, forms)


class _Check:
    """One pass over one stylesheet. `_weights`: how large each variable may become, by name."""

    def __init__(self) -> None:
        self._weights: dict[str, int] = {}
        self._phase = False
        self._templates = 0

    def stylesheet(self, root: etree._Element) -> Forms:
        if root.tag not in _ROOTS:
            raise _not_allowed(_line(root), f"not an XSLT stylesheet: {root.tag}")
        for name, _ in _attributes(root):
            if name not in {"version", "exclude-result-prefixes", "id", FORMS}:
                raise _not_allowed(_line(root), f"the attribute {name} of xsl:stylesheet")
        if root.get("version") != "1.0":
            raise _not_allowed(_line(root), f"XSLT version {root.get('version')!r}, not 1.0")
        forms = root.get(FORMS)
        if forms not in set(Forms):
            raise _not_allowed(_line(root), f"g:forms must say 'same' or 'partial final', not {forms!r}")
        for child in _elements(root):
            self._top_level(child)
        if self._templates != 1:
            raise _not_allowed(_line(root), f"{self._templates} templates, not the one that matches '/'")
        if self._phase != (forms == Forms.PARTIAL_FINAL):
            raise _not_allowed(_line(root), "the param 'phase' goes with g:forms 'partial final', and with that only")
        return Forms(forms)

    def _top_level(self, element: etree._Element) -> None:
        local = _xsl_name(element)
        if local is None or local not in _TOP:
            raise _not_allowed(_line(element), f"{element.tag} at the top level")
        if local == "template":
            self._templates += 1
            if element.get("match") not in _MATCHES:
                raise _not_allowed(_line(element), "a template matches '/'")
        elif local == "param":
            if element.get("name") != PHASE or len(element):
                raise _not_allowed(_line(element), "a param other than 'phase'")
            self._phase = True
        self._element(element, 0, 0)

    def _element(self, element: etree._Element, loops: int, depth: int) -> int:
        """Check an element and all below it. Returns the weight of what it makes."""
        if depth > _MAX_DEPTH:
            raise _not_allowed(_line(element), f"elements nested more than {_MAX_DEPTH} deep")
        local = _xsl_name(element)
        weight = self._literal(element, loops) if local is None else self._instruction(element, local, loops)
        inside = loops
        if local == "for-each":
            inside += 1
            if inside > MAX_LOOPS:
                raise _not_allowed(_line(element), f"xsl:for-each nested more than {MAX_LOOPS} deep")
        weight += sum(self._element(child, inside, depth + 1) for child in _elements(element))
        if local == "for-each":
            weight *= _LOOP_WEIGHT
        if local in {"variable", "param"}:
            self._name(element, weight)
            return 0
        return weight

    def _instruction(self, element: etree._Element, local: str, loops: int) -> int:
        allowed = _ATTRIBUTES.get(local)
        if allowed is None or (
            local in _TOP - {"variable"} and element.getparent() is not element.getroottree().getroot()
        ):
            raise _not_allowed(_line(element), f"xsl:{local} here")
        weight = 0
        for name, value in _attributes(element):
            if name not in allowed:
                raise _not_allowed(_line(element), f"the attribute {name} of xsl:{local}")
            if name in _VALUES and value not in _VALUES[name]:
                raise _not_allowed(_line(element), f"{name}={value!r}")
            if name in _EXPRESSIONS:
                used = self._expression(element, value, loops)
                # A test makes nothing, and neither does the choice of what to loop over.
                weight += self._weigh(element, used) if name == "select" and local not in {"for-each", "sort"} else 0
        return weight

    def _literal(self, element: etree._Element, loops: int) -> int:
        weight = 0
        for name, value in _attributes(element):
            if name.startswith(_XSL):
                raise _not_allowed(_line(element), f"the attribute {name}")
            try:
                expressions = templates(value)
            except ValueError as error:
                raise _not_allowed(_line(element), str(error)) from None
            weight += sum(self._weigh(element, self._expression(element, text, loops)) for text in expressions)
        return weight

    def _expression(self, element: etree._Element, text: str, loops: int) -> Expression:
        try:
            found = examine(text)
        except ValueError as error:
            raise _not_allowed(_line(element), str(error)) from None
        if found.loops and loops >= MAX_LOOPS:
            raise _not_allowed(_line(element), "a predicate inside two loops")
        for name in found.variables:
            if name not in self._weights:
                raise _not_allowed(_line(element), f"the variable ${name} is not set before")
        return found

    def _weigh(self, element: etree._Element, used: Expression) -> int:
        """An expression makes at most one value of its own, or all those of the variables in it together:
        so concat($a, $a) weighs twice $a, and a chain of them is refused before it fills the memory."""
        return max(1, sum(self._weights[name] for name in used.variables))

    def _name(self, element: etree._Element, weight: int) -> None:
        name = element.get("name", "")
        if not name.isidentifier() or not name.isascii():
            raise _not_allowed(_line(element), f"a variable called {name[:40]!r}")
        if weight > _MAX_WEIGHT:
            raise _not_allowed(_line(element), "text that grows from variable to variable")
        # Scopes are not told apart: of two variables of one name the larger counts.
        self._weights[name] = max(weight, self._weights.get(name, 0))


def _attributes(element: etree._Element) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in element.attrib.items()]


def _elements(parent: etree._Element) -> Iterator[etree._Element]:
    for child in parent:
        if isinstance(child, (etree._ProcessingInstruction, etree._Entity)):
            raise _not_allowed(_line(child), "a processing instruction or an entity")
        if not isinstance(child, etree._Comment):
            yield child


def _xsl_name(element: etree._Element) -> str | None:
    """The local name of an XSLT element, None for a literal result element."""
    return element.tag.removeprefix(_XSL) if element.tag.startswith(_XSL) else None


def _line(element: etree._Element) -> int:
    # None for what was not parsed from text; the stubs say otherwise.
    return cast("int | None", element.sourceline) or 1


def _not_allowed(line: int, reason: str) -> Exception:
    return sender_fault("FilterNotAllowed", f"line {line}: not allowed in a filter: {reason}")
