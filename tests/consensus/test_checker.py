"""Each promise is broken once, by hand, in logs that keep all others: the checker has to say which."""

from dataclasses import replace

import pytest

from gossip_ws.consensus.ability import RIGID, Ability, Need, Storage
from gossip_ws.consensus.checker import Cut, left_over, violations
from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.instance import Device, Feeder, Instance
from gossip_ws.consensus.log import Cause, Kind, Record, agreements

PV, CAR, HEAT = "pv", "car", "heat"
HIERARCHY = build(
    Instance(
        Feeder((0, 0, 1), (0, 5, 5)),
        (Device(PV, 1, (10, 0)), Device(CAR, 2, (-6, -1)), Device(HEAT, 2, (-9, 0))),
        2,
    )
)
OF_CAR = {"agreement": "pv/0.0", "level": 1, "watts": (6, 0)}
OF_HEAT = {"agreement": "pv/0.1", "level": 1, "watts": (4, 0)}
LOGS = {
    PV: (
        Record(PV, 0, 0.0, Kind.STARTED),
        Record(PV, 1, 0.0, Kind.OFFERED, watts=(10, 0)),
        Record(PV, 2, 3.0, Kind.COMMITTED, peer=CAR, cause=Cause(CAR, 2), **OF_CAR),
        Record(PV, 3, 3.5, Kind.COMMITTED, peer=HEAT, cause=Cause(HEAT, 2), **OF_HEAT),
    ),
    CAR: (
        Record(CAR, 0, 0.0, Kind.STARTED),
        Record(CAR, 1, 0.0, Kind.OFFERED, watts=(-6, -1)),
        Record(CAR, 2, 2.0, Kind.PREPARED, peer=PV, **OF_CAR),
        Record(CAR, 3, 4.0, Kind.SETTLED, peer=PV, cause=Cause(PV, 2), **OF_CAR),
    ),
    HEAT: (
        Record(HEAT, 0, 0.0, Kind.STARTED),
        Record(HEAT, 1, 0.0, Kind.OFFERED, watts=(-9, 0)),
        Record(HEAT, 2, 2.0, Kind.PREPARED, peer=PV, **OF_HEAT),
        Record(HEAT, 3, 4.0, Kind.SETTLED, peer=PV, cause=Cause(PV, 3), **OF_HEAT),
    ),
}


def changed(device, place, **changes):
    log = LOGS[device]
    return LOGS | {device: (*log[:place], replace(log[place], **changes), *log[place + 1 :])}


def without(device, place):
    log = LOGS[device]
    kept = log[:place] + log[place + 1 :]
    return LOGS | {device: tuple(replace(record, number=number) for number, record in enumerate(kept))}


def renamed(id):
    """The first agreement has another name on both sides."""
    of_pv, of_car = LOGS[PV], LOGS[CAR]
    return LOGS | {
        PV: (*of_pv[:2], replace(of_pv[2], agreement=id), of_pv[3]),
        CAR: (*of_car[:2], *(replace(record, agreement=id) for record in of_car[2:])),
    }


def leveled(level):
    """The first agreement was met at another level, as both sides say."""
    return {
        device: tuple(replace(one, level=level) if one.agreement == "pv/0.0" else one for one in log)
        for device, log in LOGS.items()
    }


def rules(logs, **more):
    return {violation.rule for violation in violations(logs, **more)}


def test_what_keeps_all_promises_is_left_in_peace():
    claimed = {1: left_over(LOGS, HIERARCHY)[1]}
    assert violations(LOGS, hierarchy=HIERARCHY, claimed=claimed, settled=True) == []
    assert [one.id for one in agreements(LOGS)] == ["pv/0.0", "pv/0.1"]


