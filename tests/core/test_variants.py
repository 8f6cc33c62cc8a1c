"""Lazy, pulling and adaptive spread, one input at a time."""

from builders import ACTION, NOW, address, at, befriend, content, device, gossip, node, peer

from gossip_ws.core.effects import FetchAgain, Invoke, PullNews
from gossip_ws.core.messages import Advert, Digest, Fetch, Gossip, Prune
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.terms import Budget, Tier, Variant


def sends(effects, kind):
    return [effect for effect in effects if isinstance(effect, Send) and isinstance(effect.message, kind)]


def test_lazy_push_sends_ids_and_gives_the_payload_to_who_fetches():
    ssc = node("ssc1", peer("is0"), peer("ssc2"), peer("ssc3"))
    what = content(variant=Variant.LAZY_PUSH)
    effects = ssc.receive(gossip("is0", what), address("is0"), NOW)
    (advert,) = sends(effects, Advert)
    assert advert.message == Advert(device("ssc1"), Variant.LAZY_PUSH, (what.id[:8],))
    assert set(advert.to) == {address("ssc2"), address("ssc3")}
    assert sends(effects, Gossip) == []
    (given,) = ssc.receive(Fetch(device("ssc2"), (what.id[:8],)), address("ssc2"), at(0.1))
    assert (given.message.content, given.to) == (what, (address("ssc2"),))
    assert given.message.hop.rounds == 0


def test_what_is_advertised_is_fetched_once_and_from_another_when_it_does_not_come():
    ssc = node("ssc1", peer("ssc2"), peer("ssc3"))
    what = content(variant=Variant.LAZY_PUSH)
    head = what.id[:8]
    effects = ssc.receive(Advert(device("ssc2"), Variant.LAZY_PUSH, (head,)), address("ssc2"), NOW)
    assert effects == [
        SetTimer(FetchAgain(head, 1), 0.25),
        Send(Fetch(device("ssc1"), (head,)), (address("ssc2"),)),
    ]
    assert ssc.receive(Advert(device("ssc3"), Variant.LAZY_PUSH, (head,)), address("ssc3"), NOW) == []
    (fetch, timer) = ssc.timer(FetchAgain(head, 1), at(0.25))
    assert fetch == Send(Fetch(device("ssc1"), (head,)), (address("ssc3"),))
    ssc.receive(gossip("ssc3", what, rounds=0), address("ssc3"), at(0.3))
    assert ssc.timer(timer.timer, at(0.5)) == []


def test_an_advert_of_what_is_held_is_nothing():
    ssc = node("ssc1", peer("ssc2"))
    what = content()
    ssc.receive(gossip("ssc2", what, rounds=0), address("ssc2"), NOW)
    assert ssc.receive(Advert(device("ssc2"), Variant.LAZY_PUSH, (what.id[:8],)), address("ssc2"), NOW) == []


def test_who_pulls_eagerly_gets_payloads_and_who_pulls_lazily_gets_ids():
    for variant, kind in ((Variant.EAGER_PULL, Gossip), (Variant.LAZY_PULL, Advert)):
        ssc = node("ssc1", peer("ssc2"))
        what = content(variant=variant)
        effects = ssc.originate(what, NOW)
        assert effects == [Invoke(what.id, ACTION, what.body, "unsigned")]  # nobody is sent anything
        (answer,) = ssc.receive(Digest(device("ssc2"), ()), address("ssc2"), at(0.1))
        assert isinstance(answer.message, kind)


def test_push_pull_asks_for_news_at_once():
    ssc = node("ssc1", peer("ssc2"))
    assert sends(ssc.originate(content(variant=Variant.PUSH_PULL), NOW), Digest)


def test_the_asked_fetches_what_the_asker_has_and_it_lacks():
    ssc = node("ssc1", peer("ssc2"))
    (fetch,) = ssc.receive(Digest(device("ssc2"), (b"12345678",)), address("ssc2"), NOW)
    assert fetch == Send(Fetch(device("ssc1"), (b"12345678",)), (address("ssc2"),))


def test_what_is_still_spreading_is_no_news():
    ssc = node("ssc1", peer("ssc2"))
    ssc.originate(content("held by both"), NOW)
    ssc.originate(content(), NOW)
    digest = Digest(device("ssc2"), (content("held by both").id[:8],))
    assert ssc.receive(digest, address("ssc2"), at(1.0)) == []
    assert len(ssc.receive(digest, address("ssc2"), at(2.0))) == 1


def test_who_holds_nothing_has_just_started_and_is_given_that_too():
    ssc = node("ssc1", peer("ssc2"))
    ssc.originate(content(), NOW)
    assert len(ssc.receive(Digest(device("ssc2"), ()), address("ssc2"), at(0.1))) == 1


