"""Who speaks for a cluster passes on what its children are to give."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid

from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import Tell
from gossip_ws.consensus.member import Member
from gossip_ws.consensus.messages import NEVER, Found, Report, Seek, Supply, Target
from gossip_ws.kernel.effects import Dropped
from gossip_ws.kernel.instant import Instant

HIERARCHY = build(grid(64, 1))
NOW = Instant(0.0, 0.0)
STREET = HIERARCHY.clusters[HIERARCHY.home["d1"]]
ABOVE = HIERARCHY.clusters[STREET.parent]
OTHERS = next(child for child in ABOVE.children if child in HIERARCHY.clusters and child != STREET.id)
FIRST = HIERARCHY.candidates(STREET.id)[0]
ONE, OTHER = [child for child in STREET.children if child in HIERARCHY.home and child != FIRST][:2]
ASKING = HIERARCHY.candidates(ABOVE.id)[0]


def speaking():
    """The first choice for the street; two of its children have reported that they give 500 W each."""
    member = Member(FIRST, HIERARCHY, Pace())
    member.start(0, (0,), NOW)
    for child in (ONE, OTHER):
        member.receive(Report(STREET.id, child, 0, 1, (500,), NEVER), child, NOW)
    return member


def told(effects, kind):
    return [
        (effect.to, effect.message) for effect in effects if isinstance(effect, Tell) and type(effect.message) is kind
    ]


def test_devices_that_need_it_are_told_to_the_children_at_once_each_child_once():
    near, far = HIERARCHY.leaves(OTHERS)[:2]
    targets = (Target(near, near, (600,)), Target(far, far, (300,)))
    effects = speaking().receive(Supply(7, STREET.id, 0, targets, ABOVE.level), ASKING, NOW)
    assert told(effects, Seek) == []
    first, last = sorted((ONE, OTHER))
    assert [(to, message.child, message.targets) for to, message in told(effects, Supply)] == [
        ((first,), first, (Target(near, near, (500,)),)),
        ((last,), last, (Target(near, near, (100,)), Target(far, far, (300,)))),
    ]


@pytest.mark.parametrize(("child", "watts"), [(ONE, (600,)), (OTHERS, (600,)), (HIERARCHY.leaves(OTHERS)[0], (601,))])
def test_who_is_found_is_of_the_cluster_that_was_asked_and_for_no_more_than_was_to_be_had(child, watts):
    speaker = HIERARCHY.candidates(OTHERS)[0]
    member = speaking()
    supply = Supply(7, STREET.id, 0, (Target(OTHERS, speaker, (600,)),), ABOVE.level)
    ((_, seek),) = told(member.receive(supply, ASKING, NOW), Seek)
    found = Found(seek.number, (Target(child, HIERARCHY.candidates(child)[0] if child == OTHERS else child, watts),))
    effects = member.receive(found, speaker, NOW)
    assert told(effects, Supply) == []
    assert Dropped("found elsewhere") in effects


def test_of_a_cluster_that_needs_it_is_asked_who_there_does():
    speaker = HIERARCHY.candidates(OTHERS)[0]
    supply = Supply(7, STREET.id, 0, (Target(OTHERS, speaker, (600,)),), ABOVE.level)
    effects = speaking().receive(supply, ASKING, NOW)
    assert told(effects, Supply) == []
    assert [(to, message.buyer, message.watts) for to, message in told(effects, Seek)] == [((speaker,), OTHERS, (600,))]
