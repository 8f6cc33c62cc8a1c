"""What areas exchange with the grid around them, period by period, before their devices agree and after.

Made from the devices' logs alone, so that what devices say of themselves can be held against it. An agreement moves no
watt: it says for whom what flows anyway is meant. So what an area gives and needs in all stays as it is, and what
changes is how much of it is the grid's to take and to bring. Knows no message and no cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gossip_ws.consensus.log import Kind, Log, Record
from gossip_ws.consensus.vector import Vector, minus, plus, shortage, surplus, zero


@dataclass(frozen=True, slots=True)
class Exchange:
    """One area on one day, W by period, all of them positive.

    given, needed: what its devices offer, each for itself; without agreements the grid takes and brings all of it.
    within: agreed by two devices of the area. sold, bought: agreed with devices of other areas.
    left_given, left_needed: what remains for the grid. It is `given` without `within` and `sold`, and `needed` without
    `within` and `bought`, unless a device offers less than it has promised.
    """

    given: Vector
    needed: Vector
    within: Vector
    sold: Vector
    bought: Vector
    left_given: Vector
    left_needed: Vector


def exchanges(logs: Mapping[str, Log], areas: Mapping[str, str], day: int) -> dict[str, Exchange]:
    """By area, in the order of `areas`, which tells each device's. Whoever has offered nothing on the day has nothing,
    and so has an area of such devices alone: it is left out. Raises KeyError for a device in a log that has no area."""
    offers = {one.device: one.watts for one in _of(logs, day) if one.kind is Kind.OFFERED}
    length = len(next(iter(offers.values()), ()))
    sums = {areas[device]: {name: zero(length) for name in Exchange.__slots__} for device in areas if device in offers}
    traded = {device: (zero(length), zero(length)) for device in offers}

    def add(area: str, name: str, watts: Vector) -> None:
        sums[area][name] = plus(sums[area][name], watts)

    for record in _of(logs, day):
        if record.kind is not Kind.COMMITTED:
            continue
        seller, buyer = record.device, record.peer
        given, taken = traded[seller]
        traded[seller] = plus(given, record.watts), taken
        given, taken = traded[buyer]
        traded[buyer] = given, plus(taken, record.watts)
        if areas[seller] == areas[buyer]:
            add(areas[seller], "within", record.watts)
        else:
            add(areas[seller], "sold", record.watts)
            add(areas[buyer], "bought", record.watts)
    for device, offer in offers.items():
        given, taken = traded[device]
        area = areas[device]
        add(area, "given", surplus(offer))
        add(area, "needed", shortage(offer))
        # What a smaller offer no longer covers is nothing left, never the other sign.
        add(area, "left_given", surplus(minus(surplus(offer), given)))
        add(area, "left_needed", surplus(minus(shortage(offer), taken)))
    return {area: Exchange(**found) for area, found in sums.items()}


def _of(logs: Mapping[str, Log], day: int) -> Iterable[Record]:
    return (record for log in logs.values() for record in log if record.day == day)
