"""Where the devices are with which one device agrees: from their own cards, from its peers, or asked for.

A card comes with a message of its owner, or of somebody who names the owner. Who has shown none is looked for by its
place in the grid: the nearest Peer Service that is known is asked for it, or for a nearer one, step by step. Where
none is known near it, as by an appliance, who is highest above the device is asked for those beside it, or for who is
above. Sends nothing but these questions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from gossip_ws.consensus.card import Card
from gossip_ws.core.peers import Peer
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.names import DeviceId
from gossip_ws.kernel.scopes import covers
from gossip_ws.ports import Clock, Gossip
from gossip_ws.services.balancing import PATH
from gossip_ws.services.peering import MAX_LIST

MOST: Final = 1_024
"""Devices that are remembered; who was longest not spoken to makes room."""
WAITING: Final = 4
"""Messages that wait until a device is found; the oldest makes room. All of them are repeated anyway."""
UNKNOWN: Final = 64
"""Devices for which messages wait; what is for others is dropped."""
SILENT: Final = 4
"""Messages after which a device that says nothing is looked for anew: it may have come up at another address."""
REGISTRARS: Final = 128
"""Peer Services that are remembered of other areas, and above this device; the oldest makes room."""
PEERS_PATH: Final = "/Peers"
_ANSWER: Final = 64
"""Peers asked for at once: those of a few places, and who else lies below them."""

Send = Callable[[Sequence[Address]], None]


@dataclass(slots=True)
class _Entry:
    """found: by the Peer Service. silence: messages since it was heard. asked: monotonic s."""

    card: Card | None = None
    found: tuple[Address, ...] = ()
    silence: int = 0
    asked: float = float("-inf")
    waiting: list[Send] = field(default_factory=list)


class Whereabouts:
    """Of one device. `place`: the scope of each device in the grid, empty for who is in no place. `patience`: s between
    two questions for one device. `counters`: where it counts its questions."""

    def __init__(
        self, gossip: Gossip, clock: Clock, place: Callable[[str], str], patience: float, counters: Counter[str]
    ) -> None:
        self.counters = counters
        self._gossip = gossip
        self._clock = clock
        self._place = place
        self._patience = patience
        self._entries: dict[str, _Entry] = {}
        self._sought: set[str] = set()
        self._registrars: dict[str, Address] = {}

    def card(self, device: str) -> Card | None:
        """As its owner has written it."""
        entry = self._entries.get(device)
        return entry.card if entry is not None else None

    def is_news(self, card: Card) -> bool:
        """Is it newer than what is here?"""
        held = self.card(card.device)
        return held is None or card.number > held.number

    def take(self, card: Card) -> None:
        """A card that was looked at."""
        entry = self._entry(card.device)
        entry.card, entry.silence = card, 0
        self._release(entry, card.addresses)

    def heard(self, device: str) -> None:
        """It is where it is thought to be."""
        if device in self._entries:
            self._entries[device].silence = 0

    def reach(self, device: str, send: Send) -> None:
        """`send` gets the addresses: at once where they are known, else once the device is found, or never."""
        entry = self._entry(device)
        entry.silence += 1
        addresses = self._known(device, entry)
        if not addresses or entry.silence % SILENT == 0:
            self._seek(device, entry)
        if addresses:
            send(addresses)
        elif entry.waiting or sum(1 for one in self._entries.values() if one.waiting) < UNKNOWN:
            entry.waiting = [*entry.waiting[1 - WAITING :], send]
        else:
            self.counters["too many devices looked for"] += 1

    # -- small steps ---------------------------------------------------------------------------

    def _entry(self, device: str) -> _Entry:
        entry = self._entries.pop(device, None) or _Entry()
        while len(self._entries) >= MOST:
            del self._entries[next(iter(self._entries))]
        self._entries[device] = entry
        return entry

    def _known(self, device: str, entry: _Entry) -> tuple[Address, ...]:
        """The card, and whatever else is known in turn with it where nobody answers."""
        peer = self._gossip.peers.reachable(DeviceId(device))
        other = _served(peer) if peer is not None else entry.found
        if entry.card is None or (other and entry.silence > SILENT and entry.silence % 2):
            return other
        return entry.card.addresses

    def _seek(self, device: str, entry: _Entry) -> None:
        now = self._clock.now().monotonic
        if now - entry.asked < self._patience:
            return
        entry.asked = now
        if not self._sought:
            # Whoever needs one needs its neighbours too: they are asked for together.
            self._clock.call_later(0.0, self._ask)
        self._sought.add(device)

    def _ask(self) -> None:
        sought, self._sought = sorted(self._sought), set()
        steps: dict[Address, dict[str, list[str]]] = {}
        is_lost = False
        for device in sought:
            place = self._place(device)
            service, scope = self._registrar(place)
            if service is None:
                self.counters["nobody to ask for a device"] += 1
                is_lost = True
            else:
                steps.setdefault(service, {}).setdefault(_step(scope, place), []).append(device)
        for service, scopes in steps.items():
            named = list(scopes)
            for first in range(0, len(named), MAX_LIST):
                some = tuple(named[first : first + MAX_LIST])
                devices = [device for scope in some for device in scopes[scope]]
                self.counters["asked for devices"] += 1
                self._gossip.find(service, some, _ANSWER, partial(self._answered, service, devices))
        if is_lost and (above := self._above()):
            scope, service = above[0]
            self.counters["asked who is above"] += 1
            self._gossip.find(service, (_around(scope),), _ANSWER, partial(self._climbed, service))

    def _registrar(self, place: str) -> tuple[Address | None, str]:
        """The Peer Service nearest to a place that is known, and the scope in which it looks for it."""
        found: Address | None = None
        deepest = ""
        known = [(scope, peer.http) for peer in self._gossip.peers.around(place) for scope in peer.scopes]
        for scope, http in (*known, *self._registrars.items()):
            if http is not None and _is_around(scope, place) and len(scope) > len(deepest):
                found, deepest = http.at(PEERS_PATH), scope
        if found is None:
            # Who is highest above this device may know those beside it.
            beside = ((service, _around(scope)) for scope, service in self._above())
            found, deepest = next((one for one in beside if _is_around(one[1], place)), (None, ""))
        return found, deepest

    def _above(self) -> list[tuple[str, Address]]:
        """(scope, Peer Service) of those that are known above this device, the highest first."""
        known = [(scope, peer.http) for peer in self._gossip.peers.around(self._here) for scope in peer.scopes]
        found = [
            (scope, http.at(PEERS_PATH))
            for scope, http in (*known, *self._registrars.items())
            if http is not None and _is_around(scope, self._here)
        ]
        return sorted(found, key=lambda one: len(one[0]))

    @property
    def _here(self) -> str:
        return next(iter(self._gossip.own.scopes), "")

    def _climbed(self, service: Address, peers: tuple[Peer, ...] | None) -> None:
        """Whoever is still looked for is asked for again when there is something to say: more is known by then."""
        if peers is None:
            self._forget(service)
        for peer in peers or ():
            for scope in peer.scopes:
                if peer.http is not None and _is_around(scope, self._here):
                    self._remember(scope, peer.http)

    def _answered(self, service: Address, devices: Sequence[str], peers: tuple[Peer, ...] | None) -> None:
        """Some are found; of the others, who is nearer to their place may know them."""
        if peers is None:
            self._forget(service)
        told = {peer.device: peer for peer in peers or ()}
        for device in devices:
            entry = self._entries.get(device)
            peer = told.get(DeviceId(device))
            if entry is None:
                continue
            if peer is not None:
                entry.found = _served(peer)
                self._release(entry, entry.found)
            elif self._learn(self._place(device), told.values()):
                entry.asked = float("-inf")
                self._seek(device, entry)

    def _learn(self, place: str, peers: Iterable[Peer]) -> bool:
        """Is one of them nearer to the place than any that was known?"""
        _, before = self._registrar(place)
        for peer in peers:
            for scope in peer.scopes:
                if peer.http is not None and _is_around(scope, place) and len(scope) > len(before):
                    self._remember(scope, peer.http)
        return len(self._registrar(place)[1]) > len(before)

    def _remember(self, scope: str, service: Address) -> None:
        while len(self._registrars) >= REGISTRARS:
            del self._registrars[next(iter(self._registrars))]
        self._registrars[scope] = service

    def _forget(self, service: Address) -> None:
        """It does not answer, and may be elsewhere by now. Next time those above are asked for it."""
        kept = self._registrars.items()
        self._registrars = {scope: http for scope, http in kept if http.at(PEERS_PATH) != service}

    def _release(self, entry: _Entry, addresses: tuple[Address, ...]) -> None:
        waiting, entry.waiting = entry.waiting, []
        for send in waiting:
            send(addresses)


def _served(peer: Peer) -> tuple[Address, ...]:
    """Where the Balance service of a peer is: beside its gossip endpoint."""
    return tuple(address.at(PATH) for address in (peer.udp, peer.http) if address is not None)


def _is_around(scope: str, place: str) -> bool:
    return covers(scope, place) and not covers(place, scope)


def _around(scope: str) -> str:
    """The scope around a scope; around the topmost it is one of nothing."""
    return scope.rstrip("/").rpartition("/")[0]


def _step(scope: str, place: str) -> str:
    """One segment further from a scope around a place towards it: of this somebody below may be a registrar."""
    here = scope.rstrip("/")
    segment = place[len(here) :].lstrip("/").partition("/")[0]
    return f"{here}/{segment}"
