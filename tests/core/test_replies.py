"""Every single reply, unfiltered: lists that climb in numbered parts, each device once, within bounds."""

from dataclasses import replace

import pytest
from builders import NOW, address, at, content, device, gossip, node, peer

from gossip_ws.core.account import device_digest
from gossip_ws.core.effects import Answer, Combine, Deadline, ReplyAgain
from gossip_ws.core.messages import DeviceReply, Partial, Receipt, Standing, Tally
from gossip_ws.core.replies import (
    MAX_SENDERS,
    NO_ROOM,
    REFUSED,
    TOO_LARGE,
    WINDOW,
    Inbox,
    Outbox,
    Replies,
    octets,
    split,
)
from gossip_ws.kernel.effects import Dropped, Send
from gossip_ws.kernel.errors import Fault, FaultCode, LocalError
from gossip_ws.kernel.names import GOSSIP, qname
from gossip_ws.kernel.terms import ALL, Filter, Style, Tier

EVERY = Filter(name=ALL)
FAULT = Fault(FaultCode.RECEIVER, qname("urn:test", "Broken"), "no reading")
ME = device("sm0")


def request(text="one", **changes):
    return content(text, Style.REQUEST_RESPONSE, filter=EVERY, **changes)


def reply(name, value=b"<v/>"):
    return DeviceReply(device(name), value)


def partial(about, sender, *replies, part=1, parts=1, total=None, **changes):
    """Of `total` contributors: those named here, if that is all there is."""
    count = len(replies) if total is None else total
    whole = Partial(about.id, device(sender), Tally(count, count), b"", replies=replies, part=part, parts=parts)
    return replace(whole, **changes)


def receipt(about, sender, to, part=1, standing=Standing.TAKEN):
    return Send(Receipt(about.id, device(sender), standing, part), (address(to),))


def sent_parts(effects):
    return [one.message.part for one in effects if isinstance(one, Send) and isinstance(one.message, Partial)]


def asked_meter(ask, *children, **settings):
    """A meter that was asked by ssc1, whose own service has replied."""
    meter = node("sm1", peer("ssc1"), *children, **settings)
    meter.receive(gossip("ssc1", ask, Tier.FAN, 1), address("ssc1"), NOW)
    return meter, meter.invoked(ask.id, b"<own/>", NOW)


# -- one node's story ------------------------------------------------------------------------------


def test_a_meters_own_reply_and_those_below_go_up_unchanged():
    ask = request()
    meter, effects = asked_meter(ask, peer("ied1"))
    assert effects == []
    (said, combine) = meter.receive(partial(ask, "ied1", reply("ied1", b"<a/>")), address("ied1"), NOW)
    assert said == receipt(ask, "sm1", "ied1")
    assert isinstance(combine, Combine)
    assert [(one.value, one.contributors, one.own) for one in combine.inputs] == [
        (b"<own/>", 1, True),
        (b"<a/>", 1, False),
    ]
    (sent, _) = meter.combined(ask.id, b"", (), NOW)
    assert sent.message == Partial(
        ask.id,
        device("sm1"),
        Tally(2, 2),
        b"",
        (device_digest(device("ied1")),),
        replies=(reply("sm1", b"<own/>"), reply("ied1", b"<a/>")),
    )


def test_a_list_is_taken_only_when_all_its_parts_are_here_in_any_order_and_twice():
    ask = request()
    root = node("is0", peer("ssc1", subtree=3))
    root.originate(ask, NOW)
    root.invoked(ask.id, b"<own/>", NOW)
    parts = [partial(ask, "ssc1", reply(f"sm{n}"), part=n, parts=3, total=3) for n in (1, 2, 3)]
    for one in (parts[2], parts[0], parts[2]):
        assert root.receive(one, address("ssc1"), NOW) == [receipt(ask, "is0", "ssc1", one.part)]
    (said, combine) = root.receive(parts[1], address("ssc1"), NOW)
    assert said == receipt(ask, "is0", "ssc1", 2)
    assert len(combine.inputs) == 4
    # One that comes once more is receipted, and changes nothing.
    assert root.receive(parts[0], address("ssc1"), NOW) == [receipt(ask, "is0", "ssc1", 1)]
    (answer,) = root.combined(ask.id, b"", (), NOW)
    named = (reply("is0", b"<own/>"), reply("sm1"), reply("sm2"), reply("sm3"))
    assert answer == Answer(ask.id, Replies(named, ask.terms.expires), Tally(4, 4))


