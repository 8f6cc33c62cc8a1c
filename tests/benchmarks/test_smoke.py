"""Each benchmark does its work at a tiny size. No time is asserted: `make bench` compares ratios."""

from __future__ import annotations

import asyncio
import gc
import json

from tests.benchmarks import core, hop, population, process, repair, swarm
from tests.benchmarks.figures import compared, limited, table


def test_a_hop_is_measured_unsigned_and_signed():
    figures = hop.measure(rounds=2, messages=6)
    assert [figure.name for figure in figures] == [
        "forward hop, unsigned",
        "duplicate, unsigned",
        "forward hop, signed",
        "duplicate, signed",
    ]
    assert all(figure.ratio is not None for figure in figures)


def test_a_storm_of_frames_is_measured():
    compared_, quickest = core.measure(30, pushes=2)
    assert compared_.ratio is not None
    assert 0 < quickest.value <= compared_.value


def test_a_swarm_is_reached_and_pulled_exactly():
    figures = asyncio.run(swarm.measure(20, rounds=1, pulls=1))
    gc.collect()
    assert sum(figure.ratio is not None for figure in figures) == 12
    assert [figure.unit for figure in figures[-2:]] == ["s", "s"]


def test_a_meter_is_started_asked_and_measured():
    alone, pair, ready = process.measure(starts=1)
    assert 0 < alone.value < pair.value
    assert ready.unit == "s"


def test_a_population_is_simulated_by_us_and_without_care():
    both, memory, more, long = population.measure(2_000, 20_000, rounds=1)
    assert both.ratio is not None
    assert 10 < memory.value < population.MEMORY
    assert {memory.note[:2], more.note[:2]} <= {"99", "10"}, "of a hundred"
    assert long.unit == "s"


def test_repair_reaches_everybody_and_sums_are_over_whom_they_name():
    found = repair.spread(1, n=60)
    assert found.everybody
    assert found.by_push <= 1 < found.payloads
    assert repair.sums(1, substations=2, meters=3).wrong == 0
    assert [repair.quantile([1.0, 2.0, 3.0, 4.0], share) for share in (0.01, 0.5, 0.99)] == [1.0, 2.0, 4.0]


def test_figures_say_whether_their_bar_is_met():
    met = compared("a", [(1.0, 1.0), (3.0, 2.0), (4.0, 1.0)], scale=1e3, unit="ms", most=1.5)
    missed = limited("b", 4.0, "s", 3.0)
    assert (met.met, missed.met) == (True, False)
    assert met.ratio is not None
    assert (met.ratio.median, met.ratio.least, met.ratio.most) == (1.5, 1.0, 4.0)
    assert "1.50 (1.00 .. 4.00)" in table([met, missed])
    assert "MISSED" in table([met, missed])
    assert json.loads(json.dumps(missed.as_json()))["bar"] == "< 3 s"
