"""The Verifier without keys, for development and simulation: whoever reaches the device may do anything.

Never a default: whoever wants it names it.
"""

from __future__ import annotations

from typing import Final

from gossip_ws.core.messages import Content, Signature
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.names import GossipId
from gossip_ws.ports import Caller

UNSIGNED: Final = "unsigned"
"""The originator of what nobody signed."""


class DevelopmentVerifier:
    """Takes what is openly unsigned. What claims a key is refused: nobody here could tell whether it is true."""

    @property
    def originator(self) -> str:
        """`unsigned`."""
        return UNSIGNED

    def verify(self, content: Content, caller: Caller) -> None:
        """Raises RemoteError (UnknownKey) for what is signed or says that somebody in particular made it."""
        if content.signature is not None or content.terms.originator != UNSIGNED:
            raise sender_fault("UnknownKey", "this device runs without keys and takes unsigned messages only")

    def authorise(self, action: str, caller: Caller) -> None:
        """Everybody may."""

    def issuer(self, caller: Caller) -> str:
        """Nobody is proved."""
        return ""

    def sign(self, id: GossipId) -> Signature | None:
        """Nothing is signed."""
        return None

    @property
    def key(self) -> bytes:
        """None."""
        return b""

    def attest(self, statement: bytes) -> Signature | None:
        """Nothing is signed."""
        return None

    def is_attested(self, statement: bytes, signature: Signature, key: bytes) -> bool:
        """Nobody here could tell."""
        return False
