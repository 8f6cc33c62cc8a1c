"""Sweeps as they are typed, the points that follow, and what is kept of them."""

from __future__ import annotations

import csv
import io
import json

import pytest

from gossip_ws.devices.cli import call
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Variant
from gossip_ws.lab import journal
from gossip_ws.lab.journal import Journal
from gossip_ws.lab.sweep import Axis, Sweep, parse, seed_of, trial_of
from gossip_ws.lab.trial import Coverage, Rounds, Summary, Trial
from gossip_ws.theory import planner


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("fanout=2:16", tuple(range(2, 17))),
        ("fanout=2:16:7", (2, 9, 16)),
        ("fanout=5", (5,)),
        ("nodes=10,1000,1e6", (10, 1_000, 1_000_000)),
        ("rounds=1:3,8", (1, 2, 3, 8)),
        ("loss=0:0.4:0.05", (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)),
        ("crashed=0,0.2", (0.0, 0.2)),
        ("variant=eager-push,push-pull", (Variant.EAGER_PUSH, Variant.PUSH_PULL)),
    ],
)
def test_an_axis_has_both_ends_and_no_float_dust(text, values):
    axis = parse(text)
    assert axis == Axis(text.partition("=")[0], values)
    assert [type(value) for value in axis.values] == [type(value) for value in values]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "fanout",
        "fanout=",
        "fanout=2:",
        "fanout=:16",
        "fanout=2:16:1:1",
        "fanout=2,,3",
        "fanout=16:2",
        "fanout=2:16:0",
        "fanout=2:16:-1",
        "fanout=2:16:5",
        "fanout=2.5",
        "fanout=2:3:0.5",
        "fanout=3,2:4",
        "fanout=nan",
        "fanout=inf",
        "fanout=1e999999999",
        "fanout=9999999999:99999999999",
        "fanout=two",
        "loss=0:0.4",
        "loss=0:0.4:0.15",
        "loss=0:1:1e-9",
        "loss=0:1:1e-999999",
        "loss=0.1,0.10",
        "nodes=1:100001",
        "variant=shout",
        "variant=eager-push:lazy-push",
        "colour=1:3",
        "repeat=1:3",
        "fanout=" + ",".join(["1"] * 5_000),
    ],
)
def test_what_is_no_axis_is_refused_in_one_short_line(text):
    with pytest.raises(LocalError) as refused:
        parse(text)
    told = str(refused.value)
    assert told.startswith("--sweep")
    assert "\n" not in told
    assert len(told) < 160


def sweep(*axes, repeat=3, seed=1, **fixed):
    return Sweep(tuple(parse(axis) for axis in axes), fixed, "population", repeat, seed)


def test_several_axes_are_their_product_and_the_last_changes_fastest():
    points = sweep("fanout=2:3", "loss=0,0.1", nodes=50, rounds=4).points
    assert [point.number for point in points] == [0, 1, 2, 3]
    assert [point.trial for point in points] == [
        Trial(50, 2, 4, 0.0),
        Trial(50, 2, 4, 0.1),
        Trial(50, 3, 4, 0.0),
        Trial(50, 3, 4, 0.1),
    ]


def test_what_is_neither_given_nor_swept_follows_the_planner_at_each_point():
    small, large = sweep("nodes=30,1000", loss=0.1).points
    for point, nodes in ((small, 30), (large, 1_000)):
        fanout = planner.fanout_for_all(nodes, 0.1)
        assert point.trial == Trial(nodes, fanout, planner.rounds_for(nodes, fanout, 0.1), 0.1)
    assert trial_of({"nodes": 30, "fanout": 4, "rounds": 2, "loss": 0.1}) == Trial(30, 4, 2, 0.1)


@pytest.mark.parametrize(
    ("axes", "fixed"),
    [
        ((), {"nodes": 10}),
        (("fanout=2:3", "fanout=5:6"), {"nodes": 10}),
        (("fanout=2:3",), {"nodes": 10, "fanout": 4}),
        (("fanout=2:16",), {"nodes": 10}),
        (("loss=0:1:0.1",), {"nodes": 10}),
        (("crashed=-0.1",), {"nodes": 10}),
        (("nodes=0:3",), {}),
        (("nodes=1000:2000", "fanout=1:100"), {}),
    ],
)
def test_a_sweep_with_a_point_that_cannot_be_is_refused_as_a_whole(axes, fixed):
    with pytest.raises(LocalError):
        sweep(*axes, **fixed)


