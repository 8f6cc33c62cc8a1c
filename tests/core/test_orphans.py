"""An asker dies in the middle of a pull: who turns to whom, and why nobody is counted twice."""

import pytest
from builders import NOW, address, at, content, device, gossip, node, peer

from gossip_ws.core.account import device_digest
from gossip_ws.core.effects import AskAgain, Combine, Deadline, ReplyAgain
from gossip_ws.core.messages import Partial, Ping, Receipt, Standing, Tally
from gossip_ws.core.peers import Relation
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.terms import Style, Tier

CHAIN = (device("is0"), device("ssc1"))


def partial(about, sender, devices=1, value=b"5", cover=(), bypassing=()):
    names = tuple(device(name) for name in bypassing)
    return Partial(about.id, device(sender), Tally(devices, devices), value, cover, bypassing=names)


def said(about, standing, to):
    return Send(Receipt(about.id, device("is0"), standing), (address(to),))


def orphan_meter():
    """A meter whose partial its substation has never receipted, four resends later."""
    meter = node("sm1", peer("ssc1"))
    meter.peers_told((peer("is0"), peer("ssc2")), NOW, Relation.EQUAL)
    ask = content("one", Style.REQUEST_RESPONSE)
    meter.receive(gossip("ssc1", ask, Tier.FAN, 0, ancestors=CHAIN), address("ssc1"), NOW)
    meter.invoked(ask.id, b"7", NOW)
    meter.combined(ask.id, b"7", (), NOW)
    for attempt in range(1, 5):
        (sent, _) = meter.timer(ReplyAgain(ask.id, attempt), at(attempt))
        assert sent.to == (address("ssc1"),)
    return meter, ask


def root(*children):
    """The information system, its own value in, nobody of `children` heard yet."""
    top = node("is0", *children)
    ask = content("one", Style.REQUEST_RESPONSE)
    top.originate(ask, NOW)
    top.invoked(ask.id, b"0", NOW)
    return top, ask


def test_an_orphan_turns_to_the_next_live_asker_and_says_whom_it_passes_by():
    meter, ask = orphan_meter()
    (sent, timer) = meter.timer(ReplyAgain(ask.id, 5), at(5))
    assert sent.to == (address("is0"),)
    assert sent.message.bypassing == (device("ssc1"),)
    assert sent.message.value == b"7"
    assert timer == SetTimer(ReplyAgain(ask.id, 1), 0.25)
    meter.receive(Receipt(ask.id, device("is0"), Standing.TAKEN), address("is0"), at(5.1))
    assert meter.timer(ReplyAgain(ask.id, 1), at(5.25)) == []


def test_all_orphans_of_one_that_replied_nothing_are_adopted_and_the_dead_fenced():
    top, ask = root(peer("ssc1", subtree=3), peer("sm9"))
    for name in ("sm1", "sm2"):
        effects = top.receive(partial(ask, name, bypassing=("ssc1",)), address(name), at(5))
        assert effects == [said(ask, Standing.TAKEN, name)]
    # What the dead had sent before comes too late to be counted with its children.
    effects = top.receive(partial(ask, "ssc1", devices=3), address("ssc1"), at(5.1))
    assert effects == [said(ask, Standing.LATE, "ssc1"), Dropped("late partial")]
    effects = top.receive(partial(ask, "sm9"), address("sm9"), at(5.2))
    assert isinstance(effects[-1], Combine)
    (answer,) = top.combined(ask.id, b"10", (), at(5.2))
    assert answer.tally == Tally(contributors=4, expected=5, missing=1)


