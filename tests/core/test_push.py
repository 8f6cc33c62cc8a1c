"""A push, one input at a time: the whole list of effects is what a node does."""

from builders import ACTION, NOW, address, at, content, device, gossip, node, peer

from gossip_ws.core.effects import Invoke, ServeAgain
from gossip_ws.core.messages import Digest, Gossip, Hop, Receipt, Standing
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.names import DeviceId
from gossip_ws.kernel.terms import Tier


def invoke(what):
    return Invoke(what.id, ACTION, what.body, "unsigned")


def test_a_relay_sends_on_to_equals_with_one_round_less_and_delivers_once():
    ssc = node("ssc1", peer("is0"), peer("ssc2"), peer("ssc3"))
    tariff = content()
    effects = ssc.receive(gossip("is0", tariff, rounds=1), address("is0"), NOW)
    (sent, invoked) = effects
    assert sent.message == Gossip(tariff, Hop(device("ssc1"), Tier.WAN, 0, hops=2, age=0.5))
    assert set(sent.to) == {address("ssc2"), address("ssc3")}  # fanout 3, but not back to the sender
    assert invoked == invoke(tariff)
    assert ssc.receive(gossip("ssc2", tariff), address("ssc2"), NOW) == [Dropped("duplicate")]


def test_no_rounds_left_means_deliver_and_serve_children_only():
    ssc = node("ssc1", peer("is0"), peer("ssc2"), peer("sm1"), peer("sm2"))
    tariff = content()
    effects = ssc.receive(gossip("is0", tariff, rounds=0), address("is0"), NOW)
    hop = Hop(device("ssc1"), Tier.FAN, 1, hops=2, age=0.5, receipt=True)
    assert effects == [
        Send(Gossip(tariff, hop), (address("sm1"), address("sm2"))),
        SetTimer(ServeAgain(tariff.id, 1), 0.25),
        invoke(tariff),
    ]


def test_a_parent_serves_its_roster_until_each_gave_a_receipt():
    ssc = node("ssc1", peer("is0"), peer("sm1"), peer("sm2"))
    tariff = content()
    ssc.receive(gossip("is0", tariff, rounds=0), address("is0"), NOW)
    assert ssc.receive(Receipt(tariff.id, device("sm1"), Standing.TAKEN), address("sm1"), at(0.1)) == []
    again = ssc.timer(ServeAgain(tariff.id, 1), at(0.25))
    hop = Hop(device("ssc1"), Tier.FAN, 1, hops=2, age=0.75, receipt=True)
    assert again == [Send(Gossip(tariff, hop), (address("sm2"),)), SetTimer(ServeAgain(tariff.id, 2), 0.5)]
    ssc.receive(Receipt(tariff.id, device("sm2"), Standing.TAKEN), address("sm2"), at(0.3))
    assert ssc.timer(ServeAgain(tariff.id, 2), at(0.75)) == []


def test_a_silent_child_is_given_up_after_the_configured_resends_and_counted():
    meter = node("sm1", peer("ssc1"), peer("ied1"), retries=2)
    tariff = content()
    meter.receive(gossip("ssc1", tariff, Tier.FAN, 0), address("ssc1"), NOW)
    assert len(meter.timer(ServeAgain(tariff.id, 1), at(0.25))) == 2
    assert len(meter.timer(ServeAgain(tariff.id, 2), at(0.75))) == 2
    assert meter.timer(ServeAgain(tariff.id, 3), at(1.75)) == [Dropped("served without a receipt")]


def test_a_child_gives_its_receipt_again_when_the_first_was_lost():
    meter = node("sm1", peer("ssc1"))
    tariff = content()
    served = gossip("ssc1", tariff, Tier.FAN, 0, receipt=True)
    receipt = Send(Receipt(tariff.id, device("sm1"), Standing.TAKEN), (address("ssc1"),))
    assert meter.receive(served, address("ssc1"), NOW) == [receipt, invoke(tariff)]
    assert meter.receive(served, address("ssc1"), at(0.25)) == [receipt, Dropped("duplicate")]


def test_what_starts_at_a_meter_goes_up_to_its_parent_too():
    meter = node("sm1", peer("ssc1"), peer("sm2"), peer("ied1"))
    alarm = content()
    effects = meter.originate(alarm, NOW)
    targets = {to: effect.message.hop for effect in effects if isinstance(effect, Send) for to in effect.to}
    assert set(targets) == {address("sm2"), address("ied1"), address("ssc1")}
    assert targets[address("ssc1")].receipt
    assert targets[address("ied1")].tier is Tier.HAN
    assert effects[-1] == invoke(alarm)


def test_what_comes_from_below_starts_the_budget_of_the_tier_above():
    ssc = node("ssc1", peer("is0"), peer("ssc2"), peer("sm1"), peer("sm2"))
    effects = ssc.receive(gossip("sm1", content(), Tier.FAN, 0), address("sm1"), NOW)
    hops = {to: effect.message.hop for effect in effects if isinstance(effect, Send) for to in effect.to}
    assert set(hops) == {address("is0"), address("ssc2"), address("sm2")}
    assert hops[address("is0")].rounds == 1  # the signed two rounds, this hop being the first


