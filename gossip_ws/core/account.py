"""What one node's answer to a request stands for: in numbers, and by name.

The names are those of whom this node waited for itself. Who is lacking further down is named there. Knows
nothing of messages on the way: it reads the state of a request that is about to be answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from gossip_ws.core.effects import Input
from gossip_ws.core.messages import Tally
from gossip_ws.core.peers import Peer, PeerTable, Relation
from gossip_ws.core.request import Asked, Request
from gossip_ws.kernel.errors import Fault
from gossip_ws.kernel.names import DeviceId, GossipId
from gossip_ws.kernel.scopes import any_covers


class Lack(StrEnum):
    """Why a device is not among those that an answer counts."""

    MISSING = "missing"
    """Nothing came."""
    FAILED = "failed"
    """A fault came, or nonsense, or a refusal to take part."""
    LATE = "late"
    """Its value came when the others had been combined."""
    UNCERTAIN = "uncertain"
    """Whether its value is in what a dead asker passed on cannot be told."""
    REFUSED = "refused"
    """It has the message, and its service did not accept it, or it had one already that supersedes it."""
    UNKNOWN = "unknown"
    """An equal that was not asked here, or said that another asks it: at most so many devices that nobody accounted for
    stand behind it."""
    COUNTED = "counted"
    """It is in the answer after all. An equal says so of itself: who waits for one cannot see that another took it."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """`devices` stand behind `device`, itself among them, and are not counted."""

    device: DeviceId
    standing: Lack
    devices: int


@dataclass(frozen=True, slots=True)
class Known:
    """What one device knows of a gossip id. `own`: why the message is not in force here, None when it is.
    `lacking`: of a request, whom the answer given here leaves out."""

    own: Lack | None
    lacking: tuple[Lacking, ...] = ()


class Ledger:
    """Who was lacking in the last answers given here, request by request. Bounded: the oldest makes room.

    It outlives the request: an answer's names are asked for after the answer. Told is only what was confirmed: of an
    answer that nobody took whoever waited for it speaks, and nobody is to be named by both.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._told: dict[GossipId, tuple[Lacking, ...]] = {}
        self._confirmed: set[GossipId] = set()

    def __len__(self) -> int:
        return len(self._told)

    def add(self, id: GossipId, lacking: Iterable[Lacking]) -> None:
        """Whom an answer given now leaves out; an answer that leaves nobody out takes no room."""
        by_name: dict[DeviceId, Lacking] = {}
        for one in lacking:
            held = by_name.get(one.device)
            if held is None or held.standing is Lack.COUNTED:
                by_name[one.device] = one
            elif one.standing is not Lack.COUNTED:
                by_name[one.device] = replace(held, devices=held.devices + one.devices)
        if not by_name:
            return
        while len(self._told) >= self._limit:
            oldest = next(iter(self._told))
            del self._told[oldest]
            self._confirmed.discard(oldest)
        self._told[id] = tuple(by_name.values())

    def confirm(self, id: GossipId) -> None:
        """The answer was taken."""
        if id in self._told:
            self._confirmed.add(id)

    def came_late(self, id: GossipId, device: DeviceId) -> None:
        """Its value came after the answer had been given. The answer stays as it is; what is said of it does not."""
        told = self._told.get(id, ())
        if any(one.device == device and one.standing is Lack.MISSING for one in told):
            self._told[id] = tuple(replace(one, standing=Lack.LATE) if one.device == device else one for one in told)

    def get(self, id: GossipId) -> tuple[Lacking, ...]:
        return self._told.get(id, ()) if id in self._confirmed else ()


