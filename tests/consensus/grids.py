"""Grids to try things on: areas of feeders, one device at each bus, drawn by a seed."""

from random import Random

from gossip_ws.consensus.instance import Device, Feeder, Instance

FEEDER = 16
"""Devices one after the other, on a line of their own."""


def grid(devices, seed, periods=1, *, area=64, watts=3000):
    """Areas of at most `area` devices, each of feeders of 16; every device gives or needs up to `watts` by chance."""
    dice = Random(f"grid/{seed}")
    parent, micro_ohm, found = [0], [0], []
    for number in range(devices):
        if number % area == 0:
            parent.append(0)
            micro_ohm.append(dice.randrange(100, 1000))
            busbar = len(parent) - 1
        parent.append(busbar if number % area % FEEDER == 0 else len(parent) - 1)
        micro_ohm.append(dice.randrange(10, 100))
        offer = tuple(dice.randrange(-watts, watts + 1) for _ in range(periods))
        found.append(Device(f"d{number}", len(parent) - 1, offer, f"ssc-{number // area}"))
    return Instance(Feeder(tuple(parent), tuple(micro_ohm)), tuple(found), periods, f"{devices} devices")
