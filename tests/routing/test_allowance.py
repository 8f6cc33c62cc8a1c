"""What reports may cost beside everything else that a device sends."""

from __future__ import annotations

from random import Random

import pytest

from gossip_ws.routing.allowance import MEMORY, PATIENCE, Allowance

FANOUT = 4


class Device:
    """Sends what it must, and in its turns as many reports as it may."""

    def __init__(self, fanout: int = FANOUT) -> None:
        self.sent = 700
        self.now = 0.0
        self.allowance = Allowance(fanout, self.now, self.sent)
        self.turns: list[tuple[float, int]] = [(self.now, self.sent)]

    def turn(self, after: float, otherwise: int = 0, has_news: bool = True) -> int:
        self.now += after
        self.sent += otherwise
        peers = self.allowance.peers(self.now, self.sent)
        told = peers if has_news else 0
        self.sent += told
        self.allowance.close(self.sent)
        self.turns.append((self.now, self.sent))
        return told


def test_alone_a_tick_is_all_for_reports() -> None:
    device = Device()
    assert [device.turn(1.0) for _ in range(5)] == [FANOUT] * 5


def test_what_others_took_reports_give_back() -> None:
    device = Device()
    # Of six in one tick two are made up for in the next.
    assert [device.turn(1.0, otherwise) for otherwise in (1, 6, 0, 0)] == [3, 0, 2, 4]


def test_with_less_than_half_of_a_tick_they_wait_and_keep_it() -> None:
    device = Device()
    assert [device.turn(1.0, otherwise) for otherwise in (3, 3, 3, 3)] == [0, 2, 0, 2]


def test_what_was_spared_is_no_more_than_half_of_a_tick() -> None:
    device = Device()
    for _ in range(20):
        device.turn(1.0, has_news=False)
    assert [device.turn(1.0, otherwise=4), device.turn(1.0, otherwise=4)] == [2, 0]


def test_a_turn_that_comes_late_tells_no_more_than_the_fanout() -> None:
    device = Device()
    assert [device.turn(after) for after in (50.0, 1.0)] == [FANOUT, FANOUT]


@pytest.mark.parametrize("fanout", [2, 3, 4, 7])
@pytest.mark.parametrize("seed", range(5))
def test_no_span_costs_more(fanout: int, seed: int) -> None:
    """The rest takes five eighths, in bursts at every second turn, turns come when they will, and not always with news:
    reports never bring it above what the time since the start has room for, nor above that of any other span by more
    than half of a tick."""
    dice = Random(seed)
    device = Device(fanout)
    owed = 0.0
    told = [0]
    for turn in range(120):
        after = dice.uniform(0.5, 1.5)
        owed += 0.625 * fanout * after
        burst = int(owed) if turn % 2 else 0
        owed -= burst
        told.append(device.turn(after, burst, has_news=dice.random() < 0.8))
    begun, had = device.turns[0]
    for number, (at, sent) in enumerate(device.turns):
        if told[number]:
            assert sent - had <= fanout * (at - begun)
            for then, before in device.turns[:number]:
                assert sent - before <= fanout * (at - then) + (fanout + 1) // 2
    assert sum(told) > 0.25 * fanout * 120


def test_reports_never_stop_for_good() -> None:
    device = Device()
    assert [device.turn(1.0, otherwise=50) for _ in range(12)] == [0, 0, 0, 2] * 3
    # And a burst is made up for in a bounded time.
    silent = 0
    while device.turn(1.0) < FANOUT:
        silent += 1
    assert PATIENCE < silent <= 2 * MEMORY
