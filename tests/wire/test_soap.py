"""Faults, replies and the mustUnderstand rule."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gossip_ws.kernel.errors import Fault, FaultCode, RemoteError, sender_fault
from gossip_ws.kernel.names import DPWS, GOSSIP, SOAP12, WSA, WSD, QName, qname
from gossip_ws.wire.envelope import MAX_ENVELOPE, Addressing, build, parse
from gossip_ws.wire.soap import (
    ADDRESSING_HEADERS,
    FAULT_ACTION,
    fault_envelope,
    read_fault,
    reply_envelope,
    understand,
)

ID = "urn:uuid:00000000-0000-0000-0000-000000000001"
S = {"s": SOAP12}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(FaultCode),
    st.sampled_from([qname(GOSSIP, "TooMany"), qname(WSA, "ActionNotSupported"), qname(DPWS, "FilteringNotSupported")]),
    st.text(),
    st.sampled_from([b"", b"<d>x</d>", b'<d xmlns:p="urn:p">p:name</d>']),
)
def test_a_fault_is_read_back_whatever_its_reason(code: FaultCode, subcode: QName, reason: str, detail: bytes) -> None:
    found = read_fault(parse(fault_envelope(Fault(code, subcode, reason, detail), ID)))
    assert found is not None
    assert (found.code, found.subcode, found.detail) == (code, subcode, detail)
    if reason.isprintable():
        assert found.reason == reason.strip()


def test_a_fault_has_all_that_strict_peers_want() -> None:
    fault = sender_fault("NotAuthorised", "not <you> & yours").fault
    envelope = parse(fault_envelope(fault, ID))
    assert envelope.addressing.action == FAULT_ACTION
    assert envelope.addressing.relates_to == ((WSA + "/reply", ID),)
    assert envelope.addressing.message_id.startswith("urn:uuid:")
    assert envelope.payload is not None
    value = envelope.payload.find("s:Code/s:Subcode/s:Value", S)
    assert value is not None
    prefix, _, local = (value.text or "").partition(":")
    assert (value.nsmap[prefix], local) == (GOSSIP, "NotAuthorised")
    text = envelope.payload.find("s:Reason/s:Text", S)
    assert text is not None
    assert text.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
    assert text.text == fault.reason


@pytest.mark.parametrize(
    ("subcode", "action"),
    [
        (qname(WSA, "ActionNotSupported"), "http://www.w3.org/2005/08/addressing/fault"),
        (qname(WSD, "MatchingRuleNotSupported"), "http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01/fault"),
        (qname(DPWS, "FilteringNotSupported"), "http://docs.oasis-open.org/ws-dd/ns/dpws/2009/01/fault"),
        (qname(SOAP12, "MustUnderstand"), "http://www.w3.org/2005/08/addressing/soap/fault"),
        (qname(GOSSIP, "TooMany"), "http://www.w3.org/2005/08/addressing/soap/fault"),
    ],
)
def test_a_fault_has_the_action_of_the_specification_that_defines_it(subcode: QName, action: str) -> None:
    addressing = parse(fault_envelope(Fault(FaultCode.SENDER, subcode, "no"))).addressing
    assert (addressing.action, addressing.relates_to) == (action, ())


def test_a_fault_always_fits_an_envelope() -> None:
    fault = Fault(FaultCode.RECEIVER, qname(GOSSIP, "X"), "\x00&" * 50_000, b"<d>%b</d>" % (b"x" * 50_000))
    octets = fault_envelope(fault, ID)
    assert len(octets) <= MAX_ENVELOPE
    found = read_fault(parse(octets))
    assert found is not None
    assert found.detail == b""


@pytest.mark.parametrize(
    "body",
    [
        f'<s:Fault xmlns:s="{SOAP12}"/>',
        f'<s:Fault xmlns:s="{SOAP12}"><s:Code><s:Value>none:such</s:Value><s:Subcode/></s:Code></s:Fault>',
        f'<s:Fault xmlns:s="{SOAP12}"><s:Code/><s:Reason/><s:Detail/></s:Fault>',
    ],
)
def test_a_poor_fault_is_a_fault(body: str) -> None:
    found = read_fault(parse(build(Addressing("urn:a"), body.encode())))
    assert found == Fault(FaultCode.RECEIVER, QName(""), "")


def test_what_is_no_fault_is_none() -> None:
    assert read_fault(parse(build(Addressing("urn:a"), b"<a/>"))) is None
    assert read_fault(parse(build(Addressing("urn:a"), b""))) is None


def test_a_reply_says_to_what() -> None:
    envelope = parse(reply_envelope("urn:re", ID, b"<a/>", b"<h/>"))
    assert (envelope.addressing.action, envelope.addressing.relates_to) == ("urn:re", ((WSA + "/reply", ID),))
    assert [etree.QName(block).localname for block in envelope.headers][-1] == "h"
    assert parse(reply_envelope("urn:re", "", b"<a/>")).addressing.relates_to == ()


@pytest.mark.parametrize(
    ("attributes", "refused"),
    [
        ('s:mustUnderstand="true"', True),
        ('s:mustUnderstand="1"', True),
        ('s:mustUnderstand="0"', False),
        ("", False),
        (f's:mustUnderstand="1" s:role="{SOAP12}/role/next"', True),
        (f's:mustUnderstand="1" s:role="{SOAP12}/role/ultimateReceiver"', True),
        (f's:mustUnderstand="1" s:role="{SOAP12}/role/none"', False),
        ('s:mustUnderstand="1" s:role="urn:other"', False),
    ],
)
def test_must_understand(attributes: str, refused: bool) -> None:
    block = f'<x:Odd xmlns:x="urn:x" xmlns:s="{SOAP12}" {attributes}/>'.encode()
    envelope = parse(build(Addressing("urn:a", ID, "urn:to"), b"", block))
    understand(envelope.headers, ADDRESSING_HEADERS | {qname("urn:x", "Odd")})
    if refused:
        with pytest.raises(RemoteError) as caught:
            understand(envelope.headers, ADDRESSING_HEADERS)
        assert caught.value.fault.code is FaultCode.MUST_UNDERSTAND
    else:
        understand(envelope.headers, ADDRESSING_HEADERS)