def test_the_seed_of_a_point_is_its_own_and_depends_on_no_other():
    wide = {point.trial: point.seed for point in sweep("fanout=2:9", "loss=0:0.4:0.1", nodes=50, rounds=4).points}
    turned = {point.trial: point.seed for point in sweep("loss=0.4,0.1", "fanout=9,3", nodes=50, rounds=4).points}
    assert turned.items() <= wide.items()
    assert len(set(wide.values())) == len(wide)
    assert all(0 <= seed < 2**63 for seed in wide.values())
    assert seed_of(2, Trial(50, 2, 4)) != seed_of(1, Trial(50, 2, 4))
    # In a table that somebody has made, it says how to repeat that point: it stays what it is.
    assert seed_of(1, Trial(50, 2, 4, 0.1)) == 5_547_795_364_550_080_846


@pytest.mark.parametrize(
    "arguments",
    [
        ["--sweep", "fanout=2:3"],
        ["--nodes", "50", "--sweep", "fanout=3:2"],
        ["--nodes", "50", "--sweep", "fanout=2:3", "--fanout", "4"],
        ["--nodes", "50", "--sweep", "loss=0:0.2:0.1", "--loss", "0"],
        ["--nodes", "50", "--sweep", "fanout=2:3", "--sweep", "fanout=4:5"],
        ["--nodes", "50", "--sweep", "colour=1:2"],
        ["--nodes", "50", "--sweep", "fanout=2:3", "--repeat", "0"],
        ["--nodes", "50", "--sweep", "fanout=2:3", "--seed", "-1"],
        ["--nodes", "50", "--sweep", "variant=eager-push,adaptive"],
        ["--nodes", "50", "--sweep", "fanout=2:3", "--plot", "picture.txt"],
        ["--nodes", "50", "--sweep", "fanout=2:3", "--plot", "nowhere/picture.png"],
        [
            "--nodes",
            "50",
            *("--sweep", "fanout=2:3", "--sweep", "loss=0,0.1", "--sweep", "rounds=2:3"),
            "--plot",
            "p.png",
        ],
        ["--nodes", "50", "--sweep", "fanout=2:3", "--output", "nowhere/out.csv"],
        ["--nodes", "50", "--output", "out.csv"],
        ["--nodes", "50", "--scheduler", "127.0.0.1:1"],
    ],
)
def test_bad_usage_is_one_line_and_writes_nothing(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(["simulate", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("gossip-ws: ")
    assert told.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# -- the journal -----------------------------------------------------------------------------------


def figures(value):
    return Summary(Coverage(value, value / 2, 0.0), 0.25, Rounds(3.0, 4.5), 6.5, 5.5, 3, 0.125)


@pytest.fixture
def task():
    return sweep("fanout=2:4", nodes=50, rounds=4, loss=0.1)


def test_the_table_is_in_the_order_of_the_points_whatever_came_first(task, tmp_path):
    with Journal(tmp_path / "out.csv", task) as book:
        for number in (2, 0, 1):
            book.put(task.points[number], figures(number / 10))
        assert not (tmp_path / "out.csv").exists()
        book.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    with (tmp_path / "out.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["fanout"], row["coverage_mean"]) for row in rows] == [("2", "0.0"), ("3", "0.1"), ("4", "0.2")]
    assert rows[1] == {
        "nodes": "50",
        "fanout": "3",
        "rounds": "4",
        "loss": "0.1",
        "crashed": "0.0",
        "variant": "eager-push",
        "seed": str(task.points[1].seed),
        "coverage_mean": "0.1",
        "coverage_p1": "0.05",
        "coverage_minimum": "0.0",
        "all_reached": "0.25",
        "rounds_median": "3.0",
        "rounds_p99": "4.5",
        "envelopes_per_delivery": "6.5",
        "rmr": "5.5",
        "repeat": "3",
        "seconds": "0.125",
    }


def test_every_figure_of_a_summary_has_its_column(task):
    row = journal.row(task.points[0], figures(0.5))
    assert tuple(row) == journal.COLUMNS
    stream = io.StringIO()
    journal.write(stream, [row])
    assert stream.getvalue().splitlines()[0] == ",".join(journal.COLUMNS)
    flat = {name for name, value in figures(0.5).record().items() if not isinstance(value, dict)}
    assert flat <= set(row)


def begun(task, path):
    with Journal(path, task) as book:
        book.put(task.points[2], figures(0.5))
        book.put(task.points[0], figures(0.25))
    return path.with_name(path.name + ".part")


def test_a_line_that_a_kill_cut_short_is_done_again(task, tmp_path):
    part = begun(task, tmp_path / "out.csv")
    whole = part.read_bytes()
    for cut in range(1, len(whole.splitlines(keepends=True)[-1]) + 1):
        part.write_bytes(whole[:-cut])
        with Journal(tmp_path / "out.csv", task) as book:
            assert book.done == {2: figures(0.5)}
            book.put(task.points[0], figures(0.25))
        assert part.read_bytes() == whole


def test_a_journal_that_stopped_before_its_first_point_is_begun_anew(task, tmp_path):
    part = begun(task, tmp_path / "out.csv")
    for text in (b"", part.read_bytes()[:20]):
        part.write_bytes(text)
        with Journal(tmp_path / "out.csv", task) as book:
            assert book.done == {}
            book.put(task.points[1], figures(0.5))
        assert len(part.read_bytes().splitlines()) == 2


def test_nothing_is_left_where_nothing_was_found(task, tmp_path):
    with Journal(tmp_path / "out.csv", task):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "other",
    [
        sweep("fanout=2:4", nodes=50, rounds=4, loss=0.2),
        sweep("fanout=2:5", nodes=50, rounds=4, loss=0.1),
        sweep("fanout=2:4", nodes=50, rounds=4, loss=0.1, repeat=4),
        sweep("fanout=2:4", nodes=50, rounds=4, loss=0.1, seed=2),
        sweep("fanout=2:4", nodes=50, loss=0.1),
    ],
)
def test_the_journal_of_another_sweep_is_refused_and_left(task, other, tmp_path):
    part = begun(task, tmp_path / "out.csv")
    before = part.read_bytes()
    with pytest.raises(LocalError, match="other parameters"):
        Journal(tmp_path / "out.csv", other)
    assert part.read_bytes() == before


def test_two_at_once_are_refused(task, tmp_path):
    begun(task, tmp_path / "out.csv")
    with Journal(tmp_path / "out.csv", task), pytest.raises(LocalError, match="another sweep is writing"):
        Journal(tmp_path / "out.csv", task)


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b'{"point": 3, "summary": {}}',
        b'{"point": -1, "summary": null}',
        b"\xff",
        json.dumps({"point": 9, "summary": figures(0.5).record()}).encode(),
    ],
)
def test_a_line_that_is_no_point_is_refused(line, task, tmp_path):
    part = begun(task, tmp_path / "out.csv")
    with part.open("ab") as stream:
        stream.write(line + b"\n")
    with pytest.raises(LocalError, match="line 4 is no point"):
        Journal(tmp_path / "out.csv", task)


def test_a_file_of_somebody_else_is_refused_and_left(task, tmp_path):
    for text in (b"a,b\n1,2\n", b"letter", b'{"format": "other"}\n'):
        (tmp_path / "out.csv.part").write_bytes(text)
        with pytest.raises(LocalError, match="not the journal"):
            Journal(tmp_path / "out.csv", task)
        assert (tmp_path / "out.csv.part").read_bytes() == text


def test_where_no_file_can_be_is_told(task, tmp_path):
    for place in (tmp_path, tmp_path / "nowhere" / "out.csv"):
        with pytest.raises(LocalError, match="--output"):
            Journal(place, task)
