"""One agreement, step by step, and what happens when a step is lost, doubled, late or cut short by a crash."""

import pytest

from gossip_ws.consensus.ability import Ability, Need, Storage
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import AcceptAgain, AskAgain, Persist, Tell
from gossip_ws.consensus.log import Cause, Kind, Record
from gossip_ws.consensus.messages import Accept, Confirm, Decline, Propose, Release, Served
from gossip_ws.consensus.party import Party
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.instant import Instant

NOW = Instant(5.0, 5.0)
PACE = Pace()
ID = "pv/1.0"
PROPOSE = Propose(ID, 0, (6, 0), 1)
ACCEPT = Accept(ID, (4, 0), 2)
CONFIRM = Confirm(ID, 2)
PROMISE = Record("car", 2, 5.0, Kind.PREPARED, 0, ID, "pv", 1, (4, 0))
DECISION = Record("pv", 2, 5.0, Kind.COMMITTED, 0, ID, "car", 1, (4, 0), Cause("car", 2))
SETTLED = Record("car", 3, 5.0, Kind.SETTLED, 0, ID, "pv", 1, (4, 0), Cause("pv", 2))
RELEASED = Record("car", 3, 5.0, Kind.RELEASED, 0, ID, "pv", 1, (4, 0))
ASKED = [Tell(("car",), PROPOSE), SetTimer(AskAgain(ID, 1), PACE.answer)]
ACCEPTED = [Tell(("pv",), ACCEPT), SetTimer(AcceptAgain(ID, 1), PACE.answer)]


def party(device, *watts):
    it = Party(device, PACE)
    it.start(NOW)
    it.offer(0, watts, NOW)
    return it


def seller():
    it = party("pv", 6, 3)
    assert it.propose("car", (9, 0), 1) == ASKED
    return it


def buyer():
    it = party("car", -4, 0)
    assert it.proposed(PROPOSE, "pv", NOW) == [Persist(PROMISE), *ACCEPTED]
    return it


def again(it):
    """What the device is after a crash: what it had written down."""
    after = Party(it.device, PACE, it.book.records)
    after.start(NOW)
    return after


def test_a_device_that_comes_up_writes_so_before_anything_else():
    it = Party("pv", PACE)
    assert it.start(NOW) == [Persist(Record("pv", 0, 5.0, Kind.STARTED, -1))]
    assert it.offer(0, (6, 3), NOW) == [Persist(Record("pv", 1, 5.0, Kind.OFFERED, 0, watts=(6, 3)))]
    assert it.offer(0, (6, 3), NOW) == []


def test_the_plain_way():
    pv, car = seller(), buyer()
    assert pv.rest == (0, 3)
    assert car.rest == (0, 0)
    assert pv.accepted(ACCEPT, "car", NOW) == [Persist(DECISION), Tell(("car",), CONFIRM)]
    assert pv.rest == (2, 3)
    assert car.confirmed(CONFIRM, "pv", NOW) == [Persist(SETTLED)]
    assert car.book.served == Served(0, 1)
    assert not pv.is_busy
    assert not car.is_busy


def test_what_is_doubled_is_answered_again_and_changes_nothing():
    pv, car = seller(), buyer()
    assert car.proposed(PROPOSE, "pv", NOW) == [Tell(("pv",), ACCEPT)]
    pv.accepted(ACCEPT, "car", NOW)
    assert pv.accepted(ACCEPT, "car", NOW) == [Tell(("car",), CONFIRM)]
    car.confirmed(CONFIRM, "pv", NOW)
    assert car.confirmed(CONFIRM, "pv", NOW) == []
    assert car.proposed(PROPOSE, "pv", NOW) == [Dropped("proposed again")]


def test_who_offers_less_has_not_proposed_more():
    pv = seller()
    assert pv.offer(0, (2, 3), NOW) == [Persist(Record("pv", 2, 5.0, Kind.OFFERED, 0, watts=(2, 3)))]
    assert pv.rest == (2, 3)
    # It was made of the old offer, and is not made any more.
    assert pv.accepted(ACCEPT, "car", NOW) == [Tell(("car",), Release(ID))]


def test_a_stranger_may_only_end_what_was_begun_with_it():
    pv, car = seller(), buyer()
    assert pv.is_owed(ACCEPT, "car")
    assert pv.is_owed(Decline(ID), "car")
    assert car.is_owed(CONFIRM, "pv")
    assert car.is_owed(Release(ID), "pv")
    for message, sender in ((CONFIRM, "heat"), (Confirm("pv/1.1", 2), "pv"), (Accept("heat/1.0", (4, 0), 2), "pv")):
        assert not car.is_owed(message, sender)
    assert not car.is_owed(PROPOSE, "pv")


