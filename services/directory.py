"""`ports.Directory`: how a device speaks to a remote Peer Service, as whole envelopes."""

from __future__ import annotations

from lxml import etree

from gossip_ws.core.peers import Peer, Relation
from gossip_ws.kernel.errors import RemoteError, sender_fault
from gossip_ws.kernel.names import DeviceId, QName
from gossip_ws.ports import Frame
from gossip_ws.services.peer_client import (
    GET_PEERS,
    REGISTER,
    UNREGISTER,
    get_peers_request,
    parse_get_peers_reply,
    parse_register_reply,
    register_request,
    unregister_request,
)
from gossip_ws.wire.envelope import Addressing, build, message_id, parse
from gossip_ws.wire.soap import read_fault


class PeerDirectory:
    """Registers with, and asks, a Peer Service anywhere."""

    def register(self, peer: Peer) -> Frame:
        return build(Addressing(action=REGISTER, message_id=message_id()), register_request(peer))

    def registered(self, reply: Frame) -> tuple[float, Peer]:
        return parse_register_reply(_payload(reply))

    def unregister(self, device: DeviceId) -> Frame:
        return build(Addressing(action=UNREGISTER, message_id=message_id()), unregister_request(device))

    def ask(self, types: tuple[QName, ...], scopes: tuple[str, ...], limit: int, relation: Relation | None) -> Frame:
        payload = get_peers_request(types, scopes, limit, relation)
        return build(Addressing(action=GET_PEERS, message_id=message_id()), payload)

    def peers(self, reply: Frame) -> tuple[Peer, ...]:
        return parse_get_peers_reply(_payload(reply))


def _payload(reply: Frame) -> bytes:
    """The element in the Body. Raises RemoteError, with the other side's own fault when it sent one."""
    envelope = parse(reply)
    fault = read_fault(envelope)
    if fault is not None:
        raise RemoteError(fault)
    if envelope.payload is None:
        raise sender_fault("Malformed", "an empty reply")
    return etree.tostring(envelope.payload)
