"""When the copies of a datagram are sent (SOAP-over-UDP 1.1 appendix A). Knows no message and no socket."""

from __future__ import annotations

from itertools import accumulate
from typing import Final

from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.errors import LocalError

UNICAST_UDP_REPEAT: Final = 1
MULTICAST_UDP_REPEAT: Final = 1
"""Copies after the first one (DPWS 1.1 appendix B; SOAP-over-UDP alone says 1 and 2)."""
UDP_MIN_DELAY: Final = 0.050
UDP_MAX_DELAY: Final = 0.250
UDP_UPPER_DELAY: Final = 0.450
"""Seconds. DPWS 1.1 lowers the upper delay from 500 to 450 ms."""
MAX_REPEAT: Final = 8
"""No more copies than this, whatever is asked for."""


def schedule(repeat: int, dice: Dice) -> tuple[float, ...]:
    """When each copy goes out, in seconds after the first, which is at 0.0: `repeat` + 1 instants.

    The first gap is drawn from [UDP_MIN_DELAY, UDP_MAX_DELAY]; each next one is twice the last, at most
    UDP_UPPER_DELAY. All copies are the same octets: message id and message number stay. Raises LocalError.
    """
    if not 0 <= repeat <= MAX_REPEAT:
        raise LocalError(f"a datagram is repeated 0 to {MAX_REPEAT} times, not {repeat}")
    gaps = []
    gap = dice.uniform(UDP_MIN_DELAY, UDP_MAX_DELAY)
    for _ in range(repeat):
        gaps.append(gap)
        gap = min(2 * gap, UDP_UPPER_DELAY)
    return tuple(accumulate(gaps, initial=0.0))
