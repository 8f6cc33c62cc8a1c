import pytest

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


def test_periods_that_do_not_divide_a_day_are_refused():
    with pytest.raises(LocalError, match="do not divide"):
        offers(LV, DAY, 7)
