"""One device as it checks those who speak for clusters: what it is told, line by line, and what others show to it.

A lie is shown to the cluster that it was told of; who has been shown to lie speaks for nobody any more. Knows no desk.
"""

from __future__ import annotations

from typing import Final

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.door import Stamps
from gossip_ws.consensus.effects import Effect, Tell
from gossip_ws.consensus.messages import Board, Found, Gather, Heard, Message, Report, Seek, Shown, Signed, Supply
from gossip_ws.consensus.proof import Lie, check, lie_of, shown
from gossip_ws.consensus.trust import Roll, Sealed, Sign, digest, seal
from gossip_ws.kernel.effects import Dropped

LIARS: Final = 256
"""Devices that are known to lie; the first that was shown makes room."""
DEPUTIES: Final = 3
"""Of each cluster's candidates, how many pass a proof on to its children: one of them may be the liar, one may be out
of hearing."""


class Audit:
    """One device's, which signs with `sign`."""

    def __init__(self, device: str, roll: Roll, sign: Sign) -> None:
        self._device = device
        self._roll = roll
        self._sign = sign
        self._stamps = Stamps()
        self.liars: dict[str, Lie] = {}
        """What has been shown of whom."""

    def own(self, message: Message, wall: float) -> Sealed:
        """What the device tells itself, signed as for others: it may have to show it."""
        return seal(self._device, self._device, message, self._sign, self._stamps.next(wall))

    def suspect(self, message: Message, sealed: Sealed, hierarchy: Hierarchy) -> list[Effect] | None:
        """None for what may be acted on. Else what is done instead: who lies is shown."""
        if isinstance(message, Shown):
            return self._shown(message, hierarchy)
        if sealed.sender in self.liars and _speaks(message, sealed.sender, hierarchy):
            return [Dropped("by one who was shown to lie")]
        lie = lie_of(sealed, self._roll)
        if lie is None:
            return None
        return [Dropped("a lie"), *self._take(lie, shown(sealed), hierarchy)]

    def _shown(self, proof: Shown, hierarchy: Hierarchy) -> list[Effect]:
        if proof.accused in self.liars:
            return [Dropped("shown before")]
        lie = check(proof, self._roll)
        return self._take(lie, proof, hierarchy) if lie is not None else [Dropped("shows nothing")]

    def _take(self, lie: Lie, proof: Shown, hierarchy: Hierarchy) -> list[Effect]:
        """Known from now on; who should know besides is told."""
        if lie.liar in self.liars or lie.cluster not in hierarchy.clusters:
            return []
        while len(self.liars) >= LIARS:
            del self.liars[next(iter(self.liars))]
        self.liars[lie.liar] = lie
        to = dict.fromkeys(self._next(lie.cluster, hierarchy))
        for name in (lie.liar, self._device):
            to.pop(name, None)
        return [Tell(tuple(to), proof)] if to else []

    def _next(self, cluster: str, hierarchy: Hierarchy) -> list[str]:
        """Whoever finds a lie tells the deputies of its cluster and of the one above. Those of the one above tell those
        of its other children; those of the cluster tell those of each child, and so on down to the devices."""
        above = hierarchy.parent(cluster)
        here = [*hierarchy.candidates(cluster)[:DEPUTIES], *(hierarchy.candidates(above)[:DEPUTIES] if above else ())]
        passing = [above] if above else []
        if hierarchy.is_below(self._device, cluster):
            passing.append(cluster)
            step = hierarchy.home[self._device]
            while step != cluster:
                passing.append(step)
                step = hierarchy.parent(step)
        for step in passing:
            if self._device in hierarchy.candidates(step)[:DEPUTIES]:
                for child in hierarchy.clusters[step].children:
                    here += hierarchy.candidates(child)[:DEPUTIES] if child in hierarchy.clusters else [child]
        return here


def evidence(sealed: Sealed) -> Signed | None:
    """What a line shows of the report that it rests on; None for anything but a report."""
    report = sealed.message
    if not isinstance(report, Report):
        return None
    below, signature = digest(report.lines), sealed.signature.hex()
    return Signed(report.number, sealed.stamp, report.rest, below, signature, report.loose, report.missed)


def _speaks(message: Message, sender: str, hierarchy: Hierarchy) -> bool:
    """Is it said for a cluster, not for the sender itself?"""
    match message:
        case Report():
            return message.child != sender
        case Found():
            return any(target.child in hierarchy.clusters for target in message.targets)
        case Seek():
            return message.buyer in hierarchy.clusters
        case Board() | Gather() | Heard() | Supply():
            return True
        case _:
            return False