def test_one_that_only_lost_its_receipts_brings_all_but_its_orphan():
    """Whoever is taken for dead is given the time that is left to show that it lives."""
    top, ask = root(peer("ssc1", subtree=4))
    assert top.receive(partial(ask, "sm1", bypassing=("ssc1",)), address("sm1"), at(5)) == [
        said(ask, Standing.TAKEN, "sm1")
    ]
    cover = (device_digest(device("sm2")),)
    without = Partial(ask.id, device("ssc1"), Tally(contributors=2, expected=4, missing=2), b"7", cover)
    effects = top.receive(without, address("ssc1"), at(6))
    assert effects[0] == said(ask, Standing.TAKEN, "ssc1")
    assert [given.value for given in effects[1].inputs] == [b"0", b"7", b"5"]
    (answer,) = top.combined(ask.id, b"12", (), at(6))
    assert answer.tally == Tally(contributors=4, expected=5, missing=1)


def test_one_that_only_lost_its_receipts_brings_its_orphan_too():
    top, ask = root(peer("ssc1", subtree=3))
    top.receive(partial(ask, "sm1", bypassing=("ssc1",)), address("sm1"), at(5))
    cover = (device_digest(device("sm1")), device_digest(device("sm2")))
    effects = top.receive(partial(ask, "ssc1", devices=3, value=b"7", cover=cover), address("ssc1"), at(6))
    assert [given.value for given in effects[1].inputs] == [b"0", b"7"]
    (answer,) = top.combined(ask.id, b"7", (), at(6))
    assert answer.tally == Tally(contributors=4, expected=4)


def test_an_orphan_whose_siblings_never_come_is_adopted_at_the_deadline():
    top, ask = root(peer("ssc1", subtree=3))
    top.receive(partial(ask, "sm1", bypassing=("ssc1",)), address("sm1"), at(5))
    (combine,) = top.timer(Deadline(ask.id), at(9.2))
    assert [given.value for given in combine.inputs] == [b"0", b"5"]
    (answer,) = top.combined(ask.id, b"5", (), at(9.2))
    assert answer.tally == Tally(contributors=2, expected=4, missing=2)


def test_an_orphan_that_the_dead_had_passed_on_is_counted_already():
    top, ask = root(peer("ssc1", subtree=3), peer("ssc2"))
    cover = (device_digest(device("sm1")),)
    top.receive(partial(ask, "ssc1", devices=3, cover=cover), address("ssc1"), at(1))
    effects = top.receive(partial(ask, "sm1", bypassing=("ssc1",)), address("sm1"), at(5))
    assert effects == [said(ask, Standing.COUNTED, "sm1")]
    top.timer(Deadline(ask.id), at(9.2))
    (answer,) = top.combined(ask.id, b"5", (), at(9.2))
    assert answer.tally == Tally(contributors=4, expected=5, missing=1)


def test_an_orphan_that_the_dead_had_given_up_is_adopted_and_no_longer_missing():
    top, ask = root(peer("ssc1", subtree=3), peer("ssc2"))
    cover = (device_digest(device("sm2")),)
    without = Partial(ask.id, device("ssc1"), Tally(contributors=2, expected=3, missing=1), b"5", cover)
    top.receive(without, address("ssc1"), at(1))
    assert said(ask, Standing.TAKEN, "sm1") in top.receive(
        partial(ask, "sm1", bypassing=("ssc1",)), address("sm1"), at(5)
    )
    top.receive(partial(ask, "ssc2"), address("ssc2"), at(5))
    (answer,) = top.combined(ask.id, b"15", (), at(6))
    assert answer.tally == Tally(contributors=5, expected=5)


def test_two_dead_in_a_row_and_the_elder_had_passed_the_younger_on_is_uncertain():
    top, ask = root(peer("ssc1", subtree=4), peer("ssc2"))
    cover = (device_digest(device("sm1")),)
    passed = Partial(ask.id, device("ssc1"), Tally(contributors=3, expected=4, missing=1), b"5", cover)
    top.receive(passed, address("ssc1"), at(1))
    effects = top.receive(partial(ask, "ied1", bypassing=("sm1", "ssc1")), address("ied1"), at(8))
    assert effects == [said(ask, Standing.UNCERTAIN, "ied1"), Dropped("uncertain orphan")]
    top.receive(partial(ask, "ssc2"), address("ssc2"), at(8))
    (answer,) = top.combined(ask.id, b"10", (), at(8))
    assert answer.tally == Tally(contributors=5, expected=6, uncertain=1)


