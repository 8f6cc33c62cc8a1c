"""A Spyne service as bytes in, bytes out: what comes back whatever comes in."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import pytest
from lxml import etree

from gossip_ws.kernel.contract import Field, Number
from gossip_ws.kernel.errors import Fault, FaultCode, LocalError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import WSA, qname
from gossip_ws.kernel.terms import Style
from gossip_ws.ports import Invocation, Reply
from gossip_ws.services import (
    Array,
    ComplexModel,
    Date,
    Decimal,
    Double,
    Integer,
    Service,
    SpyneHosted,
    Unicode,
    call,
    reading,
    rpc,
    state,
)
from gossip_ws.services import Fault as SpyneFault

NS = "http://vendor.example/plant"


class Row(ComplexModel):
    __namespace__ = "http://vendor.example/types"
    name = Unicode(max_len=20, min_occurs=1, nillable=False)
    grade = Unicode(values=["a", "b"])
    level = reading(Double, -5, 5)
    count = Integer(ge=0, le=9, min_occurs=2, max_occurs=2, nillable=False)
    cost = Decimal(gt=0)
    seen = Date


class Envelope(ComplexModel):
    __namespace__ = NS
    rows = Array(Row)
    remark = Unicode


class Stuck(ComplexModel):
    __namespace__ = NS
    level = Integer
    since = Date(min_occurs=1, nillable=False)


class Plant(Service):
    @rpc(Unicode(max_len=8), _returns=Unicode)
    def Echo(ctx: Any, text: str | None) -> str:
        told = call(ctx)
        return f"{text}|{told.issuer}|{told.now.wall:.0f}|{state(ctx, dict)['name']}"

    @rpc(Unicode)
    def Note(ctx: Any, text: str) -> None:
        state(ctx, dict)["note"] = text

    @rpc(Unicode, _returns=Envelope)
    def Table(ctx: Any, text: str) -> Any:
        return Envelope(rows=[Row(name="x", level=1.5, count=[1, 2])])

    @rpc(_returns=Stuck)
    def Level(ctx: Any) -> Any:
        return Stuck(level=1, since=dt.date(2026, 1, 1))

    @rpc(_returns=Integer)
    def Number(ctx: Any) -> int:
        return 5

    @rpc(Unicode, _returns=Integer)
    def Fail(ctx: Any, how: str) -> Any:
        if how == "recursion":
            return Plant.Fail(ctx, how)
        if how == "lookup":
            return {}["secret"]
        if how == "type":
            return object()
        raise SpyneFault(how, "as told" * 200, detail={"{urn:d}Why": "so"} if how.endswith("Detail") else None)

    @rpc(Date, _returns=Integer)
    def Year(ctx: Any, day: dt.date) -> int:
        return day.year


def plant(**state: str) -> SpyneHosted:
    return SpyneHosted(Plant, NS, {"name": "one", **state})


def body(name: str, inner: str = "") -> bytes:
    return f'<{name} xmlns="{NS}">{inner}</{name}>'.encode()


def test_operations_come_from_the_spyne_service() -> None:
    operations = plant().operations
    echo = operations[f"{NS}/Echo"]
    assert (echo.name, echo.style, echo.request) == ("Echo", Style.REQUEST_RESPONSE, f"{{{NS}}}Echo")
    assert (echo.response, echo.reply_action) == (f"{{{NS}}}EchoResponse", f"{NS}/EchoResponse")
    note = operations[f"{NS}/Note"]
    assert (note.style, note.response, note.reply_action, note.shape) == (Style.ONE_WAY, None, "", None)
    assert plant().port_type == f"{{{NS}}}Plant"
    assert plant().path == "/Plant"


def test_the_shape_finds_rows_keys_and_ranges_over_namespaces() -> None:
    types = "{http://vendor.example/types}"
    shape = plant().operations[f"{NS}/Table"].shape
    assert shape is not None
    assert shape.response == f"{{{NS}}}TableResponse"
    assert shape.path == (f"{{{NS}}}TableResult", f"{{{NS}}}rows")
    assert shape.row == types + "Row"
    # An enumeration that cannot read `mixed` is no key.
    assert shape.keys == (types + "name",)
    assert shape.fields == (
        Field(types + "level", Number.DOUBLE, -5, 5, least=1, most=1),
        Field(types + "count", Number.INTEGER, 0, 9, least=2, most=2),
        Field(types + "cost", Number.DECIMAL, 0, None, least=0, most=1),
    )
    assert [name.removeprefix(types) for name in shape.elements] == ["name", "grade", "level", "count", "cost", "seen"]


@pytest.mark.parametrize("name", ["Echo", "Level", "Number"])
def test_no_shape_where_no_combined_response_could_be_made(name: str) -> None:
    assert plant().operations[f"{NS}/{name}"].shape is None


def test_the_reply_is_where_the_shape_says(ask: Any) -> None:
    hosted = plant()
    shape = hosted.operations[f"{NS}/Table"].shape
    outcome = ask(hosted, "Table", body("Table", "<text>t</text>"))
    assert shape is not None
    found = etree.fromstring(outcome.body).findall("/".join((*shape.path, shape.row, shape.fields[1].name)))
    assert [element.text for element in found] == ["1", "2"]


def test_state_issuer_and_time_reach_the_operation(ask: Any) -> None:
    one, two = plant(), plant(name="two")
    expected = "hi|utility|1795262400|{}</"
    assert expected.format("one").encode() in ask(one, "Echo", body("Echo", "<text>hi</text>")).body
    assert expected.format("two").encode() in ask(two, "Echo", body("Echo", "<text>hi</text>")).body


def test_a_one_way_operation_replies_nothing(ask: Any) -> None:
    hosted = plant()
    assert ask(hosted, "Note", body("Note", "<text>n</text>")) == Reply(b"")
    assert hosted.state["note"] == "n"


INVALID = "{urn:gossip-ws:2026}InvalidPayload"


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("Echo", b""),
        ("Echo", body("Echo", "<text>longer than eight</text>")),
        ("Echo", body("Echo", "<unknown/>")),
        ("Echo", body("Echo", "<text>" + "<b>" * 200 + "</b>" * 200 + "</text>")),
        ("Echo", body("Echo", '<text href="#a" id="a">x</text>')),
        ("Year", body("Year", "<day>tomorrow</day>")),
        ("Year", body("Year", "<day>9999999-01-01</day>")),
        ("Year", body("Year", "<day>-0044-03-15</day>")),
    ],
)
def test_what_the_schema_or_python_cannot_read_is_the_senders_fault(ask: Any, name: str, payload: bytes) -> None:
    hosted = plant()
    outcome = ask(hosted, name, payload)
    assert (outcome.code, outcome.subcode) == (FaultCode.SENDER, INVALID)
    assert 0 < len(outcome.reason) <= 500
    assert hosted.counters == {"invoked": 1, "refused": 1}


@pytest.mark.parametrize("payload", [body("Note"), b"<Echo/>"], ids=["another operation", "no namespace"])
def test_a_body_that_does_not_go_with_the_action_is_not_supported(ask: Any, payload: bytes) -> None:
    hosted = plant()
    outcome = ask(hosted, "Echo", payload)
    assert (outcome.code, outcome.subcode) == (FaultCode.SENDER, qname(WSA, "ActionNotSupported"))
    assert f"<wsa:Action>{NS}/Echo</wsa:Action>".encode() in outcome.detail
    assert hosted.counters == {"invoked": 1, "refused": 1}


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"junk",
        b'<?xml version="1.0" encoding="no-such-charset"?><a/>',
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b"<a" * 20_000,
        b"<a>" * 8_000,
    ],
)
def test_junk_instead_of_an_envelope_is_a_fault(frame: bytes) -> None:
    hosted = plant()
    outcomes: list[Any] = []

    hosted.invoke(Invocation(hosted.operations[f"{NS}/Echo"], frame, "", Instant(0.0, 0.0)), outcomes.append)
    assert isinstance(outcomes[0], Fault)


@pytest.mark.parametrize("how", ["recursion", "lookup", "type"])
def test_whatever_a_service_raises_is_contained_and_not_quoted(
    ask: Any, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    hosted = plant()
    with caplog.at_level(logging.ERROR):
        outcome = ask(hosted, "Fail", body("Fail", f"<how>{how}</how>"))
    assert (outcome.code, outcome.subcode) == (FaultCode.RECEIVER, "{urn:gossip-ws:2026}ServiceFailed")
    assert "secret" not in outcome.reason
    assert hosted.counters == {"invoked": 1, "failed": 1}
    assert "gossip_ws.services.contract" in {record.name for record in caplog.records}
    assert isinstance(ask(hosted, "Echo", body("Echo")), Reply)


@pytest.mark.parametrize(
    ("how", "code", "subcode"),
    [
        ("Client.Wrong", FaultCode.SENDER, f"{{{NS}}}Wrong"),
        ("Server.Broken.Deep", FaultCode.RECEIVER, f"{{{NS}}}Broken"),
        ("Client", FaultCode.SENDER, "{urn:gossip-ws:2026}ServiceFault"),
        ("Client.not a name", FaultCode.SENDER, "{urn:gossip-ws:2026}ServiceFault"),
        ("Client.Detail", FaultCode.SENDER, f"{{{NS}}}Detail"),
    ],
)
def test_a_spyne_fault_gets_a_qualified_subcode(
    ask: Any, how: str, code: FaultCode, subcode: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = ask(plant(), "Fail", body("Fail", f"<how>{how}</how>"))
    assert (outcome.code, outcome.subcode) == (code, subcode)
    assert len(outcome.reason) == 500
    assert outcome.detail == (b'<ns0:Why xmlns:ns0="urn:d">so</ns0:Why>' if how.endswith("Detail") else b"")
    # Anyone can cause a fault: none is worth a line in a log.
    assert not caplog.records


def test_one_class_has_one_namespace_in_a_process() -> None:
    plant()
    with pytest.raises(LocalError, match="already hosted under"):
        SpyneHosted(Plant, "urn:other")


def test_devices_share_all_that_is_built() -> None:
    one, two = plant(), plant()
    assert one.operations is two.operations
    assert not hasattr(one, "__dict__")


def test_a_service_outside_of_its_host_says_so() -> None:
    class Bare:
        udc = None

    with pytest.raises(LocalError, match="not hosted"):
        call(Bare())


def test_a_range_goes_up() -> None:
    with pytest.raises(LocalError):
        reading(Integer, 5, 4)
