"""Lazy push: who is reached sends the message's id to `fanout` others, who fetch what they lack.

As the core's `repair` fetches, without its clock: a fetch that fails is repeated within the hop. Refuses to know the
periodic digests.
"""

from __future__ import annotations

import numpy as np

from gossip_ws.lab.crowd import Crowd
from gossip_ws.lab.draws import hits, lots
from gossip_ws.lab.fetch import fetch_again, tries
from gossip_ws.lab.trial import Outcomes, Trial


def draw(trial: Trial, repeat: int, rng: np.random.Generator) -> Outcomes:
    """`rounds` are hops. An advert, a fetch and a payload may each be lost.

    A device fetches as often as `fetch.tries` allows for those that have told it so far. The core waits a quarter of a
    second and more between two fetches, while further adverts come in; here they are all within the hop. So a payload
    that comes late counts as if it were not; in truth that device, and who is reached by it, is later.
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
        for some in lots(senders, trial.fanout * (1 - trial.loss)):
            heard = hits(rng, n, some, trial.fanout, trial.loss)
            np.add.at(told, heard[~crowd.cells[heard]], 1)
        most = tries(told)
        asking = np.flatnonzero(~crowd.cells & (most > tried))
        fetch_again(crowd, rng, trial.loss, asking, (most - tried)[asking])
        tried = most
        senders = crowd.newcomers(before, hop)
    return crowd.outcomes()
