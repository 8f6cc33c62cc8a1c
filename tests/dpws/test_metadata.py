"""The limits of what a device may say of itself."""

from __future__ import annotations

import pytest

from gossip_ws.dpws.metadata import Host, Hosted, Relationship, ServiceMetadata, Text, ThisDevice, ThisModel
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import TARIFF, DeviceId, qname

TYPE = (qname(TARIFF, "Tariff"),)
SOME = (Text("x"),)


def test_at_the_limit() -> None:
    uri = "http://x/" + "y" * (2048 - 9)
    text = Text("ä" * 255, "de")
    ThisModel((text,), (text,), uri, "n" * 255, uri, uri)
    ThisDevice((text,), "f" * 255, "s" * 255)
    Hosted((uri,), TYPE, uri)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Text("x" * 256),
        lambda: Text("x", "y" * 256),
        lambda: ThisModel((), SOME),
        lambda: ThisModel(SOME, ()),
        lambda: ThisModel(SOME * 17, SOME),
        lambda: ThisModel(SOME, SOME, model_number="x" * 256),
        lambda: ThisModel(SOME, SOME, manufacturer_url="http://x/" + "y" * 2040),
        lambda: ThisModel(SOME, SOME, model_url="http://x/" + "ä" * 1020),
        lambda: ThisModel(SOME, SOME, presentation_url="http://a b/"),
        lambda: ThisDevice(()),
        lambda: ThisDevice(SOME, serial_number="x" * 256),
        lambda: ThisDevice(SOME, firmware_version="x" * 256),
        lambda: Host(DeviceId("")),
        lambda: Host(DeviceId("urn:uuid:1"), TYPE * 17),
        lambda: Hosted((), TYPE, "tariff"),
        lambda: Hosted(("",), TYPE, "tariff"),
        lambda: Hosted(("http://x/",), (), "tariff"),
        lambda: Hosted(("http://x/",), TYPE, ""),
        lambda: Relationship(None, (Hosted(("http://x/",), TYPE, "t"), Hosted(("http://y/",), TYPE, "t"))),
        lambda: Relationship(None, tuple(Hosted(("http://x/",), TYPE, f"t{n}") for n in range(257))),
        lambda: Relationship(None).service("tariff"),
        lambda: ServiceMetadata(None, b"<x/>", "http://x/"),
    ],
)
def test_beyond_the_limit(make: object) -> None:
    with pytest.raises(LocalError):
        make()  # type: ignore[operator]
