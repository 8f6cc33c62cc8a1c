"""Two substations below an information system, each with two meters, over real sockets. Some of them will die."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from town import ACTIONS, PASSWORD, SET_TARIFF, USER, Device, Town, as_entry, signed, tariff, terms, wait_for

from gossip_ws.client import GossipClient
from gossip_ws.core.peers import Role


@dataclass
class Streets:
    """Seven devices."""

    town: Town
    top: Device
    substations: list[Device]
    meters: list[Device]

    @classmethod
    def open(cls, actions: frozenset[str] = ACTIONS) -> Streets:
        town = Town(actions)
        # Who waits for the dead waits to its deadline. A short one leaves enough for the way up nevertheless.
        patient = {"hop_margin": 0.3}
        top = town.open(Role.INFORMATION_SYSTEM, "grid://town", key=town.operator, node=patient)
        substations = [town.open(Role.SUBSTATION, f"grid://town/{s}", top, node=patient) for s in (1, 2)]
        meters = [
            town.open(Role.METER, f"grid://town/{s}/{m}", substation, node=patient)
            for s, substation in enumerate(substations, 1)
            for m in (1, 2)
        ]
        wait_for(lambda: sum(peer.subtree for peer in top.host.endpoint.peers) == 6, "subtrees")
        return cls(town, top, substations, meters)

    def client(self, service: str) -> GossipClient:
        return GossipClient(self.top.url(f"/{service}"), user=USER, password=PASSWORD)

    def crash(self, device: Device) -> None:
        self.town.run(device.host.crash)
        self.town.devices.remove(device)

    def ahead(self, version: int) -> Device:
        """A meter that alone has a version of the issuer of all pushes: it refuses what is not later."""
        meter = self.meters[0]
        only_there = terms(scopes=("grid://town/1/1",))
        sealed = signed(self.town.operator, SET_TARIFF, tariff(version), only_there)
        assert meter.post("/gossip", as_entry(sealed)).status == 202
        wait_for(lambda: meter.version == version, "one meter ahead")
        return meter


@pytest.fixture(name="streets", scope="module")
def all_live() -> Iterator[Streets]:
    made = Streets.open()
    yield made
    made.town.close()
