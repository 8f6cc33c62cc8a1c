from dataclasses import replace

import pytest

from gossip_ws.consensus.ability import Need, Storage
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.movable import moved
from gossip_ws.grid.offers import offers
from gossip_ws.grid.population import load
from gossip_ws.kernel.errors import LocalError

LV = load("1-LV-rural1--2-sw")
DAY = "2016-07-18"


def test_every_meter_offers_what_its_connection_gives_or_draws():
    instance = offers(LV, DAY, 24)
    (substation,) = LV.substations
    assert [device.id for device in instance.devices] == [meter.scope for meter in LV.meters()]
    for device, meter in zip(instance.devices, substation.meters, strict=True):
        for period in (0, 13):
            quarters = range(4 * period, 4 * period + 4)
            mean = sum(
                LV.profiles.power(one.profile, DAY, quarter, one.power) * (1 if one.kind.feeds_in else -1)
                for one in (meter, *meter.appliances)
                for quarter in quarters
            )
            assert device.watts[period] == pytest.approx(mean / 4, abs=1)
    assert (
        max(device.watts[12] for device in instance.devices) > 0 > min(device.watts[0] for device in instance.devices)
    )


def test_distances_are_those_of_the_feeder():
    instance = offers(LV, DAY, 3)
    (substation,) = LV.substations
    one, other = substation.meters[2], substation.meters[9]
    there = instance.by_id()
    told = instance.feeder.distance(there[one.scope].bus, there[other.scope].bus)
    assert told == pytest.approx(substation.feeder.distance(one.bus, other.bus) * 1e6, abs=20)


def test_what_can_wait_is_a_device_of_its_own_and_the_energy_is_the_same():
    rigid, flexible = offers(LV, DAY), offers(LV, DAY, flexible=True)
    appliances = {one.scope: one for one in LV.appliances()}
    apart = [device for device in flexible.devices if device.id in appliances]
    assert {appliances[device.id].kind for device in apart} == {Kind.HOME_CHARGER, Kind.HEAT_PUMP, Kind.STORAGE}
    assert all(device.ability and not any(device.watts) for device in apart)
    waiting = sum(need.energy for device in apart for need in device.ability.needs)
    stored = [one for one in LV.appliances() if one.kind is Kind.STORAGE]
    gave = sum(
        LV.profiles.power(one.profile, DAY, quarter, one.power) / 4 for one in stored for quarter in range(4 * 24)
    )
    before = sum(sum(device.watts) for device in rigid.devices)
    after = sum(sum(device.watts) for device in flexible.devices)
    # What storage gave by its profile is left out: what it gives now was taken before.
    assert after - before == pytest.approx(waiting - gave, abs=24 * 20)
    assert [device.ability.storage.capacity for device in apart if device.ability.storage] == [
        one.capacity for one in stored
    ]


def appliance(kind, power=10):
    return replace(next(LV.appliances()), kind=kind, power=power, capacity=48)


def test_a_car_at_work_is_charged_there_and_a_pump_a_third_of_a_day_earlier_in_part():
    drawn = (0,) * 7 + (-8, -6) + (0,) * 14 + (-1,)
    ability, left = moved(appliance(Kind.WORK_CHARGER), drawn)
    assert ability.needs == (Need(14, 9, 6, 18),)
    assert left == (0,) * 23 + (-1,)
    ability, left = moved(appliance(Kind.HOME_CHARGER), drawn)
    assert ability.needs == (Need(15, 10, 0, 24),)
    assert not any(left)
    ability, left = moved(appliance(Kind.HEAT_PUMP), tuple(10 * watts for watts in drawn))
    assert ability.needs == (Need(24, 24, 0, 8), Need(18, 18, 0, 16), Need(3, 3, 8, 24))
    assert left == (0,) * 7 + (-56, -42) + (0,) * 14 + (-7,)
    # Of three periods a day none lies wholly within working hours but the second.
    assert moved(appliance(Kind.WORK_CHARGER), (-5, -8, 0))[0].needs == (Need(8, 8, 1, 2),)
    assert moved(appliance(Kind.WORK_CHARGER), (-5, 0, 0)) is None
    assert moved(appliance(Kind.STORAGE), (0, 0, 0))[0].storage == Storage(6, 10, 10)
    assert moved(appliance(Kind.PHOTOVOLTAIC), (5, 0, 0)) is None


def test_periods_that_do_not_divide_a_day_are_refused():
    with pytest.raises(LocalError, match="do not divide"):
        offers(LV, DAY, 7)
