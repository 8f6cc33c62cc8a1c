"""One thing to simulate, what came of each repetition, and what is said of all of them.

Data and arithmetic. Runs nothing, prints nothing, writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Variant
from gossip_ws.theory.tiers import MOST_DEVICES

Counts = NDArray[np.int64]
MOST_ROUNDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Trial:
    """A message that one device of `nodes` originates.

    fanout: distinct peers that a relay sends to. rounds: hops at most. loss: of one datagram. crashed: share of the
    devices that are off, never the origin; others still send to them.
    """

    nodes: int
    fanout: int
    rounds: int
    loss: float = 0.0
    crashed: float = 0.0
    variant: Variant = Variant.EAGER_PUSH

    def __post_init__(self) -> None:
        if not 1 <= self.nodes <= MOST_DEVICES:
            raise LocalError(f"1 to {MOST_DEVICES} nodes, not {self.nodes}")
        if not 0 <= self.fanout < max(self.nodes, 2):
            raise LocalError(f"a fanout below the number of nodes, not {self.fanout}")
        if not 0 <= self.rounds <= MOST_ROUNDS:
            raise LocalError(f"0 to {MOST_ROUNDS} rounds, not {self.rounds}")
        if not 0 <= self.loss < 1 or not 0 <= self.crashed < 1:
            raise LocalError(f"loss and crashed lie in [0, 1): loss={self.loss}, crashed={self.crashed}")

    @property
    def live(self) -> int:
        """Devices that are on, the origin among them."""
        return self.nodes - min(round(self.nodes * self.crashed), self.nodes - 1)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came of K repetitions, each array of shape (K,).

    live: devices that were on. reached: those of them that have the message at the end, the origin included.
    rounds: hops after which nobody new was reached. envelopes: messages sent, of any kind. payloads: those that carry
    the content.
    """

    live: Counts
    reached: Counts
    rounds: Counts
    envelopes: Counts
    payloads: Counts

    @property
    def coverage(self) -> NDArray[np.float64]:
        return self.reached / self.live

    @classmethod
    def joined(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """Those of several lots of repetitions, in order."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of the live devices: mean, 1st percentile and least over the repetitions."""

    mean: float
    p1: float
    minimum: float


@dataclass(frozen=True, slots=True)
class Rounds:
    """Rounds until nobody new was reached, over the repetitions."""

    median: float
    p99: float


@dataclass(frozen=True, slots=True)
class Summary:
    """all_reached: share of the repetitions that reached every live device. envelopes_per_delivery: messages of any
    kind for each device reached but the origin, in the mean. rmr: relative message redundancy, payloads / (reached - 1)
    - 1 in the mean (Leitao et al., Plumtree, 2007). seconds: wall time of the simulation."""

    coverage: Coverage
    all_reached: float
    rounds: Rounds
    envelopes_per_delivery: float
    rmr: float
    repeat: int
    seconds: float

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def summarise(outcomes: Outcomes, seconds: float, origins: int = 1) -> Summary:
    """`seconds`: wall time that the repetitions took. `origins`: devices that had the message to begin with."""
    coverage = outcomes.coverage
    delivered = np.maximum(outcomes.reached - origins, 1)
    return Summary(
        Coverage(float(coverage.mean()), float(np.percentile(coverage, 1)), float(coverage.min())),
        float((outcomes.reached == outcomes.live).mean()),
        Rounds(float(np.median(outcomes.rounds)), float(np.percentile(outcomes.rounds, 99))),
        float((outcomes.envelopes / delivered).mean()),
        float((outcomes.payloads / delivered - 1).mean()),
        len(coverage),
        seconds,
    )
