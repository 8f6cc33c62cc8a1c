"""The MetadataVersion of a device: it outlives a restart, and moves only when what the device tells of itself does.

Knows no message: what is told is octets here.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from gossip_ws.ports import Store

FIRST: Final = 1
_METADATA: Final = "metadata"
_LAST: Final = 2**32 - 1


def metadata_version(store: Store | None, told: bytes) -> int:
    """The version of what is `told`: the one held in `store` where that is what was told last, else one more, which is
    kept (WS-Discovery 1.1 section 4.1; DPWS 1.1 R2001, R2002, R2030). Without a store always `FIRST`."""
    if store is None:
        return FIRST
    digest = sha256(told).hexdigest().encode()
    held = store.get(_METADATA)
    if held is None:
        number = FIRST
    else:
        version, _, before = held.partition(b" ")
        if before == digest:
            return int(version)
        # After the last there is nothing greater to say.
        number = min(int(version) + 1, _LAST)
    store.put(_METADATA, b"%d %b" % (number, digest))
    return number