@pytest.mark.parametrize(
    ("logs", "rule"),
    [
        (changed(PV, 2, number=7), "log"),
        (changed(PV, 3, agreement="pv/0.0", peer=CAR), "identity"),
        (changed(PV, 3, peer=CAR), "atomic"),
        (changed(PV, 3, watts=(0, 0)), "identity"),
        (changed(PV, 3, watts=(-1, 0)), "identity"),
        (changed(PV, 2, watts=(5, 0)), "zero sum"),
        (changed(PV, 2, day=1), "zero sum"),
        (changed(PV, 1, watts=(9, 0)), "over-commitment"),
        (changed(HEAT, 1, watts=(-3, 0)), "over-commitment"),
        (changed(HEAT, 1, watts=(9, 0)), "over-commitment"),
        (changed(CAR, 3, kind=Kind.RELEASED), "atomic"),
        (changed(CAR, 3, watts=(5, 0)), "atomic"),
        (changed(CAR, 3, watts=(-6, 0)), "atomic"),
        (changed(CAR, 3, peer=HEAT), "atomic"),
        (changed(CAR, 3, day=1), "atomic"),
        (changed(CAR, 3, level=2), "atomic"),
        (LOGS | {CAR: (*LOGS[CAR], replace(LOGS[CAR][3], number=4))}, "atomic"),
        (changed(CAR, 2, level=2), "zero sum"),
        (renamed("heat/0.0"), "identity"),
        (renamed("pv"), "identity"),
        (changed(CAR, 3, kind=Kind.PREPARED), "atomic"),
        (without(CAR, 2), "atomic"),
        (without(PV, 2), "atomic"),
        (changed(CAR, 2, cause=Cause(PV, 2)), "order"),
        (changed(CAR, 2, cause=Cause(PV, 9)), "order"),
        (changed(CAR, 2, cause=Cause("nobody", 0)), "order"),
        (changed(PV, 2, cause=None), "order"),
        (changed(PV, 2, cause=Cause(CAR, 1)), "order"),
        (changed(PV, 2, cause=Cause(HEAT, 2)), "order"),
        (changed(CAR, 3, cause=None), "order"),
        (changed(CAR, 3, cause=Cause(PV, 3)), "order"),
        (changed(PV, 2, watts=(6,)), "periods"),
        (changed(CAR, 3, watts=(6, 0, 0)), "periods"),
        (changed(HEAT, 1, watts=(-9,)), "periods"),
    ],
)
def test_a_promise_that_is_broken_is_named(logs, rule):
    assert rule in rules(logs)


def test_an_agreement_across_a_cut_is_seen_and_one_on_one_side_is_not():
    parted = Cut(2.9, 3.2, (frozenset({PV}),))
    assert rules(LOGS, cuts=[parted]) == {"partition"}
    assert rules(LOGS, cuts=[Cut(2.9, 3.2, (frozenset({PV, CAR}),))]) == set()
    assert rules(LOGS, cuts=[Cut(0.0, 3.0, (frozenset({PV}),))]) == set()


def test_a_residual_that_is_told_wrong_is_seen():
    nano = HIERARCHY.top
    assert rules(LOGS, hierarchy=HIERARCHY, claimed={1: {nano: (-5, -1)}}) == set()
    assert rules(LOGS, hierarchy=HIERARCHY, claimed={1: {nano: (-4, -1)}}) == {"residual"}


@pytest.mark.parametrize("level", [-1, 0, 2])
def test_an_agreement_at_a_level_at_which_the_two_do_not_meet_is_seen(level):
    claimed = {1: left_over(leveled(level), HIERARCHY)[1]}
    assert rules(leveled(level), hierarchy=HIERARCHY, claimed=claimed) == {"level"}


def test_what_could_still_be_agreed_is_seen():
    logs = {PV: LOGS[PV][:2], CAR: LOGS[CAR][:2]}
    assert rules(logs) == set()
    assert rules(logs, settled=True) == {"one sign"}


def with_ability(offer, ability, *watts, kind=Kind.PREPARED, device=CAR):
    """A device's log: its offer, and promises of `watts`, each settled when it is a buyer's."""
    log = [Record(device, 0, 0.0, Kind.STARTED), Record(device, 1, 0.0, Kind.OFFERED, watts=offer, ability=ability)]
    for number, some in enumerate(watts):
        told = {"agreement": f"x/0.{number}", "peer": "x", "level": 1, "watts": some}
        log.append(Record(device, len(log), 1.0, kind, **told))
        if kind is Kind.PREPARED:
            log.append(Record(device, len(log), 2.0, Kind.SETTLED, **told))
    return log


