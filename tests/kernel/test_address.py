"""Addresses as strangers write them: read, or refused with the reason, whatever they hold."""

from __future__ import annotations

import pytest

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError


@pytest.mark.parametrize(
    ("uri", "port", "path"),
    [
        ("http://h", 80, ""),
        ("HTTP://h:8080/a/b?c", 8080, "/a/b?c"),
        ("soap.udp://h:3702", 3702, ""),
        ("http://[2001:DB8::1]:65535/", 65_535, "/"),
        ("http://h:00080/", 80, "/"),
    ],
)
def test_an_address_is_read(uri: str, port: int, path: str) -> None:
    found = Address.parse(uri)
    assert (found.port, found.path) == (port, path)


@pytest.mark.parametrize(
    "port",
    ["0", "65536", "-1", "+80", "8 0", "8_0", "٨٠", "1" * 5_000],
)
@pytest.mark.parametrize("scheme", list(Binding))
def test_what_is_no_port_is_refused_in_words(scheme: Binding, port: str) -> None:
    with pytest.raises(LocalError, match="not a port"):
        Address.parse(f"{scheme.value}://h:{port}/")
