"""What a device takes of what it is told of energy links, what it makes of it, and when it tells it on."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from lxml import etree

from gossip_ws.devices.hearsay import GRADIENTS, Hearsay, signed
from gossip_ws.kernel.errors import receiver_fault
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import ROUTING, qname
from gossip_ws.routing.statement import LinkState, Statement
from gossip_ws.security.keys import PrivateKey
from gossip_ws.services.routing import Said

KEYS = [PrivateKey.generate() for _ in range(40)]
PUBLIC = {node: key.public for node, key in enumerate(KEYS)}
MOST_BODY = 2_420
"""Octets, with which an envelope fits a datagram."""


class Clock:
    """Shows what it is told to."""

    time = 100.0

    def now(self) -> Instant:
        return Instant(self.time, 0.0)

    def call_later(self, delay: float, callback: Any) -> None:
        raise AssertionError("it waits for nothing")


class Ear:
    """A Gossip that notes what is told."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.told: list[int] = []
        self.sent = 1000
        self.is_busy = False

    def originate(self, action: str, body: bytes, wanted: Any) -> None:
        if self.is_busy:
            raise receiver_fault("Busy", "too many at once")
        (fanout,) = {one.fanout for one in wanted.budgets}
        assert (action, wanted.scopes) == (GRADIENTS, ("energy://t",))
        self.bodies.append(body)
        self.told.append(fanout)
        self.sent += fanout

    def said(self) -> list[tuple[float, bytes]]:
        """(age, statement) of the last message."""
        told = [b64decode(one.text or "") for one in etree.fromstring(self.bodies[-1]).iter(qname(ROUTING, "said"))]
        return [(int.from_bytes(one[:4]) / 1000, one[4:]) for one in told]


def statement(owner: int, seq: int = 1, load: float = 5.0) -> Statement:
    return Statement(owner, seq, tuple(LinkState(100 + to, 16.0, load, 3, 0.25) for to in range(4)))


def said(owner: int, seq: int = 1, age: float = 0.0, load: float = 5.0) -> Said:
    return Said(age, signed(statement(owner, seq, load), KEYS[owner]))


@pytest.fixture
def heard() -> tuple[Hearsay, Clock, Ear]:
    clock = Clock()
    hearsay = Hearsay(PUBLIC, 40, scope="energy://t", clock=clock, fanout=5)
    ear: Any = Ear()
    hearsay.gossip = ear
    clock.time -= 1.0
    hearsay.begin(1.0)
    clock.time += 1.0
    return hearsay, clock, ear


Built = tuple[Hearsay, Clock, Ear]


def ticks(hearsay: Hearsay, clock: Clock, count: int = 1) -> None:
    """It takes its turn, and a tick goes by."""
    for _ in range(count):
        hearsay.tell()
        clock.time += 1.0


def test_what_an_owner_signed_is_taken_whoever_tells_it_and_only_once(heard: Built) -> None:
    hearsay, _, _ = heard
    assert hearsay.heard([said(3, age=2.5)]) == [(statement(3), 97.5)]
    assert hearsay.heard([said(3, age=0.5)]) == []
    assert hearsay.heard([said(3, seq=2), said(3, seq=1)]) == [(statement(3, 2), 100.0)]
    assert hearsay.counters == {"statements taken": 2, "statements known or of nobody": 2}


@pytest.mark.parametrize(
    "forged",
    [
        # Another load; what one signed in another's name; its own signature cut short.
        signed(statement(3), KEYS[3]).replace(b"\x40\xa0", b"\x40\xb0"),
        signed(statement(3), KEYS[4]),
        signed(statement(3), KEYS[3])[:-64] + bytes(64),
    ],
)
def test_what_its_owner_did_not_sign_is_not_taken_and_not_told(forged: bytes, heard: Built) -> None:
    hearsay, _, ear = heard
    assert hearsay.heard([Said(0.0, forged)]) == []
    assert hearsay.counters == {"statements not signed by their owner": 1}
    hearsay.tell()
    assert ear.bodies == []


@pytest.mark.parametrize("junk", [b"", bytes(64), bytes(200), signed(statement(3), KEYS[3])[:-1], bytes(5000)])
def test_junk_is_counted(junk: bytes, heard: Built) -> None:
    hearsay, _, _ = heard
    assert hearsay.heard([Said(0.0, junk)]) == []
    assert hearsay.counters == {"no statement": 1}


