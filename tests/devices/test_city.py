"""The city as a user starts it: real processes, real sockets, real grid data."""

import json
import subprocess
import sys
from decimal import Decimal

import pytest

from gossip_ws.devices import city_command
from gossip_ws.devices.city import DAY, GRID, PRICES, CityReport, PullReport, PushReport
from gossip_ws.grid.faults import Fate, contributions, places
from gossip_ws.grid.population import choose, load
from gossip_ws.grid.profiles import Jitter
from gossip_ws.grid.tariff import Band, Tariff
from gossip_ws.grid.tasks import place, tasks_of


def city(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from gossip_ws.devices.city_command import city; city()", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str], within: float = 120) -> tuple[str, str]:
    """Both outputs of a city that is through with its day."""
    try:
        return process.communicate(timeout=within)
    finally:
        process.kill()


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
    told, complaint = ended(done)
    assert done.returncode == 0, complaint
    assert complaint == ""
    report = json.loads(told)
    counts = choose(load(GRID), 24, 3).counts()
    tiers = {"IS": 1, "SSC": counts.substations, "SM": 24, "IED": counts.appliances}
    assert report["devices"] == tiers
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
        assert (pull["counted"], pull["uncertain"], pull["late"]) == (total, 0, 0)
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
        ("--loss", "1"),
        ("--loss", "nan"),
        ("--crash", "-0.1"),
    ],
)
def test_bad_usage_is_told_in_words_and_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        city_command.city(list(arguments))
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "Error: " in told


def test_prosumers_route_by_gossip_through_a_failed_link_and_without_the_information_system():
    done = city("--meters", "20", "--routing", "--prosumers", "6", "--tick", "0.5", "--loss", "0.1", "--json")
    told, complaint = ended(done)
    report = json.loads(told)["energy"]
    assert done.returncode == 0, complaint + json.dumps(report)
    assert (report["prosumers"], report["links"]) == (6, 24)
    settled, hurt, alone = report["phases"]
    assert settled["lower_bound"] <= settled["cost"] < 0.95 * report["start"]["cost"]
    # What the information system pulled, a sum over the whole grid, is the cost that the flows themselves have.
    for phase in (settled, hurt):
        assert phase["pulled_cost"] == pytest.approx(phase["cost"], rel=0.05)
        assert len(phase["congested"]) == 10
    assert hurt["cost"] > settled["cost"]
    # Reports, and what membership and repair send in half a second beside them.
    assert report["envelopes"] <= report["fanout"] == 4
    for phase in report["phases"]:
        assert 0 < phase["reports"] < phase["envelopes"] <= 4
    assert "information system dead" in alone["what"]
    assert alone["cost"] == pytest.approx(settled["cost"], rel=0.05)


@pytest.mark.parametrize(
    "arguments", [("--prosumers", "3"), ("--prosumers", "21"), ("--tick", "0"), ("--crash", "0.1")]
)
def test_routing_that_cannot_be_is_bad_usage(arguments):
    done = city("--meters", "20", "--routing", *arguments)
    told, complaint = ended(done)
    assert (done.returncode, told) == (2, "")
    assert "Traceback" not in complaint


def test_meters_balance_through_a_cut_a_killed_process_and_without_the_information_system():
    done = city("--meters", "20", "--balance", "--loss", "0.1", "--json")
    # Where datagrams are lost a phase may have a long tail: 85 s were seen.
    told, complaint = ended(done, within=400)
    report = json.loads(told)["balance"]
    assert done.returncode == 0, complaint + json.dumps(report)
    assert (report["meters"], report["clusters"]["SSC"], report["clusters"]["IS"]) == (20, 4, 1)
    calm, apart, together, gone, back, alone = report["phases"]
    for phase in report["phases"]:
        assert phase["settled"]
        assert (phase["violations"], phase["revoked"]) == ([], [])
        assert phase["matched"] == phase["optimum"] > 0
    # A part on its own can match less, and what it has matched stands when it is back.
    assert apart["matched"] < together["matched"] == calm["matched"] == alone["matched"]
    assert "cut off" in apart["what"]
    assert "information system killed" in alone["what"]
    assert "leaves" in gone["what"]
    assert back["matched"] > gone["matched"]
    for phase in (calm, together, gone, back):
        assert len(phase["areas"]) == 4
        for area in phase["areas"]:
            found, pulled = area["exchange"], area["pulled"]
            assert pulled["contributors"] == area["meters"] == 5
            told = pulled["residual"]
            assert (told["gives"], told["needs"]) == (found["left_given"], found["left_needed"])
            assert len(told["gives"]) == 24
    # With nothing left to agree, no hour has both: some to give somewhere, and some needed.
    for hour in range(24):
        left = [sum(area["exchange"][side][hour] for area in calm["areas"]) for side in ("left_given", "left_needed")]
        assert min(left) == 0


