"""Frames that carry objects instead of XML: the simulator's Codec and Directory when only the protocol matters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gossip_ws.core.messages import Content, Message, Signature
from gossip_ws.core.peers import Peer, Relation
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.names import DeviceId, GossipId, QName
from gossip_ws.kernel.terms import Terms
from gossip_ws.ports import Frame


class Parcel(bytes):
    """A frame whose octets say nothing, with an object in it."""

    content: Any

    @classmethod
    def of(cls, content: object) -> Parcel:
        parcel = cls(b"parcel")
        parcel.content = content
        return parcel


class ObjectCodec:
    """`ports.Codec` without octets. The id is bound to the content as on the wire."""

    def decode(self, frame: Frame) -> Message | None:
        if not isinstance(frame, Parcel):
            raise sender_fault("Malformed", "not a simulated frame")
        message: Message = frame.content
        return message

    def encode(self, message: Message) -> Frame:
        return Parcel.of(message)

    def seal(self, action: str, terms: Terms, body: bytes, sign: Callable[[GossipId], Signature | None]) -> Content:
        id = GossipId(sha256(f"{action}\n{terms!r}\n".encode() + body).digest())
        return Content(id, action, terms, body, sign(id), b"")


@dataclass(frozen=True, slots=True)
class Registration:
    peer: Peer


@dataclass(frozen=True, slots=True)
class Registered:
    lease: float
    registrar: Peer


@dataclass(frozen=True, slots=True)
class Unregistered:
    device: DeviceId


@dataclass(frozen=True, slots=True)
class PeersAsked:
    types: tuple[QName, ...]
    scopes: tuple[str, ...]
    limit: int
    relation: Relation | None


@dataclass(frozen=True, slots=True)
class PeersTold:
    peers: tuple[Peer, ...]


class ObjectDirectory:
    """`ports.Directory` without octets."""

    def register(self, peer: Peer) -> Frame:
        return Parcel.of(Registration(peer))

    def registered(self, reply: Frame) -> tuple[float, Peer]:
        content = reply.content if isinstance(reply, Parcel) else None
        if not isinstance(content, Registered):
            raise sender_fault("Malformed", "not a registration's reply")
        return content.lease, content.registrar

    def unregister(self, device: DeviceId) -> Frame:
        return Parcel.of(Unregistered(device))

    def ask(self, types: tuple[QName, ...], scopes: tuple[str, ...], limit: int, relation: Relation | None) -> Frame:
        return Parcel.of(PeersAsked(types, scopes, limit, relation))

    def peers(self, reply: Frame) -> tuple[Peer, ...]:
        content = reply.content if isinstance(reply, Parcel) else None
        if not isinstance(content, PeersTold):
            raise sender_fault("Malformed", "not a list of peers")
        return content.peers
