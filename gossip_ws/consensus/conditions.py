"""What a simulated grid has to put up with: loss, delay, copies, crashes and cuts."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

from gossip_ws.consensus.checker import Cut
from gossip_ws.kernel.errors import LocalError

LATEST: Final = 10_000
"""The last round in which anything may still happen to a simulated grid, in rounds."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Each message is lost with `loss`, or arrives after uniform(`least`, `most`) rounds; `twice` of them come again,
    `held` are kept back for up to `hold` rounds more. `crashes` of the devices go down once, each in the middle of
    what it does at some time in the first `within` rounds, for up to `down` rounds; what they wrote down is kept.
    cuts: in rounds. patience: rounds after the last fault until a run ends even though something is left to do.

    Raises LocalError for shares outside of 0 to 1, delays out of order, and cuts that begin or end after `LATEST`.
    """

    loss: float = 0.0
    least: float = 0.3
    most: float = 1.0
    twice: float = 0.0
    held: float = 0.0
    hold: float = 4.0
    crashes: float = 0.0
    within: float = 20.0
    down: float = 10.0
    cuts: tuple[Cut, ...] = ()
    patience: float = 400.0

    def __post_init__(self) -> None:
        shares = (self.twice, self.held, self.crashes)
        if not 0 <= self.loss < 1 or not all(0 <= share <= 1 for share in shares):
            raise LocalError("loss lies in [0, 1), other shares in [0, 1]")
        if not 0 < self.least <= self.most <= 1 or min(self.hold, self.within, self.down, self.patience) < 0:
            raise LocalError("delays are in order and at most one round, waits are not negative")
        if self.last_cut > LATEST:
            raise LocalError(f"a cut begins and ends within at most {LATEST:,} rounds")

    @property
    def last_cut(self) -> float:
        """The round in which the last one ends; of one that lasts for ever, in which it begins. 0 without any."""
        return max((cut.until if cut.until < inf else cut.since for cut in self.cuts), default=0.0)
