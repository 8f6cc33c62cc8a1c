"""Pull aggregation: who is asked, who is counted, what climbs back."""

import pytest
from builders import ACTION, NOW, address, at, content, device, gossip, node, peer

from gossip_ws.core.account import device_digest
from gossip_ws.core.effects import Answer, AskAgain, Combine, Deadline, Input, Invoke, ReplyAgain
from gossip_ws.core.messages import Digest, Gossip, Hop, Partial, Receipt, Standing, Tally
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.errors import Fault, FaultCode, RemoteError
from gossip_ws.kernel.names import GOSSIP, qname
from gossip_ws.kernel.terms import Filter, Style, Tier

SUM = Filter(name="sum")
FAULT = Fault(FaultCode.RECEIVER, qname("urn:test", "Broken"), "no reading")


def request(text="one", **changes):
    return content(text, Style.REQUEST_RESPONSE, **changes)


def taken(about, by, to):
    return Send(Receipt(about.id, device(by), Standing.TAKEN), (address(to),))


def leaf(about, sender, value=b"5"):
    return Partial(about.id, device(sender), Tally(contributors=1, expected=1), value)


def test_a_meter_asks_its_appliances_only_and_replies_when_all_have():
    meter = node("sm1", peer("ssc1"), peer("sm2"), peer("ied1"))
    ask = request()
    asked = gossip("ssc1", ask, Tier.FAN, 1)
    effects = meter.receive(asked, address("ssc1"), NOW)
    hop = Hop(device("sm1"), Tier.HAN, 0, 2, 0.5, 8.0 * 0.92, ancestors=(device("ssc1"), device("sm1")), receipt=True)
    assert effects == [
        taken(ask, "sm1", "ssc1"),
        Send(Gossip(ask, hop), (address("ied1"),)),
        Invoke(ask.id, ACTION, ask.body, "unsigned"),
        SetTimer(Deadline(ask.id), 8.0 * 0.92),
        SetTimer(AskAgain(ask.id, 1), 0.25),
    ]
    assert meter.invoked(ask.id, b"7", at(0.1)) == []
    effects = meter.receive(leaf(ask, "ied1"), address("ied1"), at(0.2))
    inputs = (Input(b"7", 1, own=True), Input(b"5", 1, own=False))
    assert effects == [taken(ask, "sm1", "ied1"), Combine(ask.id, ACTION, SUM, inputs, final=False)]
    up = Partial(ask.id, device("sm1"), Tally(2, 2), b"12", (device_digest(device("ied1")),))
    assert meter.combined(ask.id, b"12", (), at(0.2)) == [
        Send(up, (address("ssc1"),)),
        SetTimer(ReplyAgain(ask.id, 1), 0.25),
    ]
    assert meter.timer(ReplyAgain(ask.id, 1), at(0.5)) == [
        Send(up, (address("ssc1"),)),
        SetTimer(ReplyAgain(ask.id, 2), 0.5),
    ]
    meter.receive(Receipt(ask.id, device("ssc1"), Standing.TAKEN), address("ssc1"), at(0.6))
    assert meter.timer(ReplyAgain(ask.id, 2), at(1.0)) == []


def test_a_meter_does_not_ask_an_equal_that_lacks_the_request_its_parent_serves_that_one():
    ask = request()
    lacks = Digest(device("sm2"), ())
    meter = node("sm1", peer("ssc1"), peer("sm2"), peer("ied1"))
    meter.receive(gossip("ssc1", ask, Tier.FAN, 1), address("ssc1"), NOW)
    assert meter.receive(lacks, address("sm2"), at(2)) == []
    # Where nobody stands above, equals are who the request spreads among.
    substation = node("ssc1", peer("ssc2"))
    substation.originate(ask, NOW)
    asked = Digest(device("ssc3"), ())
    assert substation.peers.put(peer("ssc3"), 1e9, proven=True)
    assert [type(effect) for effect in substation.receive(asked, address("ssc3"), at(2))] == [Send, SetTimer]


