"""Energy by period from the data that ships."""

from __future__ import annotations

from array import array
from functools import cache

import pytest

from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.population import Grid, load
from gossip_ws.grid.profiles import QUARTERS, Jitter, Profiles
from gossip_ws.kernel.errors import LocalError


@cache
def rural() -> Grid:
    return load("1-MVLV-rural-all-2-sw")


def flat(*periods: int) -> Profiles:
    """One day on which every quarter of a period has the same steps of 1/10,000."""
    values = [steps for steps in periods for _ in range(QUARTERS // 3)]
    return Profiles(("2016-01-18",), 10_000, {"P": array("h", values)})


def test_four_weeks_one_a_season() -> None:
    days = rural().profiles.days
    assert len(days) == 28
    assert (days[0], days[-1]) == ("2016-01-18", "2016-10-23")
    assert {day[5:7] for day in days} == {"01", "04", "07", "10"}
    assert len(rural().profiles.names) == 63


def test_energy_is_rounded_once_half_up() -> None:
    """8 hours at 1/10,000 of 625 W are 0.5 Wh, of 624 W a little less."""
    assert flat(1, 2, 10_000).energy("P", "2016-01-18", 625) == (1, 1, 5000)
    assert flat(1, 2, 10_000).energy("P", "2016-01-18", 624) == (0, 1, 4992)


def test_energy_is_the_sum_of_power() -> None:
    profiles = rural().profiles
    jitter = Jitter(1100, 3)
    for profile in ("H0-A", "G4-A", "Air_Parallel_1", "PV8"):
        energy = profiles.energy(profile, "2016-04-20", 4900, jitter)
        for period, wh in enumerate(energy):
            quarters = range(period * 32, (period + 1) * 32)
            exact = sum(profiles.power(profile, "2016-04-20", q, 4900, jitter) / 4 for q in quarters)
            assert abs(wh - exact) <= 0.5 + 1e-6


def test_jitter_moves_the_day_and_scales_it() -> None:
    profiles = flat(0, 1000, 0)
    assert profiles.energy("P", "2016-01-18", 1000) == (0, 800, 0)
    assert profiles.energy("P", "2016-01-18", 1000, Jitter(1500, 0)) == (0, 1200, 0)
    assert profiles.energy("P", "2016-01-18", 1000, Jitter(1000, 4)) == (0, 700, 100)
    assert profiles.energy("P", "2016-01-18", 1000, Jitter(1000, -4)) == (100, 700, 0)


def test_jitter_is_by_seed_and_device() -> None:
    one = Jitter.draw(1, "grid://rural/ssc-1/sm-1")
    assert one == Jitter.draw(1, "grid://rural/ssc-1/sm-1")
    draws = {Jitter.draw(seed, f"sm-{k}") for seed in (1, 2) for k in range(50)}
    assert len(draws) > 80
    assert all(850 <= jitter.permille <= 1150 and -4 <= jitter.quarters <= 4 for jitter in draws)


def test_the_seasons_show() -> None:
    def total(kind: Kind, day: str) -> int:
        profiles = rural().profiles
        return sum(sum(profiles.energy(a.profile, day, a.power)) for a in rural().appliances() if a.kind is kind)

    assert total(Kind.HEAT_PUMP, "2016-01-20") > 3 * total(Kind.HEAT_PUMP, "2016-07-20")
    assert total(Kind.PHOTOVOLTAIC, "2016-07-20") > 3 * total(Kind.PHOTOVOLTAIC, "2016-01-20")


def test_what_is_not_there() -> None:
    with pytest.raises(LocalError, match="2016-12-24"):
        rural().profiles.energy("H0-A", "2016-12-24", 1000)
    with pytest.raises(LocalError, match="no profile"):
        rural().profiles.energy("H9-Z", "2016-01-18", 1000)
