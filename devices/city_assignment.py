"""What one process of the city is told at its start, as one line of JSON. Knows no device."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one worker is told at its start.

    `network`: the first two octets of every device's own loopback address, at which it has `port`, so that a process
    that was killed comes up where it was; 0: whatever the system gives. `areas` are indices of the population's
    substations; `seed_address` is where the substations enrol; empty for the information system, which has `key_file`
    instead. `loss`: of each datagram that a device sends. `crash`: the share of the city that goes down on `crash`.

    `prosumers`: how many meters route energy, and wake up every `tick` s in the mean, to send `fanout` envelopes. All
    who tell sign their messages with one key, in `energy_folder`, where each prosumer has another, by which it signs
    what it says of its own links; `energy_keys` are their public halves, hexadecimal, by node.

    `balance`: meters agree, messages taking `round` s at most; what they need lies in `folder`. `flexible`: so do the
    appliances that can move something. `overstate`: so large a share announces more than it gives.
    """

    grid: str
    meters: int
    seed: int
    day: str
    network: str
    port: int
    group_port: int
    public_key: str
    areas: tuple[int, ...] = ()
    seed_address: str = ""
    key_file: str = ""
    user: str = ""
    password_hash: str = ""
    loss: float = 0.0
    crash: float = 0.0
    prosumers: int = 0
    tick: float = 1.0
    fanout: int = 0
    energy_folder: str = ""
    energy_keys: tuple[str, ...] = ()
    balance: bool = False
    flexible: bool = False
    overstate: float = 0.0
    round: float = 0.0
    folder: str = ""

    @classmethod
    def read(cls, line: str) -> Assignment:
        data = json.loads(line)
        return cls(**{**data, "areas": tuple(data["areas"]), "energy_keys": tuple(data["energy_keys"])})

    def write(self) -> str:
        return json.dumps(asdict(self))
