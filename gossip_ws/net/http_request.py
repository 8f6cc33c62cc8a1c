"""What an HTTP request says, as the devices' own Request: target, credentials, the headers that matter here.

Reads what h11 has parsed; judges nothing and holds nothing.
"""

from __future__ import annotations

import base64
import binascii

import h11

from gossip_ws.kernel.address import Address
from gossip_ws.ports import Caller, Request


def as_request(request: h11.Request, frame: bytes, peer: Address, local: str) -> Request:
    content_type = soap_action = user = password = ""
    for name, value in request.headers:
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"soapaction":
            soap_action = value.decode("latin-1")
        elif name == b"authorization":
            user, password = _basic(value)
    target = request.target.decode("ascii")
    if not target.startswith("/") and "://" in target:
        # The absolute form, as sent to proxies (RFC 9112 section 3.2.2).
        _, slash, rest = target.partition("://")[2].partition("/")
        target = (slash + rest) or "/"
    path, _, query = target.partition("?")
    caller = Caller(peer, local, user, password)
    return Request(frame, caller, request.method.decode("ascii"), path, query, content_type, soap_action)


def header(request: h11.Request, name: bytes) -> str:
    """A header's value, of several of that name all of them as one list (RFC 9110 section 5.3)."""
    return ", ".join(value.decode("latin-1") for found, value in request.headers if found == name)


def _basic(value: bytes) -> tuple[str, str]:
    """User and password of `Basic ...` (RFC 7617, UTF-8); both empty when it is something else."""
    scheme, _, credentials = value.partition(b" ")
    if scheme.lower() != b"basic":
        return "", ""
    try:
        user, colon, password = base64.b64decode(credentials.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (user, password) if colon else ("", "")