def test_a_proposal_that_is_lost_is_repeated_and_given_up():
    pv = seller()
    for tries in range(1, PACE.tries):
        timer = SetTimer(AskAgain(ID, tries + 1), PACE.answer)
        # One more each time.
        assert pv.ask_again(AskAgain(ID, tries)) == [Tell(("car",), PROPOSE)] * (tries + 1) + [timer]
    assert pv.ask_again(AskAgain(ID, PACE.tries)) == []
    assert pv.rest == (6, 3)
    # The last one has arrived after all: it is not made any more, and the buyer is told.
    assert pv.accepted(ACCEPT, "car", NOW) == [Tell(("car",), Release(ID))]


def test_a_confirmation_that_is_lost_is_asked_for():
    pv, car = seller(), buyer()
    pv.accepted(ACCEPT, "car", NOW)
    again = SetTimer(AcceptAgain(ID, 2), PACE.answer)
    assert car.accept_again(AcceptAgain(ID, 1)) == [Tell(("pv",), ACCEPT), again]
    assert pv.accepted(ACCEPT, "car", NOW) == [Tell(("car",), CONFIRM)]
    car.confirmed(CONFIRM, "pv", NOW)
    assert car.accept_again(AcceptAgain(ID, 2)) == []


def test_a_seller_that_is_gone_is_asked_seldomer_and_for_ever():
    car = buyer()
    waits = []
    timer = AcceptAgain(ID, 1)
    for _ in range(1000):
        (_, waiting) = car.accept_again(timer)
        timer = waiting.timer
        waits.append(waiting.delay)
    # As often as ever for as long as messages may only be lost; in all that time, a tenth of it or less.
    assert waits[:7] == [PACE.answer] * 7
    assert all(wait <= PACE.answer + sum(waits[:number]) / 10 for number, wait in enumerate(waits))
    assert waits[-1] == max(waits) == 30 * PACE.answer


def test_a_buyer_that_is_released_needs_it_again():
    car = buyer()
    assert car.released(Release(ID), "pv", NOW) == [Persist(RELEASED)]
    assert car.rest == (-4, 0)
    assert car.released(Release(ID), "pv", NOW) == []
    assert car.proposed(PROPOSE, "pv", NOW) == [Dropped("proposed again")]


def test_who_needs_nothing_declines():
    pv, car = seller(), party("car", 0, -4)
    assert car.proposed(PROPOSE, "pv", NOW) == [Tell(("pv",), Decline(ID))]
    assert pv.declined(Decline(ID), "car") == []
    assert pv.rest == (6, 3)
    assert pv.declined(Decline(ID), "car") == [Dropped("declined and not open")]


def test_a_seller_that_crashed_before_it_decided_has_not_decided():
    pv = again(seller())
    assert pv.rest == (6, 3)
    assert pv.accepted(ACCEPT, "car", NOW) == [Tell(("car",), Release(ID))]
    # And no id comes twice.
    assert pv.propose("car", (1, 0), 1)[0] == Tell(("car",), Propose("pv/2.0", 0, (1, 0), 1))


def test_a_seller_that_crashed_after_it_decided_says_so():
    pv = seller()
    pv.accepted(ACCEPT, "car", NOW)
    pv = again(pv)
    assert pv.rest == (2, 3)
    assert pv.accepted(ACCEPT, "car", NOW) == [Tell(("car",), CONFIRM)]


def test_a_buyer_that_crashed_keeps_its_promise_and_asks():
    car = Party("car", PACE, buyer().book.records)
    assert car.start(NOW) == [Persist(Record("car", 3, 5.0, Kind.STARTED, 0)), *ACCEPTED]
    assert car.rest == (0, 0)
    assert car.released(Release(ID), "pv", NOW)[0].record.kind is Kind.RELEASED
    assert car.rest == (-4, 0)


def test_a_buyer_that_crashed_before_it_wrote_has_promised_nothing():
    car = Party("car", PACE, buyer().book.records[:2])
    assert car.start(NOW) == [Persist(Record("car", 2, 5.0, Kind.STARTED, 0))]
    assert car.rest == (-4, 0)


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        (lambda pv, car: pv.accepted(ACCEPT, "thief", NOW), "accepted by another"),
        (lambda pv, car: pv.declined(Decline(ID), "thief"), "declined and not open"),
        (lambda pv, car: car.confirmed(CONFIRM, "thief", NOW), "not the seller"),
        (lambda pv, car: car.released(Release(ID), "thief", NOW), "not the seller"),
        (lambda pv, car: car.proposed(PROPOSE, "thief", NOW), "not the seller"),
        (lambda pv, car: car.confirmed(Confirm("pv/1.9", 0), "pv", NOW), "told of what was never promised"),
        (lambda pv, car: car.proposed(Propose("pv/1.9", 0, (-1, 0), 1), "pv", NOW), "no schedule"),
    ],
)
def test_what_is_not_theirs_to_say_changes_nothing(do, reason):
    pv, car = seller(), buyer()
    before = pv.rest, car.rest, list(pv.book.records), list(car.book.records)
    assert do(pv, car) == [Dropped(reason)]
    assert (pv.rest, car.rest, pv.book.records, car.book.records) == before


