"""Pull: in each round every device sends the digest of what it holds to one other, and both gain (anti-entropy).

All at the same moment, as `theory.anti_entropy` has it. Refuses to know the core's clock: there, devices ask at
moments of their own, a period apart in the mean.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

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
    crowd = Crowd(trial, repeat)
    for period in range(1, trial.rounds + 1):
        going = np.flatnonzero(crowd.reached < crowd.live)
        if not len(going):
            break
        before = crowd.has.copy()
        crowd.envelopes[going] += crowd.live
        step = max(1, _AT_ONCE // len(going))
        for start in range(0, crowd.live, step):
            callers = np.arange(start, min(start + step, crowd.live), dtype=np.int32)
            _exchange(trial, rng, crowd, before, going[:, np.newaxis] * crowd.nodes, callers)
        crowd.newcomers(before, period)
    return crowd.outcomes()


def _exchange(
    trial: Trial, rng: np.random.Generator, crowd: Crowd, before: NDArray[np.bool_], first: Cells, callers: Numbers
) -> None:
    """These devices call one other each, in the repetitions that begin with the cells `first`: a column."""
    partners = rng.integers(0, crowd.nodes - 1, size=(len(first), len(callers)), dtype=np.int32)
    # One's own number stands for the last device, which is otherwise left out.
    partners[partners == callers] = crowd.nodes - 1
    here, there = first + callers, first + partners
    holds, partner_holds = before.reshape(-1)[here], before.reshape(-1)[there]
    # One who is off is marked as one who holds it: it has nothing to fetch, nor does it give.
    gets = arrived(rng, trial.loss, here[~holds & partner_holds & (partners < crowd.live)])
    if trial.variant is Variant.EAGER_PULL:
        give(crowd, rng, trial.loss, gets)
    else:
        crowd.envelopes += crowd.of_each(gets)
        told = arrived(rng, trial.loss, gets)
        fetch_again(crowd, rng, trial.loss, told, tries(np.ones(len(told), np.int32)))
    fetch(crowd, rng, trial.loss, arrived(rng, trial.loss, there[holds & ~partner_holds]))