def test_a_child_that_asks_late_is_given_its_own_tiers_rounds():
    # What is left of the meter's own tier would be over the budget of the appliance's: refused there as junk.
    meter = node("sm1", peer("ssc1"), peer("ied1"))
    what = content(budgets=(Budget(Tier.FAN, 2, 5), Budget(Tier.HAN, 0, 0)))
    meter.receive(gossip("ssc1", what, Tier.FAN, 5), address("ssc1"), NOW)
    (given,) = meter.receive(Digest(device("ied1"), ()), address("ied1"), at(2))
    assert (given.message.hop.tier, given.message.hop.rounds) == (Tier.HAN, 0)
    (fetched,) = meter.receive(Fetch(device("ied1"), (what.id[:8],)), address("ied1"), at(2))
    assert (fetched.message.hop.tier, fetched.message.hop.rounds) == (Tier.HAN, 0)


def test_a_link_that_brings_a_duplicate_turns_lazy_on_both_sides():
    ssc = node("ssc1", peer("ssc2"), peer("ssc3"))
    befriend(ssc, "ssc2", "ssc3")
    first = content("one", variant=Variant.ADAPTIVE)
    effects = ssc.receive(gossip("ssc2", first), address("ssc2"), NOW)
    assert sends(effects, Gossip)[0].to == (address("ssc3"),)
    effects = ssc.receive(gossip("ssc3", first), address("ssc3"), NOW)
    assert effects == [Send(Prune(device("ssc1")), (address("ssc3"),)), Dropped("duplicate")]
    second = content("two", variant=Variant.ADAPTIVE)
    effects = ssc.receive(gossip("ssc2", second), address("ssc2"), at(1))
    assert sends(effects, Gossip) == []
    assert sends(effects, Advert)[0].to == (address("ssc3"),)


def test_who_has_no_neighbours_yet_sends_to_a_sample():
    ssc = node("ssc1", peer("ssc2"), peer("ssc3"), peer("ssc4"))
    effects = ssc.originate(content(variant=Variant.ADAPTIVE), NOW)
    assert len(sends(effects, Gossip)[0].to) == 3


def test_a_missed_payload_turns_the_link_eager_again():
    ssc = node("ssc1", peer("ssc2"))
    befriend(ssc, "ssc2")
    ssc.receive(Prune(device("ssc2")), address("ssc2"), NOW)
    head = b"12345678"
    (timer,) = ssc.receive(Advert(device("ssc2"), Variant.ADAPTIVE, (head,)), address("ssc2"), NOW)
    assert 0.6 <= timer.delay <= 1.8  # the eager copy may still come
    (graft, _) = ssc.timer(timer.timer, at(timer.delay))
    assert graft == Send(Fetch(device("ssc1"), (head,), graft=True), (address("ssc2"),))
    what = content(variant=Variant.ADAPTIVE)
    assert sends(ssc.originate(what, at(3)), Gossip)[0].to == (address("ssc2"),)


def test_a_graft_is_heard_by_the_other_side():
    ssc = node("ssc1", peer("ssc2"))
    befriend(ssc, "ssc2")
    ssc.receive(Prune(device("ssc2")), address("ssc2"), NOW)
    assert sends(ssc.originate(content("one", variant=Variant.ADAPTIVE), NOW), Gossip) == []
    ssc.receive(Fetch(device("ssc2"), (), graft=True), address("ssc2"), at(1))
    assert len(sends(ssc.originate(content("two", variant=Variant.ADAPTIVE), at(2)), Gossip)) == 1


def test_strangers_neither_fetch_nor_prune_nor_advertise():
    ssc = node("ssc1", peer("ssc2"))
    for message in (
        Fetch(device("ssc9"), (), graft=True),
        Prune(device("ssc9")),
        Advert(device("ssc9"), Variant.LAZY_PUSH, (b"12345678",)),
    ):
        assert ssc.receive(message, address("ssc9"), NOW) == [Dropped("unknown sender")]


def test_what_is_advertised_is_bounded():
    ssc = node("ssc1", peer("ssc2"))
    for number in range(100):
        heads = tuple((number * 8 + k).to_bytes(8, "big") for k in range(8))
        effects = ssc.receive(Advert(device("ssc2"), Variant.LAZY_PUSH, heads), address("ssc2"), NOW)
    assert effects == [Dropped("too much advertised")]
    assert len(ssc._repair._wanted) == 256


def test_a_timer_of_the_pull_asks_one_peer():
    ssc = node("ssc1", peer("ssc2"), peer("ssc3"))
    assert len(sends(ssc.timer(PullNews(), NOW), Digest)) == 1
