"""A Receipt in the one shape in which devices write it, made and read without a tree.

A request among equals is answered by more Receipts than anything else: two of three messages of a pull.
Knows that shape and nothing more: whatever differs from it in one octet is `nodes`' to read.
"""

from __future__ import annotations

import re
from typing import Final

from gossip_ws.core.messages import Receipt, Standing
from gossip_ws.kernel.names import GOSSIP, DeviceId, GossipId
from gossip_ws.wire.envelope import Addressing, attribute, build, message_id
from gossip_ws.wire.nodes import MAX_DEVICE, related

_STANDINGS: Final = {standing.value.encode(): standing for standing in Standing}
_MESSAGE_ID: Final = "urn:uuid:00000000-0000-4000-8000-000000000000"


def _shape() -> tuple[str, str, str, str]:
    """What stands before the message id, the gossip id and the Sender, and after the standing: cut out of an
    envelope as `build` makes every other one."""
    about = GossipId(bytes(32))
    body = f'<g:Receipt xmlns:g="{GOSSIP}" Sender="" Standing=""/>'.encode()
    frame = build(Addressing(f"{GOSSIP}:Receipt", _MESSAGE_ID, GOSSIP, relates_to=(related(about),)), body).decode()
    start, rest = frame.split(_MESSAGE_ID)
    related_to, rest = rest.split(about.hex())
    before_sender, end = rest.split('"" Standing=""')
    return start, related_to, before_sender, end


_START, _RELATED, _SENDER, _END = _shape()
_RECEIPT: Final = re.compile(
    re.escape(_START.encode())
    + rb"urn:uuid:[0-9a-f-]{36}"
    + re.escape(_RELATED.encode())
    + rb"([0-9a-f]{64})"
    + re.escape(_SENDER.encode())
    + rb"\"([^\"<&\x00-\x1f\x7f-\xff]{1,%d})\" Standing=\"([a-z]{1,16})\"" % MAX_DEVICE
    + re.escape(_END.encode())
)


def write_receipt(receipt: Receipt) -> bytes:
    """The whole envelope, with a fresh message id."""
    return (
        f"{_START}{message_id()}{_RELATED}{receipt.about.hex()}{_SENDER}{attribute(receipt.sender)}"
        f' Standing="{receipt.standing.value}"{_END}'
    ).encode()


def read_receipt(frame: bytes) -> Receipt | None:
    """What `write_receipt` wrote; None for everything else, a Receipt in another shape included."""
    found = _RECEIPT.fullmatch(frame)
    if found is None:
        return None
    about, sender, standing = found.groups()
    known = _STANDINGS.get(standing)
    return Receipt(GossipId(bytes.fromhex(about.decode())), DeviceId(sender.decode()), known) if known else None
