"""Who speaks for a cluster again after it had stopped is heard again."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid

from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import GatherDue, Tell
from gossip_ws.consensus.member import Member
from gossip_ws.consensus.messages import NEVER, Gather, Heard, Moved, Report
from gossip_ws.kernel.effects import SetTimer
from gossip_ws.kernel.instant import Instant

HIERARCHY = build(grid(64, 1))
STREET = HIERARCHY.clusters[HIERARCHY.home["d1"]]
FIRST = HIERARCHY.candidates(STREET.id)[0]
CHILD, OTHER = [child for child in STREET.children if child in HIERARCHY.home and child != FIRST][:2]


def carried_out(member, effects, now):
    """What the member tells after effects, with the timers of its desk come back at once and its reports answered."""
    told = []
    for effect in effects:
        if isinstance(effect, Tell):
            told.append(effect.message)
            if isinstance(effect.message, Report) and effect.message.cluster == STREET.parent:
                heard = Heard(STREET.parent, effect.message.number)
                told += carried_out(member, member.receive(heard, effect.to[0], now), now)
        elif isinstance(effect, SetTimer) and isinstance(effect.timer, GatherDue):
            told += carried_out(member, member.due(effect.timer, now), now)
    return told


def test_a_cluster_that_is_reported_anew_is_not_taken_for_what_was_reported_before():
    """The one above takes in no report that is older by its number than the last one of the same sender."""
    member = Member(FIRST, HIERARCHY, Pace())
    carried_out(member, member.start(0, (0,), Instant(0.0, 0.0)), Instant(0.0, 0.0))
    reports = []
    for number in range(1, 40):
        now = Instant(10.0 * number, 10.0 * number)
        told = member.receive(Report(STREET.id, CHILD, 0, number, (number,), NEVER), CHILD, now)
        reports += [one for one in carried_out(member, told, now) if isinstance(one, Report)]
        if number % 20 == 1:
            # Who has told nothing yet waits to be asked.
            asked = member.receive(Gather(STREET.parent, 0), HIERARCHY.candidates(STREET.parent)[0], now)
            reports += [one for one in carried_out(member, asked, now) if isinstance(one, Report)]
        if number % 20 == 0:
            # It reports to somebody else for a while.
            carried_out(member, member.receive(Moved(number, STREET.id, CHILD), CHILD, now), now)
    numbers = [one.number for one in reports if one.child == STREET.id]
    assert len(numbers) > 30
    assert numbers == sorted(set(numbers))


def test_a_timer_of_a_cluster_that_was_given_up_does_not_end_the_waiting_of_the_next():
    member = Member(FIRST, HIERARCHY, Pace())
    now = Instant(0.0, 0.0)
    member.start(0, (0,), now)
    seen = []
    for number in range(1, 20):
        told = member.receive(Report(STREET.id, CHILD, 0, number, (5,), NEVER), CHILD, now)
        told += member.receive(Report(STREET.id, OTHER, 0, number, (5,), NEVER), OTHER, now)
        seen += [one.timer for one in told if isinstance(one, SetTimer) and isinstance(one.timer, GatherDue)]
        if number % 5 == 0:
            for child in (CHILD, OTHER):
                member.receive(Moved(2 * number + (child == OTHER), STREET.id, child), child, now)
        else:
            member.due(seen[-1], now)
    assert len(seen) > 4
    assert len(seen) == len(set(seen))
