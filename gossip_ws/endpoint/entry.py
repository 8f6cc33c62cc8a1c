"""The terms of a message whose caller fixed none: what it wants, the operation's policy, the device's caps."""

from __future__ import annotations

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.defaults import default_budgets
from gossip_ws.core.peers import PeerTable
from gossip_ws.kernel.contract import GossipPolicy, Operation
from gossip_ws.kernel.errors import LocalError, sender_fault
from gossip_ws.kernel.terms import Budget, Filter, Gathering, Style, Terms, Variant, Wanted


def fix_terms(
    operation: Operation, wanted: Wanted, config: NodeConfig, table: PeerTable, originator: str, wall: float
) -> Terms:
    """The fixed part for one call of `operation` at wall time `wall` (s). Raises RemoteError over a cap."""
    policy = operation.policy
    if policy is None:
        raise LocalError(f"{operation.name} is not gossip-enabled")
    request = operation.style is Style.REQUEST_RESPONSE
    lifetime = policy.lifetime if wanted.lifetime is None else wanted.lifetime
    timeout = (policy.timeout if wanted.timeout is None else wanted.timeout) if request else 0.0
    if request:
        # After that nobody is asked any more, and the table of open requests may forget it.
        lifetime = 2 * timeout
    if not 0 < lifetime <= config.max_lifetime:
        raise sender_fault("LifetimeTooLong", f"a lifetime is at most {config.max_lifetime:g} s")
    chosen = wanted.filter
    if chosen is None and request:
        chosen = Filter(name=policy.aggregate) if policy.aggregate else None
    if request and chosen is None:
        raise sender_fault("NoFilter", f"{operation.name} names no default aggregate: ask for a filter")
    if not request and chosen is not None:
        raise sender_fault("FilterNotAllowed", f"{operation.name} is one-way: there are no replies to filter")
    scopes = wanted.scopes or ((policy.scope,) if policy.scope else ())
    fixed = Terms(
        variant=wanted.variant or policy.variant,
        style=operation.style,
        binding=wanted.binding or policy.binding,
        priority=policy.priority if wanted.priority is None else wanted.priority,
        budgets=_budgets(operation, wanted, config, table),
        types=wanted.types,
        scopes=scopes,
        originator=originator,
        issued=wall,
        expires=wall + lifetime,
        filter=chosen,
        min_replies=wanted.min_replies or 0 if request else 0,
        timeout=timeout,
        min_group=max(policy.min_group, wanted.min_group or 1) if request else 1,
        gathering=(wanted.gathering or policy.gathering) if request else Gathering.TREE,
        latest=policy.latest and not request,
        one_hop=policy.one_hop and not request,
    )
    check_singling(fixed, policy)
    check_gathering(fixed)
    return fixed


def check_singling(terms: Terms, policy: GossipPolicy | None) -> None:
    """Single replies are not given where an answer stands for a group at least: they would single out households.

    Asked at every device, so that none gives its reply to an origin that overlooks it. Raises RemoteError.
    """
    demanded = max(terms.min_group, policy.min_group if policy is not None else 1)
    if terms.filter is not None and terms.filter.is_all and demanded > 1:
        raise sender_fault(
            "FilterNotAllowed", f"no single replies where an answer is to stand for at least {demanded} devices"
        )


def check_gathering(terms: Terms) -> None:
    """May the values come together as the terms say? Raises RemoteError.

    Who exchanges accumulators counts nobody: what asks for a number of replies, or promises that no small group is
    singled out, cannot be kept.
    """
    if terms.gathering is Gathering.TREE:
        return
    if terms.style is not Style.REQUEST_RESPONSE or terms.filter is None:
        raise sender_fault("GatheringNotAllowed", "what is gathered by spread is a request with a filter")
    if terms.min_replies or terms.min_group > 1:
        raise sender_fault(
            "GatheringNotAllowed", "spread counts no contributors: neither MinReplies nor MinGroup can be kept"
        )


def _budgets(operation: Operation, wanted: Wanted, config: NodeConfig, table: PeerTable) -> tuple[Budget, ...]:
    policy = operation.policy
    adaptive = (wanted.variant or (policy.variant if policy is not None else None)) is Variant.ADAPTIVE
    asked = {budget.tier: budget for budget in wanted.budgets}
    budgets = []
    for default in default_budgets(config, table):
        budget = asked.get(default.tier, default)
        if default.tier not in asked and policy is not None:
            fanout = default.fanout if policy.fanout is None else policy.fanout
            rounds = default.rounds if policy.rounds is None else policy.rounds
            if adaptive and fanout and policy.rounds is None:
                # A tree is deeper than an epidemic; a cut branch would be taken for a loss.
                rounds = config.max_rounds
            budget = Budget(default.tier, fanout, rounds)
        if budget.fanout > config.max_fanout or budget.rounds > config.max_rounds:
            raise sender_fault(
                "BudgetTooLarge", f"fanout is at most {config.max_fanout}, rounds at most {config.max_rounds}"
            )
        budgets.append(budget)
    return tuple(budgets)
