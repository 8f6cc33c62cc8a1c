"""Gathering without a tree, one input at a time: what a device exchanges, when it rests, and what the entry says."""

from dataclasses import replace

import pytest
from builders import ACTION, NOW, ROLES, address, at, content, device, gossip, node, peer

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import Answer, Combine, Deadline, Input, Invoke, MergeAgain
from gossip_ws.core.messages import Digest, Fetch, Gossip, Merge, Receipt, Standing, Tally
from gossip_ws.core.peers import Peer
from gossip_ws.core.spreading import MAX_WAITING, quiet_rounds
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.errors import Fault, FaultCode, LocalError, RemoteError
from gossip_ws.kernel.estimate import Estimate
from gossip_ws.kernel.names import GOSSIP, qname
from gossip_ws.kernel.terms import Filter, Gathering, Style, Tier

MAX = Filter(name="max")
REFUSED = Fault(FaultCode.RECEIVER, qname("urn:f", "Broken"), "no sensor")


def ask(text="how much", **changes):
    return content(text, Style.REQUEST_RESPONSE, gathering=Gathering.SPREAD, filter=MAX, **changes)


def of(effects, kind):
    return [effect for effect in effects if isinstance(effect, kind)]


def merges(effects):
    return [effect for effect in of(effects, Send) if isinstance(effect.message, Merge)]


def timer(effects):
    (found,) = [effect for effect in of(effects, SetTimer) if isinstance(effect.timer, MergeAgain)]
    return found.timer


def merge(about, name, value, wants_reply=False):
    return Merge(about.id, device(name), value, wants_reply)


def combine(what, *inputs, final=False):
    return Combine(what.id, ACTION, MAX, inputs, final, Gathering.SPREAD)


def held(value):
    return Input(value, 1, own=False)


def with_own(ssc, what, value=b"5"):
    """The request came from a peer, and the own service replied `value`; the timer of the next round."""
    effects = ssc.receive(gossip("is0", what, receipt=False), address("is0"), NOW)
    (combined,) = ssc.invoked(what.id, value, NOW)
    assert [one.value for one in combined.inputs] == [value]
    assert ssc.combined(what.id, value, (), NOW) == []
    return timer(effects)


def test_a_request_floods_like_a_push_and_the_own_service_is_asked_once():
    ssc = node("ssc1", peer("is0"), peer("ssc2"), peer("ssc3"), peer("sm1"))
    what = ask()
    effects = ssc.receive(gossip("is0", what, age=2.0), address("is0"), NOW)
    sampled, served = (effect for effect in of(effects, Send) if isinstance(effect.message, Gossip))
    assert set(sampled.to) == {address("ssc2"), address("ssc3")}
    assert (served.to, served.message.hop.receipt) == ((address("sm1"),), True)
    assert of(effects, Invoke) == [Invoke(what.id, ACTION, what.body, "unsigned")]
    # It is two seconds old, and nobody waits after ten.
    assert SetTimer(Deadline(what.id), 8.0) in effects
    again = ssc.receive(gossip("ssc2", what), address("ssc2"), NOW)
    assert of(again, Invoke) == []
    assert Dropped("duplicate") in again


def test_a_round_is_one_exchange_with_one_peer_and_both_have_both_values_then():
    ssc, other = node("ssc1", peer("is0")), node("is0", peer("ssc1"))
    what = ask()
    ring = with_own(ssc, what, b"5")
    other.originate(what, NOW)
    other.invoked(what.id, b"7", NOW)
    other.combined(what.id, b"7", (), NOW)
    (sent, again) = ssc.timer(ring, at(0.3))
    assert sent == Send(merge(what, "ssc1", b"5", wants_reply=True), (address("is0"),))
    assert 0.25 <= again.delay <= 0.5
    assert other.receive(sent.message, address("ssc1"), at(0.3)) == [combine(what, held(b"7"), held(b"5"))]
    (reply,) = other.combined(what.id, b"7", (), at(0.3))
    assert reply == Send(merge(what, "is0", b"7"), (address("ssc1"),))
    assert ssc.receive(reply.message, address("is0"), at(0.4)) == [combine(what, held(b"5"), held(b"7"))]
    assert ssc.combined(what.id, b"7", (), at(0.4)) == []


def test_who_holds_the_same_says_so_and_combines_nothing():
    ssc = node("ssc1", peer("is0"))
    what = ask()
    with_own(ssc, what, b"5")
    same = Send(merge(what, "ssc1", b""), (address("is0"),))
    assert ssc.receive(merge(what, "is0", b"5", wants_reply=True), address("is0"), NOW) == [same]
    assert ssc.receive(merge(what, "is0", b"5"), address("is0"), NOW) == []
    # Who has nothing yet is told all.
    told = Send(merge(what, "ssc1", b"5"), (address("is0"),))
    assert ssc.receive(merge(what, "is0", b"", wants_reply=True), address("is0"), NOW) == [told]


