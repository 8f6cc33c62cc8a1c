"""WS-Eventing on the wire: what is written is read back, what is malformed gets the fault that its sender knows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lxml import etree

from gossip_ws.dpws.eventing import ACTIONS, BY_GOSSIP, PUSH, Ended, Ending, Granted, Reference, Subscribe
from gossip_ws.dpws.subscriptions import Offer
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.kernel.names import DPWS, GOSSIP, SOAP12, WSA, WSE
from gossip_ws.wire.durations import read_duration, write_duration
from gossip_ws.wire.envelope import canonical, parse
from gossip_ws.wire.eventing import (
    addressed,
    check_get_status,
    check_unsubscribe,
    read_events,
    read_reference,
    read_renew,
    read_renew_response,
    read_subscribe,
    read_subscribe_response,
    read_subscription_end,
    write_get_status,
    write_renew,
    write_renew_response,
    write_subscribe,
    write_subscribe_response,
    write_subscription_end,
    write_unsubscribe,
)
from gossip_ws.wire.soap import fault_envelope, read_fault

SINK = "http://127.0.0.9:4000/sink"


def body(inner: str, *, delivery: str = f"<e:NotifyTo><a:Address>{SINK}</a:Address></e:NotifyTo>") -> etree._Element:
    return etree.fromstring(
        f'<e:Subscribe xmlns:e="{WSE}" xmlns:a="{WSA}" xmlns:g="{GOSSIP}" xmlns:s="{SOAP12}">'
        f"<e:Delivery>{delivery}</e:Delivery>{inner}</e:Subscribe>"
    )


def refused(call: Callable[[], object]) -> tuple[str, str, bytes]:
    """(namespace, local name, detail) of the fault's subcode."""
    with pytest.raises(RemoteError) as caught:
        call()
    namespace, _, local = caught.value.fault.subcode[1:].partition("}")
    return namespace, local, caught.value.fault.detail


@pytest.mark.parametrize(
    "request_",
    [
        Subscribe(Reference(SINK)),
        Subscribe(Reference(SINK), Reference("http://h/e?a&b"), PUSH, 90.5, (f"{GOSSIP}:a", "http://b/")),
        Subscribe(None, Reference(SINK), BY_GOSSIP, 3_600.0, ("urn:x",), ("grid://city/1", "grid://city/2")),
        Subscribe(Reference(SINK), filter=()),
    ],
)
def test_a_subscribe_is_read_as_it_was_written(request_: Subscribe) -> None:
    assert read_subscribe(etree.fromstring(write_subscribe(request_))) == request_


def test_a_plain_subscribe_of_another_stack() -> None:
    found = read_subscribe(
        body(
            f'<e:Expires>PT1M</e:Expires><e:Filter Dialect="{ACTIONS}">\n urn:a\n urn:b </e:Filter>'
            "<x:Extension xmlns:x='urn:x'/>"
        )
    )
    assert found == Subscribe(Reference(SINK), expires=60.0, filter=("urn:a", "urn:b"))


def test_reference_parameters_come_back_as_header_blocks_that_say_what_they_are() -> None:
    delivery = (
        f"<e:NotifyTo><a:Address>{SINK}</a:Address><a:ReferenceParameters xmlns:p='urn:p'>"
        "<p:Room xmlns:x='urn:x' x:floor='2' kind='x:y'>a&amp;b</p:Room> <p:Door/></a:ReferenceParameters></e:NotifyTo>"
    )
    reference = read_subscribe(body("", delivery=delivery)).notify_to
    assert reference is not None
    envelope = parse(addressed("urn:act", reference, b"<b/>"))
    assert envelope.addressing.to == SINK
    room, door = (block for block in envelope.headers if block.tag.startswith("{urn:p}"))
    assert (room.get(f"{{{WSA}}}IsReferenceParameter"), door.get(f"{{{WSA}}}IsReferenceParameter")) == ("true", "true")
    assert (room.text, room.get("{urn:x}floor"), room.nsmap["x"]) == ("a&b", "2", "urn:x")
    # And what a client got is what it sends back.
    assert read_reference(etree.fromstring(write_subscribe(Subscribe(reference)))[0][0]) == reference


