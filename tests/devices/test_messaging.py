"""The rules of DPWS messaging, one by one, over a real socket. A test bears its rule's number, where it has one."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from town import (
    DEMAND_REQUEST,
    GET_DEMAND,
    GET_TARIFF,
    GET_TARIFF_REQUEST,
    SET_TARIFF,
    Device,
    Reply,
    Town,
    as_entry,
    operator,
    plain,
    signed,
    tariff,
)

from gossip_ws.core.peers import Role
from gossip_ws.kernel.names import GOSSIP, SOAP12, TARIFF, WSA, WSA_2004, qname
from gossip_ws.wire.envelope import MAX_ENVELOPE, Addressing, build, message_id, parse

ANONYMOUS = f"{WSA}/anonymous"
UNKNOWN = f'<x:Pay xmlns:x="urn:x" xmlns:s="{SOAP12}" s:mustUnderstand="true"/>'.encode()


@pytest.fixture(scope="module")
def meter() -> Iterator[Device]:
    """One device that signs for its operator, with a tariff."""
    town = Town()
    device = town.open(Role.METER, "grid://messages/1/1", key=town.operator)
    assert device.post("/Tariff", plain(SET_TARIFF, tariff(1)), **operator()).status == 202
    yield device
    town.close()


def detail(reply: Reply) -> str:
    """The text of what a fault says is the problem."""
    return "".join(reply.payload.xpath("s:Detail//text()", namespaces={"s": SOAP12}))  # type: ignore[arg-type]


def get_tariff(blocks: bytes = b"", **addressing: str) -> bytes:
    return plain(GET_TARIFF, GET_TARIFF_REQUEST, blocks, **addressing)


# -- HTTP and SOAP


def test_r0001_a_request_may_come_in_chunks(meter: Device) -> None:
    frame = get_tariff(message_id="urn:uuid:1")
    pieces = [frame[:1], frame[1:700], frame[700:]]
    chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nTrailer: x\r\n\r\n"
    head = b"POST /Tariff HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with socket.create_connection((meter.host.http.host, meter.host.http.port), timeout=5) as sock:
        for sent in (head, chunks[:5], chunks[5:]):
            sock.sendall(sent)
        received = b""
        while more := sock.recv(65_536):
            received += more
    assert received.startswith(b"HTTP/1.1 200 ")
    answer = parse(received.partition(b"\r\n\r\n")[2])
    assert answer.addressing.relates_to == ((f"{WSA}/reply", "urn:uuid:1"),)


def test_r0003_an_envelope_of_32767_octets_is_taken_and_no_larger_one(meter: Device) -> None:
    frame = get_tariff()
    whole = frame.replace(b"</s12:Envelope>", b" " * (MAX_ENVELOPE - len(frame)) + b"</s12:Envelope>")
    assert meter.post("/Tariff", whole).status == 200
    assert meter.post("/Tariff", whole + b" ").fault() == (400, "Sender", qname(GOSSIP, "TooLarge"))


def test_r0013_a_reply_comes_with_200_a_fault_with_400_or_500(meter: Device) -> None:
    assert meter.post("/Tariff", get_tariff()).status == 200
    assert meter.post("/Tariff", plain("urn:none", GET_TARIFF_REQUEST)).status == 400
    assert meter.post("/Tariff", get_tariff(UNKNOWN)).status == 500
    assert meter.post("/Tariff", get_tariff().replace(SOAP12.encode(), b"urn:soap:13")).status == 500


@pytest.mark.parametrize("path", ["/Tariff", "/Tariff/gossip"])
def test_r0017_a_one_way_message_is_accepted_with_an_empty_body(meter: Device, path: str) -> None:
    version = meter.version + 1
    reply = meter.post(path, plain(SET_TARIFF, tariff(version)), **operator())
    assert (reply.status, reply.body, meter.version) == (202, b"", version)


@pytest.mark.parametrize("header", ["to", "message_id", "reply_to"])
def test_r0025_a_uri_of_2048_octets_is_taken_and_no_longer_one(meter: Device, header: str) -> None:
    start = f"{meter.url('/Tariff')}?" if header == "to" else "urn:uuid:"
    reply = meter.post("/Tariff", get_tariff(**{header: start.ljust(2_048, "x")}))
    subcode = qname(WSA, "InvalidAddressingHeader")
    if header == "reply_to":
        # Not too long, but elsewhere.
        assert reply.subsubcode == qname(WSA, "OnlyAnonymousAddressSupported")
    else:
        assert reply.status == 200
    longer = meter.post("/Tariff", get_tariff(**{header: start.ljust(2_049, "x")}))
    assert (longer.fault(), longer.subsubcode) == ((400, "Sender", subcode), qname(WSA, "InvalidAddress"))


def test_r0034_soap_12_is_received_and_sent(meter: Device) -> None:
    reply = meter.post("/Tariff", get_tariff())
    assert reply.body.startswith(f'<s12:Envelope xmlns:s12="{SOAP12}"'.encode())


# -- WS-Addressing


@pytest.mark.parametrize("path", ["/Tariff", "/Metering/gossip"])
def test_r0019_a_reply_relates_to_its_request(meter: Device, path: str) -> None:
    action, body = (GET_TARIFF, GET_TARIFF_REQUEST) if path == "/Tariff" else (GET_DEMAND, DEMAND_REQUEST)
    id = message_id()
    reply = meter.post(path, plain(action, body, message_id=id), **operator())
    assert (reply.status, reply.relates_to, reply.envelope.addressing.action) == (200, id, f"{action}Response")


WRONG = {
    "no such action": plain("urn:none", GET_TARIFF_REQUEST, message_id="urn:uuid:2"),
    "another body": plain(GET_TARIFF, DEMAND_REQUEST, message_id="urn:uuid:2"),
    "an invalid body": plain(SET_TARIFF, f'<SetTariff xmlns="{TARIFF}"/>'.encode(), message_id="urn:uuid:2"),
    "elsewhere": get_tariff(message_id="urn:uuid:2", to="urn:uuid:3"),
    "not understood": get_tariff(UNKNOWN, message_id="urn:uuid:2"),
    "another version": get_tariff(message_id="urn:uuid:2").replace(SOAP12.encode(), b"urn:soap:13"),
    "two actions": get_tariff(b"<wsa:Action>urn:other</wsa:Action>", message_id="urn:uuid:2"),
    "reply elsewhere": get_tariff(message_id="urn:uuid:2", reply_to="http://127.0.0.1/"),
    "reply nowhere": get_tariff(b"<wsa:ReplyTo/>", message_id="urn:uuid:2"),
    "no action": build(Addressing(message_id="urn:uuid:2"), GET_TARIFF_REQUEST),
    "a refused tariff": plain(SET_TARIFF, tariff(1), message_id="urn:uuid:2"),
    "not allowed": plain(GET_DEMAND, DEMAND_REQUEST, message_id="urn:uuid:2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_r0040_every_fault_relates_to_its_request_and_has_a_qualified_subcode(meter: Device, name: str) -> None:
    path = "/Metering/gossip" if name == "not allowed" else "/Tariff"
    reply = meter.post(path, WRONG[name], **(operator() if name == "a refused tariff" else {}))
    status, code, subcode = reply.fault()
    if name == "another version":
        # The id of a message in an envelope that is not understood is not known.
        assert reply.envelope.addressing.relates_to == ()
    else:
        assert reply.relates_to == "urn:uuid:2"
    own_code = code in ("VersionMismatch", "MustUnderstand")
    assert (subcode == "") if own_code else (subcode.startswith("{") and not subcode.startswith("{}"))
    assert status == (500 if own_code else 400)


def test_r0040_holds_for_the_addressing_of_2004(meter: Device) -> None:
    frame = get_tariff(UNKNOWN, message_id="urn:uuid:2").replace(WSA.encode(), WSA_2004.encode())
    reply = meter.post("/Tariff", frame)
    assert (reply.fault(), reply.relates_to) == ((500, "MustUnderstand", ""), "urn:uuid:2")


@pytest.mark.parametrize("header", ["ReplyTo", "FaultTo"])
@pytest.mark.parametrize("path", ["/Tariff", "/Metering/gossip"])
def test_r0031_a_reply_to_elsewhere_is_refused(meter: Device, path: str, header: str) -> None:
    action, body = (GET_TARIFF, GET_TARIFF_REQUEST) if path == "/Tariff" else (GET_DEMAND, DEMAND_REQUEST)
    for address, refused in (("http://127.0.0.1/sink", True), (f"{WSA}/none", True), (ANONYMOUS, False)):
        block = f"<wsa:{header}><wsa:Address>{address}</wsa:Address></wsa:{header}>".encode()
        reply = meter.post(path, plain(action, body, block), **operator())
        if not refused:
            assert reply.status == 200
            continue
        assert reply.fault() == (400, "Sender", qname(WSA, "InvalidAddressingHeader"))
        assert (reply.subsubcode, detail(reply)) == (qname(WSA, "OnlyAnonymousAddressSupported"), f"wsa:{header}")
        assert reply.envelope.addressing.action == f"{WSA}/fault"


def test_r0031_holds_for_a_message_that_its_client_signed(meter: Device) -> None:
    frame = as_entry(signed(Town.client, SET_TARIFF, tariff(meter.version + 1)))
    block = b"<wsa:ReplyTo><wsa:Address>http://127.0.0.1/sink</wsa:Address></wsa:ReplyTo></s12:Header>"
    before = meter.version
    reply = meter.post("/Tariff/gossip", frame.replace(b"</s12:Header>", block))
    assert (reply.fault()[0], reply.subsubcode) == (400, qname(WSA, "OnlyAnonymousAddressSupported"))
    assert meter.version == before
    assert meter.post("/Tariff/gossip", frame).status == 202


def test_r5005_who_addresses_a_message_says_its_action(meter: Device) -> None:
    reply = meter.post("/Tariff", build(Addressing(to=meter.url("/Tariff")), GET_TARIFF_REQUEST))
    assert reply.fault() == (400, "Sender", qname(WSA, "MessageAddressingHeaderRequired"))
    assert detail(reply) == "wsa:Action"


def test_a_legacy_message_without_addressing_is_told_by_its_body(meter: Device) -> None:
    assert meter.post("/Tariff", build(Addressing(), GET_TARIFF_REQUEST)).status == 200
    unknown = meter.post("/Tariff", build(Addressing(), b'<Other xmlns="urn:x"/>'))
    assert unknown.fault() == (400, "Sender", qname(WSA, "ActionNotSupported"))


def test_an_action_that_is_sent_is_checked_against_the_service_the_body_and_http(meter: Device) -> None:
    for frame, problem in (
        (plain("urn:none", GET_TARIFF_REQUEST), "urn:none"),
        (plain(GET_DEMAND, GET_TARIFF_REQUEST), GET_DEMAND),
        (plain(SET_TARIFF, GET_TARIFF_REQUEST), SET_TARIFF),
    ):
        reply = meter.post("/Tariff", frame, **operator())
        assert reply.fault() == (400, "Sender", qname(WSA, "ActionNotSupported"))
        assert detail(reply) == problem
    for said, status in ((f'"{GET_TARIFF}"', 200), ('""', 200), (GET_TARIFF, 200), (f'"{SET_TARIFF}"', 400)):
        assert meter.post("/Tariff", get_tariff(), SOAPAction=said).status == status
    assert meter.post("/Tariff", get_tariff(), SOAPAction="urn:x").subsubcode == qname(WSA, "ActionMismatch")


def test_a_header_that_may_stand_once_stands_once(meter: Device) -> None:
    reply = meter.post("/Tariff", get_tariff(b"<wsa:Action>%b</wsa:Action>" % GET_TARIFF.encode()))
    assert reply.fault() == (400, "Sender", qname(WSA, "InvalidAddressingHeader"))
    assert (reply.subsubcode, detail(reply)) == (qname(WSA, "InvalidCardinality"), "wsa:Action")


def test_a_device_is_addressed_by_its_identity_or_its_transport_address(meter: Device) -> None:
    for to in ("", ANONYMOUS, meter.id, meter.url("/Tariff")):
        assert meter.post("/Tariff", get_tariff(to=to)).status == 200
    reply = meter.post("/Tariff", get_tariff(to="urn:uuid:somebody-else"))
    assert reply.fault() == (400, "Sender", qname(WSA, "DestinationUnreachable"))
    assert detail(reply) == "urn:uuid:somebody-else"


# -- which fault comes first


@pytest.mark.parametrize("path", ["/Tariff", "/Tariff/gossip", "/device"])
def test_faults_come_in_the_order_of_soap(meter: Device, path: str) -> None:
    """Another version, then what is not understood, then what else the sender did."""
    twice = b"<wsa:Action>urn:other</wsa:Action>"
    sender = plain("urn:none", b"<a/>", twice, to="urn:elsewhere", reply_to="http://127.0.0.1/")
    both = sender.replace(twice, twice + UNKNOWN)
    all_three = both.replace(SOAP12.encode(), b"urn:soap:13")
    codes = [meter.post(path, frame).fault()[1] for frame in (all_three, both, sender)]
    assert codes == ["VersionMismatch", "MustUnderstand", "Sender"]


def test_a_fault_of_soap_says_what_would_do(meter: Device) -> None:
    frame = get_tariff(UNKNOWN)
    reply = meter.post("/Tariff", frame)
    (block,) = (one for one in reply.envelope.headers if one.tag == qname(SOAP12, "NotUnderstood"))
    prefix, _, local = block.get("qname", "").partition(":")
    assert (block.nsmap[prefix], local) == ("urn:x", "Pay")
    reply = meter.post("/device", frame.replace(SOAP12.encode(), b"urn:soap:13"))
    (block,) = (one for one in reply.envelope.headers if one.tag == qname(SOAP12, "Upgrade"))
    prefix, _, local = block[0].get("qname", "").partition(":")
    assert (block.nsmap[prefix], local) == (SOAP12, "Envelope")
