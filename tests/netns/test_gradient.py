"""Ten substations in two halves, and a link between that is too narrow for what they say to one another by chance."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import pytest
from halves import BUSY, Halves

from gossip_ws.core.config import PeerSelection

pytestmark = pytest.mark.netns

EACH = 5
KBIT = 750
PAUSE = 0.5
TURN = 5
"""Messages while each measures all of its ways once."""
CHANCE = 2 * EACH * (EACH - 1)
"""Copies that cross at least, a message, when all is passed on to all but for the one who it came from."""


@pytest.fixture
def halves(permitted: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Halves]:
    # Nine others are measured in a turn; that all come to know one another is seen to when news is asked for.
    period = PAUSE * TURN / (2 * EACH - 1)
    folder = tmp_path_factory.mktemp("halves")
    made = Halves(folder, EACH, PeerSelection.GRADIENT, price_period=period, pull_period=2, peers_max_age=1)
    try:
        made.open()
        yield made
    finally:
        made.close()


def test_fewer_copies_cross_a_congested_link_and_everybody_is_reached(halves: Halves) -> None:
    """The fanout of ten is nine. While the link is free nothing is dear, and all goes to all, as by chance alone
    however full it is. Congested, a device sends to the four of its half; of the two beside it and the one by chance
    1.7 are in the other."""
    free = halves.stream(8, PAUSE)
    halves.limit(KBIT, BUSY)
    halves.stream(3 * TURN, PAUSE)
    congested = halves.stream(8, PAUSE)
    assert free.crossed > 0.9 * CHANCE, "else there was nothing to spare"
    assert congested.crossed < 0.65 * CHANCE
    assert congested.crossed > 0.2 * CHANCE, "the other half is not shunned"
    assert free.last[-1] < inf
    assert congested.last[-1] < inf
