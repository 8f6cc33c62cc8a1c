"""What the origin of a gossip message fixes and signs: the terms on which it may spread."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.names import QName


class Variant(StrEnum):
    """How a message spreads (seed 002 section III.A). A request whose replies climb a tree always spreads by eager
    push: that is what makes the tree."""

    EAGER_PUSH = "eager-push"
    """Payloads to a fresh sample of equals at each hop."""
    LAZY_PUSH = "lazy-push"
    """Only the id to the sample; who lacks the payload fetches it."""
    EAGER_PULL = "eager-pull"
    """Nobody is sent anything: who asks for news gets payloads."""
    LAZY_PULL = "lazy-pull"
    """Who asks for news gets ids, and fetches."""
    PUSH_PULL = "push-pull"
    """Eager push, and each receiver asks one peer for news at once."""
    ADAPTIVE = "adaptive"
    """Payloads over a tree that the links' use makes, ids over all others (Plumtree)."""


class Style(StrEnum):
    """The operation's message exchange, as its WSDL has it."""

    ONE_WAY = "one-way"
    REQUEST_RESPONSE = "request-response"


class Gathering(StrEnum):
    """How the values of a request come together."""

    TREE = "tree"
    """Each value once, up the tree of askers: exact over a stated set of contributors."""
    SPREAD = "spread"
    """Needs no tree: neighbours exchange what they have combined so far, until all hold the same ("combine its own
    data with the aggregated one in the received message", seed 002). Only for aggregates that may take a value in
    twice (max, min, sets), and for estimates of count, sum and mean by extrema propagation."""


class Tier(StrEnum):
    """A network segment of the grid; a budget is spent inside one."""

    WAN = "wan"
    FAN = "fan"
    HAN = "han"


class Priority(IntEnum):
    """Smaller is more urgent."""

    PROTECTION = 0
    STATUS = 1
    NORMAL = 2
    BULK = 3


@dataclass(frozen=True, slots=True)
class Budget:
    """How far a message may go inside one tier: `fanout` peers a relay, at most `rounds` hops."""

    tier: Tier
    fanout: int
    rounds: int


ALL: Final = "all"
"""The name of the filter that combines nothing: every device's own reply climbs unchanged (seed 002)."""


@dataclass(frozen=True, slots=True)
class Filter:
    """How replies are combined on the way back: a named aggregate, an XSLT 1.0 stylesheet, or not at all (`ALL`).

    Exactly one of `name` and `stylesheet` is set. `group_by` names a key field of the operation's
    shape; only for named aggregates.
    """

    name: str = ""
    stylesheet: str = ""
    group_by: str = ""

    @property
    def is_all(self) -> bool:
        """Is each single reply asked for?"""
        return self.name == ALL


@dataclass(frozen=True, slots=True)
class Terms:
    """The fixed part of the header block, covered by the gossip id and the signature.

    A device is a target when it has every type in `types` and, for one of `scopes` at least (or
    none given), that scope is a segment-wise prefix of one of its own. `issued` and `expires` are
    wall seconds. `originator` is the key id that signed, or `unsigned` in development mode.
    `min_replies` (0 for all) and `timeout` (s) end the wait of a request-response message;
    `min_group` is the smallest number of contributors that may be answered.
    """

    variant: Variant
    style: Style
    binding: Binding
    priority: Priority
    budgets: tuple[Budget, ...]
    types: tuple[QName, ...]
    scopes: tuple[str, ...]
    originator: str
    issued: float
    expires: float
    filter: Filter | None = None
    min_replies: int = 0
    timeout: float = 0.0
    min_group: int = 1
    gathering: Gathering = Gathering.TREE
    latest: bool = False
    """Of one originator's messages with the same action, types and scopes only the one issued last is in force."""
    one_hop: bool = False
    """From its origin to at most its own tier's fanout of peers, of whatever relation, once: nobody passes it on, keeps
    it for others or gives a receipt. For state that each device merges and tells again."""

    @property
    def makes_tree(self) -> bool:
        """Do replies climb back along the way on which this came?"""
        return self.style is Style.REQUEST_RESPONSE and self.gathering is Gathering.TREE

    def budget(self, tier: Tier) -> Budget:
        """What may be spent in `tier`: nothing where the origin named none."""
        for budget in self.budgets:
            if budget.tier == tier:
                return budget
        return Budget(tier, 0, 0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an unsigned caller of a shadow service asks for; None and empty leave the device's default.

    Not trusted: the device fixes the terms from it, within its own caps, if the caller may originate.
    """

    variant: Variant | None = None
    binding: Binding | None = None
    priority: Priority | None = None
    budgets: tuple[Budget, ...] = ()
    types: tuple[QName, ...] = ()
    scopes: tuple[str, ...] = ()
    filter: Filter | None = None
    lifetime: float | None = None
    min_replies: int | None = None
    timeout: float | None = None
    min_group: int | None = None
    gathering: Gathering | None = None
