"""The picture of a tariff shows the figures of the plan, and what was planned."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from matplotlib.container import BarContainer
from matplotlib.image import imread

from gossip_ws.devices.cli import call
from gossip_ws.grid.population import load
from gossip_ws.grid.what_if import SAMPLE_DAY, WhatIf, what_if
from gossip_ws.lab import drawing, tariff_picture
from gossip_ws.lab.pictures import PICTURES, Scale

PRICES = (Decimal("0.12"), Decimal("0.30"), Decimal("0.38"))
VILLAGE = "1-LV-rural1--2-sw"


@pytest.fixture(scope="module")
def plans() -> list[WhatIf]:
    return [what_if(load(VILLAGE), SAMPLE_DAY, PRICES, seed) for seed in (1, 2)]


def test_the_bars_are_the_demand_of_the_periods(plans: list[WhatIf]) -> None:
    bars, _ = tariff_picture.draw(plans[:1], PRICES, "").axes
    heights = [[bar.get_height() for bar in group] for group in bars.containers]
    (one,) = plans[:1]
    for drawn, demand in zip(heights, (one.before, one.together.demand, one.random.demand), strict=True):
        assert drawn == pytest.approx([wh / 1000 for wh in demand.periods])
    assert bars.get_ylabel() == "demand (kWh in the period)"
    assert [label.get_text() for label in bars.get_xticklabels()] == [
        "0-8 h\nprice 0.12",
        "8-16 h\nprice 0.30",
        "16-24 h\nprice 0.38",
    ]


def test_the_lines_are_the_load_and_the_legend_has_the_peaks(plans: list[WhatIf]) -> None:
    _, axes = tariff_picture.draw(plans[:1], PRICES, "").axes
    lines = {line.get_label(): line for line in axes.get_lines() if ":" in str(line.get_label())}
    assert {label.partition(":")[0] for label in lines} == {"before", "all at once", "at random"}
    at_once = next(line for label, line in lines.items() if label.startswith("all at once"))
    assert [*at_once.get_ydata()[:96]] == pytest.approx([watts / 1000 for watts in plans[0].together.demand.watts])
    assert "all at once: 108.8 kW at 00:00" in lines


def test_several_plans_are_their_mean(plans: list[WhatIf]) -> None:
    bars, _ = tariff_picture.draw(plans, PRICES, "").axes
    before = next(one for one in bars.containers if isinstance(one, BarContainer))
    mean = [sum(plan.before.periods[p] for plan in plans) / 2000 for p in range(3)]
    assert [bar.get_height() for bar in before] == pytest.approx(mean)


def test_the_picture_by_its_name_says_what_was_planned_and_is_the_same_each_time(tmp_path: Path) -> None:
    files = [tmp_path / "once.png", tmp_path / "again.png"]
    for file in files:
        figure = PICTURES["tariff"].draw(Scale(20, 2, seed=7))
        drawing.save(figure, file)
        assert figure.get_supxlabel() == (
            "1-MVLV-rural-all-2-sw, 2016-01-20; 20 meters, 30 appliances; seeds 7 to 8: mean, least and most"
        )
    assert files[0].read_bytes() == files[1].read_bytes()
    assert imread(files[0])[..., :3].std() > 0.05


def test_the_verb_draws_its_own_tariff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.svg"
    assert call(["what-if", "--grid", VILLAGE, "--prices", "0.4,0.1,0.3", "--plot", str(file)]) == 0
    assert file.read_text().startswith("<?xml")
    assert "cost" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["mine.txt", "nowhere/mine.png"])
def test_what_is_no_place_for_a_picture_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["what-if", "--grid", VILLAGE, "--prices", "1,2,3", "--plot", str(tmp_path / name)]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert [*tmp_path.iterdir()] == []
