"""Whom a node knows: the Peer Service's table, by relation, scope and lease."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gossip_ws.kernel.address import UDP, Address, Binding
from gossip_ws.kernel.names import DeviceId, QName
from gossip_ws.kernel.scopes import any_covers, covers, scope_path
from gossip_ws.kernel.terms import Tier


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
    restart; only the device itself raises it. `key`: the 32 octets of its own Ed25519 public key, empty where
    devices have none.
    """

    device: DeviceId
    role: Role
    types: tuple[QName, ...]
    scopes: tuple[str, ...]
    udp: Address | None
    http: Address | None
    subtree: int = 1
    incarnation: int = 0
    key: bytes = b""

    def address(self, binding: Binding) -> Address:
        """The address for `binding`, or the other one where it has only that. One of both is always set."""
        address = (self.udp or self.http) if binding is UDP else (self.http or self.udp)
        if address is None:
            raise ValueError(f"peer without an address: {self.device}")
        return address


_AREAS = 16
"""Scopes whose peers are remembered."""
_RANK = {Role.INFORMATION_SYSTEM: 0, Role.SUBSTATION: 1, Role.METER: 2, Role.APPLIANCE: 3}

MAX_ELDERS = 128
"""Devices above the parent that are remembered: for a meter, the information system and all substations."""

OWN_TIER = {
    Role.INFORMATION_SYSTEM: Tier.WAN,
    Role.SUBSTATION: Tier.WAN,
    Role.METER: Tier.FAN,
    Role.APPLIANCE: Tier.HAN,
}
"""The tier where a role is among equals: the information system is one of the WAN's."""

LOWER_TIER = {Role.INFORMATION_SYSTEM: Tier.FAN, Role.SUBSTATION: Tier.FAN, Role.METER: Tier.HAN}
"""The tier whose roster a role serves."""


def relation(own: Role, other: Role) -> Relation:
    """How a device of role `other` stands to one of role `own`."""
    if OWN_TIER[own] is OWN_TIER[other]:
        return Relation.EQUAL
    return Relation.PARENT if _RANK[other] < _RANK[own] else Relation.CHILD


@dataclass(slots=True)
class _Entry:
    peer: Peer
    until: float
    proven: bool


