"""What one speaker asks of another, repeated until it is answered, and done once however often it comes.

Knows no content: an errand has a number, and its answer the same.
"""

from __future__ import annotations

from typing import Final

from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import Effect, ErrandAgain, Tell, copies
from gossip_ws.consensus.messages import Errand, Seek
from gossip_ws.consensus.vector import Vector
from gossip_ws.kernel.effects import SetTimer

OPEN: Final = 256
"""Errands that are open at once; the oldest makes room. As many of others' are known for done."""
STARTS: Final = 1 << 32
"""Errands between two starts, at most: none has the number of one from before a crash."""


class Errands:
    """One device's, and those of others that it has done."""

    def __init__(self, device: str, pace: Pace) -> None:
        self._device = device
        self._pace = pace
        self._count = 0
        self._open: dict[int, tuple[str, str, Errand]] = {}
        self._answers: dict[tuple[str, int], Tell] = {}

    def number(self, starts: int) -> int:
        """The next one. `starts`: how often the device has come up."""
        self._count += 1
        return starts * STARTS + self._count

    def clear(self) -> None:
        """None of them matters any more."""
        self._open.clear()

    def send(self, to: str, errand: Errand, child: str) -> list[Effect]:
        """On behalf of `child`; repeated until it is answered."""
        while len(self._open) >= OPEN:
            del self._open[next(iter(self._open))]
        self._open[errand.number] = (to, child, errand)
        return self._try(errand.number, 1)

    def pending(self, child: str) -> list[Vector]:
        """What is offered to others on behalf of `child`, and not answered yet."""
        return [errand.watts for _, whose, errand in self._open.values() if whose == child and isinstance(errand, Seek)]

    def again(self, timer: ErrandAgain) -> list[Effect] | str:
        """Repeat it, if it is open; the child on whose behalf it was, when it is given up."""
        if timer.number not in self._open:
            return []
        if timer.tries >= self._pace.tries:
            _, child, _ = self._open.pop(timer.number)
            return child
        return self._try(timer.number, timer.tries + 1)

    def answered(self, number: int, sender: str) -> tuple[str, Errand] | None:
        """On whose behalf it was, and what; None when it is not open at that sender."""
        to, child, errand = self._open.get(number, ("", "", None))
        if errand is None or to != sender:
            return None
        del self._open[number]
        return child, errand

    def done(self, sender: str, number: int) -> Tell | None:
        """The answer to another's errand that was done already."""
        return self._answers.get((sender, number))

    def answer(self, sender: str, number: int, answer: Tell) -> None:
        """Remember it."""
        while len(self._answers) >= OPEN:
            del self._answers[next(iter(self._answers))]
        self._answers[sender, number] = answer

    def _try(self, number: int, tries: int) -> list[Effect]:
        to, _, errand = self._open[number]
        if to == self._device:
            return [Tell((to,), errand)]
        wait = SetTimer(ErrandAgain(number, tries), self._pace.answer * self._pace.round)
        return [*copies(Tell((to,), errand), tries), wait]
