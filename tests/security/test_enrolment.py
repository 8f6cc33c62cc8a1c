"""Enrolments: what an operator has bound together nobody else takes apart, moves or makes last longer."""

import json
from base64 import b64encode
from dataclasses import replace

import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.security.enrolment import Enrolments, enrol, load, parse, save
from gossip_ws.security.keys import PrivateKey

OPERATOR, OTHER = PrivateKey.generate(), PrivateKey.generate()
KEYS = [PrivateKey.generate() for _ in range(3)]
DEVICE = "urn:uuid:1f0a1d5e-0f8e-4c8a-9b53-5c1c8a6e7d10"
NEIGHBOUR = DEVICE.replace("1f0a", "2f0a")
MADE = enrol(OPERATOR, DEVICE, KEYS[0].public, "grid://town/1/7", 1000, 2000, bus=17, meter=KEYS[2].public)


def test_what_was_enrolled_is_read_again():
    assert parse(MADE.line(), [OTHER.public, OPERATOR.public]) == MADE
    plain = enrol(OPERATOR, DEVICE.upper().replace("URN:UUID", "urn:uuid"), KEYS[0].public, "grid://town/1/7", 0, 1)
    assert parse(plain.line(), [OPERATOR.public]) == plain
    assert plain.device == DEVICE


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("device", NEIGHBOUR),
        ("place", "grid://town/2/7"),
        ("bus", 18),
        ("key", b64encode(KEYS[1].public.raw).decode()),
        ("meter", b64encode(KEYS[1].public.raw).decode()),
        ("from", "1970-01-01T00:00:00Z"),
        ("until", "2070-01-01T00:00:00Z"),
        ("signature", b64encode(OTHER.sign(MADE.statement())).decode()),
    ],
    # The keys are new each time; the names of tests are not to be.
    ids=["device", "place", "bus", "key", "meter", "from", "until", "signature"],
)
def test_whatever_is_changed_is_forged(member, value):
    told = json.loads(MADE.line()) | {member: value}
    with pytest.raises(LocalError, match=r"forged|not what the operator"):
        parse(json.dumps(told), [OPERATOR.public])


def test_of_another_operator_it_is_none():
    with pytest.raises(LocalError, match="another operator"):
        parse(MADE.line(), [OTHER.public])
    stolen = json.loads(MADE.line()) | {"operator": OTHER.id}
    with pytest.raises(LocalError, match="forged"):
        parse(json.dumps(stolen), [OTHER.public])


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no JSON",
        "[]",
        "[" * 4000,
        "{}",
        "x" * 5000,
        json.dumps(json.loads(MADE.line()) | {"more": 1}),
        json.dumps({name: value for name, value in json.loads(MADE.line()).items() if name != "key"}),
        *(
            json.dumps(json.loads(MADE.line()) | changed)
            for changed in (
                {"key": "AAAA"},
                {"key": 5},
                {"key": "ü"},
                {"signature": "!"},
                {"bus": True},
                {"bus": None},
                {"bus": -1},
                {"device": "d8"},
                {"place": "here"},
                {"place": "grid://town/../7"},
                {"from": "yesterday"},
                {"until": "2070-13-01T00:00:00Z"},
                {"until": "1970-01-01T00:00:00Z"},
            )
        ),
    ],
)
def test_what_is_no_enrolment_is_refused(line):
    with pytest.raises(LocalError):
        parse(line, [OPERATOR.public])


@pytest.mark.parametrize(
    "changed",
    [
        {"place": "grid://town/\ud800"},
        {"operator": "\ud800"},
        {"operator": "a\nb\x1b[31m"},
        {"a\nb": 1},
        {"device": "\n"},
        {"from": "\n"},
    ],
    ids=str,
)
def test_whatever_is_in_it_the_reason_is_one_line(changed):
    with pytest.raises(LocalError) as refused:
        parse(json.dumps(json.loads(MADE.line()) | changed), [OPERATOR.public])
    assert str(refused.value).isprintable()


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    taken = tmp_path / "enrolments"
    taken.mkdir()
    with pytest.raises(LocalError):
        save(taken, Enrolments([MADE]))
    assert list(tmp_path.iterdir()) == [taken]


def test_a_file_names_the_line_that_spoils_it(tmp_path):
    path = tmp_path / "enrolments.jsonl"
    other = enrol(OPERATOR, NEIGHBOUR, KEYS[1].public, "grid://town/1/8", 1000, 3000)
    save(path, Enrolments([MADE, other]))
    assert list(load(path, [OPERATOR.public])) == [DEVICE, NEIGHBOUR]
    path.write_text(f"{MADE.line()}\n\n{replace(other, place='grid://town/2/8').line()}\n")
    with pytest.raises(LocalError, match=r"enrolments.jsonl:3: .*forged"):
        load(path, [OPERATOR.public])
    path.write_text(f"{MADE.line()}\n{MADE.line()}\n")
    with pytest.raises(LocalError, match="enrolled twice"):
        load(path, [OPERATOR.public])
    with pytest.raises(LocalError, match="No such file"):
        load(tmp_path / "none", [OPERATOR.public])


def test_one_key_is_not_two_devices_but_a_meter_measures_several():
    def neighbour(key, meter=None):
        return enrol(OPERATOR, NEIGHBOUR, key.public, "grid://town/1/8", 1000, 3000, meter=meter and meter.public)

    assert len(Enrolments([MADE, neighbour(KEYS[1], KEYS[2])])) == 2
    for one in (neighbour(KEYS[0]), neighbour(KEYS[2]), neighbour(KEYS[1], KEYS[0])):
        for order in ([MADE, one], [one, MADE]):
            with pytest.raises(LocalError, match="have one key"):
                Enrolments(order)


def test_before_and_after_its_time_a_device_is_not_enrolled():
    enrolments = Enrolments([MADE])
    assert enrolments.one(DEVICE, 1000) == enrolments.one(DEVICE, 1999.9) == MADE
    for wall, told in ((999, "from 1970-01-01T00:16:40Z on"), (2000, "expired at 1970-01-01T00:33:20Z")):
        assert not enrolments.at(wall)
        with pytest.raises(LocalError, match=told):
            enrolments.one(DEVICE, wall)
    with pytest.raises(LocalError, match="not enrolled"):
        enrolments.one(NEIGHBOUR, 1000)