def test_what_comes_while_the_filter_runs_waits_in_bounds():
    ssc = node("ssc1", peer("is0"))
    what = ask()
    ssc.receive(gossip("is0", what), address("is0"), NOW)
    assert ssc.invoked(what.id, b"5", NOW) != []
    for number in range(MAX_WAITING):
        assert ssc.receive(merge(what, "is0", b"%d" % number), address("is0"), NOW) == []
    assert ssc.receive(merge(what, "is0", b"9"), address("is0"), NOW) == [Dropped("too many merges")]
    (combined,) = ssc.combined(what.id, b"5", (), NOW)
    assert combined == combine(what, held(b"5"), *(held(b"%d" % number) for number in range(MAX_WAITING)))


def test_the_lots_of_an_own_value_are_drawn_from_the_dice_of_the_device():
    seeds = []
    for name in ("ssc1", "ssc1", "ssc2"):
        ssc = node(name, peer("is0"))
        if name == "ssc2":
            ssc._dice.random()
        ssc.receive(gossip("is0", ask(), receipt=False), address("is0"), NOW)
        (combined,) = ssc.invoked(ask().id, b"5", NOW)
        seeds.append(combined.inputs[0].seed)
    assert seeds[0] == seeds[1] != seeds[2]


def test_junk_is_counted_and_not_answered():
    ssc = node("ssc1", peer("is0"))
    what = ask()
    with_own(ssc, what, b"5")
    assert ssc.receive(merge(what, "is0", b"junk", wants_reply=True), address("is0"), NOW) == [
        combine(what, held(b"5"), held(b"junk"))
    ]
    assert ssc.combined(what.id, b"5", (1,), NOW) == [Dropped("accumulator refused")]
    assert ssc.receive(merge(what, "ssc9", b"8"), address("ssc9"), NOW) == [Dropped("unknown sender")]
    assert ssc.receive(merge(ask("another"), "is0", b"8"), address("is0"), NOW) == [Dropped("merge of nothing")]
    ssc.receive(merge(what, "is0", b"junk"), address("is0"), NOW)
    assert ssc.combined(what.id, REFUSED, (), NOW) == [Dropped("accumulator refused")]


def test_no_more_than_so_many_are_taken_a_second():
    ssc = node("ssc1", peer("is0"), merge_rate=10.0)
    what = ask()
    with_own(ssc, what, b"5")
    taken = [ssc.receive(merge(what, "is0", b"5"), address("is0"), NOW) for _ in range(12)]
    assert taken == [[]] * 10 + [[Dropped("too many merges")]] * 2
    assert ssc.receive(merge(what, "is0", b"5"), address("is0"), at(0.1)) == []


def test_who_hears_of_a_request_that_it_lacks_fetches_it():
    ssc, has = node("ssc1", peer("is0")), node("is0", peer("ssc1"))
    what = ask()
    has.originate(what, NOW)
    effects = ssc.receive(merge(what, "is0", b"7", wants_reply=True), address("is0"), at(1))
    fetch = Fetch(device("ssc1"), (what.id[:8],))
    assert effects == [Dropped("merge of nothing"), Send(fetch, (address("is0"),))]
    (given,) = has.receive(fetch, address("ssc1"), at(1))
    assert of(ssc.receive(given.message, address("is0"), at(1)), Invoke)
    # And by the digests, like any message.
    late = node("ssc1", peer("is0"))
    (given,) = has.receive(Digest(device("ssc1"), ()), address("ssc1"), at(2))
    assert of(late.receive(given.message, address("is0"), at(2)), Invoke)


def run_quiet(ssc, what, ring, seconds, heard=True):
    """Rounds in which the only peer has nothing new, or says nothing at all, until one sets no timer."""
    rounds = 0
    while True:
        if heard:
            ssc.receive(merge(what, "is0", b""), address("is0"), at(seconds))
        effects = ssc.timer(ring, at(seconds))
        rings = [effect.timer for effect in of(effects, SetTimer)]
        if not rings:
            return rounds, effects
        ring = rings[0]
        rounds += 1


