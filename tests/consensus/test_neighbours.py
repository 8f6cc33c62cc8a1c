"""One device in its nano grid: it plans once it has heard all of it, and leaves the rest to who hears more."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid

from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import PlanDue, ReportDue, Spread, Tell
from gossip_ws.consensus.member import Member
from gossip_ws.consensus.messages import NEVER, Announce, Propose, Report
from gossip_ws.kernel.effects import SetTimer
from gossip_ws.kernel.instant import Instant

HIERARCHY = build(grid(64, 1))
NANO = HIERARCHY.clusters[HIERARCHY.home["d8"]]
OTHERS = [device for device in NANO.children if device != "d9"]


def told(effects, kind):
    return [effect.message for effect in effects if isinstance(effect, Tell) and isinstance(effect.message, kind)]


def started():
    """d9, which has 500 W to give; all timers that it has set, by kind."""
    one = Member("d9", HIERARCHY, Pace())
    timers = {
        type(effect.timer): effect.timer
        for effect in one.start(0, (500,), Instant(0.0, 0.0))
        if isinstance(effect, SetTimer)
    }
    return one, timers


def announce(one, others):
    """They tell that they need 100 W each. What the device does thereupon."""
    now = Instant(1.0, 1.0)
    return [effect for other in others for effect in one.receive(Announce(0, 2, (-100,), NEVER), other, now)]


def test_what_it_has_is_said_once_to_the_whole_nano_grid():
    effects = Member("d9", HIERARCHY, Pace()).start(0, (500,), Instant(0.0, 0.0))
    (said,) = [effect for effect in effects if isinstance(effect, Spread)]
    assert (said.cluster, said.to, said.message.rest) == (NANO.id, tuple(OTHERS), (500,))


def test_who_has_heard_all_proposes_at_once():
    one, _ = started()
    assert sum(sum(proposal.watts) for proposal in told(announce(one, OTHERS), Propose)) == 500


def test_who_has_not_heard_one_leaves_it_to_who_hears_more_and_says_so():
    one, timers = started()
    assert told(announce(one, OTHERS[:-1]), Propose) == []
    assert told(one.due(timers[PlanDue], Instant(1.05, 1.05)), Propose) == []
    (report,) = told(one.due(timers[ReportDue], Instant(4.2, 4.2)), Report)
    assert (report.rest, report.missed) == ((500,), 1)


def test_who_hears_the_last_one_late_plans_after_all():
    one, timers = started()
    announce(one, OTHERS[:-1])
    one.due(timers[PlanDue], Instant(1.05, 1.05))
    effects = announce(one, OTHERS[-1:])
    (due,) = [effect.timer for effect in effects if isinstance(effect, SetTimer)]
    assert sum(sum(proposal.watts) for proposal in told(one.due(due, Instant(2.1, 2.1)), Propose)) == 500


def test_who_has_heard_all_on_the_next_day_says_no_more_that_it_missed_one():
    one, timers = started()
    announce(one, OTHERS[:-1])
    one.due(timers[PlanDue], Instant(1.05, 1.05))
    now = Instant(50.0, 50.0)
    effects = one.change(1, (500,), now)
    effects += [effect for other in OTHERS for effect in one.receive(Announce(1, 9, (100,), NEVER), other, now)]
    timers = {type(effect.timer): effect.timer for effect in effects if isinstance(effect, SetTimer)}
    one.due(timers[PlanDue], Instant(51.05, 51.05))
    (report,) = told(one.due(timers[ReportDue], Instant(54.2, 54.2)), Report)
    assert (report.day, report.missed) == (1, 0)
