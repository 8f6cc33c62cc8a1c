"""Grids to try things on: areas of feeders, one device at each bus, drawn by a seed."""

from dataclasses import replace
from random import Random

from gossip_ws.consensus.ability import Ability, Need, Storage
from gossip_ws.consensus.instance import Device, Feeder, Instance

FEEDER = 16
"""Devices one after the other, on a line of their own."""


def numbered(number, area):
    return f"d{number}", f"ssc-{area}"


def grid(devices, seed, periods=1, *, area=64, watts=3000, feeder=FEEDER, named=numbered):
    """Areas of at most `area` devices, each of feeders; every device gives or needs up to `watts` by chance. named:
    the identity and the scope of the device with a number, in the area with one."""
    dice = Random(f"grid/{seed}")
    parent, micro_ohm, found = [0], [0], []
    for number in range(devices):
        if number % area == 0:
            parent.append(0)
            micro_ohm.append(dice.randrange(100, 1000))
            busbar = len(parent) - 1
        parent.append(busbar if number % area % feeder == 0 else len(parent) - 1)
        micro_ohm.append(dice.randrange(10, 100))
        offer = tuple(dice.randrange(-watts, watts + 1) for _ in range(periods))
        device, scope = named(number, number // area)
        found.append(Device(device, len(parent) - 1, offer, scope))
    return Instance(Feeder(tuple(parent), tuple(micro_ohm)), tuple(found), periods, f"{devices} devices")


def moved(instance, seed, waiting=0.3, storing=0.15):
    """The same grid; by chance some of its devices can wait with what they need, and some are storage."""
    dice = Random(f"moved/{seed}")
    return replace(
        instance, devices=tuple(_moved(one, instance.periods, dice, waiting, storing) for one in instance.devices)
    )


def _moved(device, periods, dice, waiting, storing):
    drawn = dice.random()
    most = max(map(abs, device.watts)) + 1
    if drawn < storing:
        charge, discharge = dice.randrange(most + 1), dice.randrange(most + 1)
        capacity = dice.randrange(1, 3 * most + 1)
        storage = Storage(capacity, charge, discharge, dice.randrange(capacity + 1) if dice.random() < 0.3 else 0)
        return replace(device, watts=(0,) * periods, ability=Ability((), storage))
    if drawn > storing + waiting:
        return device
    needs = []
    for _ in range(dice.choice([1, 1, 2, 3])):
        since = dice.randrange(periods)
        finish_by = dice.randrange(since + 1, periods + 1)
        needs.append(Need(dice.randrange(1, (finish_by - since) * most + 1), most, since, finish_by))
    windows = [any(need.since <= period < need.finish_by for need in needs) for period in range(periods)]
    watts = tuple(min(0, some) if waits else some for some, waits in zip(device.watts, windows, strict=True))
    return replace(device, watts=watts if dice.random() < 0.5 else (0,) * periods, ability=Ability(tuple(needs)))
