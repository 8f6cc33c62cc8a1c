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
    (8, 6, 3),
    (16, 9, 4),
    (32, 11, 4),
    (64, 13, 4),
    (128, 14, 4),
    (256, 15, 5),
    (512, 16, 5),
    (1_024, 17, 5),
    (2_048, 18, 5),
    (4_096, 19, 5),
    (8_192, 20, 6),
    (16_384, 21, 6),
    (32_768, 22, 6),
    (65_536, 23, 6),
    (131_072, 23, 6),
    (262_144, 24, 6),
    (524_288, 25, 7),
    (1_048_576, 26, 7),
)
"""Every live device by the push alone with probability 0.999; 10 % loss, 10 % crashed. Among IS and SSC."""

FIELD_AREA: Final[Table] = (
    (1, 0, 0),
    (2, 1, 1),
    (4, 3, 3),
    (8, 5, 4),
    (16, 5, 5),
    (32, 6, 6),
    (64, 6, 6),
    (128, 6, 7),
    (256, 6, 8),
    (512, 6, 9),
    (1_024, 6, 9),
    (2_048, 6, 10),
    (4_096, 6, 11),
    (8_192, 6, 11),
    (16_384, 6, 12),
    (32_768, 6, 13),
    (65_536, 6, 13),
    (131_072, 6, 14),
    (262_144, 6, 15),
    (524_288, 6, 15),
    (1_048_576, 6, 16),
)
"""99 % of the live devices by the push alone, 10 % loss, 10 % crashed; the roster and repair bring the rest.
Among meters."""