def test_what_can_be_moved_agrees_beside_the_meters_through_all_of_that():
    done = city("--meters", "12", "--seed", "3", "--balance", "--flexible", "--round", "0.1", "--json")
    told, complaint = ended(done, within=400)
    report = json.loads(told)["balance"]
    assert done.returncode == 0, complaint + json.dumps(report)
    assert report["meters"] == 12
    assert {"heat-pump", "home-charger", "storage"} == report["movable"].keys()
    calm, apart, together, *_ = report["phases"]
    moving, fixed = report["moving"], report["fixed"]
    assert calm["optimum"] == moving["optimum"] > fixed["optimum"] > 0
    assert moving["needed"] - moving["optimum"] < fixed["needed"] - fixed["optimum"]
    for phase in report["phases"]:
        assert phase["settled"]
        assert (phase["violations"], phase["revoked"]) == ([], [])
        assert 0.99 * phase["optimum"] <= phase["matched"] <= phase["optimum"]
    assert apart["matched"] <= together["matched"]
    for phase in (phase for phase in report["phases"] if phase["areas"][0]["pulled"] is not None):
        served = discharged = 0
        for area in phase["areas"]:
            moved = area["moved"]
            assert (area["pulled"]["contributors"], area["meters"]) == (3, 3)
            assert min(moved["held"]) >= 0
            for kind, wants in moved["wants"].items():
                assert wants >= sum(moved["served"][kind])
            if area["appliances"]:
                assert area["pulled_moved"]["contributors"] == area["appliances"]
                assert area["pulled_moved"]["residual"]["sold"] == moved["discharged"]
            served += sum(map(sum, moved["served"].values()))
            discharged += sum(moved["discharged"])
        assert served > 0
        assert discharged > 0


