"""Who may say what: by signature, and by place in the grid.

A message counts only when its sender is enrolled, has signed it for this receiver, and stands where one stands who
says such a thing. Keys are handed in as functions; where devices stand is the hierarchy, which the utility enrols.
Refuses to know how a signature is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.messages import Board, Found, Message, Moved, Propose, Report, Supply

Verify = Callable[[bytes, bytes], bool]
"""(signature, statement): is it this key's?"""
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message from `sender` to `to`, signed over both."""

    sender: str
    to: str
    message: Message
    signature: bytes


def statement(sender: str, to: str, message: Message) -> bytes:
    """What is signed: the same octets for the same message everywhere, and others for any other."""
    told = [sender, to, type(message).__name__, asdict(message)]
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def seal(sender: str, to: str, message: Message, sign: Sign) -> Sealed:
    """Sign a message for one receiver: nobody else can be shown it as said to them."""
    return Sealed(sender, to, message, sign(statement(sender, to, message)))


class Roll:
    """The enrolled identities, each with its key. Who is on it is decided by the utility, one identity a device, so a
    household that invents devices gets no more say."""

    def __init__(self, keys: Mapping[str, Verify]) -> None:
        self._keys = dict(keys)

    def has_said(self, device: str, statement: bytes, signature: bytes) -> bool:
        """Is the signature under the statement that of an enrolled device?"""
        verify = self._keys.get(device)
        return verify is not None and verify(signature, statement)

    def opened(self, sealed: Sealed, receiver: str) -> Message | None:
        """The message, if its sender is enrolled and has signed it for `receiver`; else None."""
        verify = self._keys.get(sealed.sender)
        if verify is None or sealed.to != receiver:
            return None
        said = statement(sealed.sender, sealed.to, sealed.message)
        return sealed.message if verify(sealed.signature, said) else None


def is_in_place(hierarchy: Hierarchy, message: Message, sender: str) -> bool:
    """May one who stands where `sender` does say this? Only a device of a cluster speaks for it, only one of the
    cluster above shares out to it, and an agreement bears its seller's name."""
    if sender not in hierarchy.home:
        return False
    match message:
        case Propose():
            return message.agreement.startswith(f"{sender}/")
        case Report() | Moved():
            return hierarchy.is_below(sender, message.child)
        case Board():
            return hierarchy.is_below(sender, message.cluster) and all(
                hierarchy.parent(line.child) == message.cluster and hierarchy.is_below(line.speaker, line.child)
                for line in message.lines
            )
        case Supply():
            above = hierarchy.parent(message.child)
            return hierarchy.is_below(sender, above) and _speak(hierarchy, message)
        case Found():
            return _speak(hierarchy, message)
        case _:
            return True


def _speak(hierarchy: Hierarchy, message: Supply | Found) -> bool:
    return all(hierarchy.is_below(target.speaker, target.child) for target in message.targets)
