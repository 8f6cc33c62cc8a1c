"""Plans: what each variant needs and costs, how a target is shared out among tiers, and what cannot be planned."""

from __future__ import annotations

from dataclasses import fields
from itertools import islice
from math import prod
from random import Random

import pytest

from gossip_ws.core import repair
from gossip_ws.core.config import NodeConfig
from gossip_ws.core.messages import Advert, Digest, Fetch, Gossip, Hop, Receipt, Signature, Standing
from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import TARIFF, DeviceId
from gossip_ws.kernel.terms import Budget, Priority, Style, Terms, Tier, Variant
from gossip_ws.security.keys import PrivateKey
from gossip_ws.theory import anti_entropy, lazy, planner, traffic
from gossip_ws.theory.plans import Node, Plan, plan
from gossip_ws.theory.reach import Push, reach
from gossip_ws.theory.spread import Link, spread
from gossip_ws.theory.tiers import Segment
from gossip_ws.wire.gossip import XmlCodec

DEFAULT = {field.name: field.default for field in fields(NodeConfig)}
NODE = Node(*(DEFAULT[field.name] for field in fields(Node)))
TOWN = (
    Segment("WAN", 91, 1, 0.05, 0.0, 0.03, 1e7),
    Segment("FAN", 5_400, 90, 0.1, 0.1, 0.05, 128_000),
    Segment("HAN", 10_000, 5_000, 0.02, 0.2, 0.01, 250_000),
)


def one(nodes: int, target: float = 0.99, loss: float = 0.1, crashed: float = 0.1, **more: object) -> Plan:
    segment = Segment("all", nodes, 1, loss, crashed)
    return plan((segment,), target, more.get("variant", Variant.EAGER_PUSH), NODE)  # type: ignore[arg-type]


def test_one_tier_is_what_the_devices_own_planner_says() -> None:
    """The defaults come from the same function, with crashed devices rounded up."""
    for nodes in (10, 100, 1_000):
        (tier,) = one(nodes, 0.999).tiers
        assert tier.fanout == planner.fanout_for_all(nodes, 0.1, 0.1, 0.999)
        assert [(nodes, tier.fanout, tier.rounds)] == list(planner.defaults((nodes,)))
        assert tier.envelopes == pytest.approx(tier.fanout, rel=1e-3)
        assert tier.octets == pytest.approx(tier.fanout * traffic.PAYLOAD, rel=1e-3)


@pytest.mark.parametrize("target", [0.5, 0.9, 0.99, 0.999, 0.99999])
def test_more_is_promised_than_is_wanted_and_with_one_peer_fewer_it_is_not(target: float) -> None:
    found = one(200, target)
    assert found.all_reached >= target
    fewer = Push(200, 20, found.tiers[0].fanout - 1, 0.1)
    assert reach(fewer).all_reached < target


def test_a_hop_takes_as_long_as_its_last_message() -> None:
    """No loss, a fanout of all others: one hop of four messages, each a second long."""
    segment = Segment("slow", 5, 1, 0.0, 0.0, 0.5, traffic.PAYLOAD * 8)
    found = spread(5, 0.0, Link(0.0, segment.delay, segment.bandwidth), 0.9999, Variant.EAGER_PUSH)
    assert (found.fanout, found.reach.all_reached) == (4, 1.0)
    assert found.seconds == pytest.approx(0.5 + 4)


def test_alone_there_is_nothing_to_plan() -> None:
    (tier,) = one(1).tiers
    assert (tier.fanout, tier.rounds, tier.all_reached, tier.envelopes, tier.seconds) == (0, 0, 1.0, 0.0, 0.0)
    assert one(2, crashed=0.5).tiers[0].fanout == 0


def test_groups_share_the_target() -> None:
    """Forty groups of fifty all reach everyone as often as the target says: each has to do better."""
    (tier,) = plan((Segment("areas", 2_000, 40, 0.1),), 0.99, Variant.EAGER_PUSH, NODE).tiers
    assert tier.all_reached >= 0.99
    assert tier.all_reached == pytest.approx(reach(Push(50, 0, tier.fanout, 0.1)).all_reached ** 40)
    assert reach(Push(50, 0, tier.fanout - 1, 0.1)).all_reached ** 40 < 0.99


