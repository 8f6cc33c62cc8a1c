"""Receipt, Ping and Ack in the one shape in which devices write them, made and read without a tree.

A request among equals is answered by more Receipts than anything else, and a city at rest sends hardly more than
Ping and Ack. Knows these shapes and nothing more: whatever differs from them in one octet is `nodes`' to read.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64
from collections.abc import Callable
from typing import Final

from gossip_ws.core.messages import Ack, Ping, Receipt, Standing
from gossip_ws.core.replies import MAX_PARTS
from gossip_ws.kernel.names import GOSSIP, DeviceId, GossipId
from gossip_ws.wire.envelope import Addressing, attribute, build, message_id
from gossip_ws.wire.membership import MAX_NONCE
from gossip_ws.wire.nodes import related
from gossip_ws.wire.values import MAX_DEVICE, MAX_INCARNATION, base64

Short = Receipt | Ping | Ack

_STANDINGS: Final = {standing.value.encode(): standing for standing in Standing}
_MESSAGE_ID: Final = "urn:uuid:00000000-0000-4000-8000-000000000000"
_ABOUT: Final = GossipId(bytes(32))


def _shape(name: str, relations: tuple[tuple[str, str], ...] = ()) -> tuple[str, str, str]:
    """What stands before the message id, between it and the Sender, and after the attributes: cut out of an
    envelope as `build` makes every other one."""
    body = f'<g:{name} xmlns:g="{GOSSIP}" Sender=""/>'.encode()
    frame = build(Addressing(f"{GOSSIP}:{name}", _MESSAGE_ID, GOSSIP, relates_to=relations), body).decode()
    start, rest = frame.split(_MESSAGE_ID)
    middle, end = rest.split('""/>')
    return start, middle, "/>" + end


_RECEIPT, _RECEIPT_MIDDLE, _END = _shape("Receipt", (related(_ABOUT),))
_RELATED, _RECEIPT_SENDER = _RECEIPT_MIDDLE.split(_ABOUT.hex())
_PING, _PING_SENDER, _ = _shape("Ping")
_ACK, _ACK_SENDER, _ = _shape("Ack")
_NAMED: Final = len(_PING) - len("Ping</wsa:Action><wsa:MessageID>")
"""Where the name of the action begins in all of them."""

_ID: Final = rb"urn:uuid:[0-9a-f-]{36}"
_VALUE: Final = rb"\"([^\"<&\x00-\x1f\x7f-\xff]{1,%d})\"" % MAX_DEVICE
_NONCE: Final = rb" Nonce=\"([A-Za-z0-9+/]{2,88}={0,2})\""


def _pattern(start: str, middle: bytes, attributes: bytes) -> re.Pattern[bytes]:
    return re.compile(re.escape(start.encode()) + _ID + middle + _VALUE + attributes + re.escape(_END.encode()))


_READ_RECEIPT: Final = _pattern(
    _RECEIPT,
    re.escape(_RELATED.encode()) + rb"([0-9a-f]{64})" + re.escape(_RECEIPT_SENDER.encode()),
    rb" Standing=\"([a-z]{1,16})\"(?: Part=\"([1-9][0-9]{0,3})\")?",
)
_READ_PING: Final = _pattern(_PING, re.escape(_PING_SENDER.encode()), _NONCE)
_READ_ACK: Final = _pattern(_ACK, re.escape(_ACK_SENDER.encode()), _NONCE + rb"(?: Incarnation=\"([0-9]{1,19})\")?")


def write_short(message: Short) -> bytes:
    """The whole envelope, with a fresh message id."""
    sender = attribute(message.sender)
    match message:
        case Receipt():
            part = f' Part="{message.part}"' if message.part != 1 else ""
            frame = (
                f"{_RECEIPT}{message_id()}{_RELATED}{message.about.hex()}{_RECEIPT_SENDER}{sender}"
                f' Standing="{message.standing.value}"{part}{_END}'
            )
        case Ping():
            frame = f'{_PING}{message_id()}{_PING_SENDER}{sender} Nonce="{base64(message.nonce)}"{_END}'
        case Ack():
            incarnation = f' Incarnation="{message.incarnation}"' if message.incarnation else ""
            frame = f'{_ACK}{message_id()}{_ACK_SENDER}{sender} Nonce="{base64(message.nonce)}"{incarnation}{_END}'
    return frame.encode()


def read_short(frame: bytes) -> Short | None:
    """What `write_short` wrote; None for everything else, such a message in another shape included."""
    read = _READERS.get(frame[_NAMED : frame.find(b"<", _NAMED)])
    return read(frame) if read is not None else None


def _read_receipt(frame: bytes) -> Receipt | None:
    found = _READ_RECEIPT.fullmatch(frame)
    if found is None:
        return None
    about, sender, standing, part = found.groups()
    known, number = _STANDINGS.get(standing), int(part or 1)
    if known is None or number > MAX_PARTS:
        return None
    return Receipt(GossipId(bytes.fromhex(about.decode())), DeviceId(sender.decode()), known, number)


def _read_ping(frame: bytes) -> Ping | None:
    found = _READ_PING.fullmatch(frame)
    if found is None:
        return None
    nonce = _octets(found[2])
    return Ping(DeviceId(found[1].decode()), nonce) if nonce else None


def _read_ack(frame: bytes) -> Ack | None:
    found = _READ_ACK.fullmatch(frame)
    if found is None:
        return None
    nonce, incarnation = _octets(found[2]), int(found[3] or 0)
    if not nonce or incarnation > MAX_INCARNATION:
        return None
    return Ack(DeviceId(found[1].decode()), nonce, incarnation)


def _octets(encoded: bytes) -> bytes:
    """Nothing where it is no nonce: then it is read the long way, which says what is wrong."""
    try:
        nonce = a2b_base64(encoded, strict_mode=True)
    except Error:
        return b""
    return nonce if len(nonce) <= MAX_NONCE else b""


_READERS: Final[dict[bytes, Callable[[bytes], Short | None]]] = {
    b"Receipt": _read_receipt,
    b"Ping": _read_ping,
    b"Ack": _read_ack,
}
