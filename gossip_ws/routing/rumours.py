"""The latest statement of every owner that one node knows of, and which of them it still has to tell others.

A rumour is told in some messages and then rests (Demers et al., 1987): as many as it takes to reach everybody, fewer
where others tell it back. Refuses to know who is told and what a statement says.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import ceil, log
from typing import Final, Generic, TypeVar

from gossip_ws.routing.statement import Statement, octets

T = TypeVar("T")

MORE: Final = 2
"""Messages in which a rumour is told beyond the ln n in which it reaches n nodes."""
LEAST: Final = 2
"""In which it is told whoever tells it back: who stands between two areas hears it from all of one."""
FANOUT: Final = 4
"""Others that one message goes to (docs/routing.md says what fewer cost)."""
ROOM: Final = 1_524
"""Octets of statements in a message, which as text fits a datagram: ten of owners with four links. What does not fit
goes with the next (docs/routing.md says what less room costs)."""
CARRIED: Final = 68
"""Octets that travel with a statement: its age, and what its owner signs with."""


@dataclass(slots=True)
class _Rumour(Generic[T]):
    statement: Statement
    carried: T
    change: float
    left: int


class Rumours(Generic[T]):
    """One node's. `owners`: whose statements there can be, which bounds the memory. `nodes`: how many there are to
    tell. `room`: octets of statements in a message. What is kept with a statement, a T, goes where the statement goes.
    """

    __slots__ = ("_held", "_owners", "_room", "_said", "_tellings")

    def __init__(self, owners: Collection[int], nodes: int, room: int = ROOM) -> None:
        self._owners = frozenset(owners)
        self._room = room
        self._tellings = ceil(log(max(nodes, 2))) + MORE
        self._held: dict[int, _Rumour[T]] = {}
        self._said: list[_Rumour[T]] = []

    def is_news(self, statement: Statement) -> bool:
        """Is it an owner's, and later than what is held? Who brings what is held need not be told it: then it rests
        one message sooner, but not before it was told in `LEAST`."""
        held = self._held.get(statement.owner)
        if held is None:
            return statement.owner in self._owners
        if held.left and held.left <= self._tellings - LEAST and held.statement == statement:
            held.left -= 1
        return statement.seq > held.statement.seq

    def take(self, statement: Statement, carried: T) -> None:
        """Hold what `is_news` in the place of what was held of its owner, and tell it."""
        held = self._held.get(statement.owner)
        change = statement.change(held.statement if held is not None else None)
        self._held[statement.owner] = _Rumour(statement, carried, change, self._tellings)

    def tell(self) -> list[T]:
        """What the next message says: what has room, and one at least. First what was told least, and of that what has
        changed most; the rest is for the message after."""
        waiting = [one for one in self._held.values() if one.left]
        waiting.sort(key=lambda one: (one.left, one.change), reverse=True)
        self._said = []
        room = self._room
        for one in waiting:
            size = CARRIED + octets(one.statement)
            if self._said and size > room:
                break
            room -= size
            one.left -= 1
            self._said.append(one)
        return [one.carried for one in self._said]

    def take_back(self) -> None:
        """What `tell` said last could not be sent: it is told as often as if it had not been said."""
        for one in self._said:
            one.left += 1
        self._said = []
