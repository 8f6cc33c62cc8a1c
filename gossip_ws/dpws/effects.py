"""What discovery asks its endpoint to do, besides the kernel's SetTimer and Dropped."""

from __future__ import annotations

from dataclasses import dataclass

from gossip_ws.dpws.messages import Generation, Message, Target
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.names import DeviceId


@dataclass(frozen=True, slots=True)
class Multicast:
    """Encode once, send to the discovery groups, and repeat the same octets as `repetition.schedule` says."""

    message: Message


@dataclass(frozen=True, slots=True)
class Unicast:
    """Send to one address: over soap.udp repeated as `repetition.schedule` says; over http as a request whose
    answer is an input again."""

    message: Message
    to: Address


@dataclass(frozen=True, slots=True)
class Found:
    """News of a device, its addresses known: it joined, changed, or answered a Probe. `generation`: how it said so."""

    target: Target
    generation: Generation = Generation.OASIS


@dataclass(frozen=True, slots=True)
class Lost:
    """A device said Bye."""

    device: DeviceId


@dataclass(frozen=True, slots=True)
class Check:
    """Ask a device by HTTP whether it is there: a directed Probe, whose answer, any answer, is an input again."""

    device: DeviceId
    address: Address


@dataclass(frozen=True, slots=True)
class ProbeEnded:
    """Nothing more is taken for that Probe. `found` are those that answered and whose addresses are known."""

    message_id: str
    found: tuple[Target, ...]


Effect = Multicast | Unicast | SetTimer | Found | Lost | Check | ProbeEnded | Dropped


@dataclass(frozen=True, slots=True)
class For:
    """An effect, and which of the many behind one listener it is for."""

    owner: DeviceId
    effect: Effect