def test_a_second_asker_is_told_at_once_that_we_are_counted_elsewhere():
    ssc = node("ssc1", peer("is0"), peer("ssc2"))
    ask = request()
    ssc.receive(gossip("is0", ask, rounds=0), address("is0"), NOW)
    counted = Send(Receipt(ask.id, device("ssc1"), Standing.COUNTED), (address("ssc2"),))
    assert ssc.receive(gossip("ssc2", ask), address("ssc2"), NOW) == [counted, Dropped("duplicate")]


def test_who_is_counted_elsewhere_is_neither_awaited_nor_expected():
    root = node("is0", peer("ssc1", subtree=9), peer("ssc2", subtree=4))
    ask = request()
    root.originate(ask, NOW)
    root.invoked(ask.id, b"0", NOW)
    root.receive(Receipt(ask.id, device("ssc2"), Standing.COUNTED), address("ssc2"), NOW)
    below = Partial(ask.id, device("ssc1"), Tally(13, 13), b"100")
    (_, combine) = root.receive(below, address("ssc1"), NOW)
    assert combine.final
    assert root.combined(ask.id, b"100", (), NOW) == [Answer(ask.id, b"100", Tally(14, 14))]


def test_a_partial_counts_once_however_often_it_comes():
    root = node("is0", peer("ssc1"), peer("ssc2"))
    ask = request()
    root.originate(ask, NOW)
    root.invoked(ask.id, b"0", NOW)
    first = root.receive(leaf(ask, "ssc1"), address("ssc1"), NOW)
    again = root.receive(leaf(ask, "ssc1", b"999"), address("ssc1"), NOW)
    assert first == again == [taken(ask, "is0", "ssc1")]
    (_, combine) = root.receive(leaf(ask, "ssc2"), address("ssc2"), NOW)
    assert [value.value for value in combine.inputs] == [b"0", b"5", b"5"]


def test_at_the_deadline_the_silent_are_missing_with_all_they_registered():
    root = node("is0", peer("ssc1", subtree=60), peer("ssc2", subtree=40))
    ask = request()
    root.originate(ask, NOW)
    root.invoked(ask.id, b"0", NOW)
    root.receive(Partial(ask.id, device("ssc1"), Tally(60, 60), b"6"), address("ssc1"), NOW)
    root.timer(Deadline(ask.id), at(9.2))
    (answer,) = root.combined(ask.id, b"6", (), at(9.2))
    assert answer.tally == Tally(contributors=61, expected=101, missing=40)
    late = root.receive(leaf(ask, "ssc2"), address("ssc2"), at(9.5))
    assert late[0].message.standing is Standing.LATE


def test_a_fault_is_a_reply_too():
    meter = node("sm1", peer("ssc1"), peer("ied1"))
    ask = request()
    meter.receive(gossip("ssc1", ask, Tier.FAN, 0), address("ssc1"), NOW)
    meter.invoked(ask.id, FAULT, NOW)
    effects = meter.receive(leaf(ask, "ied1"), address("ied1"), NOW)
    assert effects[1].inputs == (Input(b"5", 1, own=False),)
    (sent, _) = meter.combined(ask.id, b"5", (), NOW)
    assert sent.message.tally == Tally(contributors=1, expected=2, failed=1)


def test_a_child_cannot_stand_for_more_than_it_registered():
    ssc = node("ssc1", peer("is0"), peer("sm1", subtree=3))
    ask = request()
    ssc.receive(gossip("is0", ask, rounds=0), address("is0"), NOW)
    ssc.invoked(ask.id, b"0", NOW)
    greedy = Partial(ask.id, device("sm1"), Tally(contributors=50, expected=50), b"1000000")
    for _ in range(3):
        # It may have told its registrar of others a moment ago.
        assert ssc.receive(greedy, address("sm1"), NOW) == [Dropped("partial of more than its subtree")]
    effects = ssc.receive(greedy, address("sm1"), NOW)
    assert Dropped("partial of more than its subtree") in effects
    assert effects[-1].inputs == (Input(b"0", 1, own=True),)
    (sent, _) = ssc.combined(ask.id, b"0", (), NOW)
    assert sent.message.tally == Tally(contributors=1, expected=4, failed=3)


