"""What is to be balanced: devices at places on a feeder tree, each with a schedule of what it gives or needs, and with
needs that can wait or storage.

Reads the format that `instance.schema.json` describes, and refuses what is not of it. Knows no protocol.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Final

from gossip_ws.consensus import ability
from gossip_ws.consensus.ability import RIGID, Ability
from gossip_ws.consensus.schema import check
from gossip_ws.consensus.vector import Vector
from gossip_ws.kernel.errors import LocalError

FORMAT: Final = "gossip-ws balance 1"
LARGEST: Final = 64 * 2**20
"""Octets of a file: 20,000 devices of 96 periods take a quarter of it."""


@dataclass(frozen=True, slots=True)
class Feeder:
    """Bus k hangs at bus parent[k] < k by a branch of micro_ohm[k]; bus 0 is the root, its own parent."""

    parent: tuple[int, ...]
    micro_ohm: tuple[int, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.parent) != len(self.micro_ohm) or not self.parent or self.parent[0] != 0:
            raise LocalError("tree: parent and micro_ohm differ in length, or bus 0 is not its own parent")
        for bus, parent in enumerate(self.parent):
            if bus and not 0 <= parent < bus:
                raise LocalError(f"tree.parent[{bus}] is no earlier bus")
        if self.micro_ohm[0] != 0:
            raise LocalError("tree.micro_ohm[0] is of the root, which has no branch")

    def meeting(self, one: int, other: int) -> int:
        """The bus at which the ways of two buses to the root meet."""
        # The later of the two is never above the other.
        while one != other:
            if one < other:
                one, other = other, one
            one = self.parent[one]
        return one

    def distance(self, one: int, other: int) -> int:
        """Electrical distance: the sum of |Z| along the way between two buses, micro-ohm."""
        length = 0
        while one != other:
            if one < other:
                one, other = other, one
            length += self.micro_ohm[one]
            one = self.parent[one]
        return length


@dataclass(frozen=True, slots=True)
class Device:
    """One party: its bus, W by period (given positive, needed negative), its substation's area, what it can move."""

    id: str
    bus: int
    watts: Vector
    area: str = ""
    ability: Ability = RIGID


@dataclass(frozen=True, slots=True)
class Instance:
    """Everything that is to be balanced. Raises LocalError when its parts do not fit together."""

    feeder: Feeder = field(repr=False)
    devices: tuple[Device, ...] = field(repr=False)
    periods: int
    name: str = ""

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for number, device in enumerate(self.devices):
            where = f"devices[{number}]"
            if device.id in seen:
                raise LocalError(f"{where}.id is there twice")
            seen.add(device.id)
            if not 0 <= device.bus < len(self.feeder.parent):
                raise LocalError(f"{where}.bus is none of the tree's")
            if len(device.watts) != self.periods:
                raise LocalError(f"{where}.watts has {len(device.watts)} periods, not {self.periods}")
            _check_ability(device, where, self.periods)

    @property
    def is_movable(self) -> bool:
        """Is there a need that can wait, or storage?"""
        return any(device.ability for device in self.devices)

    def by_id(self) -> dict[str, Device]:
        return {device.id: device for device in self.devices}


@cache
def schema() -> Mapping[str, Any]:
    """The JSON schema that ships with the package."""
    text = resources.files("gossip_ws.consensus").joinpath("instance.schema.json").read_text(encoding="utf-8")
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded


def parse(text: str | bytes) -> Instance:
    """Read an instance. Raises LocalError, in one line, when it is none."""
    if len(text) > LARGEST:
        raise LocalError(f"an instance has at most {LARGEST} octets")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LocalError(f"no JSON: {error}") from None
    check(data, schema())
    feeder = Feeder(tuple(data["tree"]["parent"]), tuple(data["tree"]["micro_ohm"]))
    devices = tuple(_device(told) for told in data["devices"])
    return Instance(feeder, devices, data["periods"], data.get("name", ""))


def as_object(instance: Instance) -> dict[str, Any]:
    """What `parse` reads, before it is made text."""
    return {
        "format": FORMAT,
        "name": instance.name,
        "periods": instance.periods,
        "tree": {"parent": list(instance.feeder.parent), "micro_ohm": list(instance.feeder.micro_ohm)},
        "devices": [_told(device) for device in instance.devices],
    }


def _check_ability(device: Device, where: str, periods: int) -> None:
    for number, need in enumerate(device.ability.needs):
        place = f"{where}.flexible[{number}]"
        window = need.finish_by - need.since
        if not 0 <= need.since < need.finish_by <= periods:
            raise LocalError(f"{place}: from period {need.since} to {need.finish_by} is no part of 0 to {periods}")
        if need.energy > window * need.most:
            raise LocalError(f"{place}.energy is more than {need.most} W for {window} periods")
        # No device agrees with itself, so what it gives could not serve what waits behind the same connection.
        if any(watts > 0 for watts in device.watts[need.since : need.finish_by]):
            raise LocalError(f"{place}: the device gives in that time; what gives and what waits are two devices")
    storage = device.ability.storage
    if storage is None:
        return
    if storage.initial > storage.capacity:
        raise LocalError(f"{where}.storage.initial is more than its capacity")
    if device.ability.needs or any(device.watts):
        raise LocalError(f"{where}.storage: a storage is a device of its own, its watts are 0")


def _device(told: Mapping[str, Any]) -> Device:
    return Device(told["id"], told["bus"], tuple(told["watts"]), told.get("area", ""), ability.from_object(told))


def _told(device: Device) -> dict[str, Any]:
    told = {"id": device.id, "bus": device.bus, "watts": list(device.watts), "area": device.area}
    return told | ability.as_object(device.ability)