def test_a_list_that_lacks_a_part_at_the_deadline_is_missing_as_a_whole():
    ask = request()
    root = node("is0", peer("ssc1", subtree=2))
    root.originate(ask, NOW)
    root.invoked(ask.id, b"<own/>", NOW)
    root.receive(partial(ask, "ssc1", reply("ssc1"), part=1, parts=2, total=2), address("ssc1"), NOW)
    root.timer(Deadline(ask.id), at(9.2))
    (answer,) = root.combined(ask.id, b"", (), at(9.2))
    assert answer.tally == Tally(contributors=1, expected=3, missing=2)
    assert [one.device for one in answer.value.singles] == [device("is0")]
    last = partial(ask, "ssc1", reply("sm1"), part=2, parts=2, total=2)
    late = root.receive(last, address("ssc1"), at(9.3))
    assert late == [receipt(ask, "is0", "ssc1", 2, Standing.LATE), Dropped("late partial")]


def test_parts_go_a_window_at_a_time_and_each_until_its_own_receipt():
    ask = request()
    # Every reply is a part of its own.
    count = WINDOW + 3
    meter, _ = asked_meter(ask, peer("ied1", subtree=count), max_part=200)
    replies = [reply(f"ied{n}", b"<v>%b</v>" % (b"x" * 40)) for n in range(1, count)]
    meter.receive(partial(ask, "ied1", *replies), address("ied1"), NOW)
    effects = meter.combined(ask.id, b"", (), NOW)
    assert sent_parts(effects) == list(range(1, WINDOW + 1))
    assert {one.message.parts for one in effects if isinstance(one, Send)} == {count}

    def receipted(part):
        return meter.receive(Receipt(ask.id, device("ssc1"), Standing.TAKEN, part), address("ssc1"), NOW)

    assert sent_parts(receipted(2)) == [WINDOW + 1]
    assert receipted(2) == []
    resent = meter.timer(ReplyAgain(ask.id, 1), at(0.3))
    assert sent_parts(resent) == [1, *range(3, WINDOW + 2)]
    for part in (1, *range(3, count)):
        receipted(part)
    assert sent_parts(meter.timer(ReplyAgain(ask.id, 2), at(0.9))) == [count]
    receipted(count)
    assert meter.timer(ReplyAgain(ask.id, 3), at(2.0)) == []


def test_an_asker_that_gives_receipts_is_alive_however_long_the_list():
    ask = request()
    meter, _ = asked_meter(ask, peer("ied1", subtree=40), peer("is0"), max_part=200, orphan_after=1, retries=2)
    replies = [reply(f"ied{n}", b"<v>%b</v>" % (b"x" * 40)) for n in range(1, 40)]
    meter.receive(partial(ask, "ied1", *replies), address("ied1"), NOW)
    meter.combined(ask.id, b"", (), NOW)
    attempt = 1
    for part in range(1, 20):
        meter.receive(Receipt(ask.id, device("ssc1"), Standing.TAKEN, part), address("ssc1"), NOW)
        *_, again = meter.timer(ReplyAgain(ask.id, attempt), at(0.3))
        attempt = again.timer.attempt
    assert attempt == 2
    meter.timer(ReplyAgain(ask.id, 2), at(1.0))
    assert meter.timer(ReplyAgain(ask.id, 3), at(2.0)) == [Dropped("partial without a receipt")]


def test_told_that_it_is_late_it_sends_no_further_part():
    ask = request()
    meter, _ = asked_meter(ask, peer("ied1", subtree=3), max_part=200)
    replies = [reply(f"ied{n}", b"<v>%b</v>" % (b"x" * 40)) for n in (1, 2)]
    meter.receive(partial(ask, "ied1", *replies), address("ied1"), NOW)
    meter.combined(ask.id, b"", (), NOW)
    meter.receive(Receipt(ask.id, device("ssc1"), Standing.LATE, 1), address("ssc1"), NOW)
    assert meter.timer(ReplyAgain(ask.id, 1), at(0.3)) == []


