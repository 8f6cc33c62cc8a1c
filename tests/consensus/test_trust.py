"""What forgers, thieves of identities, repeaters and liars achieve: nothing that counts."""

import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid

from gossip_ws.consensus.checker import violations
from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.effects import GatherDue, Tell
from gossip_ws.consensus.log import agreements
from gossip_ws.consensus.member import Member
from gossip_ws.consensus.messages import (
    NEVER,
    Accept,
    Announce,
    Board,
    Confirm,
    Found,
    Line,
    Metered,
    Propose,
    Report,
    Seek,
    Supply,
    Target,
)
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.run import PACE, Run
from gossip_ws.consensus.trust import Roll, Sealed, is_in_place, is_meant, seal
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.instant import Instant
from gossip_ws.security.keys import PrivateKey

HIERARCHY = build(grid(64, 1))
"""d8 to d15 are a nano grid; d1 to d7 and that one are a street; d0, other heads and streets are the area."""
NANO, STREET = HIERARCHY.home["d8"], HIERARCHY.home["d1"]
ANNOUNCE = Announce(0, 2, (5,), NEVER)
NOW = Instant(1.0, 1.0)

KEYS = {name: PrivateKey.generate() for name in ("d8", "d9")}
ROLL = Roll({name: key.public.verifies for name, key in KEYS.items()})


def test_what_its_sender_has_signed_for_the_receiver_counts():
    assert ROLL.opened(seal("d8", "d9", ANNOUNCE, KEYS["d8"].sign), "d9") == ANNOUNCE


@pytest.mark.parametrize(
    ("sealed", "receiver"),
    [
        (seal("d8", "d9", ANNOUNCE, PrivateKey.generate().sign), "d9"),
        (seal("d10", "d9", ANNOUNCE, PrivateKey.generate().sign), "d9"),
        (replace(seal("d9", "d9", ANNOUNCE, KEYS["d9"].sign), sender="d8"), "d9"),
        (replace(seal("d8", "d9", ANNOUNCE, KEYS["d8"].sign), message=Announce(0, 2, (6,), NEVER)), "d9"),
        (seal("d8", "d9", ANNOUNCE, KEYS["d8"].sign), "d10"),
        (replace(seal("d8", "d9", ANNOUNCE, KEYS["d8"].sign), to="d10"), "d10"),
    ],
    ids=["forged", "not enrolled", "stolen name", "changed", "for another", "turned to another"],
)
def test_what_is_forged_changed_or_turned_to_another_does_not(sealed, receiver):
    assert ROLL.opened(sealed, receiver) is None


def test_what_was_metered_is_the_meters_to_sign_and_nothing_else_is():
    meter, told = PrivateKey.generate(), Metered(0, (5,))
    roll = Roll({name: key.public.verifies for name, key in KEYS.items()}, meters={"d8": meter.public.verifies})
    assert roll.opened(seal("d8", NANO, told, meter.sign), NANO) == told
    assert roll.opened(seal("d8", NANO, told, KEYS["d8"].sign), NANO) is None
    assert roll.opened(seal("d8", NANO, ANNOUNCE, meter.sign), NANO) is None
    # Who has no other meter is its own.
    assert roll.opened(seal("d9", NANO, told, KEYS["d9"].sign), NANO) == told
    assert roll.opened(seal("d9", NANO, told, meter.sign), NANO) is None


def test_what_was_metered_is_said_in_the_cluster_of_who_it_was_metered_of():
    def is_for(device, to, sender="d8"):
        return is_meant(HIERARCHY, device, Sealed(sender, to, Metered(0, (5,)), b""))

    assert is_for("d9", NANO)
    assert not is_for("d1", NANO)
    assert not is_for("d9", STREET)
    assert is_for("d9", STREET, "d1")
    assert not is_for("d9", HIERARCHY.top, "nobody")
    # To one alone it may be said too.
    assert is_for("d9", "d9")


def line(child, speaker):
    return Line(child, speaker, (5,), NEVER)


@pytest.mark.parametrize(
    ("message", "fits", "does_not"),
    [
        (Propose("d8/1.0", 0, (1,), 1), "d8", "d9"),
        (Report(STREET, NANO, 0, 1, (5,), NEVER), "d9", "d1"),
        (Report(STREET, "d1", 0, 1, (5,), NEVER), "d1", "d2"),
        (Board(1, STREET, 0, (line(NANO, "d9"), line("d1", "d1"))), "d2", "d16"),
        (Supply(1, NANO, 0, (Target("d20", "d20", (1,)),), 3), "d1", "d20"),
        (Confirm("d8/1.0", 3), "d20", "nobody"),
    ],
)
def test_only_who_stands_there_may_say_so(message, fits, does_not):
    assert is_in_place(HIERARCHY, message, fits, "d10")
    assert not is_in_place(HIERARCHY, message, does_not, "d10")


@pytest.mark.parametrize(
    "message",
    [
        Board(1, STREET, 0, (line(NANO, "d1"),)),
        Board(1, STREET, 0, (line("d8", "d8"),)),
        Supply(1, NANO, 0, (Target("d20", "d21", (1,)),), 3),
        Found(1, (Target(NANO, "d1", (1,)),)),
        Found(1, (Target("no such", "d1", (1,)),)),
        # It bears the name of another, which begins with the same letters.
        Propose("d1/2/1.0", 0, (1,), 1),
        # Two meet in a cluster that there is.
        Propose("d1/1.0", 0, (1,), 0),
        Propose("d1/1.0", 0, (1,), HIERARCHY.depth + 1),
        # They are in one cluster of that level: d1 to d7 meet those of d8's nano grid in the street, others above it.
        Propose("d1/1.0", 0, (1,), 1),
        Supply(1, NANO, 0, (Target("d20", "d20", (1,)),), 2),
        Supply(1, NANO, 0, (Target("ssc-0:5", "d20", (1,)),), 2),
        Supply(1, NANO, 0, (Target("d20", "d20", (1,)),), HIERARCHY.level(NANO)),
        Supply(1, NANO, 0, (Target("d20", "d20", (1,)),), HIERARCHY.depth + 1),
    ],
)
def test_nobody_is_said_to_speak_for_what_it_is_not_in(message):
    assert not is_in_place(HIERARCHY, message, "d1", "d10")


