"""Push, infect and die, hop by hop: who is reached first sends to `fanout` others, once.

Knows the variant that sends payloads at once. Refuses to know repair: what is missed here, digests bring later.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gossip_ws.lab.draws import distinct
from gossip_ws.lab.trial import Outcomes, Trial

_TARGETS: Final = 2**17
"""Drawn at a time: a megabyte of them, which the cache holds."""

Cells = NDArray[np.int64]
"""Devices of several repetitions: `repetition * nodes + device`."""


def draw(trial: Trial, repeat: int, rng: np.random.Generator) -> Outcomes:
    """`repeat` repetitions of an eager push. Exact in distribution for the model of `Trial`."""
    n, live, fanout = trial.nodes, trial.live, trial.fanout
    # Who is off is marked from the start: such a one swallows what it is sent, and is never new.
    has = np.zeros((repeat, n), np.bool_)
    has[:, 0] = True
    has[:, live:] = True
    reached = np.ones(repeat, np.int64)
    rounds = np.zeros(repeat, np.int64)
    envelopes = np.zeros(repeat, np.int64)
    # The senders of this hop, and how many of them each repetition has.
    senders: Cells = np.arange(repeat, dtype=np.int64) * n
    sending = np.ones(repeat, np.int64)
    for hop in range(1, trial.rounds + 1):
        if not fanout or not len(senders):
            break
        envelopes += fanout * sending
        before = has.copy()
        _tell(rng, trial, has.reshape(-1), senders, np.repeat(np.arange(repeat) * n, sending))
        fresh = has != before
        sending = np.count_nonzero(fresh, axis=1)
        senders = np.flatnonzero(fresh)
        reached += sending
        rounds[sending > 0] = hop
    return Outcomes(np.full(repeat, live, np.int64), reached, rounds, envelopes, envelopes.copy())


def _tell(rng: np.random.Generator, trial: Trial, has: NDArray[np.bool_], senders: Cells, first: Cells) -> None:
    """Every sender sends to its targets; `first` is the first cell of each one's repetition."""
    step = max(1, _TARGETS // trial.fanout)
    for start in range(0, len(senders), step):
        base = first[start : start + step]
        own = (senders[start : start + step] - base).astype(np.int32)
        targets = distinct(rng, trial.nodes, own, trial.fanout) + base
        has[targets[rng.random(targets.shape) >= trial.loss] if trial.loss else targets] = True
        # Nobody is left to be reached: the rest of the senders send for nothing.
        if has.all():
            return
