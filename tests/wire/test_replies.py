"""Single replies as octets: as they were made, within an envelope, whoever made them."""

from __future__ import annotations

import pytest
from lxml import etree

from gossip_ws.core.messages import DeviceReply, Partial, Receipt, Standing, Tally
from gossip_ws.core.replies import MAX_PARTS, Outbox, octets, size
from gossip_ws.core.spread import MAX_BY_UDP
from gossip_ws.kernel.errors import Fault, FaultCode, RemoteError
from gossip_ws.kernel.names import GOSSIP, DeviceId, GossipId, qname
from gossip_ws.wire.envelope import MAX_ENVELOPE, MAX_UDP_ENVELOPE, Addressing, build, parse
from gossip_ws.wire.gossip import XmlCodec
from gossip_ws.wire.replies import (
    Part,
    read_get_replies,
    read_part,
    read_replies,
    write_get_replies,
    write_part,
    write_replies,
)

ABOUT = GossipId(bytes(range(32)))
SENDER = DeviceId("urn:uuid:00000000-0000-4000-8000-000000000001")
FAULT = Fault(FaultCode.SENDER, qname("urn:test", "Broken"), "5 < 6 & \"so\" 'on'", b"<d>why</d>")


def device(number: int) -> DeviceId:
    return DeviceId(f"urn:uuid:{number:08x}-0000-4000-8000-000000000000")


def value(number: int, digits: int = 10) -> bytes:
    return f'<r:Response xmlns:r="urn:test"><r:n>{number:0{digits}}</r:n></r:Response>'.encode()


def whole(*replies: DeviceReply, **changes: object) -> Partial:
    return Partial(ABOUT, SENDER, Tally(len(replies), len(replies)), b"", replies=replies, **changes)  # type: ignore[arg-type]


def read(frame: bytes) -> object:
    return XmlCodec().decode(frame)


@pytest.mark.parametrize("part", [1, 2, MAX_PARTS])
def test_a_part_and_its_receipt_arrive_as_they_were_sent(part: int) -> None:
    message = whole(DeviceReply(device(1), value(1)), DeviceReply(device(2), b"", FAULT), part=part, parts=max(part, 2))
    assert read(XmlCodec().encode(message)) == message
    receipt = Receipt(ABOUT, SENDER, Standing.TAKEN, part)
    written = XmlCodec().encode(receipt)
    assert read(written) == read(b"\n" + written) == receipt


def test_a_receipt_for_the_only_part_looks_as_ever() -> None:
    assert b"Part" not in XmlCodec().encode(Receipt(ABOUT, SENDER, Standing.TAKEN))


def test_names_in_the_content_of_a_reply_keep_their_namespaces() -> None:
    xsi = "http://www.w3.org/2001/XMLSchema-instance"
    typed = f'<r:R xmlns:r="urn:r" xmlns:t="urn:t" xmlns:xsi="{xsi}"><r:v xsi:type="t:Kind">1</r:v></r:R>'.encode()
    message = read(XmlCodec().encode(whole(DeviceReply(device(1), typed))))
    assert isinstance(message, Partial)
    kept = etree.fromstring(message.replies[0].value)
    assert kept[0].nsmap["t"] == "urn:t"


def test_the_fullest_parts_fit_an_envelope() -> None:
    """With the longest cover, bypassed askers, and faults of which every character is escaped."""
    replies = tuple(
        DeviceReply(device(n), b"", Fault(FaultCode.RECEIVER, qname("urn:\"'", "x"), "<\"&'>" * 40))
        if n % 3 == 0
        else DeviceReply(device(n), value(n, n % 700 + 1))
        for n in range(400)
    )
    partial = Partial(
        ABOUT, SENDER, Tally(266, 400, failed=134), b"", (b"12345678",) * 256, None, (SENDER, SENDER), replies
    )
    box = Outbox(partial, 28_000)
    found: list[DeviceReply] = []
    while due := box.due():
        frame = XmlCodec().encode(due[0])
        assert len(frame) <= MAX_ENVELOPE
        message = read(frame)
        assert isinstance(message, Partial)
        found += message.replies
        box.receipted(due[0].part)
    assert tuple(found) == replies