def member(device):
    one = Member(device, HIERARCHY, PACE)
    one.start(0, (5,), NOW)
    return one


def test_an_announcement_counts_once_and_from_the_own_nano_grid_alone():
    one = member("d8")
    one.receive(ANNOUNCE, "d9", NOW)
    assert one.receive(ANNOUNCE, "d9", NOW) == [Dropped("announced before")]
    assert one.receive(ANNOUNCE, "d20", NOW) == [Dropped("announced elsewhere")]
    assert one.receive(ANNOUNCE, "stranger", NOW) == [Dropped("not in the place to say so")]


def test_a_schedule_of_the_wrong_length_is_dropped():
    assert member("d8").receive(Announce(0, 2, (5, 5), NEVER), "d9", NOW) == [Dropped("no schedule")]


def test_who_is_told_to_give_less_than_nothing_does_not_give_more_than_it_has_then():
    one = member("d8")
    supply = [
        Supply(number, "d8", 0, (Target(to, to, (watts,)),), 1)
        for number, to, watts in ((1, "d9", -900), (2, "d10", 900))
    ]
    said = [
        effect.message for message in supply for effect in one.receive(message, "d9", NOW) if isinstance(effect, Tell)
    ]
    for proposal in [message for message in said if isinstance(message, Propose)]:
        one.receive(Accept(proposal.agreement, proposal.watts, 2), "d10", NOW)
    assert max(one.party.book.given) <= 5


def test_who_reports_for_another_day_does_not_wipe_out_what_others_have_reported():
    """Else one device would silence each cluster that it is in, up to the topmost."""
    speaker = HIERARCHY.candidates(STREET)[0]
    one = member(speaker)
    others = [child for child in HIERARCHY.clusters[STREET].children if child != speaker and child != NANO]
    timers = []
    for child, watts in zip(others, (-9, 4, 5), strict=False):
        timers += one.receive(Report(STREET, child, 0, 1, (watts,), NEVER), child, NOW)
    assert one.receive(Report(STREET, NANO, 1 << 40, 1, (0,), NEVER), "d9", NOW) == [Dropped("reported elsewhere")]
    due = [effect.timer for effect in timers if isinstance(effect, SetTimer) and isinstance(effect.timer, GatherDue)]
    effects = one.due(due[-1], Instant(9.0, 9.0))
    boards = [effect for effect in effects if isinstance(effect, Tell) and isinstance(effect.message, Board)]
    assert sorted(board.to for board in boards) == sorted((child,) for child in others[1:3])


@pytest.mark.parametrize(
    ("message", "sender"),
    [
        (Seek(1, "d8", 0, (-1,), 1), "d9"),
        (Found(1, (Target("d9", "d9", (1,)), Target("d10", "d10", (-1,)))), "d9"),
        (Supply(1, "d8", 0, (Target("d9", "d9", (-1,)),), 1), "d9"),
    ],
)
def test_nobody_asks_for_less_than_nothing(message, sender):
    assert member("d8").receive(message, sender, NOW) == [Dropped("less than nothing")]


def test_a_board_that_says_more_of_a_member_than_it_has_reported_is_not_followed():
    one = Member("d1", HIERARCHY, PACE)
    (reported,) = [
        effect.message
        for timer in [effect.timer for effect in one.start(0, (4,), NOW) if hasattr(effect, "timer")]
        for effect in one.due(timer, NOW)
        if isinstance(effect, Tell)
    ]
    assert reported.rest == (4,)
    needy = Line("d2", "d2", (-9,), NEVER)
    honest = Board(7, STREET, 0, (Line("d1", "d1", (4,), NEVER), needy))
    lie = Board(8, STREET, 0, (Line("d1", "d1", (9,), NEVER), needy))
    assert Dropped("a board that lies") in one.receive(lie, "d3", NOW)
    assert any(
        isinstance(effect, Tell) and isinstance(effect.message, Propose) for effect in one.receive(honest, "d3", NOW)
    )


def test_whoever_throws_made_up_messages_in_moves_no_watt():
    """A stranger, and a thief of a place, flood a grid: what is agreed is the same, and no promise is broken."""
    instance = grid(64, 1)
    run = Run(instance, HIERARCHY, Conditions(), Random(1))
    dice = Random(2)
    names = sorted(run.hierarchy.home)
    honest = run._send

    def send(source, to, message, sealed):
        honest(source, to, message, sealed)
        if dice.random() < 0.3:
            made_up = Report(STREET, NANO, 0, 1 << 60, (10**6,), NEVER)
            honest(dice.choice(["stranger", "d60"]), dice.choice(names), made_up)
            honest("stranger", to, message)

    run._send = send
    trace = run.run()
    assert trace.dropped["not in the place to say so"] > 100
    assert violations(trace.logs, settled=True) == []
    assert sum(sum(one.watts) for one in agreements(trace.logs)) == matched(instance)