def test_a_scope_keeps_a_message_in_its_area():
    here, there = peer("ssc2", scope="grid://t/a"), peer("ssc3", scope="grid://t/b")
    root = node("is0", here, there)
    effects = root.originate(content(scopes=("grid://t/a/sm-1",)), NOW)
    assert [effect.to for effect in effects if isinstance(effect, Send)] == [(address("ssc2"),)]


def test_a_device_outside_the_types_asked_for_relays_but_does_not_deliver():
    ssc = node("ssc1", peer("is0"), peer("sm1"))
    tariff = content(types=("{urn:test}Meter",))
    effects = ssc.receive(gossip("is0", tariff, rounds=0), address("is0"), NOW)
    assert [type(effect) for effect in effects] == [Send, SetTimer]


def test_an_appliance_outside_the_types_asked_for_is_not_sent_what_it_would_only_drop():
    """Not by its meter, nor when it asks for news. It has nobody below it."""
    meter = node("sm1", peer("ssc1"), peer("ied1"))
    for kind, served in (((), True), (("{urn:test}Meter",), False)):
        tariff = content(f"{kind}", types=kind)
        effects = meter.receive(gossip("ssc1", tariff, Tier.FAN, 0), address("ssc1"), NOW)
        assert [effect.to for effect in effects if isinstance(effect, Send)] == [(address("ied1"),)] * served
        started = Digest(device("ied1"), ())
        sent = [effect.message for effect in meter.receive(started, address("ied1"), at(5))]
        assert (tariff in [message.content for message in sent if isinstance(message, Gossip)]) is served


def test_rounds_above_the_signed_budget_buy_nothing():
    ssc = node("ssc1", peer("is0"), peer("ssc2"))
    effects = ssc.receive(gossip("is0", content(), rounds=31), address("is0"), NOW)
    assert effects[0].message.hop.rounds == 1


def test_the_local_cap_on_fanout_holds_whatever_was_signed():
    crowd = [peer(f"ssc{number}") for number in range(2, 40)]
    ssc = node("ssc1", *crowd, max_fanout=5)
    from gossip_ws.kernel.terms import Budget

    effects = ssc.originate(content(budgets=(Budget(Tier.WAN, 60, 2),)), NOW)
    assert len(effects[0].to) == 5


def test_an_expired_message_is_dropped_and_a_stranger_gets_no_receipt():
    meter = node("sm1", peer("ssc1"))
    old = content(expires=NOW.wall - 1)
    assert meter.receive(gossip("ssc1", old, Tier.FAN, 0), address("ssc1"), NOW) == [Dropped("expired")]
    fresh = content("fresh")
    stranger = gossip("sm77", fresh, Tier.FAN, 0, receipt=True)
    # The content is signed, so it counts; the claimed sender is nobody's, so nothing is sent to it.
    assert meter.receive(stranger, address("sm77"), NOW) == [invoke(fresh)]
    assert DeviceId(device("sm77")) not in {held.device for held in meter.peers}


def test_a_message_that_missed_everyone_is_asked_for_and_handed_over():
    ssc = node("ssc1", peer("ssc2"))
    late = node("ssc2", peer("ssc1"))
    tariff = content()
    ssc.receive(gossip("is0", tariff, rounds=0), address("is0"), NOW)
    from gossip_ws.core.effects import PullNews

    asked = [effect for effect in late.timer(PullNews(), at(5)) if isinstance(effect, Send)]
    (answer,) = ssc.receive(asked[0].message, address("ssc2"), at(5))
    assert answer.to == (address("ssc2"),)
    assert answer.message.hop.age == 5.5
    assert invoke(tariff) in late.receive(answer.message, address("ssc1"), at(5))
    asked = [effect for effect in late.timer(PullNews(), at(15)) if isinstance(effect, Send)]
    assert ssc.receive(asked[0].message, address("ssc2"), at(15)) == []


def test_memory_is_bounded_and_forgets_what_expires_first():
    meter = node("sm1", peer("ssc1"), seen_limit=20, store_limit=8, query_limit=8)
    for number in range(100):
        what = content(str(number), expires=NOW.wall + 1_000 - number)
        meter.receive(gossip("ssc1", what, Tier.FAN, 0), address("ssc1"), NOW)
    assert len(meter._seen) <= 20
    assert len(meter._recent) == 8


def test_a_cap_on_new_messages_holds_and_what_it_refused_is_taken_later():
    meter = node("sm1", peer("ssc1"), max_rate=2.0, max_burst=3)
    outcomes = [
        meter.receive(gossip("ssc1", content(str(k)), Tier.FAN, 0, receipt=True), address("ssc1"), NOW)
        for k in range(5)
    ]
    assert [effects[0] == Dropped("too many messages") for effects in outcomes] == [False] * 3 + [True] * 2
    # No receipt was given, so the parent tries again; half a second earns one message.
    again = gossip("ssc1", content("4"), Tier.FAN, 0, receipt=True)
    assert invoke(content("4")) in meter.receive(again, address("ssc1"), at(0.5))
