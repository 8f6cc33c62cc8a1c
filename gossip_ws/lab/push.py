"""Push, infect and die, hop by hop: who is reached first sends to `fanout` others, once.

Payloads at once (eager push), or payloads and a question for news to one device more (push-pull). Refuses to know the
periodic repair: what is missed here, digests bring later.
"""

from __future__ import annotations

import numpy as np

from gossip_ws.kernel.terms import Variant
from gossip_ws.lab.crowd import Crowd
from gossip_ws.lab.draws import hits, lots
from gossip_ws.lab.fetch import fetch
from gossip_ws.lab.trial import Outcomes, Trial


def draw(trial: Trial, repeat: int, rng: np.random.Generator) -> Outcomes:
    """Exact in distribution for what `Trial` says; `rounds` are hops.

    Push-pull is what the core does: each newcomer, and the origin, also sends the digest of what it holds to one other
    at once, who fetches what it lacks. It is one more way out of each device, of three messages, and goes on when the
    hops are spent.
    """
    n, loss = trial.nodes, trial.loss
    crowd = Crowd(trial, repeat)
    asks = trial.variant is Variant.PUSH_PULL and n > 1
    senders = np.arange(repeat, dtype=np.int64) * n
    hop = 0
    while len(senders):
        hop += 1
        before = crowd.has.copy()
        if hop <= trial.rounds and trial.fanout:
            sent = trial.fanout * crowd.of_each(senders)
            crowd.envelopes += sent
            crowd.payloads += sent
            for some in lots(senders, trial.fanout * (1 - loss)):
                # Where nobody is left to be reached, the rest of the senders send for nothing.
                if not crowd.is_complete(some):
                    crowd.cells[hits(rng, n, some, trial.fanout, loss)] = True
        if asks:
            crowd.envelopes += crowd.of_each(senders)
            for some in lots(senders, 1):
                asked = hits(rng, n, some, 1, loss)
                fetch(crowd, rng, loss, asked[~before.reshape(-1)[asked]])
        senders = crowd.newcomers(before, hop)
    return crowd.outcomes()
