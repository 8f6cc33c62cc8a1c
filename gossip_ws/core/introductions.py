"""Addresses that were heard of and not proved: each gets a Ping, and whoever answers there is a peer.

What others say of a third device, or a stranger of itself, is taken for no more than a hint. Refuses to know
why the device is wanted.
"""

from __future__ import annotations

from dataclasses import replace

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import Effect
from gossip_ws.core.messages import Ack, Ping
from gossip_ws.core.peers import Peer, PeerTable, is_uuid, speaks_from
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Send
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId

INTRODUCTIONS = 32
"""Pings without an answer that are remembered; the oldest makes room."""
NONCE_BITS = 128


class Introductions:
    """One Ping for each call of `ping`, so that nobody is made to send more than it is sent itself."""

    def __init__(self, config: NodeConfig, table: PeerTable, dice: Dice) -> None:
        self._config = config
        self._table = table
        self._dice = dice
        self._open: dict[DeviceId, tuple[Peer, Address, bytes]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def is_sound(self, peer: Peer) -> bool:
        """May this record be looked at at all? It names another device, a datagram address and a possible subtree."""
        at = peer.udp
        most = self._config.peer_limit * self._config.peer_limit
        return (
            is_uuid(peer.device)
            and peer.device != self._config.device
            and at is not None
            and at.binding is Binding.UDP
            and 1 <= peer.subtree <= most
        )

    def ping(self, peer: Peer) -> list[Effect]:
        """Ask at its address. The nonce stays the same for one address until it is forgotten."""
        at = peer.udp
        if at is None:
            return []
        held = self._open.get(peer.device)
        if held is not None and held[1] == at:
            nonce = held[2]
        else:
            nonce = self._dice.getrandbits(NONCE_BITS).to_bytes(NONCE_BITS // 8, "big")
            self._open.pop(peer.device, None)
            while len(self._open) >= INTRODUCTIONS:
                del self._open[next(iter(self._open))]
        self._open[peer.device] = (peer, at, nonce)
        return [Send(Ping(self._config.device, nonce), (at,))]

    def met(self, ack: Ack, source: Address, now: Instant) -> Peer | None:
        """The peer whose Ping this answers, from where the Ping went; it is in the table now. None: it is none of
        these, or there is no room.

        An answer proves an address, no key: a key that a third party named would keep the device itself from
        registering with its own.

        What is held and proved already stays as it is: only registration moves a device. The incarnation is
        the one that the device names itself.
        """
        held = self._open.get(ack.sender)
        if held is None or held[2] != ack.nonce or not speaks_from(held[0], source):
            return None
        del self._open[ack.sender]
        known = self._table.get(ack.sender)
        if known is not None:
            return known if known.udp == held[1] else None
        if ack.sender not in self._table and self._table.at(held[1].host) >= self._config.peers_per_host:
            return None
        peer = replace(held[0], incarnation=ack.incarnation, key=b"")
        taken = self._table.put(peer, now.monotonic + 2 * self._config.peers_max_age, proven=True)
        return self._table.get(ack.sender) if taken else None
