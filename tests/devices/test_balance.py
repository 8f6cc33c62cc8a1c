import gc
import json
from dataclasses import replace

import pytest

from gossip_ws.consensus.checker import Violation
from gossip_ws.consensus.instance import Device, Feeder, Instance, as_object
from gossip_ws.devices import cli_balance
from gossip_ws.devices.cli import call
from gossip_ws.devices.cli_balance_signed import SignedGrid

STREET = Instance(
    Feeder((0, 0, 1, 2), (0, 10, 10, 10)),
    (Device("pv", 1, (500, 0)), Device("car", 2, (-200, -100)), Device("battery", 3, (-100, 300))),
    2,
    "a street",
)


@pytest.fixture
def street(tmp_path):
    file = tmp_path / "street.json"
    file.write_text(json.dumps(as_object(STREET)))
    return str(file)


def answered(capsys, *arguments):
    code = call(["balance", *arguments])
    return code, capsys.readouterr()


def test_an_instance_is_balanced(street, capsys):
    code, said = answered(capsys, street, "--json")
    told = json.loads(said.out)
    assert code == 0
    assert {(sold, bought, period, watts, level) for _, sold, bought, period, watts, level in told["agreements"]} == {
        ("pv", "car", 0, 200, 1),
        ("pv", "battery", 0, 100, 1),
        ("battery", "car", 1, 100, 1),
    }
    assert told["residual"] == [
        {"level": 0, "kinds": ["device"], "given": 800, "needed": 400},
        {"level": 1, "kinds": ["SSC"], "given": 400, "needed": 0},
    ]
    assert (told["matched"], told["optimum"], told["transport_ratio"], told["violations"]) == (400, 400, 1.0, [])
    # Two announcements each, and three agreements of three messages.
    assert told["messages"] == 6 + 9


def test_a_person_reads_the_same(street, capsys):
    code, said = answered(capsys, street)
    assert code == 0
    assert "matched    400 W of at most 400 W" in said.out
    assert "no promise is broken" in said.out


def test_the_garbage_collector_rests_while_devices_agree_and_no_longer(street, capsys, monkeypatch):
    rested, balance = [], cli_balance.balance

    def watched(*arguments, **named):
        rested.append(not gc.isenabled())
        return balance(*arguments, **named)

    monkeypatch.setattr(cli_balance, "balance", watched)
    assert answered(capsys, street)[0] == 0
    assert rested == [True]
    assert gc.isenabled()


def test_a_grid_is_balanced_in_bad_weather(capsys):
    code, said = answered(
        capsys, "--grid", "1-LV-rural1--2-sw", "--loss", "0.1", "--crash", "0.3", "--partition", "0-40:2", "--json"
    )
    told = json.loads(said.out)
    assert code == 0
    assert told["matched"] == told["optimum"] > 0
    assert told["settled"]


def test_a_grid_in_which_cars_and_pumps_can_wait_and_batteries_store(capsys):
    code, said = answered(capsys, "--grid", "1-LV-rural1--2-sw", "--flexible", "--json")
    told = json.loads(said.out)
    assert code == 0
    assert told["settled"]
    assert 0.98 * told["optimum"] <= told["matched"] <= told["optimum"]
    assert any("/ied-" in sold for _, sold, *_ in told["agreements"])
    assert any("/ied-" in bought for _, _, bought, *_ in told["agreements"])
    rigid = json.loads(answered(capsys, "--grid", "1-LV-rural1--2-sw", "--json")[1].out)
    assert told["matched"] > rigid["matched"]


@pytest.mark.parametrize("scheme", ["leader", "two-choices", "ledger"])
def test_the_other_schemes(scheme, street, capsys):
    code, said = answered(capsys, street, "--scheme", scheme, "--json")
    assert code == 0
    assert json.loads(said.out)["matched"] == 400


def test_all_side_by_side(street, capsys):
    code, said = answered(capsys, street, "--compare")
    assert code == 0
    assert [line.split()[0] for line in said.out.splitlines()[1:5]] == ["pairwise", "leader", "two-choices", "ledger"]
    code, said = answered(capsys, street, "--compare", "--json")
    assert [one["parted"]["violations"] for one in json.loads(said.out)] == [[]] * 4


