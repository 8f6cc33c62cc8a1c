"""Who knows of a message and lacks it asks for it: a request and the payload, each of which may be lost.

Knows nothing of how a device came to know of the message.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossip_ws.core.repair import ADVERTISERS
from gossip_ws.lab.crowd import Crowd
from gossip_ws.lab.draws import Cells, arrived


def tries(holders: NDArray[np.int32]) -> NDArray[np.int8]:
    """Fetches that the core sends at most for a message that so many said they have: one at once, and two for each of
    the first `ADVERTISERS`, in turn."""
    return np.where(holders > 0, 1 + 2 * np.minimum(holders, ADVERTISERS), 0).astype(np.int8)


def give(crowd: Crowd, rng: np.random.Generator, loss: float, cells: Cells) -> None:
    """A payload to each of `cells`, which has the message if it arrives. A cell may be there several times."""
    sent = crowd.of_each(cells)
    crowd.envelopes += sent
    crowd.payloads += sent
    crowd.cells[arrived(rng, loss, cells)] = True


def fetch(crowd: Crowd, rng: np.random.Generator, loss: float, cells: Cells) -> None:
    """Each of `cells` asks once, and is given the payload if that arrives. A cell that is there several times asks
    several others."""
    crowd.envelopes += crowd.of_each(cells)
    give(crowd, rng, loss, arrived(rng, loss, cells))


def fetch_again(crowd: Crowd, rng: np.random.Generator, loss: float, cells: Cells, left: NDArray[np.int8]) -> None:
    """As `fetch`, each of `cells`, all different, up to `left` times until it has the message."""
    while len(cells):
        fetch(crowd, rng, loss, cells)
        again = ~crowd.cells[cells] & (left > 1)
        cells, left = cells[again], left[again] - 1
