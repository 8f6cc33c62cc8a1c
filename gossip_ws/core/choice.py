"""Whom of several that would all do: by chance alone, or by what the way to each costs.

Refuses to know what they are chosen for.
"""

from __future__ import annotations

from collections.abc import Sequence

from gossip_ws.core.config import NodeConfig, PeerSelection
from gossip_ws.core.effects import Effect
from gossip_ws.core.messages import Ack
from gossip_ws.core.peers import Peer, PeerTable
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId


class Choice:
    """By chance alone, everybody alike: nothing is measured."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice

    def sample(self, peers: Sequence[Peer], fanout: int, exclude: DeviceId) -> list[Peer]:
        """`fanout` distinct peers, or as many as there are, without `exclude`: whom a message is passed on to."""
        # One more than needed is drawn, so that the excluded one can be left out without a copy of the table.
        drawn = self._dice.sample(peers, min(len(peers), fanout + 1))
        return [peer for peer in drawn if peer.device != exclude][:fanout]

    def one(self, peers: Sequence[Peer]) -> Peer:
        """Whom to exchange with, of at least one."""
        return self._dice.sample(peers, 1)[0]

    def in_turn(self, devices: Sequence[DeviceId]) -> Sequence[DeviceId]:
        """Those who can all give the same, in the order in which to ask them."""
        return devices

    def patience(self) -> float:
        """How long to wait before asking for news, as a share of the usual time."""
        return 1.0

    # -- what `Prices` measures by ---------------------------------------------------------------

    def start(self) -> list[Effect]:
        """The device is up."""
        return []

    def round(self, now: Instant) -> list[Effect]:
        """It is time to measure the next way."""
        return []

    def acked(self, ack: Ack, source: Address, now: Instant) -> Peer | None:
        """The peer that it shows to live; None: it answers no Ping by which a way is measured."""
        return None


def choice_for(config: NodeConfig, table: PeerTable, dice: Dice) -> Choice:
    """How this device chooses."""
    if config.peer_selection is PeerSelection.UNIFORM:
        return Choice(dice)
    # Whoever chooses by chance alone does not hold what it takes to measure.
    from gossip_ws.core.prices import Prices

    return Prices(config, table, dice)
