"""The estimate of voltage, angle and power has the signs and sizes that a feeder has."""

from __future__ import annotations

from array import array
from functools import cache
from math import sqrt

import pytest

from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.measurement import measure
from gossip_ws.grid.population import Appliance, Grid, Meter, Substation, Tree, load
from gossip_ws.grid.profiles import Jitter, Profiles
from gossip_ws.kernel.errors import LocalError

FULL = Profiles(("2016-01-18",), 10, {"P": array("h", [10] * 96)})


@cache
def rural() -> Grid:
    return load("1-MVLV-rural-all-2-sw")


def area(*meters: Meter) -> Substation:
    """A busbar and two buses in a row, 0.1 ohm each, behind a transformer without impedance."""
    feeder = Tree((0, 0, 1), (0.0, 0.1, 0.1), (0.0, 0.0, 0.0))
    return Substation("grid://t/ssc-1", "t", 160_000, 400, 0.0, 0.0, feeder, 0, 0.0, meters)


def meter(number: int, power: int, *appliances: Appliance) -> Meter:
    return Meter(f"grid://t/ssc-1/sm-{number}", Kind.HOUSEHOLD, "P", power, 0, number, 0.1 * number, appliances)


def test_voltage_falls_with_what_flows() -> None:
    """4 kW through the first branch and 1 kW through the second: 1 V and 0.25 V of 400 V."""
    seen = measure(area(meter(1, 3000), meter(2, 1000)), FULL, "2016-01-18", 0)
    assert seen["grid://t/ssc-1"].voltage == pytest.approx(400 / sqrt(3), abs=0.001)
    assert seen["grid://t/ssc-1"].power == 4000
    assert seen["grid://t/ssc-1/sm-1"].voltage == pytest.approx(399 / sqrt(3), abs=0.001)
    assert seen["grid://t/ssc-1/sm-2"].voltage == pytest.approx(398.75 / sqrt(3), abs=0.001)
    assert seen["grid://t/ssc-1/sm-2"].angle == 0.0


def test_a_roof_raises_it_and_the_meter_sees_the_connection() -> None:
    roof = Appliance("grid://t/ssc-1/sm-2/ied-1", Kind.PHOTOVOLTAIC, "P", 5000, 0, 0, 2, 0.2)
    seen = measure(area(meter(2, 1000, roof)), FULL, "2016-01-18", 50)
    assert seen["grid://t/ssc-1/sm-2"].power == -4000
    assert seen["grid://t/ssc-1/sm-2/ied-1"].power == -5000
    assert seen["grid://t/ssc-1/sm-2"].voltage == pytest.approx(402 / sqrt(3), abs=0.001)


def test_reactance_turns_the_angle() -> None:
    feeder = Tree((0, 0), (0.0, 0.0), (0.0, 0.1))
    one = Substation("s", "t", 160_000, 400, 0.0, 0.0, feeder, 0, 0.0, (meter(1, 16_000),))
    seen = measure(one, FULL, "2016-01-18", 0)["grid://t/ssc-1/sm-1"]
    assert seen.angle == pytest.approx(-0.573, abs=0.001)
    assert seen.voltage == pytest.approx(400 / sqrt(3), abs=0.001)


def test_jitter_reaches_the_power() -> None:
    seen = measure(area(meter(1, 1000)), FULL, "2016-01-18", 0, lambda scope: Jitter(1100, 0))
    assert seen["grid://t/ssc-1/sm-1"].power == 1100


def test_real_areas_stay_within_the_limits_of_low_voltage() -> None:
    """EN 50160: 230 V within 10 % - with the distribution transformer at nominal and real profiles."""
    for quarter in (8, 50, 76):
        for substation in rural().substations:
            for seen in measure(substation, rural().profiles, "2016-04-20", quarter).values():
                assert 207 < seen.voltage < 253
                assert abs(seen.angle) < 10


def test_everyone_in_the_area_measures() -> None:
    substation = rural().substations[5]
    seen = measure(substation, rural().profiles, "2016-07-20", 48)
    devices = [substation.scope]
    for one in substation.meters:
        devices += [one.scope, *(appliance.scope for appliance in one.appliances)]
    assert list(seen) == devices
    connections = sum(seen[one.scope].power for one in substation.meters)
    assert seen[substation.scope].power == pytest.approx(connections, abs=len(substation.meters))


def test_no_such_quarter() -> None:
    with pytest.raises(LocalError):
        measure(rural().substations[0], rural().profiles, "2016-07-20", 96)
