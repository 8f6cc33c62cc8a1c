"""This device as others hold it. A device of several addresses names to each the one that suits them both."""

from __future__ import annotations

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.peers import Peer, PeerTable
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.homes import Home, suited
from gossip_ws.kernel.names import DeviceId


class Own:
    """The device's own entry. Its subtree and incarnation grow while it is up, and its homes may change; all else is
    configured."""

    def __init__(self, config: NodeConfig, table: PeerTable) -> None:
        self._config = config
        self._table = table
        self.homes = config.homes
        """Where it is reached, best first; empty where it is only where `config` says."""
        self.incarnation = config.incarnation
        """Only this device raises it: whoever was accused shows so that the accusation is older than its answer."""

    @property
    def device(self) -> DeviceId:
        return self._config.device

    @property
    def peer(self) -> Peer:
        """As told to nobody in particular."""
        return self._at(self.homes[0]) if self.homes else self._at(None)

    def towards(self, other: Address) -> Peer:
        """As whoever is at `other` is to hold it: messages to there come from the address that is named."""
        return self._at(suited(self.homes, other.host)[0]) if len(self.homes) > 1 else self.peer

    def _at(self, home: Home | None) -> Peer:
        config = self._config
        return Peer(
            config.device,
            config.role,
            config.types,
            config.scopes,
            config.udp if home is None else home.udp,
            config.http if home is None else home.http,
            self._table.subtree,
            self.incarnation,
            config.key,
        )