def test_a_child_whose_subtree_grew_is_taken_once_it_has_said_so():
    ssc = node("ssc1", peer("is0"), peer("sm1", subtree=3))
    ask = request()
    ssc.receive(gossip("is0", ask, rounds=0), address("is0"), NOW)
    ssc.invoked(ask.id, b"0", NOW)
    grown = Partial(ask.id, device("sm1"), Tally(4, 4), b"4")
    assert ssc.receive(grown, address("sm1"), NOW) == [Dropped("partial of more than its subtree")]
    ssc.register(peer("sm1", subtree=4), NOW)
    effects = ssc.receive(grown, address("sm1"), NOW)
    assert effects[-1].inputs == (Input(b"0", 1, own=True), Input(b"4", 4, own=False))
    (sent, _) = ssc.combined(ask.id, b"4", (), NOW)
    assert sent.message.tally == Tally(contributors=5, expected=5)


def test_a_child_that_claims_too_much_and_then_says_no_more_has_failed():
    ssc = node("ssc1", peer("is0"), peer("sm1", subtree=3))
    ask = request()
    ssc.receive(gossip("is0", ask, rounds=0), address("is0"), NOW)
    ssc.invoked(ask.id, b"0", NOW)
    ssc.receive(Partial(ask.id, device("sm1"), Tally(50, 50), b"9"), address("sm1"), NOW)
    ssc.timer(Deadline(ask.id), at(10))
    (sent, _) = ssc.combined(ask.id, b"0", (), at(10))
    assert sent.message.tally == Tally(contributors=1, expected=4, failed=3)


def test_an_input_that_the_filter_refuses_is_failed_not_counted():
    ssc = node("ssc1", peer("is0"), peer("sm1", subtree=3))
    ask = request()
    ssc.receive(gossip("is0", ask, rounds=0), address("is0"), NOW)
    ssc.invoked(ask.id, b"0", NOW)
    ssc.receive(Partial(ask.id, device("sm1"), Tally(3, 3), b"-1"), address("sm1"), NOW)
    (sent, _) = ssc.combined(ask.id, b"0", (1,), NOW)
    assert sent.message.tally == Tally(contributors=1, expected=4, failed=3)


def test_only_those_that_said_nothing_are_asked_again():
    ssc = node("ssc1", peer("is0"), peer("sm1"), peer("sm2"))
    ask = request()
    ssc.receive(gossip("is0", ask, rounds=0), address("is0"), NOW)
    ssc.receive(Receipt(ask.id, device("sm1"), Standing.TAKEN), address("sm1"), NOW)
    (sent, timer) = ssc.timer(AskAgain(ask.id, 1), at(0.25))
    assert sent.to == (address("sm2"),)
    assert timer == SetTimer(AskAgain(ask.id, 2), 0.5)


def test_who_rebooted_since_the_request_was_issued_declines_with_its_subtree():
    ssc = node("ssc1", peer("is0"), peer("sm1", subtree=3))
    ask = request(issued=NOW.wall - 5)
    effects = ssc.receive(gossip("is0", ask), address("is0"), NOW)
    declined = Receipt(ask.id, device("ssc1"), Standing.DECLINED)
    assert effects == [Send(declined, (address("is0"),)), Dropped("older than this boot")]
    root = node("is0", peer("ssc1", subtree=4), peer("ssc2"))
    other = request()
    root.originate(other, NOW)
    root.invoked(other.id, b"0", NOW)
    root.receive(Receipt(other.id, device("ssc1"), Standing.DECLINED), address("ssc1"), NOW)
    root.receive(leaf(other, "ssc2"), address("ssc2"), NOW)
    (answer,) = root.combined(other.id, b"5", (), NOW)
    assert answer.tally == Tally(contributors=2, expected=6, failed=4)