@pytest.mark.parametrize(
    ("inner", "delivery", "fault"),
    [
        ("", "<e:NotifyTo/>", "InvalidMessage"),
        ("", "<e:NotifyTo><a:Address> </a:Address></e:NotifyTo>", "InvalidMessage"),
        ("", f"<e:NotifyTo><a:Address>http://h/{'a' * 2_048}</a:Address></e:NotifyTo>", "InvalidMessage"),
        ("", 2 * f"<e:NotifyTo><a:Address>{SINK}</a:Address></e:NotifyTo>", "InvalidMessage"),
        ("<e:Delivery/>", "", "InvalidMessage"),
        (2 * "<e:Expires>PT1M</e:Expires>", "", "InvalidMessage"),
        ("<e:Expires>PT0S</e:Expires>", "", "InvalidExpirationTime"),
        ("<e:Expires>-PT1M</e:Expires>", "", "InvalidExpirationTime"),
        ("<e:Expires>soon</e:Expires>", "", "InvalidExpirationTime"),
        ("<e:Expires/>", "", "InvalidExpirationTime"),
        ("<e:Expires>2030-01-01T00:00:00Z</e:Expires>", "", "UnsupportedExpirationType"),
        ("<e:Filter>//t:a</e:Filter>", "", "FilteringRequestedUnavailable"),
        ("<e:Filter Dialect='urn:d'>x</e:Filter>", "", "FilteringRequestedUnavailable"),
        (f"<e:Filter Dialect='{ACTIONS}'>{'urn:a ' * 65}</e:Filter>", "", "InvalidMessage"),
        ("", "<g:Scope>grid://c</g:Scope>" * 9, "InvalidMessage"),
    ],
)
def test_what_is_wrong_with_a_subscribe_is_told_in_its_own_words(inner: str, delivery: str, fault: str) -> None:
    namespace, local, detail = refused(lambda: read_subscribe(body(inner, delivery=delivery)))
    assert (namespace, local) == (WSE, fault)
    assert (ACTIONS.encode() in detail) is (fault == "FilteringRequestedUnavailable")


@pytest.mark.parametrize(
    "parameters",
    [
        "<a:To>http://victim/</a:To>",
        "<s:Anything/>",
        "<p:P xmlns:p='urn:p'/>" * 17,
        f"<p:P xmlns:p='urn:p'>{'a' * 4_096}</p:P>",
    ],
)
def test_reference_parameters_are_few_small_and_no_addressing(parameters: str) -> None:
    delivery = (
        f"<e:NotifyTo><a:Address>{SINK}</a:Address>"
        f"<a:ReferenceParameters>{parameters}</a:ReferenceParameters></e:NotifyTo>"
    )
    assert refused(lambda: read_subscribe(body("", delivery=delivery)))[:2] == (WSE, "InvalidMessage")


def test_a_body_that_is_something_else_is_an_invalid_message() -> None:
    other = etree.fromstring("<x/>")
    for read in (read_subscribe, read_renew, check_get_status, check_unsubscribe, read_subscription_end):
        for payload in (None, other):
            assert refused(lambda read=read, payload=payload: read(payload))[:2] == (WSE, "InvalidMessage")  # type: ignore[misc, operator]
    check_get_status(etree.fromstring(write_get_status()))
    check_unsubscribe(etree.fromstring(write_unsubscribe()))


def test_answers_are_read_as_they_were_written() -> None:
    granted = Granted(Reference("http://h/s/1", (canonical(_marked()),)), 61.5)
    assert read_subscribe_response(etree.fromstring(write_subscribe_response(granted)), 1.0) == granted
    assert read_renew(etree.fromstring(write_renew(7_200.0))) == 7_200.0
    assert read_renew(etree.fromstring(write_renew(None))) is None
    assert read_renew_response(etree.fromstring(write_renew_response(5.25)), 1.0) == 5.25


def _marked() -> etree._Element:
    return etree.fromstring(f'<i:Id xmlns:i="urn:i" xmlns:w="{WSA}" w:IsReferenceParameter="true">9</i:Id>')


def test_an_answer_that_names_a_point_in_time_or_none_grants_what_was_asked_for() -> None:
    for expires in ("", "<e:Expires>2030-01-01T00:00:00Z</e:Expires>"):
        response = (
            f'<e:SubscribeResponse xmlns:e="{WSE}" xmlns:a="{WSA}"><e:SubscriptionManager>'
            f"<a:Address>{SINK}</a:Address></e:SubscriptionManager>{expires}</e:SubscribeResponse>"
        )
        assert read_subscribe_response(etree.fromstring(response), 60.0) == Granted(Reference(SINK), 60.0)


