"""What a smart meter adds to a device: a household's demand, and handing a tariff on to a display or a webhook.

Both get the tariff after it was stored. Neither can refuse it, hold it up or lose it for the device.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gossip_ws.devices.config_energy import Energy
from gossip_ws.devices.load import Load
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.names import TARIFF
from gossip_ws.ports import Network
from gossip_ws.services.metering import Measured
from gossip_ws.services.tariff import HeldTariff
from gossip_ws.wire.envelope import Addressing, build, message_id, text

SET_TARIFF = TARIFF + ":SetTariff"


def load(energy: Energy) -> Load:
    """What the household uses; its white goods move with the tariff, the rest stays."""
    return Load(energy.category, lambda day: energy.tasks, Measured(energy.voltage, energy.phase_angle, energy.power))


def display(file: Path) -> Callable[[HeldTariff], None]:
    """A listener that writes each tariff to `file` as JSON: whole or not at all, whenever it is read."""
    beside = file.with_name(f".{file.name}.new")

    def show(held: HeldTariff) -> None:
        beside.write_text(json.dumps(as_json(held), indent=1) + "\n")
        os.replace(beside, file)

    return show


def webhook(network: Network, to: Address) -> Callable[[HeldTariff], None]:
    """A listener that POSTs each tariff to `to` as the envelope of a plain SetTariff: once, the answer ignored.
    A display that was switched off asks GetTariff when it is on again."""

    def hand_on(held: HeldTariff) -> None:
        network.send(build(Addressing(SET_TARIFF, message_id(), str(to)), set_tariff(held)), to)

    return hand_on


def set_tariff(held: HeldTariff) -> bytes:
    """The SetTariff element of the tariff's WSDL."""
    return f'<t:SetTariff xmlns:t="{TARIFF}">{tariff_element(held)}</t:SetTariff>'.encode()


def tariff_element(held: HeldTariff) -> str:
    """A tariff as the elements of its WSDL have it, for inside one that declares the prefix `t`."""
    bands = "".join(
        f"<t:band><t:fromMinute>{band.from_minute}</t:fromMinute><t:toMinute>{band.to_minute}</t:toMinute>"
        f"<t:price>{band.price:f}</t:price></t:band>"
        for band in held.bands
    )
    return (
        f"<t:tariff><t:id>{text(held.id)}</t:id><t:version>{held.version}</t:version>"
        f"<t:start>{_time(held.start)}</t:start><t:end>{_time(held.end)}</t:end>{bands}</t:tariff>"
    )


def as_json(held: HeldTariff) -> dict[str, Any]:
    """What a display is told: times in UTC, prices in EUR/kWh as decimal text, minutes after midnight UTC."""
    return {
        "id": held.id,
        "version": held.version,
        "start": _time(held.start),
        "end": _time(held.end),
        "bands": [
            {"fromMinute": band.from_minute, "toMinute": band.to_minute, "price": f"{band.price:f}"}
            for band in held.bands
        ],
    }


def _time(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat().removesuffix("+00:00") + "Z"
