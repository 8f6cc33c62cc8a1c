"""Whom a node knows: the Peer Service's table, by relation, scope and lease."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.names import DeviceId, QName


class Role(StrEnum):
    """A device's place in the grid; the types of the `grid` namespace have these local names."""

    INFORMATION_SYSTEM = "InformationSystem"
    SUBSTATION = "SubstationController"
    METER = "SmartMeter"
    APPLIANCE = "Appliance"


class Relation(StrEnum):
    """How a peer stands to this node."""

    PARENT = "parent"
    EQUAL = "equal"
    CHILD = "child"


@dataclass(frozen=True, slots=True)
class Peer:
    """One device as registered. `udp` and `http` are the addresses of its gossip endpoint.

    `subtree` counts the device and everything registered below it. `incarnation` grows with every
    restart; only the device itself raises it.
    """

    device: DeviceId
    role: Role
    types: tuple[QName, ...]
    scopes: tuple[str, ...]
    udp: Address | None
    http: Address | None
    subtree: int = 1
    incarnation: int = 0

    def address(self, binding: Binding) -> Address:
        """The address for `binding`, or the other one where it has only that. One of both is always set."""
        first, second = (self.udp, self.http) if binding is Binding.UDP else (self.http, self.udp)
        address = first or second
        if address is None:
            raise ValueError(f"peer without an address: {self.device}")
        return address


class PeerTable:
    """Bounded by `limit`; filled later by the author of `core`."""
