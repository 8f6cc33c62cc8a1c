"""What goes a single hop: to some of all that it concerns, and there it ends."""

from collections import Counter

import pytest
from builders import ACTION, NOW, address, at, content, gossip, node, peer

from gossip_ws.core.effects import Invoke
from gossip_ws.core.messages import Digest, Gossip
from gossip_ws.kernel.effects import Dropped, Send
from gossip_ws.kernel.terms import Budget, Tier

HERE = "energy://t"
EQUALS = [peer(f"ssc{number}", scope=HERE) for number in range(2, 22)]
CHILDREN = [peer(f"sm{number}", scope=f"{HERE}/{number}") for number in range(2)]
BUDGETS = (Budget(Tier.WAN, 3, 1), Budget(Tier.FAN, 3, 1))


def one_hop(text="one", **changes):
    return content(text, one_hop=True, budgets=BUDGETS, scopes=(HERE,), **changes)


def sent(effects):
    return [effect for effect in effects if isinstance(effect, Send)]


def test_it_costs_its_fanout_and_nobody_is_waited_for():
    ssc = node("ssc1", *EQUALS, *CHILDREN, peer("sm9"), scopes=(HERE,))
    effects = ssc.originate(one_hop(), NOW, delivered=True)
    (send,) = effects
    assert isinstance(send.message, Gossip)
    assert (send.message.hop.rounds, send.message.hop.receipt) == (0, False)
    assert len(set(send.to)) == 3
    assert set(send.to) <= {one.address(send.to[0].binding) for one in (*EQUALS, *CHILDREN)}


@pytest.mark.parametrize("name", ["ssc1", "sm1"])
def test_who_gets_it_delivers_it_and_that_is_all(name):
    # Above, beside and below: each would pass on anything else.
    known = (peer("ssc5", scope=HERE), peer("sm2", scope=HERE), peer("ied3", scope=HERE), peer("ssc6", scope=HERE))
    here = node(name, *known, scopes=(HERE,))
    what = one_hop()
    assert here.receive(gossip("ssc5", what, rounds=0), address("ssc5"), NOW) == [
        Invoke(what.id, ACTION, what.body, "unsigned")
    ]
    assert here.receive(gossip("ssc6", what, rounds=0), address("ssc6"), at(0.1)) == [Dropped("duplicate")]
    # Nor is it kept for who has missed it, or named to who asks.
    assert sent(here.receive(Digest(known[3].device, (b"unknown.",)), address("ssc6"), at(9)))[0].message.ids == (
        b"unknown.",
    )
    (news,) = sent(here.ask_for_news(at(9)))
    assert news.message.held == ()


def told_by(here, times):
    counted = Counter()
    for number in range(times):
        (send,) = here.originate(one_hop(str(number)), NOW, delivered=True)
        assert len(set(send.to)) == 3
        counted.update(send.to)
    return counted


def test_an_equal_and_a_child_are_among_them_in_any_case():
    ssc = node("ssc1", *EQUALS, *CHILDREN, scopes=(HERE,), max_rate=10_000.0, max_burst=10_000)
    told = told_by(ssc, 400)
    below = sum(told[one.udp] for one in CHILDREN)
    # One of three, and of the third what the logarithm of one child that is left makes of it.
    assert 400 < below < 600
    assert all(told[one.udp] for one in EQUALS)


def test_a_parent_is_met_often_and_not_always():
    siblings = [peer(f"sm{number}", scope=HERE) for number in range(2, 22)]
    meter = node("sm1", peer("ssc1", scope=HERE), *siblings, scopes=(HERE,), max_rate=10_000.0, max_burst=10_000)
    told = told_by(meter, 400)
    # Twice with log2 2 of log2 2 + log2 20.
    assert 100 < told[address("ssc1")] < 200
    assert all(told[one.udp] for one in siblings)


def test_who_knows_nobody_sends_nothing():
    assert node("ssc1", peer("ssc2"), scopes=(HERE,)).originate(one_hop(), NOW, delivered=True) == []