# -- who is in it ----------------------------------------------------------------------------------


def test_a_device_is_in_the_answer_once_whoever_says_so_again():
    ask = request()
    root = node("is0", peer("ssc1", subtree=2), peer("ssc2", subtree=3))
    root.originate(ask, NOW)
    root.invoked(ask.id, b"<own/>", NOW)
    root.receive(partial(ask, "ssc1", reply("ssc1"), reply("sm1")), address("ssc1"), NOW)
    claims = partial(ask, "ssc2", reply("ssc2"), reply("sm1", b"<forged/>"), reply("is0", b"<forged/>"))
    effects = root.receive(claims, address("ssc2"), NOW)
    assert effects.count(Dropped("reply twice, or of nobody counted")) == 2
    (answer,) = root.combined(ask.id, b"", (), NOW)
    assert answer.tally == Tally(contributors=4, expected=6, failed=2)
    assert {one.device: one.value for one in answer.value.singles} == {
        device("is0"): b"<own/>",
        device("ssc1"): b"<v/>",
        device("sm1"): b"<v/>",
        device("ssc2"): b"<v/>",
    }


def test_more_replies_than_were_counted_are_not_taken_and_fewer_have_failed():
    ask = request()
    root = node("is0", peer("ssc1"), peer("ssc2", subtree=3))
    root.originate(ask, NOW)
    root.invoked(ask.id, b"<own/>", NOW)
    root.receive(partial(ask, "ssc1", reply("ssc1"), reply("sm1"), total=1), address("ssc1"), NOW)
    root.receive(partial(ask, "ssc2", reply("ssc2"), total=3), address("ssc2"), NOW)
    (answer,) = root.combined(ask.id, b"", (), NOW)
    assert answer.tally == Tally(contributors=3, expected=5, failed=2)
    assert len(answer.value.singles) == 3


def test_a_devices_fault_is_its_reply_and_it_has_failed():
    ask = request()
    meter = node("sm1", peer("ssc1"), peer("ied1"))
    meter.receive(gossip("ssc1", ask, Tier.FAN, 1), address("ssc1"), NOW)
    meter.invoked(ask.id, FAULT, NOW)
    meter.receive(partial(ask, "ied1", reply("ied1")), address("ied1"), NOW)
    (sent, _) = meter.combined(ask.id, b"", (), NOW)
    assert sent.message.tally == Tally(contributors=1, expected=2, failed=1)
    assert sent.message.replies == (DeviceReply(device("sm1"), b"", FAULT), reply("ied1"))


def test_a_reply_that_the_filter_refuses_has_failed_and_says_so():
    ask = request()
    root = node("is0", peer("ssc1", subtree=2))
    root.originate(ask, NOW)
    root.invoked(ask.id, FAULT, NOW)
    root.receive(partial(ask, "ssc1", reply("ssc1"), reply("sm1")), address("ssc1"), NOW)
    (answer,) = root.combined(ask.id, b"", (1,), NOW)
    assert answer.tally == Tally(contributors=1, expected=3, failed=2)
    assert answer.value.singles == (
        DeviceReply(device("is0"), b"", FAULT),
        reply("ssc1"),
        DeviceReply(device("sm1"), b"", REFUSED),
    )


def test_a_value_in_place_of_replies_has_no_contributors_and_parts_of_a_value_are_none():
    ask = request()
    root = node("is0", peer("ssc1", subtree=3))
    root.originate(ask, NOW)
    root.invoked(ask.id, b"<own/>", NOW)
    root.receive(partial(ask, "ssc1", total=3, value=b"<sum/>"), address("ssc1"), NOW)
    (answer,) = root.combined(ask.id, b"", (), NOW)
    assert answer.tally == Tally(contributors=1, expected=4, failed=3)

    summed = content("sum", Style.REQUEST_RESPONSE)
    root.originate(summed, NOW)
    of_a_value = partial(summed, "ssc1", total=3, value=b"<sum/>", parts=2)
    assert Dropped("parts of one value") in root.receive(of_a_value, address("ssc1"), NOW)


