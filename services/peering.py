"""The Peer Service: registers devices, and says to whom a message goes. It does not gossip itself.

Any SOAP client can call it. It reaches its device through ports.Gossip, which keeps the table, proves
addresses and sets quotas; this module only reads and writes what the wire has. The first refusal is
local: a device can be unregistered only from the host it registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gossip_ws.core.peers import Peer, Relation, Role
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError, RemoteError, sender_fault
from gossip_ws.kernel.names import PEERS, DeviceId, QName
from gossip_ws.ports import Gossip
from gossip_ws.services import _spyne as spyne
from gossip_ws.services.contract import call, state
from gossip_ws.services.hosting import SpyneHosted
from gossip_ws.wire.peers import KEY_LENGTH

MAX_LIST: Final = 16
"""Types, or scopes, of one device or one question."""
MAX_PEERS: Final = 256
"""Peers asked for at once."""
MAX_ANSWER: Final = 30_000
"""Octets of a reply's peers, so that the envelope stays under the 32,767 of DPWS 1.1."""
MAX_SUBTREE: Final = 1_000_000

_ONCE = {"min_occurs": 1, "nillable": False}
_DEVICE = {"min_len": 1, "max_len": 128, **_ONCE}
_TYPE = {"min_len": 1, "max_len": 255, "min_occurs": 0, "max_occurs": MAX_LIST, "nillable": False}
_SCOPE = {**_TYPE, "max_len": 2048}
_ADDRESS = {"min_len": 1, "max_len": 255, "min_occurs": 0, "nillable": False}
_SUBTREE = {"ge": 1, "le": MAX_SUBTREE, **_ONCE}
_INCARNATION = {"ge": 0, **_ONCE}
_KEY = {"min_occurs": 0, "nillable": False}


class PeerEntry(spyne.ComplexModel):
    """One device. Types are `{namespace}local`; at least one of udp and http is there.

    subtree counts the device and all that registered below it; incarnation grows with every restart. key has the
    32 octets of the device's own Ed25519 public key, where it has one.
    """

    __namespace__ = PEERS
    device = spyne.Unicode(**_DEVICE)
    role = spyne.Unicode(values=[str(role) for role in Role], **_ONCE)
    type = spyne.Unicode(**_TYPE)
    scope = spyne.Unicode(**_SCOPE)
    udp = spyne.Unicode(**_ADDRESS)
    http = spyne.Unicode(**_ADDRESS)
    subtree = spyne.Integer32(**_SUBTREE)
    incarnation = spyne.Integer64(**_INCARNATION)
    key = spyne.ByteArray(**_KEY)


class Registration(spyne.ComplexModel):
    """How long a registration holds, in ms, and the device that took it."""

    __namespace__ = PEERS
    leaseMs = spyne.Integer64(ge=0, **_ONCE)
    registrar = PeerEntry.customize(**_ONCE)  # type: ignore[attr-defined]


class PeerList(spyne.ComplexModel):
    """Peers; complete is false where more would have fitted the question than an envelope."""

    __namespace__ = PEERS
    complete = spyne.Boolean(**_ONCE)
    peer = PeerEntry.customize(  # type: ignore[attr-defined]
        min_occurs=0, max_occurs=MAX_PEERS, nillable=False
    )


@dataclass(slots=True)
class PeerState:
    """The Peer Service's own state: `turn` moves on, so that two askers are not sent to the same few."""

    gossip: Gossip
    turn: int = 0


