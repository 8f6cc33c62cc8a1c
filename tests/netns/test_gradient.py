"""Sixteen substations in two halves, joined by a link that is too narrow for what they say to one another."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import pytest
from halves import BUSY, RATE, SETTLING, Halves

from gossip_ws.core.config import PeerSelection

pytestmark = pytest.mark.netns


@pytest.fixture
def halves(permitted: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Halves]:
    made = Halves(tmp_path_factory.mktemp("halves"), 8, PeerSelection.GRADIENT)
    try:
        made.open()
        yield made
    finally:
        made.close()


def test_fewer_copies_cross_a_congested_link_and_everybody_is_reached(halves: Halves) -> None:
    """Free, a device draws 9 of 15, of whom 8 are in the other half: 4.8 of its copies cross. Congested, only those to
    the two beside it and the one by chance go there whatever it costs, 8 of 15 of the three: 1.6."""
    # By then each knows all others, which the fanout follows.
    halves.stream(SETTLING)
    free = halves.stream(8)
    halves.limit(RATE, BUSY)
    halves.stream(SETTLING)
    congested = halves.stream(8)
    assert congested.crossed < 0.6 * free.crossed
    assert congested.crossed > 0.2 * free.crossed, "the other half is not shunned"
    assert congested.last[4] < inf
