"""The figures of the routing papers: drawn from runs, and what is on them is what was run."""

from __future__ import annotations

import pytest

from gossip_ws.lab import drawing
from gossip_ws.lab.pictures import PICTURES, Scale
from gossip_ws.lab.routing_pictures import ROUTING


def test_a_picture_says_what_was_run_and_is_the_same_each_time(tmp_path):
    told = []
    for number in range(2):
        figure = PICTURES["route-dual"].draw(Scale(10, 1, seed=3))
        assert "1 repetitions, seed 3" in figure.get_supxlabel()
        path = tmp_path / f"{number}.png"
        drawing.save(figure, path)
        told.append(path.read_bytes())
    assert told[0] == told[1]


def test_the_printed_rule_ends_far_above_what_works():
    for axes in PICTURES["route-steps"].draw(Scale(10, 1)).axes:
        step_1, step_001, adaptive = (line.get_ydata()[-1] for line in axes.get_lines())
        assert step_1 > 1e3 * adaptive
        assert step_001 > 1.05 * adaptive


def test_every_picture_is_offered():
    assert ROUTING.keys() <= PICTURES.keys()


def test_adaptive_peers_end_below_what_the_paper_reports_for_its_partial_mesh():
    mesh, ring, bus = PICTURES["route-topologies"].draw(Scale(10, 2)).axes
    for axes, least in ((mesh, 7.6853), (ring, 8.6559), (bus, 13.4582)):
        for line in axes.get_lines()[:-1]:
            assert line.get_ydata()[-1] == pytest.approx(least, rel=2e-3)


def test_the_ring_costs_the_most_bandwidth_and_the_least_delay():
    costs, delays = PICTURES["route-dual-topologies"].draw(Scale(10, 1)).axes
    mesh, _, ring = (bar.get_height() for bar in costs.patches)
    assert (mesh, ring) == pytest.approx((250.0, 375.0), rel=0.01)
    mesh, partial, ring = (bar.get_height() for bar in delays.patches)
    assert ring < mesh
    assert partial > 0
