"""The interval of a proportion, against values from the literature and from counting."""

from math import comb

import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.theory.proportion import wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe 1998, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_published_values(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_it_covers_what_it_claims_on_average():
    """The exact coverage, averaged over true shares: it swings about 95 %."""
    trials, covered = 40, []
    intervals = [wilson(k, trials) for k in range(trials + 1)]
    for share in (n / 200 for n in range(1, 200)):
        inside = [k for k, (low, high) in enumerate(intervals) if low <= share <= high]
        covered.append(sum(comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in inside))
    assert sum(covered) / len(covered) == pytest.approx(0.95, abs=0.01)
    assert min(covered) > 0.83


def test_nobody_tried_says_nothing_and_nonsense_is_refused():
    assert wilson(0, 0) == (0.0, 1.0)
    for successes, trials in ((3, 2), (-1, 2)):
        with pytest.raises(LocalError):
            wilson(successes, trials)
