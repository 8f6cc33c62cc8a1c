"""The picture of gossip over links that congest: what is on it is what was run."""

from __future__ import annotations

from gossip_ws.lab import drawing
from gossip_ws.lab.congestion import Place
from gossip_ws.lab.pictures import PICTURES, Scale


def test_by_price_less_crosses_and_is_there_sooner_where_links_are_congested(tmp_path):
    figure = PICTURES["gradient-choice"].draw(Scale(12, 1, seed=3))
    caption = figure.get_supxlabel()
    for told in ("12 devices", "loss 0 %", "1 repetitions", "seed 3"):
        assert told in caption
    times, crossed = figure.axes
    by_chance, by_price = (bars.patches for bars in crossed.containers)
    assert len(by_chance) == len(by_price) == 2 * len(Place)
    for chance, price in zip(by_chance, by_price, strict=True):
        assert price.get_height() < chance.get_height()
    by_chance, by_price = (dots[0].get_ydata() for dots in times.containers)
    for congested in (1, 3):
        assert by_price[congested] < by_chance[congested] / 2
    path = tmp_path / "picture.png"
    drawing.save(figure, path)
    assert path.stat().st_size > 10_000
