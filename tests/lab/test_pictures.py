"""Pictures are made, of the size they should be, the same each time; what cannot be is told in one line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from matplotlib.image import imread

from gossip_ws.devices.cli import call
from gossip_ws.lab import drawing, engine, journal, sweep_picture
from gossip_ws.lab.pictures import PICTURES, Scale
from gossip_ws.lab.runs import measure
from gossip_ws.lab.sweep import Sweep, parse

SMALL = {"spread": 200, "coverage": 100, "redundancy": 100, "load": 1_000}


def drawn(figure, path):
    drawing.save(figure, path)
    pixels = imread(path)
    assert pixels.shape[1] == 800
    assert pixels[..., :3].std() > 0.05, "something is on it"
    return path.read_bytes()


@pytest.mark.parametrize("name", sorted(SMALL))
def test_each_picture_says_what_was_run_and_is_the_same_each_time(name, tmp_path):
    picture = PICTURES[name]
    figure = picture.draw(Scale(SMALL[name], 3, seed=7))
    caption = figure.get_supxlabel()
    for told in (f"{SMALL[name]:,} devices", "loss", "repetitions", "seed 7"):
        assert told in caption
    once = drawn(figure, tmp_path / "once.png")
    assert drawn(picture.draw(Scale(SMALL[name], 3, seed=7)), tmp_path / "again.png") == once


def rows_of(*axes, **fixed):
    sweep = Sweep(tuple(map(parse, axes)), {"nodes": 60, **fixed}, "population", 5, 1)
    return sweep, [journal.row(point, measure(engine.run, point.trial, 5, point.seed)) for point in sweep.points]


@pytest.mark.parametrize(
    ("axes", "panels"),
    [
        (["fanout=2:9"], 1),
        (["variant=eager-push,lazy-push"], 1),
        (["fanout=2:5", "loss=0:0.4:0.1"], 3),  # two maps and their scale
        (["loss=0:0.4:0.1", "variant=eager-push,lazy-push"], 1),
    ],
)
def test_a_sweep_of_one_or_two_names_is_drawn(axes, panels, tmp_path):
    figure = sweep_picture.draw(*rows_of(*axes))
    assert len(figure.axes) == panels
    assert figure.axes[0].get_xlabel()
    assert "nodes 60" in figure.get_supxlabel()
    drawn(figure, tmp_path / "sweep.png")


def test_the_lines_of_a_sweep_are_its_figures():
    sweep, rows = rows_of("fanout=2:9", loss=0.1)
    lines = {line.get_label(): line for line in sweep_picture.draw(sweep, rows).axes[0].get_lines()}
    assert list(lines["reached: mean"].get_xdata()) == list(range(2, 10))
    assert list(lines["reached: mean"].get_ydata()) == [row["coverage_mean"] for row in rows]
    assert list(lines["repetitions that reached all"].get_ydata()) == [row["all_reached"] for row in rows]


def test_the_cells_of_a_map_are_where_their_values_say():
    sweep, rows = rows_of("fanout=9,2", "loss=0.4,0")
    image = sweep_picture.draw(sweep, rows).axes[0].get_images()[0].get_array()
    at = {(row["fanout"], row["loss"]): row["coverage_mean"] for row in rows}
    assert image.tolist() == [[at[2, 0.0], at[9, 0.0]], [at[2, 0.4], at[9, 0.4]]]


# -- the command -----------------------------------------------------------------------------------


def test_the_command_draws(capsys, tmp_path):
    path = tmp_path / "spread.svg"
    assert call(["plot", "spread", "--output", str(path), "--nodes", "100", "--repeat", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["file"], told["octets"]) == ("spread", str(path), path.stat().st_size)
    assert path.read_text().startswith("<?xml")


def test_the_command_tells_the_names(capsys):
    assert call(["plot", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(PICTURES)
    assert set(SMALL) <= set(PICTURES)


@pytest.mark.parametrize(
    "arguments",
    [
        ["sunset", "--output", "sunset.png"],
        ["spread"],
        ["spread", "--output", "spread.txt"],
        ["spread", "--output", "nowhere/spread.png"],
        ["spread", "--output", "spread.png", "--nodes", "1000000000"],
        ["spread", "--output", "spread.png", "--repeat", "0"],
    ],
)
def test_what_cannot_be_drawn_is_one_line(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(["plot", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("gossip-ws: ")
    assert told.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("matplotlib", ["plot", "spread", "--output", "spread.png"]),
        ("matplotlib", ["simulate", "--nodes", "50", "--sweep", "fanout=2:3", "--plot", "sweep.png"]),
        ("matplotlib", ["what-if", "--prices", "1,2,3", "--plot", "tariff.png"]),
        ("distributed", ["simulate", "--nodes", "50", "--sweep", "fanout=2:3"]),
        ("dask", ["simulate", "--nodes", "50", "--sweep", "fanout=2:3"]),
    ],
)
def test_without_the_laboratory_one_line_names_it(missing, arguments, tmp_path):
    blind = (
        f"import sys; sys.modules[{missing!r}] = None; "
        f"from gossip_ws.devices.cli import call; sys.exit(call({arguments!r}))"
    )
    tried = subprocess.run(
        [sys.executable, "-c", blind], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60
    )
    assert (tried.returncode, tried.stdout) == (2, "")
    assert "gossip-ws[lab]" in tried.stderr
    assert tried.stderr.count("\n") == 1
