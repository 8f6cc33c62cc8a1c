"""Each promise is broken once, by hand, in logs that keep all others: the checker has to say which."""

from dataclasses import replace

import pytest

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
        (changed(CAR, 3, kind=Kind.PREPARED), "atomic"),
        (without(CAR, 2), "atomic"),
        (without(PV, 2), "atomic"),
        (changed(CAR, 2, cause=Cause(PV, 2)), "order"),
        (changed(CAR, 2, cause=Cause(PV, 9)), "order"),
        (changed(CAR, 2, cause=Cause("nobody", 0)), "order"),
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


def test_what_could_still_be_agreed_is_seen():
    logs = {PV: LOGS[PV][:2], CAR: LOGS[CAR][:2]}
    assert rules(logs) == set()
    assert rules(logs, settled=True) == {"one sign"}
