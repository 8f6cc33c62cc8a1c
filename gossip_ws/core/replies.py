"""Single replies on their way: a frozen list that goes up in numbered parts, and is put together again above.

Knows which octets it may hold, who is in the list already, and which part is owed. Refuses to know what a reply says,
who may ask for it, and when a request is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from gossip_ws.core.messages import DeviceReply, Partial, Tally
from gossip_ws.kernel.effects import Dropped
from gossip_ws.kernel.errors import Fault, FaultCode
from gossip_ws.kernel.names import GOSSIP, DeviceId, qname

WINDOW: Final = 8
"""Parts under way at once, so that a long list fills no queue between here and the asker."""
MAX_PARTS: Final = 1_024
"""Parts of one list: more than `NodeConfig.max_replies` needs."""
MAX_SENDERS: Final = 256
"""Lists of which some parts are here and others awaited: as many as are asked."""

_MARKUP: Final = 64
"""Octets that an element around a reply takes at most."""
_ESCAPED: Final = 6
"""Octets that one octet of text takes at most once it is escaped."""


def _left_out(name: str, reason: str) -> Fault:
    return Fault(FaultCode.RECEIVER, qname(GOSSIP, name), reason)


TOO_LARGE: Final = _left_out("ReplyTooLarge", "the reply is too large for one part of the answer")
NO_ROOM: Final = _left_out("NoRoomForReply", "left out: the replies are more than a device on the way may hold")
REFUSED: Final = _left_out("ReplyRefused", "the reply is malformed, or out of the range that its service declares")

_TWICE: Final = Dropped("reply twice, or of nobody counted")


@dataclass(frozen=True, slots=True)
class Replies:
    """The answer to a request for every reply: one a device, those that failed with a fault where it is known.

    `expires` (wall s): when the request does.
    """

    singles: tuple[DeviceReply, ...]
    expires: float


def octets(reply: DeviceReply) -> int:
    """How much of a part it takes: never less than it does when written."""
    taken = _MARKUP + len(reply.device) + len(reply.value)
    if reply.fault is not None:
        taken += _MARKUP + _ESCAPED * len(f"{reply.fault.subcode}{reply.fault.reason}".encode())
        taken += len(reply.fault.detail)
    return taken


def size(partial: Partial) -> int:
    """Octets of its content, by which its binding is chosen. A digest in a cover takes at most eleven."""
    return len(partial.value) + sum(map(octets, partial.replies)) + 11 * len(partial.cover)


def own_reply(device: DeviceId, outcome: bytes | Fault, max_part: int) -> DeviceReply:
    """What this device adds. What would not fit becomes a fault that says so: relays write it anew, and may need a few
    octets more for its namespaces, so an eighth of the part is kept free."""
    reply = DeviceReply(device, b"", outcome) if isinstance(outcome, Fault) else DeviceReply(device, outcome)
    return reply if octets(reply) <= max_part - max_part // 8 else DeviceReply(device, b"", TOO_LARGE)


def split(replies: tuple[DeviceReply, ...], most: int) -> tuple[tuple[DeviceReply, ...], ...]:
    """In order, at most `most` octets each; one empty part where there is nothing to say."""
    parts: list[tuple[DeviceReply, ...]] = []
    part: list[DeviceReply] = []
    taken = 0
    for reply in replies:
        more = octets(reply)
        if part and taken + more > most:
            parts.append(tuple(part))
            part, taken = [], 0
        part.append(reply)
        taken += more
    return (*parts, tuple(part))


class Outbox:
    """An answer on its way to the asker. Frozen: only to whom it goes may change."""

    def __init__(self, partial: Partial, most: int) -> None:
        shares = split(partial.replies, most)
        self._parts = tuple(
            replace(partial, replies=share, part=number, parts=len(shares)) for number, share in enumerate(shares, 1)
        )
        self._owed = [part.part for part in self._parts]
        self._moved = False

    @property
    def is_empty(self) -> bool:
        """Has the asker all parts?"""
        return not self._owed

    def due(self) -> tuple[Partial, ...]:
        """The first few without a receipt."""
        return tuple(self._parts[number - 1] for number in self._owed[:WINDOW])

    def receipted(self, number: int) -> tuple[Partial, ...]:
        """The parts that go now because the asker has part `number`."""
        if number not in self._owed:
            return ()
        before = self._owed[:WINDOW]
        self._owed.remove(number)
        self._moved = True
        return tuple(self._parts[one - 1] for one in self._owed[:WINDOW] if one not in before)

    def has_moved(self) -> bool:
        """Did a receipt come since this was asked last?"""
        moved, self._moved = self._moved, False
        return moved

    def turn(self, bypassing: tuple[DeviceId, ...]) -> None:
        """To another asker, who has none of it."""
        self._parts = tuple(replace(part, bypassing=bypassing) for part in self._parts)
        self._owed = [part.part for part in self._parts]


@dataclass(slots=True)
class _Begun:
    """A list of which some parts came. `head`: what all its parts have in common."""

    head: Partial
    parts: dict[int, tuple[DeviceReply, ...]] = field(default_factory=dict)
    left_out: list[DeviceId] = field(default_factory=list)


class Inbox:
    """What a node holds of others' replies to one request: `most` octets, in replies of at most `largest`.

    A reply for which there is no room leaves a line that says so, for which an eighth of the octets is kept; when
    that is used up as well, its device is counted as failed and not named.
    """

    def __init__(self, most: int, largest: int) -> None:
        self._room = most - most // 8
        self._room_for_lines = most
        self._largest = largest
        self._begun: dict[DeviceId, _Begun] = {}
        self._devices: set[DeviceId] = set()
        self._lines: dict[DeviceId, list[DeviceId]] = {}
        self.octets = 0
        self.left_out: list[DeviceId] = []
        """Whose replies were left out here."""

    def take(self, partial: Partial, own: DeviceId) -> tuple[Partial | None, list[Dropped]]:
        """The whole list once all its parts are here, its counts those of the replies that are kept.

        It may still be left out of the answer: an orphan's waits for what its asker sends. `admit` puts it in.
        """
        head = replace(partial, replies=(), part=1)
        begun = self._begun.get(partial.sender)
        if begun is None:
            if len(self._begun) >= MAX_SENDERS:
                return None, [Dropped("parts of too many")]
            begun = self._begun[partial.sender] = _Begun(head)
        if begun.head != head:
            return None, [Dropped("parts that do not fit together")]
        dropped: list[Dropped] = []
        if partial.part not in begun.parts:
            begun.parts[partial.part] = tuple(self._kept(partial.replies, begun.left_out, dropped))
        if len(begun.parts) < partial.parts:
            return None, dropped
        del self._begun[partial.sender]
        replies = [reply for number in sorted(begun.parts) for reply in begun.parts[number]]
        self._lines[partial.sender] = begun.left_out
        return _whole(head, replies, own, dropped), dropped

    def admit(self, whole: Partial) -> tuple[Partial, list[Dropped]]:
        """A whole list goes into the answer. A device that is in it already is not taken twice."""
        kept = tuple(reply for reply in whole.replies if reply.device not in self._devices)
        self._devices.update(reply.device for reply in kept)
        self.left_out += self._lines.pop(whole.sender, [])
        tally = _with_contributors(whole.tally, sum(reply.fault is None for reply in kept))
        return replace(whole, tally=tally, replies=kept), [_TWICE] * (len(whole.replies) - len(kept))

    def close(self) -> None:
        """Nothing more is taken: what is not whole is forgotten."""
        self._begun.clear()

    def _kept(
        self, replies: Iterable[DeviceReply], left_out: list[DeviceId], dropped: list[Dropped]
    ) -> Iterator[DeviceReply]:
        for reply in replies:
            needed = octets(reply)
            if needed <= self._largest and self.octets + needed <= self._room:
                self.octets += needed
                yield reply
                continue
            dropped.append(Dropped("reply left out"))
            # The fault is one and the same object for all of them: only the line itself takes room.
            line = _MARKUP + len(reply.device)
            if self.octets + line <= self._room_for_lines:
                self.octets += line
                left_out.append(reply.device)
                yield DeviceReply(reply.device, b"", TOO_LARGE if needed > self._largest else NO_ROOM)


def _whole(head: Partial, replies: list[DeviceReply], own: DeviceId, dropped: list[Dropped]) -> Partial:
    """What the parts make: each device once, and never more than the sender counted."""
    kept: dict[DeviceId, DeviceReply] = {}
    contributors = head.tally.contributors
    # What was left out on the way to here has a line instead of its value.
    given = sum(reply.fault is None for reply in replies)
    failed = head.tally.failed + contributors - min(contributors, given)
    values = 0
    for reply in replies:
        is_value = reply.fault is None
        fits = values < contributors if is_value else len(kept) - values < failed
        if reply.device in kept or reply.device == own or not fits:
            dropped.append(_TWICE)
            continue
        kept[reply.device] = reply
        values += is_value
    return replace(head, tally=_with_contributors(head.tally, values), replies=tuple(kept.values()), parts=1)


def _with_contributors(tally: Tally, contributors: int) -> Tally:
    return replace(tally, contributors=contributors, failed=tally.failed + tally.contributors - contributors)
