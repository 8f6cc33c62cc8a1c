"""What an estimated aggregate says of itself: numbers, and how far off they may be. Knows not how they came about."""

from __future__ import annotations

from dataclasses import dataclass

from gossip_ws.kernel.names import QName


@dataclass(frozen=True, slots=True)
class Estimated:
    """One estimated number. The true one lies from `low` to `high` in 95 of 100 cases."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class EstimatedField:
    """The `at`-th occurrence (from 0) of a field: its sum over all devices, and the mean of what a device gives."""

    name: QName
    at: int
    sum: Estimated
    mean: Estimated


@dataclass(frozen=True, slots=True)
class EstimatedGroup:
    """One group of an estimate. `key`: what it was grouped by, empty for the only group. `count`: of devices that gave
    a row of it."""

    key: str
    count: Estimated
    fields: tuple[EstimatedField, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """`minima`: the K of extrema propagation. `error`: the standard deviation of each count and each sum, relative to
    the true value, 1/sqrt(K - 2) (K draws; Baquero et al., "Extrema propagation", 2009). `mean_error`: that of each
    mean, which is the quotient of two estimates."""

    minima: int
    error: float
    mean_error: float
    groups: tuple[EstimatedGroup, ...]