class Account:
    """Adds up one request."""

    def __init__(self, request: Request, table: PeerTable) -> None:
        self._request = request
        self._table = table
        self._scopes = request.content.terms.scopes

    def tally(self) -> Tally:
        """What the answer stands for, before its inputs have been looked into."""
        total = self._counted()
        missing, failed = self._unaccounted(total)
        return total + Tally(expected=missing + failed, missing=missing, failed=failed)

    def lacking(self, device: DeviceId) -> Iterator[Lacking]:
        """By name; `device` is this one, and counted is said of it where an equal asked, so that no other blames it."""
        request = self._request
        yield from _named(device, self._own())
        if request.parent is not None and self._is_equal(request.parent):
            yield Lacking(device, Lack.COUNTED, 1)
        for asked in request.asked.values():
            yield from _named(asked.peer.device, self._share(asked))
        for orphan, devices in request.uncertain.items():
            yield Lacking(orphan, Lack.UNCERTAIN, devices)
        yield from self._named_equals()

    # -- in numbers ----------------------------------------------------------------------------

    def expected(self, peer: Peer) -> int:
        """How many devices are missing with a silent peer: all it registered, if all its area was asked."""
        return peer.subtree if any_covers(self._scopes, peer.scopes) else 1

    def _counted(self) -> Tally:
        total = self._own()
        for asked in self._request.asked.values():
            total += self._share(asked)
        for taken in self._request.taken.values():
            total += taken.tally
        return total

    def _own(self) -> Tally:
        request = self._request
        if not request.own_awaited:
            return Tally()
        if isinstance(request.own, Input):
            return Tally(contributors=1, expected=1)
        if isinstance(request.own, Fault):
            return Tally(expected=1, failed=1)
        return Tally(expected=1, late=1) if request.own_late else Tally(expected=1, missing=1)

    def _share(self, asked: Asked) -> Tally:
        """Of a peer whose partial was not taken. Of an equal nothing: other equals asked it too."""
        subtree = self.expected(asked.peer)
        if asked.late is not None:
            # It answers to nobody else: whoever sends a partial has chosen its asker.
            return asked.late
        if asked.closed and not asked.refused:
            return asked.tally
        if self._table.relation_of(asked.peer) is Relation.EQUAL:
            return Tally()
        if asked.fenced:
            rest = max(subtree - asked.adopted, 0)
            return Tally(expected=rest, missing=rest)
        failed = asked.refused or asked.excessive
        return Tally(expected=subtree, failed=subtree) if failed else Tally(expected=subtree, missing=subtree)

    def _unaccounted(self, total: Tally) -> tuple[int, int]:
        """(missing, failed) registered devices that no branch accounted for: only whoever stands for the whole
        tier may say that they are lost."""
        request = self._request
        if not request.from_below or request.content.terms.types:
            return 0, 0
        known = int(request.own_awaited) + sum(peer.subtree for peer in self._known())
        unaccounted = max(known - total.expected, 0)
        refused = sum(self.expected(asked.peer) for asked in self._silent_equals() if asked.refused)
        failed = min(refused, unaccounted)
        return unaccounted - failed, failed

    def _known(self) -> Iterator[Peer]:
        for kind in (Relation.EQUAL, Relation.CHILD):
            for peer in self._table.related(kind):
                if peer.device != self._request.parent and any_covers(self._scopes, peer.scopes):
                    yield peer

    def _silent_equals(self) -> Iterator[Asked]:
        """Asked, neither taken nor known to be counted elsewhere."""
        for asked in self._request.asked.values():
            done = asked.peer.device in self._request.taken or asked.counted or asked.late is not None
            if not done and self._table.relation_of(asked.peer) is Relation.EQUAL:
                yield asked

    # -- by name -------------------------------------------------------------------------------

    def _named_equals(self) -> Iterator[Lacking]:
        """Those among whom the unaccounted are, none of whom stands for more than are. Another equal may have taken
        one: that one says so, and so does it. One that said it was counted elsewhere may have died there."""
        missing, failed = self._unaccounted(self._counted())
        if not missing + failed:
            return
        accounted = {digest for one in self._request.asked.values() for digest in one.cover or ()}
        accounted.update(map(device_digest, self._request.taken))
        left = missing
        for asked in self._silent_equals():
            most = failed if asked.refused else missing
            devices = min(self.expected(asked.peer) - asked.adopted, most)
            if devices > 0 and device_digest(asked.peer.device) not in accounted:
                yield Lacking(asked.peer.device, Lack.FAILED if asked.refused else Lack.MISSING, devices)
                left -= 0 if asked.refused else devices
            accounted.add(device_digest(asked.peer.device))
        for peer in self._known() if left > 0 else ():
            asked_here = self._request.asked.get(peer.device)
            closed = asked_here is not None and not asked_here.counted
            if not closed and device_digest(peer.device) not in accounted:
                yield Lacking(peer.device, Lack.UNKNOWN, min(peer.subtree, left))

    def _is_equal(self, device: DeviceId) -> bool:
        peer = self._table.get(device)
        return peer is not None and self._table.relation_of(peer) is Relation.EQUAL


def device_digest(device: DeviceId) -> bytes:
    """8 octets that stand for a device in a cover: the head of its uuid."""
    return bytes.fromhex(device.rpartition(":")[2].replace("-", "")[:16])


def _named(device: DeviceId, tally: Tally) -> Iterator[Lacking]:
    """A peer whose partial was not taken stands for all below it."""
    devices = tally.expected - tally.contributors
    if devices:
        standing = Lack.LATE if tally.late else Lack.FAILED if tally.failed else Lack.MISSING
        yield Lacking(device, standing, devices)
