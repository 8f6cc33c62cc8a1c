"""Lies of speakers are shown by what they have signed; nobody who is honest is ever shown to lie."""

import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid
from keyrings import key, keyring
from quarrels import draw

from gossip_ws.consensus.attack import Falsehood
from gossip_ws.consensus.audit import Audit, evidence
from gossip_ws.consensus.checker import violations
from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.log import agreements
from gossip_ws.consensus.messages import NEVER, Board, Heard, Line, Report, Served, Shown
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.post import Post
from gossip_ws.consensus.proof import Kind, Lie, check, lie_of, shown
from gossip_ws.consensus.run import Run
from gossip_ws.consensus.trust import Roll, seal
from gossip_ws.kernel.effects import Dropped

INSTANCE = grid(64, 1)
HIERARCHY = build(INSTANCE)
KEYS = keyring(INSTANCE)
NANO = HIERARCHY.home["d8"]
STREET = HIERARCHY.parent(NANO)
"""d9 speaks for the nano grid, d2 for the street."""


def signed(child, rest, speaker="d9", cluster=NANO, served=NEVER, number=1):
    """A child's report as its speaker has sealed it for `speaker`, and the line that follows."""
    report = Report(cluster, child, 0, number, rest, served)
    return Line(child, child, rest, served, (), (evidence(seal(child, speaker, report, KEYS.signs[child], number)),))


def report(lines, rest, served=NEVER, sender="d9"):
    return seal(sender, "d2", Report(STREET, NANO, 0, 5, rest, served, (), tuple(lines)), KEYS.signs[sender], 9)


HONEST = [signed("d8", (5,)), signed("d10", (-7,))]


def test_what_is_true_is_no_lie():
    for said in (
        report(HONEST, (-2,)),
        # Some of it was arranged since the children reported.
        report([replace(HONEST[0], rest=(3,)), HONEST[1]], (-4,)),
        report(HONEST, (-1,)),
        report([HONEST[0], signed("d10", (-7,), served=Served(1, 1))], (-2,), Served(1, 1)),
        report([], (0,)),
        seal("d9", "d8", Board(3, NANO, 0, tuple(HONEST)), KEYS.signs["d9"], 9),
    ):
        assert lie_of(said, KEYS.roll) is None
        assert check(shown(said), KEYS.roll) is None


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (report(HONEST, (2,)), Kind.SUM),
        (report(HONEST, (-3,)), Kind.SUM),
        (report([], (3,)), Kind.SUM),
        (report(HONEST, (-2,), Served(4, 1)), Kind.SERVED),
        (report([HONEST[0], replace(HONEST[1], rest=(-9,))], (-4,)), Kind.MORE),
        (report([HONEST[0], replace(HONEST[1], rest=(1,))], (6,)), Kind.MORE),
        (report([HONEST[0], replace(HONEST[1], signed=())], (-2,)), Kind.LINE),
        (report([HONEST[0], replace(HONEST[1], child="d11")], (-2,)), Kind.LINE),
        (report([HONEST[0], replace(HONEST[1], served=Served(1, 1))], (-2,), Served(1, 1)), Kind.LINE),
        # Of those that need something, not of those that give, which nobody serves.
        (report([HONEST[0], signed("d10", (-7,), served=Served(1, 1))], (-2,)), Kind.SERVED),
        (report([HONEST[0], signed("d10", (-7,), speaker="d8")], (-2,)), Kind.LINE),
        (report([HONEST[0], signed("d10", (-7,), cluster=STREET)], (-2,)), Kind.LINE),
        (report([HONEST[0], HONEST[0]], (10,)), Kind.TWICE),
        (seal("d9", "d8", Board(3, NANO, 0, (replace(HONEST[0], rest=(6,)),)), KEYS.signs["d9"], 9), Kind.MORE),
        (seal("d9", "d8", Board(3, NANO, 1, tuple(HONEST)), KEYS.signs["d9"], 9), Kind.LINE),
    ],
)
def test_a_lie_is_shown_to_anybody_by_the_enrolments_alone(said, kind):
    cluster = NANO
    assert check(shown(said), KEYS.roll) == Lie("d9", cluster, kind)


