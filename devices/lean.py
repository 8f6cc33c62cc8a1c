"""A process that is one device and nothing else: smaller than Python would be by itself.

For a process's first lines alone. A program that has other things to do as well leaves it be.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

_OWN_DIGESTS: Final = (("_sha2", "_sha256"), ("_sha1",), ("_md5",), ("_sha3",), ("_blake2",))
"""Modules of which CPython makes hashlib where it was built without OpenSSL; alternatives by version."""


def become_lean() -> None:
    """Do without the interpreter's OpenSSL (4.5 MiB): no TLS is spoken, digests are of some kilobytes, and what is
    signed or hashed for long is so by `cryptography`, which brings an OpenSSL of its own.

    What was imported before stays as it is.
    """
    # asyncio and hashlib are made for interpreters that were built without it; some have no digests besides, though.
    if all(any(find_spec(name) is not None for name in names) for names in _OWN_DIGESTS):
        for name in ("ssl", "_hashlib"):
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # how Python is told that a module is not there
