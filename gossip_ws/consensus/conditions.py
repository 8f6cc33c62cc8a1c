"""What a simulated grid has to put up with: loss, delay, copies, crashes and cuts."""

from __future__ import annotations

from dataclasses import dataclass

from gossip_ws.consensus.checker import Cut
from gossip_ws.kernel.errors import LocalError


@dataclass(frozen=True, slots=True)
class Conditions:
    """Each message is lost with `loss`, or arrives after uniform(`least`, `most`) rounds; `twice` of them come again,
    `held` are kept back for up to `hold` rounds more. `crashes` of the devices go down once, each in the middle of
    what it does at some time in the first `within` rounds, for up to `down` rounds; what they wrote down is kept.
    cuts: in rounds. patience: rounds after the last fault until a run ends even though something is left to do.

    Raises LocalError for shares outside of 0 to 1 and delays out of order.
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
