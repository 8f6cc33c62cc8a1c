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


def test_a_relation_weighs_as_the_logarithm_of_its_size():
    ssc = node("ssc1", *EQUALS, *CHILDREN, scopes=(HERE,), max_rate=10_000.0, max_burst=10_000)
    told = Counter()
    for number in range(400):
        (send,) = ssc.originate(one_hop(str(number)), NOW, delivered=True)
        told.update(send.to)
    below = sum(told[one.udp] for one in CHILDREN)
    # log2 3 of log2 3 + log2 21: in proportion to their number it would be 0.09.
    assert 0.2 < below / 1200 < 0.4
    assert all(told[one.udp] for one in EQUALS)


def test_who_knows_nobody_sends_nothing():
    assert node("ssc1", peer("ssc2"), scopes=(HERE,)).originate(one_hop(), NOW, delivered=True) == []
