"""What comes back to a request: partials of those who were asked, and of orphans whose asker has died.

Each device is counted once: what cannot be proved in or out of the value is left out and told as uncertain. Decides
nothing about when a request is complete, and sends nothing but receipts.
"""

from __future__ import annotations

from dataclasses import replace

from gossip_ws.core.account import Account, Ledger, device_digest
from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import Effect
from gossip_ws.core.messages import Partial, Receipt, Standing, Tally
from gossip_ws.core.peers import PeerTable, Relation, speaks_from
from gossip_ws.core.request import MAX_COVER, Asked, Request, Stage, Taken
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.effects import Dropped, Send
from gossip_ws.kernel.names import DeviceId

_EXCESSIVE = 4
"""Times that a child's partial may stand for more devices than it registered before it has failed: some 1.5 s of
resends, in which a registration below has long been told upward."""


class Intake:
    """Takes partials in, for all requests of one node."""

    def __init__(self, config: NodeConfig, table: PeerTable, ledger: Ledger) -> None:
        self._config = config
        self._table = table
        self._ledger = ledger

    def partial(self, request: Request, partial: Partial, source: Address) -> list[Effect]:
        """A child's reply, or an orphan's: taken once, receipted always. Afterwards the request may be complete."""
        if partial.bypassing:
            return self._orphan(request, partial, source)
        child = self._table.get(partial.sender)
        asked = request.asked.get(partial.sender)
        if child is None or asked is None:
            return [Dropped("partial of nothing")]
        to = child.address(request.content.terms.binding)
        if partial.sender in request.taken:
            return [self._say(request, Standing.TAKEN, to, partial.part)]
        if request.stage is not Stage.GATHERING or asked.fenced:
            self._came_late(request, asked, partial.tally)
            return [self._say(request, Standing.LATE, to, partial.part), Dropped("late partial")]
        asked.joined = True
        most = child.subtree
        if self._table.relation_of(child) is Relation.CHILD and _claimed(partial.tally) > most:
            excess = Dropped("partial of more than its subtree")
            asked.excessive += 1
            if asked.excessive < _EXCESSIVE:
                # Somebody registered there a moment ago, perhaps, and it is about to say so here: it comes again.
                return [excess]
            asked.closed = True
            asked.tally = Tally(expected=most, failed=most)
            asked.orphans = {}
            return [self._say(request, Standing.TAKEN, to, partial.part), excess]
        effects: list[Effect] = [self._say(request, Standing.TAKEN, to, partial.part)]
        whole, dropped = self._whole(request, partial)
        effects += dropped
        if whole is None:
            return effects
        asked.closed, asked.cover = True, whole.cover
        effects += self._take(request, whole)
        effects += self._adopt_all(request, asked)
        return effects

    def _orphan(self, request: Request, partial: Partial, source: Address) -> list[Effect]:
        """A reply that passes by askers which died. Adopted only where nothing of it can have come otherwise."""
        below = request.asked.get(partial.bypassing[-1])
        if below is None:
            return [Dropped("orphan of nobody here")]
        if partial.sender in request.taken or partial.sender in below.orphans:
            return [self._say(request, Standing.TAKEN, source, partial.part)]
        if request.stage is not Stage.GATHERING:
            return [self._say(request, Standing.LATE, source, partial.part), Dropped("late partial")]
        devices = partial.tally.expected
        # An equal that the dead had asked is registered here too. Anybody else is of those that the dead registered.
        is_equal = self._is_equal(partial.sender)
        known = self._table.get(partial.sender)
        if is_equal and (known is None or not speaks_from(known, source)):
            return [Dropped("unknown sender")]
        # Whoever gave up a slow asker of its own, too, comes again inside that one's partial.
        within = [one for one in below.orphans.values() if device_digest(one.sender) in partial.cover]
        again = sum(one.tally.expected for one in within if not self._is_equal(one.sender))
        fits = is_equal or below.adopted - again + devices <= max(below.peer.subtree - 1, 0)
        if not fits or _claimed(partial.tally) > devices:
            return [Dropped("orphans of more than its subtree")]
        standing = self._fate(request, below, partial)
        if standing is not Standing.TAKEN:
            self._refuse(request, below, partial)
            uncertain = [Dropped("uncertain orphan")] if standing is Standing.UNCERTAIN else []
            return [self._say(request, standing, source, partial.part), *uncertain]
        taken = self._say(request, Standing.TAKEN, source, partial.part)
        if any(device_digest(partial.sender) in one.cover for one in below.orphans.values()):
            return [taken]
        whole, dropped = self._whole(request, partial)
        if whole is None:
            return [taken, *dropped]
        below.adopted += 0 if is_equal else devices
        if below.cover is not None or below.fenced:
            dropped += self._adopt(request, below, whole)
        else:
            # The dead may be alive, and only its receipts lost: then its own partial, with all the others, comes yet.
            for one in within:
                del below.orphans[one.sender]
            below.adopted -= again
            below.orphans[partial.sender] = whole
        all_came = below.adopted >= below.peer.subtree - 1 and not self._hides_equals(request, below)
        if below.cover is None and all_came:
            dropped += self.fence(request, below)
            below.closed = True
            if self._table.relation_of(below.peer) is Relation.CHILD:
                rest = max(Account(request, self._table).expected(below.peer) - below.adopted, 0)
                below.tally = Tally(expected=rest, missing=rest)
        return [taken, *dropped]

    def fence(self, request: Request, below: Asked) -> list[Dropped]:
        """From here on the dead cannot count its orphans any more, whatever it may still send."""
        below.fenced = True
        return self._adopt_all(request, below)

    def _adopt_all(self, request: Request, below: Asked) -> list[Dropped]:
        """Decide on the orphans that were waiting."""
        dropped: list[Dropped] = []
        orphans, below.orphans = below.orphans, {}
        for orphan in orphans.values():
            if self._fate(request, below, orphan) is Standing.TAKEN:
                dropped += self._adopt(request, below, orphan)
            else:
                below.adopted -= 0 if self._is_equal(orphan.sender) else orphan.tally.expected
                self._refuse(request, below, orphan)
        return dropped

    def _fate(self, request: Request, below: Asked, orphan: Partial) -> Standing:
        """TAKEN where nothing of it can have come otherwise, else COUNTED or UNCERTAIN."""
        held = _held(request)
        if device_digest(orphan.sender) in held:
            # The dead had passed it on; or another one did, that was not dead but slow.
            return Standing.COUNTED
        if _passed_between(below, orphan) or not held.isdisjoint(orphan.cover):
            # Of a second dead between them the elder had passed something on; or the orphan was itself slow, and
            # somebody of its own passed it by and is in.
            return Standing.UNCERTAIN
        return Standing.TAKEN

    def _refuse(self, request: Request, below: Asked, orphan: Partial) -> None:
        if _passed_between(below, orphan) and orphan.sender not in request.uncertain:
            self._leave_out(request, below.peer.device, orphan.sender, orphan.tally.expected)

    def _adopt(self, request: Request, below: Asked, orphan: Partial) -> list[Dropped]:
        if below.cover is not None and not self._is_equal(orphan.sender):
            self._unmiss(request, below.peer.device, orphan.tally.expected)
        return self._take(request, orphan)

    def _whole(self, request: Request, partial: Partial) -> tuple[Partial | None, list[Dropped]]:
        """The answer of which `partial` is a part, once it is here; a value is always in one."""
        if request.wants_all:
            return request.inbox.take(partial, self._config.device)
        return (partial, []) if partial.parts == 1 else (None, [Dropped("parts of one value")])

    def _is_equal(self, sender: DeviceId) -> bool:
        peer = self._table.get(sender)
        return peer is not None and self._table.relation_of(peer) is Relation.EQUAL

    def _hides_equals(self, request: Request, below: Asked) -> bool:
        """May an equal that is not in yet have chosen the dead as its asker? A child asks nobody's equals."""
        if self._table.relation_of(below.peer) is Relation.CHILD:
            return False
        held = _held(request) | {device_digest(orphan) for orphan in below.orphans}
        elsewhere = (below.peer.device, *request.ancestors)
        return any(
            peer.device not in elsewhere and device_digest(peer.device) not in held
            for peer in self._table.overlapping(Relation.EQUAL, request.content.terms.scopes)
        )

    def _take(self, request: Request, partial: Partial) -> list[Dropped]:
        dropped: list[Dropped] = []
        if request.wants_all:
            partial, dropped = request.inbox.admit(partial)
        tally = partial.tally
        if not (partial.replies if request.wants_all else partial.value) and tally.contributors:
            # A value was lost on the way here (its filter failed below): nobody of them contributed.
            tally = replace(tally, contributors=0, failed=tally.failed + tally.contributors)
        request.taken[partial.sender] = Taken(partial.sender, tally, partial.value, partial.cover, partial.replies)
        return dropped

    def _came_late(self, request: Request, asked: Asked, tally: Tally) -> None:
        """Too late for the value. Before the answer has left, its devices are told from those that said nothing."""
        if asked.fenced or asked.refused or asked.counted or asked.late is not None or asked.tally != Tally():
            return
        if self._table.relation_of(asked.peer) is Relation.CHILD and _claimed(tally) > asked.peer.subtree:
            return
        if request.stage is Stage.COMBINING:
            asked.late = replace(tally, contributors=0, late=tally.late + tally.contributors)
        else:
            self._ledger.came_late(request.content.id, asked.peer.device)

    def _unmiss(self, request: Request, device: DeviceId, devices: int) -> None:
        """The dead reported as missing who now came by itself."""
        taken = request.taken[device]
        found = min(taken.tally.missing, devices)
        tally = replace(taken.tally, expected=taken.tally.expected - found, missing=taken.tally.missing - found)
        request.taken[device] = replace(taken, tally=tally)

    def _leave_out(self, request: Request, device: DeviceId, orphan: DeviceId, devices: int) -> None:
        taken = request.taken[device]
        moved = min(taken.tally.missing, devices)
        if moved and len(request.uncertain) < MAX_COVER:
            request.uncertain[orphan] = request.uncertain.get(orphan, 0) + moved
        tally = replace(taken.tally, missing=taken.tally.missing - moved, uncertain=taken.tally.uncertain + moved)
        request.taken[device] = replace(taken, tally=tally)

    def _say(self, request: Request, standing: Standing, to: Address, part: int) -> Send:
        return Send(Receipt(request.content.id, self._config.device, standing, part), (to,))


def _held(request: Request) -> set[bytes]:
    """Whoever is known to be in what was taken: who sent it, and whose partials those had taken."""
    return {digest for taken in request.taken.values() for digest in (device_digest(taken.device), *taken.cover)}


def _passed_between(below: Asked, orphan: Partial) -> bool:
    """Two died in a row: did the elder pass on what the younger had, perhaps the orphan's?"""
    return below.cover is not None and any(device_digest(dead) in below.cover for dead in orphan.bypassing[-2:-1])


def _claimed(tally: Tally) -> int:
    return tally.contributors + tally.failed + tally.uncertain
