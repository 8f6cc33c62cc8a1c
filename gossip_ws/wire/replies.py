"""`g:Replies`: what single devices replied, each in an element that names its device; and how an entry's client is
told, and asks for, one part of many (docs/wire.md). Knows no envelope, no operation and no schema.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lxml import etree

from gossip_ws.core.messages import DeviceReply
from gossip_ws.core.replies import MAX_PARTS
from gossip_ws.kernel.errors import Fault, FaultCode
from gossip_ws.kernel.names import GOSSIP, GossipId, QName, qname
from gossip_ws.wire.envelope import Envelope, attribute, canonical, content_prefixes, text
from gossip_ws.wire.terms import by_value
from gossip_ws.wire.values import attributes, clark, device, integer, malformed, one_of, only

FAULT: Final = qname(GOSSIP, "Fault")
REPLIES: Final = qname(GOSSIP, "Replies")
PART: Final = qname(GOSSIP, "Part")
GET_REPLIES: Final = qname(GOSSIP, "GetReplies")
GET_REPLIES_ACTION: Final = GOSSIP + ":GetReplies"
REPLIES_ACTION: Final = GOSSIP + ":Replies"

_REPLY: Final = qname(GOSSIP, "Reply")
_OPEN: Final = f'xmlns:g="{GOSSIP}"'
_CODES: Final = by_value(FaultCode)
_ID: Final = re.compile("[0-9a-f]{64}")
# What is written needs no escaping: so its length is known before it is.
_DEVICE: Final = re.compile(r"[!#-%'-;=?-~]{1,256}")


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of the replies to request `id` this is: `number` of `of`, from 1."""

    id: GossipId
    number: int
    of: int


def gossip_id(digits: str) -> GossipId:
    """64 hexadecimal digits. Raises RemoteError."""
    if not _ID.fullmatch(digits):
        malformed(f"not a gossip id: {digits[:80]!r}")
    return GossipId(bytes.fromhex(digits))


def write_replies(replies: tuple[DeviceReply, ...]) -> bytes:
    """The element with all of them."""
    written = [
        b'<g:Reply Device="%b">%b</g:Reply>'
        % (reply.device.encode(), reply.value if reply.fault is None else write_fault(reply.fault))
        for reply in replies
    ]
    return b"<g:Replies %b>%b</g:Replies>" % (_OPEN.encode(), b"".join(written))


def read_replies(element: etree._Element) -> tuple[DeviceReply, ...]:
    """Raises RemoteError."""
    return tuple(map(_read_reply, element))


def write_fault(fault: Fault) -> bytes:
    """Why there is no value."""
    head = f'<g:Fault Code="{fault.code.value}" Subcode={attribute(fault.subcode)}>{text(fault.reason)}'
    return b"%b%b</g:Fault>" % (head.encode(), fault.detail)


def read_fault(element: etree._Element) -> Fault:
    """Raises RemoteError."""
    values = attributes(element)
    detail = canonical(element[0], content_prefixes(element[0])) if len(element) else b""
    return Fault(
        one_of(values, "Code", _CODES), QName(clark(values.get("Subcode", ""))), (element.text or "").strip(), detail
    )


def write_part(part: Part) -> bytes:
    """The header block beside a part of the replies."""
    return f'<g:Part {_OPEN} Id="{part.id.hex()}" Number="{part.number}" Of="{part.of}"/>'.encode()


def read_part(envelope: Envelope) -> Part | None:
    """Which part an envelope holds; None when it does not say. Raises RemoteError."""
    block = envelope.header(PART)
    if block is None:
        return None
    values = attributes(block)
    of = integer(values, "Of", MAX_PARTS, least=1)
    return Part(gossip_id(values.get("Id", "")), integer(values, "Number", of, least=1), of)


def write_get_replies(id: GossipId, number: int) -> bytes:
    """The Body that asks for one part."""
    return f'<g:GetReplies {_OPEN} Id="{id.hex()}" Number="{number}"/>'.encode()


def read_get_replies(payload: etree._Element | None) -> tuple[GossipId, int]:
    """(id of the request, number of the part). Raises RemoteError."""
    if payload is None or payload.tag != GET_REPLIES:
        malformed("the Body of a GetReplies is not g:GetReplies")
    values = attributes(payload)
    only(values, frozenset(("Id", "Number")), "GetReplies")
    return gossip_id(values.get("Id", "")), integer(values, "Number", MAX_PARTS, least=1)


def _read_reply(element: etree._Element) -> DeviceReply:
    if element.tag != _REPLY or len(element) != 1:
        malformed("Replies holds Reply elements, with one element in each")
    name = device(attributes(element), "Device")
    if not _DEVICE.fullmatch(name):
        malformed(f"not a device's address: {name[:80]!r}")
    child = element[0]
    if child.tag == FAULT:
        return DeviceReply(name, b"", read_fault(child))
    return DeviceReply(name, canonical(child, content_prefixes(child)))
