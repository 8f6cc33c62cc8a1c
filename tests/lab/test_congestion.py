"""Messages over links that congest, with peers chosen by chance alone and by price."""

from __future__ import annotations

from math import isfinite

import pytest

from gossip_ws.core.config import PeerSelection
from gossip_ws.kernel.errors import LocalError
from gossip_ws.lab.congestion import Place, Spread, Town, spread

AREAS = Town(devices=30, fanout=10, place=Place.BETWEEN, share=0.4, busy=0.7, before=40, messages=15)


@pytest.fixture(scope="module")
def both() -> dict[PeerSelection, Spread]:
    return {selection: spread(AREAS, selection, seed=1) for selection in PeerSelection}


def test_fewer_copies_cross_a_congested_link_and_nobody_is_left_out(both: dict[PeerSelection, Spread]) -> None:
    """By chance 0.4 of the copies from one side and 0.6 of those from the other cross. With the floor of 4 / 10 on the
    others it is 0.21 and 0.375 at the most: somewhat more than half as many."""
    uniform, gradient = both[PeerSelection.UNIFORM], both[PeerSelection.GRADIENT]
    assert gradient.crossed < 0.75 * uniform.crossed
    assert gradient.crossed > 0.3 * uniform.crossed, "the floor keeps the ways in use"
    assert 2 * gradient.dropped < uniform.dropped
    for one in (uniform, gradient):
        assert [len(times) for times in one.times] == [29] * 15
        assert all(map(isfinite, one.each))


def test_messages_are_there_sooner(both: dict[PeerSelection, Spread]) -> None:
    """In simulated time: half of all messages reach everybody in less than half of it."""
    uniform, gradient = (both[selection].last for selection in PeerSelection)
    assert gradient[7] < uniform[7] / 2


def test_one_seed_is_one_run() -> None:
    town = Town(devices=12, fanout=6, share=0.25, busy=0.5, before=5, messages=5)
    assert spread(town, PeerSelection.GRADIENT, 3) == spread(town, PeerSelection.GRADIENT, 3)
    assert spread(town, PeerSelection.GRADIENT, 3) != spread(town, PeerSelection.GRADIENT, 4)


def test_a_town_is_possible() -> None:
    with pytest.raises(LocalError, match="a town has"):
        Town(share=1.0)
    assert Town(devices=3, share=0.01).behind == 1
