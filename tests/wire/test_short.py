"""Receipt, Ping and Ack are read without a tree in one shape, and as ever in every other."""

from __future__ import annotations

import pytest

from gossip_ws.core.messages import Ack, Message, Ping, Receipt, Standing
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.names import DeviceId, GossipId
from gossip_ws.wire.gossip import XmlCodec
from gossip_ws.wire.short import read_short, write_short

ABOUT = GossipId(bytes(range(32)))
SENDER = DeviceId("urn:uuid:00000000-0000-4000-8000-000000000001")
RECEIPT = Receipt(ABOUT, SENDER, Standing.COUNTED)
PING = Ping(SENDER, bytes(range(16)))
ACK = Ack(SENDER, bytes(range(16)), 1_790_000_000)
MESSAGES = [
    *(Receipt(ABOUT, SENDER, standing) for standing in Standing),
    PING,
    Ping(SENDER, b"n"),
    Ping(SENDER, b"n" * 64),
    ACK,
    Ack(SENDER, b"nonce"),
    Ack(SENDER, b"nonce", (1 << 63) - 1),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_both_readers_read_what_is_written(message):
    written = write_short(message)
    assert read_short(written) == message
    # A line break before the document makes it another shape of the same XML.
    spaced = b"\n" + written
    assert read_short(spaced) is None
    assert XmlCodec().decode(spaced) == XmlCodec().decode(written) == message


@pytest.mark.parametrize("sender", ['urn:a"b', "urn:a&b", "urn:a<b", "urn:\u00fc"])
@pytest.mark.parametrize(
    "message",
    [
        lambda sender: Receipt(ABOUT, sender, Standing.COUNTED),
        lambda sender: Ping(sender, b"nonce"),
        lambda sender: Ack(sender, b"nonce", 3),
    ],
)
def test_what_has_to_be_escaped_goes_the_long_way(message, sender):
    said = message(DeviceId(sender))
    written = write_short(said)
    assert read_short(written) is None
    assert XmlCodec().decode(written) == said


@pytest.mark.parametrize("message", [RECEIPT, PING, ACK])
def test_every_copy_has_a_message_id_of_its_own(message):
    assert write_short(message) != write_short(message)


@pytest.mark.parametrize(
    ("message", "found", "instead"),
    [
        (RECEIPT, b'Standing="counted"', b'Standing="perhaps"'),
        (RECEIPT, ABOUT.hex().encode(), b"00"),
        (RECEIPT, b'Sender="', b'Sender="' + b"x" * 256),
        (RECEIPT, b'Sender="' + SENDER.encode() + b'"', b'Sender=""'),
        (PING, b'Sender="' + SENDER.encode() + b'"', b'Sender=""'),
        (PING, b' Nonce="', b' Nonce="A'),
        (PING, b' Nonce="', b' Nonce="' + b"AAAA" * 20),
        (ACK, b' Nonce="', b' Nonce="='),
        (ACK, b'Incarnation="1790000000"', b'Incarnation="9223372036854775808"'),
        (ACK, b'Incarnation="1790000000"', b'Incarnation=""'),
    ],
)
def test_what_is_wrong_in_it_is_refused_as_ever(message: Message, found, instead):
    written = XmlCodec().encode(message)
    assert found in written
    with pytest.raises(RemoteError):
        XmlCodec().decode(written.replace(found, instead))


def test_one_message_is_not_taken_for_another():
    """They differ in the Action and the element; where these do not agree it is neither."""
    crossed = write_short(PING).replace(b":Ping</wsa:Action>", b":Ack</wsa:Action>")
    with pytest.raises(RemoteError):
        XmlCodec().decode(crossed)
