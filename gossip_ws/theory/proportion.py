"""What a part says of the whole: the confidence interval of a proportion.

Only arithmetic. Whether those that were seen stand for those that were not is for whoever asks to say.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

from gossip_ws.kernel.errors import LocalError

CONFIDENCE: Final = 0.95
_Z: Final = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""
STRICT: Final = 3.2905267314919255
"""The same of 99.9 %: for who asks often, and would be told something wrong one time in twenty."""


def wilson(successes: int, trials: int, z: float = _Z) -> tuple[float, float]:
    """The score interval (Wilson 1927): unlike the textbook one it is no point where all or none succeeded.

    z: deviations to both sides, 95 % if nothing is said.

    (0, 1) where nobody was tried. Raises LocalError for more successes than trials.
    """
    if not 0 <= successes <= trials:
        raise LocalError(f"{successes} successes in {trials} trials")
    if trials == 0:
        return 0.0, 1.0
    share, squared = successes / trials, z * z
    middle = share + squared / (2 * trials)
    spread = z * sqrt(share * (1 - share) / trials + squared / (4 * trials * trials))
    whole = 1 + squared / trials
    low = 0.0 if successes == 0 else max(0.0, (middle - spread) / whole)
    high = 1.0 if successes == trials else min(1.0, (middle + spread) / whole)
    return low, high
