"""Who can wait, waits: what is on schedule is served first, and nobody is told of the rest before."""

from random import Random

import pytest

from gossip_ws.consensus.ability import Ability, Need, Storage
from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import MovesDue, ReportDue, Spread, Tell
from gossip_ws.consensus.instance import Device, Feeder, Instance
from gossip_ws.consensus.log import agreements
from gossip_ws.consensus.loose import WAITS, Loose
from gossip_ws.consensus.member import Member
from gossip_ws.consensus.messages import Announce, Report
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.outcome import delivered
from gossip_ws.consensus.run import Run
from gossip_ws.kernel.effects import SetTimer
from gossip_ws.kernel.instant import Instant

NOW = Instant(5.0, 5.0)
PACE = Pace()
CAR = Ability((Need(5, 5, 0, 2),))
LINE = Feeder((0, 0, 1, 0, 3), (0, 10, 10, 10, 10))
STREET = Instance(
    LINE,
    (
        Device("pv", 1, (5, 0)),
        Device("car", 2, (0, 0), "", CAR),
        Device("roof", 3, (0, 5)),
        Device("heat", 4, (-5, 0)),
    ),
    2,
)
HIERARCHY = build(STREET, 2)


def timers(effects):
    return {type(effect.timer): effect for effect in effects if isinstance(effect, SetTimer)}


def told(effects, kind):
    return [e.message for e in effects if isinstance(e, Tell | Spread) and isinstance(e.message, kind)]


@pytest.mark.parametrize(
    ("ability", "longer"),
    [
        (CAR, 4 / 3),
        (Ability((Need(5, 5, 0, 1),)), 1),
        (Ability((Need(2, 3, 0, 2),)), 4 / 3),
        (Ability((), Storage(5, 5, 5, 5)), 5 / 3),
    ],
)
def test_nobody_hears_of_what_can_be_moved_before_its_time(ability, longer):
    car = Member("car", HIERARCHY, PACE)
    effects = car.start(0, (0, 0), NOW, ability)
    assert [one.loose for one in told(effects, Announce)] == [()]
    wait = timers(effects)[MovesDue]
    assert wait.delay == pytest.approx(longer * PACE.wait * (PACE.settle + PACE.level * HIERARCHY.depth))
    # What is asked meanwhile is nothing yet.
    early = timers(effects)[ReportDue]
    assert told(car.due(early.timer, NOW), Report) == []
    assert car.due(MovesDue(7), NOW) == []
    effects = car.due(wait.timer, NOW)
    (report,) = told(car.due(timers(effects)[ReportDue].timer, NOW), Report)
    assert report.loose == car.party.left.loose != ()
    assert car.due(wait.timer, NOW) == []


def test_the_next_day_it_waits_again_and_after_a_change_it_does_not():
    car = Member("car", HIERARCHY, PACE)
    car.start(0, (0, 0), NOW, CAR)
    car.due(MovesDue(0), NOW)
    more = car.change(0, (0, 0), NOW, Ability((Need(9, 9, 0, 1),)))
    assert [one.loose for one in told(more, Announce)] == [(Loose(WAITS, (9, 0), 9),)]
    assert [one.loose for one in told(car.change(1, (0, 0), NOW, CAR), Announce)] == [()]


def test_a_car_makes_room_for_a_pump_that_cannot_wait():
    """The car is nearer to the roof that both could use; it gets what another roof gives later."""
    trace = Run(STREET, HIERARCHY, Conditions(), Random(1)).run()
    made = agreements(trace.logs)
    assert {(one.seller, one.buyer, one.watts) for one in made} == {("pv", "heat", (5, 0)), ("roof", "car", (0, 5))}
    assert delivered(STREET, made) == matched(STREET) == 10


def test_a_car_that_can_choose_makes_room_for_one_that_cannot():
    """The one that can choose is nearer to the roof, and would take the only period in which the other is there."""
    street = Instance(
        LINE,
        (
            Device("pv", 1, (5, 5)),
            Device("parked", 2, (0, 0), "", CAR),
            Device("house", 3, (0, 0)),
            Device("leaving", 4, (0, 0), "", Ability((Need(5, 5, 0, 1),))),
        ),
        2,
    )
    made = agreements(Run(street, build(street, 2), Conditions(), Random(1)).run().logs)
    assert {(one.seller, one.buyer, one.watts) for one in made} == {("pv", "leaving", (5, 0)), ("pv", "parked", (0, 5))}
