"""Who is there, over real sockets: devices find neighbours, miss one that crashed, and believe no slander."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

import pytest
from town import (
    DEMAND_REQUEST,
    GET_DEMAND,
    Device,
    Town,
    as_entry,
    signed,
    terms,
    wait_for,
)

from gossip_ws.core.messages import Alive, Message, Signature, Suspect, alive_statement
from gossip_ws.core.peers import Role
from gossip_ws.kernel.terms import Style
from gossip_ws.security.keys import PrivateKey
from gossip_ws.wire.gossip import XmlCodec
from gossip_ws.wire.nodes import decode_report

WATCHFUL = {
    "view_scopes": ("",),
    "probe_period": 0.1,
    "probe_timeout": 0.05,
    "probe_quiet": 0.2,
    "suspicion": 0.6,
    "shuffle_period": 0.4,
}
"""As ever, ten times as fast."""


@dataclass
class Area:
    """A substation and its meters, each with a key of its own."""

    town: Town
    substation: Device
    meters: list[Device]
    keys: list[PrivateKey]

    def say(self, message: Message, to: Device, source: str) -> None:
        """From a socket of the test's own at the host `source`."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((source, 0))
            sock.sendto(XmlCodec().encode(message), (to.udp.host, to.udp.port))

    def incarnation(self, number: int, at: Device) -> int:
        """Of a meter, as another device holds it."""
        peer = at.host.endpoint.peers.get(self.meters[number].id)
        assert peer is not None
        return peer.incarnation

    def alive(self, number: int, incarnation: int, signer: int | None) -> Alive:
        """What a meter would say, signed by its own key or another's."""
        device = self.meters[number].id
        if signer is None:
            return Alive(device, incarnation)
        key = self.keys[signer]
        statement = alive_statement(device, incarnation)
        return Alive(device, incarnation, Signature(key.id, key.sign(sha256(statement).digest())))

    def down(self) -> set[str]:
        """Whom somebody takes for dead."""
        everybody = [self.substation, *self.meters]
        return {one.id for one in everybody for other in everybody if other.host.endpoint.peers.is_down(one.id)}


def neighbours(device: Device) -> set[str]:
    return set(device.host.endpoint.node.membership.active)


@pytest.fixture
def area() -> Iterator[Area]:
    town = Town()
    substation = town.open(Role.SUBSTATION, "grid://t/1", key=town.operator, node=WATCHFUL)
    keys = [PrivateKey.generate() for _ in range(4)]
    meters = [
        town.open(Role.METER, f"grid://t/1/{number}", substation, key=key, node=WATCHFUL)
        for number, key in enumerate(keys)
    ]
    made = Area(town, substation, meters, keys)
    everybody = {meter.id for meter in meters}
    wait_for(lambda: all(neighbours(meter) == everybody - {meter.id} for meter in meters), "neighbours")
    yield made
    town.close()


def test_a_crash_is_found_out_by_all_and_the_answer_says_who_is_missing(area: Area) -> None:
    dead = area.meters.pop()
    area.town.devices.remove(dead)
    area.town.run(dead.host.crash)
    for device in (area.substation, *area.meters):
        wait_for(lambda device=device: device.host.endpoint.peers.is_down(dead.id), "taken for dead")
        assert dead.id not in neighbours(device)
    assert area.down() == set()
    # It is still expected, until its lease ends.
    content = signed(area.town.client, GET_DEMAND, DEMAND_REQUEST, terms(Style.REQUEST_RESPONSE))
    report = decode_report(area.substation.post("/Metering/gossip", as_entry(content)).envelope)
    assert report is not None
    assert (report[1].contributors, report[1].expected, report[1].missing) == (4, 5, 1)


def test_a_forged_accusation_kills_nobody_and_the_accused_refutes_it_under_its_own_key(area: Area) -> None:
    """Said from the host of a real neighbour, to everybody and to the accused."""
    accused, accuser, witness, _ = area.meters
    before = accused.host.endpoint.own.incarnation
    slander = Suspect(accuser.id, accused.id, before)
    for device in (witness, area.substation, accused):
        area.say(slander, device, accuser.udp.host)
    for device in (accuser, area.substation):
        wait_for(lambda device=device: area.incarnation(0, device) == before + 1, "refuted")
    assert accused.host.endpoint.own.incarnation == before + 1
    said = [XmlCodec().decode(frame) for frame, _ in accused.network.sent if b"g:Alive" in frame]
    assert said
    for alive in said:
        assert isinstance(alive, Alive)
        assert alive.signature is not None
        statement = sha256(alive_statement(accused.id, alive.incarnation)).digest()
        assert area.keys[0].public.verifies(alive.signature.value, statement)
    assert area.down() == set()
    assert accused.id in neighbours(witness)


def test_a_refutation_counts_wherever_it_comes_from_if_its_subject_signed_it(area: Area) -> None:
    newer = area.incarnation(0, area.substation) + 1
    area.say(area.alive(0, newer, signer=0), area.substation, f"{area.town.network}.9.9")
    wait_for(lambda: area.incarnation(0, area.substation) == newer, "believed")
    assert area.substation.counters["not signed by its subject"] == 0


@pytest.mark.parametrize("forged", ["another's key", "no signature", "another incarnation"])
def test_a_refutation_that_its_subject_did_not_sign_is_dropped_and_counted(area: Area, forged: str) -> None:
    """Even from the subject's own host."""
    before = area.incarnation(0, area.substation)
    alive = area.alive(0, before + 1, {"another's key": 1, "no signature": None}.get(forged, 0))
    if forged == "another incarnation":
        alive = replace(alive, incarnation=before + 2)
    area.say(alive, area.substation, area.meters[0].udp.host)
    wait_for(lambda: area.substation.counters["not signed by its subject"] == 1, "counted")
    assert area.incarnation(0, area.substation) == before