def test_nobody_is_accused_of_what_it_has_not_signed():
    lie = report(HONEST, (2,))
    proof = shown(lie)
    for forged in (
        replace(proof, accused="d8"),
        replace(proof, to="d3"),
        replace(proof, stamp=10),
        replace(proof, signature="no hexadecimal"),
        replace(proof, signature=""),
        replace(proof, report=()),
        replace(proof, report=proof.report * 2),
        replace(proof, report=(replace(proof.report[0], number=6),)),
        replace(proof, board=(Board(3, NANO, 0, ()),)),
        shown(seal("d9", "d2", lie.message, key("stranger").sign, 9)),
    ):
        assert check(forged, KEYS.roll) is None


def test_nobody_is_accused_because_a_child_is_enrolled_no_more():
    roll = Roll({name: key(name).public.verifies for name in ("d9", "d8")})
    assert check(shown(report(HONEST, (-2,))), roll) is None
    assert check(shown(report(HONEST, (2,))), roll) == Lie("d9", NANO, Kind.SUM)


def test_a_true_report_with_other_lines_beside_it_accuses_nobody():
    """The lines are signed by their digest: who passes the report on cannot put others there."""
    said = report(HONEST, (-2,))
    framed = replace(said, message=replace(said.message, lines=(replace(HONEST[0], signed=()), HONEST[1])))
    assert check(shown(framed), KEYS.roll) is None


def test_who_was_shown_to_lie_speaks_for_nobody_and_is_shown_once():
    audit = Audit("d2", KEYS.roll, KEYS.signs["d2"])
    first = audit.suspect(report(HONEST, (2,)).message, report(HONEST, (2,)), HIERARCHY)
    assert first[0] == Dropped("a lie")
    assert isinstance(first[1].message, Shown)
    assert not {"d2", "d9"} & set(first[1].to)
    # It may say what it likes of a cluster; of itself it is heard.
    for said, answer in (
        (report(HONEST, (-2,)).message, [Dropped("by one who was shown to lie")]),
        (Heard(NANO, 3), [Dropped("by one who was shown to lie")]),
        (Report(NANO, "d9", 0, 3, (5,), NEVER), None),
    ):
        assert audit.suspect(said, seal("d9", "d2", said, KEYS.signs["d9"], 11), HIERARCHY) == answer
    assert audit.suspect(first[1].message, report(HONEST, (2,)), HIERARCHY) == [Dropped("shown before")]


def run(instance, conditions, seed, liars=(), size=8, days=1):
    hierarchy, post = build(instance, size), Post(keyring(instance), None, dict(liars))
    one = Run(instance, hierarchy, conditions, Random(seed), days=days, post=post)
    trace = one.run()
    assert violations(trace.logs, cuts=conditions.cuts, settled=trace.settled) == []
    return trace, post


def test_honest_speakers_are_never_shown_whatever_gets_lost_doubled_late_or_crashes():
    for seed in range(4):
        schedule = draw(Random(seed), seed)
        conditions = replace(schedule.conditions, patience=60.0)
        _, post = run(schedule.instance, conditions, seed, size=schedule.size, days=1 + seed % 2)
        assert not any(audit.liars for audit in post.audits.values()), schedule


@pytest.mark.parametrize(("number", "falsehood"), list(enumerate(Falsehood)))
def test_each_kind_of_lie_is_shown_and_the_next_candidate_speaks(number, falsehood):
    instance = grid(64, 3)
    hierarchy = build(instance)
    clusters = [one for one in hierarchy.clusters.values() if one.parent]
    cluster = clusters[number % len(clusters)]
    liar = hierarchy.candidates(cluster.id)[0]
    trace, post = run(instance, Conditions(loss=0.05, patience=60.0), 3, {liar: falsehood})
    assert post.lies[liar] > 0
    assert {name for audit in post.audits.values() for name in audit.liars} == {liar}
    around = set(hierarchy.leaves(cluster.id)) - {liar}
    knowing = {device for device in around if post.audits[device].liars}
    assert len(knowing) >= 0.8 * len(around)
    # Who goes on speaking to itself is matched by nobody; all others are.
    others = {device.id for device in instance.devices} - {liar}
    assert sum(sum(one.watts) for one in agreements(trace.logs)) >= matched(instance, others)
