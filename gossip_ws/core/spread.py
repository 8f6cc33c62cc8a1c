"""Where a message goes next: sampling among equals, the whole roster downward, the parent when it comes from below.
One that goes a single hop: to some of all."""

from __future__ import annotations

from math import log2
from typing import NamedTuple

from gossip_ws.core.choice import Choice
from gossip_ws.core.config import NodeConfig
from gossip_ws.core.messages import Hop
from gossip_ws.core.peers import LOWER_TIER, Peer, PeerTable, Relation, Role
from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.names import DeviceId
from gossip_ws.kernel.scopes import covers
from gossip_ws.kernel.terms import Style, Terms, Tier


class Leg(NamedTuple):
    """One group of targets that get the same hop header."""

    tier: Tier
    rounds: int
    peers: tuple[Peer, ...]


class Plan(NamedTuple):
    """`sampled` get the message unacknowledged; `served` (roster and parents) until they give a receipt."""

    sampled: Leg
    served: tuple[Leg, ...]


def plan(config: NodeConfig, table: PeerTable, choice: Choice, terms: Terms, hop: Hop | None) -> Plan:
    """The next hops of a message that came with `hop`, or that starts here (None)."""
    sender = hop.sender if hop is not None else DeviceId("")
    came_from = table.get(sender) if sender else None
    kind = table.relation_of(came_from) if came_from is not None else None
    own_tier = config.own_tier
    budget = terms.budget(own_tier)
    if hop is not None and hop.tier is own_tier and kind is not Relation.CHILD:
        rounds = min(hop.rounds, budget.rounds)
    else:
        # The message enters this tier here: its budget starts.
        rounds = budget.rounds
    rounds = min(rounds, config.max_rounds)
    parents = table.related(Relation.PARENT)

    equals: tuple[Peer, ...] = ()
    if rounds > 0 and may_ask(table, Relation.EQUAL, terms):
        candidates = table.up(Relation.EQUAL, terms.scopes)
        equals = tuple(choice.sample(candidates, min(budget.fanout, config.max_fanout), sender))
    sampled = Leg(own_tier, rounds - 1, equals)

    served = []
    lower = LOWER_TIER.get(config.role)
    if lower is not None:
        children = tuple(peer for peer in table.overlapping(Relation.CHILD, terms.scopes) if peer.device != sender)
        if children:
            down = min(terms.budget(lower).rounds, config.max_rounds)
            served.append(Leg(lower, down, children))
    # Up only from where it began or came from below; a parent or an equal has its own way up. Not at
    # all when everything asked for lies in this device's own area.
    if hop is None or not sender or kind is Relation.CHILD:
        outside = not terms.scopes or not all(_inside(config, scope) for scope in terms.scopes)
        up = tuple(peer for peer in parents if peer.device != sender) if outside else ()
        if up:
            served.append(Leg(own_tier, rounds, up))
    return Plan(sampled, tuple(served))


def some_of_all(table: PeerTable, dice: Dice, scopes: tuple[str, ...], fanout: int) -> tuple[Peer, ...]:
    """At most `fanout` peers that `scopes` concern, at random: an equal and a child in any case, as what is news on one
    side may be known to all on the other; then of all relations, each with the logarithm of its size as its weight. So
    a parent, whom all its roster tells, is met often enough to join areas, and not by everybody at once."""
    groups = {kind: list(peers) for kind in Relation if (peers := table.up(kind, scopes))}
    chosen = [_one_of(dice, groups[kind]) for kind in (Relation.EQUAL, Relation.CHILD) if kind in groups][:fanout]
    left = [peers for peers in groups.values() if peers]
    weights = [log2(1 + len(peers)) for peers in left]
    while left and len(chosen) < fanout:
        at, past = 0, dice.random() * sum(weights)
        while at < len(left) - 1 and past >= weights[at]:
            past -= weights[at]
            at += 1
        chosen.append(_one_of(dice, left[at]))
        if not left[at]:
            del left[at], weights[at]
    return tuple(chosen)


def _one_of(dice: Dice, peers: list[Peer]) -> Peer:
    return peers.pop(int(dice.random() * len(peers)))


def may_ask(table: PeerTable, kind: Relation, terms: Terms) -> bool:
    """May a device pass this message on to peers of this kind at all, whoever has not got it yet?

    A request that makes a tree does not go to equals where a parent serves the whole roster: the tree below one parent
    is then exactly the registered one, and no child can claim more than its registered subtree.
    """
    return kind is not Relation.EQUAL or not (terms.makes_tree and table.related(Relation.PARENT))


def is_in_vain(terms: Terms, peer: Peer) -> bool:
    """Would a one-way message be for nobody there? An appliance that has not the types that are asked for has nobody
    below it who might."""
    return peer.role is Role.APPLIANCE and terms.style is Style.ONE_WAY and not set(terms.types).issubset(peer.types)


def _inside(config: NodeConfig, scope: str) -> bool:
    return any(covers(own, scope) for own in config.scopes)


MAX_BY_UDP = 3_200
"""Octets of content that still fit a datagram of 4,096 with the envelope and the hop's headers around it."""


def binding_for(terms: Terms, size: int) -> Binding:
    """The binding that the origin fixed, or HTTP for what is too large for a datagram."""
    return terms.binding if size <= MAX_BY_UDP else Binding.HTTP
