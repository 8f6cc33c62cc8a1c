import json

import pytest

from gossip_ws.consensus.ability import Ability, Need, Storage
from gossip_ws.consensus.instance import Device, Feeder, Instance, as_object, parse, schema
from gossip_ws.consensus.schema import check
from gossip_ws.kernel.errors import LocalError

STREET = Instance(
    Feeder((0, 0, 1, 1), (0, 100, 20, 30)),
    (
        Device("pv", 2, (500, 0), "ssc-1"),
        Device("car", 3, (0, -200), "ssc-1", Ability((Need(300, 200, 0, 2),))),
        Device("battery", 3, (0, 0), "ssc-1", Ability((), Storage(1000, 400, 300, 50))),
    ),
    2,
    "a street",
)


def told(**changes):
    return as_object(STREET) | changes


def test_what_is_written_is_read_again():
    assert parse(json.dumps(as_object(STREET))) == STREET


def with_device(**changes):
    first, *others = as_object(STREET)["devices"]
    return told(devices=[first | changes, *others])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "has to be of type object"),
        (told(format="gossip-ws balance 2"), "format has to be"),
        ({"format": "gossip-ws balance 1"}, "lacks 'periods'"),
        (told(colour="red"), "has 'colour', which there is not"),
        (told(periods=97), "periods lies outside 1 to 96"),
        (told(periods=True), "periods has to be of type integer"),
        (told(devices=[]), "devices has 0 items"),
        (with_device(watts=[1.5, 0]), r"devices\[0\].watts\[0\] has to be of type integer"),
        (with_device(watts=[1]), r"devices\[0\].watts has 1 periods, not 2"),
        (with_device(watts=[2 * 10**9, 0]), "lies outside"),
        (with_device(bus=4), r"devices\[0\].bus is none of the tree's"),
        (with_device(id="car"), r"devices\[1\].id is there twice"),
        (with_device(id=""), r"devices\[0\].id has 0 characters"),
        (with_device(id="\ud800"), r"devices\[0\].id has half a character"),
        (told(tree={"parent": [0, 1], "micro_ohm": [0, 5]}), "no earlier bus"),
        (told(tree={"parent": [0, 0], "micro_ohm": [0]}), "differ in length"),
        (told(tree={"parent": [0], "micro_ohm": [7]}), "root"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line_that_names_the_place(data, said):
    with pytest.raises(LocalError, match=said) as refused:
        parse(json.dumps(data))
    assert "\n" not in str(refused.value)


def movable(name, **changes):
    devices = as_object(STREET)["devices"]
    found = next(one for one in devices if name in one)
    inner = found[name][0] if name == "flexible" else found[name]
    found.update({key: value for key, value in changes.items() if key == "watts"})
    inner.update({key: value for key, value in changes.items() if key != "watts"})
    return told(devices=devices)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (movable("flexible", energy=401), r"devices\[1\].flexible\[0\].energy is more than 200 W for 2 periods"),
        (movable("flexible", energy=0), r"devices\[1\].flexible\[0\].energy lies outside"),
        (movable("flexible", finish_by=3), "from period 0 to 3 is no part of 0 to 2"),
        (movable("flexible", **{"from": 2}), "from period 2 to 2 is no part"),
        (movable("flexible", colour=1), "has 'colour', which there is not"),
        (movable("flexible", watts=[7, 0]), r"flexible\[0\]: the device gives in that time"),
        (movable("storage", initial=1001), r"devices\[2\].storage.initial is more than its capacity"),
        (movable("storage", capacity=0), r"devices\[2\].storage.capacity lies outside"),
        (movable("storage", watts=[0, -1]), "a storage is a device of its own"),
    ],
)
def test_what_cannot_be_moved_so_is_refused(data, said):
    with pytest.raises(LocalError, match=said) as refused:
        parse(json.dumps(data))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, b"\xff\xfe\x00"])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(LocalError):
        parse(text)


def test_a_keyword_that_the_checker_does_not_know_is_no_silent_yes():
    with pytest.raises(TypeError, match="pattern"):
        check("x", {"type": "string", "pattern": "y"})


def test_every_rule_of_the_schema_is_one_that_the_checker_knows():
    check(as_object(STREET), schema())


def test_distance_is_the_sum_along_the_way():
    assert STREET.feeder.distance(2, 3) == 50
    assert STREET.feeder.distance(0, 3) == 130
    assert STREET.feeder.meeting(2, 3) == 1
