"""How a device that balances speaks to others: under its own key, with its card, to one, to a nano grid, or to all who
speak for a cluster's children.

Also whose cards it takes. Refuses to know what is said, and when.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from gossip_ws.consensus.card import Card, card_statement
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.door import Stamps
from gossip_ws.consensus.effects import Pull, Spread
from gossip_ws.consensus.messages import Board, Found, Message, Metered, Supply
from gossip_ws.consensus.trust import Roll, Sealed, Sign, seal
from gossip_ws.devices.announcer import Announcer
from gossip_ws.devices.gatherer import Gatherer
from gossip_ws.devices.whereabouts import Whereabouts
from gossip_ws.kernel.names import QName
from gossip_ws.ports import Clock, Gossip
from gossip_ws.services.balance_messages import sealed_element
from gossip_ws.services.balancing import PATH, action

_MOVES: Final = 1 << 16
"""Cards of a device between two starts."""


class Voice:
    """One device's, once its Host has given it a `gossip`. `place`: each device's scope in the grid. `types`: those
    that all devices have that balance. `sign`: None where nobody signs; `meter`: with what the device's meter signs.
    `roll`: None where every card is believed. `counters`: where it counts what it says."""

    def __init__(
        self,
        device: str,
        pace: Pace,
        gossip: Gossip,
        *,
        clock: Clock,
        place: Callable[[str], str],
        types: tuple[QName, ...],
        sign: Sign | None,
        meter: Sign | None,
        roll: Roll | None,
        counters: Counter[str],
    ) -> None:
        self._device = device
        self._gossip = gossip
        self._clock = clock
        self._sign = sign
        self._meter = meter
        self._roll = roll
        self._counters = counters
        self._stamps = Stamps()
        self._card: Card | None = None
        self._starts = 0
        self._whereabouts = Whereabouts(gossip, clock, place, 4 * pace.round, counters)
        self._announcer = Announcer(gossip, self._whereabouts, place, types, counters)
        self._gatherer = Gatherer(gossip, place, types, pace.answer * pace.round, counters)

    def begin(self, starts: int) -> None:
        """The device comes up, for so many times now: its cards are newer than those of before."""
        self._starts = starts

    def tell(self, to: str, message: Message) -> None:
        """One device, best effort. With the message go the cards of the devices that it names."""
        known = (self._whereabouts.card(device) for device in sorted(_named(message) - {to, self._device}))
        body = sealed_element(self.sealed(to, message), [self.card, *(card for card in known if card is not None)])
        self._counters[f"sent {type(message).__name__}"] += 1
        name = action(message)
        self._whereabouts.reach(to, lambda addresses: self._gossip.tell(name, body, addresses))

    def spread(self, effect: Spread) -> None:
        """All of them, best effort, by one push."""
        body = sealed_element(self.sealed(effect.cluster, effect.message), [self.card])
        self._announcer.say(action(effect.message), body, effect.to)

    def pull(self, effect: Pull, *, is_near: bool, take: Callable[[bytes], None]) -> None:
        """All of them, by one pull; `take` gets each Report element that comes back."""
        body = sealed_element(self.sealed(effect.cluster, effect.message), [self.card])
        self._gatherer.ask(action(effect.message), body, effect.to, is_near=is_near, take=take)

    def sealed(self, to: str, message: Message) -> Sealed:
        """Signed for one receiver: what was metered by the meter, all else by the device."""
        sign = self._meter if isinstance(message, Metered) and self._meter is not None else self._sign
        if sign is None:
            return Sealed(self._device, to, message, b"")
        return seal(self._device, to, message, sign, self._stamps.next(self._clock.now().wall))

    @property
    def card(self) -> Card:
        """The device's own."""
        own = self._gossip.own
        udp, http = own.udp and own.udp.at(PATH), own.http and own.http.at(PATH)
        held = self._card
        if held is None or (held.udp, held.http) != (udp, http):
            number = held.number + 1 if held is not None else self._starts * _MOVES
            card = Card(self._device, number, udp, http)
            signature = self._sign(card_statement(card)) if self._sign is not None else b""
            self._card = held = replace(card, signature=signature)
        return held

    def take(self, cards: Iterable[Card]) -> None:
        """Of others, that came with a message."""
        for card in cards:
            if card.device == self._device or not self._whereabouts.is_news(card):
                continue
            if self._roll is not None and not self._roll.has_said(card.device, card_statement(card), card.signature):
                self._counters["card not signed by its owner"] += 1
                continue
            self._whereabouts.take(card)

    def heard(self, device: str) -> None:
        """It was heard directly: its card still holds."""
        self._whereabouts.heard(device)


def _named(message: Message) -> set[str]:
    """The devices that a message tells its receiver to speak to."""
    match message:
        case Board():
            return {line.speaker for line in message.lines}
        case Found() | Supply():
            return {target.speaker for target in message.targets}
        case _:
            return set()
