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
    """Free, a device draws 9 of 15, of whom 8 are in the other half: 4.8 of its copies cross. Congested, these weigh
    4 / 9: of 8 some 3.6 are taken beside the 7 of its own half, and the first 9 of those are sent, so that 3 cross."""
    # By then each knows all others, which the fanout follows.
    halves.stream(SETTLING)
    free, _ = halves.stream(8)
    halves.limit(RATE, BUSY)
    halves.stream(SETTLING)
    congested, last = halves.stream(8)
    assert congested < 0.85 * free
    assert congested > 0.3 * free, "the other half is not shunned"
    assert last[len(last) // 2] < inf