def test_a_part_that_is_cut_off_for_ever(capsys):
    grid = ("--grid", "bundled", "--meters", "40", "--json")
    code, said = answered(capsys, *grid, "--partition", "0-:grid://nowhere")
    assert code == 2
    assert "no area or cluster" in said.err
    told = json.loads(answered(capsys, *grid)[1].out)
    area = told["agreements"][0][1].rpartition("/")[0]
    code, said = answered(capsys, *grid, "--partition", f"0-:{area}")
    assert code == 0
    apart = json.loads(said.out)
    assert apart["matched"] == apart["optimum"]


def test_a_cut_for_ever_that_begins_later_does_begin(street, capsys):
    _, said = answered(capsys, street, "--partition", "60-:2", "--days", "2", "--json")
    told = json.loads(said.out)
    # The first day lasts until then; on the second each part is by itself.
    assert told["matched"] <= told["optimum"] < 400


def test_a_broken_promise_is_a_bad_answer(street, capsys, monkeypatch):
    honest = cli_balance.balance

    def lying(*arguments, **more):
        return replace(honest(*arguments, **more), violations=(Violation("zero sum", "here"),))

    monkeypatch.setattr(cli_balance, "balance", lying)
    code, said = answered(capsys, street)
    assert code == 1
    assert "VIOLATED   zero sum: here" in said.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say an INSTANCE or a --grid"),
        (["nowhere.json"], "No such file"),
        (["nowhere.json", "--flexible"], "--flexible: only of a --grid"),
        (["--grid", "1-LV-rural1--2-sw", "--flexible", "--compare"], "the scheme leader knows no needs"),
        (["--grid", "nowhere"], "no grid 'nowhere'"),
        (["--grid", "1-LV-rural1--2-sw", "--periods", "7"], "do not divide"),
        (["--grid", "1-LV-rural1--2-sw", "--partition", "soon"], "is not FROM-UNTIL:WHAT"),
        (["--grid", "1-LV-rural1--2-sw", "--partition", "9-3:2"], "ends before it begins"),
        (["--grid", "1-LV-rural1--2-sw", "--partition", "0-3:1"], "into 2 to 64 parts"),
        (["--grid", "1-LV-rural1--2-sw", "--scheme", "leader", "--crash", "0.1"], "only of the pairwise scheme"),
        (["--grid", "1-LV-rural1--2-sw", "--partition", "0-3:²"], "no area or cluster '²'"),
        (["--grid", "1-LV-rural1--2-sw", "--partition", "0-10001:2"], "at most 10,000 rounds"),
        (["--grid", "1-LV-rural1--2-sw", "--partition", "10001-:2"], "at most 10,000 rounds"),
        (["--grid", "1-LV-rural1--2-sw", "--signed", "--liars", "nan"], "'--liars': nan is no number"),
        (["nowhere.json", "--meters", "3"], "--meters: only of a --grid"),
        (["nowhere.json", "--day", "2016-04-18"], "--day: only of a --grid"),
        (["nowhere.json", "--periods", "24"], "--periods: only of a --grid"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused_in_one_line(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, printed = answered(capsys, *arguments)
    assert code == 2
    assert said in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("text", ["", "{}", '{"format": "gossip-ws balance 1"}', "[[[["])
def test_a_malformed_instance_is_refused_in_one_line(text, capsys, tmp_path):
    file = tmp_path / "bad.json"
    file.write_text(text)
    code, printed = answered(capsys, str(file))
    assert code == 2
    assert str(file) in printed.err
    assert printed.err.count("\n") == 1


def test_signed_devices_agree_whatever_attackers_say(capsys):
    code, said = answered(
        capsys, "--grid", "1-LV-rural1--2-sw", "--periods", "4", "--signed", "--attackers", "0.5", "--json"
    )
    told = json.loads(said.out)
    assert code == 0
    assert told["attackers"]["messages"] > 20
    assert told["attackers"]["counted"] == 0
    # An announcement is signed once, for a whole nano grid, and verified by each of its members.
    assert told["signed"]["verifications"] >= told["messages"] > told["signed"]["signatures"] > 0
    assert told["matched"] == told["optimum"]
    code, said = answered(capsys, "--grid", "1-LV-rural1--2-sw", "--periods", "4", "--signed")
    assert code == 0
    assert "verifications of" in said.out


def test_an_attackers_message_that_counts_is_a_bad_answer(street, capsys, monkeypatch):
    monkeypatch.setattr(SignedGrid, "is_bad", True)
    assert answered(capsys, street, "--signed", "--attackers", "0.5")[0] == 1


@pytest.mark.parametrize("wrong", [["--attackers", "0.5"], ["--signed", "--compare"]])
def test_what_nobody_signs_is_not_attacked(wrong, street, capsys):
    code, said = answered(capsys, street, *wrong)
    assert code == 2
    assert said.err.count("\n") == 1


def test_a_load_attack_is_simulated_with_what_blunts_it(capsys):
    meters = "--grid", "bundled", "--meters", "40", "--surge", "60:0.5:2000"
    found = {}
    for name, bounds in {"bare": (), "blunted": ("--start-within", "20", "--ramp", "1000")}.items():
        code, said = answered(capsys, *meters, *bounds, "--json")
        assert code == 0
        found[name] = json.loads(said.out)["surge"]
    assert found["bare"]["steepest"] == found["bare"]["watts"] == found["blunted"]["watts"] > 0
    assert found["blunted"]["steepest"] < found["bare"]["steepest"] / 2
    code, said = answered(capsys, *meters)
    assert "W more in a round" in said.out


def test_the_busiest_devices_are_silenced(capsys):
    code, said = answered(capsys, "--grid", "bundled", "--meters", "40", "--partition", "0-30:busiest", "--json")
    told = json.loads(said.out)
    assert code == 0
    assert told["matched"] == told["optimum"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--surge", "often"), "is not AT:SHARE:WATTS"),
        (("--surge", "10:0.5:0"), "is not AT:SHARE:WATTS"),
        (("--surge", "10:0:500"), "nobody is taken"),
        (("--surge", "10001:1:500"), "at most 10,000 rounds"),
        (("--surge", "10:1:500", "--start-within", "nan"), "nan is no number"),
        (("--ramp", "5"), "they are of a --surge"),
    ],
)
def test_a_surge_that_is_none(street, capsys, arguments, why):
    code, said = answered(capsys, street, *arguments)
    assert code == 2
    assert why in said.err
    assert said.err.count("\n") == 1


def test_a_speaker_that_lies_is_shown_and_nobody_else(capsys):
    code, said = answered(
        capsys, "--grid", "bundled", "--meters", "24", "--periods", "1", "--signed", "--liars", "0.6", "--json"
    )
    told = json.loads(said.out)["liars"]
    assert code == 0
    assert told["lied"]
    assert told["shown"] == told["lied"]


def test_who_overstates_is_believed_less_by_the_day(capsys):
    grid = "--grid", "bundled", "--meters", "24", "--periods", "2", "--overstate", "0.5", "--days", "6"
    code, said = answered(capsys, *grid, "--json")
    told = json.loads(said.out)
    assert code == 0
    assert told["overstating"]
    assert told["violations"] == []
    plain, weighed = told["as announced"], told["weighed"]
    assert plain[0] == weighed[0] == plain[5]

    def broken(day):
        return day["agreed"] - day["delivered"]

    assert broken(weighed[5]) < broken(plain[5])
    assert weighed[5]["delivered"] >= plain[5]["delivered"]
    code, said = answered(capsys, *grid)
    assert f"{weighed[5]['delivered']:,}" in said.out
    assert answered(capsys, *grid, "--signed")[0] == 2


def test_a_day_that_ends_in_the_middle_of_a_promise_breaks_none(capsys):
    assert answered(capsys, "--grid", "bundled", "--meters", "24", "--overstate", "0.3", "--days", "12")[0] == 0
