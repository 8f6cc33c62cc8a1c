"""Envelopes in XOP packaging: what is put together, what is refused, and that a packaged reply is read back."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gossip_ws.kernel.errors import RemoteError
from gossip_ws.wire.envelope import MAX_ENVELOPE
from gossip_ws.wire.mtom import MOST_PARTS, is_mtom, pack, unpack

XOP = "http://www.w3.org/2004/08/xop/include"
TYPE = (
    'multipart/related; boundary="MIME"; type="application/xop+xml"; start="<r@x>"; start-info="application/soap+xml"'
)


def include(id: str) -> bytes:
    return f'<x:Include xmlns:x="{XOP}" href="cid:{id}"/>'.encode()


def envelope(*values: bytes) -> bytes:
    rows = b"".join(b"<v>" + value + b"</v>" for value in values)
    return b"<e>" + rows + b"</e>"


def part(content: bytes, id: str, *more: str) -> bytes:
    headers = "".join(f"{line}\r\n" for line in (f"Content-ID: <{id}>", *more))
    return b"--MIME\r\n" + headers.encode() + b"\r\n" + content + b"\r\n"


def packaging(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--MIME--\r\n"


def values(frame: bytes, content_type: str = TYPE) -> list[bytes]:
    made, media = unpack(frame, content_type)
    assert media == "application/soap+xml"
    return [b64decode(one.text or "") for one in etree.fromstring(made)]


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_octets_are_what_they_were(contents: list[bytes]) -> None:
    """Whatever is in them, line ends and what looks like a delimiter's begin included."""
    held = [content for content in contents if b"\r\n--MIME" not in b"\r\n" + content]
    parts = [part(content, f"p{place}@x") for place, content in enumerate(held)]
    root = part(envelope(*(include(f"p{place}@x") for place in range(len(held)))), "r@x")
    assert values(packaging(root, *parts)) == held


def test_each_transfer_encoding_and_a_reference_with_escapes() -> None:
    content = bytes(range(256))
    frame = packaging(
        part(envelope(include("a%2Bb@x"), include("b@x"), include("c@x")), "r@x"),
        part(b64encode(content), "a+b@x", "Content-Transfer-Encoding: base64"),
        part(b"=00=FF plain", "b@x", "content-transfer-encoding: Quoted-Printable"),
        part(content, "c@x", "Content-Type: application/octet-stream", "Content-Transfer-Encoding:\r\n binary"),
    )
    assert values(frame) == [content, b"\x00\xff plain", content]


def test_what_comes_before_the_first_delimiter_and_after_the_last_is_nothing() -> None:
    frame = b"preamble\r\n" + packaging(part(envelope(include("a@x")), "r@x"), part(b"1", "a@x")) + b"epilogue"
    assert values(frame) == [b"1"]


def test_without_a_start_the_first_part_is_the_envelope_and_says_its_type() -> None:
    root = part(envelope(b"MQ=="), "any@x", 'Content-Type: application/xop+xml; type="application/soap+xml"')
    assert values(packaging(root), 'multipart/related; type="application/xop+xml"; boundary=MIME') == [b"1"]


@pytest.mark.parametrize(
    ("frame", "content_type", "kind"),
    [
        (b"", TYPE, "Malformed"),
        (b"--MIME--\r\n", TYPE, "Malformed"),
        (packaging(part(envelope(), "r@x"))[:-10], TYPE, "Malformed"),
        (packaging(part(envelope(), "other@x")), TYPE, "Malformed"),
        (packaging(part(b"<e>", "r@x")), TYPE, "Malformed"),
        (packaging(part(b"<!DOCTYPE e [<!ENTITY a 'b'>]><e>&a;</e>", "r@x")), TYPE, "Malformed"),
        (packaging(part(envelope(include("a@x")), "r@x")), TYPE, "Malformed"),
        (packaging(part(envelope(include("a@x").replace(b"cid:", b"http:")), "r@x")), TYPE, "Malformed"),
        (packaging(part(envelope(b"x" + include("a@x")), "r@x"), part(b"1", "a@x")), TYPE, "Malformed"),
        (packaging(part(envelope(include("a@x") + b"<b/>"), "r@x"), part(b"1", "a@x")), TYPE, "Malformed"),
        (packaging(part(include("a@x"), "r@x"), part(b"1", "a@x")), TYPE, "Malformed"),
        (packaging(part(envelope(), "r@x", "Content-Transfer-Encoding: base64")), TYPE, "Malformed"),
        (packaging(part(envelope(), "r@x", "Content-Transfer-Encoding: rot13")), TYPE, "Malformed"),
        (packaging(part(envelope(), "r@x")), TYPE.replace('boundary="MIME"; ', ""), "Malformed"),
        (packaging(part(envelope(), "r@x")), TYPE.replace("MIME", 71 * "M"), "Malformed"),
        (packaging(part(envelope(), "r@x"), *[part(b"", "a@x")] * MOST_PARTS), TYPE, "TooLarge"),
        (packaging(part(envelope(include("a@x")), "r@x"), part(bytes(MAX_ENVELOPE), "a@x")), TYPE, "TooLarge"),
        (packaging(part(envelope(*[include("a@x")] * 200), "r@x"), part(bytes(500), "a@x")), TYPE, "TooLarge"),
    ],
)
def test_what_cannot_be_put_together_is_refused(frame: bytes, content_type: str, kind: str) -> None:
    with pytest.raises(RemoteError) as raised:
        unpack(frame, content_type)
    assert raised.value.fault.subcode.endswith(kind)


@given(st.binary(max_size=200), st.text(max_size=100))
def test_junk_is_refused_and_nothing_worse(frame: bytes, content_type: str) -> None:
    with pytest.raises(RemoteError):
        unpack(frame, f"multipart/related; {content_type}")


def test_a_reply_goes_out_as_it_would_come_in() -> None:
    body, content_type = pack(envelope(b"MQ=="), "application/soap+xml; charset=utf-8")
    assert is_mtom(content_type)
    assert unpack(body, content_type) == (envelope(b"MQ=="), "application/soap+xml")


@pytest.mark.parametrize(
    "content_type",
    ["", "application/soap+xml", 'multipart/related; type="text/xml"', "multipart/mixed", "application/xop+xml"],
)
def test_other_media_types_are_no_mtom(content_type: str) -> None:
    assert not is_mtom(content_type)
