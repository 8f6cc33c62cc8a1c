"""A ring of peers: who stands on either side of a device when all stand in a circle, in an order that everybody finds.

A copy to each side joins all who know one another, whatever else is drawn by chance: while nothing is lost, nobody is
missed (RingCast: Voulgaris, van Steen, 2007). Refuses to know what is passed on, and what the ways cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from gossip_ws.core.peers import Peer
from gossip_ws.kernel.names import DeviceId


class Ring:
    """The ring of one device. Where each stands is drawn by its name, so that neighbours on it need not be so
    anywhere else: devices with names in a row would fail, and be congested, together."""

    def __init__(self, device: DeviceId) -> None:
        self._own = _place(device)
        self._peers: Sequence[Peer] = ()
        self._beside: tuple[Peer, ...] = ()

    def beside(self, peers: Sequence[Peer]) -> tuple[Peer, ...]:
        """The next and the one before among these; the only one, or none. `peers` are not changed afterwards."""
        if peers is not self._peers:
            # The table gives the same ones again and again: a thousand are looked at only when they have changed.
            self._beside = self._found(peers)
            self._peers = peers
        return self._beside

    def _found(self, peers: Sequence[Peer]) -> tuple[Peer, ...]:
        places = [(_place(peer.device), number) for number, peer in enumerate(peers)]
        if len(places) < 2:
            return tuple(peers)
        _, after = min((place for place in places if place[0] > self._own), default=min(places))
        _, before = max((place for place in places if place[0] < self._own), default=max(places))
        return peers[after], peers[before]


def _place(device: DeviceId) -> tuple[int, DeviceId]:
    return crc32(device.encode()), device
