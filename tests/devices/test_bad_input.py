"""What a device makes of envelopes that are none, or not for it: a fault that says so over HTTP, silence and a counter
over UDP, and nothing else."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Iterator
from contextlib import closing

import pytest
from town import (
    DEADLINE,
    DEMAND_REQUEST,
    GET_DEMAND,
    GET_TARIFF,
    GET_TARIFF_REQUEST,
    SET_TARIFF,
    Device,
    Grid,
    as_entry,
    as_hop,
    operator,
    plain,
    signed,
    tariff,
    wait_for,
)

from gossip_ws.kernel.names import DPWS, GOSSIP, SOAP12, TARIFF, WSA, WSD, qname
from gossip_ws.wire.envelope import MAX_ENVELOPE, MAX_UDP_ENVELOPE

MALFORMED = qname(GOSSIP, "Malformed")
NOT_SUPPORTED = qname(WSA, "ActionNotSupported")
ENVELOPE = f'<s:Envelope xmlns:s="{SOAP12}"><s:Header/>%s</s:Envelope>'
LAUGHS = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
JUNK = {
    "words": b"a tariff, please",
    "nothing": b" ",
    "half an envelope": plain(SET_TARIFF, tariff(1))[:-40],
    "two roots": plain(SET_TARIFF, tariff(1)) * 2,
    "control characters": b"\x00\x01\x02" * 20,
    "gzip": gzip.compress(plain(SET_TARIFF, tariff(1))),
    "a DTD": b"<!DOCTYPE a>" + plain(SET_TARIFF, tariff(1)),
    "an entity bomb": (
        f'<!DOCTYPE s [<!ENTITY l0 "ha">{LAUGHS}]>' + ENVELOPE % "<s:Body><a>&l9;</a></s:Body>"
    ).encode(),
    "a file as an entity": (
        '<!DOCTYPE s [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + ENVELOPE % "<s:Body><a>&e;</a></s:Body>"
    ).encode(),
    "an undeclared entity": (ENVELOPE % "<s:Body><a>&e;</a></s:Body>").encode(),
    "an encoding nobody knows": b'<?xml version="1.0" encoding="ebcdic-9"?>' + plain(SET_TARIFF, tariff(1)),
    "another encoding than declared": b'<?xml version="1.0" encoding="utf-16"?>' + plain(SET_TARIFF, tariff(1)),
    "octets that are no UTF-8": plain(SET_TARIFF, tariff(1)).replace(b"winter", b"\xff\xfe\xfd"),
    "nesting without end": (ENVELOPE % f"<s:Body>{'<a>' * 400}{'</a>' * 400}</s:Body>").encode(),
    "no Body": (ENVELOPE % "").encode(),
    "two Bodies": (ENVELOPE % "<s:Body/><s:Body/>").encode(),
    "two elements in the Body": (ENVELOPE % "<s:Body><a/><b/></s:Body>").encode(),
}


@pytest.fixture
def unharmed(town: Grid) -> Iterator[Grid]:
    """Whatever the test does to the devices: no frame leaves them, none gets a tariff, and a good push works."""
    left, versions = town.settled(), town.versions()
    yield town
    assert town.settled() == left
    assert town.versions() == versions
    town.push()


@pytest.mark.parametrize("path", ["/Tariff", "/Tariff/gossip", "/gossip", "/device"])
@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_over_http(unharmed: Grid, path: str, junk: bytes) -> None:
    assert unharmed.top.post(path, junk, **operator()).fault() == (400, "Sender", MALFORMED)


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_over_udp(unharmed: Grid, junk: bytes) -> None:
    silent(unharmed.meter, junk, "Malformed")


def test_an_empty_datagram_and_an_empty_request(unharmed: Grid) -> None:
    unharmed.meter.datagram(b"")
    assert unharmed.meter.post("/Tariff", b"").fault() == (400, "Sender", MALFORMED)


def silent(device: Device, frame: bytes, reason: str) -> None:
    """No answer, and one more of `reason`."""
    before = device.counters[reason]
    device.datagram(frame)
    assert device.counters[reason] == before + 1, device.counters


def padded(frame: bytes, size: int) -> bytes:
    """The same message, of `size` octets."""
    return frame.replace(b"</s12:Envelope>", b" " * (size - len(frame)) + b"</s12:Envelope>")


def test_an_envelope_that_is_too_large(unharmed: Grid) -> None:
    frame = padded(plain(GET_TARIFF, GET_TARIFF_REQUEST), MAX_ENVELOPE + 1)
    for path in ("/Tariff", "/Tariff/gossip", "/gossip"):
        assert unharmed.top.post(path, frame, **operator()).fault() == (400, "Sender", qname(GOSSIP, "TooLarge"))
    # More than any envelope: the listener does not even take it in.
    assert unharmed.top.post("/Tariff", padded(frame, 70_000)).status == 413
    fits = unharmed.meter.post("/Tariff", padded(plain(GET_TARIFF, GET_TARIFF_REQUEST), MAX_ENVELOPE))
    assert fits.status in (200, 500)


@pytest.mark.parametrize("size", [MAX_UDP_ENVELOPE + 1, 40_000, 65_507])
def test_a_datagram_that_is_too_large(unharmed: Grid, size: int) -> None:
    content = signed(unharmed.client, SET_TARIFF, tariff(unharmed.next_version()))
    silent(unharmed.meter, padded(as_hop(content, unharmed.other_meter.id), size), "TooLarge")


def test_soap_11_is_another_version_where_no_hosted_service_is(unharmed: Grid) -> None:
    frame = plain(SET_TARIFF, tariff(9)).replace(SOAP12.encode(), b"http://schemas.xmlsoap.org/soap/envelope/")
    for path in ("/gossip", "/device"):
        reply = unharmed.top.post(path, frame, content_type="text/xml; charset=utf-8", **operator())
        assert reply.fault() == (500, "VersionMismatch", "")
        assert reply.envelope.addressing.action == f"{WSA}/soap/fault"
    silent(unharmed.meter, frame, "VersionMismatch")


@pytest.mark.parametrize("charset", ["utf-7", "x-nothing", "iso-8859-15", '"ebcdic"'])
def test_a_charset_that_is_not_spoken(unharmed: Grid, charset: str) -> None:
    frame = plain(GET_TARIFF, GET_TARIFF_REQUEST)
    reply = unharmed.top.post("/Tariff", frame, content_type=f"application/soap+xml; charset={charset}")
    assert (reply.status, reply.body) == (415, b"")


@pytest.mark.parametrize(
    ("path", "media"),
    [
        ("/Tariff", "text/xml"),
        ("/Tariff/gossip", "text/xml"),
        ("/device", "text/xml"),
        ("/device", "application/xop+xml"),
    ],
)
def test_attachments_are_told_what_is_taken_instead(unharmed: Grid, path: str, media: str) -> None:
    """SOAP with attachments; and MTOM where no service is, whose operations could want octets."""
    kind = f'Multipart/Related; boundary=b; type="{media}"; start="<1>"; start-info="application/soap+xml"'
    part = b'--b\r\nContent-Type: application/xop+xml; type="application/soap+xml"\r\nContent-ID: <1>\r\n\r\n'
    frame = part + plain(GET_TARIFF, GET_TARIFF_REQUEST) + b"\r\n--b--\r\n"
    to = unharmed.top.host.http
    with closing(http.client.HTTPConnection(to.host, to.port, timeout=DEADLINE)) as connection:
        connection.request("POST", path, frame, {"Content-Type": kind})
        response = connection.getresponse()
        assert (response.status, response.read()) == (415, b"")
        assert response.headers["Accept"] == "application/soap+xml, text/xml"
        # That would say that the coding was wrong (RFC 9110 section 12.5.3).
        assert response.headers["Accept-Encoding"] is None


@pytest.mark.parametrize("path", ["/Tariff", "/Tariff/gossip"])
def test_a_packaging_that_is_cut_off(unharmed: Grid, path: str) -> None:
    kind = 'multipart/related; boundary=b; type="application/xop+xml"'
    frame = b"--b\r\nContent-ID: <1>\r\n\r\n" + plain(GET_TARIFF, GET_TARIFF_REQUEST)
    reply = unharmed.top.post(path, frame, content_type=kind)
    assert reply.fault() == (400, "Sender", MALFORMED)


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("/Tariff", f"{TARIFF}:SetPrice"),
        ("/Tariff", GET_DEMAND),
        ("/Tariff/gossip", f"{TARIFF}:SetPrice"),
        ("/Tariff/gossip", GET_TARIFF),
        ("/gossip", SET_TARIFF),
        ("/device", SET_TARIFF),
        ("/Peers", "urn:gossip-ws:2026:Receipt"),
    ],
)
def test_an_action_that_is_not_there(unharmed: Grid, path: str, action: str) -> None:
    frame = plain(action, tariff(9), message_id="urn:uuid:1")
    reply = unharmed.top.post(path, frame, **operator())
    assert reply.fault() == (400, "Sender", qname(WSA, "ActionNotSupported"))
    assert (reply.relates_to, reply.envelope.addressing.action) == ("urn:uuid:1", f"{WSA}/fault")


@pytest.mark.parametrize("path", ["/", "/nothing", "/Tariff/", "/Tariff/gossip/gossip", "/Peers/gossip"])
def test_an_address_that_is_not_there(unharmed: Grid, path: str) -> None:
    assert unharmed.top.post(path, plain(SET_TARIFF, tariff(9)), **operator()).status == 404
    assert unharmed.top.get(path).status == 404


@pytest.mark.parametrize("path", ["/Tariff", "/Tariff/gossip", "/device"])
def test_a_header_that_has_to_be_understood_and_is_not(unharmed: Grid, path: str) -> None:
    block = f'<x:Pay xmlns:x="urn:x" xmlns:s="{SOAP12}" s:mustUnderstand="true"/>'.encode()
    frame = plain(SET_TARIFF, tariff(9), block, message_id="urn:uuid:2", to=unharmed.meter.url(path))
    reply = unharmed.meter.post(path, frame, **operator())
    assert reply.fault() == (500, "MustUnderstand", "")
    assert reply.relates_to == "urn:uuid:2"
    if path != "/device":
        silent(unharmed.meter, frame, "MustUnderstand")
    hop = as_hop(signed(unharmed.client, SET_TARIFF, tariff(9)), unharmed.other_meter.id)
    silent(unharmed.meter, hop.replace(b"<wsa:Action", block + b"<wsa:Action", 1), "MustUnderstand")


@pytest.mark.parametrize("header", ["reply_to", "fault_to"])
@pytest.mark.parametrize("path", ["/Tariff", "/Tariff/gossip"])
def test_over_http_a_reply_goes_nowhere_else(unharmed: Grid, path: str, header: str) -> None:
    to = f"{WSA}/anonymous"
    elsewhere = unharmed.meter.url("/Tariff")
    block = f"<wsa:FaultTo><wsa:Address>{elsewhere}</wsa:Address></wsa:FaultTo>".encode()
    given = (
        {"reply_to": elsewhere, "message_id": "urn:uuid:3"} if header == "reply_to" else {"message_id": "urn:uuid:3"}
    )
    frame = plain(SET_TARIFF, tariff(9), b"" if header == "reply_to" else block, to=to, **given)
    reply = unharmed.top.post(path, frame, **operator())
    assert reply.fault() == (400, "Sender", qname(WSA, "InvalidAddressingHeader"))
    assert reply.subsubcode == qname(WSA, "OnlyAnonymousAddressSupported")
    assert reply.relates_to == "urn:uuid:3"


@pytest.mark.parametrize("path", ["/Tariff", "/Tariff/gossip", "/Metering/gossip"])
def test_a_message_for_somebody_else(unharmed: Grid, path: str) -> None:
    action, body = (GET_DEMAND, DEMAND_REQUEST) if "Metering" in path else (SET_TARIFF, tariff(9))
    for to in (
        unharmed.meter.id,
        "urn:uuid:0",
        unharmed.top.url("/other"),
        f"soap.udp://127.0.0.1:1{path}",
        "urn:x",
        "x",
    ):
        reply = unharmed.top.post(path, plain(action, body, to=to, message_id="urn:uuid:4"), **operator())
        assert reply.fault() == (400, "Sender", qname(WSA, "DestinationUnreachable"))
        assert reply.relates_to == "urn:uuid:4"


def test_a_datagram_for_somebody_else(unharmed: Grid) -> None:
    for to in (unharmed.top.id, "urn:x", "", "soap.udp://127.0.0.1:3702/other"):
        silent(unharmed.meter, plain(GET_TARIFF, GET_TARIFF_REQUEST, to=to), "ActionNotSupported")


def test_addressing_that_contradicts_itself(unharmed: Grid) -> None:
    block = f"<wsa:Action>{GET_DEMAND}</wsa:Action>".encode()
    reply = unharmed.top.post("/Tariff", plain(GET_TARIFF, GET_TARIFF_REQUEST, block))
    assert reply.fault() == (400, "Sender", qname(WSA, "InvalidAddressingHeader"))
    long = plain(GET_TARIFF, GET_TARIFF_REQUEST, to="http://" + "a" * 3_000)
    assert unharmed.top.post("/Tariff", long).fault() == (400, "Sender", qname(WSA, "InvalidAddressingHeader"))


@pytest.mark.parametrize("path", ["/Tariff", "/Tariff/gossip"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {qname(GOSSIP, "InvalidPayload"), MALFORMED}),
        (f'<SetTariff xmlns="{TARIFF}"/>'.encode(), {qname(GOSSIP, "InvalidPayload")}),
        (GET_TARIFF_REQUEST, {NOT_SUPPORTED}),
        (b"<SetTariff/>", {NOT_SUPPORTED}),
        (DEMAND_REQUEST, {NOT_SUPPORTED}),
    ],
    ids=["empty", "no tariff", "another operation", "no namespace", "another service"],
)
def test_a_body_that_does_not_go_with_the_action(unharmed: Grid, path: str, body: bytes, expected: set[str]) -> None:
    reply = unharmed.top.post(path, plain(SET_TARIFF, body, message_id="urn:uuid:5"), **operator())
    status, code, subcode = reply.fault()
    assert (status, code, reply.relates_to) == (400, "Sender", "urn:uuid:5")
    assert subcode in expected


def test_a_request_with_another_body_is_asked_of_nobody(unharmed: Grid) -> None:
    tomorrow = DEMAND_REQUEST.replace(b"2026-11-21", b"tomorrow")
    for body, subcode in ((GET_TARIFF_REQUEST, NOT_SUPPORTED), (tomorrow, qname(GOSSIP, "InvalidPayload"))):
        reply = unharmed.top.post("/Metering/gossip", plain(GET_DEMAND, body), **operator())
        assert reply.fault() == (400, "Sender", subcode)


CYCLE = (
    f'<SetTariff xmlns="{TARIFF}"><tariff href="#1"/></SetTariff>',
    f'<SetTariff xmlns="{TARIFF}" id="1"><tariff href="#1"><id href="#1"/></tariff></SetTariff>',
    f'<SetTariff xmlns="{TARIFF}">{"<tariff>" * 200}{"</tariff>" * 200}</SetTariff>',
)


@pytest.mark.parametrize("body", CYCLE, ids=["a reference", "a cycle", "tariffs in tariffs"])
@pytest.mark.parametrize("path", ["/Tariff", "/Tariff/gossip"])
def test_references_and_recursion_reach_no_service(unharmed: Grid, path: str, body: str) -> None:
    reply = unharmed.top.post(path, plain(SET_TARIFF, body.encode()), **operator())
    assert reply.fault() == (400, "Sender", qname(GOSSIP, "InvalidPayload"))


def test_a_probe_by_a_rule_that_nobody_knows(unharmed: Grid) -> None:
    """Directed discovery is not on at these devices; what is wrong with it is told in the right namespace."""
    probe = f'<d:Probe xmlns:d="{WSD}"><d:Types xmlns:p="{DPWS}">p:Device</d:Types></d:Probe>'.encode()
    reply = unharmed.top.post(
        "/device", plain(f"{WSD}/Probe", probe, to="urn:docs-oasis-open-org:ws-dd:ns:discovery:2009:01")
    )
    assert reply.fault() == (400, "Sender", qname(WSA, "ActionNotSupported"))


def test_methods_and_queries_that_are_not_there(unharmed: Grid) -> None:
    assert unharmed.top.get("/Tariff?wsdl=2").status == 404
    assert unharmed.top.get("/Tariff").status == 404
    assert unharmed.top.get("/../../etc/passwd?wsdl").status == 404


def test_a_good_message_in_between(town: Grid) -> None:
    """The sieve is not simply closed."""
    town.push()
    version = town.next_version()
    entered = town.meter.post("/Tariff/gossip", as_entry(signed(town.client, SET_TARIFF, tariff(version))))
    assert (entered.status, entered.body) == (202, b"")
    wait_for(lambda: town.versions() == [version] * len(town.devices))
