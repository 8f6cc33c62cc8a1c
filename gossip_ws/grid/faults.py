"""Who of a population goes down, and who is cut off by that: decided from a seed, the same in every process. And whose
values an answer holds. Knows no sockets and no messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from gossip_ws.grid.population import Population
from gossip_ws.kernel.names import DeviceId

Own = Mapping[int, tuple[list[int] | None, list[int]]]
"""By a device's number: the Wh that it put into one answer itself, None if nothing, and whose partials it took."""


@dataclass(frozen=True, slots=True)
class Place:
    """One device of the city, numbered as it comes, the information system first. `above`: its parent's number,
    always a smaller one; its own for the information system."""

    number: int
    device: DeviceId
    above: int


def places(population: Population) -> Iterator[Place]:
    """Every device, each after its parent."""
    yield Place(0, population.device, 0)
    number = 1
    for substation in population.substations:
        controller = number
        yield Place(controller, substation.device, 0)
        number += 1
        for meter in substation.meters:
            above = number
            yield Place(above, meter.device, controller)
            number += 1
            for appliance in meter.appliances:
                yield Place(number, appliance.device, above)
                number += 1


@dataclass(frozen=True, slots=True)
class Fate:
    """`crashed`: gone at once, without a word. `unreachable`: live, but with a dead device above. Peers of one tier
    know only those of their own parent, so there is no way around it."""

    crashed: frozenset[DeviceId]
    unreachable: frozenset[DeviceId]

    @classmethod
    def draw(cls, population: Population, share: float, seed: int) -> Fate:
        """`share` of all devices but the information system, rounded to a whole number, goes down."""
        everyone = tuple(places(population))
        numbers = range(1, len(everyone))
        down = set(Random(seed).sample(numbers, round(share * len(numbers))))
        cut: set[int] = set()
        for place in everyone:
            if place.number not in down and (place.above in down or place.above in cut):
                cut.add(place.number)
        return cls(
            frozenset(everyone[number].device for number in down), frozenset(everyone[number].device for number in cut)
        )

    def is_served(self, device: DeviceId) -> bool:
        """Live, and with nothing but live devices above."""
        return device not in self.crashed and device not in self.unreachable


def contributions(own: Own) -> dict[int, list[int]]:
    """Whose own values one answer holds, by number: from the first asker down, along the partials that were taken."""
    found: dict[int, list[int]] = {}
    passed: set[int] = set()
    waiting = [0]
    while waiting:
        number = waiting.pop()
        if number in passed or number not in own:
            continue
        passed.add(number)
        value, children = own[number]
        if value is not None:
            found[number] = value
        waiting += children
    return found
