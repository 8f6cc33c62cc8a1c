"""Prosumers of the city that route energy among themselves: who they are, their links, and what came of it.

Every process of a city draws the same plan from the same numbers, so nobody has to hand it out. Knows no socket.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path as Folder
from random import Random
from typing import Final

from gossip_ws.grid.population import Population
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import DeviceId
from gossip_ws.routing.certificate import Certificate, certify, load_of
from gossip_ws.routing.graph import Link, Path
from gossip_ws.routing.instance import Instance
from gossip_ws.routing.kinds import Pattern, overlay

SCOPE: Final = "energy://city"
"""Whoever routes, or passes on what routers say, has this scope beside its place in the grid."""
LEAST: Final = 4
MOST: Final = 40
SETTLED: Final = 0.01
"""Share of the cost within which it counts as settled."""
NEAR: Final = 0.05
"""Share of the cost that counts as near the optimum, and by which a pulled sum may differ from the flows' own: both
change between two ticks."""


@dataclass(frozen=True)
class EnergyPlan:
    """`nodes`: the device of each node of `instance`. `tick`: mean s between two wake-ups of a node."""

    nodes: tuple[DeviceId, ...]
    instance: Instance
    tick: float

    @cached_property
    def numbers(self) -> dict[DeviceId, int]:
        return {device: number for number, device in enumerate(self.nodes)}

    def demands(self, node: int) -> dict[int, float]:
        """kb that it has for each target."""
        return {one.target: one.demand for one in self.instance.commodities if one.source == node}


def draw(population: Population, prosumers: int, seed: int, tick: float) -> EnergyPlan:
    """Smart meters drawn as prosumers, on an overlay where each is linked with four others, and each sends to all.

    Raises LocalError: too few meters, or not `LEAST` to `MOST` prosumers.
    """
    meters = [meter.device for substation in population.substations for meter in substation.meters]
    if not LEAST <= prosumers <= min(MOST, len(meters)):
        raise LocalError(f"{LEAST} to {min(MOST, len(meters))} prosumers, not {prosumers}")
    dice = Random(f"energy {seed}")
    nodes = tuple(dice.sample(meters, prosumers))
    return EnergyPlan(nodes, overlay(prosumers, Pattern.ALL_TO_ALL, dice), tick)


def key_file(folder: str, node: int | None = None) -> Folder:
    """Where a prosumer's own key lies, or the one by which all who tell sign their messages."""
    return Folder(folder) / ("tellers.pem" if node is None else f"prosumer-{node}.pem")


@dataclass(slots=True)
class EnergyPhase:
    """How it stood after some ticks. `cost`, `lower_bound` and `max_utilisation` follow from the flows that the
    prosumers hold themselves. `settled`: ticks after which the cost stayed within `SETTLED` of a bound of what it can
    be, None if it did not; `told`: report messages that a device had sent until then. `envelopes`: that left a device
    in a tick, of all kinds; `reports`: of these, with reports in them. `pulled_cost` and `pulled_gap`: summed over the
    grid by a pull, None where nobody was asked. `congested`: the ten links nearest to their capacity by the same way:
    (link, load kb, capacity kb)."""

    what: str
    cost: float
    lower_bound: float
    max_utilisation: float
    settled: float | None = None
    told: float | None = None
    envelopes: float = 0.0
    reports: float = 0.0
    pulled_cost: float | None = None
    pulled_gap: float | None = None
    congested: list[tuple[str, float, float]] = field(default_factory=list)

    @property
    def gap(self) -> float:
        """Distance from the optimum at most, as a share of the cost."""
        return (self.cost - self.lower_bound) / self.cost

    @property
    def is_good(self) -> bool:
        near = self.pulled_cost is None or abs(self.pulled_cost - self.cost) <= NEAR * self.cost
        return self.gap <= NEAR and self.max_utilisation < 1 and near


@dataclass(slots=True)
class EnergyReport:
    """`fanout`: envelopes that each who routes or tells on may send in a tick (`hearsay`). `envelopes`: of all kinds
    that it did, in the mean over all phases. `published`: statements that the owners of links made."""

    prosumers: int
    links: int
    tick: float
    fanout: int
    start: EnergyPhase
    phases: list[EnergyPhase]
    published: int
    envelopes: float

    @property
    def is_good(self) -> bool:
        return all(phase.is_good for phase in self.phases)


def judged(what: str, plan: EnergyPlan, capacity: dict[Link, float], flows: dict[Path, float]) -> EnergyPhase:
    """What the flows of all nodes are worth, by their certificate. capacity: kb of each link now."""
    found: Certificate = certify(plan.instance, capacity, load_of(flows))
    return EnergyPhase(what, found.cost, found.lower_bound, found.max_utilisation)
