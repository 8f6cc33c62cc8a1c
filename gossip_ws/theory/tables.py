"""Defaults of fanout and rounds by population, as plain data: made by `planner.defaults`, kept to it by a test.

Literal, because a meter that starts has better to do than to walk Markov chains. Rows are (population,
fanout, rounds); a population is rounded up to the next row, beyond the last the last row holds, and who
has fewer peers than the fanout sends to all of them.
"""

from __future__ import annotations

from typing import Final

Table = tuple[tuple[int, int, int], ...]

WIDE_AREA: Final[Table] = (
    (1, 0, 0),
    (2, 1, 1),
    (4, 3, 3),
    (8, 6, 6),
    (16, 9, 8),
    (32, 11, 9),
    (64, 13, 10),
    (128, 14, 11),
    (256, 15, 12),
    (512, 16, 13),
    (1_024, 17, 14),
    (2_048, 18, 15),
    (4_096, 19, 16),
    (8_192, 20, 17),
    (16_384, 21, 18),
    (32_768, 22, 19),
    (65_536, 23, 20),
    (131_072, 23, 21),
    (262_144, 24, 22),
    (524_288, 25, 23),
    (1_048_576, 26, 24),
)
"""Every live device by the push alone with probability 0.999; 10 % loss, 10 % crashed. Among IS and SSC."""

FIELD_AREA: Final[Table] = (
    (1, 0, 0),
    (2, 1, 1),
    (4, 3, 3),
    (8, 5, 6),
    (16, 5, 8),
    (32, 6, 9),
    (64, 6, 10),
    (128, 6, 11),
    (256, 6, 12),
    (512, 6, 13),
    (1_024, 6, 14),
    (2_048, 6, 15),
    (4_096, 6, 16),
    (8_192, 6, 17),
    (16_384, 6, 18),
    (32_768, 6, 19),
    (65_536, 6, 20),
    (131_072, 6, 21),
    (262_144, 6, 22),
    (524_288, 6, 23),
    (1_048_576, 6, 24),
)
"""99 % of the live devices by the push alone, 10 % loss, 10 % crashed; the roster and repair bring the rest.
Among meters."""
