"""Whom an answer leaves out: told by name, and late told from missing."""

from builders import NOW, address, at, content, device, gossip, node, peer

from gossip_ws.core.account import Lack, Lacking, Ledger, device_digest
from gossip_ws.core.effects import Combine, Deadline
from gossip_ws.core.messages import Partial, Receipt, Standing, Tally
from gossip_ws.kernel.errors import Fault, FaultCode
from gossip_ws.kernel.names import GossipId, qname
from gossip_ws.kernel.terms import Style, Tier

FAULT = Fault(FaultCode.RECEIVER, qname("urn:test", "Broken"), "no reading")


def asked(*peers, at_node="ssc1", by="is0", tier=Tier.WAN, **settings):
    """A node with its own value in, that was asked and waits for `peers`."""
    made = node(at_node, peer(by), *peers, **settings)
    ask = content("one", Style.REQUEST_RESPONSE)
    made.receive(gossip(by, ask, tier, 0), address(by), NOW)
    made.invoked(ask.id, b"0", NOW)
    return made, ask


def entry(*peers, invoked=True):
    """The information system, where a client asked."""
    made = node("is0", *peers)
    ask = content("one", Style.REQUEST_RESPONSE)
    made.originate(ask, NOW)
    if invoked:
        made.invoked(ask.id, b"0", NOW)
    return made, ask


def partial(about, sender, devices=1, value=b"5", **rest):
    return Partial(about.id, device(sender), Tally(devices, devices), value, **rest)


def receipt(about, sender, standing):
    return Receipt(about.id, device(sender), standing)


def confirmed(made, ask, by="is0", standing=Standing.TAKEN):
    """Whom it names once its answer was taken."""
    assert made.known(ask.id).lacking == ()
    made.receive(receipt(ask, by, standing), address(by), at(8.5))
    return made.known(ask.id).lacking


def lacks(name, standing, devices=1):
    return Lacking(device(name), standing, devices)


def test_the_silent_and_the_refusing_are_named_with_all_they_registered():
    ssc, ask = asked(peer("sm1", subtree=3), peer("sm2", subtree=2), peer("sm3"))
    ssc.receive(receipt(ask, "sm2", Standing.DECLINED), address("sm2"), NOW)
    ssc.receive(partial(ask, "sm3"), address("sm3"), NOW)
    assert ssc.known(ask.id).lacking == ()
    ssc.timer(Deadline(ask.id), at(8))
    ssc.combined(ask.id, b"5", (), at(8))
    mine = lacks("ssc1", Lack.COUNTED)
    assert confirmed(ssc, ask) == (mine, lacks("sm1", Lack.MISSING, 3), lacks("sm2", Lack.FAILED, 2))


def test_a_node_whose_answer_nobody_took_leaves_the_word_to_who_waited_for_it():
    for standing in (Standing.LATE, Standing.UNCERTAIN):
        ssc, ask = asked(peer("sm1", subtree=3))
        ssc.timer(Deadline(ask.id), at(8))
        ssc.combined(ask.id, b"5", (), at(8))
        assert confirmed(ssc, ask, standing=standing) == ()
    ssc, ask = asked(peer("sm1", subtree=3))
    ssc.timer(Deadline(ask.id), at(8))
    ssc.combined(ask.id, b"5", (), at(8))
    assert confirmed(ssc, ask, standing=Standing.COUNTED)


def test_whom_a_child_lacks_the_child_names():
    ssc, ask = asked(peer("sm1", subtree=3))
    below = Partial(ask.id, device("sm1"), Tally(contributors=1, expected=3, missing=2), b"5")
    ssc.receive(below, address("sm1"), NOW)
    (sent, _) = ssc.combined(ask.id, b"5", (), NOW)
    assert sent.message.tally.missing == 2
    assert confirmed(ssc, ask) == (lacks("ssc1", Lack.COUNTED),)