@pytest.mark.parametrize("children", [0, 1, 60, 256])
def test_what_goes_by_datagram_fits_one(children: int) -> None:
    """A part of a list, or a value, with a cover of many children beside it."""
    passing, cover = (SENDER, SENDER), (b"12345678",) * children
    tally = Tally(99_999, 599_994, 99_999, 99_999, 99_999, 199_998)
    empty = size(Partial(ABOUT, SENDER, tally, b"", cover))
    room = max(MAX_BY_UDP - empty - octets(DeviceReply(device(1), value(1, 1))) + 1, 1)
    listed = Partial(
        ABOUT, SENDER, tally, b"", cover, None, passing, (DeviceReply(device(1), value(1, room)),), MAX_PARTS, MAX_PARTS
    )
    valued = Partial(ABOUT, SENDER, tally, value(1, room), cover, None, passing)
    for message in (listed, valued):
        assert size(message) <= MAX_BY_UDP
        assert len(XmlCodec().encode(message)) <= MAX_UDP_ENVELOPE


@pytest.mark.parametrize("reply", [DeviceReply(device(1), value(1)), DeviceReply(device(1), b"", FAULT)])
def test_a_reply_takes_no_more_octets_than_were_counted(reply: DeviceReply) -> None:
    assert len(write_replies((reply,))) - len(write_replies(())) <= octets(reply)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<g:Reply ", b"<g:Odd/><g:Reply "),
        (b'Device="urn:uuid:', b'Device="\xc3\xbc'),
        (b'Device="urn:uuid:', b'Device="&amp;'),
        (b'Device="', b'Device="' + b"x" * 256),
        (b"</g:Reply>", b"<x/></g:Reply>"),
        (b'Parts="3"', b'Parts="1"'),
        (b'Parts="3"', b'Parts="0"'),
        (b'Parts="3"', b'Parts="1025"'),
        (b'Part="2"', b'Part="4"'),
        (b'Part="2"', b'Part="0"'),
        (b"</g:Partial>", b"<g:Replies><g:Reply/></g:Replies></g:Partial>"),
    ],
)
def test_a_part_that_does_not_read_is_the_senders_fault(old: bytes, new: bytes) -> None:
    frame = XmlCodec().encode(whole(DeviceReply(device(1), value(1)), part=2, parts=3))
    assert frame.count(old) == 1
    with pytest.raises(RemoteError) as caught:
        read(frame.replace(old, new))
    assert caught.value.fault.subcode == qname(GOSSIP, "Malformed")


def test_the_entry_says_which_part_this_is() -> None:
    part = Part(ABOUT, 2, 7)
    assert read_part(parse(build(Addressing("urn:x"), b"", write_part(part)))) == part
    assert read_part(parse(build(Addressing("urn:x"), b""))) is None
    with pytest.raises(RemoteError):
        read_part(parse(build(Addressing("urn:x"), b"", write_part(Part(ABOUT, 8, 7)))))


def test_a_part_is_asked_for_by_id_and_number() -> None:
    body = write_get_replies(ABOUT, 3)
    assert read_get_replies(etree.fromstring(body)) == (ABOUT, 3)
    odd = (body.replace(b'"3"', b'"0"'), body.replace(b'Id="', b'Id="0'), body.replace(b" Id", b" A='' Id"), b"<x/>")
    for wrong in odd:
        with pytest.raises(RemoteError):
            read_get_replies(etree.fromstring(wrong))
    with pytest.raises(RemoteError):
        read_get_replies(None)


def test_replies_are_read_back() -> None:
    replies = (DeviceReply(device(1), value(1)), DeviceReply(device(2), b"", FAULT))
    assert read_replies(etree.fromstring(write_replies(replies))) == replies
