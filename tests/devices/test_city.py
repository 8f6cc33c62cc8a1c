"""The city as a user starts it: real processes, real sockets, real grid data."""

import json
import subprocess
import sys
from decimal import Decimal

import pytest

from gossip_ws.devices.city import DAY, GRID, PRICES
from gossip_ws.grid.population import choose, load
from gossip_ws.grid.profiles import Jitter
from gossip_ws.grid.tariff import Band, Tariff
from gossip_ws.grid.tasks import place, tasks_of


def city(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from gossip_ws.devices.city_command import city; city()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def announced(meters: int, seed: int, tariff: Tariff | None) -> list[int]:
    """What the grid data says, computed without a single message."""
    grid = choose(load(GRID), meters, seed)
    total = [0, 0, 0]
    for device in (*grid.meters(), *grid.appliances()):
        energy = grid.profiles.energy(device.profile, DAY, device.power, Jitter.draw(seed, device.scope))
        placed = place(tasks_of(device.kind, energy, device.power), tariff)
        total = [sum(pair) for pair in zip(total, placed, strict=True)]
    return total


def test_a_city_keeps_its_contract_for_machines():
    done = city("--meters", "24", "--seed", "3", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)
    counts = choose(load(GRID), 24, 3).counts()
    assert report["devices"] == {"IS": 1, "SSC": counts.substations, "SM": 24, "IED": counts.appliances}
    total = counts.total
    push = report["push"]
    assert (push["live"], push["reached"]) == (total, total)
    assert 0 < push["seconds_half"] <= push["seconds_all"]
    assert push["envelopes"] >= total - 1
    bands = tuple(Band(k * 480, (k + 1) * 480, Decimal(price)) for k, price in enumerate(PRICES))
    tariff = Tariff("t", 1, 0.0, 1.0, bands)
    for pull, in_force in ((report["pull_before"], None), (report["pull"], tariff)):
        assert pull["periods"] == ["00-08", "08-16", "16-24"]
        assert pull["value_wh"] == pull["truth_wh"] == announced(24, 3, in_force)
        assert (pull["contributors"], pull["expected"], pull["missing"], pull["failed"]) == (total, total, 0, 0)
    # The night is cheap now: something moved there, and nothing was lost on the way.
    before, after = report["pull_before"]["value_wh"], report["pull"]["value_wh"]
    assert after[0] > before[0]
    assert sum(after) == sum(before)
    assert all(report["legacy"].values())
    assert len(report["legacy"]) == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ("--meters", "0"),
        ("--meters", "9999999"),
        ("--day", "1999-01-01"),
        ("--grid", "nowhere"),
        ("--fanfare",),
    ],
)
def test_bad_usage_is_told_in_words_and_ends_with_2(arguments):
    done = city(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Error: " in done.stderr


def test_another_seed_is_another_city():

    assert announced(24, 3, None) != announced(24, 4, None)