def test_who_announces_more_than_it_gives_is_noticed_from_its_metering():
    done = city("--meters", "12", "--balance", "--overstate", "0.5", "--days", "3", "--round", "0.1", "--json")
    told, complaint = ended(done, within=400)
    report = json.loads(told)
    assert done.returncode == 0, complaint + told
    assert report["balance"] is None
    report = report["metering"]
    assert (report["meters"], report["overstating"]) == (12, 5)
    assert (report["unnoticed"], report["violations"]) == ([], [])
    days = report["days"]
    for day in days:
        assert 0 < day["given"] <= min(day["agreed"], report["optimum"])
        # Two neighbours in each nano grid of three.
        assert (day["heard"], day["others"]) == (24, 1.0)
    assert 1.0 > days[0]["believed"] > days[1]["believed"] > days[2]["believed"] > 0.5
    assert days[0]["agreed"] > report["optimum"]
    vain = [day["agreed"] - day["given"] for day in days]
    assert vain[0] > vain[1] > vain[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--overstate", "0.3"),
        ("--balance", "--overstate", "1.5"),
        ("--balance", "--overstate", "nan"),
        ("--balance", "--overstate", "-0.1"),
        ("--balance", "--overstate", "0.01"),
        ("--balance", "--overstate", "0.3", "--flexible"),
        ("--balance", "--overstate", "0.3", "--days", "0"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_overstated_is_bad_usage(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        city_command.city(["--meters", "12", *arguments])
    assert end.value.code == 2
    assert "Error: " in capsys.readouterr().err


def test_what_is_flexible_is_moved_where_devices_balance(capsys):
    with pytest.raises(SystemExit) as end:
        city_command.city(["--meters", "20", "--flexible"])
    assert end.value.code == 2
    assert "where devices balance: say so too" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("--round", "0"), ("--round", "nan"), ("--crash", "0.1"), ("--routing",)])
def test_balancing_that_cannot_be_is_bad_usage(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        city_command.city(["--meters", "20", "--balance", *arguments])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "Error: " in told


LOSSES = (0.1, 0.0)


@pytest.fixture(scope="module")
def faulty():
    """By loss; both at once, as each mostly waits for its dead until a pull's deadline."""
    common = "--meters", "24", "--seed", "3", "--crash", "0.1", "--json"
    cities = {loss: city(*common, "--loss", str(loss)) for loss in LOSSES}
    outputs = {loss: ended(one) for loss, one in cities.items()}
    return {loss: (cities[loss].returncode, *outputs[loss]) for loss in LOSSES}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_city_keeps_its_contract_under_faults(loss, faulty):
    code, told, complaint = faulty[loss]
    assert code == 0, told + complaint
    report = json.loads(told)
    population = choose(load(GRID), 24, 3)
    total, fate = population.counts().total, Fate.draw(population, 0.1, 3)
    assert (report["devices"]["crashed"], report["devices"]["unreachable"]) == (3, len(fate.unreachable))
    live = total - 3 - len(fate.unreachable)
    assert (report["push"]["live"], report["push"]["reached"]) == (live, live)
    before, after = report["pull_before"], report["pull"]
    for pull in (before, after):
        assert pull["value_wh"] == pull["truth_wh"]
        assert pull["counted"] == pull["contributors"]
        parts = ("contributors", "missing", "failed", "uncertain", "late")
        assert sum(pull[part] for part in parts) == pull["expected"]
    # Nobody had gone down yet, so nobody but a lost datagram's device may be left out of the first.
    assert before["contributors"] <= total
    assert before["expected"] == total
    # The dead contribute nothing, and whoever hangs below them cannot; the answer says that they are missing.
    assert after["contributors"] <= live
    assert after["missing"] >= 1
    if not loss:
        assert (before["contributors"], after["contributors"]) == (total, live)


def test_who_crashes_is_the_seed_s_choice_and_what_hangs_below_is_unreachable():
    population = choose(load(GRID), 540, 1)
    everyone = list(places(population))
    assert [place.number for place in everyone] == list(range(population.counts().total))
    assert all(place.above < place.number for place in everyone[1:])
    fate = Fate.draw(population, 0.2, 1)
    assert fate == Fate.draw(population, 0.2, 1) != Fate.draw(population, 0.2, 2)
    assert len(fate.crashed) == round(0.2 * (len(everyone) - 1))
    assert population.device not in fate.crashed
    assert not fate.crashed & fate.unreachable
    for substation in population.substations:
        for meter in substation.meters:
            dead = substation.device in fate.crashed
            assert fate.is_served(meter.device) == (not dead and meter.device not in fate.crashed)
            for appliance in meter.appliances:
                dead_above = dead or meter.device in fate.crashed
                assert (appliance.device in fate.unreachable) == (dead_above and appliance.device not in fate.crashed)
    assert Fate.draw(population, 0.0, 1) == Fate(frozenset(), frozenset())


def test_a_contribution_counts_only_where_its_partial_was_taken_all_the_way_up():
    # 3 took part and was taken by 1, which the information system did not take; 4 passed on what it had none of.
    own = {0: ([1], [2]), 1: ([2], [3]), 2: (None, [4]), 3: ([4], []), 4: ([8], [])}
    assert contributions(own) == {0: [1], 4: [8]}
    # The crashed say nothing of what they took.
    assert contributions({0: ([1], [2]), 3: ([4], [])}) == {0: [1]}


def test_a_report_is_good_only_when_every_sum_is_exact_and_everyone_accounted_for():
    def report(faults: float = 0.1, reached: int = 8, **changed: object) -> CityReport:
        devices = {"IS": 1, "SSC": 1, "SM": 6, "IED": 2, "crashed": 1, "unreachable": 1}
        pull = {"value_wh": [1, 2, 3], "truth_wh": [1, 2, 3], "contributors": 7, "expected": 10, "missing": 1}
        pull |= {"failed": 1, "uncertain": 1, "late": 0, "counted": 7, "seconds": 1.0, **changed}
        push = PushReport(8, reached, 0.1, 0.2, 50, 10)
        good = PullReport(("a", "b", "c"), [1, 2, 3], [1, 2, 3], 10, 10, 0, 0, 0, 0, 10, 1.0)
        faulty = PullReport(("a", "b", "c"), **pull)
        return CityReport(devices, {"loss": faults, "crash": 0.0}, good, push, faulty, {"IS": True})

    assert report().is_good
    assert not report(faults=0.0).is_good, "without faults nobody may be missing"
    assert not report(reached=7).is_good
    assert not report(value_wh=[1, 2, 4]).is_good
    assert not report(value_wh=None).is_good
    assert not report(counted=6).is_good, "as many went in as it says"
    assert not report(missing=0).is_good, "somebody is neither counted nor missing"
    assert report(missing=0, late=1).is_good


def test_another_seed_is_another_city():
    assert announced(24, 3, None) != announced(24, 4, None)