def overcommitted(log):
    return "over-commitment" in rules({CAR: tuple(log)})


@pytest.mark.parametrize(
    ("watts", "is_wrong"),
    [
        ([(0, 4, 3)], False),
        ([(0, 4, 0), (0, 0, 3)], False),
        ([(1, 0, 0)], True),
        ([(0, 5, 0)], True),
        ([(0, 4, 0), (0, 1, 0)], True),
        ([(0, 4, 4)], True),
        ([(0, 4, 0), (0, 0, 4)], True),
    ],
)
def test_a_need_that_waits_gets_no_more_than_its_energy_its_power_and_its_window(watts, is_wrong):
    assert overcommitted(with_ability((0, 0, 0), Ability((Need(7, 4, 1, 3),)), *watts)) == is_wrong


def test_what_is_on_schedule_is_served_before_what_waits():
    ability = Ability((Need(4, 4, 0, 3),))
    assert not overcommitted(with_ability((-2, 0, -3), ability, (6, 0, 0), (0, 0, 3)))
    assert overcommitted(with_ability((-2, 0, -3), ability, (6, 0, 0), (0, 0, 4)))


def test_a_smaller_offer_is_no_fault_of_what_was_promised_before_nor_of_what_still_fits():
    log = with_ability((-2, 0, 0), Ability((Need(7, 4, 1, 3),)), (0, 4, 3))
    log.append(Record(CAR, len(log), 3.0, Kind.OFFERED, watts=(-2, 0, 0), ability=Ability((Need(1, 1, 1, 2),))))
    more = {"agreement": "x/0.9", "peer": "x", "level": 1}
    assert not overcommitted([*log, Record(CAR, len(log), 4.0, Kind.PREPARED, watts=(2, 0, 0), **more)])
    assert overcommitted([*log, Record(CAR, len(log), 4.0, Kind.PREPARED, watts=(0, 1, 0), **more)])


STORAGE = Ability((), Storage(10, 5, 4, 2))
IN, OUT = Kind.SETTLED, Kind.COMMITTED


@pytest.mark.parametrize(
    ("steps", "is_wrong"),
    [
        ([(IN, (5, 3, 0)), (OUT, (0, 4, 4))], False),
        ([(OUT, (2, 0, 0)), (IN, (5, 5, 0))], False),
        ([(IN, (6, 0, 0))], True),
        ([(IN, (5, 4, 0))], True),
        ([(IN, (5, 3, 0)), (OUT, (0, 0, 5))], True),
        ([(IN, (0, 5, 0)), (OUT, (3, 0, 0))], True),
        ([(OUT, (2, 0, 0)), (OUT, (0, 1, 0))], True),
        # Not yet released, not yet settled: what is in doubt may be there, or not.
        ([(Kind.PREPARED, (5, 0, 0)), (OUT, (0, 3, 0))], True),
        ([(Kind.PREPARED, (5, 0, 0)), (IN, (0, 4, 0))], True),
        ([(Kind.RELEASED, (5, 0, 0)), (IN, (4, 4, 0))], False),
        # In the end it would do, on the way it would not.
        ([(IN, (5, 3, 0)), (IN, (0, 0, 1)), (OUT, (0, 4, 0))], True),
    ],
)
def test_the_level_of_a_storage_is_within_bounds_at_every_time(steps, is_wrong):
    log = with_ability((0, 0, 0), STORAGE)
    for number, (kind, watts) in enumerate(steps):
        told = {"agreement": f"x/0.{number}", "peer": "x", "level": 1, "watts": watts}
        if kind is not OUT:
            log.append(Record(CAR, len(log), 1.0, Kind.PREPARED, **told))
        if kind is not Kind.PREPARED:
            log.append(Record(CAR, len(log), 2.0, kind, **told))
    assert overcommitted(log) == is_wrong


