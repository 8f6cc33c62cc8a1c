"""Many trials from one line: which values are swept, the points that follow, and the seed of each point.

Data and arithmetic. Does not know how or where a point is run, nor what becomes of its figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal, DecimalException
from functools import lru_cache
from hashlib import blake2b
from itertools import product
from math import prod
from typing import Any, Final

from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Variant
from gossip_ws.lab.trial import MOST_ROUNDS, Trial
from gossip_ws.theory import planner

Value = int | float | Variant

MOST_POINTS: Final = 100_000
"""In one sweep."""
MOST_REPEATS: Final = 1_000_000
"""Of one point."""
WHOLE: Final = ("nodes", "fanout", "rounds")
SHARES: Final = ("loss", "crashed")
NAMES: Final = (*WHOLE, *SHARES, "variant")
"""What can be swept: the fields of a Trial."""

TARGET: Final = 0.999
"""Probability that everyone is reached for which a fanout is chosen where none is given."""

_PULLS: Final = (Variant.EAGER_PULL, Variant.LAZY_PULL)
_AMPLE: Final = 1_000
"""Periods of a pull, which ends by itself when everyone has the message."""
_LONGEST: Final = 4_096
"""Characters of one axis."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One swept name and its values, each once, in the order in which they were named."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One trial of a sweep. number: its place, from 0; the last axis changes fastest."""

    number: int
    trial: Trial
    seed: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """The product of `axes`; what is not swept is in `fixed`.

    fixed: by the field of a Trial; a fanout or rounds that is not there follows the planner, point by point.
    engine: the name of what simulates. repeat: repetitions of each point. seed: what the seeds of the points are made
    of. Raises LocalError: no axis, one twice or fixed as well, too many points, or a point that is no Trial.
    """

    axes: tuple[Axis, ...]
    fixed: Mapping[str, Value]
    engine: str
    repeat: int
    seed: int
    points: tuple[Point, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = [axis.name for axis in self.axes]
        if not names:
            raise LocalError("a sweep has an axis at least")
        for name in names:
            if names.count(name) > 1:
                raise LocalError(f"--sweep: {name} is swept twice")
            if name in self.fixed:
                raise LocalError(f"--sweep: {name} is swept and given as well")
        if not 1 <= self.repeat <= MOST_REPEATS:
            raise LocalError(f"1 to {MOST_REPEATS} repetitions, not {self.repeat}")
        if self.seed < 0:
            raise LocalError(f"a seed is not negative: {self.seed}")
        count = prod(len(axis.values) for axis in self.axes)
        if count > MOST_POINTS:
            raise LocalError(f"--sweep: {count} points, at most {MOST_POINTS}")
        object.__setattr__(self, "points", tuple(self._points()))

    def _points(self) -> Iterator[Point]:
        names = [axis.name for axis in self.axes]
        for number, values in enumerate(product(*(axis.values for axis in self.axes))):
            trial = trial_of({**self.fixed, **dict(zip(names, values, strict=True))})
            yield Point(number, trial, seed_of(self.seed, trial))

    def identity(self) -> dict[str, Any]:
        """What makes it this sweep and no other, as JSON has it."""
        return {
            "engine": self.engine,
            "axes": [[axis.name, list(axis.values)] for axis in self.axes],
            "fixed": dict(sorted(self.fixed.items())),
            "repeat": self.repeat,
            "seed": self.seed,
        }


def trial_of(values: Mapping[str, Any]) -> Trial:
    """The Trial of these fields, of which only `nodes` has to be there.

    A push without a fanout has the planner's, for everyone with probability TARGET; a pull asks one a period. Rounds
    that are not there are ample, and so they are for a tree, which is deeper than a push. Raises LocalError.
    """
    nodes, loss, crashed = values["nodes"], values.get("loss", 0.0), values.get("crashed", 0.0)
    fanout, rounds, variant = values.get("fanout"), values.get("rounds"), values.get("variant", Variant.EAGER_PUSH)
    # Whatever is out of bounds is refused before anything is planned with it.
    Trial(nodes, 0, 0, loss, crashed)
    if fanout is None:
        fanout = min(1, nodes - 1) if variant in _PULLS else _planned(nodes, loss, crashed)
    if rounds is None and (variant in _PULLS or variant is Variant.ADAPTIVE):
        rounds = _AMPLE
    elif rounds is None:
        Trial(nodes, fanout, 0)
        rounds = min(planner.rounds_for(nodes, fanout, loss, crashed), MOST_ROUNDS)
    return Trial(nodes, fanout, rounds, loss, crashed, variant)


@lru_cache(maxsize=4_096)
def _planned(nodes: int, loss: float, crashed: float) -> int:
    """A tenth of a second for a large population; a sweep of something else asks for the same at each point."""
    return planner.fanout_for_all(nodes, loss, crashed, TARGET)


def seed_of(base: int, trial: Trial) -> int:
    """The seed of a point, 63 bits: a digest of the base seed and the trial's own values.

    So it is the same in whatever order, on however many machines, before or after a stop.
    """
    told = json.dumps([base, asdict(trial)], sort_keys=True, separators=(",", ":"))
    return int.from_bytes(blake2b(told.encode("ascii"), digest_size=8).digest(), "big") >> 1


def parse(text: str) -> Axis:
    """`name=` and items between commas: a value, `from:to` for whole numbers, or `from:to:step`. Both ends are in.

    Raises LocalError.
    """
    name, equals, items = text.partition("=")
    if name not in NAMES:
        raise LocalError(f"--sweep: {_short(name)} is not one of {', '.join(NAMES)}")
    if not equals or not items or len(text) > _LONGEST:
        raise LocalError(f"--sweep {_short(text)}: not NAME=FROM:TO, NAME=FROM:TO:STEP or NAME=VALUE,VALUE")
    values: list[Value] = []
    for item in items.split(","):
        values += _variant(item) if name == "variant" else _numbers(name, item)
        if len(values) > MOST_POINTS:
            raise LocalError(f"--sweep {name}: at most {MOST_POINTS} values")
    if len(set(values)) < len(values):
        raise LocalError(f"--sweep {_short(text)}: a value is named twice")
    return Axis(name, tuple(values))


def _variant(item: str) -> Sequence[Value]:
    try:
        return (Variant(item),)
    except ValueError:
        raise LocalError(f"--sweep variant: {_short(item)} is not one of {', '.join(Variant)}") from None


def _numbers(name: str, item: str) -> Sequence[Value]:
    """Decimal, not binary: 0:0.4:0.05 has 0.15 in it, not 0.15000000000000002."""
    ends = [_number(name, part) for part in item.split(":")]
    if len(ends) == 1:
        return (_value(name, ends[0]),)
    if len(ends) == 2 and name in WHOLE:
        ends.append(Decimal(1))
    if len(ends) != 3:
        raise LocalError(f"--sweep {name}: {_short(item)} is not FROM:TO:STEP")
    first, last, step = ends
    if step <= 0:
        raise LocalError(f"--sweep {name}: {_short(item)}: the step is above 0")
    if first > last:
        raise LocalError(f"--sweep {name}: {_short(item)} is empty")
    if (last - first) / step >= MOST_POINTS:
        raise LocalError(f"--sweep {name}: at most {MOST_POINTS} values")
    count, rest = divmod(last - first, step)
    if rest:
        raise LocalError(f"--sweep {name}: steps of {step} do not lead from {first} to {last}")
    return [_value(name, first + step * k) for k in range(int(count) + 1)]


def _number(name: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except DecimalException:
        raise LocalError(f"--sweep {name}: {_short(text)} is no number") from None
    # So the 28 digits of a Decimal hold every sum of a range exactly.
    if not number.is_finite() or (number and not -9 <= number.adjusted() <= 9) or len(text) > 20:
        raise LocalError(f"--sweep {name}: {_short(text)} is no number that a trial could take")
    return number if number else Decimal(0)


def _value(name: str, number: Decimal) -> Value:
    if name not in WHOLE:
        return float(number)
    if number != int(number):
        raise LocalError(f"--sweep {name}: whole numbers only, not {number}")
    return int(number)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
