"""SOAP 1.1 rewritten as SOAP 1.2 and back: nothing is lost on the way, nothing gets through that SOAP 1.2 refuses."""

from __future__ import annotations

import pytest
from lxml import etree

from gossip_ws.kernel.errors import Fault, FaultCode, RemoteError, sender_fault
from gossip_ws.kernel.names import GOSSIP, SOAP12, WSA, qname
from gossip_ws.wire.envelope import MAX_ENVELOPE, canonical, content_prefixes, header_fault, parse, unwrap
from gossip_ws.wire.soap import NotUnderstood, fault_envelope, reply_envelope, understand
from gossip_ws.wire.soap11 import SOAP11, is_legacy, may_be_soap11, to_soap11, to_soap12

ID = "urn:uuid:00000000-0000-0000-0000-000000000001"
ENVELOPE = f'<e:Envelope xmlns:e="{SOAP11}" xmlns:xsd="urn:xsd" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'


def envelope(body: str, header: str = "") -> bytes:
    return f"{ENVELOPE}{header}<e:Body>{body}</e:Body></e:Envelope>".encode()


def rewritten(frame: bytes) -> bytes:
    found = to_soap12(frame)
    assert found is not None
    return found


def test_the_body_keeps_its_names_and_the_prefixes_that_its_content_uses() -> None:
    body = '<a:A xmlns:a="urn:a" xsi:type="xsd:t" a:b="1"><c xmlns="">a:x</c><d xmlns="urn:d">&lt;&#233;</d></a:A>'
    payload = parse(rewritten(envelope(body))).payload
    assert payload is not None
    expected = etree.fromstring(envelope(body))[0][0]
    prefixes = content_prefixes(expected)
    assert prefixes == ("a", "xsd")
    assert canonical(payload, prefixes) == canonical(expected, prefixes)


def test_prefixes_that_mean_something_else_here_do_no_harm() -> None:
    frame = (
        f'<Envelope xmlns="{SOAP11}" xmlns:s12="urn:odd" xmlns:ns0="urn:odder" xmlns:soap="urn:other">'
        '<Header xmlns:h="urn:h"><h:x s12:y="h:z"/></Header>'
        '<Body xmlns:r="urn:r"><ns0:a soap:v="r:w"/></Body></Envelope>'
    ).encode()
    read = parse(rewritten(frame))
    assert [(block.tag, dict(block.attrib), block.nsmap["h"]) for block in read.headers] == [
        ("{urn:h}x", {"{urn:odd}y": "h:z"}, "urn:h")
    ]
    assert read.payload is not None
    assert (read.payload.tag, read.payload.nsmap["r"]) == ("{urn:odder}a", "urn:r")


def test_an_envelope_in_another_encoding() -> None:
    frame = f'<?xml version="1.0" encoding="utf-16"?>{envelope("<a>é</a>").decode()}'.encode("utf-16")
    payload = parse(rewritten(frame)).payload
    assert payload is not None
    assert payload.text == "é"


@pytest.mark.parametrize(
    ("attributes", "refused"),
    [
        ('e:mustUnderstand="1"', True),
        ('e:mustUnderstand="1" e:actor=""', True),
        ('e:mustUnderstand="1" e:actor="http://schemas.xmlsoap.org/soap/actor/next"', True),
        ('e:mustUnderstand="1" e:actor="urn:somebody"', False),
        ('e:mustUnderstand="0"', False),
        ("", False),
    ],
)
def test_must_understand_means_the_same(attributes: str, refused: bool) -> None:
    header = f'<e:Header><x:Odd xmlns:x="urn:x" {attributes}/></e:Header>'
    headers, _ = unwrap(rewritten(envelope("<a/>", header)))
    if refused:
        with pytest.raises(NotUnderstood):
            understand(headers, frozenset[str]())
    else:
        understand(headers, frozenset[str]())