def offered_again(ability, log):
    log.append(Record(CAR, len(log), 3.0, Kind.OFFERED, watts=(0, 0, 0), ability=ability))


def test_what_a_weaker_storage_no_longer_bears_is_no_fault_of_a_later_promise():
    log = with_ability((0, 0, 0), STORAGE)
    promised = {"agreement": "x/0.0", "peer": "x", "level": 1, "watts": (5, 0, 0)}
    log += [Record(CAR, 1, 1.0, Kind.PREPARED, **promised), Record(CAR, 2, 2.0, IN, **promised)]
    given = promised | {"agreement": "x/0.1", "watts": (0, 4, 0)}
    log.append(Record(CAR, 3, 2.0, OUT, **given))
    offered_again(Ability((), Storage(10, 2, 1, 2)), log)
    more = promised | {"agreement": "x/0.2"}
    assert not overcommitted([*log, Record(CAR, 5, 4.0, OUT, **more | {"watts": (0, 0, 1)})])
    assert overcommitted([*log, Record(CAR, 5, 4.0, OUT, **more | {"watts": (0, 0, 2)})])
    assert not overcommitted([*log, Record(CAR, 5, 4.0, Kind.PREPARED, **more | {"watts": (0, 0, 2)})])
    assert overcommitted([*log, Record(CAR, 5, 4.0, Kind.PREPARED, **more | {"watts": (0, 0, 3)})])


def test_what_one_need_no_longer_takes_is_no_fault_of_a_promise_to_another():
    one, other = Need(4, 4, 0, 1), Need(4, 4, 1, 2)
    log = with_ability((0, 0, 0), Ability((one, other)), (4, 0, 0))
    offered_again(Ability((replace(one, energy=1), other)), log)
    more = {"agreement": "x/0.9", "peer": "x", "level": 1}
    assert not overcommitted([*log, Record(CAR, len(log), 4.0, Kind.PREPARED, watts=(0, 4, 0), **more)])
    assert overcommitted([*log, Record(CAR, len(log), 4.0, Kind.PREPARED, watts=(0, 5, 0), **more)])


def test_what_was_moved_is_no_part_of_what_is_left_on_schedule():
    moved = Record(CAR, 1, 0.0, Kind.OFFERED, watts=(-2, 0), ability=Ability((Need(4, 4, 0, 2),)))
    logs = LOGS | {CAR: (LOGS[CAR][0], moved, *LOGS[CAR][2:])}
    assert rules(logs) == set()
    # Of six two were on schedule, and four could have waited.
    assert left_over(logs, HIERARCHY)[1] == {HIERARCHY.top: (-5, 0)}
    assert rules(logs, hierarchy=HIERARCHY, claimed={1: {HIERARCHY.top: (-1, 0)}}) == {"residual"}


def offering(device, watts, ability=RIGID):
    return {device: (Record(device, 0, 0.0, Kind.OFFERED, watts=watts, ability=ability),)}


def test_what_could_still_be_moved_is_seen():
    waits = offering(CAR, (0, 0), Ability((Need(4, 4, 1, 2),)))
    assert rules(offering(PV, (0, 5)) | waits, settled=True) == {"one sign"}
    assert rules(offering(PV, (5, 0)) | waits, settled=True) == set()
    holds = offering(CAR, (0, 0), Ability((), Storage(5, 5, 5, 5)))
    assert rules(offering(HEAT, (0, -5)) | holds, settled=True) == {"one sign"}
    assert rules(offering(PV, (0, 5)) | holds, settled=True) == set()
    stores = offering(CAR, (0, 0), Ability((), Storage(5, 5, 5)))
    assert rules(offering(PV, (5, 0)) | offering(HEAT, (0, -5)) | stores, settled=True) == {"one sign"}
    assert rules(offering(PV, (0, 5)) | offering(HEAT, (-5, 0)) | stores, settled=True) == set()
    assert rules(offering(PV, (0, 5)) | stores, settled=True) == set()