class PeerService(spyne.Service):
    """Takes registrations and gives peers. State: a PeerState."""

    __service_name__ = "Peers"

    @spyne.rpc(PeerEntry.customize(**_ONCE), _returns=Registration.customize(**_ONCE))  # type: ignore[attr-defined]
    def Register(ctx: Any, peer: Any) -> Any:
        """Register a device until the lease runs out; it is given out once its address has answered."""
        return _register(ctx, peer_of(peer))

    @spyne.rpc(
        spyne.Unicode(**_DEVICE),
        spyne.Integer32(**_SUBTREE),
        spyne.Integer64(**_INCARNATION),
        _returns=Registration.customize(**_ONCE),  # type: ignore[attr-defined]
    )
    def Refresh(ctx: Any, device: str, subtree: int, incarnation: int) -> Any:
        """Renew a registration whose addresses are unchanged."""
        return _register(ctx, replace(_held(ctx, device), subtree=subtree, incarnation=incarnation))

    @spyne.rpc(spyne.Unicode(**_DEVICE))
    def Unregister(ctx: Any, device: str) -> None:
        """Forget a device. Only from the host that it registered."""
        peer = _held(ctx, device)
        source = _proved(ctx)
        if source is None or source.host not in {address.host for address in (peer.udp, peer.http) if address}:
            raise sender_fault("NotYours", "a device unregisters itself, from where it registered", namespace=PEERS)
        state(ctx, PeerState).gossip.forget(peer.device)

    @spyne.rpc(
        spyne.Unicode(**_TYPE),
        spyne.Unicode(**_SCOPE),
        spyne.Unicode(values=[str(kind) for kind in Relation], min_occurs=0, nillable=False),
        spyne.Integer32(ge=1, le=MAX_PEERS, **_ONCE),
        _args=("type", "scope", "relation", "max"),
        _returns=PeerList.customize(**_ONCE),  # type: ignore[attr-defined]
    )
    def GetPeers(
        ctx: Any, types: Sequence[str] | None, scopes: Sequence[str] | None, relation: str | None, limit: int
    ) -> Any:
        """Peers that have every type and lie under one of the scopes, each asker's turn starting elsewhere."""
        own = state(ctx, PeerState)
        table = own.gossip.peers
        found = table.select(types=[QName(name) for name in types or ()], scopes=tuple(scopes or ()))
        if relation is not None:
            found = tuple(peer for peer in found if table.relation_of(peer) is Relation(relation))
        start = own.turn % len(found) if found else 0
        own.turn += limit
        entries, room = [], MAX_ANSWER
        for peer in (found[start:] + found[:start])[:limit]:
            room -= _octets(peer)
            if room < 0:
                break
            entries.append(entry_of(peer))
        return PeerList(complete=len(entries) == min(limit, len(found)), peer=entries)


def peer_service(gossip: Gossip, path: str = "/Peers") -> SpyneHosted:
    """The Peer Service of the device behind `gossip`."""
    return SpyneHosted(PeerService, PEERS, PeerState(gossip), path=path)


def peer_of(entry: Any) -> Peer:
    """The peer that a PeerEntry says. Raises RemoteError for an address that is none of ours, or for none."""
    try:
        udp = Address.parse(entry.udp) if entry.udp else None
        http = Address.parse(entry.http) if entry.http else None
    except LocalError as error:
        raise _bad(str(error)) from None
    if udp is None and http is None:
        raise _bad("an entry has a udp or an http address")
    if (udp and udp.binding is not Binding.UDP) or (http and http.binding is not Binding.HTTP):
        raise _bad("udp has a soap.udp address and http an http one")
    key = b"".join(entry.key or ())
    if entry.key is not None and len(key) != KEY_LENGTH:
        raise _bad(f"a key has {KEY_LENGTH} octets")
    return Peer(
        device=DeviceId(entry.device),
        role=Role(entry.role),
        types=tuple(QName(name) for name in entry.type or ()),
        scopes=tuple(entry.scope or ()),
        udp=udp,
        http=http,
        subtree=entry.subtree,
        incarnation=entry.incarnation,
        key=key,
    )


def entry_of(peer: Peer) -> PeerEntry:
    """The PeerEntry that says `peer`."""
    return PeerEntry(
        device=str(peer.device),
        role=str(peer.role),
        type=[str(name) for name in peer.types],
        scope=list(peer.scopes),
        udp=str(peer.udp) if peer.udp else None,
        http=str(peer.http) if peer.http else None,
        subtree=peer.subtree,
        incarnation=peer.incarnation,
        key=[peer.key] if peer.key else None,
    )


def _register(ctx: Any, peer: Peer) -> Registration:
    gossip = state(ctx, PeerState).gossip
    # Where the transport shows no source the registered address itself will be asked to answer.
    source = _proved(ctx) or peer.address(Binding.HTTP)
    lease = gossip.register(peer, source)
    return Registration(leaseMs=round(lease * 1000), registrar=entry_of(gossip.own_towards(source)))


def _proved(ctx: Any) -> Address | None:
    """Where the caller is. Raises RemoteError for a datagram: anybody may write any source on one."""
    source = call(ctx).source
    if source is not None and source.binding is Binding.UDP:
        raise sender_fault("NotYours", "who registers is asked by HTTP who it is", namespace=PEERS)
    return source


def _held(ctx: Any, device: str) -> Peer:
    peer = state(ctx, PeerState).gossip.peers.get(DeviceId(device))
    if peer is None:
        raise sender_fault("NotRegistered", "no such device is registered, or none that answered", namespace=PEERS)
    return peer


def _octets(peer: Peer) -> int:
    """At most what an entry takes in a reply: tags and key of 320 octets, 23 a repeated tag, text at 6 a character."""
    texts = [peer.device, peer.role, *peer.types, *peer.scopes, str(peer.udp or ""), str(peer.http or "")]
    plain = sum(len(text.encode()) + 5 * sum(map(text.count, "&<>\r")) for text in texts)
    return 360 + 24 * (len(peer.types) + len(peer.scopes)) + plain


def _bad(reason: str) -> RemoteError:
    return sender_fault("BadEntry", reason, namespace=PEERS)
