"""The Peer Service and its client of plain bytes, talking to one another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gossip_ws.core.peers import Relation, Role
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import FaultCode, LocalError, RemoteError
from gossip_ws.kernel.names import GRID, PEERS, QName
from gossip_ws.ports import Reply
from gossip_ws.services import peer_client as client
from gossip_ws.services.peering import MAX_PEERS, peer_service
from gossip_ws.wire.envelope import MAX_ENVELOPE, Addressing, build

METER = QName(f"{{{GRID}}}SmartMeter")
SOURCE = Address.parse("http://127.0.1.2:50000")


def subcode(outcome: Any) -> tuple[FaultCode, str]:
    return outcome.code, outcome.subcode.removeprefix(f"{{{PEERS}}}")


def test_register_refresh_and_unregister(ask: Any, registrar: Any, peer: Any) -> None:
    service = peer_service(registrar)
    meter = replace(peer(1), scopes=("grid://city/a&b<c>",))
    outcome = ask(service, "Register", client.register_request(meter), source=SOURCE)
    assert client.parse_register_reply(outcome.body) == (60.0, registrar.own)
    assert registrar.peers.get(meter.device) == meter
    assert registrar.sources == [SOURCE]

    outcome = ask(service, "Refresh", client.refresh_request(meter.device, 9, 8))
    assert client.parse_register_reply(outcome.body) == (60.0, registrar.own)
    assert registrar.peers.get(meter.device) == replace(meter, subtree=9, incarnation=8)

    assert ask(service, "Unregister", client.unregister_request(meter.device), source=SOURCE) == Reply(b"")
    assert registrar.peers.get(meter.device) is None


def test_a_key_is_registered_kept_by_a_refresh_and_given_out(ask: Any, registrar: Any, peer: Any) -> None:
    service = peer_service(registrar)
    meter = replace(peer(1), key=bytes(range(32)))
    ask(service, "Register", client.register_request(meter), source=SOURCE)
    ask(service, "Refresh", client.refresh_request(meter.device, 9, 8))
    outcome = ask(service, "GetPeers", client.get_peers_request())
    assert client.parse_get_peers_reply(outcome.body) == (replace(meter, subtree=9, incarnation=8),)


@pytest.mark.parametrize("source", [None, Address.parse("http://127.0.9.9:50000")])
def test_nobody_unregisters_another(ask: Any, registrar: Any, peer: Any, source: Address | None) -> None:
    service = peer_service(registrar)
    ask(service, "Register", client.register_request(peer(1)), source=SOURCE)
    outcome = ask(service, "Unregister", client.unregister_request(peer(1).device), source=source)
    assert subcode(outcome) == (FaultCode.SENDER, "NotYours")
    assert registrar.peers.get(peer(1).device) is not None


def test_an_unknown_device_cannot_refresh(ask: Any, registrar: Any, peer: Any) -> None:
    service = peer_service(registrar)
    for name, request in (
        ("Refresh", client.refresh_request(peer(1).device, 1, 1)),
        ("Unregister", client.unregister_request(peer(1).device)),
    ):
        assert subcode(ask(service, name, request)) == (FaultCode.SENDER, "NotRegistered")


def test_a_quota_comes_through_as_the_devices_own_fault(ask: Any, small_registrar: Any, peer: Any) -> None:
    service = peer_service(small_registrar)
    assert isinstance(ask(service, "Register", client.register_request(peer(1))), Reply)
    outcome = ask(service, "Register", client.register_request(peer(2)))
    assert (outcome.code, outcome.subcode) == (FaultCode.RECEIVER, "{urn:gossip-ws:2026}QuotaExceeded")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"soap.udp://127.0.1.2:3702/gossip", b"http://127.0.1.2:3702/gossip"),
        (b"soap.udp://127.0.1.2:3702/gossip", b"soap.udp://127.0.1.2/gossip"),
        (b"<p:udp>soap.udp://127.0.1.2:3702/gossip</p:udp><p:http>http://127.0.1.2:8080/gossip</p:http>", b""),
        (b"SmartMeter</p:role>", b"King</p:role>"),
        (b"<p:subtree>1<", b"<p:subtree>0<"),
        (b"<p:incarnation>7<", b"<p:incarnation>-7<"),
        (b"</p:incarnation>", b"</p:incarnation><p:key>AAAA</p:key>"),
        (b"</p:incarnation>", b"</p:incarnation><p:key>!</p:key>"),
        (b"</p:incarnation>", b"</p:incarnation><p:key>%b=</p:key><p:key>%b=</p:key>" % (b"A" * 43, b"A" * 43)),
        (b"<p:incarnation>7<", b"<p:incarnation>99999999999999999999<"),
        (b"<p:scope>", b"<p:scope>" + b"x" * 2048),
        (b"<p:udp>", b"<p:scope>s</p:scope>" * 16 + b"<p:udp>"),
    ],
)
def test_an_entry_that_is_wrong_is_the_senders_fault(
    ask: Any, registrar: Any, peer: Any, old: bytes, new: bytes
) -> None:
    request = client.register_request(peer(1))
    assert old in request
    assert ask(peer_service(registrar), "Register", request.replace(old, new, 1)).code is FaultCode.SENDER
    assert len(registrar.peers) == 0


def test_peers_by_type_scope_and_relation(ask: Any, registrar: Any, peer: Any) -> None:
    service = peer_service(registrar)
    meters = [peer(number, scopes=(f"grid://city/ssc-{number % 2}/m",)) for number in range(1, 5)]
    other = peer(9, Role.SUBSTATION)
    for one in (*meters, other):
        ask(service, "Register", client.register_request(one))

    def asked(**question: Any) -> set[Any]:
        return set(client.parse_get_peers_reply(ask(service, "GetPeers", client.get_peers_request(**question)).body))

    assert asked() == {*meters, other}
    assert asked(types=[METER]) == set(meters)
    assert asked(scopes=["grid://city/ssc-1"]) == {meters[0], meters[2], other}
    assert asked(types=[METER], scopes=["grid://city/ssc-1"]) == {meters[0], meters[2]}
    assert asked(relation=Relation.EQUAL) == {other}
    assert asked(relation=Relation.CHILD) == set(meters)
    assert asked(relation=Relation.PARENT) == set()


def test_askers_take_turns_through_the_table(ask: Any, registrar: Any, peer: Any) -> None:
    service = peer_service(registrar)
    for number in range(1, 11):
        ask(service, "Register", client.register_request(peer(number)))
    given = [
        client.parse_get_peers_reply(ask(service, "GetPeers", client.get_peers_request(limit=3)).body)
        for _ in range(10)
    ]
    assert all(len(set(peers)) == 3 for peers in given)
    counted = [one.subtree for peers in given for one in peers]
    assert {number: counted.count(number) for number in range(1, 11)} == dict.fromkeys(range(1, 11), 3)


def test_an_answer_fits_an_envelope_and_says_when_more_would_not(ask: Any, big_registrar: Any, peer: Any) -> None:
    service = peer_service(big_registrar)
    scopes = tuple(f"grid://city/{'&' * 90}/{number}" for number in range(3))
    for number in range(1, MAX_PEERS + 1):
        keyed = replace(peer(number, scopes=scopes), key=bytes(32))
        ask(service, "Register", client.register_request(keyed))
    outcome = ask(service, "GetPeers", client.get_peers_request(limit=MAX_PEERS))
    assert len(build(Addressing(action="a" * 200, message_id="m" * 100, to="t" * 200), outcome.body)) < MAX_ENVELOPE
    assert b"complete>false<" in outcome.body
    assert 10 < len(client.parse_get_peers_reply(outcome.body)) < MAX_PEERS
    outcome = ask(service, "GetPeers", client.get_peers_request(limit=5))
    assert b"complete>true<" in outcome.body


def test_the_client_asks_within_the_contract() -> None:
    for question in ({"limit": 0}, {"limit": 257}, {"types": [METER] * 17}, {"scopes": ["s"] * 17}):
        with pytest.raises(LocalError):
            client.get_peers_request(**question)  # type: ignore[arg-type]


def test_the_service_does_not_gossip(registrar: Any) -> None:
    assert all(operation.policy is None for operation in peer_service(registrar).operations.values())
    assert {client.REGISTER, client.REFRESH, client.UNREGISTER, client.GET_PEERS} == set(
        peer_service(registrar).operations
    )


def answered(entry: bytes, wrapper: str = "GetPeers") -> bytes:
    inner = b"<complete>true</complete>" + entry
    return f'<{wrapper}Response xmlns="{PEERS}"><{wrapper}Result>'.encode() + (
        inner + f"</{wrapper}Result></{wrapper}Response>".encode()
    )


ENTRY = (
    b"<peer><device>urn:uuid:1</device><role>SmartMeter</role><udp>soap.udp://10.0.0.1:3702</udp>"
    b"<subtree>1</subtree><incarnation>0</incarnation></peer>"
)


def test_the_plainest_entry_is_read() -> None:
    (one,) = client.parse_get_peers_reply(answered(ENTRY))
    assert (one.device, one.udp, one.http) == ("urn:uuid:1", Address.parse("soap.udp://10.0.0.1:3702"), None)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + answered(ENTRY),
        answered(ENTRY)[:-1],
        answered(ENTRY, "Register"),
        answered(ENTRY * 257),
        answered(b" " * 40_000),
        answered(ENTRY.replace(b"SmartMeter", b"King")),
        answered(ENTRY.replace(b"soap.udp", b"http")),
        answered(ENTRY.replace(b"10.0.0.1:3702", b"10.0.0.1")),
        answered(ENTRY.replace(b"<udp>soap.udp://10.0.0.1:3702</udp>", b"")),
        answered(ENTRY.replace(b"urn:uuid:1", b"")),
        answered(ENTRY.replace(b"urn:uuid:1", b"x" * 3000)),
        answered(ENTRY.replace(b"urn:uuid:1", b"<b/>")),
        answered(ENTRY.replace(b"<device>", b"<device>1</device><device>")),
        answered(ENTRY.replace(b"<subtree>1<", b"<subtree>1000001<")),
        answered(ENTRY.replace(b"<subtree>1<", "<subtree>\u0661<".encode())),
        answered(ENTRY.replace(b"<incarnation>0<", b"<incarnation>1e9<")),
        answered(ENTRY.replace(b"<udp>", b"<scope>s</scope>" * 17 + b"<udp>")),
        answered(ENTRY.replace(b"</peer>", b"<key>AAAA</key></peer>")),
        answered(ENTRY.replace(b"</peer>", b"<key>A</key></peer>")),
        answered(ENTRY.replace(b"</peer>", b"<key>%b=</key><key>%b=</key></peer>" % (b"A" * 43, b"A" * 43))),
    ],
)
def test_a_reply_that_is_wrong_is_refused_whole(payload: bytes) -> None:
    with pytest.raises(RemoteError):
        client.parse_get_peers_reply(payload)


def test_a_lease_is_capped() -> None:
    entry = ENTRY.replace(b"peer>", b"registrar>")
    lease = b"<leaseMs>9000000000000000000</leaseMs>"
    assert client.parse_register_reply(answered(lease + entry, "Register"))[0] == client.MAX_LEASE
    with pytest.raises(RemoteError):
        client.parse_register_reply(answered(lease.replace(b"9", b"-9") + entry, "Register"))
