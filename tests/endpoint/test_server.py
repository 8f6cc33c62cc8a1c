"""The front of a device: what is answered to whom, where no socket adds anything."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from bench import GET_DEMAND, GET_TARIFF, HOST, KEY, SET_TARIFF, Bench, Hands, tariff

from gossip_ws.kernel.address import Address, Binding
from gossip_ws.ports import Caller, Request, Response
from gossip_ws.security.authority import CallerRule, Trust
from gossip_ws.security.development import DevelopmentVerifier
from gossip_ws.security.verifier import TrustVerifier
from gossip_ws.wire.envelope import Addressing, build, message_id, parse

SHADOW = f"soap.udp://{HOST}:3702/Tariff/gossip"
DEMAND = b'<GetDemand xmlns="urn:gossip-ws:2026:metering"></GetDemand>'


def plain(action: str, body: bytes, to: str = "") -> bytes:
    return build(Addressing(action, message_id(), to), body)


def test_without_keys_a_datagram_may_push_and_its_faults_are_still_not_answered() -> None:
    bench = Bench(DevelopmentVerifier())
    assert bench.datagram(plain(SET_TARIFF, tariff(2), SHADOW)) == []
    assert len(bench.network.sent) == 1
    for body, reason in ((tariff(1), "StaleVersion"), (b"<SetTariff/>", "ActionNotSupported"), (b"", "Malformed")):
        bench.clock.turn(0.01)
        assert bench.datagram(plain(SET_TARIFF, body, SHADOW)) == []
        assert bench.endpoint.counters[reason] == 1
    assert len(bench.network.sent) == 1


def test_without_keys_a_datagram_may_pull_and_is_answered() -> None:
    bench = Bench(DevelopmentVerifier(), children=0)
    (answer,) = bench.datagram(plain(GET_DEMAND, DEMAND, SHADOW.replace("Tariff", "Metering")))
    assert answer.status == 200
    assert b"Contributors" in answer.body


def test_a_user_name_that_nobody_proved_is_no_issuer() -> None:
    """The operator's own network may set a tariff without a password: as nobody in particular."""
    lan = CallerRule(
        frozenset({SET_TARIFF}), networks=(ip_network("10.0.0.0/24"),), interfaces=frozenset({ip_address(HOST)})
    )
    bench = Bench(TrustVerifier(Trust(callers=(lan,)), KEY, Hands()))
    for user, password in (("utility", "guess"), ("", "")):
        caller = Caller(Address(Binding.HTTP, "10.0.0.9", 50_000), HOST, user, password)
        version = 1 + bool(bench.tariffs.current)
        (answer,) = bench.take(Request(plain(SET_TARIFF, tariff(version)), caller, "POST", "/Tariff"))
        assert answer == Response(202)
    assert bench.tariffs.held("utility") is None
    assert bench.tariffs.held("") is not None


def test_who_proved_its_name_issues_by_it() -> None:
    bench = Bench()
    assert bench.post("/Tariff", plain(SET_TARIFF, tariff(1)), operator=True) == Response(202)
    held = bench.tariffs.current
    assert held is not None
    assert held.issuer == "dispatcher"


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/soap+xml", 500),
        ("application/soap+xml; charset=UTF-8", 500),
        ('application/soap+xml; action="urn:a;charset=x"; charset="utf-8"', 500),
        ("text/xml;charset=utf-16", 500),
        ("application/soap+xml; charset=utf-7", 415),
        ("", 500),
    ],
)
def test_a_charset_is_one_that_every_parser_reads(content_type: str, status: int) -> None:
    """No tariff is held, so what is read is answered by a Receiver's fault."""
    frame = plain(GET_TARIFF, b'<GetTariff xmlns="urn:gossip-ws:2026:tariff"/>')
    assert Bench().post("/Tariff", frame, content_type=content_type).status == status


def test_a_message_id_is_found_for_whom_a_fault_concerns() -> None:
    bench = Bench()
    gossip = b'<g:Terms xmlns:g="urn:gossip-ws:2026" Variant="none"/>'
    frame = build(Addressing(SET_TARIFF, "urn:uuid:77"), tariff(1), gossip)
    answer = bench.post("/Tariff/gossip", frame)
    assert answer.status == 400
    assert [related for _, related in parse(answer.body).addressing.relates_to] == ["urn:uuid:77"]
