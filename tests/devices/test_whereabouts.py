"""Where other devices are: cards before hearsay, a search step by step, and nothing that grows without end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from gossip_ws.consensus.card import Card
from gossip_ws.core.peers import Peer, PeerTable, Role
from gossip_ws.devices.whereabouts import MOST, SILENT, UNKNOWN, WAITING, Whereabouts
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId
from gossip_ws.ports import Found

FAR = "urn:uuid:far"
PLACES = {FAR: "grid://t/2/5"}


def http(host: int, path: str = "/gossip") -> Address:
    return Address.parse(f"http://127.0.0.{host}:80{path}")


def peer(device: str, role: Role, scope: str, host: int) -> Peer:
    return Peer(DeviceId(device), role, (), (scope,), None, http(host))


class Desk:
    """The ports of a device: its table is real; what it asks, the test answers."""

    def __init__(self) -> None:
        self.own = peer("urn:uuid:own", Role.METER, "grid://t/1/3/2", 99)
        self.peers = PeerTable(Role.METER, 10)
        self.time = 0.0
        self.asked: list[tuple[Address, tuple[str, ...], Found]] = []
        self._later: list[Callable[[], None]] = []

    def now(self) -> Instant:
        return Instant(self.time, self.time)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        assert delay == 0
        self._later.append(callback)

    def find(self, service: Address, scopes: tuple[str, ...], limit: int, found: Found) -> None:
        self.asked.append((service, scopes, found))

    def turn(self) -> None:
        due, self._later = self._later, []
        for callback in due:
            callback()


def made(places: dict[str, str] = PLACES) -> tuple[Desk, Whereabouts]:
    desk: Any = Desk()
    return desk, Whereabouts(desk, desk, lambda device: places.get(device, ""), 1.0, Counter())


def card(number: int, host: int) -> Card:
    return Card(FAR, number, None, http(host, "/Balance"))


def test_a_device_of_another_area_is_found_by_way_of_those_above() -> None:
    desk, whereabouts = made()
    desk.peers.put_elder(peer("urn:uuid:top", Role.INFORMATION_SYSTEM, "grid://t", 1))
    sent: list[Sequence[Address]] = []
    whereabouts.reach(FAR, sent.append)
    whereabouts.reach(FAR, sent.append)
    desk.turn()
    (service, scopes, found) = desk.asked.pop()
    assert (service, scopes, desk.asked) == (http(1, "/Peers"), ("grid://t/2",), [])
    found((peer("urn:uuid:station", Role.SUBSTATION, "grid://t/2", 2),))
    desk.turn()
    (service, scopes, found) = desk.asked.pop()
    assert (service, scopes, sent) == (http(2, "/Peers"), ("grid://t/2/5",), [])
    found((peer(FAR, Role.METER, "grid://t/2/5", 3),))
    assert sent == [(http(3, "/Balance"),)] * 2
    whereabouts.reach(FAR, sent.append)
    assert len(sent) == 3


def test_a_peer_service_of_elsewhere_that_does_not_answer_is_asked_for_anew() -> None:
    """It may have come up at another address: then those above know."""
    desk, whereabouts = made()
    desk.peers.put_elder(peer("urn:uuid:top", Role.INFORMATION_SYSTEM, "grid://t", 1))
    whereabouts.reach(FAR, lambda _: None)
    desk.turn()
    desk.asked.pop()[2]((peer("urn:uuid:station", Role.SUBSTATION, "grid://t/2", 2),))
    desk.turn()
    desk.asked.pop()[2](None)
    desk.time += 2.0
    whereabouts.reach(FAR, lambda _: None)
    desk.turn()
    (service, _, found) = desk.asked.pop()
    assert service == http(1, "/Peers")
    found((peer("urn:uuid:station", Role.SUBSTATION, "grid://t/2", 4),))
    desk.turn()
    assert desk.asked.pop()[0] == http(4, "/Peers")


def test_an_appliance_that_knows_its_substation_alone_asks_it_for_the_one_beside_it() -> None:
    desk, whereabouts = made()
    desk.peers.put_elder(peer("urn:uuid:meter", Role.METER, "grid://t/1/3", 3))
    desk.peers.put_elder(peer("urn:uuid:station", Role.SUBSTATION, "grid://t/1", 1))
    sent: list[Sequence[Address]] = []
    whereabouts.reach(FAR, sent.append)
    desk.turn()
    (service, scopes, found) = desk.asked.pop()
    assert (service, scopes) == (http(1, "/Peers"), ("grid://t/2",))
    found((peer("urn:uuid:other", Role.SUBSTATION, "grid://t/2", 2),))
    desk.turn()
    (service, scopes, found) = desk.asked.pop()
    assert (service, scopes) == (http(2, "/Peers"), ("grid://t/2/5",))
    found((peer(FAR, Role.METER, "grid://t/2/5", 5),))
    assert sent == [(http(5, "/Balance"),)]
    assert whereabouts.counters == {"asked for devices": 2}


def test_who_knows_nobody_but_its_parent_asks_who_is_above_it() -> None:
    desk, whereabouts = made()
    desk.peers.put_elder(peer("urn:uuid:meter", Role.METER, "grid://t/1/3", 3))
    sent: list[Sequence[Address]] = []
    whereabouts.reach(FAR, sent.append)
    desk.turn()
    (service, scopes, found) = desk.asked.pop()
    assert (service, scopes) == (http(3, "/Peers"), ("grid://t/1",))
    found((peer("urn:uuid:next", Role.METER, "grid://t/1/4", 4), peer("urn:uuid:st", Role.SUBSTATION, "grid://t/1", 1)))
    desk.time += 2.0
    whereabouts.reach(FAR, sent.append)
    desk.turn()
    (service, scopes, found) = desk.asked.pop()
    assert (service, scopes, desk.asked) == (http(1, "/Peers"), ("grid://t/2",), [])
    found((peer(FAR, Role.METER, "grid://t/2/5", 5),))
    # Both messages have waited.
    assert sent == [(http(5, "/Balance"),)] * 2


def test_where_nobody_can_be_asked_or_answers_only_the_last_few_messages_wait() -> None:
    desk, whereabouts = made()
    sent: list[int] = []
    for number in range(2 * WAITING):
        whereabouts.reach(FAR, lambda _, number=number: sent.append(number))  # type: ignore[misc]
        desk.time += 2.0
        desk.turn()
    assert whereabouts.counters["nobody to ask for a device"] == 2 * WAITING
    assert (desk.asked, sent) == ([], [])
    whereabouts.take(card(1, 3))
    assert sent == list(range(WAITING, 2 * WAITING))


def test_the_newest_card_counts_and_who_is_silent_is_looked_for_again() -> None:
    desk, whereabouts = made()
    desk.peers.put_elder(peer("urn:uuid:station", Role.SUBSTATION, "grid://t/2", 2))
    whereabouts.take(card(2, 3))
    assert (whereabouts.is_news(card(1, 9)), whereabouts.is_news(card(3, 4))) == (False, True)
    sent: list[Sequence[Address]] = []
    for _ in range(SILENT):
        whereabouts.reach(FAR, sent.append)
    desk.turn()
    assert sent == [(http(3, "/Balance"),)] * SILENT
    desk.asked.pop()[2]((peer(FAR, Role.METER, "grid://t/2/5", 7),))
    for _ in range(2):
        whereabouts.reach(FAR, sent.append)
    # It may be that nobody answers at either: they take turns.
    assert sorted(sent[SILENT:]) == [(http(3, "/Balance"),), (http(7, "/Balance"),)]
    whereabouts.heard(FAR)
    whereabouts.reach(FAR, sent.append)
    assert sent[-1] == (http(3, "/Balance"),)


def test_messages_wait_for_a_few_devices_only() -> None:
    _, whereabouts = made({})
    sent: list[str] = []
    for number in range(UNKNOWN + 3):
        name = f"d{number}"
        whereabouts.reach(name, lambda _, name=name: sent.append(name))  # type: ignore[misc]
    assert whereabouts.counters["too many devices looked for"] == 3
    for number in (UNKNOWN - 1, UNKNOWN):
        whereabouts.take(Card(f"d{number}", 1, None, http(1)))
    assert sent == [f"d{UNKNOWN - 1}"]


def test_a_thousand_strangers_make_room_for_one_another() -> None:
    _, whereabouts = made({})
    for number in range(MOST + 10):
        whereabouts.take(Card(f"d{number}", 1, None, http(1)))
    assert whereabouts.card("d9") is None
    assert whereabouts.card("d10") is not None
