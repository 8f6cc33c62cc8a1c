"""The population engine: what becomes of a message among many devices, drawn with NumPy for all of them at once.

Devices are numbers, a hop is a round for all of them. It knows the variants as the core carries them out, and nothing
of addresses, envelopes' contents, clocks, membership or files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Variant
from gossip_ws.lab import adverts, digests, push
from gossip_ws.lab.draws import CELLS, generator
from gossip_ws.lab.trial import Outcomes, Trial

Draw = Callable[[Trial, int, np.random.Generator], Outcomes]
"""Some repetitions of a trial."""

_DRAWS: Final[dict[Variant, Draw]] = {
    Variant.EAGER_PUSH: push.draw,
    Variant.LAZY_PUSH: adverts.draw,
    Variant.EAGER_PULL: digests.draw,
    Variant.LAZY_PULL: digests.draw,
    Variant.PUSH_PULL: push.draw,
}


def run(trial: Trial, repeat: int, seed: int, progress: Callable[[int], None] | None = None) -> Outcomes:
    """`repeat` independent repetitions of `trial`; the same for the same arguments.

    progress: told how many repetitions are done, now and then. Memory is some 30 octets a device of one repetition,
    however many there are. Raises LocalError for a variant that it does not have, or numbers out of bounds.
    """
    draw = _DRAWS.get(trial.variant)
    if draw is None:
        raise LocalError(
            f"the population engine has no {trial.variant}, whose tree is made by earlier messages: the real core has "
            f"(--engine core); here there are {', '.join(_DRAWS)}"
        )
    rng = generator(repeat, seed)
    most = max(1, CELLS // trial.nodes)
    parts: list[Outcomes] = []
    for done in range(0, repeat, most):
        some = min(most, repeat - done)
        parts.append(draw(trial, some, rng))
        if progress is not None:
            progress(done + some)
    return Outcomes.joined(parts)