def test_of_whom_no_key_is_known_nothing_is_taken(heard: Built) -> None:
    hearsay, _, _ = heard
    assert hearsay.heard([Said(0.0, signed(statement(99), KEYS[0]))]) == []
    assert hearsay.counters == {"statements known or of nobody": 1}


def test_what_is_told_on_is_older_by_the_time_that_it_was_here(heard: Built) -> None:
    hearsay, clock, ear = heard
    hearsay.heard([said(3, age=2.5)])
    clock.time += 1.25
    hearsay.tell()
    assert ear.said() == [(3.75, said(3).signed)]


def test_an_own_statement_is_told_until_others_tell_it_back(heard: Built) -> None:
    hearsay, clock, ear = heard
    # A load that a single-precision number cannot hold comes back as another one.
    own = signed(statement(7, load=0.1), KEYS[7])
    hearsay.say(own)
    ticks(hearsay, clock, 2)
    assert ear.said() == [(1.0, own)]
    for _ in range(40):
        hearsay.heard([Said(1.0, own)])
    hearsay.tell()
    assert len(ear.bodies) == 2


def test_a_message_fits_a_datagram_and_what_does_not_goes_with_the_next(heard: Built) -> None:
    hearsay, clock, ear = heard
    hearsay.heard([said(owner, load=5.0) for owner in range(30)])
    told: list[bytes] = []
    for _ in range(4):
        ticks(hearsay, clock)
        assert len(ear.bodies[-1]) <= MOST_BODY
        told += [octets for _, octets in ear.said()]
    assert len(set(told)) == 30
    # What has changed more goes before what was told as little.
    hearsay.heard([said(owner, 2, load=5.0 + owner / 100) for owner in range(30)])
    hearsay.tell()
    assert {int.from_bytes(octets[:2]) for _, octets in ear.said()} == set(range(30 - len(ear.said()), 30))


@pytest.mark.parametrize("links", [1, 2, 5, 8, 12])
def test_a_message_fits_a_datagram_however_many_links_owners_have(links: int, heard: Built) -> None:
    hearsay, _, ear = heard
    for owner in range(40):
        one = Statement(owner, 1, tuple(LinkState(100 + to, 16.0, 5.0, 3, 0.25) for to in range(links)))
        hearsay.heard([Said(0.0, signed(one, KEYS[owner]))])
    hearsay.tell()
    assert MOST_BODY / 2 < len(ear.bodies[-1]) <= MOST_BODY


def test_what_could_not_be_sent_counts_as_not_told(heard: Built) -> None:
    hearsay, clock, ear = heard
    hearsay.heard([said(3)])
    ear.is_busy = True
    ticks(hearsay, clock, 50)
    assert hearsay.counters["messages refused"] == 50
    ear.is_busy = False
    hearsay.tell()
    assert [octets for _, octets in ear.said()] == [said(3).signed]


def test_what_everybody_must_have_is_told_no_more(heard: Built) -> None:
    hearsay, clock, ear = heard
    hearsay.heard([said(3)])
    ticks(hearsay, clock, 50)
    # ln 40 and two more.
    assert len(ear.bodies) == 6


def test_what_the_device_sends_otherwise_is_taken_off(heard: Built) -> None:
    hearsay, clock, ear = heard

    def told(otherwise: int) -> int:
        """Peers that are told in a tick, before which it sends so many of other kinds."""
        ear.sent += otherwise
        hearsay.heard([said(3, seq=round(clock.time))])
        before = ear.sent
        ticks(hearsay, clock)
        return ear.sent - before

    assert [told(otherwise) for otherwise in (0, 1, 0, 2, 3, 0)] == [5, 4, 5, 3, 0, 5]
    # What is kept from telling today is told tomorrow.
    assert ear.said()[0][1] == said(3, seq=105).signed


def test_a_tick_costs_no_more_than_the_fanout_whatever_else_is_sent(heard: Built) -> None:
    """The rest takes 3.5 of 5 in a tick: reports do not keep half."""
    hearsay, clock, ear = heard
    since = ear.sent
    for tick in range(1, 201):
        ear.sent += (3, 4, 4, 3)[tick % 4]
        hearsay.heard([said(3, seq=tick)])
        hearsay.tell()
        assert ear.sent - since <= 5 * tick
        clock.time += 1.0
    assert sum(ear.told) > 250


def test_nobody_is_told_before_it_begins() -> None:
    ear: Any = Ear()
    hearsay = Hearsay(PUBLIC, 40, scope="energy://t", clock=Clock())
    hearsay.gossip = ear
    hearsay.heard([said(3)])
    hearsay.tell()
    assert ear.bodies == []
