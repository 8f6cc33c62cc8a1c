"""MTOM: octets that come in parts beside an envelope are put where it refers to them (XOP 1.0, W3C 2005; DPWS R0022).

So everybody behind it sees one plain envelope. A reply goes back in the same packaging; it refers to no part, as XOP
allows. Knows no operation and no transport, and no other use of multipart.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp, b2a_base64
from hashlib import sha256
from typing import Final
from urllib.parse import unquote

from lxml import etree

from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.names import qname
from gossip_ws.wire.envelope import MAX_ENVELOPE, read_root
from gossip_ws.wire.media import essence, parameters

MOST_PARTS: Final = 64
_MULTIPART: Final = "multipart/related"
_XOP: Final = "application/xop+xml"
_INCLUDE: Final = qname("http://www.w3.org/2004/08/xop/include", "Include")
_ROOT: Final = "<envelope@gossip-ws>"


def is_mtom(content_type: str) -> bool:
    """Is it an envelope in XOP packaging, and not SOAP with attachments?"""
    return essence(content_type) == _MULTIPART and parameters(content_type).get("type", "").lower() == _XOP


def unpack(frame: bytes, content_type: str) -> tuple[bytes, str]:
    """(the envelope with all its octets in it, as base64; its own content type).

    Raises RemoteError: not well-formed, a reference to no part, or too large when it is put together.
    """
    told = parameters(content_type)
    parts = _parts(frame, told.get("boundary", "").encode("latin-1", "replace"))
    start = told.get("start", "") or next(iter(parts))
    if start not in parts:
        raise sender_fault("Malformed", "no part of this packaging is its envelope")
    headers, envelope = parts[start]
    media = told.get("start-info") or parameters(headers.get("content-type", "")).get("type", "")
    root = read_root(envelope)
    size = len(envelope)
    for include in list(root.iter(_INCLUDE)):
        parent, href = include.getparent(), include.get("href", "")
        part = parts.get(f"<{unquote(href.removeprefix('cid:'))}>") if href.startswith("cid:") else None
        if parent is None or part is None:
            raise sender_fault("Malformed", f"no part of this packaging: {href[:200]!r}")
        if len(parent) != 1 or (parent.text or "").strip() or (include.tail or "").strip():
            raise sender_fault("Malformed", "xop:Include is all that its element holds (XOP 1.0 section 2.1)")
        octets = b2a_base64(part[1], newline=False)
        size += len(octets)
        # One part may be referred to a thousand times.
        if size > MAX_ENVELOPE:
            raise sender_fault(
                "TooLarge", f"an envelope has at most {MAX_ENVELOPE} octets, those of its parts in base64"
            )
        parent.remove(include)
        parent.text = octets.decode("ascii")
    return etree.tostring(root), media


def pack(envelope: bytes, content_type: str) -> tuple[bytes, str]:
    """(body, content type) of an envelope in XOP packaging that is all in one part."""
    boundary = f"gossip-ws-{sha256(envelope).hexdigest()[:40]}"
    info = essence(content_type)
    head = (
        f"--{boundary}\r\nContent-ID: {_ROOT}\r\nContent-Transfer-Encoding: binary\r\n"
        f'Content-Type: {_XOP}; charset=utf-8; type="{info}"\r\n\r\n'
    )
    told = f'{_MULTIPART}; type="{_XOP}"; start="{_ROOT}"; start-info="{info}"; boundary="{boundary}"'
    return head.encode() + envelope + f"\r\n--{boundary}--\r\n".encode(), told


def _parts(frame: bytes, boundary: bytes) -> dict[str, tuple[dict[str, str], bytes]]:
    """Headers and content of each part, by its Content-ID; one without has the name of its place (RFC 2046, 2387)."""
    if not 1 <= len(boundary) <= 70:
        raise sender_fault("Malformed", "a multipart message has a boundary of 1 to 70 characters")
    _, *pieces = (b"\r\n" + frame).split(b"\r\n--" + boundary, MOST_PARTS + 2)
    found: dict[str, tuple[dict[str, str], bytes]] = {}
    for place, piece in enumerate(pieces):
        if piece.startswith(b"--") and found:
            return found
        if place >= MOST_PARTS:
            raise sender_fault("TooLarge", f"more than {MOST_PARTS} parts")
        head, separator, content = piece.partition(b"\r\n\r\n")
        padding, line_end, head = head.partition(b"\r\n")
        if not separator or not line_end or padding.strip():
            break
        headers = _headers(head.decode("latin-1"))
        name = headers.get("content-id", "").strip() or str(place)
        found.setdefault(name, (headers, _decoded(content, headers.get("content-transfer-encoding", ""))))
    raise sender_fault("Malformed", "a multipart message that does not end as it says")


def _headers(head: str) -> dict[str, str]:
    unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ")
    fields = (line.partition(":") for line in unfolded.split("\r\n"))
    return {name.strip().lower(): value.strip() for name, _, value in fields}


def _decoded(content: bytes, coding: str) -> bytes:
    match coding.strip().lower():
        case "" | "binary" | "8bit" | "7bit":
            return content
        case "quoted-printable":
            return a2b_qp(content)
        case "base64":
            try:
                return a2b_base64(b"".join(content.split()), strict_mode=True)
            except Base64Error as error:
                raise sender_fault("Malformed", f"a part is not base64: {error}") from None
        case other:
            raise sender_fault("Malformed", f"unknown Content-Transfer-Encoding: {other[:40]!r}")