def test_a_partial_between_the_last_input_and_the_answer_is_late_and_not_missing():
    ssc, ask = asked(peer("sm1", subtree=3), peer("sm2"))
    ssc.receive(partial(ask, "sm2"), address("sm2"), NOW)
    (combine,) = ssc.timer(Deadline(ask.id), at(8))
    assert isinstance(combine, Combine)
    below = Partial(ask.id, device("sm1"), Tally(contributors=2, expected=3, missing=1), b"7")
    (told, _) = ssc.receive(below, address("sm1"), at(8.01))
    assert told.message.standing is Standing.LATE
    # Resent, because the receipt was lost: nothing more comes of it.
    ssc.receive(below, address("sm1"), at(8.02))
    (sent, _) = ssc.combined(ask.id, b"5", (), at(8.03))
    assert sent.message.tally == Tally(contributors=2, expected=5, missing=1, late=2)
    # Its partial was not taken: for whom it missed the one above speaks too.
    assert confirmed(ssc, ask)[1:] == (lacks("sm1", Lack.LATE, 3),)


def test_a_partial_after_the_answer_changes_the_name_and_not_the_answer():
    ssc, ask = asked(peer("sm1", subtree=3), peer("sm2"))
    ssc.receive(partial(ask, "sm2"), address("sm2"), NOW)
    ssc.timer(Deadline(ask.id), at(8))
    (sent, _) = ssc.combined(ask.id, b"5", (), at(8.1))
    assert sent.message.tally == Tally(contributors=2, expected=5, missing=3)
    assert confirmed(ssc, ask)[1:] == (lacks("sm1", Lack.MISSING, 3),)
    ssc.receive(partial(ask, "sm1", 3), address("sm1"), at(8.6))
    assert ssc.known(ask.id).lacking[1:] == (lacks("sm1", Lack.LATE, 3),)


def test_the_own_value_may_be_late_as_well():
    root, ask = entry(peer("ssc1"), invoked=False)
    root.receive(partial(ask, "ssc1"), address("ssc1"), NOW)
    root.timer(Deadline(ask.id), at(9.2))
    root.invoked(ask.id, b"0", at(9.21))
    (answer,) = root.combined(ask.id, b"5", (), at(9.3))
    assert answer.tally == Tally(contributors=1, expected=2, late=1)
    assert root.known(ask.id).lacking == (lacks("is0", Lack.LATE),)


def test_who_claims_more_than_its_subtree_is_not_late_but_missing():
    ssc, ask = asked(peer("sm1", subtree=3), peer("sm2"))
    ssc.receive(partial(ask, "sm2"), address("sm2"), NOW)
    ssc.timer(Deadline(ask.id), at(8))
    ssc.receive(partial(ask, "sm1", 50), address("sm1"), at(8.01))
    (sent, _) = ssc.combined(ask.id, b"5", (), at(8.02))
    assert sent.message.tally == Tally(contributors=2, expected=5, missing=3)


def test_a_late_equal_is_late_here_because_it_answers_to_nobody_else():
    root, ask = entry(peer("ssc1", subtree=4), peer("ssc2", subtree=3))
    root.receive(partial(ask, "ssc1", 4), address("ssc1"), NOW)
    root.timer(Deadline(ask.id), at(9.2))
    root.receive(partial(ask, "ssc2", 3), address("ssc2"), at(9.21))
    (answer,) = root.combined(ask.id, b"5", (), at(9.3))
    assert answer.tally == Tally(contributors=5, expected=8, late=3)


def test_a_value_that_the_filter_refuses_and_a_filter_that_fails_have_names():
    ssc, ask = asked(peer("sm1", subtree=3))
    ssc.receive(partial(ask, "sm1", 3, b"-1"), address("sm1"), NOW)
    ssc.combined(ask.id, b"0", (1,), NOW)
    assert confirmed(ssc, ask) == (lacks("ssc1", Lack.COUNTED), lacks("sm1", Lack.FAILED, 3))
    ssc, ask = asked(peer("sm1", subtree=3))
    ssc.receive(partial(ask, "sm1", 3), address("sm1"), NOW)
    ssc.combined(ask.id, FAULT, (), NOW)
    assert confirmed(ssc, ask) == (lacks("ssc1", Lack.FAILED, 4),)


def test_an_own_fault_has_the_own_name():
    meter = node("sm1", peer("ssc1"))
    ask = content("one", Style.REQUEST_RESPONSE)
    meter.receive(gossip("ssc1", ask, Tier.FAN, 0), address("ssc1"), NOW)
    meter.invoked(ask.id, FAULT, NOW)
    assert confirmed(meter, ask, by="ssc1") == (lacks("sm1", Lack.FAILED),)