def test_the_end_of_a_subscription_says_why_in_full() -> None:
    written = write_subscription_end("http://h/s/1", Ending.SOURCE_SHUTTING_DOWN, "it's <over>")
    assert read_subscription_end(etree.fromstring(written)) == Ended(f"{WSE}/SourceShuttingDown", "it's <over>")
    # One l, as one stack writes it.
    other = written.replace(b"/SourceShuttingDown", b"/SourceCanceling")
    assert read_subscription_end(etree.fromstring(other)).status == Ending.SOURCE_CANCELLING


def test_faults_go_out_with_the_action_of_their_specification() -> None:
    def make(call: Callable[[], object]) -> tuple[str, str]:
        with pytest.raises(RemoteError) as caught:
            call()
        envelope = parse(fault_envelope(caught.value.fault, "urn:m:1"))
        read = read_fault(envelope)
        assert read == caught.value.fault
        return envelope.addressing.action, read.subcode

    wrong = body("<e:Filter Dialect='urn:d'>x</e:Filter>")
    assert make(lambda: read_subscribe(wrong)) == (f"{WSE}/fault", f"{{{WSE}}}FilteringRequestedUnavailable")
    offer = Offer("/t", ("urn:a",), gossips=False)
    nothing = Subscribe(Reference(SINK), filter=("urn:b",))
    assert make(lambda: offer.matching(nothing)) == (f"{DPWS}/fault", f"{{{DPWS}}}FilterActionNotSupported")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1S", 1),
        ("PT1H", 3_600),
        ("P1D", 86_400),
        ("P1DT2H3M4.5S", 93_784.5),
        (" PT0.001S ", 0.001),
        ("P1Y2M", 365 * 86_400 + 60 * 86_400),
        ("-PT5M", -300),
        ("PT36000S", 36_000),
        ("P", None),
        ("PT", None),
        ("P1DT", None),
        ("1H", None),
        ("PT1.S", None),
        ("PT1H ago", None),
        ("P1H", None),
        ("PT9999999999S", None),
        ("PT٣S", None),
        ("", None),
    ],
)
def test_durations_are_read_by_the_schema(text: str, seconds: float | None) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "PT0S"),
        (60, "PT1M"),
        (3_600, "PT1H"),
        (5_430.25, "PT1H30M30.25S"),
        (0.0004, "PT0S"),
        (604_800, "P7D"),
        (86_401, "P1DT1S"),
    ],
)
def test_durations_are_written_short(seconds: float, text: str) -> None:
    assert write_duration(seconds) == text
    assert read_duration(text) == pytest.approx(seconds, abs=0.001)


def test_the_events_of_a_wsdl_are_the_outputs_of_its_event_sources() -> None:
    wsdl = f"""<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:e="{WSE}"
      xmlns:m="http://www.w3.org/2007/05/addressing/metadata" xmlns:o="http://www.w3.org/2006/05/addressing/wsdl">
      <w:portType name="A" e:EventSource="true">
        <w:operation name="Call"><w:input m:Action="urn:in"/><w:output m:Action="urn:out"/></w:operation>
        <w:operation name="Alarm"><w:documentation/><w:output m:Action="urn:alarm"/></w:operation>
        <w:operation name="Ask"><w:output o:Action="urn:ask"/><w:input/></w:operation>
      </w:portType>
      <w:portType name="C" e:EventSource="1">
        <w:operation name="Plain"><w:output/></w:operation>
        <w:operation name="Named"><w:output name="Other"/></w:operation>
        <w:operation name="Solicited"><w:output/><w:input/></w:operation>
      </w:portType>
      <w:portType name="B"><w:operation name="Silent"><w:output m:Action="urn:silent"/></w:operation></w:portType>
    </w:definitions>"""
    wsdl = wsdl.replace("<w:definitions", "<w:definitions targetNamespace='http://h/x/'", 1)
    given = {"Alarm": "urn:alarm", "Ask": "urn:ask"}
    default = {
        "Plain": "http://h/x/C/Plain",
        "Named": "http://h/x/C/Other",
        "Solicited": "http://h/x/C/SolicitedSolicit",
    }
    assert read_events(wsdl.encode()) == {**given, **default}
    assert read_events(wsdl.replace("http://h/x/", "urn:x", 1).encode())["Plain"] == "urn:x:C:Plain"
    with pytest.raises(LocalError):
        read_events(b"<half")
