"""Tiers one below the other, as a simulation has them: how many devices each group has, and who is its parent.

Only who belongs to whom. Knows nothing of how a message spreads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossip_ws.grid.population import Population
from gossip_ws.kernel.errors import LocalError
from gossip_ws.lab.trial import MOST_ROUNDS
from gossip_ws.theory.tiers import MOST_DEVICES, Segment, checked

Ints = NDArray[np.int64]
Budget = tuple[int, int]
"""(fanout, rounds) among the equals of a group."""


@dataclass(frozen=True, slots=True)
class Level:
    """One tier. Its devices are numbered group by group.

    sizes: devices of each group. parents: of each group, a device's number in the tier above; empty for the top, where
    the first device of each group is an origin. fanout, rounds: what is spent among the equals of a group, of whom
    there may be fewer than the fanout.
    """

    segment: Segment
    fanout: int
    rounds: int
    sizes: Ints
    parents: Ints

    def __post_init__(self) -> None:
        if not 0 <= self.fanout < MOST_DEVICES or not 0 <= self.rounds <= MOST_ROUNDS:
            raise LocalError(
                f"tier {self.segment.name}: a fanout that is not negative and 0 to {MOST_ROUNDS} rounds: "
                f"fanout={self.fanout}, rounds={self.rounds}"
            )

    @property
    def starts(self) -> Ints:
        """The first device of each group."""
        return np.cumsum(self.sizes) - self.sizes

    @property
    def groups(self) -> Ints:
        """The group of each device."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @property
    def places(self) -> Ints:
        """Each device's place in its parent's roster, from 1: a parent of several groups serves one after the other."""
        before = np.zeros(len(self.sizes), np.int64)
        order = np.argsort(self.parents, kind="stable")
        parents, sizes = self.parents[order], self.sizes[order]
        running = np.cumsum(sizes) - sizes
        first = np.searchsorted(parents, parents)
        before[order] = running - running[first]
        return np.arange(1, self.segment.nodes + 1) + np.repeat(before - self.starts, self.sizes)


def levels(segments: Sequence[Segment], budgets: Sequence[Budget]) -> tuple[Level, ...]:
    """Tiers from the top down, each group of a tier as large as the others, give or take one.

    The parents of a tier's groups are the devices of the tier above in turn, but for its origins where it has other
    devices: an information system among substations serves no meters. Raises LocalError for what are no tiers.
    """
    if len(budgets) != len(segments):
        raise LocalError(f"a budget for each tier: {len(budgets)} for {len(segments)}")
    made: list[Level] = []
    for segment, (fanout, rounds) in zip(checked(segments), budgets, strict=True):
        each, more = divmod(segment.nodes, segment.groups)
        sizes = np.full(segment.groups, each, np.int64)
        sizes[:more] += 1
        parents = np.zeros(0, np.int64)
        if made:
            serving = np.arange(made[-1].segment.nodes)
            if len(made) == 1 and made[0].segment.nodes > made[0].segment.groups:
                serving = np.delete(serving, made[0].starts)
            parents = serving[np.arange(segment.groups) % len(serving)]
        made.append(Level(segment, fanout, rounds, sizes, parents))
    return tuple(made)


def of_population(population: Population, network: Sequence[Segment], budgets: Sequence[Budget]) -> tuple[Level, ...]:
    """The tiers of a grid as it is: the information system among its substations, each one's meters, their appliances.

    network: three segments whose loss, crashed, delay and bandwidth are taken; their numbers are the grid's. A tier
    without devices is left out.
    """
    meters = [len(substation.meters) for substation in population.substations]
    appliances = [len(meter.appliances) for meter in population.meters()]
    top = Segment("WAN", 1 + len(meters), 1)
    made: list[Level] = []
    for segment, (fanout, rounds), all_sizes, shift in zip(
        network, budgets, ([top.nodes], meters, appliances), (0, 1, 0), strict=True
    ):
        sizes = np.array(all_sizes, np.int64)
        parents = np.flatnonzero(sizes) + shift if made else np.zeros(0, np.int64)
        sizes = sizes[sizes > 0]
        if not len(sizes):
            break
        told = Segment(
            segment.name,
            int(sizes.sum()),
            len(sizes),
            segment.loss,
            segment.crashed,
            segment.delay,
            segment.bandwidth,
        )
        made.append(Level(told, fanout, rounds, sizes, parents))
    return tuple(made)
