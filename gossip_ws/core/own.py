"""This device as others hold it. Refuses to know who they are."""

from __future__ import annotations

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.peers import Peer, PeerTable
from gossip_ws.kernel.names import DeviceId


class Own:
    """The device's own entry. Its subtree and incarnation grow while it is up; all else is configured."""

    def __init__(self, config: NodeConfig, table: PeerTable) -> None:
        self._config = config
        self._table = table
        self.incarnation = config.incarnation
        """Only this device raises it: whoever was accused shows so that the accusation is older than its answer."""

    @property
    def device(self) -> DeviceId:
        return self._config.device

    @property
    def peer(self) -> Peer:
        config = self._config
        return Peer(
            config.device,
            config.role,
            config.types,
            config.scopes,
            config.udp,
            config.http,
            self._table.subtree,
            self.incarnation,
            config.key,
        )
