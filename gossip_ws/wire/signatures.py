"""The compact signature (WS-Discovery 1.1 section 8.2) as it is written: on a gossip, and on an Alive.

Judges form only: whose key it is, and whether it fits, is a Verifier's business.
"""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from gossip_ws.core.messages import Signature
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import GOSSIP, WSD, qname
from gossip_ws.wire.values import Attributes, attributes, base64, malformed, octets

SCHEME: Final = GOSSIP + ":ed25519"
"""The signature scheme: Ed25519 (RFC 8032) over 32 octets of SHA-256."""
SECURITY: Final = qname(WSD, "Security")

_SIGNATURE: Final = qname(WSD, "Sig")
_REFS: Final = "A T B"
_LENGTH: Final = 64
_KEY_ID: Final = re.compile("[0-9a-f]{32}")


def write_signature(signature: Signature) -> str:
    """The attributes `KeyId` and `Sig`. Raises LocalError for what nobody could read."""
    if not _KEY_ID.fullmatch(signature.key_id) or len(signature.value) != _LENGTH:
        raise LocalError(f"not an Ed25519 signature by a key id of 32 hexadecimal digits: {signature.key_id}")
    return f'KeyId="{signature.key_id}" Sig="{base64(signature.value)}"'


def read_signature(values: Attributes) -> Signature:
    """What `write_signature` wrote. Raises RemoteError."""
    key_id = values.get("KeyId", "")
    if not _KEY_ID.fullmatch(key_id):
        malformed("KeyId is not 32 hexadecimal digits")
    value = octets(values, "Sig", _LENGTH)
    if len(value) != _LENGTH:
        malformed(f"a signature has {_LENGTH} octets")
    return Signature(key_id, value)


def write_security(signature: Signature) -> bytes:
    """The header block of a gossip: over Action, Terms and Body. Raises LocalError as `write_signature`."""
    written = write_signature(signature)
    return f'<wsd:Security><wsd:Sig Scheme="{SCHEME}" Refs="{_REFS}" {written}/></wsd:Security>'.encode()


def read_security(security: etree._Element) -> Signature:
    """The signature in the header block. Raises RemoteError."""
    block = security[0] if len(security) == 1 else None
    if block is None or block.tag != _SIGNATURE:
        malformed("wsd:Security does not hold one wsd:Sig")
    values = attributes(block)
    if values.get("Scheme") != SCHEME or values.get("Refs") != _REFS:
        malformed(f"not a signature of the scheme {SCHEME} over {_REFS}")
    return read_signature(values)
