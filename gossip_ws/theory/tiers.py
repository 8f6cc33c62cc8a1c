"""The tiers of a population as a plan or a simulation sees them: how many devices, and what their network is like.

Only data, checked once. Knows nothing of addresses, roles or how a tier is read from a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from gossip_ws.kernel.errors import LocalError

MOST_DEVICES: Final = 100_000_000
"""In one plan or simulation."""
MOST_TIERS: Final = 8


@dataclass(frozen=True, slots=True)
class Segment:
    """One tier: `groups` groups alike, in each of which a message that has entered spreads among equals.

    name: as the operator calls it. nodes: devices in all groups together, at least one a group.
    loss: probability that one datagram is lost. crashed: share of the devices that are off, though others still send
    to them. delay: mean seconds that a datagram takes, one way. bandwidth: bit/s that a device sends with.
    """

    name: str
    nodes: int
    groups: int = 1
    loss: float = 0.0
    crashed: float = 0.0
    delay: float = 0.02
    bandwidth: float = inf

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 64:
            raise LocalError("a tier has a name of 1 to 64 characters")
        if not 1 <= self.groups <= self.nodes <= MOST_DEVICES:
            raise LocalError(
                f"tier {self.name}: 1 to {MOST_DEVICES} nodes, and at least as many as groups: "
                f"nodes={self.nodes}, groups={self.groups}"
            )
        if not 0 <= self.loss < 1:
            raise LocalError(f"tier {self.name}: loss lies in [0, 1): {self.loss}")
        if not 0 <= self.crashed < 1:
            raise LocalError(f"tier {self.name}: crashed lies in [0, 1): {self.crashed}")
        if not (self.delay >= 0 and self.bandwidth > 0):
            raise LocalError(f"tier {self.name}: delay is not negative, bandwidth is positive")

    @property
    def group(self) -> int:
        """Devices in the largest group."""
        return -(-self.nodes // self.groups)


def checked(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The tiers of one population, from the top down. Raises LocalError: none, too many, two of one name."""
    if not 1 <= len(segments) <= MOST_TIERS:
        raise LocalError(f"1 to {MOST_TIERS} tiers, not {len(segments)}")
    if len({one.name for one in segments}) < len(segments):
        raise LocalError("each tier has a name of its own")
    if sum(one.nodes for one in segments) > MOST_DEVICES:
        raise LocalError(f"at most {MOST_DEVICES} devices in all tiers")
    return tuple(segments)
