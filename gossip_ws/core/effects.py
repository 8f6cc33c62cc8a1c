"""What a node wants done, besides kernel effects, and the timers it sets. Completions come back as inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gossip_ws.core.messages import Tally
from gossip_ws.core.peers import Peer, Relation
from gossip_ws.core.replies import Replies
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.errors import Fault
from gossip_ws.kernel.estimate import Estimate
from gossip_ws.kernel.names import DeviceId, GossipId, QName
from gossip_ws.kernel.terms import Filter, Gathering


class Invoke(NamedTuple):
    """Call this device's hosted service. Completion: `Node.invoked`."""

    id: GossipId
    action: str
    body: bytes
    originator: str


@dataclass(frozen=True, slots=True)
class Input:
    """One value to combine. `contributors` 1 and `own` for what this device's hosted service replied. `seed`: chance
    for a filter that draws lots over an own value, the same whenever the same value is combined."""

    value: bytes
    contributors: int
    own: bool
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Combine:
    """Apply the request's filter. Completion: `Node.combined`."""

    id: GossipId
    action: str
    filter: Filter
    inputs: tuple[Input, ...]
    final: bool
    gathering: Gathering = Gathering.TREE


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to the entry client of request `id`: the response element, each single reply where they were asked
    for, or why there is none. `estimate`: how far off it may be, where the filter estimates."""

    id: GossipId
    value: bytes | Fault | Replies
    tally: Tally
    gathering: Gathering = Gathering.TREE
    estimate: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Enrol:
    """Register `peer` (this device) with a Peer Service. Completion: `Node.enrolled`."""

    service: Address
    peer: Peer


@dataclass(frozen=True, slots=True)
class Leave:
    """Unregister this device, which may never have been registered there. Completion: none."""

    service: Address


@dataclass(frozen=True, slots=True)
class AskPeers:
    """Ask a Peer Service for peers that have all `types`, lie in `scopes` and stand to it in `relation` (None: any).
    Completion: `Node.peers_told`."""

    service: Address
    types: tuple[QName, ...]
    scopes: tuple[str, ...]
    limit: int
    relation: Relation | None = None


Act = Send | SetTimer | Invoke | Combine | Answer | Enrol | Leave | AskPeers
Effect = Act | Dropped


@dataclass(frozen=True, slots=True)
class ServeAgain:
    """Resend a one-way message to those of the roster that gave no receipt; stale when all did."""

    id: GossipId
    attempt: int


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Resend a request to those that neither replied nor said that they joined; stale once answered."""

    id: GossipId
    attempt: int


@dataclass(frozen=True, slots=True)
class ReplyAgain:
    """Resend the partial; stale once receipted."""

    id: GossipId
    attempt: int


@dataclass(frozen=True, slots=True)
class Deadline:
    """The wait for replies, or for what others have combined, is over; stale once the partial or answer was made."""

    id: GossipId


@dataclass(frozen=True, slots=True)
class MergeAgain:
    """Exchange with one more peer; stale when `turn` has moved on."""

    id: GossipId
    turn: int


@dataclass(frozen=True, slots=True)
class FetchAgain:
    """Ask somebody else for a message that was advertised; stale once it came. `id`: its first 8 octets."""

    id: bytes
    attempt: int


@dataclass(frozen=True, slots=True)
class PullNews:
    """Ask a peer at random for what was missed."""


@dataclass(frozen=True, slots=True)
class ChallengeAgain:
    """Resend the challenge; stale once it was met or the entry is gone."""

    device: DeviceId
    attempt: int


@dataclass(frozen=True, slots=True)
class EnrolAgain:
    """Register or refresh; stale when `turn` has moved on."""

    turn: int


@dataclass(frozen=True, slots=True)
class KeepViews:
    """The next round of membership."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Ping a peer that has not answered once more; stale when its look has ended: `nonce` is another then."""

    device: DeviceId
    nonce: bytes
    attempt: int


@dataclass(frozen=True, slots=True)
class MeasureWays:
    """Measure the way to one more peer, where peers are chosen by what ways cost."""


Timer = (
    ServeAgain
    | AskAgain
    | ReplyAgain
    | Deadline
    | MergeAgain
    | FetchAgain
    | PullNews
    | ChallengeAgain
    | EnrolAgain
    | KeepViews
    | LookAgain
    | MeasureWays
)