def test_after_the_answer_an_orphan_is_late():
    top, ask = root(peer("ssc1", subtree=3))
    top.timer(Deadline(ask.id), at(9.2))
    effects = top.receive(partial(ask, "sm1", bypassing=("ssc1",)), address("sm1"), at(9.3))
    assert effects == [said(ask, Standing.LATE, "sm1"), Dropped("late partial")]


def test_an_orphan_counts_once_and_all_of_them_not_for_more_than_the_dead_registered():
    top, ask = root(peer("ssc1", subtree=3))
    first = partial(ask, "sm1", bypassing=("ssc1",))
    assert top.receive(first, address("sm1"), at(5)) == [said(ask, Standing.TAKEN, "sm1")]
    assert top.receive(first, address("sm1"), at(5.1)) == [said(ask, Standing.TAKEN, "sm1")]
    greedy = partial(ask, "sm2", devices=2, bypassing=("ssc1",))
    assert top.receive(greedy, address("sm2"), at(5.2)) == [Dropped("orphans of more than its subtree")]
    stranger = partial(ask, "sm9", bypassing=("ssc9",))
    assert top.receive(stranger, address("sm9"), at(5.3)) == [Dropped("orphan of nobody here")]


def test_whole_areas_that_had_asked_the_dead_for_their_way_up_are_adopted():
    """Among equals the tree is made by chance: the dead may have stood above others, more than it ever registered."""
    top, ask = root(peer("ssc1", subtree=3), peer("ssc2", subtree=5), peer("ssc3"))
    top.receive(Receipt(ask.id, device("ssc2"), Standing.COUNTED), address("ssc2"), at(0.1))
    top.receive(partial(ask, "ssc3"), address("ssc3"), at(0.2))
    for name in ("sm1", "sm2"):
        # All of its own are here: but ssc2 has said that somebody else is its asker.
        assert top.receive(partial(ask, name, bypassing=("ssc1",)), address(name), at(5)) == [
            said(ask, Standing.TAKEN, name)
        ]
    area = partial(ask, "ssc2", devices=5, bypassing=("ssc1",))
    assert top.receive(area, address("elsewhere"), at(5)) == [Dropped("unknown sender")]
    effects = top.receive(area, address("ssc2"), at(5))
    assert effects[0] == said(ask, Standing.TAKEN, "ssc2")
    assert isinstance(effects[1], Combine)
    (answer,) = top.combined(ask.id, b"20", (), at(5))
    assert answer.tally == Tally(contributors=9, expected=10, missing=1)


def two_that_pass_each_other_by():
    """An appliance gave up its meter, and the dead substation above it. The meter was only slow: it had the
    appliance's partial all the same, and then gave up the substation as well."""
    top, ask = root(peer("ssc1", subtree=4))
    appliance = partial(ask, "ied1", bypassing=("sm1", "ssc1"))
    meter = partial(ask, "sm1", devices=2, cover=(device_digest(device("ied1")),), bypassing=("ssc1",))
    return top, ask, appliance, meter


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_that_bring_the_same_device_the_larger_is_taken(order):
    top, ask, appliance, meter = two_that_pass_each_other_by()
    for orphan, name in ((appliance, "ied1"), (meter, "sm1"))[::order]:
        assert top.receive(orphan, address(name), at(5)) == [said(ask, Standing.TAKEN, name)]
    (combine,) = top.timer(Deadline(ask.id), at(9.2))
    assert len(combine.inputs) == 2
    (answer,) = top.combined(ask.id, b"5", (), at(9.2))
    assert answer.tally == Tally(contributors=3, expected=5, missing=2)


