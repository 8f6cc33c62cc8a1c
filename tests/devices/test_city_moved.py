"""What the city's appliances move: on simulated ledgers of a flexible city, which are then spoilt."""

from dataclasses import replace
from functools import cache
from random import Random

import pytest

from gossip_ws.consensus.ability import Ability
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.log import Kind
from gossip_ws.consensus.run import Run
from gossip_ws.consensus.vector import minus, total, zero
from gossip_ws.devices.city import CityPlan
from gossip_ws.devices.city_balance import (
    DAY,
    BalancePhase,
    Pulled,
    area_reports,
    broken,
    decided,
    draw,
    population,
    report,
)
from gossip_ws.devices.city_balance_table import lines
from gossip_ws.devices.city_moved import REACHED, Moved, extent, movables
from gossip_ws.devices.residual import residual_of
from gossip_ws.kernel.errors import LocalError
from gossip_ws.services.balancing import Residual

GRID = "1-MVLV-rural-all-2-sw"
CITY = population(GRID, 16, 1)


@cache
def flexible():
    """A plan of 16 meters and what can be moved behind them, and a simulated day."""
    plan = draw(CITY, DAY, 1, flexible=True)
    run = Run(plan.instance, plan.hierarchy, Conditions(), Random(1))
    trace = run.run()
    assert trace.settled
    return plan, trace.logs, {device: member.party.book for device, member in run.members.items()}


def told():
    """What each area's meters and appliances say of themselves, added up."""
    plan, _, books = flexible()
    apart = plan.movables
    found = {}
    for area in dict.fromkeys(plan.areas.values()):
        both = []
        for count, is_apart in ((sum(plan.areas[one] == area for one in plan.meters), False), (0, True)):
            here = [one for one, its in plan.areas.items() if its == area and (one in apart.kinds) is is_apart]
            said = [residual_of(books[one], plan.hierarchy, plan.places.get) for one in here]
            sums = [total((getattr(one, name) for one in said), 24) for name in Residual.__slots__]
            both.append(Pulled(apart.appliances[area] if is_apart else count, Residual(*sums)))
        found[area] = both
    return found


def phase(pulled, **changed):
    plan, logs, _ = flexible()
    areas = area_reports(plan, logs, 0, pulled)
    decisions, watts, last = decided(plan, logs, 0)
    found = broken(plan, logs, (), areas, settled=True)
    made = BalancePhase("calm", True, last, decisions, 500, watts, plan.optimum(), 1.5, areas, [], found, REACHED)
    return replace(made, **changed)


def test_who_can_move_something_agrees_beside_the_meters_and_their_energy_is_the_same():
    plan, _, _ = flexible()
    fixed = draw(CITY, DAY, 1)
    assert plan.meters == fixed.meters == list(fixed.areas)
    assert fixed.movables is None
    kinds = {one.device: one.kind.value for one in CITY.appliances()}
    apart = {kinds[one] for one in plan.areas.keys() - set(plan.meters)}
    assert apart == {"home-charger", "heat-pump", "storage"}
    assert all(plan.places[one.device] == one.scope for one in CITY.appliances())
    assert plan.movables.fixed == extent(fixed.instance)
    there, moving = plan.movables.fixed, extent(plan.instance)
    assert (there.optimum, moving.optimum) == (fixed.optimum(), plan.optimum())
    assert there.needed == -sum(watts for offer, _ in fixed.offers.values() for watts in offer if watts < 0)
    # What its own roof and battery give a house is needed of others here, so the sums are of more; what the grid brings
    # is comparable.
    assert moving.needed - moving.optimum < there.needed - there.optimum
    for device in plan.instance.devices:
        assert bool(device.ability) is (device.id in plan.movables.kinds)
        needs = sum(need.energy for need in device.ability.needs)
        assert sum(plan.movables.planned.get(device.id, ())) == needs
    # No meter's neighbour in its own house is asked to leave or to change: those are meters.
    leaving, doubling = plan.restless()
    assert {*leaving, *doubling} <= set(plan.meters)


def test_what_appliances_and_meters_say_is_what_the_ledgers_say():
    plan, logs, _ = flexible()
    good = phase(told())
    assert good.violations == []
    assert good.is_good
    assert (good.matched, good.optimum) == (plan.optimum(), plan.optimum())
    moved = [area.moved for area in good.areas]
    assert sum(one.stores for one in moved) == sum(kind == "storage" for kind in plan.movables.kinds.values())
    for one in moved:
        assert one.wants.keys() == one.planned.keys() == one.served.keys()
        for kind, wants in one.wants.items():
            assert sum(one.planned[kind]) == wants >= sum(one.served[kind])
        assert min(one.held) >= 0
        assert one.held[-1] == sum(one.charged) - sum(one.discharged)
    assert sum(sum(one.discharged) for one in moved) > 0
    assert sum(sum(one.taken) for one in moved) == sum(
        record.watts[hour]
        for log in logs.values()
        for record in log
        if record.kind is Kind.COMMITTED and record.peer in plan.movables.kinds
        for hour in range(24)
    )


