"""Pull: in each round every device sends the digest of what it holds to one other, and both gain (anti-entropy).

All at the same moment, as `theory.anti_entropy` has it. Refuses to know the core's clock: there, devices ask at
moments of their own, a period apart in the mean.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gossip_ws.kernel.terms import Variant
from gossip_ws.lab.crowd import Crowd
from gossip_ws.lab.draws import Cells, Numbers, arrived
from gossip_ws.lab.fetch import fetch, fetch_again, give, tries
from gossip_ws.lab.trial import Outcomes, Trial

_AT_ONCE: Final = 2**18
"""Callers."""


def draw(trial: Trial, repeat: int, rng: np.random.Generator) -> Outcomes:
    """`rounds` are periods; a repetition ends, and costs nothing more, when all who are on have the message.

    The asked sends the payload to an asker that lacks it (eager pull), or its id, on which the asker fetches up to
    three times (lazy pull); and it fetches, once, what the asker holds and it lacks. The fanout is not used.
    """
    crowd, loss = Crowd(trial, repeat), trial.loss
    for period in range(1, trial.rounds + 1):
        going = np.flatnonzero(crowd.reached < crowd.live)
        if not len(going):
            break
        before = crowd.has.copy()
        crowd.envelopes[going] += crowd.live
        step = max(1, _AT_ONCE // len(going))
        calls = [
            _call(trial, rng, crowd, going[:, np.newaxis] * crowd.nodes, callers)
            for callers in np.split(np.arange(crowd.live, dtype=np.int32), range(step, crowd.live, step))
        ]
        asking = np.concatenate([asking for asking, _ in calls])
        asked = np.concatenate([asked for _, asked in calls])
        if trial.variant is Variant.EAGER_PULL:
            give(crowd, rng, loss, asking)
            fetch(crowd, rng, loss, asked)
        else:
            crowd.envelopes += crowd.of_each(asking)
            told = arrived(rng, loss, asking)
            fetch(crowd, rng, loss, told)
            fetch(crowd, rng, loss, asked)
            # Time for the second try comes when all else has arrived.
            lacking = told[~crowd.cells[told]]
            fetch_again(crowd, rng, loss, lacking, tries(np.ones(len(lacking), np.int32)) - 1)
        crowd.newcomers(before, period)
    return crowd.outcomes()


def _call(trial: Trial, rng: np.random.Generator, crowd: Crowd, first: Cells, callers: Numbers) -> tuple[Cells, Cells]:
    """These devices call one other each, in the repetitions that begin with the cells `first`: a column.

    Who lacks the message and has reached one that has it; and who lacks it and was reached by one that has it, as often
    as it was.
    """
    partners = rng.integers(0, crowd.nodes - 1, size=(len(first), len(callers)), dtype=np.int32)
    # One's own number stands for the last device, which is otherwise left out.
    partners[partners == callers] = crowd.nodes - 1
    here, there = first + callers, first + partners
    holds, partner_holds = crowd.cells[here], crowd.cells[there]
    # One who is off is marked as one who holds it: it has nothing to fetch, nor does it give.
    asking = here[~holds & partner_holds & (partners < crowd.live)]
    return arrived(rng, trial.loss, asking), arrived(rng, trial.loss, there[holds & ~partner_holds])
