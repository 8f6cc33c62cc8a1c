"""Bands, prices of periods, and what is no tariff."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gossip_ws.grid.tariff import Band, Tariff
from gossip_ws.kernel.errors import LocalError


def bands(*parts: tuple[int, int, str]) -> tuple[Band, ...]:
    return tuple(Band(start, end, Decimal(price)) for start, end, price in parts)


def test_a_periods_price_is_the_mean_of_its_minutes() -> None:
    tariff = Tariff("t", 1, 0, 1, bands((0, 360, "0.10"), (360, 1320, "0.30"), (1320, 1440, "0.10")))
    assert tariff.prices() == (Decimal("0.15"), Decimal("0.30"), Decimal("0.25"))
    assert tariff.price(359) == Decimal("0.10")
    assert tariff.price(360) == Decimal("0.30")
    assert tariff.price(1440) is None


def test_minutes_without_a_price_do_not_count_and_a_period_without_is_dear() -> None:
    tariff = Tariff("t", 1, 0, 1, bands((0, 60, "0.10"), (600, 660, "0.30")))
    assert tariff.prices() == (Decimal("0.10"), Decimal("0.30"), Decimal("0.30"))
    assert tariff.price(60) is None


def test_a_price_may_be_negative() -> None:
    assert Tariff("t", 1, 0, 1, bands((0, 1440, "-0.02"))).prices() == (Decimal("-0.02"),) * 3


@pytest.mark.parametrize(
    ("start", "end", "price"),
    [(-1, 5, "1"), (5, 5, "1"), (9, 5, "1"), (0, 1441, "1"), (0, 5, "NaN"), (0, 5, "Infinity"), (0, 5, "1E+999999")],
)
def test_no_band(start: int, end: int, price: str) -> None:
    with pytest.raises(LocalError):
        Band(start, end, Decimal(price))


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"version": -1},
        {"start": 1.0},
        {"start": 2.0},
        {"end": float("nan")},
        {"bands": ()},
        {"bands": bands((0, 500, "1"), (400, 1440, "1"))},
        {"bands": bands((500, 1440, "1"), (0, 500, "1"))},
    ],
)
def test_no_tariff(fields: dict[str, object]) -> None:
    good = {"id": "t", "version": 1, "start": 0.0, "end": 1.0, "bands": bands((0, 1440, "1"))}
    Tariff(**good)
    with pytest.raises(LocalError):
        Tariff(**{**good, **fields})