def test_tiers_together_keep_the_target() -> None:
    found = plan(TOWN, 0.999, Variant.EAGER_PUSH, NODE)
    assert found.all_reached == prod(tier.all_reached for tier in found.tiers) >= 0.999
    assert found.nodes == 15_491
    wan, fan, han = found.tiers
    assert (wan.served, fan.served, han.served) == (False, True, True)
    # Insurance among meters, as devices have it; appliances have no equals.
    assert fan.fanout == planner.fanout_for_coverage(60, 0.1, 0.1, 0.99)
    assert (han.fanout, han.rounds) == (0, 0)
    # A tenth of the meters is off, and what is below them gets nothing.
    assert (wan.cut_off, fan.cut_off, han.cut_off) == (0.0, 0.0, pytest.approx(0.1))
    assert han.coverage == pytest.approx(0.9, abs=1e-6)
    assert found.coverage == pytest.approx((91 + 4_860 + 0.9 * 8_000) / (91 + 4_860 + 8_000), abs=1e-4)
    assert found.seconds == sum(tier.seconds for tier in found.tiers)


def test_where_resends_are_not_enough_equals_help() -> None:
    """At 60 % loss a child misses all thirteen copies once in 770: sampling has to do more than it is there for."""
    bad = Segment("FAN", 3_000, 30, 0.6)
    (_, tier) = plan((Segment("WAN", 30, 1), bad), 0.999, Variant.EAGER_PUSH, NODE).tiers
    assert tier.all_reached >= 0.9995
    assert tier.fanout >= planner.fanout_for_coverage(100, 0.6, 0.0, 0.99)
    for hopeless in (Segment("HAN", 3_000, 30, 0.6), Segment("pairs", 3_000, 1_500, 0.7)):
        with pytest.raises(LocalError, match=f"tier {hopeless.name}: no fanout reaches all"):
            plan((Segment("WAN", 1_500, 1), hopeless), 0.999, Variant.EAGER_PUSH, NODE)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"nodes": 100, "target": 1.0}, "a target lies between 0 and 1"),
        ({"nodes": 100, "target": 0.0}, "a target lies between 0 and 1"),
        ({"nodes": 100, "target": float("nan")}, "a target lies between 0 and 1"),
        ({"nodes": 2}, "no fanout reaches all of 2 live devices"),
        ({"nodes": 5, "loss": 0.9}, "no fanout reaches all of 5 live devices"),
        ({"nodes": 1_000, "loss": 0.4, "variant": Variant.LAZY_PUSH}, "fetches are lost too"),
        ({"nodes": 100, "variant": Variant.ADAPTIVE}, "adaptive spreads over the links"),
        ({"nodes": 100, "loss": 0.999, "variant": Variant.EAGER_PULL}, "more than 10000 periods"),
    ],
)
def test_what_cannot_be_planned(arguments: dict[str, object], told: str) -> None:
    with pytest.raises(LocalError, match=told) as caught:
        one(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_several_tiers_are_planned_for_eager_push_alone() -> None:
    with pytest.raises(LocalError, match="for eager-push alone, not for lazy-push"):
        plan(TOWN, 0.9, Variant.LAZY_PUSH, NODE)


def test_variants_need_what_their_ways_lose() -> None:
    """Three messages in a row are lost more often than one; a digest beside the payloads saves some of them."""
    found = {variant: one(200, 0.99, variant=variant).tiers[0] for variant in Variant if variant != Variant.ADAPTIVE}
    eager, lazily, both = found[Variant.EAGER_PUSH], found[Variant.LAZY_PUSH], found[Variant.PUSH_PULL]
    assert both.fanout < eager.fanout <= lazily.fanout
    assert lazily.octets < 0.5 * eager.octets
    for pull in (Variant.EAGER_PULL, Variant.LAZY_PULL):
        assert (found[pull].fanout, found[pull].all_reached >= 0.99) == (1, True)
    assert found[Variant.LAZY_PULL].rounds >= found[Variant.EAGER_PULL].rounds


def lazily(n: int, live: int, fanout: int, loss: float, dice: Random) -> bool:
    """One lazy push, device by device: is everyone reached?"""
    has, heard, tried = {0}, [0] * live, [0] * live
    senders = [0]
    while senders:
        for sender in senders:
            for target in dice.sample(range(n - 1), fanout):
                target += target >= sender
                if target < live and dice.random() >= loss:
                    heard[target] += 1
        senders = []
        for device in range(live):
            tries = 1 + 2 * min(heard[device], 4) if heard[device] else 0
            while device not in has and tried[device] < tries:
                tried[device] += 1
                if dice.random() >= loss and dice.random() >= loss:
                    has.add(device)
                    senders.append(device)
    return len(has) == live


@pytest.mark.parametrize(("n", "gone", "fanout", "loss"), [(24, 5, 9, 0.3), (60, 0, 7, 0.1)])
def test_lazy_push_against_dice(n: int, gone: int, fanout: int, loss: float) -> None:
    """Three standard errors, and a hundredth for what the formula takes as independent."""
    promise, runs, dice = lazy.reach_lazily(n, gone, fanout, loss), 500, Random(n)
    kept = sum(lazily(n, n - gone, fanout, loss, dice) for _ in range(runs)) / runs
    expected = promise.all_reached
    assert abs(kept - expected) < 3 * (expected * (1 - expected) / runs) ** 0.5 + 0.01
    assert promise.all_reached < lazy.limit(n - gone, loss)


@pytest.mark.parametrize(("n", "push", "pull"), [(50, 0.5, 0.0), (1_100, 0.0, 0.7)])
def test_the_course_of_a_pull_has_its_mean(n: int, push: float, pull: float) -> None:
    course = list(islice(anti_entropy.course(n, push, pull), 80))
    assert [everyone for everyone, _ in course] == sorted(everyone for everyone, _ in course)
    rounds = 1 + sum(1 - everyone for everyone, _ in course)
    assert rounds == pytest.approx(anti_entropy.mean_rounds(n, push, pull), rel=1e-6 if n < 1_000 else 0.01)
    assert course[-1][1] == pytest.approx(1)


def test_fetches_are_the_cores() -> None:
    assert lazy.ADVERTISERS == repair.ADVERTISERS


def test_sizes_are_what_the_codec_writes() -> None:
    """Within 3 %: a signed tariff of six bands, and what nodes say to one another."""
    key, codec, device = PrivateKey.generate(), XmlCodec(), DeviceId("urn:uuid:00000001-0000-4000-8000-000000000000")
    bands = "".join(
        f"<t:band><t:fromMinute>{240 * k}</t:fromMinute><t:toMinute>{240 * k + 240}</t:toMinute>"
        f"<t:price>0.{20 + k}</t:price></t:band>"
        for k in range(6)
    )
    body = (
        f'<t:SetTariff xmlns:t="{TARIFF}"><t:tariff><t:id>winter</t:id><t:version>7</t:version>'
        f"<t:start>2026-11-21T00:00:00Z</t:start><t:end>2026-12-21T00:00:00Z</t:end>{bands}</t:tariff></t:SetTariff>"
    )
    terms = Terms(
        variant=Variant.EAGER_PUSH,
        style=Style.ONE_WAY,
        binding=Binding.UDP,
        priority=Priority.NORMAL,
        budgets=(Budget(Tier.WAN, 14, 11), Budget(Tier.FAN, 6, 10), Budget(Tier.HAN, 0, 0)),
        types=(),
        scopes=("grid://town/1",),
        originator=key.id,
        issued=1_795_219_200.123456,
        expires=1_795_737_600.123456,
        latest=True,
    )
    content = codec.seal(f"{TARIFF}:SetTariff", terms, body.encode(), lambda id: Signature(key.id, key.sign(id)))
    ids = (content.id[:8],)
    for message, octets in (
        (Gossip(content, Hop(device, Tier.FAN, 9, 2, 0.123, receipt=True)), traffic.PAYLOAD),
        (Receipt(content.id, device, Standing.TAKEN), traffic.RECEIPT),
        (Advert(device, Variant.LAZY_PUSH, ids), traffic.ADVERT),
        (Fetch(device, ids), traffic.FETCH),
        (Digest(device, ids), traffic.DIGEST),
    ):
        assert len(codec.encode(message)) == pytest.approx(octets, rel=0.03)
