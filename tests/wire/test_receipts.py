"""A Receipt is read without a tree in one shape, and as before in every other."""

import pytest

from gossip_ws.core.messages import Receipt, Standing
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.names import DeviceId, GossipId
from gossip_ws.wire.gossip import XmlCodec
from gossip_ws.wire.receipts import read_receipt, write_receipt

ABOUT = GossipId(bytes(range(32)))
SENDER = DeviceId("urn:uuid:00000000-0000-4000-8000-000000000001")


def frame(sender: str = SENDER, standing: Standing = Standing.COUNTED) -> bytes:
    return write_receipt(Receipt(ABOUT, DeviceId(sender), standing))


@pytest.mark.parametrize("standing", Standing)
def test_both_readers_read_what_is_written(standing):
    written = frame(standing=standing)
    expected = Receipt(ABOUT, SENDER, standing)
    assert read_receipt(written) == expected
    # A line break before the document makes it another shape of the same XML.
    spaced = b"\n" + written
    assert read_receipt(spaced) is None
    assert XmlCodec().decode(spaced) == XmlCodec().decode(written) == expected


@pytest.mark.parametrize("sender", ['urn:a"b', "urn:a&b", "urn:a<b", "urn:\u00fc"])
def test_what_has_to_be_escaped_goes_the_long_way(sender):
    written = frame(sender)
    assert read_receipt(written) is None
    assert XmlCodec().decode(written) == Receipt(ABOUT, DeviceId(sender), Standing.COUNTED)


def test_every_copy_has_a_message_id_of_its_own():
    assert frame() != frame()


@pytest.mark.parametrize(
    ("found", "instead"),
    [
        (b'Standing="counted"', b'Standing="perhaps"'),
        (ABOUT.hex().encode(), b"00"),
        (b'Sender="', b'Sender="' + b"x" * 256),
        (b'Sender="' + SENDER.encode() + b'"', b'Sender=""'),
    ],
)
def test_what_is_wrong_in_it_is_refused_as_ever(found, instead):
    with pytest.raises(RemoteError):
        XmlCodec().decode(frame().replace(found, instead))
