"""How what simulated devices say goes from one to the other where it is signed: sealed, meddled with, let in or not.

Knows no network: the run carries. Counts what attackers and liars do, and what of it was acted on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from gossip_ws.consensus.attack import Attack, Attackers, Falsehood, told_falsely
from gossip_ws.consensus.audit import Audit
from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.door import Door, Keyring, Stamps
from gossip_ws.consensus.effects import Effect
from gossip_ws.consensus.messages import Message
from gossip_ws.consensus.trust import Sealed, seal
from gossip_ws.kernel.effects import Dropped


class Post:
    """One simulated grid's. liars: the devices that lie as speakers, and how."""

    def __init__(self, keyring: Keyring, attackers: Attackers | None, liars: Mapping[str, Falsehood]) -> None:
        self.attackers = attackers
        self.meddled: Counter[str] = Counter()
        """Messages of attackers, by kind."""
        self.counted: Counter[str] = Counter()
        """Those of them that were acted on."""
        self.lies: Counter[str] = Counter()
        """What liars have told, by liar."""
        self.audits: dict[str, Audit] = {}
        self._keyring = keyring
        self._liars = liars
        self._doors: dict[str, Door] = {}
        self._stamps: dict[str, Stamps] = {}
        self._heard: set[tuple[str, str, int]] = set()

    def start(self, device: str, hierarchy: Hierarchy, now: float) -> Audit:
        """A device comes up, for the first time or again: it remembers nothing of what was said and shown."""
        self._doors[device] = Door(device, self._keyring.roll, hierarchy, now)
        self._stamps.setdefault(device, Stamps())
        self.audits[device] = Audit(device, self._keyring.roll, self._keyring.signs[device])
        return self.audits[device]

    def regroup(self, device: str, hierarchy: Hierarchy) -> None:
        """Devices have joined or left."""
        self._doors[device].regroup(hierarchy)

    def sealed(self, source: str, to: str, message: Message, now: float) -> Sealed:
        """As it leaves its sender, said to a device or to a nano grid."""
        if source in self._liars:
            lie = told_falsely(self._liars[source], message, source)
            self.lies[source] += lie != message
            message = lie
        return seal(source, to, message, self._keyring.signs[source], self._stamps[source].next(now))

    def opened(self, device: str, sealed: Sealed, now: float) -> Message | Dropped:
        """As the receiver lets it in."""
        return self._doors[device].opened(sealed, now)

    def judge(self, device: str, sealed: Sealed, attack: str, effects: list[Effect]) -> None:
        """Was an attacker's message acted on? What is said again and was never heard the first time is only late."""
        heard = device, sealed.sender, sealed.stamp
        if not attack:
            self._heard.add(heard)
        elif attack is not Attack.REPLAYED or heard in self._heard:
            self.counted[attack] += not all(isinstance(effect, Dropped) for effect in effects)