def test_an_orphans_list_is_adopted_when_it_is_whole_and_the_dead_is_fenced_then():
    ask = request()
    root = node("is0", peer("ssc1", subtree=3))
    root.originate(ask, NOW)
    root.invoked(ask.id, b"<own/>", NOW)
    passing = (device("ssc1"),)
    parts = [
        partial(ask, "sm1", reply(name), part=n, parts=2, total=2, bypassing=passing)
        for n, name in enumerate(("sm1", "ied1"), 1)
    ]
    assert root.receive(parts[0], address("sm1"), NOW) == [receipt(ask, "is0", "sm1", 1)]
    # Not dead after all, and its list is whole first: the orphan is in its cover.
    cover = (device_digest(device("sm1")),)
    whole = partial(ask, "ssc1", reply("ssc1"), reply("sm1"), reply("ied1"), cover=cover)
    root.receive(whole, address("ssc1"), NOW)
    late = root.receive(parts[1], address("sm1"), NOW)
    assert late[0].message.standing in (Standing.LATE, Standing.COUNTED)
    (answer,) = root.combined(ask.id, b"", (), NOW)
    assert answer.tally == Tally(4, 4)

    again = request("two")
    root.originate(again, NOW)
    root.invoked(again.id, b"<own/>", NOW)
    for part in parts:
        root.receive(replace(part, about=again.id), address("sm1"), NOW)
    # Its own list comes after that of its orphan.
    late = root.receive(replace(whole, about=again.id), address("ssc1"), NOW)
    assert late[0].message.standing is Standing.LATE
    root.timer(Deadline(again.id), at(9.2))
    (answer,) = root.combined(again.id, b"", (), at(9.2))
    assert answer.tally == Tally(contributors=3, expected=4, missing=1)
    assert [one.device for one in answer.value.singles] == [device("is0"), device("sm1"), device("ied1")]


def test_an_orphan_that_is_left_out_is_left_out_once_however_often_it_asks():
    ask = request()
    root = node("is0", peer("ssc1", subtree=9))
    root.originate(ask, NOW)
    cover = (device_digest(device("sm1")),)
    tally = Tally(contributors=3, expected=9, missing=6)
    replies = (reply("ssc1"), reply("sm1"), reply("sm2"))
    root.receive(Partial(ask.id, device("ssc1"), tally, b"", cover, replies=replies), address("ssc1"), NOW)
    passing = (device("sm1"), device("ssc1"))
    for part in (1, 2, 1):
        orphan = partial(ask, "ied1", reply("ied1"), part=part, parts=2, total=2, bypassing=passing)
        (said, _) = root.receive(orphan, address("ied1"), NOW)
        assert said.message == Receipt(ask.id, device("is0"), Standing.UNCERTAIN, part)
    root.invoked(ask.id, b"<own/>", NOW)
    (answer,) = root.combined(ask.id, b"", (), NOW)
    assert answer.tally == Tally(contributors=4, expected=10, missing=4, uncertain=2)


def test_a_list_that_was_not_admitted_takes_no_devices_place():
    """An orphan's list that waits, and is dropped when its asker's own comes with the same devices in it."""
    inbox = Inbox(10_000, 1_000)
    ask = request()
    orphans, _ = inbox.take(partial(ask, "sm1", reply("sm1"), reply("ied1")), ME)
    askers, dropped = inbox.take(partial(ask, "ssc1", reply("ssc1"), reply("sm1"), reply("ied1")), ME)
    assert dropped == []
    assert inbox.admit(askers) == (askers, [])
    assert inbox.admit(orphans)[0].replies == ()


# -- bounds ----------------------------------------------------------------------------------------


