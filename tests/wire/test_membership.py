"""Who is there, on the wire: what is said arrives, a Shuffle fits a datagram, what is odd is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip_ws.core.messages import (
    Ack,
    Alive,
    Disconnect,
    Message,
    Neighbor,
    NeighborReply,
    Ping,
    PingRequest,
    Shuffle,
    Signature,
    Suspect,
)
from gossip_ws.core.peers import Peer, Role
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import FaultCode, LocalError, RemoteError
from gossip_ws.kernel.names import DEVICE, GOSSIP, GRID, DeviceId, QName, qname
from gossip_ws.wire.envelope import MAX_UDP_ENVELOPE
from gossip_ws.wire.gossip import XmlCodec
from gossip_ws.wire.membership import MAX_NONCE, MAX_SHUFFLED
from gossip_ws.wire.peers import MAX_LIST

SENDER = DeviceId("urn:uuid:6e6cf0b4-11de-4f8a-9f24-3b1f6a1f0001")
OTHER = DeviceId("urn:uuid:6e6cf0b4-11de-4f8a-9f24-3b1f6a1f0002")
UDP = Address(Binding.UDP, "127.99.12.211", 50_123, "/gossip")
KEY = bytes(range(32))
METER = Peer(
    SENDER,
    Role.METER,
    (DEVICE, qname(GRID, "SmartMeter")),
    ("grid://city/ssc-31/sm-12",),
    UDP,
    replace(UDP, binding=Binding.HTTP),
    4,
    1_790_000_000,
    KEY,
)
SIGNATURE = Signature("0123456789abcdef0123456789abcdef", b"s" * 64)


words = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cn", "Co")), min_size=1, max_size=20).filter(
    lambda word: word == word.strip() and word.isprintable()
)
devices = words.map(DeviceId)
nonces = st.binary(min_size=1, max_size=MAX_NONCE)
incarnations = st.one_of(st.integers(0, 9), st.integers(0, (1 << 63) - 1))
hosts = st.sampled_from(["10.0.0.7", "fe80::1", "meter.example"])
ports = st.integers(1, 65_535)
udp = st.builds(Address, st.just(Binding.UDP), hosts, ports, st.sampled_from(["", "/gossip"]))
http = st.builds(Address, st.just(Binding.HTTP), hosts, ports, st.sampled_from(["", "/gossip"]))
scopes = st.one_of(st.just(""), words)
peers = st.builds(
    Peer,
    devices,
    st.sampled_from(Role),
    st.lists(st.sampled_from([DEVICE, QName("Plain")]), max_size=3).map(tuple),
    st.lists(words, max_size=3).map(tuple),
    udp,
    st.one_of(st.none(), http),
    st.integers(1, 1_000_000),
    incarnations,
    st.one_of(st.just(b""), st.binary(min_size=32, max_size=32)),
)
signatures = st.builds(Signature, st.just(SIGNATURE.key_id), st.binary(min_size=64, max_size=64))
messages = st.one_of(
    st.builds(Ping, devices, nonces),
    st.builds(Ack, devices, nonces, incarnations),
    st.builds(PingRequest, devices, nonces, devices, st.one_of(udp, http)),
    st.builds(Suspect, devices, devices, incarnations),
    st.builds(Alive, devices, incarnations, st.one_of(st.none(), signatures)),
    st.builds(lambda scope, peer, urgent: Neighbor(peer.device, scope, peer, urgent), scopes, peers, st.booleans()),
    st.builds(NeighborReply, devices, scopes, st.booleans()),
    st.builds(Disconnect, devices, scopes),
    st.builds(Shuffle, devices, scopes, st.lists(peers, max_size=4).map(tuple), st.booleans()),
)


@settings(max_examples=150, deadline=None)
@given(messages)
def test_what_is_said_arrives_as_it_was_said(message: Message) -> None:
    codec = XmlCodec()
    assert codec.decode(codec.encode(message)) == message


def test_eight_ordinary_peers_fit_a_datagram() -> None:
    frame = XmlCodec().encode(Shuffle(SENDER, "grid://city/ssc-31", (METER,) * 8, True))
    assert len(frame) <= MAX_UDP_ENVELOPE
    assert XmlCodec().decode(frame) == Shuffle(SENDER, "grid://city/ssc-31", (METER,) * 8, True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4_000), max_size=12), st.integers(0, 2_000))
def test_of_a_shuffle_the_last_that_do_not_fit_are_left_out(lengths: list[int], scope: int) -> None:
    given_peers = tuple(
        replace(METER, scopes=("s" * min(length, 2_000), "t" * max(length - 2_000, 1))) if length else METER
        for length in lengths
    )
    frame = XmlCodec().encode(Shuffle(SENDER, "s" * scope, given_peers, False))
    assert len(frame) <= MAX_UDP_ENVELOPE
    found = XmlCodec().decode(frame)
    assert isinstance(found, Shuffle)
    kept = len(found.peers)
    assert found.peers == given_peers[:kept]
    if kept < min(len(given_peers), MAX_SHUFFLED):
        # It was left out because it had to be: with it the frame is too long for a datagram.
        alone = len(XmlCodec().encode(Neighbor(SENDER, "", given_peers[kept], False)))
        assert len(frame) + alone > MAX_UDP_ENVELOPE


@pytest.mark.parametrize("value", ["-1", "+1", "1e3", " 1", "1_0", "many", "9223372036854775808", "٣", "9" * 20])
@pytest.mark.parametrize("message", [Ack(SENDER, b"n", 7), Suspect(SENDER, OTHER, 7), Alive(SENDER, 7)])
def test_an_incarnation_is_a_number_that_is_bounded(message: Message, value: str) -> None:
    frame = XmlCodec().encode(message)
    assert refused(frame, b'Incarnation="7"', f'Incarnation="{value}"'.encode()) == "Malformed"


@pytest.mark.parametrize(
    ("message", "old", "new", "name"),
    [
        (Ping(SENDER, b"nonce"), b" Nonce=", b' Zeal="1" Nonce=', "Malformed"),
        (Ping(SENDER, b"nonce"), b'Nonce="bm9uY2U="', b'Nonce=""', "Malformed"),
        (Ping(SENDER, b"nonce"), b'Nonce="bm9uY2U="', b'Nonce="bm9uY2U=\n"', "Malformed"),
        (Ping(SENDER, b"nonce"), b"/></s12:Body>", b"><g:Peer/></g:Ping></s12:Body>", "Malformed"),
        (Ping(SENDER, b"x" * (MAX_NONCE + 1)), b"Nonce", b"Nonce", "Malformed"),
        (Ack(SENDER, b"nonce", 7), b' Incarnation="7"', b' Incarnation="7" Since="1"', "Malformed"),
        (PingRequest(SENDER, b"n", OTHER, UDP), b' Address="soap.udp:', b' Address="mailto:', "Malformed"),
        (PingRequest(SENDER, b"n", OTHER, UDP), b":50123", b":70123", "Malformed"),
        (PingRequest(SENDER, b"n", OTHER, UDP), b":50123", b"", "Malformed"),
        (PingRequest(SENDER, b"n", OTHER, UDP), b"/gossip", b"/" + b"x" * 255, "Malformed"),
        (PingRequest(SENDER, b"n", OTHER, UDP), b' About="', b' Out="', "Malformed"),
        (Suspect(SENDER, OTHER, 7), b' Incarnation="7"', b"", "Malformed"),
        (Suspect(SENDER, OTHER, 7), b' About="' + OTHER.encode(), b' About="' + b"x" * 257, "Malformed"),
        (Alive(SENDER, 7), b' Incarnation="7"', b"", "Malformed"),
        (Alive(SENDER, 7), b' Incarnation="7"', b' Incarnation="7" Sig="AAAA"', "Malformed"),
        (Alive(SENDER, 7, SIGNATURE), b' KeyId="', b' KeyId="x', "Malformed"),
        (Alive(SENDER, 7, SIGNATURE), b' KeyId="0123456789abcdef0123456789abcdef"', b"", "Malformed"),
        (Alive(SENDER, 7, SIGNATURE), b' Sig="', b' Sig="AAAA', "Malformed"),
        (Alive(SENDER, 7, SIGNATURE), b' Sig="', b' Sig="!', "Malformed"),
        (Neighbor(SENDER, "s", METER, True), b'Urgent="true"', b'Urgent="perhaps"', "Malformed"),
        (Neighbor(SENDER, "s" * 2_049, METER, True), b"Scope", b"Scope", "Malformed"),
        (Neighbor(OTHER, "s", METER, True), b"Urgent", b"Urgent", "Malformed"),
        (Neighbor(SENDER, "s", METER, False), b"</g:Neighbor>", b"<g:Odd/></g:Neighbor>", "TooMany"),
        (Neighbor(SENDER, "s", METER, False), b"g:Peer", b"g:Pear", "Malformed"),
        (NeighborReply(SENDER, "s", True), b'Accepted="true"', b'Accepted="yes"', "Malformed"),
        (NeighborReply(SENDER, "s", True), b'Accepted="true"', b'Accepted="true" Gladly="true"', "Malformed"),
        (Disconnect(SENDER, "s"), b'Scope="s"/>', b'Scope="s"><g:Why/></g:Disconnect>', "Malformed"),
        (Shuffle(SENDER, "", (METER,), True), b'WantsReply="true"', b'WantsReply="2"', "Malformed"),
        (Shuffle(SENDER, "", (METER,), True), b"</g:Shuffle>", b"<g:Peer/></g:Shuffle>", "Malformed"),
        (Shuffle(SENDER, "", (), True), b"</g:Shuffle>", b"<g:Peer/>" * 9 + b"</g:Shuffle>", "TooMany"),
    ],
)
def test_what_devices_do_not_say_is_refused(message: Message, old: bytes, new: bytes, name: str) -> None:
    assert refused(XmlCodec().encode(message), old, new) == name


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        (b" Role=", b" Rule=", "Malformed"),
        (b'Role="SmartMeter"', b'Role="King"', "Malformed"),
        (b'Udp="soap.udp:', b'Udp="http:', "Malformed"),
        (b'Http="http:', b'Http="soap.udp:', "Malformed"),
        (b'Subtree="4"', b'Subtree="0"', "Malformed"),
        (b'Subtree="4"', b'Subtree="1000001"', "Malformed"),
        (b'Subtree="4"', b"", "Malformed"),
        (b'Incarnation="1790000000"', b"", "Malformed"),
        (b'Incarnation="1790000000"', b'Incarnation="-1"', "Malformed"),
        (b' Key="', b' Key="AAAA', "Malformed"),
        (b' Key="AAECAw', b' Key="', "Malformed"),
        (b'Device="' + SENDER.encode() + b'"', b"", "Malformed"),
        (b"<g:Type>{", b"<g:Type>{{", "Malformed"),
        (b"<g:Scope>", b"<g:Scope><x/>", "Malformed"),
        (b"<g:Scope>", b"<g:Scope>" + b"x" * 2_048, "Malformed"),
        (b"<g:Scope>", b"<g:Odd/><g:Scope>", "Malformed"),
        (b"<g:Scope>", b"<g:Scope>s</g:Scope>" * MAX_LIST + b"<g:Scope>", "TooMany"),
        (b"<g:Type>", b"<g:Type>t</g:Type>" * MAX_LIST + b"<g:Type>", "TooMany"),
    ],
)
def test_a_peer_is_whole_or_refused(old: bytes, new: bytes, name: str) -> None:
    assert refused(XmlCodec().encode(Neighbor(SENDER, "s", METER, False)), old, new) == name


def test_a_peer_has_an_address() -> None:
    frame = XmlCodec().encode(Neighbor(SENDER, "s", replace(METER, udp=None), False))
    assert refused(frame, b' Http="http://127.99.12.211:50123/gossip"', b"") == "Malformed"


def test_what_is_no_signature_is_not_sent() -> None:
    with pytest.raises(LocalError):
        XmlCodec().encode(Alive(SENDER, 7, Signature("somebody", b"s" * 64)))


def refused(frame: bytes, old: bytes, new: bytes) -> str:
    """The subcode's local name."""
    assert old in frame
    # Start and end tags change together.
    frame = frame.replace(old, new, 1).replace(b"</" + old + b">", b"</" + new + b">")
    with pytest.raises(RemoteError) as caught:
        XmlCodec().decode(frame)
    assert caught.value.fault.code is FaultCode.SENDER
    namespace, _, name = caught.value.fault.subcode.rpartition("}")
    assert namespace == "{" + GOSSIP
    return name
