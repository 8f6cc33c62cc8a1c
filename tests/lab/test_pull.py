"""The demand that comes up through the real devices, against the sum that anybody can read from the data."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from gossip_ws.devices.cli import call
from gossip_ws.grid.faults import Fate
from gossip_ws.grid.population import Grid, Population, choose, load
from gossip_ws.grid.profiles import Jitter
from gossip_ws.grid.what_if import what_if
from gossip_ws.kernel.errors import LocalError
from gossip_ws.lab import pull as lab
from gossip_ws.lab.pull import pull
from gossip_ws.wire.gossip import XmlCodec

DAY = "2016-01-20"


@pytest.fixture(scope="module")
def rural() -> Grid:
    return load("1-MVLV-rural-all-2-sw")


@pytest.fixture(scope="module")
def village() -> Grid:
    return load("1-LV-rural1--2-sw")


def read(population: Population, seed: int, fate: Fate) -> list[int]:
    """Wh by period of all that use any and are served, by the profiles alone."""
    total = [0, 0, 0]
    for device in (*population.meters(), *population.appliances()):
        if not device.kind.feeds_in and fate.is_served(device.device):
            jitter = Jitter.draw(seed, device.scope)
            energy = population.profiles.energy(device.profile, DAY, device.power, jitter)
            total = [a + b for a, b in zip(total, energy, strict=True)]
    return total


NOBODY = Fate(frozenset(), frozenset())


@pytest.mark.parametrize("seed", range(3))
def test_a_whole_pull_is_the_data_s_own_total(rural: Grid, seed: int) -> None:
    population = choose(rural, 150, seed)
    found = pull(population, DAY, seed)
    assert found.is_exact
    assert found.is_whole
    assert found.tally.contributors == population.counts().total
    assert [*(found.value or ())] == [*found.total] == read(population, seed, NOBODY)


def test_what_is_pulled_is_what_a_tariff_is_planned_with(village: Grid) -> None:
    planned = what_if(village, DAY, (Decimal("0.1"), Decimal("0.2"), Decimal("0.3")), 4)
    assert pull(village, DAY, 4).value == planned.before.periods


@pytest.mark.parametrize("seed", range(3))
def test_datagrams_that_get_lost_cost_nobody_his_place(rural: Grid, seed: int) -> None:
    population = choose(rural, 100, seed)
    found = pull(population, DAY, seed, loss=0.1)
    assert found.is_exact
    assert found.is_whole
    assert [*(found.value or ())] == read(population, seed, NOBODY)


@pytest.mark.parametrize("seed", range(3))
def test_with_crashes_it_is_exact_over_those_that_contributed(rural: Grid, seed: int) -> None:
    """Who is down, and who is cut off by that, is missing, counted, and in no sum."""
    population = choose(rural, 100, seed)
    found = pull(population, DAY, seed, loss=0.05, crashed=0.1)
    assert found.is_exact
    assert found.crashed > 0
    assert found.tally.missing == found.crashed + found.unreachable
    assert found.tally.contributors == population.counts().total - found.tally.missing
    assert [*(found.value or ())] == read(population, seed, Fate.draw(population, 0.1, seed))
    assert sum(found.truth) < sum(found.total)


def test_with_messages_of_octets_it_is_the_same(village: Grid) -> None:
    found = pull(village, DAY, 2, loss=0.1, codec=XmlCodec())
    assert found.is_exact
    assert found.is_whole
    assert [*(found.value or ())] == read(village, 2, NOBODY)


def test_a_seed_gives_one_pull(village: Grid) -> None:
    assert pull(village, DAY, 1, loss=0.2, crashed=0.1) == pull(village, DAY, 1, loss=0.2, crashed=0.1)


def test_what_is_left_out_shows() -> None:
    """A value that is not the sum over as many as it claims is not called exact."""
    found = pull(load("1-LV-rural1--2-sw"), DAY, 1)
    first, second, third = found.truth
    assert not replace(found, value=(first + 1, second, third)).is_exact
    assert not replace(found, counted=found.counted - 1).is_exact
    assert not replace(found, tally=replace(found.tally, expected=found.tally.expected + 1)).is_exact


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"loss": 1.0}, "lie in"), ({"crashed": -0.1}, "lie in"), ({"day": "2016-02-30"}, "no profiles")],
)
def test_what_cannot_be_simulated_is_refused(village: Grid, changed: dict, reason: str) -> None:
    with pytest.raises(LocalError, match=reason):
        pull(**{"population": village, "day": DAY, "seed": 1, **changed})


def test_too_many_devices_are_refused(village: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "MOST_DEVICES", 42)
    with pytest.raises(LocalError, match=r"at most 42 devices .* has 43"):
        pull(village, DAY, 1)


VILLAGE = ("--grid", "1-LV-rural1--2-sw", "--repeat", "2")


def test_the_command_tells_what_was_pulled(village: Grid, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["simulate", *VILLAGE, "--seed", "3", "--loss", "0.1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["demand"]
    assert told["pulled"] == told["truth"] == told["total"]
    assert (told["contributors"], told["expected"], told["missing"], told["exact"]) == (43, 43, 0, True)
    assert told["pulled"] == [*(pull(village, told["day"], 3).value or ())]


def test_a_person_reads_it_beside_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["simulate", *VILLAGE, "--crashed", "0.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-4:]] == ["pulled", "truth", "all", "exact:"]
    assert "37 contributed of 43 expected, 6 missing" in lines[-1]


def test_a_pull_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["simulate", *VILLAGE, "--no-pull", "--json"]) == 0
    assert "demand" not in json.loads(capsys.readouterr().out)


def test_what_is_not_exact_is_a_bad_answer(
    village: Grid, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = replace(pull(village, DAY, 1), counted=42)
    monkeypatch.setattr(lab, "pull", lambda *_, **__: wrong)
    assert call(["simulate", *VILLAGE]) == 1
    assert "NOT EXACT" in capsys.readouterr().out
