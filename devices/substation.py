"""What a secondary substation controller adds to a device: it measures its busbar, its meters announce the rest."""

from __future__ import annotations

from gossip_ws.devices.config_energy import Energy
from gossip_ws.devices.load import Load, no_tasks
from gossip_ws.kernel.errors import LocalError
from gossip_ws.services.metering import Measured


def load(energy: Energy) -> Load:
    """It takes part in a pull with 0 Wh: demand announced here as well would be counted twice. Raises LocalError
    for tasks."""
    if energy.tasks:
        raise LocalError("a substation controller has no demand and no tasks: its meters announce them")
    return Load(energy.category, no_tasks, Measured(energy.voltage, energy.phase_angle, energy.power))
