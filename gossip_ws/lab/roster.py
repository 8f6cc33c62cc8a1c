"""How a parent serves its roster: a message to each child, again and again until there is a receipt.

The core's `push`, with its own numbers. Knows nothing of what children do among themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gossip_ws.core.config import NodeConfig
from gossip_ws.lab.draws import arrived

Seconds = NDArray[np.float64]

_DEFAULT: Final[dict[str, Any]] = {field.name: field.default for field in fields(NodeConfig)}
RETRIES: Final[int] = _DEFAULT["retries"]


def attempts() -> tuple[float, ...]:
    """When a parent sends to a child that gives no receipt, in seconds from the first time: `RETRIES` times more."""
    when = [0.0, _DEFAULT["retry_first"]]
    for attempt in range(1, RETRIES):
        when.append(when[-1] + min(_DEFAULT["retry_first"] * 2.0**attempt, _DEFAULT["retry_longest"]))
    return tuple(when)


@dataclass(frozen=True, slots=True)
class Service:
    """What comes of it, by child: seconds until the message is there, infinite if it never is; copies that the parent
    sent; receipts that the child sent."""

    seconds: Seconds
    copies: NDArray[np.int64]
    receipts: NDArray[np.int64]


def serve(rng: np.random.Generator, loss: float, delay: float, on: NDArray[np.bool_]) -> Service:
    """Children of parents that have the message; `on`: which of them are. delay: of a datagram, one way, in seconds.

    A copy or a receipt is lost with probability `loss`. The parent sends again whenever no receipt is there by then,
    even if one is on its way. Who has the message gives a receipt for each copy. Nobody leaves a roster meanwhile.
    """
    seconds = np.full(len(on), np.inf)
    receipt_at = np.full(len(on), np.inf)
    copies = np.zeros(len(on), np.int64)
    receipts = np.zeros(len(on), np.int64)
    for when in attempts():
        due = np.flatnonzero(receipt_at > when)
        copies[due] += 1
        here = arrived(rng, loss, due[on[due]])
        seconds[here] = np.minimum(seconds[here], when + delay)
        receipts[here] += 1
        back = arrived(rng, loss, here)
        receipt_at[back] = np.minimum(receipt_at[back], when + 2 * delay)
    return Service(seconds, copies, receipts)
