"""Lazy push: who is reached sends the message's id to `fanout` others, who fetch what they lack.

As the core's `repair` fetches, without its clock: a fetch that fails is repeated within the hop. Refuses to know the
periodic digests.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gossip_ws.core.repair import ADVERTISERS
from gossip_ws.lab.crowd import Crowd
from gossip_ws.lab.draws import arrived, targets
from gossip_ws.lab.fetch import fetch_again
from gossip_ws.lab.trial import Outcomes, Trial

TRIES: Final = 2
"""Fetches that the core sends for each device that it knows to have a message, beside the first one at once."""


def draw(trial: Trial, repeat: int, rng: np.random.Generator) -> Outcomes:
    """`rounds` are hops. An advert, a fetch and a payload may each be lost.

    A device remembers the first `ADVERTISERS` that told it, and fetches 1 + 2 H times from the H that it remembers:
    the core's, which waits a quarter of a second and more between them, while further adverts come in. So late a
    payload counts in the hop in which it was told of; in truth that device, and who is reached by it, is later.
    """
    n = trial.nodes
    crowd = Crowd(trial, repeat)
    told = np.zeros(crowd.cells.shape, np.int32)
    tried = np.zeros(crowd.cells.shape, np.int8)
    senders = np.arange(repeat, dtype=np.int64) * n
    for hop in range(1, trial.rounds + 1):
        if not len(senders) or not trial.fanout:
            break
        before = crowd.has.copy()
        crowd.envelopes += trial.fanout * crowd.of_each(senders)
        for some in targets(rng, n, senders, trial.fanout):
            heard = arrived(rng, trial.loss, some)
            np.add.at(told, heard[~crowd.cells[heard]], 1)
        tries = np.where(told > 0, 1 + TRIES * np.minimum(told, ADVERTISERS), 0).astype(np.int8)
        asking = np.flatnonzero(~crowd.cells & (tries > tried))
        fetch_again(crowd, rng, trial.loss, asking, (tries - tried)[asking].astype(np.int64))
        tried = tries
        senders = crowd.newcomers(before, hop)
    return crowd.outcomes()
