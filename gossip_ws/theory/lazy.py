"""Whom a lazy push reaches: ids are pushed, and who lacks the content fetches it.

An advert, a fetch and a payload may each be lost. A device fetches again as long as it has whom to ask: with k adverts
heard it fetches 1 + 2 k times at most, k no more than `ADVERTISERS` (the core's `repair`). With S other devices that
each send f adverts, a given device hears K of them, binomial (S, f(1-e)/(n-1)), and lacks the content in the end with
probability

    x = P(K = 0) + sum over k > 0 of P(K = k) g^(1 + 2 min(k, ADVERTISERS)),  g = 1 - (1-e)^2,

and everyone has it with (1 - P(dies early)) exp(-(m - 1) x), as `reach` has it for a push. When it dies is decided by
devices that hear one advert each: one is lost on the way with probability 1 - (1-e)(1 - g^3).

Knows nothing of the waits between fetches.
"""

from __future__ import annotations

from math import exp
from typing import Final

from gossip_ws.theory.draws import binomial
from gossip_ws.theory.reach import Push, Reach, dies_early

ADVERTISERS: Final = 4
"""Devices that one remembers to have a message."""
TRIES: Final = 2
"""Fetches for each of them, beside the first."""


def lost_once(loss: float) -> float:
    """The probability that the one advert that is sent to a device comes to nothing."""
    return 1 - (1 - loss) * (1 - _fetch_fails(loss) ** (1 + TRIES))


def reach_lazily(n: int, gone: int, fanout: int, loss: float) -> Reach:
    """Of n devices, `gone` of them off; with as many rounds as it takes. Raises LocalError as `Push`."""
    push = Push(n, gone, fanout, lost_once(loss))
    others = push.live - 1
    if others == 0:
        return Reach(1.0, 1.0)
    fails = _fetch_fails(loss)
    lacking = sum(
        likely * (fails ** (1 + TRIES * min(heard, ADVERTISERS)) if heard else 1.0)
        for heard, likely in binomial(others, fanout * (1 - loss) / (n - 1))
    )
    spreads = 1 - dies_early(push)
    return Reach(spreads * exp(-others * lacking), spreads * (1 - lacking))


def limit(live: int, loss: float) -> float:
    """What no fanout exceeds: everyone has heard of it from as many as it remembers, and fetches in vain."""
    return exp(-(live - 1) * _fetch_fails(loss) ** (1 + TRIES * ADVERTISERS))


def _fetch_fails(loss: float) -> float:
    return 1 - (1 - loss) ** 2