def test_a_silent_equal_is_named_where_the_tier_is_accounted_for_and_nowhere_else():
    root, ask = entry(peer("ssc1", subtree=4), peer("ssc2", subtree=3))
    root.receive(partial(ask, "ssc1", 4), address("ssc1"), NOW)
    root.timer(Deadline(ask.id), at(9.2))
    (answer,) = root.combined(ask.id, b"5", (), at(9.2))
    assert answer.tally.missing == 3
    assert root.known(ask.id).lacking == (lacks("ssc2", Lack.MISSING, 3),)
    other, ask = asked(peer("ssc2", subtree=3))
    other.timer(Deadline(ask.id), at(8))
    other.combined(ask.id, b"5", (), at(8))
    assert confirmed(other, ask) == (lacks("ssc1", Lack.COUNTED),)


def test_equals_that_did_not_answer_are_named_and_those_not_asked_are_unknown():
    ssc = [peer(f"ssc{number}", subtree=2) for number in range(1, 7)]
    root, ask = entry(*ssc)
    asked_here = [one for one in ssc if one.device in root._requests._open[ask.id].asked]
    taken, silent, counted = asked_here
    cover = (device_digest(next(one for one in ssc if one not in asked_here).device),)
    root.receive(Partial(ask.id, taken.device, Tally(4, 4), b"5", cover), taken.udp, NOW)
    root.receive(Receipt(ask.id, counted.device, Standing.COUNTED), counted.udp, NOW)
    root.timer(Deadline(ask.id), at(9.2))
    (answer,) = root.combined(ask.id, b"5", (), at(9.2))
    # Of the twelve below, four came. The one that says counted came by a way that has died: who knows.
    assert answer.tally == Tally(contributors=5, expected=13, missing=8)
    told = {one.device: one.standing for one in root.known(ask.id).lacking}
    unasked = [one for one in ssc if one not in asked_here and device_digest(one.device) not in cover]
    assert told == {silent.device: Lack.MISSING, **{one.device: Lack.UNKNOWN for one in (counted, *unasked)}}


def test_an_equal_that_refused_is_named_as_failed():
    root, ask = entry(peer("ssc1", subtree=4), peer("ssc2"))
    root.receive(receipt(ask, "ssc1", Standing.BUSY), address("ssc1"), NOW)
    root.receive(partial(ask, "ssc2"), address("ssc2"), NOW)
    root.combined(ask.id, b"5", (), NOW)
    assert root.known(ask.id).lacking == (lacks("ssc1", Lack.FAILED, 4),)


def test_a_dead_parent_is_named_for_those_that_did_not_come_by_themselves():
    root, ask = entry(peer("ssc1", subtree=4))
    root.receive(partial(ask, "sm1", bypassing=(device("ssc1"),)), address("sm1"), at(5))
    root.timer(Deadline(ask.id), at(9.2))
    (answer,) = root.combined(ask.id, b"5", (), at(9.2))
    assert answer.tally == Tally(contributors=2, expected=5, missing=3)
    assert root.known(ask.id).lacking == (lacks("ssc1", Lack.MISSING, 3),)


def test_an_answer_that_leaves_nobody_out_takes_no_room_and_the_oldest_makes_it():
    ledger = Ledger(2)
    ids = [GossipId(bytes([number]) * 32) for number in range(4)]
    ledger.add(ids[0], ())
    assert len(ledger) == 0
    for id in ids[1:]:
        ledger.add(id, (lacks("sm1", Lack.MISSING),))
        assert ledger.get(id) == ()
        ledger.confirm(id)
    ledger.confirm(ids[0])
    assert len(ledger._confirmed) == 2
    assert [bool(ledger.get(id)) for id in ids] == [False, False, True, True]


def test_names_outlive_the_request():
    ssc, ask = asked(peer("sm1"), query_limit=1, store_limit=1)
    ssc.timer(Deadline(ask.id), at(8))
    ssc.combined(ask.id, b"0", (), at(8))
    before = confirmed(ssc, ask)
    other = content("two", Style.REQUEST_RESPONSE, issued=NOW.wall + 60, expires=NOW.wall + 120)
    ssc.receive(gossip("is0", other, rounds=0), address("is0"), at(61))
    assert ssc.known(ask.id).lacking == before
    assert lacks("sm1", Lack.MISSING) in before
