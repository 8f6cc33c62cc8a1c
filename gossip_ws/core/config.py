"""How a node is set up. Frozen; relations between fields are checked at construction."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gossip_ws.core.peers import OWN_TIER, Role
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.homes import Home
from gossip_ws.kernel.names import DeviceId, QName
from gossip_ws.kernel.terms import Budget, Priority, Tier

MAX_VIEWS = 8
"""Scopes of whose equals a device keeps views: each costs a datagram a second."""
MAX_PART: Final = 28_000
"""Octets of single replies beside which an envelope of 32,767 has room for a whole cover and headers."""


@dataclass(frozen=True, slots=True)
class FanoutTable:
    """Default fanout and rounds by population, as rows (population, fanout, rounds) in growing order.

    Where they come from is `theory`'s affair: a fixed f=5, r=3 reaches 14 % of 1,000 devices.
    """

    rows: tuple[tuple[int, int, int], ...] = ((1, 0, 0),)

    def __post_init__(self) -> None:
        if not self.rows or list(self.rows) != sorted(self.rows):
            raise LocalError("a fanout table has rows in order of population")

    def budget(self, tier: Tier, population: int) -> Budget:
        """The first row for at least `population` devices, the last one beyond."""
        for size, fanout, rounds in self.rows:
            if size >= population:
                return Budget(tier, fanout, rounds)
        _, fanout, rounds = self.rows[-1]
        return Budget(tier, fanout, rounds)


_ONE_MESSAGE = 65_536
"""Octets that the largest message takes in memory: its body, and the envelope that it is in."""


class PeerSelection(StrEnum):
    """How a node chooses among peers that would all do."""

    UNIFORM = "uniform"
    GRADIENT = "gradient"
    """The dearer the way to a peer, by its marginal delay, the less often: gossip shuns congested links."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One gossip node."""

    device: DeviceId
    role: Role
    types: tuple[QName, ...] = ()
    scopes: tuple[str, ...] = ()
    udp: Address | None = None
    """Where this device's gossip endpoint is reached by datagram."""
    http: Address | None = None
    homes: tuple[Home, ...] = ()
    """Of a device with several addresses: all of them, with the gossip endpoint there, the first one's as above."""
    incarnation: int = 0
    """Grows with every start; peers believe the newest."""
    key: bytes = b""
    """The 32 octets of this device's own public key, by which others tell its refutations; empty for none."""
    seeds: tuple[Address, ...] = ()
    """Peer Services to enrol with, tried in order, where multicast does not reach."""
    peer_service: Address | None = None
    """Where this device's own Peer Service lives when it is not on the device (seed 002)."""
    peers_max_age: float = 60.0
    """Ask the Peer Service again when what is held is older (s)."""
    lease: float = 90.0
    """How long a registration with this device's Peer Service lasts (s); clients refresh at a third."""
    peer_limit: int = 4096
    """Registrations held; a substation area has at most some hundred meters."""
    peers_per_host: int = 64
    """Registrations from one network address: a quota, so that one host cannot fill the table."""

    wide: FanoutTable = FanoutTable()
    """Defaults in the WAN, where sampling alone has to reach everyone."""
    field: FanoutTable = FanoutTable()
    """Defaults in the FAN, where the parent serves its roster and sampling is insurance."""
    max_fanout: int = 64
    max_rounds: int = 32
    max_lifetime: float = 7 * 86_400.0
    """Local caps; they hold whatever a header says."""
    max_timeout: float = 600.0
    """How long a request may wait for replies (s): each holds a place in the table of open ones."""
    max_skew: float = 86_400.0
    """How far in the future a message may have been issued (s): the most that a device's trust may allow. One from
    the next century would otherwise be in force until then."""
    max_rate: float = 100.0
    """New messages a second in the long run, of all originators together: far more than a grid sends, far less
    than a meter can take. What is refused stays unseen, so a parent's retry or a digest brings it later."""
    max_burst: int = 500
    """New messages at once. Each class leaves a tenth of them to the one above it, see `spared`."""

    seen_limit: int = 20_000
    """Gossip ids remembered; the earliest to expire makes room."""
    store_limit: int = 256
    """Messages kept whole for peers that missed them: more than a burst of 100. A digest that names more of them fits
    no datagram."""
    store_octets: int = 1_048_576
    """Octets of them: 256 messages take some 800 KB."""
    in_force_limit: int = 256
    """Kinds of which the newest message is remembered, so that an older one is told; 32 octets each."""
    query_limit: int = 64
    """Requests open at once; one more is answered `busy`."""
    max_part: int = MAX_PART
    """Octets of single replies in one part of an answer. Smaller parts lose less with a datagram, and need more of
    them."""
    max_replies: int = 4 * 1024 * 1024
    """Octets of others' single replies held for one request; what is beyond is left out and reported as failed."""
    spread_limit: int = 8
    """Requests gathered without a tree that are open at once; one more is answered `busy`. Each holds an accumulator
    of at most an envelope, and a few that wait to be combined."""
    spread_period: float = 0.375
    """Mean time between two exchanges of accumulators (s), give or take a third. A thousand devices agree after some
    twelve, push-pull."""
    spread_patience: float = 5.0
    """Seconds for which a device goes on exchanging even if nothing is new, or half of a request's time where that is
    less: the request, or a slow service, may not have come to everybody yet."""
    spread_rounds: int = 64
    """Exchanges that a device begins for one request, whatever the terms say; then it only answers others."""
    merge_rate: float = 200.0
    """Accumulators taken a second, of all requests together: a parent of five hundred is asked a hundred times."""
    retry_first: float = 0.25
    """First wait for a receipt (s); doubles up to `retry_longest`. A loaded meter answers in some 10 ms. Of sums over
    three tiers at 10 % loss in 5 s, 99.96 % were whole with 2 s for the longest, all of 1,300 with half a second."""
    retry_longest: float = 0.5
    retries: int = 12
    """Resends before a child counts as silent; theory: 5 give 99.99 % over 3 tiers at 10 % loss."""
    orphan_after: int = 4
    """Resends of a partial before its asker counts as dead and the one before it is turned to, and of a request
    before a silent equal is waited for no more, or looked at by whoever stands for the tier: 2.25 s with the other
    defaults. Fewer, and two lost receipts make an orphan, for whom its asker then waits to the deadline."""
    peer_selection: PeerSelection = PeerSelection.UNIFORM
    """`gradient` where links between equals congest, see `core.prices`; it costs a Ping and an Ack each
    `price_period`. Of a fanout of 4 or less no copy is to spare: then only digests and exchanges go by it."""
    price_period: float = 2.0
    """Mean time between two measurements (s). Parents and equals take turns, so that with fifty of them congestion is
    noticed after a minute or two; shorter notices it sooner, and loads narrow links with Pings."""
    pull_period: float = 10.0
    """Mean time between two requests for news (s)."""
    hop_margin: float = 0.08
    """Share of the time remaining that a node keeps for itself when it passes a request down."""

    view_scopes: tuple[str, ...] = ("",)
    """An active and a passive view is kept of the equals in each; "" means all equals. None: no views, and deaths
    are found by leases only."""
    probe_period: float = 1.0
    """Mean time between two rounds of membership (s). At most one neighbour is pinged a round."""
    probe_quiet: float = 6.0
    """A neighbour that was silent for so long is pinged (s). With five symmetric links this costs 5 / `probe_quiet`
    datagrams a second and device; a death is noticed that much later."""
    probe_timeout: float = 0.3
    """Wait for an answer before others are asked to ping too (s)."""
    suspicion: float = 5.0
    """How long a suspect has to show life (s); it is pinged hard all that time. At 50 % loss each way a second of it
    fails with 3 %, so that five are wrong once in 10^8 suspicions; shorter finds deaths sooner."""
    shuffle_period: float = 10.0
    """Mean time between two exchanges of views (s)."""

    def __post_init__(self) -> None:
        if self.udp is None and self.http is None:
            raise LocalError("a device needs an address")
        if not 0 < self.retry_first <= self.retry_longest:
            raise LocalError("retry_first lies between 0 and retry_longest")
        if not 0 < self.hop_margin < 1:
            raise LocalError("hop_margin is a share between 0 and 1")
        if self.max_skew < 0:
            raise LocalError("a skew is not negative")
        if self.max_rate <= 0 or self.max_burst < 1:
            raise LocalError("a node takes at least one message")
        if not 0 < self.max_part <= min(self.max_replies, MAX_PART):
            raise LocalError(f"max_part lies between 0 and max_replies, and is at most {MAX_PART}")
        if self.spread_period <= 0 or self.merge_rate < 1 or min(self.spread_limit, self.spread_rounds) < 1:
            raise LocalError("exchanges take time, and a node takes at least one a second")
        if self.price_period <= 0:
            raise LocalError("measurements take time")
        limits = self.seen_limit, self.store_limit, self.in_force_limit, self.query_limit, self.peer_limit
        if min(limits) < 1:
            raise LocalError("a limit is at least 1")
        if self.store_octets < _ONE_MESSAGE:
            raise LocalError(f"the store holds at least one message of {_ONE_MESSAGE} octets")
        if self.seen_limit < self.store_limit + self.query_limit:
            raise LocalError("seen_limit covers at least the store and the open requests")
        if not 0 < self.probe_timeout < self.probe_period or min(self.suspicion, self.shuffle_period) <= 0:
            raise LocalError("probe_timeout lies between 0 and probe_period; suspicion and shuffle_period last")
        if len(self.view_scopes) > MAX_VIEWS:
            raise LocalError(f"a device keeps views of at most {MAX_VIEWS} scopes")

    def spared(self, priority: Priority) -> int:
        """Of `max_burst`, what a message of this class leaves for more urgent ones: bulk cannot use it all up."""
        return self.max_burst * priority // 10

    @property
    def own_tier(self) -> Tier:
        return OWN_TIER[self.role]
