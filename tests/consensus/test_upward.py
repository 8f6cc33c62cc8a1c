"""Who speaks for a cluster again after it had stopped is heard again; where a better choice is found, soon all know."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid

from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import GatherDue, ReportDue, Tell
from gossip_ws.consensus.log import AgreementId
from gossip_ws.consensus.member import Member
from gossip_ws.consensus.messages import NEVER, Gather, Heard, Moved, Propose, Report
from gossip_ws.consensus.upward import AT_ONCE
from gossip_ws.kernel.effects import SetTimer
from gossip_ws.kernel.instant import Instant

HIERARCHY = build(grid(64, 1))
STREET = HIERARCHY.clusters[HIERARCHY.home["d1"]]
FIRST = HIERARCHY.candidates(STREET.id)[0]
LATER = Instant(20.0, 20.0)
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


def reported(device, watts):
    """The device, and the report that it gave when it was asked by the first choice."""
    member = Member(device, HIERARCHY, Pace())
    member.start(0, (watts,), Instant(0.0, 0.0))
    (tell,) = [one for one in member.receive(Gather(STREET.id, 0), FIRST, LATER) if isinstance(one, Tell)]
    return member, tell.message


def moved_of(effects):
    return [
        (effect.to, effect.message.child)
        for effect in effects
        if isinstance(effect, Tell) and isinstance(effect.message, Moved)
    ]


def test_who_is_no_first_choice_speaks_for_nobody_once_one_child_has_found_a_better_one():
    """The others find it too. Who goes on meanwhile shares out what the better choice shares out."""
    second = HIERARCHY.candidates(STREET.id)[1]
    children = [child for child in STREET.children if child in HIERARCHY.home and child not in (FIRST, second)][:2]
    member = Member(second, HIERARCHY, Pace())
    member.start(0, (0,), Instant(0.0, 0.0))
    for child in children:
        carried_out(member, member.receive(Report(STREET.id, child, 0, 1, (100,), NEVER), child, LATER), LATER)
    asked = member.receive(Gather(STREET.parent, 0), HIERARCHY.candidates(STREET.parent)[0], LATER)
    assert [one.rest for one in carried_out(member, asked, LATER) if isinstance(one, Report)] == [(200,)]
    effects = member.receive(Moved(3, STREET.id, children[0]), children[0], LATER)
    assert [child for _, child in moved_of(effects)] == [STREET.id]


def test_who_hears_a_report_too_late_to_be_chosen_is_told_that_the_child_reports_elsewhere():
    """It would share out what it was told for as long as it remembers."""
    member, report = reported(CHILD, 500)
    other = HIERARCHY.candidates(STREET.id)[2]
    before = Heard(STREET.id, report.number - 1)
    assert moved_of(member.receive(before, other, LATER)) == [((other,), CHILD)]
    assert moved_of(member.receive(before, FIRST, LATER)) == []


@pytest.mark.parametrize(("is_unsettled", "rounds"), [(True, AT_ONCE), (False, Pace().recent)])
def test_who_has_just_found_its_speaker_tells_at_once_what_it_has_agreed(is_unsettled, rounds):
    """It may have been arranged by another, and the new one does not know."""
    member, report = reported(CHILD, -500)
    if is_unsettled:
        other = HIERARCHY.candidates(STREET.id)[2]
        assert moved_of(member.receive(Heard(STREET.id, report.number), other, LATER)) == [((other,), CHILD)]
    effects = member.receive(Propose(AgreementId(f"{OTHER}/1.0"), 0, (300,), STREET.level), OTHER, LATER)
    assert [one.message.watts for one in effects if isinstance(one, Tell)] == [(300,)]
    (due,) = [one.delay for one in effects if isinstance(one, SetTimer) and isinstance(one.timer, ReportDue)]
    assert due == rounds