def test_what_is_no_soap_11_is_not_touched() -> None:
    assert to_soap12(reply_envelope("urn:a", "", b"<a/>")) is None
    assert to_soap12(b"<Envelope/>") is None


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"junk",
        envelope("<a>")[:-3],
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + envelope("<a>&b;</a>"),
        b"<!DOCTYPE a>" + envelope("<a/>"),
        envelope("<a/>").ljust(MAX_ENVELOPE + 1),
    ],
)
def test_size_and_form_are_looked_at_first(frame: bytes) -> None:
    with pytest.raises(RemoteError):
        to_soap12(frame)


@pytest.mark.parametrize(
    "frame",
    [
        f"{ENVELOPE}</e:Envelope>".encode(),
        f"{ENVELOPE}<e:Body/><e:Body/></e:Envelope>".encode(),
        f"{ENVELOPE}<e:Body/><after/></e:Envelope>".encode(),
        envelope("<a/><b/>"),
    ],
    ids=["no Body", "two Bodies", "something behind the Body", "two elements in the Body"],
)
def test_what_soap_12_refuses_is_left_to_it(frame: bytes) -> None:
    with pytest.raises(RemoteError, match="Body"):
        unwrap(rewritten(frame))


def test_a_reply_is_told_in_soap_11() -> None:
    reply = to_soap11(reply_envelope("urn:re", ID, b'<a:A xmlns:a="urn:a">x</a:A>', b'<h:h xmlns:h="urn:h"/>'))
    assert SOAP12.encode() not in reply
    root = etree.fromstring(reply)
    assert [part.tag for part in root] == [f"{{{SOAP11}}}Header", f"{{{SOAP11}}}Body"]
    assert root[1][0].tag == "{urn:a}A"
    assert (root.findtext(f".//{{{WSA}}}RelatesTo"), root[0][-1].tag) == (ID, "{urn:h}h")


@pytest.mark.parametrize(
    ("fault", "code", "detail"),
    [
        (sender_fault("Bad", "because").fault, qname(GOSSIP, "Bad"), ""),
        (Fault(FaultCode.RECEIVER, qname("urn:a", "b"), "because", b"<d>x</d>"), qname("urn:a", "b"), "<d>x</d>"),
        (Fault(FaultCode.SENDER, qname("", ""), "because"), qname(SOAP11, "Client"), ""),
        (NotUnderstood(qname("urn:x", "Pay")).fault, qname(SOAP11, "MustUnderstand"), None),
        (
            Fault(FaultCode.VERSION_MISMATCH, qname(SOAP12, "VersionMismatch"), "because"),
            qname(SOAP11, "VersionMismatch"),
            None,
        ),
        (
            header_fault("OnlyAnonymousAddressSupported", qname(WSA, "ReplyTo"), "because").fault,
            qname(WSA, "OnlyAnonymousAddressSupported"),
            None,
        ),
    ],
)
def test_a_fault_is_told_by_its_most_specific_code(fault: Fault, code: str, detail: str | None) -> None:
    envelope12 = fault_envelope(fault, ID, b'<s12:NotUnderstood qname="x"/>')
    root = etree.fromstring(to_soap11(envelope12))
    told = root.find(f"{{{SOAP11}}}Body/{{{SOAP11}}}Fault")
    assert told is not None
    assert root.findtext(f".//{{{WSA}}}RelatesTo") == ID
    value = told.find("faultcode")
    assert value is not None
    prefix, _, local = (value.text or "").partition(":")
    assert qname(value.nsmap[prefix], local) == code
    assert told.findtext("faultstring") == fault.reason
    found = told.find("detail")
    assert (None if found is None else b"".join(map(canonical, found)).decode()) == detail
    # What is wrong with a header is told in a header.
    problem = root.findtext(f"{{{SOAP11}}}Header/{{{WSA}}}FaultDetail/{{{WSA}}}ProblemHeaderQName")
    assert problem == ("wsa:ReplyTo" if fault.subsubcode else None)


@pytest.mark.parametrize(
    ("content_type", "is_it"),
    [("text/xml", True), ("Text/XML; charset=utf-8", True), ("application/soap+xml", False), ("", False)],
)
def test_the_media_type_says_who_reads_the_fault(content_type: str, is_it: bool) -> None:
    assert is_legacy(content_type) is is_it
    assert may_be_soap11(b"<a/>", content_type) is is_it
    assert may_be_soap11(envelope(""), content_type)
