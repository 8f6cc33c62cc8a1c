"""What a device lets in of what is said to it: signed, enrolled, in place, for it, of now, and never twice.

Made of keys as functions; refuses to know how a signature is made, and what a message means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.messages import Message, Metered
from gossip_ws.consensus.trust import Roll, Sealed, Sign, is_meant
from gossip_ws.kernel.effects import Dropped

FRESH: Final = 60.0
"""Seconds that a seal's stamp may lie before or after the receiver's clock: the slowest message and the worst clock."""
HELD: Final = 256
"""Stamps of one sender that are remembered; the smallest makes room, and nothing up to it is let in from then on. So
who floods shuts out its own alone, and nothing is let in twice."""
SENDERS: Final = 1_024
"""Senders of whom stamps are remembered, before those are forgotten that have said nothing of now."""
AGAIN: Final = Dropped("said before")
_MICRO: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Keyring:
    """What devices sign with, and what everybody believes them by."""

    signs: Mapping[str, Sign]
    roll: Roll


class Stamps:
    """One device's: each larger than the one before, also over a crash as long as the clock is not set back."""

    def __init__(self) -> None:
        self._last = 0

    def next(self, wall: float) -> int:
        """For a message that is sealed now (s since 1970)."""
        self._last = max(self._last + 1, int(wall * _MICRO))
        return self._last


class _Said:
    """By one sender: `stamps`, and perhaps any up to `floor`."""

    __slots__ = ("floor", "stamps")

    def __init__(self) -> None:
        self.floor = -1
        self.stamps: set[int] = set()

    def __contains__(self, stamp: int) -> bool:
        return stamp <= self.floor or stamp in self.stamps

    def add(self, stamp: int) -> None:
        self.stamps.add(stamp)
        if len(self.stamps) > HELD:
            self.floor = min(self.stamps)
            self.stamps.remove(self.floor)


class Door:
    """One device's. since: when it came up (s since 1970). What was said before that is not let in, because it may
    have been let in before the crash; who has meant it says it again."""

    def __init__(self, device: str, roll: Roll, hierarchy: Hierarchy, since: float = 0.0) -> None:
        self._device = device
        self._roll = roll
        self._hierarchy = hierarchy
        self._since = int(since * _MICRO)
        self._said: dict[tuple[str, bool], _Said] = {}

    def regroup(self, hierarchy: Hierarchy) -> None:
        """Devices have joined or left."""
        self._hierarchy = hierarchy

    def opened(self, sealed: Sealed, wall: float) -> Message | Dropped:
        """The message; or why it does not count. The cheap questions come first, the signature last."""
        if not is_meant(self._hierarchy, self._device, sealed):
            return Dropped("said to another")
        if sealed.sender == self._device:
            # It does not come this way. Others see what a device has signed for itself, and could bring it back.
            return Dropped("said by itself")
        if abs(wall - sealed.stamp / _MICRO) > FRESH or sealed.stamp < self._since:
            return Dropped("not of now")
        said = self._said.get(_who(sealed))
        if said is not None and sealed.stamp in said:
            return AGAIN
        if not self._roll.is_placed(self._hierarchy, sealed.sender):
            return Dropped("not where it is enrolled")
        message = self._roll.opened(sealed, sealed.to)
        if message is None:
            return Dropped("not signed by who is enrolled")
        self._remember(sealed, wall)
        return message

    def _remember(self, sealed: Sealed, wall: float) -> None:
        who = _who(sealed)
        if who not in self._said and len(self._said) >= SENDERS:
            self._forget(int((wall - FRESH) * _MICRO))
        self._said.setdefault(who, _Said()).add(sealed.stamp)

    def _forget(self, old: int) -> None:
        """Those who have said nothing since `old`; what they may have said is not let in either if the clock is set
        back."""
        self._since = max(self._since, old)
        self._said = {who: said for who, said in self._said.items() if max(said.stamps) >= old}


def _who(sealed: Sealed) -> tuple[str, bool]:
    """A device and its meter have a clock each: neither's stamps shut the other out."""
    return sealed.sender, isinstance(sealed.message, Metered)
