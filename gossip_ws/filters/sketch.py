"""Extrema propagation: a sum as the smallest of many draws, so that whoever merges twice changes nothing.

Each device draws K times from the exponential distribution whose rate is its value. The smallest of all
devices' k-th draws is exponential with the sum of all values as its rate, so (K - 1) / (sum of the K minima)
estimates the sum without bias, with the relative standard deviation 1/sqrt(K - 2) (Baquero, Almeida, Menezes and
Jesus, "Extrema propagation: fast distributed estimation of sums and network sizes"). A count is the sum of ones.
Knows no XML, and nothing of what is summed.
"""

from __future__ import annotations

from array import array
from math import exp, fsum, inf, ldexp, log, log2, sqrt
from random import Random
from struct import pack, unpack
from typing import Final, TypeAlias

from gossip_ws.kernel.estimate import Estimated

Codes: TypeAlias = "array[int]"
"""K minima, each as the logarithm that it is nearest to."""

_OCTAVE: Final = 256
"""Codes in a factor of two: a minimum is known to 0.14 %, far below what chance leaves open."""
_LOWEST: Final = -160
"""The power of two of code 0."""
NEVER: Final = 0xFFFF
"""The code of a draw at rate 0: it never comes, and every other is smaller."""
_FRACTIONS: Final = tuple(2.0 ** (part / _OCTAVE) for part in range(_OCTAVE))
_POWERS: Final = tuple(ldexp(1.0, _LOWEST + power) for power in range(256))
MOST: Final = 2.0**120
"""The largest value: the smallest of many draws at its rate still has a code."""
LEAST: Final = 2.0**-60
"""The smallest value but 0: the largest of many draws at its rate still has a code."""
_Z: Final = 1.959964
"""Of the standard normal distribution 95 % lie within so many deviations."""


def draw(chance: Random, value: float, minima: int) -> Codes:
    """`minima` draws at the rate `value`, 0 or from LEAST to MOST. Raises ValueError for any other."""
    if value == 0:
        return array("H", [NEVER]) * minima
    if not LEAST <= value <= MOST:
        raise ValueError(f"not estimated: {value!r}")
    lift = -log2(value) - _LOWEST
    # 1 - random() is never 0, but it may be 1: a draw of 0, which has the code 0.
    return array(
        "H",
        [
            min(max(round(_OCTAVE * (log2(drawn) + lift)), 0), NEVER - 1) if drawn > 0 else 0
            for drawn in [-log(1.0 - chance.random()) for _ in range(minima)]
        ],
    )


def merged(a: Codes, b: Codes) -> Codes:
    """The smaller ones. Associative, commutative and idempotent."""
    return array("H", map(min, a, b))


def read(octets: bytes, minima: int) -> Codes:
    """Codes as they travel, big-endian. Raises ValueError for another number, or where some of them never come."""
    if len(octets) != 2 * minima:
        raise ValueError(f"not {minima} minima")
    codes = array("H", unpack(f">{minima}H", octets))
    if 0 < codes.count(NEVER) < minima:
        # A rate that is not 0 makes all of them finite.
        raise ValueError("some minima are not finite")
    return codes


def write(codes: Codes) -> bytes:
    """As `read` reads it."""
    return pack(f">{len(codes)}H", *codes)


def total(codes: Codes) -> float:
    """The sum of the minima; infinite when they never come."""
    if codes[0] == NEVER:
        return inf
    return fsum([_FRACTIONS[code & 255] * _POWERS[code >> 8] for code in codes])


def error(minima: int) -> float:
    """The standard deviation of an estimate, relative to the true value."""
    return 1 / sqrt(minima - 2)


def quotient_error(minima: int) -> float:
    """That of the quotient of two independent estimates: of an F-distributed variable, 2K and 2K degrees of freedom."""
    return sqrt((2 * minima - 1) / (minima * (minima - 2)))


def estimate(codes: Codes) -> Estimated:
    """The sum of the values that were drawn at. 2 S x (sum of minima) is chi-square with 2K degrees of freedom."""
    found = total(codes)
    if found == inf:
        return Estimated(0.0, 0.0, 0.0)
    freedom = 2 * len(codes)
    return Estimated(
        (len(codes) - 1) / found, _chi_square(freedom, -_Z) / (2 * found), _chi_square(freedom, _Z) / (2 * found)
    )


def quotient(codes: Codes, by: Codes) -> Estimated:
    """The sum drawn at in `codes` over the one drawn at, independently, in `by`, which is not 0."""
    over = total(codes)
    if over == inf:
        return Estimated(0.0, 0.0, 0.0)
    minima = len(codes)
    ratio = total(by) / over
    # The logarithm of such an F has the variance 2 trigamma(K), and trigamma(K) is about 1 / (K - 1/2).
    width = exp(_Z * sqrt(2 / (minima - 0.5)))
    return Estimated(ratio * (minima - 1) / minima, ratio / width, ratio * width)


def is_plausible(codes: Codes, count: Codes, most: float) -> bool:
    """Could as many devices as `count` was drawn for have given at most `most` each?

    Both are estimates, so eight deviations of their quotient are allowed for: no honest sketch is refused.
    """
    slack = exp(8 * sqrt(2 / len(codes)))
    return total(count) <= slack * most * total(codes)


def _chi_square(freedom: int, z: float) -> float:
    """The quantile at `z` deviations (Wilson and Hilferty, 1931): to 0.1 % from fifty degrees of freedom on."""
    part = 2 / (9 * freedom)
    return freedom * (1 - part + z * sqrt(part)) ** 3
