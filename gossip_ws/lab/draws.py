"""Whom devices send to: distinct others, uniform over all of them, for many senders at once.

Knows numbers from 0 to n - 1 and chance; nothing of messages or of who is off.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gossip_ws.kernel.errors import LocalError

Numbers = NDArray[np.int32]
Cells = NDArray[np.int64]
"""Devices of several repetitions: `repetition * n + device`."""

MOST_REPEAT: Final = 10_000_000
CELLS: Final = 2**21
"""Devices of all repetitions that are drawn together: what they know, an octet each, then stays in the cache."""
_WIDE: Final = 256
"""Targets of one sender above which a loop over the senders is quicker than comparing each pair of targets."""
_AT_ONCE: Final = 2**17
"""Targets: a megabyte of them, which the cache holds."""


def generator(repeat: int, seed: int) -> np.random.Generator:
    """The chance that `repeat` repetitions are drawn with. Raises LocalError for numbers out of bounds."""
    if not 1 <= repeat <= MOST_REPEAT:
        raise LocalError(f"1 to {MOST_REPEAT} repetitions, not {repeat}")
    if seed < 0:
        raise LocalError(f"a seed is not negative: {seed}")
    return np.random.default_rng(seed)


def lots(senders: Cells, each: float) -> Iterator[Cells]:
    """The senders in order, so many at a time that the cache holds their messages, `each` in the mean."""
    step = int(_AT_ONCE / max(1.0, each))
    for start in range(0, len(senders), step):
        yield senders[start : start + step]


def hits(rng: np.random.Generator, n: int, senders: Cells, fanout: int, loss: float) -> Cells:
    """The cells where a message arrives when each of `senders` sends to `fanout` distinct others of its repetition.

    Each message is lost with probability `loss`. So a binomial number of a sender's messages arrives, and as any set of
    targets is as likely, so is any set of that many where they do: what is lost need not be drawn.
    """
    if not loss:
        return _targets(rng, n, senders, fanout).reshape(-1)
    arriving = rng.binomial(fanout, 1 - loss, len(senders))
    found = [_targets(rng, n, senders[arriving == some], int(some)).reshape(-1) for some in np.unique(arriving)]
    return np.concatenate(found)


def _targets(rng: np.random.Generator, n: int, senders: Cells, fanout: int) -> Cells:
    """Of each sender in its own repetition: shape (fanout, senders)."""
    own = senders % n
    return distinct(rng, n, own.astype(np.int32), fanout) + (senders - own)


def distinct(rng: np.random.Generator, n: int, senders: Numbers, fanout: int) -> Numbers:
    """`fanout` targets of each sender among the n - 1 others: shape (fanout, senders), no two in a column alike.

    senders: numbers below n, n >= 2. 0 <= fanout < n. Every set of `fanout` others is equally likely, exactly, by
    Floyd's method (Bentley and Floyd, 1987): with j drawn, one more is drawn among the first N - fanout + j + 1 of N;
    if it is there already, the last of those, which cannot be, is taken. The order of a column's targets is not
    uniform, which no one sees as long as all of them are treated alike.
    """
    others = n - 1
    drawn = np.empty((fanout, len(senders)), np.int32)
    if fanout > _WIDE:
        for column in range(len(senders)):
            drawn[:, column] = rng.choice(others, fanout, replace=False, shuffle=False)
    else:
        for j in range(fanout):
            last = others - fanout + j
            row = rng.integers(0, last, size=len(senders), dtype=np.int32, endpoint=True)
            if j:
                row[(drawn[:j] == row).any(axis=0)] = last
            drawn[j] = row
    # Drawn from 0 to n - 2: a sender's own number stands for n - 1, which is otherwise left out. That is one to one
    # between what is drawn and the others.
    drawn[drawn == senders] = others
    return drawn


def arrived(rng: np.random.Generator, loss: float, sent: Cells) -> Cells:
    """What is left of messages to these cells, or from them, each lost with probability `loss`; flat."""
    return sent[rng.random(sent.shape) >= loss] if loss else sent.reshape(-1)
