"""How a pull is shown to programs: whatever a filter made of it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from gossip_ws.devices.cli_demand_table import Pull, Row, Shown


def no_number(text: str) -> Any:
    raise AssertionError(f"{text} is not JSON")


def test_what_a_filter_made_that_is_no_number_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    pull = Pull(
        datetime(2026, 11, 21, tzinfo=UTC),
        0.5,
        (Row("load", ("12", "1.5", "NaN")), Row("", ("1e999", "9" * 400))),
        None,
    )
    Shown((0, 1, 2), True, None)(date(2026, 11, 21), pull)
    told = json.loads(capsys.readouterr().out, parse_constant=no_number)
    assert [row["value_wh"] for row in told["rows"]] == [[12, 1.5, "NaN"], ["1e999", int("9" * 400), ""]]