def test_a_full_table_answers_busy_and_forgets_nothing():
    ssc = node("ssc1", peer("is0"), query_limit=2, store_limit=1)
    for name in ("one", "two"):
        ssc.receive(gossip("is0", request(name), rounds=0), address("is0"), NOW)
    third = request("three")
    effects = ssc.receive(gossip("is0", third, rounds=0), address("is0"), NOW)
    assert effects[0].message == Receipt(third.id, device("ssc1"), Standing.BUSY)
    again = ssc.receive(gossip("is0", request("one"), rounds=0), address("is0"), NOW)
    assert again[0].message.standing is Standing.TAKEN
    # What has expired makes room.
    late = request("four", issued=NOW.wall + 60, expires=NOW.wall + 120)
    assert ssc.receive(gossip("is0", late, rounds=0), address("is0"), at(61))[0].message.standing is Standing.TAKEN


def test_a_minimum_of_replies_ends_the_wait():
    root = node("is0", peer("ssc1"), peer("ssc2"), peer("ssc3"))
    ask = request(min_replies=2)
    root.originate(ask, NOW)
    root.invoked(ask.id, b"0", NOW)
    root.receive(leaf(ask, "ssc1"), address("ssc1"), NOW)
    effects = root.receive(leaf(ask, "ssc2"), address("ssc2"), NOW)
    assert isinstance(effects[-1], Combine)
    (answer,) = root.combined(ask.id, b"10", (), NOW)
    assert answer.tally == Tally(contributors=3, expected=4, missing=1)


def test_a_group_too_small_is_not_answered():
    root = node("is0", peer("ssc1"))
    ask = request(min_group=5)
    root.originate(ask, NOW)
    root.invoked(ask.id, b"0", NOW)
    root.receive(leaf(ask, "ssc1"), address("ssc1"), NOW)
    (answer,) = root.combined(ask.id, b"5", (), NOW)
    assert answer.value.subcode == qname(GOSSIP, "GroupTooSmall")
    assert answer.tally.contributors == 2


def test_nobody_contributed_is_a_fault_and_the_own_one_if_there_is():
    root = node("is0")
    ask = request()
    root.originate(ask, NOW)
    (answer,) = root.invoked(ask.id, FAULT, NOW)
    assert answer == Answer(ask.id, FAULT, Tally(expected=1, failed=1))


def test_a_device_below_asks_for_the_whole_grid_and_its_parent_answers_for_the_rest():
    ssc = node("ssc1", peer("is0", subtree=1), peer("ssc2", subtree=30), peer("sm1"), peer("sm2"))
    ask = request()
    effects = ssc.receive(gossip("sm1", ask, Tier.FAN, 0), address("sm1"), NOW)
    targets = {to for effect in effects if isinstance(effect, Send) for to in effect.to}
    assert {address("is0"), address("ssc2"), address("sm2")} <= targets
    ssc.invoked(ask.id, b"0", NOW)
    ssc.timer(Deadline(ask.id), at(7))
    (sent, _) = ssc.combined(ask.id, b"0", (), at(7))
    # itself contributed; is0 1, ssc2 30 and sm2 1 are missing; the asker answers for itself
    assert sent.message.tally == Tally(contributors=1, expected=33, missing=32)


def test_nobody_holds_a_place_in_the_table_for_long():
    ssc = node("ssc1", peer("is0"), max_timeout=30.0)
    assert ssc.receive(gossip("is0", request(timeout=31.0)), address("is0"), NOW) == [Dropped("timeout too long")]
    with pytest.raises(RemoteError, match="at most 30 s"):
        ssc.originate(request(timeout=31.0), NOW)


def test_a_request_that_entered_here_and_elsewhere_too_is_declined_not_counted():
    """Somebody overheard it and replayed it here: its real asker must not think that we are counted."""
    meter = node("sm1", peer("ssc1"))
    ask = request()
    meter.originate(ask, NOW)
    effects = meter.receive(gossip("ssc1", ask, Tier.FAN, 0), address("ssc1"), NOW)
    assert effects[0].message == Receipt(ask.id, device("sm1"), Standing.DECLINED)