@pytest.mark.parametrize("watts", [(7, 0), (0, 0), (4, -1), (4,)])
def test_who_accepts_what_was_not_proposed_gets_nothing(watts):
    pv = seller()
    lie = Accept(ID, watts, 2)
    assert pv.accepted(lie, "car", NOW) == [Dropped("accepted more than proposed"), Tell(("car",), Release(ID))]
    assert pv.rest == (6, 3)


def test_a_device_that_has_less_to_offer_keeps_what_it_has_promised():
    pv = seller()
    pv.accepted(ACCEPT, "car", NOW)
    pv.offer(0, (3, 3), NOW)
    assert pv.rest == (0, 3)
    pv.offer(0, (-2, 3), NOW)
    assert pv.rest == (-2, 3)


def test_a_new_day_begins_with_nothing_promised():
    pv, car = seller(), buyer()
    assert pv.offer(1, (6, 3), NOW)[0].record.day == 1
    assert pv.rest == (6, 3)
    car.offer(1, (-4, 0), NOW)
    assert car.rest == (-4, 0)
    # What was in doubt yesterday still comes to its end, and does not count today.
    assert pv.accepted(ACCEPT, "car", NOW) == [Tell(("car",), Release(ID))]
    assert car.released(Release(ID), "pv", NOW)[0].record.day == 0
    assert car.rest == (-4, 0)
    assert car.proposed(Propose("pv/1.7", 0, (1, 0), 1), "pv", NOW) == [Tell(("pv",), Decline("pv/1.7"))]


@pytest.mark.parametrize("is_crashed", [False, True])
def test_a_day_that_comes_back_as_a_clock_is_set_back_has_its_promises(is_crashed):
    pv, car = seller(), buyer()
    pv.accepted(ACCEPT, "car", NOW)
    car.confirmed(CONFIRM, "pv", NOW)
    for it, watts in ((pv, (6, 3)), (car, (-4, 0))):
        it.offer(1, watts, NOW)
        it = again(it) if is_crashed else it
        it.offer(0, watts, NOW)
        assert it.rest == ((2, 3) if watts == (6, 3) else (0, 0))
        assert it.book.today == 1


@pytest.mark.parametrize(("day", "watts"), [(-1, (6, 3)), (0, (6, 3, 1)), (0, ()), (1, ())])
def test_what_is_no_offer_is_refused_and_changes_nothing(day, watts):
    pv = seller()
    before = pv.rest, list(pv.book.records)
    with pytest.raises(LocalError):
        pv.check(day, watts)
    assert (pv.rest, pv.book.records) == before


def test_what_is_open_and_what_is_made_in_a_day_is_bounded():
    pv = Party("pv", Pace(open=1, a_day=1))
    pv.start(NOW)
    pv.offer(0, (6, 3), NOW)
    pv.propose("car", (1, 0), 1)
    assert pv.propose("car", (1, 0), 1) == [Dropped("too many proposals")]
    pv.accepted(Accept(ID, (1, 0), 2), "car", NOW)
    assert pv.propose("car", (1, 0), 1) == [Dropped("too many proposals")]


def movable(device, ability, *watts):
    it = Party(device, PACE)
    it.start(NOW)
    it.offer(0, watts, NOW, ability)
    return it


def told(effects):
    return [effect.message for effect in effects if isinstance(effect, Tell)]


def test_two_sellers_at_once_cannot_give_a_need_more_than_its_energy():
    car = movable("car", Ability((Need(6, 4, 0, 2),)), 0, 0)
    (first,) = told(car.proposed(Propose("a/1.0", 0, (4, 0), 1), "a", NOW))
    (second,) = told(car.proposed(Propose("b/1.0", 0, (4, 4), 1), "b", NOW))
    assert (first.watts, second.watts) == ((4, 0), (0, 2))
    assert told(car.proposed(Propose("c/1.0", 0, (4, 4), 1), "c", NOW)) == [Decline("c/1.0")]
    car.released(Release("a/1.0"), "a", NOW)
    (third,) = told(again(car).proposed(Propose("c/1.0", 0, (4, 4), 1), "c", NOW))
    # What was promised in the second period stays promised.
    assert third.watts == (4, 0)


def test_storage_sells_what_it_holds_for_certain_and_keeps_it_while_it_is_asked():
    battery = movable("battery", Ability((), Storage(10, 8, 8)), 0, 0)
    assert battery.propose("car", (9, 9), 1) == []
    (accept,) = told(battery.proposed(Propose("pv/1.0", 0, (9, 0), 1), "pv", NOW))
    assert accept.watts == (8, 0)
    assert battery.propose("car", (0, 9), 1) == []
    battery.confirmed(Confirm("pv/1.0", 2), "pv", NOW)
    (proposed,) = told(battery.propose("car", (0, 5), 1))
    (other,) = told(battery.propose("heat", (0, 5), 1))
    assert (proposed.watts, other.watts) == ((0, 5), (0, 3))
    # Declined, it is there again; after a crash nothing is proposed.
    battery.declined(Decline(other.agreement), "heat")
    assert battery.could_give((9, 9)) == (3, 0)
    assert again(battery).could_give((0, 9)) == (0, 8)
