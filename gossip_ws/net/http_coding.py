"""Content codings of HTTP (RFC 9110 section 8.4): gzip, in bounds, and nothing else.

What is unpacked never exceeds what may be sent plainly, so a small request cannot become a large one in memory. Knows
octets and the headers that speak of codings, nothing of what they mean.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

from gossip_ws.kernel.errors import GossipError

GZIP: Final = "gzip"
WORTH: Final = 1_024
"""Octets from which packing a response pays: below, it saves a part of one TCP segment that is sent anyway."""
_LEVEL: Final = 6
_WRAPPED: Final = 16 + zlib.MAX_WBITS
"""A gzip header and trailer around the deflated octets (zlib's `wbits`)."""
_NAMES: Final = frozenset((GZIP, "x-gzip"))
# RFC 9110 section 12.4.2: from 0 to 1, three digits at most. Whatever else it reads is taken for a refusal.
_WEIGHT: Final = re.compile(r";\s*q\s*=\s*(1(?:\.0{0,3})?|0?\.0{0,2}[1-9]\d*|0\.\d{0,3})\s*$")


class NotGzip(GossipError):
    """The octets are no single gzip member."""


class TooMuch(GossipError):
    """Unpacked there is more than the bound."""


def is_known(coding: str) -> bool:
    """May a request's Content-Encoding be this? Empty and `identity` are no coding at all; several are not known."""
    return coding.strip().lower() in _NAMES | {"", "identity"}


def is_packed(coding: str) -> bool:
    return coding.strip().lower() in _NAMES


def wants_gzip(accepted: str) -> bool:
    """Does this Accept-Encoding ask for gzip by name? A `*` accepts it, but asks for nothing."""
    for part in accepted.lower().split(","):
        name, semicolon, parameters = part.strip().partition(";")
        if name.strip() in _NAMES:
            return not semicolon or _weight(";" + parameters) > 0
    return False


def pack(body: bytes) -> bytes:
    """The same in gzip; the same octets at any time, as there is no date in it."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WRAPPED)
    return packer.compress(body) + packer.flush()


def unpack(body: bytes, most: int) -> bytes:
    """What was packed, at most `most` octets. Raises NotGzip or TooMuch; no more than `most` + 1 octets are made."""
    unpacker = zlib.decompressobj(_WRAPPED)
    try:
        found = unpacker.decompress(body, most + 1)
    except zlib.error:
        raise NotGzip("not gzip") from None
    if len(found) > most:
        raise TooMuch(f"more than {most} octets")
    if not unpacker.eof or unpacker.unused_data:
        raise NotGzip("cut off, or followed by something")
    return found


def _weight(parameters: str) -> float:
    found = _WEIGHT.match(parameters)
    return float(found[1]) if found is not None else 0.0
