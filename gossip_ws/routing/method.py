"""What `run` asks of an algorithm, and the signals that it may lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from gossip_ws.kernel.dice import Dice
from gossip_ws.routing.graph import Link, Path


class Reports(StrEnum):
    """How what a link says comes to those who use it. In any way a signal from one node to another is lost or not."""

    ASK = "ask"
    """Who wakes asks the owners, who answer whether awake or not."""
    PUSH = "push"
    """The owners tell everybody when they wake."""
    GOSSIP = "gossip"
    """Once a tick each node tells a few others what it has heard, as devices do (`gossiped`)."""


class Signals:
    """Messages between nodes, each of which is lost with the same probability. sent: how many there were, lost ones
    included."""

    __slots__ = ("_dice", "_loss", "sent")

    def __init__(self, loss: float, dice: Dice) -> None:
        self._loss = loss
        self._dice = dice
        self.sent = 0

    @property
    def lossless(self) -> bool:
        return not self._loss

    def arrives(self) -> bool:
        """Send one, and draw whether it arrives."""
        self.sent += 1
        return not self._loss or self._dice.random() >= self._loss


class Method(Protocol):
    """One algorithm at work on one instance."""

    @property
    def load(self) -> Mapping[Link, float]:
        """kb on each link that has some, now."""
        ...

    @property
    def flows(self) -> Mapping[Path, float]:
        """kb on each path that carries some: all that arrives."""
        ...

    @property
    def prices(self) -> Mapping[Link, float] | None:
        """Of each link, where the algorithm has dual prices."""
        return None

    @property
    def imbalance(self) -> float:
        """kb by which what arrives differs from the demands, each apart; 0 where paths carry just what is demanded."""
        return 0.0

    def change(self, link: Link, capacity: float) -> None:
        """A link has another capacity from now on, kb; 0 if it fails."""
        ...

    def tick(self, now: int, awake: Sequence[int]) -> None:
        """The nodes `awake`, ascending, act once. What they see is from before any of them moves, but by gossip, where
        one acts after the other."""
        ...
