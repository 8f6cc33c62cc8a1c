"""What an appliance (IED) adds to a device: scheduled tasks that move to where a tariff is cheapest."""

from __future__ import annotations

from gossip_ws.devices.config_energy import Energy
from gossip_ws.devices.load import Load
from gossip_ws.services.metering import Measured


def load(energy: Energy) -> Load:
    """It announces the energy of its tasks by period, each where the tariff held makes it cheapest within its window
    (seed 002 section III.B); without a tariff, at its usual start."""
    return Load(energy.category, lambda day: energy.tasks, Measured(energy.voltage, energy.phase_angle, energy.power))