def test_it_rests_once_others_have_had_nothing_new_for_long_and_news_wakes_it():
    ssc = node("ssc1", peer("is0"))
    what = ask()
    rounds, effects = run_quiet(ssc, what, with_own(ssc, what), 5.0)
    assert (rounds, effects) == (quiet_rounds(2) - 1, [])
    # It still answers, and what is new sets it going again.
    assert merges(ssc.receive(merge(what, "is0", b"", wants_reply=True), address("is0"), at(6)))
    ssc.receive(merge(what, "is0", b"9"), address("is0"), at(6))
    assert timer(ssc.combined(what.id, b"9", (), at(6)))


def test_nobody_rests_while_a_slow_service_may_not_have_replied():
    """The first 5 s, or half of the 9.5 s that this request has left."""
    ssc = node("ssc1", peer("is0"), spread_rounds=30)
    what = ask()
    rounds, effects = run_quiet(ssc, what, with_own(ssc, what), 4.7)
    assert (rounds, effects) == (30, [Dropped("spread without an end")])


def test_who_hears_nothing_asks_on_to_a_bound():
    ssc = node("ssc1", peer("is0"), spread_rounds=20)
    what = ask()
    assert run_quiet(ssc, what, with_own(ssc, what), 1.0, heard=False) == (20, [Dropped("spread without an end")])


def test_rounds_follow_the_logarithm_of_the_population():
    assert [quiet_rounds(n) for n in (1, 2, 9, 100, 1000)] == [4, 4, 5, 8, 10]


def test_the_entry_answers_at_quiescence_and_pretends_no_count():
    top = node("is0", peer("ssc1", subtree=40), peer("ssc2", subtree=60))
    what = ask()
    effects = top.originate(what, NOW)
    assert SetTimer(Deadline(what.id), pytest.approx(9.2)) in effects
    ring = timer(effects)
    top.invoked(what.id, b"5", NOW)
    top.combined(what.id, b"5", (), NOW)
    for _ in range(quiet_rounds(101) - 1):
        top.receive(merge(what, "ssc1", b""), address("ssc1"), at(5))
        ring = timer(top.timer(ring, at(5)))
    top.receive(merge(what, "ssc1", b""), address("ssc1"), at(5))
    assert top.timer(ring, at(5)) == [combine(what, held(b"5"), final=True)]
    estimate = Estimate(256, 0.06, 0.09, ())
    assert top.combined(what.id, b"<five/>", (), at(5), estimate) == [
        Answer(what.id, b"<five/>", Tally(1, 101, uncertain=100), Gathering.SPREAD, estimate)
    ]
    # Others may still want what it has.
    assert merges(top.receive(merge(what, "ssc1", b"3", wants_reply=True), address("ssc1"), at(6))) == []
    assert merges(top.combined(what.id, b"5", (), at(6)))
    assert top.timer(Deadline(what.id), at(9.2)) == []
    assert top.receive(merge(what, "ssc1", b"3"), address("ssc1"), at(9.3)) == [Dropped("merge of nothing")]


def test_the_entry_answers_at_its_deadline_with_what_it_has():
    top = node("is0", peer("ssc1"))
    what = ask()
    top.originate(what, NOW)
    top.invoked(what.id, b"5", NOW)
    # Even what the filter is at work on goes in.
    assert top.timer(Deadline(what.id), at(9.2)) == []
    assert top.combined(what.id, b"5", (), at(9.2)) == [combine(what, held(b"5"), final=True)]
    (answer,) = top.combined(what.id, b"<five/>", (), at(9.2))
    assert answer.value == b"<five/>"


def test_nobody_to_exchange_with_is_answered_at_once():
    top = node("is0")
    what = ask()
    top.originate(what, NOW)
    top.invoked(what.id, b"5", NOW)
    assert top.combined(what.id, b"5", (), NOW) == [combine(what, held(b"5"), final=True)]
    (answer,) = top.combined(what.id, b"<five/>", (), NOW)
    assert answer.tally == Tally(1, 1)


def test_the_fault_of_the_only_service_is_the_answer():
    top = node("is0")
    what = ask()
    top.originate(what, NOW)
    assert top.invoked(what.id, REFUSED, NOW) == [Answer(what.id, REFUSED, Tally(0, 1, failed=1), Gathering.SPREAD)]
    # A value that the filter refuses is none either.
    out = ask("out of range")
    top.originate(out, NOW)
    top.invoked(out.id, b"-1", NOW)
    (answer,) = top.combined(out.id, b"empty", (0,), NOW)
    assert answer.value.subcode == qname(GOSSIP, "ValueRefused")
    assert answer.tally == Tally(0, 1, failed=1)


