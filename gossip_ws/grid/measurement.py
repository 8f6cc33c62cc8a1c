"""What the devices of an area measure: an estimate of voltage, phase angle and power from the feeder.

The linearised branch flow (DistFlow without its losses, Baran and Wu 1989): each branch carries all that is
used below it, voltage falls by (P r + Q x) / V and turns by (P x - Q r) / V^2 along it. Balanced phases, the
medium voltage at its nominal value. It is no power flow and no measured data: good for a value that is
plausible, lower at the end of a loaded feeder and higher where the roofs feed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import degrees, sqrt

from gossip_ws.grid.population import Appliance, Meter, Substation
from gossip_ws.grid.profiles import NONE, QUARTERS, Jitter, Profiles
from gossip_ws.kernel.errors import LocalError


@dataclass(frozen=True, slots=True)
class Measurement:
    """voltage: V, phase to neutral. angle: degrees of the voltage against the medium voltage's, the
    transformer's vector group left out. power: W, drawn positive, fed in negative."""

    voltage: float
    angle: float
    power: float


def measure(
    substation: Substation,
    profiles: Profiles,
    day: str,
    quarter: int,
    jitter: Callable[[str], Jitter] = lambda scope: NONE,
) -> dict[str, Measurement]:
    """Estimate what each device of an area measures in a quarter hour, 0 to 95, by scope.

    The substation's own is at its busbar, its power the area's; a meter's power is the whole connection's,
    its appliances included. jitter: of a device, by scope. Raises LocalError for a day or quarter that is
    not there.
    """
    if not 0 <= quarter < QUARTERS:
        raise LocalError(f"not a quarter hour of a day: {quarter}")
    feeder = substation.feeder
    active, reactive = [0.0] * len(feeder.parent), [0.0] * len(feeder.parent)
    devices: list[Meter | Appliance] = []
    power: dict[str, float] = {}
    for meter in substation.meters:
        connection = 0.0
        behind: tuple[Meter | Appliance, ...] = (meter, *meter.appliances)
        for device in behind:
            devices.append(device)
            p = profiles.power(device.profile, day, quarter, device.power, jitter(device.scope))
            p = -p if device.kind.feeds_in else p
            active[device.bus] += p
            reactive[device.bus] += p * device.reactive / device.power if device.power else 0.0
            connection += p
            power[device.scope] = p
        power[meter.scope] = connection
    # From the leaves up: what a branch carries.
    for bus in range(len(feeder.parent) - 1, 0, -1):
        active[feeder.parent[bus]] += active[bus]
        reactive[feeder.parent[bus]] += reactive[bus]
    # From the root down: line-to-line volts and radians.
    nominal = float(substation.volts)
    volts = [nominal - (active[0] * substation.r + reactive[0] * substation.x) / nominal]
    angles = [-(active[0] * substation.x - reactive[0] * substation.r) / nominal**2]
    for bus in range(1, len(feeder.parent)):
        above, r, x = feeder.parent[bus], feeder.r[bus], feeder.x[bus]
        volts.append(volts[above] - (active[bus] * r + reactive[bus] * x) / nominal)
        angles.append(angles[above] - (active[bus] * x - reactive[bus] * r) / nominal**2)

    def at(bus: int, p: float) -> Measurement:
        return Measurement(round(volts[bus] / sqrt(3), 3), round(degrees(angles[bus]), 4), round(p, 1))

    found = {substation.scope: at(0, active[0])}
    found.update((device.scope, at(device.bus, power[device.scope])) for device in devices)
    return found
