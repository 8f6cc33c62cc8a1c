"""Who speaks for a cluster asks its children for their reports, all at once; who is not asked reports by itself."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid
from keyrings import keyring

from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.door import Door
from gossip_ws.consensus.effects import GatherDue, Pull, PullDue, ReportDue, Tell
from gossip_ws.consensus.member import Member
from gossip_ws.consensus.messages import NEVER, Gather, Heard, Inquire, Report
from gossip_ws.consensus.trust import seal
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.instant import Instant

PACE = Pace()
HIERARCHY = build(grid(64, 1))
NANO = HIERARCHY.clusters[HIERARCHY.home["d8"]]
FIRST = HIERARCHY.candidates(NANO.id)[0]
OTHERS = tuple(device for device in NANO.children if device != FIRST)


def at(time):
    return Instant(time, time)


def told(effects, kind):
    tells = [effect for effect in effects if isinstance(effect, Tell)]
    return [(one.to, one.message) for one in tells if isinstance(one.message, kind)]


def timers(effects, kind):
    return [effect for effect in effects if isinstance(effect, SetTimer) and isinstance(effect.timer, kind)]


def asking():
    """The first of a nano grid has asked all others; what it did then."""
    one = Member(FIRST, HIERARCHY, PACE)
    (due,) = timers(one.start(0, (500,), at(0.0)), PullDue)
    assert due.delay == PACE.settle
    return one, one.due(due.timer, at(4.2))


def answer(one, child, watts=-100, time=5.0, number=1):
    return one.receive(Report(NANO.id, child, 0, number, (watts,), NEVER), child, at(time))


def test_when_a_day_begins_the_first_asks_all_others_at_once():
    _, effects = asking()
    assert [effect for effect in effects if isinstance(effect, Pull)] == [Pull(NANO.id, OTHERS, Gather(NANO.id, 0))]


def test_nobody_but_the_first_asks():
    for device in OTHERS:
        assert timers(Member(device, HIERARCHY, PACE).start(0, (500,), at(0.0)), PullDue) == []


def test_what_was_asked_is_not_answered_and_shared_out_as_soon_as_all_is_there():
    one, _ = asking()
    for child in OTHERS[:-1]:
        effects = answer(one, child)
        assert told(effects, Heard) == []
        assert timers(effects, GatherDue) == []
    (due,) = timers(answer(one, OTHERS[-1]), GatherDue)
    assert due.delay == 0.0


def test_of_who_is_silent_is_inquired_and_its_report_is_answered():
    one, effects = asking()
    for child in OTHERS[:-1]:
        answer(one, child)
    (again,) = timers(effects, PullDue)
    inquired = one.due(again.timer, at(6.3))
    assert told(inquired, Inquire) == [((OTHERS[-1],), Inquire(NANO.id, OTHERS[-1]))]
    effects = answer(one, OTHERS[-1])
    assert told(effects, Heard) == [((OTHERS[-1],), Heard(NANO.id, 1))]
    assert timers(effects, GatherDue) != []


def test_who_stays_silent_is_not_waited_for_for_long():
    one, effects = asking()
    answer(one, OTHERS[0])
    for time in (6.3, 8.4):
        (again,) = timers(effects, PullDue)
        effects = one.due(again.timer, at(time))
    assert timers(effects, GatherDue) != []


def test_on_another_day_or_in_other_clusters_nobody_asks():
    one = Member(FIRST, HIERARCHY, PACE)
    (due,) = timers(one.start(0, (500,), at(0.0)), PullDue)
    one.change(1, (500,), at(1.0))
    assert [effect for effect in one.due(due.timer, at(4.2)) if isinstance(effect, Pull)] == []


def child():
    """Another of the nano grid, that has nothing left."""
    one = Member(OTHERS[0], HIERARCHY, PACE)
    return one, one.start(0, (500,), at(0.0))


def test_who_is_asked_says_at_once_what_is_left_and_does_not_wait_for_an_answer():
    one, _ = child()
    effects = one.receive(Gather(NANO.id, 0), FIRST, at(4.5))
    ((to, report),) = told(effects, Report)
    assert (to, report.child, report.rest) == ((FIRST,), OTHERS[0], (500,))
    # Repeated now and then, as long as anything is left.
    (reminder,) = timers(effects, ReportDue)
    assert reminder.delay == PACE.remind


def test_who_has_nothing_left_says_so():
    one = Member(OTHERS[0], HIERARCHY, PACE)
    one.start(0, (0,), at(0.0))
    ((_, report),) = told(one.receive(Gather(NANO.id, 0), FIRST, at(4.5)), Report)
    assert report.rest == (0,)


def test_who_is_not_asked_in_time_reports_by_itself():
    one, effects = child()
    (due,) = timers(effects, ReportDue)
    assert due.delay == PACE.settle + PACE.ask
    ((to, report),) = told(one.due(due.timer, at(due.delay)), Report)
    assert (to, report.rest) == ((FIRST,), (500,))


def test_who_was_asked_does_not_report_by_itself_as_well():
    one, effects = child()
    (due,) = timers(effects, ReportDue)
    one.receive(Gather(NANO.id, 0), FIRST, at(4.5))
    assert told(one.due(due.timer, at(due.delay)), Report) == []


@pytest.mark.parametrize(
    ("sender", "gather"),
    [
        (OTHERS[1], Gather(NANO.id, 0)),
        (FIRST, Gather("nowhere", 0)),
        (FIRST, Gather(NANO.id, 1)),
        ("x", Gather(NANO.id, 0)),
    ],
)
def test_who_has_no_place_to_ask_gets_no_answer(sender, gather):
    one, _ = child()
    effects = one.receive(gather, sender, at(4.5))
    assert told(effects, Report) == []
    assert any(isinstance(effect, Dropped) for effect in effects)


def test_a_door_lets_in_what_is_asked_of_a_cluster_that_the_device_is_in():
    keys = keyring(grid(64, 1))
    gather = Gather(NANO.id, 0)
    asked = seal(FIRST, NANO.id, gather, keys.signs[FIRST], 5_000_000)
    elsewhere = next(device for device in HIERARCHY.home if not HIERARCHY.is_below(device, NANO.id))
    assert Door(OTHERS[0], keys.roll, HIERARCHY).opened(asked, 5.0) == gather
    assert Door(elsewhere, keys.roll, HIERARCHY).opened(asked, 5.0) == Dropped("said to another")
    other = seal(FIRST, HIERARCHY.parent(NANO.id), gather, keys.signs[FIRST], 5_000_000)
    assert Door(OTHERS[0], keys.roll, HIERARCHY).opened(other, 5.0) == Dropped("said to another")
