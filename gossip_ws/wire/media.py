"""Media types, as Content-Type has them. Knows no message."""

from __future__ import annotations

import re
from typing import Final

# RFC 9110 section 5.6.6; a quoted value may hold a semicolon.
_PARAMETER: Final = re.compile(r';\s*([\w-]+)\s*=\s*("[^"]*"|[^;"]*)')


def essence(content_type: str) -> str:
    """The type itself, in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def parameters(content_type: str) -> dict[str, str]:
    """By name in lower case, unquoted. Of one that is given twice the first counts."""
    found: dict[str, str] = {}
    for name, value in _PARAMETER.findall(content_type):
        found.setdefault(name.lower(), value.strip().strip('"'))
    return found
