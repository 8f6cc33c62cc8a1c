"""The chain in doubles against the exact one, the formula against the chain, and both against dice."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt
from random import Random

import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.theory import exact, reach
from gossip_ws.theory.draws import binomial, hypergeometric
from gossip_ws.theory.planner import dead, fanout_for_all, rounds_of
from gossip_ws.theory.proportion import wilson
from gossip_ws.theory.reach import Push


def test_draws_add_up_and_have_their_means() -> None:
    for outcomes, mean in (
        (binomial(20, 0.3), 6.0),
        (binomial(7, 1.0), 7.0),
        (binomial(0, 0.5), 0.0),
        (hypergeometric(99, 40, 12), 12 * 40 / 99),
        (hypergeometric(5, 5, 3), 3.0),
        (hypergeometric(10, 4, 8), 3.2),
        (hypergeometric(100_000_000, 70_000_000, 30), 21.0),
    ):
        assert sum(weight for _, weight in outcomes) == pytest.approx(1, abs=1e-12)
        assert sum(k * weight for k, weight in outcomes) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize(
    ("n", "fanout", "loss", "gone"),
    [(1, 0, 0.0, 0), (2, 1, 0.1, 0), (3, 1, 0.0, 0), (12, 3, 0.25, 4), (24, 23, 0.3, 5), (40, 2, 0.1, 0)],
)
def test_the_chain_is_the_exact_one(n: int, fanout: int, loss: float, gone: int) -> None:
    found = reach.reach(Push(n, gone, fanout, loss))
    assert found.all_reached == pytest.approx(exact.all_reached(n, fanout, loss, gone), abs=1e-11)
    assert found.coverage == pytest.approx(exact.mean_coverage(n, fanout, loss, gone), abs=1e-11)


@pytest.mark.parametrize(
    ("n", "fanout", "loss", "gone"), [(8, 5, 0.1, 2), (24, 9, 0.3, 5), (24, 5, 0.0, 0), (40, 9, 0.1, 8)]
)
def test_what_a_limit_of_rounds_costs(n: int, fanout: int, loss: float, gone: int) -> None:
    """Against the exact chain round by round, down to the third decimal of what is lost."""
    shares = reach.timely(Push(n, gone, fanout, loss))
    whole = exact.all_reached(n, fanout, loss, gone)
    for rounds in range(1, 6):
        limited = exact.all_reached(n, fanout, loss, gone, rounds) / whole
        assert shares[rounds] == pytest.approx(limited, abs=0.005)
        assert 1 - shares[rounds] == pytest.approx(1 - limited, rel=0.25, abs=1e-5)
    assert shares[-1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("fanout", "loss", "gone"), [(9, 0.0, 0), (9, 0.1, 0), (14, 0.3, 60), (18, 0.3, 0)])
def test_the_formula_is_near_the_chain(fanout: int, loss: float, gone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    push = Push(300, gone, fanout, loss)
    chain = reach.reach(push)
    monkeypatch.setattr(reach, "LIMIT", 200)
    reach.reach.cache_clear()
    formula = reach.reach(push)
    reach.reach.cache_clear()
    assert formula.all_reached != chain.all_reached
    assert formula.all_reached == pytest.approx(chain.all_reached, abs=1.5e-4)
    assert formula.coverage == pytest.approx(chain.coverage, abs=1e-5)


def test_a_push_that_may_die_at_its_first_hop() -> None:
    """Fanout 4, half of the messages lost: of 16 pushes one loses all four at once, and some die a hop later."""
    found = reach.reach(Push(100_000, 0, 4, 0.5))
    assert 1 - 1 / 16 - 0.03 < found.coverage / 0.7968 < 1 - 1 / 16


def test_one_message_more_helps_as_much_as_it_arrives() -> None:
    """One that always arrives, to anybody, is nearly a fanout of one more; it may repeat a target."""
    with_more = reach.reach(Push(200, 20, 9, 0.1, more=0.9)).all_reached
    assert reach.reach(Push(200, 20, 9, 0.1)).all_reached < with_more
    assert with_more == pytest.approx(reach.reach(Push(200, 20, 10, 0.1)).all_reached, abs=5e-3)


@pytest.mark.parametrize("bad", [(5, 5, 2, 0.1), (5, 0, 5, 0.1), (5, 0, -1, 0.1), (5, 0, 2, 1.1)])
def test_what_is_no_push(bad: tuple[int, int, int, float]) -> None:
    with pytest.raises(LocalError):
        Push(*bad)


def simulate(push: Push, rounds: int, dice: Random) -> bool:
    """One push of at most `rounds` rounds, device by device: does it reach everyone? Who is off comes last."""
    n, live = push.n, push.live
    missed = bytearray([0]) + bytearray([1]) * (live - 1) + bytearray(n - live)
    left, senders = live - 1, [0]
    while senders and left and rounds:
        fresh = []
        for sender in senders:
            for target in dice.sample(range(n - 1), push.fanout):
                target += target >= sender
                if missed[target] and dice.random() >= push.loss:
                    missed[target] = 0
                    left -= 1
                    fresh.append(target)
        senders = fresh
        rounds -= 1
    return left == 0


GRID = [
    (n, loss, crashed, target)
    for n, loss, crashed in [
        *((n, loss, crashed) for n in (24, 100) for loss in (0.0, 0.1, 0.3) for crashed in (0.0, 0.2)),
        (1000, 0.0, 0.2),
        (1000, 0.3, 0.0),
    ]
    for target in ((0.9, 0.99, 0.999) if n < 1000 else (0.9,))
]
RUNS = {24: 1000, 100: 300, 1000: 60}


@pytest.mark.parametrize(("n", "loss", "crashed", "target"), GRID)
def test_the_promise_is_kept_and_a_smaller_fanout_would_not_do(
    n: int, loss: float, crashed: float, target: float
) -> None:
    """The promise lies within 3 standard errors of simulations with the planned rounds. The fanout is the least: with
    one fewer the promise is below the target, by the same chain; with two fewer the dice say so as well where 3
    standard errors are narrow enough to."""
    gone, dice = dead(n, crashed), Random(n)
    fanout = fanout_for_all(n, loss, crashed, target)
    push = Push(n, gone, fanout, loss)
    promise = reach.reach(push).all_reached
    assert promise >= target > reach.reach(Push(n, gone, fanout - 1, loss)).all_reached
    rounds, runs = rounds_of(push), RUNS[n]
    kept = sum(simulate(push, rounds, dice) for _ in range(runs))
    assert abs(kept / runs - promise) <= 3 * sqrt(max(promise * (1 - promise), 1 / runs) / runs)
    if target == 0.9 and n == 24:
        fewer = Push(n, gone, fanout - 2, loss)
        _, high = wilson(sum(simulate(fewer, n, dice) for _ in range(runs)), runs)
        assert high < target


def test_the_doubles_are_as_good_as_rationals_where_targets_are_tight() -> None:
    """At a target of six nines the chain in doubles chooses as the rational one does."""
    n, gone = 30, 3
    fanout = fanout_for_all(n, 0.1, 0.1, 0.999999)
    assert exact.reached(n, fanout, Fraction(1, 10), gone)[-1] >= Fraction(999999, 1000000)
    assert exact.reached(n, fanout - 1, Fraction(1, 10), gone)[-1] < Fraction(999999, 1000000)
