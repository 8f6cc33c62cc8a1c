"""What a speaker makes of reports that do not know yet what was arranged: nothing is shared out twice, none is lost."""

import sys
from itertools import count
from math import inf
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid

from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.desk import Desk
from gossip_ws.consensus.loose import RETURNS, STORES, WAITS, Loose
from gossip_ws.consensus.messages import NEVER, Report

HIERARCHY = build(grid(64, 1))
STREET = HIERARCHY.clusters[HIERARCHY.home["d1"]]
PACE = Pace()


def desk(*, is_first=True):
    return Desk(STREET, PACE, count(1).__next__, is_first, frozenset({STREET.children[-1]}))


def told(one, child, watts, at, number=1, speaker="", missed=0, rank=0):
    report = Report(STREET.id, child, 0, number, (watts,), NEVER, missed=missed)
    return one.report(report, speaker or child, at, rank)


def shared(one, at):
    _, flows = one.board(HIERARCHY, at)
    return [(flow.seller, flow.buyer, *flow.watts) for flow in flows]


def test_what_is_on_its_way_is_not_shared_out_again():
    one = desk()
    told(one, "d1", 500, 1.0)
    told(one, "d2", -300, 1.0)
    assert shared(one, 2.0) == [("d1", "d2", 300)]
    # Both report once more before they have heard of it.
    told(one, "d1", 500, 3.0, 2)
    told(one, "d2", -300, 3.0, 2)
    assert one.net.rest == (200,)
    assert shared(one, 3.5) == []


def test_who_has_reported_as_if_it_did_not_know_is_asked_once_it_should_and_believed_then():
    one = desk()
    told(one, "d1", 500, 1.0)
    told(one, "d2", -300, 1.0)
    shared(one, 2.0)
    assert one.doubt == inf
    told(one, "d2", -300, 3.0, 2)
    assert one.doubt == 2.0 + PACE.flight
    assert one.doubtful(one.doubt - 0.1) == []
    assert one.doubtful(one.doubt) == [("d2", "d2")]
    told(one, "d2", -300, 7.5, 3)
    assert one.net.rest == (200 - 300,)
    assert one.doubt == inf


@pytest.mark.parametrize("is_first", [True, False])
def test_what_is_arranged_for_children_that_reported_elsewhere_until_now_is_asked_for(is_first):
    """Who spoke for them until now may have arranged the same, and a child that goes without need not know of it."""
    one = desk(is_first=is_first)
    told(one, "d1", 500, 1.0)
    shared(one, 2.0)
    told(one, "d2", -300, 60.0)
    assert shared(one, 60.5) == [("d1", "d2", 300)]
    assert one.doubtful(60.5 + PACE.flight) == ([("d1", "d1"), ("d2", "d2")] if is_first else [])


def test_what_is_arranged_for_children_that_have_had_one_speaker_for_long_is_not_asked_for():
    one = desk()
    told(one, "d1", 500, 1.0)
    shared(one, 2.0)
    told(one, "d2", -300, 60.0)
    at = 60.0 + PACE.unsettled
    assert shared(one, at) == [("d1", "d2", 300)]
    assert one.doubt == inf


def test_what_was_done_long_ago_is_not_taken_for_what_is_on_its_way():
    one = desk()
    told(one, "d1", 500, 1.0)
    told(one, "d2", -900, 1.0)
    assert shared(one, 2.0) == [("d1", "d2", 500)]
    told(one, "d3", 100, 8.0)
    assert shared(one, 8.5) == [("d3", "d2", 100)]
    # d2 has 500 less than it had told: that is the first, and the second is still to come.
    told(one, "d2", -400, 9.0, 2)
    assert one.net.rest == (-300,)


def test_a_row_is_forgotten_for_the_speaker_that_it_came_from_and_no_other():
    one = desk()
    told(one, STREET.children[-1], 100, 1.0, speaker="d9")
    assert not one.forget(STREET.children[-1], "d8")
    assert one.forget(STREET.children[-1], "d9")
    assert not one.expire(1.0)


def test_who_speaks_in_place_of_another_is_not_believed_while_that_one_does():
    one, nano = desk(), STREET.children[-1]
    told(one, nano, 100, 1.0, speaker="d9", rank=2)
    assert told(one, nano, 400, 2.0, speaker="d8", rank=0)
    assert not told(one, nano, 50, 3.0, 2, speaker="d9", rank=2)
    assert one.net.rest == (400,)
    assert told(one, nano, 50, 2.0 + 2 * PACE.refresh, 3, speaker="d9", rank=2)


def test_who_is_not_the_first_choice_forgets_sooner():
    first, other = desk(), desk(is_first=False)
    for one in (first, other):
        told(one, "d1", 100, 0.0)
    later = 4 * PACE.refresh + 0.1
    assert first.expire(later)
    assert not other.expire(later)


def waits(one, at, missed=0):
    """When it will share out what it knows, after a report that has come."""
    return next((at + effect.delay for effect in one.gather(at, missed)), None)


def test_reports_are_gathered_longer_while_a_whole_cluster_has_not_reported():
    one, usual = desk(), PACE.gather + STREET.level * PACE.gather_level
    told(one, "d1", 500, 1.0)
    assert waits(one, 1.0) == 1.0 + usual + PACE.answer
    told(one, "d2", 500, 1.2)
    assert waits(one, 1.2) is None
    told(one, STREET.children[-1], 100, 1.5, speaker="d9")
    assert waits(one, 1.5) == pytest.approx(1.0 + usual)


@pytest.mark.parametrize(("own", "of_a_child"), [(1, 0), (0, 1)])
def test_reports_are_gathered_longer_where_messages_are_lost_but_once_only(own, of_a_child):
    one, usual = desk(), PACE.gather + STREET.level * PACE.gather_level
    told(one, STREET.children[-1], 100, 1.0, speaker="d9")
    assert waits(one, 1.0) == 1.0 + usual
    told(one, "d1", 500, 2.0, missed=of_a_child)
    assert waits(one, 2.0, own) == pytest.approx(1.0 + usual + PACE.answer)
    later = desk()
    told(later, "d1", 500, 1.0)
    shared(later, 6.0)
    told(later, "d2", 500, 7.0, missed=of_a_child)
    assert waits(later, 7.0, own) == 7.0 + PACE.gather


def test_what_is_stored_goes_first_to_whom_can_return_it_whenever_it_is_needed():
    one = desk()
    for child, returns in (("d1", (9, 9, 0)), ("d2", (9, 2, 2)), ("d3", (9, 0, 9))):
        loose = (Loose(STORES, (5, 5, 0), 5), Loose(RETURNS, returns, sum(returns)))
        one.report(Report(STREET.id, child, 0, 1, (0, 0, 0), NEVER, loose), child, 1.0)
    assert [(target.child, target.watts) for target in one.buyers((7, 0, 0), 2.0)] == [
        ("d1", (2, 0, 0)),
        ("d2", (5, 0, 0)),
    ]


def test_of_those_that_wait_who_has_least_choice_comes_first():
    one = desk()
    for child, bounds in (("d1", (5, 5, 5)), ("d2", (5, 1, 0)), ("d3", (5, 0, 0))):
        one.report(Report(STREET.id, child, 0, 1, (0, 0, 0), NEVER, (Loose(WAITS, bounds, 5),)), child, 1.0)
    assert [(target.child, target.watts) for target in one.buyers((8, 0, 0), 2.0)] == [
        ("d2", (3, 0, 0)),
        ("d3", (5, 0, 0)),
    ]
