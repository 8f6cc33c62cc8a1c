"""The exact chain of push, infect and die, in rationals, for at most `LIMIT` devices.

Every device that is reached first sends to `fanout` distinct others, once. Who is crashed stays in the
others' peer lists and swallows what it is sent. Knows nothing of messages, time or repair.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from functools import lru_cache
from math import comb
from typing import Final

from gossip_ws.kernel.errors import LocalError

LIMIT: Final = 60
"""Devices. Above it the integers here grow long. Plans are made by `reach`, whose chain in doubles is held to this."""


def exactly(probability: float | Fraction) -> Fraction:
    """The rational that a probability is written as: 0.05 is 1/20, not the nearest double."""
    return probability if isinstance(probability, Fraction) else Fraction(str(probability))


def one_misses(n: int, fanout: int, loss: float | Fraction, chosen: int) -> Fraction:
    """The probability that one sender reaches none of `chosen` given other devices: q_m of the chain."""
    e = exactly(loss)
    total = sum(
        (comb(chosen, x) * comb(n - 1 - chosen, fanout - x) * e**x for x in range(min(chosen, fanout) + 1)),
        start=Fraction(0),
    )
    return total / comb(n - 1, fanout)


def missed(n: int, fanout: int, loss: float | Fraction, unreached: int, senders: int, left: int) -> Fraction:
    """The probability that `senders` leave exactly `left` of `unreached` devices unreached.

    By inclusion and exclusion, which needs rationals: the alternating terms cancel beyond any double.
    """
    terms = (
        (-1) ** j * comb(unreached - left, j) * one_misses(n, fanout, loss, left + j) ** senders
        for j in range(unreached - left + 1)
    )
    return comb(unreached, left) * sum(terms, start=Fraction(0))


@lru_cache(maxsize=64)
def reached(
    n: int, fanout: int, loss: Fraction = Fraction(0), crashed: int = 0, rounds: int | None = None
) -> tuple[Fraction, ...]:
    """The distribution of how many live devices end up reached: index k holds P(exactly k), the origin included.

    n: devices, 1 to `LIMIT`; crashed: how many of them are dead, the origin is not; rounds: hops, None for
    as many as it takes. Raises LocalError when out of these bounds.
    """
    if not 1 <= n <= LIMIT or not 0 <= crashed < n or not 0 <= fanout < n or not 0 <= loss <= 1:
        raise LocalError(f"no such chain: n={n}, fanout={fanout}, loss={loss}, crashed={crashed}")
    live = n - crashed
    step = _one_sender(n, fanout, loss, live)
    scale = comb(n - 1, fanout) * loss.denominator**fanout
    ends = _spend(live, step) if rounds is None else _spend_rounds(live, step, rounds)
    result = [Fraction(0)] * (live + 1)
    for (senders, unreached), weight in ends.items():
        result[live - unreached] += Fraction(weight, scale**senders)
    return tuple(result)


def all_reached(n: int, fanout: int, loss: float | Fraction = 0, crashed: int = 0, rounds: int | None = None) -> float:
    """The probability that every live device is reached."""
    return float(reached(n, fanout, exactly(loss), crashed, rounds)[-1])


def mean_coverage(
    n: int, fanout: int, loss: float | Fraction = 0, crashed: int = 0, rounds: int | None = None
) -> float:
    """The expected fraction of the live devices that is reached, the origin included."""
    distribution = reached(n, fanout, exactly(loss), crashed, rounds)
    return float(sum(k * p for k, p in enumerate(distribution)) / (len(distribution) - 1))


def _one_sender(n: int, fanout: int, loss: Fraction, live: int) -> list[list[int]]:
    """step[u][j]: weight of one sender reaching j of u unreached devices; a row sums to the scale."""
    a, b = loss.numerator, loss.denominator
    return [
        [
            sum(
                comb(u, x) * comb(n - 1 - u, fanout - x) * comb(x, j) * (b - a) ** j * a ** (x - j) * b ** (fanout - x)
                for x in range(j, min(u, fanout) + 1)
            )
            for j in range(min(u, fanout) + 1)
        ]
        for u in range(live)
    ]


def _spend(live: int, step: list[list[int]]) -> dict[tuple[int, int], int]:
    """All rounds: weights by (senders spent, unreached). With no limit of rounds the senders' order is free.

    A weight after s senders has the denominator scale**s, so the chain runs on whole numbers.
    """
    ends: dict[tuple[int, int], int] = {}
    now = {live - 1: 1}
    for spent in range(live + 1):
        then: dict[int, int] = defaultdict(int)
        for unreached, weight in now.items():
            if unreached == 0 or live - unreached == spent:
                ends[spent, unreached] = weight
                continue
            for j, ways in enumerate(step[unreached]):
                then[unreached - j] += weight * ways
        now = then
    return ends


def _spend_rounds(live: int, step: list[list[int]], rounds: int) -> dict[tuple[int, int], int]:
    """At most `rounds` rounds: weights by (senders spent, unreached)."""
    powers: list[list[dict[int, int]]] = [[{u: 1} for u in range(live)]]

    def after(unreached: int, senders: int) -> dict[int, int]:
        while len(powers) <= senders:
            rows: list[dict[int, int]] = []
            for row in powers[-1]:
                grown: dict[int, int] = defaultdict(int)
                for left, weight in row.items():
                    for j, ways in enumerate(step[left]):
                        grown[left - j] += weight * ways
                rows.append(grown)
            powers.append(rows)
        return powers[senders][unreached]

    ends: dict[tuple[int, int], int] = defaultdict(int)
    # (unreached, senders of this round); all who were reached and do not send now have sent.
    now = {(live - 1, 1): 1}
    for _ in range(rounds):
        then: dict[tuple[int, int], int] = defaultdict(int)
        for (unreached, senders), weight in now.items():
            if unreached == 0 or senders == 0:
                ends[live - unreached - senders, unreached] += weight
                continue
            for left, ways in after(unreached, senders).items():
                then[left, unreached - left] += weight * ways
        now = then
    for (unreached, senders), weight in now.items():
        ends[live - unreached - senders, unreached] += weight
    return ends
