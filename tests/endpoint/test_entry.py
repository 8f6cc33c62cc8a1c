"""The terms of a message whose caller fixed none: the operation's policy, the wish, the device's caps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from bench import KEY, Bench

from gossip_ws.endpoint.entry import check_gathering, fix_terms
from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.contract import GossipPolicy, Operation
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.kernel.names import QName
from gossip_ws.kernel.terms import Budget, Filter, Gathering, Priority, Style, Terms, Tier, Wanted

PUSH = Operation("Push", "urn:push", Style.ONE_WAY, QName("push"), policy=GossipPolicy())
PULL = Operation(
    "Pull", "urn:pull", Style.REQUEST_RESPONSE, QName("pull"), QName("pulled"), policy=GossipPolicy(aggregate="sum")
)


def fixed(operation: Operation, policy: GossipPolicy | None = None, **wanted: Any) -> Terms:
    bench = Bench(children=4)
    node = bench.endpoint.node
    chosen = replace(operation, policy=policy) if policy is not None else operation
    return fix_terms(chosen, Wanted(**wanted), node.config, node.peers, KEY.id, 1_000.0)


def test_a_push_without_a_wish_has_the_policys_terms() -> None:
    terms = fixed(PUSH)
    assert (terms.style, terms.binding, terms.priority) == (Style.ONE_WAY, Binding.UDP, Priority.NORMAL)
    assert (terms.originator, terms.issued, terms.expires) == (KEY.id, 1_000.0, 4_600.0)
    assert (terms.filter, terms.min_replies, terms.timeout, terms.min_group) == (None, 0, 0.0, 1)
    assert {budget.tier for budget in terms.budgets} == {Tier.WAN, Tier.FAN, Tier.HAN}
    assert terms.budget(Tier.FAN) == Budget(Tier.FAN, 2, 2)


def test_a_pull_lives_twice_as_long_as_it_waits() -> None:
    terms = fixed(PULL, timeout=4.0, lifetime=1_000.0)
    assert (terms.timeout, terms.expires) == (4.0, 1_008.0)
    assert terms.filter == Filter(name="sum")


def test_a_wish_goes_before_the_policy() -> None:
    policy = GossipPolicy(fanout=5, rounds=6, scope="grid://a", binding=Binding.HTTP, aggregate="sum", min_group=3)
    terms = fixed(PULL, policy)
    assert (terms.scopes, terms.binding, terms.min_group) == (("grid://a",), Binding.HTTP, 3)
    assert terms.budget(Tier.FAN) == Budget(Tier.FAN, 5, 6)
    wished = fixed(
        PULL,
        policy,
        scopes=("grid://b",),
        binding=Binding.UDP,
        budgets=(Budget(Tier.FAN, 1, 1),),
        filter=Filter(name="max"),
        min_replies=2,
        min_group=9,
        priority=Priority.PROTECTION,
    )
    assert (wished.scopes, wished.binding, wished.filter) == (("grid://b",), Binding.UDP, Filter(name="max"))
    assert (wished.budget(Tier.FAN), wished.budget(Tier.WAN)) == (Budget(Tier.FAN, 1, 1), Budget(Tier.WAN, 5, 6))
    assert (wished.min_replies, wished.min_group, wished.priority) == (2, 9, Priority.PROTECTION)


def test_a_wish_cannot_make_the_policys_group_smaller() -> None:
    assert fixed(PULL, GossipPolicy(aggregate="sum", min_group=5), min_group=1).min_group == 5


@pytest.mark.parametrize(
    ("operation", "wanted", "reason"),
    [
        (PUSH, {"lifetime": 8 * 86_400.0}, "LifetimeTooLong"),
        (PUSH, {"lifetime": 0.0}, "LifetimeTooLong"),
        (PULL, {"timeout": 0.0}, "LifetimeTooLong"),
        (PULL, {"timeout": 4 * 86_400.0}, "LifetimeTooLong"),
        (PUSH, {"filter": Filter(name="sum")}, "FilterNotAllowed"),
        (PULL, {"gathering": Gathering.SPREAD, "min_replies": 1}, "GatheringNotAllowed"),
        (PULL, {"gathering": Gathering.SPREAD, "min_group": 2}, "GatheringNotAllowed"),
        (PUSH, {"budgets": (Budget(Tier.WAN, 65, 1),)}, "BudgetTooLarge"),
        (PUSH, {"budgets": (Budget(Tier.HAN, 1, 33),)}, "BudgetTooLarge"),
    ],
)
def test_what_is_beyond_the_devices_own_caps(operation: Operation, wanted: dict[str, Any], reason: str) -> None:
    with pytest.raises(RemoteError) as caught:
        fixed(operation, **wanted)
    assert caught.value.fault.subcode.endswith(f"}}{reason}")


def test_a_request_without_any_filter_has_no_one_answer() -> None:
    with pytest.raises(RemoteError) as caught:
        fixed(PULL, GossipPolicy())
    assert caught.value.fault.subcode.endswith("}NoFilter")


def test_what_a_client_signed_is_held_to_the_same() -> None:
    spread = replace(fixed(PULL, gathering=Gathering.SPREAD), filter=Filter(name="max"))
    check_gathering(spread)
    push = replace(spread, style=Style.ONE_WAY, filter=None)
    for terms in (replace(spread, filter=None), push, replace(spread, min_group=2), replace(spread, min_replies=1)):
        with pytest.raises(RemoteError, match="spread"):
            check_gathering(terms)
        check_gathering(replace(terms, gathering=Gathering.TREE))


def test_an_operation_without_a_policy_is_not_asked_for() -> None:
    with pytest.raises(LocalError, match="not gossip-enabled"):
        fixed(Operation("Plain", "urn:plain", Style.ONE_WAY, QName("plain")))
