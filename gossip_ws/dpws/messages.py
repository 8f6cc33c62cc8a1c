"""What devices and seekers say to one another to be found: the six messages of WS-Discovery.

Names are those of WS-Discovery 1.1 in either generation. Knows nothing of XML or of namespaces: `wire.generation` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import ANONYMOUS, DeviceId, QName

ADHOC: Final = "urn:docs-oasis-open-org:ws-dd:ns:discovery:2009:01"
"""The wsa:To of everything multicast (WS-Discovery 1.1 section 2.4)."""
MAX_UINT32: Final = 2**32 - 1
"""InstanceId, MessageNumber and MetadataVersion are xs:unsignedInt."""
MAX_TYPES: Final = 32
MAX_SCOPES: Final = 32
MAX_XADDRS: Final = 16
MAX_MATCHES: Final = 64
"""How many of each one message may carry; ours never need a tenth of it."""


class Generation(Enum):
    """In whose words a message is said. A request is answered in the generation in which it was asked."""

    OASIS = "1.1"
    """WS-Discovery 1.1 and DPWS 1.1 over WS-Addressing 1.0."""
    DRAFT = "2005/04"
    """WS-Discovery 2005/04 and DPWS 2006/02 over WS-Addressing 2004/08."""


@dataclass(frozen=True, slots=True)
class AppSequence:
    """Orders the messages of one sender (WS-Discovery 1.1 section 7).

    `instance_id` grows with each restart. `message_number` grows with each message inside `sequence`, whose empty
    value is the default sequence.
    """

    instance_id: int
    message_number: int
    sequence: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What a target service says of itself. `xaddrs` are transport addresses as URIs, best first."""

    device: DeviceId
    types: tuple[QName, ...] = ()
    scopes: tuple[str, ...] = ()
    xaddrs: tuple[str, ...] = ()
    metadata_version: int = 1

    @property
    def http(self) -> tuple[Address, ...]:
        """Those of its addresses that are of HTTP."""
        found = []
        for uri in self.xaddrs:
            try:
                address = Address.parse(uri)
            except LocalError:
                continue
            if address.binding is Binding.HTTP:
                found.append(address)
        return tuple(found)


def host_of(uri: str) -> str:
    """The host of a transport address, in lower case and without brackets; of what is none, something."""
    authority = uri.partition("://")[2].partition("/")[0].lower()
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Hello:
    """A device joined, or its metadata changed."""

    target: Target
    app: AppSequence
    message_id: str
    to: str = ADHOC
    relates_to: str = ""
    generation: Generation = Generation.OASIS


@dataclass(frozen=True, slots=True)
class Bye:
    """A device leaves."""

    device: DeviceId
    app: AppSequence
    message_id: str
    metadata_version: int | None = None
    to: str = ADHOC
    generation: Generation = Generation.OASIS


@dataclass(frozen=True, slots=True)
class Probe:
    """Who has all these types, and for each of these scopes one that it covers? Empty asks for nothing.

    `match_by` empty is the rule rfc3986. `reply_to` is empty where the header was absent.
    """

    message_id: str
    types: tuple[QName, ...] = ()
    scopes: tuple[str, ...] = ()
    match_by: str = ""
    to: str = ADHOC
    reply_to: str = ""
    generation: Generation = Generation.OASIS


@dataclass(frozen=True, slots=True)
class ProbeMatches:
    """The answer to a Probe: a device names itself, a proxy any number."""

    matches: tuple[Target, ...]
    app: AppSequence
    message_id: str
    relates_to: str
    to: str = ANONYMOUS
    generation: Generation = Generation.OASIS


@dataclass(frozen=True, slots=True)
class Resolve:
    """Where is this device?"""

    device: DeviceId
    message_id: str
    to: str = ADHOC
    reply_to: str = ""
    generation: Generation = Generation.OASIS


@dataclass(frozen=True, slots=True)
class ResolveMatches:
    """The answer to a Resolve; `match` is None only where an answer is owed and there is none."""

    match: Target | None
    app: AppSequence
    message_id: str
    relates_to: str
    to: str = ANONYMOUS
    generation: Generation = Generation.OASIS


Request = Probe | Resolve
Message = Hello | Bye | Probe | ProbeMatches | Resolve | ResolveMatches


def fresh_id(dice: Dice) -> str:
    """A wsa:MessageID: a `urn:uuid:` of version 4 (RFC 9562 section 5.4) from the dice handed in."""
    bits = dice.getrandbits(128)
    bits = bits & ~(0xF << 76) | 0x4 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    text = f"{bits:032x}"
    return f"urn:uuid:{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
