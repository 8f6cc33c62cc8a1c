"""One request at one node, as data: whom it was passed on to, what came back, and what of that is to be combined or
listed. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import Input
from gossip_ws.core.messages import Content, DeviceReply, Hop, Partial, Tally
from gossip_ws.core.peers import Peer
from gossip_ws.core.replies import REFUSED, Inbox, Outbox, own_reply
from gossip_ws.kernel.errors import Fault
from gossip_ws.kernel.names import DeviceId

MAX_COVER = 256
"""Peers that a request is passed on to, and so children in a cover."""


class Stage(Enum):
    """Where one request stands at this node. Only ever moves down this list."""

    GATHERING = "gathering"
    COMBINING = "combining"
    REPLYING = "replying"
    DONE = "done"


@dataclass(slots=True)
class Asked:
    """One peer that was sent the request. `closed`: nothing more is expected from it."""

    peer: Peer
    hop: Hop
    joined: bool = False
    closed: bool = False
    refused: bool = False
    counted: bool = False
    tally: Tally = field(default_factory=Tally)
    cover: tuple[bytes, ...] | None = None
    fenced: bool = False
    adopted: int = 0
    orphans: dict[DeviceId, Partial] = field(default_factory=dict)
    late: Tally | None = None
    down: bool = False
    excessive: int = 0
    """`cover` is that of its partial, None until taken. `orphans` passed it by, and wait for what becomes of it; no two
    of them hold the same device. `fenced`: they were adopted, so its own partial is not taken any more. `adopted`:
    devices that came so, or wait. `counted`: it said so. `late`: what its partial stood for, when that came after the
    inputs had been frozen and before the answer left. `down`: it does not answer, so it is not waited for; what it says
    nevertheless is taken. `excessive`: partials that stood for more devices than it registered."""

    @property
    def awaited(self) -> bool:
        """Is something still to come?"""
        return not self.closed and not self.down


@dataclass(frozen=True, slots=True)
class Taken:
    """A partial that was taken in, once and for all."""

    device: DeviceId
    tally: Tally
    value: bytes
    cover: tuple[bytes, ...] = ()
    replies: tuple[DeviceReply, ...] = ()


@dataclass(slots=True)
class Request:
    """One request at this node. `parent` is None where a client asked."""

    content: Content
    parent: DeviceId | None
    ancestors: tuple[DeviceId, ...]
    from_below: bool
    deadline: float
    inbox: Inbox
    stage: Stage = Stage.GATHERING
    own: Input | Fault | None = None
    own_awaited: bool = False
    own_late: bool = False
    asked: dict[DeviceId, Asked] = field(default_factory=dict)
    taken: dict[DeviceId, Taken] = field(default_factory=dict)
    outbox: Outbox | None = None
    bypassed: int = 0
    uncertain: dict[DeviceId, int] = field(default_factory=dict)
    """Orphans that were left out, and the devices that each stands for."""

    @property
    def wants_all(self) -> bool:
        """Is every single reply asked for?"""
        chosen = self.content.terms.filter
        return chosen is not None and chosen.is_all

    @property
    def reply_to(self) -> DeviceId | None:
        """The nearest asker that is not known to be dead."""
        return self.ancestors[-1 - self.bypassed] if self.parent is not None else None

    def inputs(self) -> tuple[Input, ...]:
        """What is to be combined, the own value first: one value of each partial, or every single one."""
        own = (self.own,) if isinstance(self.own, Input) else ()
        if self.wants_all:
            return own + tuple(
                Input(reply.value, 1, own=False)
                for taken in self.taken.values()
                for reply in taken.replies
                if reply.fault is None
            )
        return own + tuple(
            Input(taken.value, taken.tally.contributors, own=False)
            for taken in self.taken.values()
            if taken.tally.contributors
        )

    def below(self) -> tuple[DeviceId, ...]:
        """Who stands behind each input but the own one."""
        if self.wants_all:
            replies = [reply for taken in self.taken.values() for reply in taken.replies]
            return tuple(reply.device for reply in replies if reply.fault is None)
        return tuple(taken.device for taken in self.taken.values() if taken.tally.contributors)

    def replies(self, config: NodeConfig, refused: frozenset[int] = frozenset()) -> tuple[DeviceReply, ...]:
        """Each reply as it came, the own one first; `refused` are indices of inputs, which are those with a value. None
        where not every single one is asked for."""
        if not self.wants_all:
            return ()
        held: list[DeviceReply] = []
        if self.own is not None:
            outcome = self.own.value if isinstance(self.own, Input) else self.own
            held.append(own_reply(config.device, outcome, config.max_part))
        held += [reply for taken in self.taken.values() for reply in taken.replies]
        if refused:
            values = [place for place, reply in enumerate(held) if reply.fault is None]
            for index in refused:
                held[values[index]] = DeviceReply(held[values[index]].device, b"", REFUSED)
        return tuple(held)
