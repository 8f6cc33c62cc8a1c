"""Who is there, as devices say it to one another: the Bodies of the membership messages in docs/wire.md.

Strict: an attribute or a child that is not known is `Malformed`. Knows no envelope but for its size, and judges no
signature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lxml import etree

from gossip_ws.core.messages import (
    Ack,
    Alive,
    Disconnect,
    MembershipMessage,
    Neighbor,
    NeighborReply,
    Ping,
    PingRequest,
    Shuffle,
    Suspect,
)
from gossip_ws.core.peers import Peer
from gossip_ws.kernel.names import GOSSIP
from gossip_ws.wire.envelope import MAX_UDP_ENVELOPE, MAX_URI, Addressing, attribute, build, message_id
from gossip_ws.wire.peers import PEER, read_address, read_peer, write_peer
from gossip_ws.wire.signatures import read_signature, write_signature
from gossip_ws.wire.terms import too_many
from gossip_ws.wire.values import (
    MAX_INCARNATION,
    Attributes,
    attributes,
    base64,
    device,
    integer,
    malformed,
    octets,
    only,
    truth,
)

Membership = Ping | Ack | MembershipMessage

MAX_NONCE: Final = 64
"""Octets of a challenge."""
MAX_SHUFFLED: Final = 8
"""Peers in a Shuffle; fewer where a datagram holds no more."""

_OPEN: Final = f'xmlns:g="{GOSSIP}"'
_ROOM: Final = MAX_UDP_ENVELOPE - len(build(Addressing(f"{GOSSIP}:Shuffle", message_id(), GOSSIP), b""))
"""Octets that an envelope leaves for a Body so that a datagram holds it."""


def write_membership(message: MembershipMessage) -> bytes:
    """The Body. Of a Shuffle's peers the last ones, which a datagram does not hold, are left out."""
    name = type(message).__name__
    head = f"<g:{name} {_OPEN} Sender={attribute(message.sender)}"
    match message:
        case PingRequest():
            at = attribute(str(message.address))
            rest = f' Nonce="{base64(message.nonce)}" About={attribute(message.about)} Address={at}/>'
        case Suspect():
            rest = f' About={attribute(message.about)} Incarnation="{message.incarnation}"/>'
        case Alive():
            signature = f" {write_signature(message.signature)}" if message.signature is not None else ""
            rest = f' Incarnation="{message.incarnation}"{signature}/>'
        case Neighbor():
            urgent = ' Urgent="true"' if message.urgent else ""
            rest = f"{_scope(message.scope)}{urgent}>{write_peer(message.peer)}</g:Neighbor>"
        case NeighborReply():
            accepted = ' Accepted="true"' if message.accepted else ""
            rest = f"{_scope(message.scope)}{accepted}/>"
        case Disconnect():
            rest = f"{_scope(message.scope)}/>"
        case Shuffle():
            wants = ' WantsReply="true"' if message.wants_reply else ""
            return _with_peers(f"{head}{_scope(message.scope)}{wants}>".encode(), message.peers)
    return f"{head}{rest}".encode()


def _scope(scope: str) -> str:
    return f" Scope={attribute(scope)}" if scope else ""


def _with_peers(head: bytes, peers: tuple[Peer, ...]) -> bytes:
    end = b"</g:Shuffle>"
    parts, room = [head], _ROOM - len(head) - len(end)
    for peer in peers[:MAX_SHUFFLED]:
        written = write_peer(peer).encode()
        room -= len(written)
        if room < 0:
            break
        parts.append(written)
    return b"".join((*parts, end))


def _read_ping(payload: etree._Element) -> Ping:
    values = _leaf(payload, "Nonce")
    return Ping(device(values), _nonce(values))


def _read_ack(payload: etree._Element) -> Ack:
    values = _leaf(payload, "Nonce", "Incarnation")
    return Ack(device(values), _nonce(values), integer(values, "Incarnation", MAX_INCARNATION, 0))


def _read_ping_request(payload: etree._Element) -> PingRequest:
    values = _leaf(payload, "Nonce", "About", "Address")
    return PingRequest(device(values), _nonce(values), device(values, "About"), read_address(values, "Address"))


def _read_suspect(payload: etree._Element) -> Suspect:
    values = _leaf(payload, "About", "Incarnation")
    return Suspect(device(values), device(values, "About"), integer(values, "Incarnation", MAX_INCARNATION))


def _read_alive(payload: etree._Element) -> Alive:
    values = _leaf(payload, "Incarnation", "KeyId", "Sig")
    signature = read_signature(values) if "KeyId" in values or "Sig" in values else None
    return Alive(device(values), integer(values, "Incarnation", MAX_INCARNATION), signature)


def _read_neighbor(payload: etree._Element) -> Neighbor:
    values = _known(payload, "Scope", "Urgent")
    peers = _read_peers(payload, 1)
    sender = device(values)
    if len(peers) != 1 or peers[0].device != sender:
        malformed("a Neighbor holds the one Peer that sends it")
    return Neighbor(sender, _read_scope(values), peers[0], truth(values, "Urgent"))


def _read_neighbor_reply(payload: etree._Element) -> NeighborReply:
    values = _leaf(payload, "Scope", "Accepted")
    return NeighborReply(device(values), _read_scope(values), truth(values, "Accepted"))


def _read_disconnect(payload: etree._Element) -> Disconnect:
    values = _leaf(payload, "Scope")
    return Disconnect(device(values), _read_scope(values))


def _read_shuffle(payload: etree._Element) -> Shuffle:
    values = _known(payload, "Scope", "WantsReply")
    peers = _read_peers(payload, MAX_SHUFFLED)
    return Shuffle(device(values), _read_scope(values), peers, truth(values, "WantsReply"))


MEMBERSHIP: Final[dict[str, Callable[[etree._Element], Membership]]] = {
    "Ping": _read_ping,
    "Ack": _read_ack,
    "PingRequest": _read_ping_request,
    "Suspect": _read_suspect,
    "Alive": _read_alive,
    "Neighbor": _read_neighbor,
    "NeighborReply": _read_neighbor_reply,
    "Disconnect": _read_disconnect,
    "Shuffle": _read_shuffle,
}
"""How the Body of each is read, by name. Each raises RemoteError."""


def _known(payload: etree._Element, *names: str) -> Attributes:
    values = attributes(payload)
    only(values, frozenset(("Sender", *names)), payload.tag)
    return values


def _leaf(payload: etree._Element, *names: str) -> Attributes:
    if len(payload):
        malformed(f"an element in {payload.tag}, which has none")
    return _known(payload, *names)


def _nonce(values: Attributes) -> bytes:
    nonce = octets(values, "Nonce", MAX_NONCE)
    if not nonce:
        malformed("a challenge without a Nonce")
    return nonce


def _read_scope(values: Attributes) -> str:
    scope = values.get("Scope", "")
    if len(scope) > MAX_URI:
        malformed(f"Scope is longer than {MAX_URI}")
    return scope


def _read_peers(payload: etree._Element, most: int) -> tuple[Peer, ...]:
    if len(payload) > most:
        raise too_many("peers", most)
    if any(child.tag != PEER for child in payload):
        malformed(f"something else than a Peer in {payload.tag}")
    return tuple(map(read_peer, payload))
