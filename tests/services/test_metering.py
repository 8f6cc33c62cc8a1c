"""Demand and measurements: rows that combiners can read, in ranges that they can hold devices to."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from lxml import etree

from gossip_ws.kernel.contract import Field, Number
from gossip_ws.kernel.errors import FaultCode
from gossip_ws.kernel.names import METERING
from gossip_ws.services.metering import MAX_ENERGY, metering_service


def demand(day: str = "") -> bytes:
    return f'<GetDemand xmlns="{METERING}">{day and f"<day>{day}</day>"}</GetDemand>'.encode()


def test_demand_is_a_row_a_category_with_three_periods(ask: Any, meter: Any) -> None:
    outcome = ask(metering_service(meter), "GetDemand", demand("2026-11-30"))
    assert outcome.body == (
        b'<tns:GetDemandResponse xmlns:tns="urn:gossip-ws:2026:metering"><tns:GetDemandResult>'
        b"<tns:Demand><tns:category>ev</tns:category>"
        b"<tns:energyWh>1</tns:energyWh><tns:energyWh>0</tns:energyWh><tns:energyWh>3</tns:energyWh></tns:Demand>"
        b"<tns:Demand><tns:category>household</tns:category>"
        b"<tns:energyWh>40</tns:energyWh><tns:energyWh>50</tns:energyWh><tns:energyWh>60</tns:energyWh></tns:Demand>"
        b"</tns:GetDemandResult></tns:GetDemandResponse>"
    )
    assert meter.days == [dt.date(2026, 11, 30)]


def test_no_day_is_the_day_of_the_invocation(ask: Any, meter: Any) -> None:
    ask(metering_service(meter), "GetDemand", demand())
    assert meter.days == [dt.date(2026, 11, 21)]


def test_the_shapes_and_default_aggregates() -> None:
    operations = metering_service(None).operations  # type: ignore[arg-type]
    get_demand, measurement = (operations[f"{METERING}:{name}"] for name in ("GetDemand", "GetMeasurement"))
    ns = f"{{{METERING}}}"
    assert get_demand.policy is not None
    assert get_demand.shape is not None
    assert measurement.policy is not None
    assert measurement.shape is not None
    assert (get_demand.policy.aggregate, measurement.policy.aggregate) == ("sum", "mean")
    assert get_demand.shape.path == (ns + "GetDemandResult",)
    assert (get_demand.shape.row, get_demand.shape.keys) == (ns + "Demand", (ns + "category",))
    assert get_demand.shape.fields == (Field(ns + "energyWh", Number.INTEGER, 0, MAX_ENERGY, least=3, most=3),)
    assert [field.name for field in measurement.shape.fields] == [ns + n for n in ("voltage", "phaseAngle", "power")]
    assert all(field.number is Number.DOUBLE and field.high is not None for field in measurement.shape.fields)


def test_a_measurement_has_volts_degrees_and_watts(ask: Any, meter: Any) -> None:
    outcome = ask(metering_service(meter), "GetMeasurement", f'<GetMeasurement xmlns="{METERING}"/>'.encode())
    (row,) = etree.fromstring(outcome.body)[0]
    assert [(etree.QName(child).localname, float(child.text)) for child in row] == [
        ("voltage", 230.5),
        ("phaseAngle", -12.25),
        ("power", 1500.0),
    ]


@pytest.mark.parametrize("energies", [(1, 2), (1, 2, -3), (1, 2, MAX_ENERGY + 1), (1.5, 2, 3)])
def test_a_state_out_of_its_range_is_this_sides_fault(ask: Any, meter: Any, energies: Any) -> None:
    meter.demand = lambda day: [("ev", energies)]
    assert ask(metering_service(meter), "GetDemand", demand()).code is FaultCode.RECEIVER


def test_a_days_text_is_checked_before_the_state_is_asked(ask: Any, meter: Any) -> None:
    assert ask(metering_service(meter), "GetDemand", demand("30.11.2026")).code is FaultCode.SENDER
    assert meter.days == []