def test_a_reply_too_large_for_a_part_has_failed_where_it_is_made():
    ask = request()
    meter = node("sm1", peer("ssc1"), max_part=1_000)
    meter.receive(gossip("ssc1", ask, Tier.FAN, 1), address("ssc1"), NOW)
    (sent, _) = meter.invoked(ask.id, b"x" * 900, NOW)
    assert sent.message.tally == Tally(contributors=0, expected=1, failed=1)
    assert sent.message.replies == (DeviceReply(device("sm1"), b"", TOO_LARGE),)


def test_what_a_node_may_not_hold_is_left_out_and_said_to_have_failed():
    inbox = Inbox(8_000, 2_000)
    replies = [reply(f"ied{n}", b"x" * 1_500) for n in range(8)]
    tally = Tally(8, 9, failed=1)
    whole, dropped = inbox.take(Partial(request().id, device("ied1"), tally, b"", replies=tuple(replies)), ME)
    assert whole is not None
    assert inbox.octets <= 8_000
    kept = [one for one in whole.replies if one.fault is None]
    assert kept == replies[:4]
    assert [one.fault for one in whole.replies[4:]] == [NO_ROOM] * 4
    assert whole.tally == Tally(contributors=4, expected=9, failed=5)
    assert dropped == [Dropped("reply left out")] * 4


def test_where_there_is_no_room_for_a_line_the_count_still_says_so():
    inbox = Inbox(800, 800)
    replies = tuple(reply(f"ied{n}", b"x" * 100) for n in range(50))
    whole, _ = inbox.take(Partial(request().id, device("ied1"), Tally(50, 50), b"", replies=replies), ME)
    assert whole is not None
    assert inbox.octets <= 800
    assert len(whole.replies) < 10
    values = sum(one.fault is None for one in whole.replies)
    assert whole.tally == Tally(contributors=values, expected=50, failed=50 - values)


def test_parts_that_contradict_one_another_are_not_put_together():
    inbox = Inbox(10_000, 1_000)
    ask = request()
    assert inbox.take(partial(ask, "ied1", reply("ied1"), parts=2, total=2), ME) == (None, [])
    other = partial(ask, "ied1", reply("ied2"), part=2, parts=2, total=3)
    assert inbox.take(other, ME) == (None, [Dropped("parts that do not fit together")])


def test_only_so_many_lists_are_begun():
    inbox = Inbox(1_000_000, 1_000)
    ask = request()
    for number in range(MAX_SENDERS):
        inbox.take(partial(ask, f"ied{number}", parts=2, total=2), ME)
    assert inbox.take(partial(ask, "sm9", parts=2, total=2), ME) == (None, [Dropped("parts of too many")])
    inbox.close()
    assert inbox.take(partial(ask, "sm9", parts=2, total=2), ME) == (None, [])


def test_every_reply_is_in_one_part_and_no_part_is_too_large():
    replies = tuple(reply(f"ied{n}", b"x" * (n * 37 % 400)) for n in range(100))
    parts = split(replies, 1_000)
    assert tuple(one for part in parts for one in part) == replies
    assert all(0 < sum(map(octets, part)) <= 1_000 for part in parts)
    assert split((), 1_000) == ((),)


def test_an_outbox_turns_to_another_asker_with_all_of_it():
    box = Outbox(partial(request(), "sm1", *(reply(f"ied{n}", b"x" * 100) for n in range(4))), 250)
    assert [part.part for part in box.due()] == [1, 2, 3, 4]
    assert box.receipted(1) == box.receipted(9) == ()
    assert box.has_moved()
    assert not box.has_moved()
    box.turn((device("ssc1"),))
    assert [(part.part, part.bypassing) for part in box.due()] == [(n, (device("ssc1"),)) for n in (1, 2, 3, 4)]


def test_a_part_is_smaller_than_what_a_node_may_hold():
    with pytest.raises(LocalError, match="max_part"):
        node("sm1", max_part=100, max_replies=50)
    with pytest.raises(LocalError, match="28000"):
        node("sm1", max_part=28_001)


def test_a_faults_size_counts_what_escaping_makes_of_it():
    assert octets(DeviceReply(ME, b"", Fault(FaultCode.SENDER, qname(GOSSIP, "X"), '"' * 100))) > 600
