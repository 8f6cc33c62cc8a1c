"""What every legacy client is put through, whatever it is written in: the programs of docs/legacy.md."""

from __future__ import annotations

import re
from collections.abc import Callable

from town import DEMAND_REQUEST, GET_DEMAND, PASSWORD, USER, Device, Grid, operator, plain, wait_for

Program = Callable[..., str]
"""Runs a client: addresses of Metering and Tariff, then name, password, version; `code` is the exit code expected."""


def original(device: Device) -> tuple[str, str]:
    return device.url("/Metering"), device.url("/Tariff")


def shadow(device: Device) -> tuple[str, str]:
    return device.url("/Metering/gossip"), device.url("/Tariff/gossip")


def calls_the_original(program: Program, town: Grid, said: str = "accepted") -> None:
    """It reads the demand of this device and sets its tariff, and nobody else notices."""
    town.push()
    left = town.settled()
    assert program(*original(town.appliance)).split() == ["Appliance", "900", "0", "0"]
    version = town.next_version()
    told = program(*original(town.top), USER, PASSWORD, str(version)).split()
    assert told == [said, "InformationSystem", "0", "0", "0"]
    wait_for(lambda: town.top.host.tariffs.held(USER).version == version, "the tariff here")  # type: ignore[union-attr]
    assert town.settled() == left


def calls_the_shadow(program: Program, town: Grid, said: str = "accepted") -> None:
    """The same program at another address: the tariff of all, the demand of all."""
    town.push()
    version = town.next_version()
    told = program(*shadow(town.top), USER, PASSWORD, str(version)).split()
    wait_for(lambda: town.versions() == [version] * len(town.devices), "the tariff everywhere")
    assert told[:2] == [said, "mixed"]
    assert sum(map(int, told[2:])) == 900
    # One price all day: the appliance runs at its own time again.
    assert program(*shadow(town.top), USER, PASSWORD).split() == ["mixed", "0", "900", "0"]
    reply = town.top.post("/Metering/gossip", plain(GET_DEMAND, DEMAND_REQUEST), **operator())
    assert b'Contributors="5"' in reply.body


def reads_faults(program: Program, town: Grid) -> None:
    """Of a one-way operation and of a request: subcode and reason."""
    version = town.push()
    stale = program(*shadow(town.top), USER, PASSWORD, str(version), code=1)
    assert re.search(r"^refused: \S*\bStaleVersion version \d+ does not supersede \d+$", stale, re.MULTILINE), stale
    stranger = program(*shadow(town.top), code=1)
    assert re.search(r"^refused: \S*\bNotAuthorised this device does not sign", stranger, re.MULTILINE), stranger
