"""The Peer Service of a running device, called over HTTP by zeep: by a client that knows nothing of gossip, and by
thieves of identities."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import zeep
from lxml import etree
from requests import Session
from requests.adapters import HTTPAdapter
from town import DEADLINE, Device, Town, plain, wait_for

from gossip_ws.core.peers import Peer, Role
from gossip_ws.kernel.names import GOSSIP, GRID, qname
from gossip_ws.security.keys import PrivateKey
from gossip_ws.services.peer_client import REGISTER, register_request

METER = qname(GRID, "SmartMeter")
SUBSTATION = qname(GRID, "SubstationController")
KEY = PrivateKey.generate()


class FromHost(HTTPAdapter):
    """Calls from one of this machine's addresses."""

    def __init__(self, host: str) -> None:
        self._host = host
        super().__init__()

    def init_poolmanager(self, *given: Any, **named: Any) -> None:
        super().init_poolmanager(*given, source_address=(self._host, 0), **named)  # type: ignore[no-untyped-call]


class Stranger:
    """A meter of another make: calls by zeep and the device's WSDL, hears datagrams, and answers the one message
    that a Peer Service sends it by the letter of docs/wire.md."""

    def __init__(self, town: Town, service: Device, number: int) -> None:
        self.host = f"{town.network}.9.{number}"
        self.device = f"urn:uuid:{number:08x}-0000-4000-8000-00000000000b"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.host, 0))
        self._socket.settimeout(DEADLINE)
        self._session = Session()
        self._session.trust_env = False
        self._session.mount("http://", FromHost(self.host))
        wsdl = service.url("/Peers") + "?wsdl"
        self.peers: Any = zeep.Client(wsdl, transport=zeep.Transport(session=self._session)).service

    def entry(self, **changed: Any) -> dict[str, Any]:
        return {
            "device": self.device,
            "role": "SmartMeter",
            "type": [METER],
            "scope": ["grid://t/1/9"],
            "udp": f"soap.udp://{self.host}:{self._socket.getsockname()[1]}/",
            "subtree": 1,
            "incarnation": 1,
            **changed,
        }

    def answers(self) -> None:
        """The challenge."""
        frame, source = self._socket.recvfrom(65_535)
        (ping,) = etree.fromstring(frame)[1]
        assert ping.tag == qname(GOSSIP, "Ping")
        nonce = ping.get("Nonce")
        ack = (
            '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">'
            "<e:Header><a:To>urn:gossip-ws:2026</a:To><a:Action>urn:gossip-ws:2026:Ack</a:Action></e:Header><e:Body>"
            f'<Ack xmlns="urn:gossip-ws:2026" Sender="{self.device}" Nonce="{nonce}"/></e:Body></e:Envelope>'
        )
        self._socket.sendto(ack.encode(), source)

    def listed(self, **question: Any) -> dict[str, Any]:
        """Whom the Peer Service gives out, by identity."""
        found = self.peers.GetPeers(**{"max": 64, **question})
        assert found.complete is True
        return {one.device: one for one in found.peer}

    def close(self) -> None:
        self._session.close()
        self._socket.close()


@contextmanager
def stranger(town: Town, service: Device, number: int) -> Iterator[Stranger]:
    made = Stranger(town, service, number)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def street() -> Iterator[tuple[Town, Device, Device, Device]]:
    """A substation and two meters, the first with a key of its own."""
    town = Town()
    substation = town.open(Role.SUBSTATION, "grid://t/1", key=town.operator)
    meter = town.open(Role.METER, "grid://t/1/1", substation, key=KEY)
    other = town.open(Role.METER, "grid://t/1/2", substation)
    yield town, substation, meter, other
    town.close()


def test_a_client_that_never_heard_of_gossip_lists_peers(street: tuple[Town, Device, Device, Device]) -> None:
    town, substation, meter, other = street
    with stranger(town, substation, 1) as client:
        assert client.listed().keys() == {meter.id, other.id}
        assert client.listed(type=[METER]).keys() == {meter.id, other.id}
        assert client.listed(type=[SUBSTATION]) == {}
        assert client.listed(type=[METER], scope=["grid://t/1/2"]).keys() == {other.id}
        assert client.listed(scope=["grid://t"], relation="child").keys() == {meter.id, other.id}
        assert client.listed(scope=["grid://elsewhere"]) == {}
        assert len(client.peers.GetPeers(max=1).peer) == 1
        listed = client.listed()
        assert (listed[meter.id].key, listed[other.id].key) == (KEY.public.raw, None)
        assert listed[meter.id].udp == str(meter.udp.at("/gossip"))


def test_it_registers_refreshes_and_leaves(street: tuple[Town, Device, Device, Device]) -> None:
    town, substation, meter, other = street
    with stranger(town, substation, 2) as client:
        registration = client.peers.Register(peer=client.entry(key=bytes(range(32))))
        assert registration.leaseMs == 86_400_000
        assert registration.registrar.device == substation.id
        # Not given out, and not to be refreshed, before its address has answered.
        assert client.device not in client.listed()
        with pytest.raises(zeep.exceptions.Fault, match="no such device is registered"):
            client.peers.Refresh(device=client.device, subtree=3, incarnation=2)
        client.answers()
        wait_for(lambda: client.device in client.listed(scope=["grid://t/1/9"]), "listed")
        assert client.listed()[client.device].key == bytes(range(32))
        assert client.peers.Refresh(device=client.device, subtree=3, incarnation=2).leaseMs == 86_400_000
        held = client.listed()[client.device]
        assert (held.subtree, held.incarnation, held.key) == (3, 2, bytes(range(32)))
        client.peers.Unregister(device=client.device)
        wait_for(lambda: client.listed().keys() == {meter.id, other.id}, "gone")


THEFTS: dict[str, dict[str, Any]] = {
    "with a key of its own": {"key": bytes(32)},
    "with the owner's key, which is public": {"key": KEY.public.raw},
    "with none": {},
}


@pytest.mark.parametrize("theft", THEFTS.values(), ids=THEFTS)
def test_a_registered_identity_is_taken_over_by_nobody(
    street: tuple[Town, Device, Device, Device], theft: dict[str, Any]
) -> None:
    """From where the thief is reached itself, so its address would answer."""
    town, substation, meter, _ = street
    with stranger(town, substation, 3) as thief:
        before = thief.listed()[meter.id]
        with pytest.raises(zeep.exceptions.Fault, match="another key, or at another host") as caught:
            thief.peers.Register(peer=thief.entry(device=meter.id, incarnation=before.incarnation + 1, **theft))
        assert caught.value.subcodes[-1] == etree.QName(GOSSIP, "NotYours")
        assert thief.listed()[meter.id] == before


def test_nor_by_another_key_from_its_own_host(street: tuple[Town, Device, Device, Device]) -> None:
    _, substation, meter, _ = street
    own: Peer = meter.host.endpoint.own
    stolen = replace(own, key=bytes(32), incarnation=own.incarnation + 1)
    reply = substation.post("/Peers", plain(REGISTER, register_request(stolen)), source=meter.udp.host)
    assert reply.fault() == (400, "Sender", qname(GOSSIP, "NotYours"))
    again = substation.post("/Peers", plain(REGISTER, register_request(own)), source=meter.udp.host)
    assert again.status == 200
