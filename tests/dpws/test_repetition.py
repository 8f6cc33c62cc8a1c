"""The retry schedule alone, asked for without a socket (SOAP-over-UDP 1.1 appendix A)."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from gossip_ws.dpws.repetition import MAX_REPEAT, MULTICAST_UDP_REPEAT, UNICAST_UDP_REPEAT, schedule
from gossip_ws.kernel.errors import LocalError


def gaps(instants: tuple[float, ...]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(instants)]


def test_dpws_sends_two_copies_50_to_250_ms_apart() -> None:
    assert (UNICAST_UDP_REPEAT, MULTICAST_UDP_REPEAT) == (1, 1)
    seen = [schedule(1, Random(seed)) for seed in range(500)]
    assert all(len(instants) == 2 and instants[0] == 0.0 for instants in seen)
    first = [instants[1] for instants in seen]
    assert min(first) >= 0.050
    assert max(first) <= 0.250
    assert min(first) < 0.060
    assert max(first) > 0.240


def test_each_gap_is_twice_the_last_up_to_450_ms() -> None:
    for seed in range(100):
        found = gaps(schedule(5, Random(seed)))
        for before, after in itertools.pairwise(found):
            assert after == pytest.approx(min(2 * before, 0.450))
        assert max(found) <= 0.450 + 1e-9
    assert found[-1] == pytest.approx(0.450)


def test_no_repetition_is_one_copy_at_once() -> None:
    assert schedule(0, Random(1)) == (0.0,)


@pytest.mark.parametrize("repeat", [-1, MAX_REPEAT + 1])
def test_a_repeat_out_of_range_is_the_callers_fault(repeat: int) -> None:
    with pytest.raises(LocalError):
        schedule(repeat, Random(1))
