"""What could be matched at best, and with how little transport: computed from the whole instance at once.

Shares nothing with the protocol but the instance, so that each can be held against the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction

from gossip_ws.consensus.ability import Ability
from gossip_ws.consensus.flow import Network
from gossip_ws.consensus.instance import Feeder, Instance
from gossip_ws.consensus.log import Agreement


def matched(instance: Instance, among: Collection[str] | None = None) -> int:
    """The most that can be matched, W summed over periods, if only the devices `among` can be heard (all without):
    what is given in a period serves any need of that period, one that waits there, or storage, which gives it back in a
    later one. What goes through storage counts when it reaches a need."""
    devices = [device for device in instance.devices if among is None or device.id in among]
    given = [sum(max(0, device.watts[period]) for device in devices) for period in range(instance.periods)]
    needed = [sum(max(0, -device.watts[period]) for device in devices) for period in range(instance.periods)]
    abilities = [device.ability for device in devices if device.ability]
    if not abilities:
        return sum(min(most, wanted) for most, wanted in zip(given, needed, strict=True))
    return _moved(given, needed, abilities)


def _moved(given: Sequence[int], needed: Sequence[int], abilities: Iterable[Ability]) -> int:
    """The largest flow from what is given, and what storage holds in the beginning, to all needs: through a node for
    each period, and for each storage one at the end of each."""
    network = Network()
    source, sink = network.nodes(2)
    periods = network.nodes(len(given))
    for node, most, wanted in zip(periods, given, needed, strict=True):
        network.edge(source, node, most)
        network.edge(node, sink, wanted)
    for ability in abilities:
        for need in ability.needs:
            waiting = network.node()
            for period in range(need.since, need.finish_by):
                network.edge(periods[period], waiting, need.most)
            network.edge(waiting, sink, need.energy)
        if (storage := ability.storage) is not None:
            before, room = source, storage.initial
            for node in periods:
                held = network.node()
                network.edge(before, held, room)
                network.edge(node, held, storage.charge)
                network.edge(held, node, storage.discharge)
                before, room = held, storage.capacity
    return network.push(source, sink)


def transport(feeder: Feeder, bus: Mapping[str, int], made: Iterable[Agreement]) -> int:
    """Watts times electrical distance of what was agreed, pair by pair, summed over periods: W micro-ohm."""
    return sum(sum(one.watts) * feeder.distance(bus[one.seller], bus[one.buyer]) for one in made)


def least_transport(feeder: Feeder, bus: Mapping[str, int], made: Iterable[Agreement]) -> int:
    """The least for which the same devices could give and take the same: on a tree, each branch carries what is over
    on one side of it, and nothing both ways. W micro-ohm."""
    injected: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for one in made:
        for period, watts in enumerate(one.watts):
            if watts:
                injected[period][bus[one.seller]] += watts
                injected[period][bus[one.buyer]] -= watts
    least = 0
    for at in injected.values():
        over = [0] * len(feeder.parent)
        for number, watts in at.items():
            over[number] = watts
        for number in range(len(over) - 1, 0, -1):
            if over[number]:
                least += abs(over[number]) * feeder.micro_ohm[number]
                over[feeder.parent[number]] += over[number]
    return least


def transport_ratio(feeder: Feeder, bus: Mapping[str, int], made: Collection[Agreement]) -> float:
    """`transport` over `least_transport`; 1 when nothing has to go anywhere."""
    least = least_transport(feeder, bus, made)
    went = transport(feeder, bus, made)
    return float(Fraction(went, least)) if least else 1.0


def jain(shares: Collection[float]) -> float:
    """Jain's index of fairness: 1 when all are equal, 1/n when one has everything; 1 for nobody."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0
