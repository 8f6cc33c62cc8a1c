"""Old days are let go of: what is kept is bounded, comes up again as it was, and no promise is denied for it."""

import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid

import gossip_ws.consensus.run
from gossip_ws.consensus.book import Book
from gossip_ws.consensus.checker import violations
from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import Persist, Tell
from gossip_ws.consensus.log import AgreementId, Kind
from gossip_ws.consensus.messages import Accept, Confirm, Propose, Release
from gossip_ws.consensus.party import Party
from gossip_ws.consensus.past import Past
from gossip_ws.consensus.run import PACE, Run
from gossip_ws.kernel.effects import Dropped
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.instant import Instant

NOW = Instant(5.0, 5.0)
KEEP = Pace(keep=2)


def two():
    pv, car = Party("pv", KEEP), Party("car", KEEP)
    for party in (pv, car):
        party.start(NOW)
    return pv, car


def day(pv, car, number, *, confirm=True):
    """Both offer, and agree on 5 W; without `confirm` the seller's last word is lost. What the buyer accepted."""
    pv.offer(number, (9, 0), NOW)
    car.offer(number, (-5, 0), NOW)
    ask, _ = pv.propose("car", (9, 0), 1)
    _, answer, _ = car.proposed(ask.message, "pv", NOW)
    _, made = pv.accepted(answer.message, "car", NOW)
    if confirm:
        car.confirmed(made.message, "pv", NOW)
    return answer.message


def stands(book):
    """Everything that a device acts on."""
    return (book.day, book.starts, book.length, book.served, book.sold, book.doubts, book.closed, book.free((0, 0)))


def test_a_log_is_as_long_after_a_year_as_after_some_days():
    pv, car = two()
    for number in range(365):
        day(pv, car, number)
        assert max(len(pv.book.records), len(car.book.records)) <= 10
    assert (pv.book.length, car.book.length) == (1 + 2 * 365, 1 + 3 * 365)
    assert car.book.served.times == 365
    assert len(pv.book.sold) == len(car.book.closed) == 3
    assert pv.book.past == Past(1 + 2 * 362, 362, 1, pv.book.served, (1, 361))


def test_a_day_that_was_let_go_of_does_not_come_back():
    pv, car = two()
    for number in range(5):
        day(pv, car, number)
    assert pv.book.past.before == 2
    pv.check(2, (9, 0))
    with pytest.raises(LocalError, match="day 1 is over"):
        pv.check(1, (9, 0))


@pytest.mark.parametrize("confirm", [True, False])
def test_what_is_left_of_a_log_comes_up_as_it_was(confirm):
    pv, car = two()
    for number in range(6):
        day(pv, car, number, confirm=confirm)
        for party in (pv, car):
            book = party.book
            assert stands(Book(party.device, book.records, book.past)) == stands(book)
            with pytest.raises(ValueError, match="in the log of"):
                Book(party.device, book.records, replace(book.past, number=book.past.number + 1))


def test_a_promise_that_was_never_answered_is_given_up_after_some_days():
    pv, car = two()
    for number in range(6):
        day(pv, car, number, confirm=False)
    assert [record.day for record in car.book.doubts.values()] == [3, 4, 5]
    assert car.confirmed(Confirm(AgreementId("pv/1.0"), 2), "pv", NOW) == [Dropped("told of what was never promised")]


def test_what_was_made_long_ago_is_neither_confirmed_nor_denied():
    pv, car = two()
    old = [day(pv, car, number) for number in range(6)]
    late = "accepted too late to be known"
    assert pv.accepted(old[0], "car", NOW) == [Dropped(late)]
    assert pv.accepted(replace(old[0], agreement=AgreementId("pv/0.7")), "car", NOW) == [Dropped(late)]
    (told,) = pv.accepted(old[-1], "car", NOW)
    assert isinstance(told.message, Confirm)
    again = Party("pv", KEEP, pv.book.records, pv.book.past)
    again.start(NOW)
    assert again.accepted(old[0], "car", NOW) == [Dropped(late)]
    # What no record was ever of is denied, as it always was.
    for never in ("pv/1.99", "pv/2.0", "pv/x", "nonsense"):
        (told,) = again.accepted(Accept(AgreementId(never), (1, 0), 4), "car", NOW)
        assert told == Tell(("car",), Release(AgreementId(never)))


def test_a_promise_on_the_edge_of_the_past_is_kept_as_it_was_closed():
    """The promise is gone, and the seller's answer to it not yet."""
    pv, car = two()
    accept = day(pv, car, 0, confirm=False)
    car.offer(1, (-5, 0), NOW)
    car.confirmed(Confirm(accept.agreement, 2), "pv", NOW)
    car.offer(3, (-5, 0), NOW)
    book = car.book
    assert [record.kind for record in book.records] == [Kind.OFFERED, Kind.SETTLED, Kind.OFFERED]
    assert stands(Book("car", book.records, book.past)) == stands(book)
    propose = Propose(accept.agreement, 3, (5, 0), 1)
    assert car.proposed(propose, "pv", NOW) == [Dropped("proposed again")]


def test_in_a_grid_that_forgets_after_a_day_no_promise_is_broken(monkeypatch):
    monkeypatch.setattr(gossip_ws.consensus.run, "PACE", replace(PACE, keep=1))
    instance = grid(24, 3)
    hierarchy = build(instance, 8)
    conditions = Conditions(loss=0.1, twice=0.1, held=0.1, crashes=0.3, patience=4_000.0)
    run = Run(instance, hierarchy, conditions, Random(4), days=6)
    trace = run.run()
    assert violations(trace.logs, hierarchy=hierarchy, claimed=trace.claimed, settled=trace.settled) == []
    assert max(member.party.book.past.before for member in run.members.values()) == 4
    kept = {device: tuple(member.party.book.records) for device, member in run.members.items()}
    assert violations(kept, hierarchy=hierarchy, settled=trace.settled, since=4) == []
    # Without saying from which day on they are complete, logs begin at their beginning.
    assert {one.rule for one in violations(kept)} >= {"log"}


def test_offers_are_written_before_anything_is_forgotten():
    pv, car = two()
    for number in range(4):
        day(pv, car, number)
    (written,) = pv.offer(4, (9, 0), NOW)
    assert isinstance(written, Persist)
    assert (written.record.number, pv.book.length) == (9, 10)
