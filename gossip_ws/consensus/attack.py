"""Who meddles with a simulated grid: whoever can read and send, but has no key but its own.

For some of the messages that are sent it sends one more: made up, stolen, changed, turned to another, said again, or
said by a device that does not stand where one stands who says so. None of them may count. And how a speaker lies, under
its own key and in its own place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.door import Keyring
from gossip_ws.consensus.log import AgreementId
from gossip_ws.consensus.messages import NEVER, Board, Line, Message, Propose, Report, Seek, Served, Supply, Target
from gossip_ws.consensus.trust import Sealed, Sign, seal
from gossip_ws.consensus.vector import total
from gossip_ws.kernel.dice import Dice

WATTS: Final = 1_000_000
"""What made-up messages promise."""
LATEST: Final = 90.0
"""Rounds after which the last message is said again: some while it is of now, some when it is not any more."""


class Attack(StrEnum):
    """What is done to a message."""

    FORGED = "forged"
    """Its sender's name, under a key that nobody enrolled."""
    STRANGER = "stranger"
    """The same by a name that nobody enrolled."""
    STOLEN = "stolen"
    """Its sender's name, under the key of another who is enrolled."""
    CHANGED = "changed"
    """Other content under the signature that was there."""
    TURNED = "turned to another"
    """As it was, to whom it was not said."""
    REPLAYED = "replayed"
    """As it was, again."""
    WRONG_PLACE = "wrong place"
    """By an enrolled device, under its own key, of what is not its own to say."""


@dataclass(frozen=True, slots=True)
class Meddled:
    """To be delivered after `delay` rounds."""

    attack: Attack
    to: str
    sealed: Sealed
    delay: float


class Attackers:
    """`share`: of the messages that are sent, how many are followed by one of theirs. `stranger`: signs with a key that
    is not on the roll."""

    def __init__(self, share: float, hierarchy: Hierarchy, keyring: Keyring, stranger: Sign, dice: Dice) -> None:
        self._share = share
        self._hierarchy = hierarchy
        self._signs = keyring.signs
        self._stranger = stranger
        self._dice = dice
        self._names = sorted(keyring.signs)
        self._clusters = sorted(hierarchy.clusters)

    def meddle(self, to: str, sealed: Sealed, periods: int) -> Meddled | None:
        """One message was sent `to` a device. periods: how many a schedule has."""
        if self._dice.random() >= self._share:
            return None
        attack = self._dice.sample(tuple(Attack), 1)[0]
        insider = self._another(sealed.sender)
        stamp = sealed.stamp + 1 + int(self._dice.random() * 1000)
        delay = self._dice.uniform(0.3, 1.0)
        match attack:
            case Attack.FORGED:
                made = seal(sealed.sender, sealed.to, sealed.message, self._stranger, stamp)
            case Attack.STRANGER:
                made = seal("stranger", sealed.to, sealed.message, self._stranger, stamp)
            case Attack.STOLEN:
                made = seal(sealed.sender, sealed.to, sealed.message, self._signs[insider], stamp)
            case Attack.CHANGED:
                made = replace(sealed, message=_changed(sealed.message, stamp), stamp=stamp)
            case Attack.TURNED:
                to = self._another(to)
                is_said = self._hierarchy.is_below(to, sealed.to)
                made = sealed if self._dice.random() < 0.5 and not is_said else replace(sealed, to=to)
            case Attack.REPLAYED:
                made, delay = sealed, self._dice.uniform(1.0, LATEST)
            case Attack.WRONG_PLACE:
                said = self._out_of_place(insider, periods)
                to = self._another(insider)
                made = seal(insider, to, said, self._signs[insider], stamp)
        return Meddled(attack, to, made, delay)

    def _another(self, device: str) -> str:
        """Any enrolled device but this one."""
        drawn = self._dice.sample(self._names, min(2, len(self._names)))
        return drawn[0] if drawn[0] != device else drawn[-1]

    def _out_of_place(self, insider: str, periods: int) -> Message:
        """What this device has no place to say: of clusters that it is not in, of agreements that are another's."""
        many = (WATTS,) * periods
        other = self._another(insider)
        elsewhere = [one for one in self._clusters if not self._hierarchy.is_below(insider, one)]
        told: list[Callable[[], Message]] = [lambda: Propose(AgreementId(f"{other}/1.0"), 0, many, 1)]
        if elsewhere:
            cluster = self._hierarchy.clusters[self._dice.sample(elsewhere, 1)[0]]
            child = cluster.children[0]
            speaker = self._hierarchy.leaves(child)[0]
            target = Target(child, speaker, many)
            told += [
                lambda: Report(cluster.id, child, 0, 1 << 60, many, NEVER),
                lambda: Board(1 << 60, cluster.id, 0, (Line(child, speaker, many, NEVER),)),
                lambda: Supply(1 << 60, child, 0, (target,), cluster.level),
                lambda: Seek(1 << 60, child, 0, many, cluster.level),
            ]
        return self._dice.sample(told, 1)[0]()


def _changed(message: Message, stamp: int) -> Message:
    """Of another number or another day, whatever it has; what has neither is said at another time."""
    if isinstance(message, Propose | Report | Board | Supply | Seek):
        return replace(message, day=message.day + 1 + stamp % 3)
    return message


class Falsehood(StrEnum):
    """How a speaker lies of the cluster that it speaks for."""

    SUM = "sum"
    """It reports more than its lines."""
    ALTERED = "altered"
    """It tells of a child what that has not reported."""
    MORE = "more"
    """It reckons that a child has more than it has reported."""
    MADE_UP = "made up"
    """It tells of a child that has reported nothing."""
    TWICE = "twice"
    """It shows a child twice."""
    SERVED = "served"
    """It says that its cluster was never served."""


def told_falsely(falsehood: Falsehood, message: Message, speaker: str) -> Message:
    """What a liar says in place of a report of its cluster or of a board; all else as it is."""
    if not isinstance(message, Report | Board) or not message.lines:
        return message
    if isinstance(message, Report) and message.child == speaker:
        return message
    first, *others = message.lines
    more = tuple(watts + (1 if watts >= 0 else -1) * WATTS for watts in first.rest)
    match falsehood:
        case Falsehood.SUM:
            return replace(message, rest=more) if isinstance(message, Report) else message
        case Falsehood.SERVED:
            return replace(message, served=Served(-1, -1)) if isinstance(message, Report) else message
        case Falsehood.ALTERED:
            signed = tuple(replace(one, rest=more) for one in first.signed)
            lines = (replace(first, rest=more, signed=signed), *others)
        case Falsehood.MORE:
            lines = (replace(first, rest=more), *others)
        case Falsehood.MADE_UP:
            lines = (*message.lines[:-1], replace(message.lines[-1], rest=more, signed=()))
        case Falsehood.TWICE:
            lines = (first, *message.lines)
    if isinstance(message, Board):
        return replace(message, lines=lines)
    # The sum of what it shows: only the lines are wrong.
    rest = total((line.rest for line in lines), len(first.rest))
    return replace(message, rest=rest, lines=lines, served=min(line.served for line in lines))
