"""What gossip nodes say to one another. Bodies are opaque here: bytes in canonical form."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from gossip_ws.core.peers import Peer
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import Fault
from gossip_ws.kernel.names import DeviceId, GossipId
from gossip_ws.kernel.terms import Terms, Tier, Variant


@dataclass(frozen=True, slots=True)
class Signature:
    """The compact signature (WS-Discovery 1.1 section 8.2): `value` over the gossip id, by key `key_id`."""

    key_id: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """Everything the origin fixed. `body` is the canonical element inside the SOAP Body (or empty).

    `sealed` is the codec's own rendering of it, sent on verbatim and never looked into.
    """

    id: GossipId
    action: str
    terms: Terms
    body: bytes
    signature: Signature | None
    sealed: bytes


class Hop(NamedTuple):
    """The part each hop writes anew: unsigned, so never trusted beyond what the terms allow.

    `tier` and `rounds`: where the receiver stands in which budget. `age` and `remaining` are seconds
    since the origin and until the sender stops waiting (requests only). `ancestors` is the chain of
    askers of a request, the origin first, the sender last. `receipt`: the sender waits for a Receipt.
    """

    sender: DeviceId
    tier: Tier
    rounds: int
    hops: int
    age: float
    remaining: float = 0.0
    ancestors: tuple[DeviceId, ...] = ()
    receipt: bool = False


class Gossip(NamedTuple):
    """An application message on its way."""

    content: Content
    hop: Hop


class Standing(StrEnum):
    """What the receiver of a message has to say of it at once."""

    TAKEN = "taken"
    """Delivered here; or, of a request, joined under you: a Partial will follow. Of a Partial: counted."""
    COUNTED = "counted"
    """A request that reached this node by another way before: do not wait for it."""
    DECLINED = "declined"
    """This node rebooted since the request was issued, or is no target and has nobody to ask."""
    BUSY = "busy"
    """A full table: this node neither takes part nor remembers."""
    LATE = "late"
    """A Partial that came after the answer had been given, or a message that came after the one which supersedes it."""
    UNCERTAIN = "uncertain"
    """Of an orphan's Partial: whether it is in what the dead passed on cannot be told, so it is left out."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a Gossip with `hop.receipt`, or to a Partial, of which it names the `part`."""

    about: GossipId
    sender: DeviceId
    standing: Standing
    part: int = 1


@dataclass(frozen=True, slots=True)
class Tally:
    """How many devices an answer stands for. contributors + missing + failed + late + uncertain = expected."""

    contributors: int = 0
    expected: int = 0
    missing: int = 0
    failed: int = 0
    late: int = 0
    uncertain: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.contributors + other.contributors,
            self.expected + other.expected,
            self.missing + other.missing,
            self.failed + other.failed,
            self.late + other.late,
            self.uncertain + other.uncertain,
        )


@dataclass(frozen=True, slots=True)
class DeviceReply:
    """What one device's own service replied: the response element, or why there is none. Never changed on its way."""

    device: DeviceId
    value: bytes
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Partial:
    """One immutable partial answer, resent until receipted. `value` is what the filter made, in its
    partial form; empty when nobody contributed. `cover` names the direct children taken in, 8 octets
    of digest each. `fault`: why there is no value. `bypassing`: the askers between sender and receiver that
    did not answer, the sender's own first.

    Where every reply is asked for there are `replies` instead of a value, in `parts` parts, of which this is number
    `part`. All parts say the same but for their replies, so the order in which they come does not matter."""

    about: GossipId
    sender: DeviceId
    tally: Tally
    value: bytes
    cover: tuple[bytes, ...] = ()
    fault: Fault | None = None
    bypassing: tuple[DeviceId, ...] = ()
    replies: tuple[DeviceReply, ...] = ()
    part: int = 1
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Merge:
    """ "This is what I have combined so far; take it in." `value` is in the filter's partial form; empty: nothing
    that you lack. `wants_reply`: and tell me yours. Only for requests whose gathering is `spread`."""

    about: GossipId
    sender: DeviceId
    value: bytes
    wants_reply: bool = False


@dataclass(frozen=True, slots=True)
class Digest:
    """ "This is what I hold, tell me news": the first 8 octets of each unexpired gossip id held."""

    sender: DeviceId
    held: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Advert:
    """ "I have these": the first 8 octets of each id. `variant` says whether an eager copy is due as well."""

    sender: DeviceId
    variant: Variant
    ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Fetch:
    """ "Send me these." `graft`: and from now on send me payloads at once."""

    sender: DeviceId
    ids: tuple[bytes, ...]
    graft: bool = False


@dataclass(frozen=True, slots=True)
class Prune:
    """To whom sent a payload that was here already: from now on tell me ids only."""

    sender: DeviceId


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? From a Peer Service to a newly registered address, and from whoever doubts a peer (SWIM)."""

    sender: DeviceId
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """The nonce sent back from the address that the Ping went to, with the sender's incarnation as of now."""

    sender: DeviceId
    nonce: bytes
    incarnation: int = 0


@dataclass(frozen=True, slots=True)
class PingRequest:
    """Ping `about` at `address` for me, and pass its Ack on: perhaps only the way between us two is broken."""

    sender: DeviceId
    nonce: bytes
    about: DeviceId
    address: Address


@dataclass(frozen=True, slots=True)
class Suspect:
    """`about` does not answer me. Nobody believes it: who holds `about` looks for itself; `about` refutes."""

    sender: DeviceId
    about: DeviceId
    incarnation: int


@dataclass(frozen=True, slots=True)
class Alive:
    """The refutation: only the subject raises its incarnation. `signature` is over `alive_statement` by the key
    that it registered with; None where devices have no keys, and then it counts from its own address only."""

    sender: DeviceId
    incarnation: int
    signature: Signature | None = None


def alive_statement(device: DeviceId, incarnation: int) -> bytes:
    """What the signature of an Alive is over. It starts as no gossip id's octets do, so neither can stand for the
    other; the incarnation comes first, so no device's name can end in one."""
    return f"gossip-ws alive 1\n{incarnation}\n{device}".encode()


@dataclass(frozen=True, slots=True)
class Neighbor:
    """ "Let us be in each other's active view of `scope`" (HyParView). `peer` is the sender. `urgent`: it has
    nobody else, so a full view makes room."""

    sender: DeviceId
    scope: str
    peer: Peer
    urgent: bool


@dataclass(frozen=True, slots=True)
class NeighborReply:
    """The answer to Neighbor."""

    sender: DeviceId
    scope: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class Disconnect:
    """ "You are out of my active view of `scope`": whoever made room, or goes down."""

    sender: DeviceId
    scope: str


@dataclass(frozen=True, slots=True)
class Shuffle:
    """Some of the sender's views of `scope`, the sender itself first; with `wants_reply`, in exchange for as many."""

    sender: DeviceId
    scope: str
    peers: tuple[Peer, ...]
    wants_reply: bool


MembershipMessage = PingRequest | Suspect | Alive | Neighbor | NeighborReply | Disconnect | Shuffle

Aside = Receipt | Partial | Merge | Digest | Advert | Fetch | Prune | Ping | Ack | MembershipMessage
"""What devices say to one another beside the messages that they pass on."""
Message = Gossip | Aside