def test_a_slow_asker_is_left_out_when_the_dead_itself_brings_whom_it_holds():
    top, ask, _, meter = two_that_pass_each_other_by()
    assert top.receive(meter, address("sm1"), at(5)) == [said(ask, Standing.TAKEN, "sm1")]
    cover = (device_digest(device("ied1")), device_digest(device("sm2")))
    itself = Partial(ask.id, device("ssc1"), Tally(contributors=3, expected=4, missing=1), b"7", cover)
    effects = top.receive(itself, address("ssc1"), at(6))
    assert [given.value for given in effects[1].inputs] == [b"0", b"7"]
    (answer,) = top.combined(ask.id, b"7", (), at(6))
    assert answer.tally == Tally(contributors=4, expected=5, missing=1)


def test_who_knows_nobody_above_its_parent_goes_on_asking_it():
    meter = node("sm1", peer("ssc1"))
    ask = content("one", Style.REQUEST_RESPONSE)
    meter.receive(gossip("ssc1", ask, Tier.FAN, 0, ancestors=CHAIN), address("ssc1"), NOW)
    meter.invoked(ask.id, b"7", NOW)
    meter.combined(ask.id, b"7", (), NOW)
    (sent, _) = meter.timer(ReplyAgain(ask.id, 5), at(5))
    assert sent.to == (address("ssc1"),)
    assert meter.timer(ReplyAgain(ask.id, 13), at(14)) == [Dropped("partial without a receipt")]


def test_an_equal_that_says_nothing_is_not_waited_for_to_the_deadline():
    ssc = node("ssc1", peer("is0"), peer("ssc2", subtree=9))
    ask = content("one", Style.REQUEST_RESPONSE)
    ssc.receive(gossip("is0", ask, rounds=1), address("is0"), NOW)
    ssc.invoked(ask.id, b"7", NOW)
    for attempt in range(1, 5):
        assert len(ssc.timer(AskAgain(ask.id, attempt), at(attempt))) == 2
    (combine,) = ssc.timer(AskAgain(ask.id, 5), at(5))
    assert isinstance(combine, Combine)
    (sent, _) = ssc.combined(ask.id, b"7", (), at(4))
    assert sent.message.tally == Tally(1, 1)  # whoever stands for the tier says what became of the other


def test_whoever_stands_for_the_tier_waits_for_a_silent_equal_until_it_is_found_dead():
    top, ask = root(peer("ssc1", subtree=9), peer("ssc2"))
    top.receive(partial(ask, "ssc2"), address("ssc2"), NOW)
    for attempt in range(1, 5):
        assert len(top.timer(AskAgain(ask.id, attempt), at(attempt))) == 2
    again, _, ping, look = top.timer(AskAgain(ask.id, 5), at(5))
    assert (again.to, ping.to) == ((address("ssc1"),), (address("ssc1"),))
    assert isinstance(ping.message, Ping)
    waited = 5.0
    while True:
        effects = top.timer(look.timer, at(waited := waited + look.delay))
        look = next((one for one in effects if isinstance(one, SetTimer)), None)
        if look is None:
            break
    (combine,) = effects
    assert isinstance(combine, Combine)
    assert top.peers.is_down(device("ssc1"))
    (answer,) = top.combined(ask.id, b"5", (), at(waited))
    assert answer.tally == Tally(contributors=2, expected=11, missing=9)


def test_a_silent_equal_that_lives_after_all_is_in_the_answer():
    top, ask = root(peer("ssc1", subtree=9))
    for attempt in range(1, 6):
        effects = top.timer(AskAgain(ask.id, attempt), at(attempt))
    assert any(isinstance(one, Send) and isinstance(one.message, Ping) for one in effects)
    receipt, combine = top.receive(partial(ask, "ssc1", 9), address("ssc1"), at(7))
    assert receipt == said(ask, Standing.TAKEN, "ssc1")
    assert combine.inputs[1].contributors == 9
