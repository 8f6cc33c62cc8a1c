"""What the utility's information system adds to a device: it is where calls enter, and uses nothing itself."""

from __future__ import annotations

from gossip_ws.devices.config_energy import STATION, Energy
from gossip_ws.devices.load import Load, no_tasks
from gossip_ws.kernel.errors import LocalError
from gossip_ws.services.metering import Measured


def load(energy: Energy) -> Load:
    """It takes part in a pull with 0 Wh, so that contributors count every device. Raises LocalError for tasks."""
    if energy.tasks:
        raise LocalError("an information system has no demand and no tasks")
    return Load(STATION, no_tasks, Measured(energy.voltage, energy.phase_angle, energy.power))