def test_a_ledger_whose_device_could_not_have_moved_that_is_a_violation():
    """The level of a storage, and the window of a need, are looked at in the ledgers alone."""
    plan, logs, _ = flexible()
    bought = {record.device for log in logs.values() for record in log if record.kind is Kind.SETTLED}
    for spoil in (_smaller, _sooner):
        device = next(one.id for one in plan.instance.devices if one.id in bought and spoil(one.ability) != one.ability)
        log = tuple(replace(one, ability=spoil(one.ability)) for one in logs[device])
        found = broken(plan, logs | {device: log}, (), (), settled=False)
        assert found
        assert all(one.startswith(f"over-commitment: {device}") for one in found)


def _smaller(ability: Ability) -> Ability:
    return replace(ability, storage=ability.storage and replace(ability.storage, capacity=1))


def _sooner(ability: Ability) -> Ability:
    return replace(ability, needs=tuple(replace(need, since=0, finish_by=1) for need in ability.needs))


@pytest.mark.parametrize("name", Residual.__slots__)
@pytest.mark.parametrize("which", [0, 1])
def test_one_watt_more_than_the_ledgers_say_is_seen(name, which):
    pulled = told()
    area = next(iter(pulled))
    right = pulled[area][which]
    watts = getattr(right.residual, name)
    pulled[area][which] = replace(right, residual=replace(right.residual, **{name: (watts[0] + 1, *watts[1:])}))
    assert [one.area for one in phase(pulled).areas if not one.is_good] == [area]


def test_one_that_is_not_in_the_sum_is_missed_and_so_are_all_appliances():
    for change in (
        lambda both: [both[0], replace(both[1], contributors=both[1].contributors - 1)],
        lambda both: both[:1],
    ):
        pulled = told()
        area = next(area for area, (_, apart) in pulled.items() if apart.contributors)
        pulled[area] = change(pulled[area])
        assert not phase(pulled).is_good


def test_a_little_less_than_the_optimum_is_good_where_something_can_be_moved_and_more_is_not():
    optimum = flexible()[0].optimum()
    assert phase(told(), matched=round(0.995 * optimum)).is_good
    assert not phase(told(), matched=round(0.98 * optimum)).is_good
    assert not phase(told(), matched=optimum + 1).is_good
    assert not phase(told(), matched=round(0.995 * optimum), least=1.0).is_good


def test_of_appliances_none_of_which_can_move_anything_nobody_is_asked():
    city = population(GRID, 108, 1)
    found = movables(city, DAY, 1, flexible()[0].instance)
    there = {area.scope: [one for meter in area.meters for one in meter.appliances] for area in city.substations}
    still = [area for area, here in there.items() if not any(one.device in found.kinds for one in here)]
    assert [len(there[area]) for area in still] == [1]
    assert [found.appliances[area] for area in still] == [0]
    assert all(found.appliances[area] == len(here) for area, here in there.items() if area not in still)


def test_an_area_without_appliances_has_moved_nothing_and_nobody_there_is_asked():
    calm = phase(told()).areas[0]
    nothing = zero(24)
    meters = calm.pulled.residual
    alone = replace(
        calm,
        exchange=replace(
            calm.exchange,
            within=minus(meters.bought, meters.bought_beyond),
            sold=minus(meters.sold, minus(meters.bought, meters.bought_beyond)),
            bought=meters.bought_beyond,
        ),
        appliances=0,
        pulled_moved=None,
        moved=Moved(charged=nothing, discharged=nothing, held=nothing),
    )
    told_alone = replace(meters, sold_beyond=alone.exchange.sold)
    assert replace(alone, pulled=replace(calm.pulled, residual=told_alone)).is_good
    assert not replace(alone, pulled=replace(calm.pulled, residual=told_alone), appliances=1).is_good


def test_a_person_reads_what_was_moved():
    plan, _, _ = flexible()
    good = phase(told())
    said = list(lines(report(plan, [good])))
    brought = [line for line in said if "and the grid brings" in line]
    assert ["with all of them on schedule" in line for line in brought] == [True, False]
    assert any("devices of their own, that wait or store: " in line for line in said)
    assert any(line.startswith("what could wait: ") for line in said)
    assert sum(line.startswith("12-13") for line in said) == 1 + -(-min(len(good.areas), 6) // 3)
    fixed = draw(CITY, DAY, 1)
    assert not any("wait" in line for line in lines(report(fixed, [])))


def test_what_is_flexible_is_moved_where_devices_balance():
    with pytest.raises(LocalError, match="where devices balance: say so too"):
        CityPlan(flexible=True)
