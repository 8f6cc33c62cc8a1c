"""The XPath 1.0 expressions that a filter may use: read token by token, never evaluated.

Allowed is what selects, compares and adds inside the one document given. Refused is what reads elsewhere
(document, unparsed-entity-uri), differs from device to device (generate-id, system-property), is not in
XPath and XSLT 1.0 (any prefixed function), or invites work that grows out of hand: a predicate in a
predicate, descendants searched inside a predicate. Time itself is bounded elsewhere, by the worker.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_LENGTH: Final = 1_024
"""Characters of one expression."""
_MAX_NESTING: Final = 16
"""Parentheses and brackets inside one another."""
_MAX_PREDICATES: Final = 8
_MAX_DESCENDANTS: Final = 3
"""Searches through all descendants in one expression."""

FUNCTIONS: Final = frozenset(
    {
        "last",
        "position",
        "count",
        "local-name",
        "namespace-uri",
        "name",
        "string",
        "concat",
        "starts-with",
        "contains",
        "substring-before",
        "substring-after",
        "substring",
        "string-length",
        "normalize-space",
        "translate",
        "boolean",
        "not",
        "true",
        "false",
        "number",
        "sum",
        "floor",
        "ceiling",
        "round",
        "format-number",
        "current",
    }
)
_NODE_TESTS: Final = frozenset({"node", "text"})
_AXES: Final = frozenset(
    {"child", "self", "parent", "attribute", "ancestor", "ancestor-or-self", "preceding-sibling", "following-sibling"}
)
_DEEP_AXES: Final = frozenset({"descendant", "descendant-or-self"})
_OPERATOR_NAMES: Final = frozenset({"and", "or", "div", "mod"})
_OPENED_BY: Final = {")": "(", "]": "["}
_ENDS_OPERAND: Final = frozenset({")", "]", ".", "..", "*"})

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_.\-]*"
_TOKEN: Final = re.compile(
    rf"""\s*(?:
      (?P<literal>"[^"]*"|'[^']*')
    | (?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)
    | (?P<variable>\${_NAME})
    | (?P<name>{_NAME}(?::(?!:)(?:{_NAME}|\*))?)
    | (?P<symbol>::|//|\.\.|!=|<=|>=|[()\[\]@,./|+\-=<>*])
    )""",
    re.VERBOSE,
)
_POSITION: Final = re.compile(r"\s*(?:[0-9]+|last\(\s*\)|position\(\s*\)\s*=\s*(?:[0-9]+|last\(\s*\)))\s*\]")


@dataclass(frozen=True, slots=True)
class Expression:
    """What the checker of stylesheets needs to know: the variables used, as often as they are, and whether
    a predicate makes it a loop."""

    variables: tuple[str, ...]
    loops: bool


def examine(text: str) -> Expression:
    """Check one expression. Raises ValueError with the reason when it is not in the subset."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"an expression of {len(text)} characters, at most {MAX_LENGTH} are taken")
    reader = _Reader()
    at, end = 0, len(text.rstrip())
    if not end:
        raise ValueError("an empty expression")
    while at < end:
        token = _TOKEN.match(text, at)
        if token is None or token.lastgroup is None:
            raise ValueError(f"not in the XPath subset: {text[at : at + 20]!r}")
        at = token.end()
        reader.take(token.lastgroup, token[token.lastgroup], text, at)
    return reader.end()


class _Reader:
    """Where an expression stands: the open brackets, and whether an operand came just before."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._predicates = 0
        self._descendants = 0
        self._variables: list[str] = []
        self._after_operand = False

    def take(self, kind: str, token: str, text: str, at: int) -> None:
        """`at` is where `text` goes on after the token."""
        # XPath 1.0 section 3.7: after an operand, a name or a star is an operator.
        operator = self._after_operand and (kind == "name" or token == "*")
        if kind == "name" and operator:
            if token not in _OPERATOR_NAMES:
                raise ValueError(f"an operator is missing before {token!r}")
        elif kind == "name":
            self._name(token, text[at:].lstrip())
        elif kind == "symbol":
            self._symbol(token, text, at)
        elif kind == "variable":
            self._variables.append(token[1:])
        self._after_operand = not operator and (kind != "symbol" or token in _ENDS_OPERAND)

    def end(self) -> Expression:
        if self._open:
            raise ValueError(f"{self._open[-1]!r} is never closed")
        return Expression(tuple(self._variables), self._predicates > 0)

    def _name(self, token: str, follows: str) -> None:
        if follows.startswith("::"):
            self._axis(token)
        elif follows.startswith("("):
            if ":" in token:
                raise ValueError(f"the function {token}() is an extension")
            if token not in FUNCTIONS and token not in _NODE_TESTS:
                raise ValueError(f"the function {token}() is not allowed")

    def _axis(self, name: str) -> None:
        if name in _DEEP_AXES:
            self._descend()
        elif name not in _AXES:
            raise ValueError(f"the axis {name} is not allowed")

    def _symbol(self, token: str, text: str, at: int) -> None:
        if token == "//":
            self._descend()
        elif token in {"(", "["}:
            self._enter(token, text, at)
        elif token in _OPENED_BY and (not self._open or self._open.pop()[0] != _OPENED_BY[token]):
            raise ValueError(f"{token!r} closes nothing")

    def _enter(self, token: str, text: str, at: int) -> None:
        if len(self._open) >= _MAX_NESTING:
            raise ValueError(f"brackets nested more than {_MAX_NESTING} deep")
        if token == "[" and _POSITION.match(text, at):
            # [1] picks, it does not search.
            token = "[1]"
        elif token == "[":
            if "[" in self._open:
                raise ValueError("a predicate inside a predicate")
            self._predicates += 1
            if self._predicates > _MAX_PREDICATES:
                raise ValueError(f"more than {_MAX_PREDICATES} predicates in one expression")
        self._open.append(token)

    def _descend(self) -> None:
        if "[" in self._open:
            raise ValueError("a search through descendants inside a predicate")
        self._descendants += 1
        if self._descendants > _MAX_DESCENDANTS:
            raise ValueError(f"more than {_MAX_DESCENDANTS} searches through descendants in one expression")


def templates(value: str) -> list[str]:
    """The expressions in an attribute value template (XSLT 1.0 section 7.6.2). Raises ValueError."""
    if "{{" in value or "}}" in value:
        raise ValueError("braces written twice")
    found: list[str] = []
    rest = value
    while "{" in rest:
        before, _, rest = rest.partition("{")
        expression, closed, rest = rest.partition("}")
        if not closed or "}" in before or "{" in expression:
            raise ValueError(f"not an attribute value template: {value[:40]!r}")
        found.append(expression)
    if "}" in rest:
        raise ValueError(f"not an attribute value template: {value[:40]!r}")
    return found
