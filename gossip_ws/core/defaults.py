"""The budgets of a message whose sender named none: they follow the population that this node knows of."""

from __future__ import annotations

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.peers import PeerTable, Relation, Role
from gossip_ws.kernel.terms import Budget, Tier


def default_budgets(config: NodeConfig, table: PeerTable) -> tuple[Budget, ...]:
    """One budget a tier. An appliance has one parent and no equals to sample: nothing is spent in the HAN."""
    equals = 1 + len(table.related(Relation.EQUAL))
    children = table.related(Relation.CHILD)
    if config.own_tier is Tier.WAN:
        wide = equals
        # Of other substations a controller knows only how much is registered below them.
        areas = [peer.subtree for peer in table.related(Relation.EQUAL) if peer.role is Role.SUBSTATION]
        field = 1 + max([len(children), *areas])
    else:
        field = equals + len(table.related(Relation.PARENT))
        # A meter knows nothing of the WAN; what enters from below is spread there for as many again.
        wide = field
    return (
        config.wide.budget(Tier.WAN, wide),
        config.field.budget(Tier.FAN, field),
        Budget(Tier.HAN, 0, 0),
    )