def test_whose_types_are_asked_for_is_expected_and_no_other():
    meter = replace(peer("ssc2"), types=(qname("urn:t", "Meter"),))
    top = node("is0", peer("ssc1", subtree=40), meter)
    what = ask(types=meter.types)
    effects = top.originate(what, NOW)
    assert of(effects, Invoke) == []
    (answer,) = top.timer(Deadline(what.id), at(9.2))
    assert answer.value.subcode == qname(GOSSIP, "NoContributors")
    assert answer.tally == Tally(0, 1, uncertain=1)


def test_who_was_down_when_it_was_asked_carries_others_and_adds_nothing():
    """It may have contributed before, with other lots: an estimate would have it twice."""
    ssc = node("ssc1", peer("is0"))
    what = ask(issued=NOW.wall - 1)
    effects = ssc.receive(gossip("is0", what), address("is0"), NOW)
    assert of(effects, Invoke) == []
    assert ssc.receive(merge(what, "is0", b"7"), address("is0"), NOW) == [combine(what, held(b"7"))]


def test_who_does_not_host_the_operation_only_passes_the_request_on():
    ssc = node("ssc1", peer("is0"), peer("ssc2"))
    what = replace(ask(), action="urn:other")
    effects = ssc.receive(gossip("is0", what, receipt=False), address("is0"), NOW)
    assert [type(effect.message) for effect in of(effects, Send)] == [Gossip]
    assert len(effects) == 1


def test_a_request_that_is_over_is_nobodys():
    ssc = node("ssc1", peer("is0"))
    effects = ssc.receive(gossip("is0", ask(), age=10.5), address("is0"), NOW)
    assert effects[-1] == Dropped("too late to take part")
    assert of(effects, Invoke) == []


def test_open_requests_are_bounded_and_end_with_their_deadline():
    ssc = node("ssc1", peer("is0"), spread_limit=2)
    for text in ("one", "two"):
        ssc.receive(gossip("is0", ask(text)), address("is0"), NOW)
    third = ask("three")
    busy = Send(Receipt(third.id, device("ssc1"), Standing.BUSY), (address("is0"),))
    assert ssc.receive(gossip("is0", third), address("is0"), NOW) == [busy, Dropped("busy")]
    with pytest.raises(RemoteError, match="too many open requests"):
        ssc.originate(third, NOW)
    # Nobody who has no place for it fetches it.
    assert ssc.receive(merge(third, "is0", b"7", True), address("is0"), NOW) == [Dropped("merge of nothing")]
    assert ssc.timer(Deadline(ask("one").id), at(9.5)) == []
    assert of(ssc.receive(gossip("is0", third), address("is0"), at(9.6)), Invoke)


def test_what_is_out_of_turn_is_counted():
    ssc = node("ssc1", peer("is0"))
    what = ask()
    ring = with_own(ssc, what)
    assert ssc.invoked(what.id, b"6", NOW) == [Dropped("invocation out of turn")]
    assert ssc.combined(what.id, b"6", (), NOW) == [Dropped("combination out of turn")]
    assert ssc.timer(replace(ring, turn=99), NOW) == []
    assert ssc.timer(MergeAgain(ask("another").id, 1), NOW) == []


def test_a_parent_among_many_equals_is_met_often_enough():
    """Of 200 equals and one parent the parent is drawn 1 time in 8.7, as the logarithms weigh, and not 1 in 201."""
    equals = [peer(f"sm{number}") for number in range(2, 202)]
    meter = node("sm1", peer("ssc1"), *equals)
    what = ask()
    ring = timer(meter.receive(gossip("ssc1", what, Tier.FAN), address("ssc1"), NOW))
    met = 0
    for _ in range(60):
        sent, again = meter.timer(ring, NOW)
        met += sent.to == (address("ssc1"),)
        ring = again.timer
    # Of 60 draws 6.9 on average, with a deviation of 2.5; the dice of the builders are fixed.
    assert 1 <= met <= 15


def test_what_no_datagram_holds_goes_by_http():
    far = Address(Binding.HTTP, "host-is0", 80, "/gossip")
    both = replace(peer("is0"), http=far)
    assert isinstance(both, Peer)
    ssc = node("ssc1", both)
    what = ask()
    ring = with_own(ssc, what, b"x" * 4_000)
    (sent, _) = ssc.timer(ring, at(0.3))
    assert sent.to == (far,)


def test_the_settings_have_to_make_sense():
    given = {"device": device("sm1"), "role": ROLES["sm"], "udp": address("sm1")}
    for wrong in ({"spread_period": 0.0}, {"merge_rate": 0.5}, {"spread_limit": 0}, {"spread_rounds": 0}):
        with pytest.raises(LocalError):
            NodeConfig(**given, **wrong)