class PeerTable:
    """Peers by device, each with a lease. Bounded: a full table takes refreshes, no newcomer.

    Only peers whose address was proved to answer are ever given out.
    """

    def __init__(self, role: Role, limit: int) -> None:
        self._role = role
        self._limit = limit
        self._entries: dict[DeviceId, _Entry] = {}
        self._elders: dict[DeviceId, Peer] = {}
        self._by_relation: dict[Relation, tuple[Peer, ...]] = {}
        self._overlapping: dict[tuple[Relation, tuple[str, ...]], tuple[Peer, ...]] = {}
        self._up: dict[tuple[Relation, tuple[str, ...]], tuple[Peer, ...]] = {}
        self.down: set[DeviceId] = set()
        """Those that do not answer."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Peer]:
        return (entry.peer for entry in self._entries.values() if entry.proven)

    def __contains__(self, device: DeviceId) -> bool:
        """Is it registered, proved or not?"""
        return device in self._entries

    def at(self, host: str) -> int:
        """How many are registered at one network address, proved or not."""
        return sum(1 for entry in self._entries.values() if entry.peer.udp is not None and entry.peer.udp.host == host)

    def put(self, peer: Peer, until: float, *, proven: bool) -> bool:
        """Take a peer in, or refresh it, until `until` (monotonic s). False when the table is full.

        A refresh at the same addresses keeps what was proved. An older incarnation changes nothing.
        """
        held = self._entries.get(peer.device)
        if held is None:
            if len(self._entries) >= self._limit:
                return False
            self._entries[peer.device] = _Entry(peer, until, proven)
        elif peer == held.peer and held.proven >= proven:
            # The usual refresh: nothing that is given out has changed.
            held.until = until
            return True
        elif peer.incarnation >= held.peer.incarnation:
            same = (peer.udp, peer.http) == (held.peer.udp, held.peer.http)
            held.proven = proven or (held.proven and same)
            held.peer, held.until = peer, until
        self._changed()
        return True

    def prove(self, device: DeviceId) -> None:
        """Its address answered."""
        if device in self._entries:
            self._entries[device].proven = True
            self._changed()

    def forget(self, device: DeviceId) -> bool:
        """False when it was not held."""
        self._changed()
        self.down.discard(device)
        return self._entries.pop(device, None) is not None

    def expire(self, now: float) -> tuple[DeviceId, ...]:
        """Forget those whose lease has run out; returns them."""
        gone = tuple(device for device, entry in self._entries.items() if entry.until <= now)
        for device in gone:
            self.forget(device)
        return gone

    def get(self, device: DeviceId) -> Peer | None:
        """The peer, if its address was proved."""
        entry = self._entries.get(device)
        return entry.peer if entry is not None and entry.proven else None

    def held(self, device: DeviceId, now: float) -> Peer | None:
        """The peer, whether its address was proved or not, while its lease lasts."""
        entry = self._entries.get(device)
        return entry.peer if entry is not None and entry.until > now else None

    def is_proven(self, device: DeviceId) -> bool:
        entry = self._entries.get(device)
        return entry is not None and entry.proven

    def extend(self, device: DeviceId, until: float) -> None:
        """It was heard from: it is held at least until `until` (monotonic s)."""
        entry = self._entries.get(device)
        if entry is not None:
            entry.until = max(entry.until, until)

    def renew(self, device: DeviceId, incarnation: int) -> None:
        """The device itself has raised its incarnation."""
        entry = self._entries.get(device)
        if entry is not None and incarnation > entry.peer.incarnation:
            entry.peer = replace(entry.peer, incarnation=incarnation)
            self._changed()

    def mark_down(self, device: DeviceId) -> None:
        """It does not answer. It stays held, so that it is missed, until its lease ends; but nobody is sent to it
        who could be sent to another."""
        if device in self._entries:
            self.down.add(device)
            self._changed()

    def lift(self, device: DeviceId) -> None:
        """It has shown life."""
        if device in self.down:
            self.down.remove(device)
            self._changed()

    def is_down(self, device: DeviceId) -> bool:
        return device in self.down

    def put_elder(self, peer: Peer) -> None:
        """Remember somebody above the parent, vouched for by the parent's Peer Service: never sent a message to
        but by an orphan. Bounded; the oldest makes room."""
        self._elders.pop(peer.device, None)
        while len(self._elders) >= MAX_ELDERS:
            del self._elders[next(iter(self._elders))]
        self._elders[peer.device] = peer

    def reachable(self, device: DeviceId) -> Peer | None:
        """A peer, or somebody above the parent."""
        return self.get(device) or self._elders.get(device)

    def around(self, place: str) -> tuple[Peer, ...]:
        """Who is known to have a scope around this place: peers that are up and those above the parent, the nearest to
        the place first. A Peer Service of one of them knows who is there."""
        up = (peer for peer in self if peer.device not in self.down)
        known = {peer.device: peer for peer in (*self._elders.values(), *up)}
        depths = {
            device: max(len(path or ()) for path in map(scope_path, peer.scopes))
            for device, peer in known.items()
            if any(covers(scope, place) and not covers(place, scope) for scope in peer.scopes)
        }
        return tuple(known[device] for device in sorted(depths, key=lambda device: (-depths[device], device)))

    def related(self, kind: Relation) -> tuple[Peer, ...]:
        """All proven peers of one relation."""
        if not self._by_relation:
            # All at once: whoever asks for one kind is about to ask for the others.
            found: dict[Relation, list[Peer]] = {one: [] for one in Relation}
            of_role = {role: found[relation(self._role, role)].append for role in Role}
            for peer in self:
                of_role[peer.role](peer)
            self._by_relation = {one: tuple(peers) for one, peers in found.items()}
        return self._by_relation[kind]

    def overlapping(self, kind: Relation, scopes: tuple[str, ...]) -> tuple[Peer, ...]:
        """The proven peers of one relation that `overlaps` finds for `scopes`.

        The answers for the last few scopes asked for are kept until the table changes: message after message
        goes to the same area, and to compare the scopes of a thousand peers takes milliseconds.
        """
        if not scopes:
            return self.related(kind)
        found = self._overlapping.get((kind, scopes))
        if found is None:
            found = tuple(peer for peer in self.related(kind) if overlaps(scopes, peer))
            if len(self._overlapping) >= _AREAS:
                del self._overlapping[next(iter(self._overlapping))]
            self._overlapping[kind, scopes] = found
        return found

    def up(self, kind: Relation, scopes: tuple[str, ...] = ()) -> tuple[Peer, ...]:
        """As `overlapping`, without those that are down."""
        if not self.down:
            return self.overlapping(kind, scopes)
        found = self._up.get((kind, scopes))
        if found is None:
            found = tuple(peer for peer in self.overlapping(kind, scopes) if peer.device not in self.down)
            if len(self._up) >= _AREAS:
                del self._up[next(iter(self._up))]
            self._up[kind, scopes] = found
        return found

    def relation_of(self, peer: Peer) -> Relation:
        return relation(self._role, peer.role)

    def _changed(self) -> None:
        self._by_relation.clear()
        self._overlapping.clear()
        self._up.clear()

    def select(self, types: Sequence[QName] = (), scopes: Sequence[str] = (), limit: int = 1 << 16) -> tuple[Peer, ...]:
        """Peers that are up, have every type and lie under one of the scopes, at most `limit`."""
        wanted = set(types)
        up = (peer for peer in self if peer.device not in self.down)
        found = [peer for peer in up if wanted.issubset(peer.types) and any_covers(scopes, peer.scopes)]
        return tuple(found[:limit])

    @property
    def subtree(self) -> int:
        """This device and everything registered below it."""
        return 1 + sum(peer.subtree for peer in self.related(Relation.CHILD))


def is_uuid(device: DeviceId) -> bool:
    """Is it a `urn:uuid:...`? No other name is taken from the network."""
    digits = device.removeprefix("urn:uuid:").replace("-", "")
    return len(digits) == 32 and all(digit in "0123456789abcdef" for digit in digits.lower())


def speaks_from(peer: Peer, source: Address) -> bool:
    """Is `source` at a host that the peer registered? Ports differ between what is sent and what is listened to."""
    return any(own is not None and own.host == source.host for own in (peer.udp, peer.http))


def overlaps(scopes: Sequence[str], peer: Peer) -> bool:
    """Does the peer lie in the scopes, or do they lie in its area? Nobody else needs to be sent the message."""
    return not scopes or any_covers(scopes, peer.scopes) or any_covers(peer.scopes, scopes)
