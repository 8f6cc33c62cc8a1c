"""What devices that agree tell one another. Values only; who sent a message is told beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gossip_ws.consensus.log import AgreementId
from gossip_ws.consensus.loose import Left, Loose, Movable
from gossip_ws.consensus.vector import Vector


@dataclass(frozen=True, slots=True, order=True)
class Served:
    """How well a buyer has fared: the last period in which it was given anything (-1: never), counted over all days,
    and in how many periods it was. The smallest goes first. Of a cluster: that of who fared worst of those that need
    something; how many these are, and by how many periods later they were given anything, all together."""

    last: int = -1
    times: int = 0
    many: int = 1
    later: int = 0


NEVER: Final = Served()


@dataclass(frozen=True, slots=True)
class Announce:
    """To all others of the nano grid: what the sender still gives or needs on a day, W by period, and can move. number:
    the length of its log, so that of two the newer is known."""

    day: int
    number: int
    rest: Vector
    served: Served
    loose: tuple[Loose, ...] = ()


@dataclass(frozen=True, slots=True)
class Metered:
    """To all others of the nano grid, when a day is over: what the meter of a device has seen that it gave (positive)
    and took, W by period. Said in the device's name by its meter, whose key signs it."""

    day: int
    watts: Vector


@dataclass(frozen=True, slots=True)
class Propose:
    """A seller to a buyer: take this. level: of the cluster in which they met."""

    agreement: AgreementId
    day: int
    watts: Vector
    level: int


@dataclass(frozen=True, slots=True)
class Accept:
    """A buyer to its seller: so much of it is promised, and stays promised until the seller has told what became of
    it. record: the promise's number in the buyer's log."""

    agreement: AgreementId
    watts: Vector
    record: int


@dataclass(frozen=True, slots=True)
class Confirm:
    """A seller to its buyer: it is made. record: the decision's number in the seller's log."""

    agreement: AgreementId
    record: int


@dataclass(frozen=True, slots=True)
class Release:
    """A seller to its buyer: it is not made, and never will be."""

    agreement: AgreementId


@dataclass(frozen=True, slots=True)
class Decline:
    """A buyer to its seller: nothing of it is wanted."""

    agreement: AgreementId


@dataclass(frozen=True, slots=True)
class Signed:
    """What a line rests on: the report that the child's speaker has signed for whoever shows the line. number, rest,
    loose, missed: the report's. stamp: its seal's. below: the digest of the lines that it was the sum of. below and
    signature are hexadecimal."""

    number: int
    stamp: int
    rest: Vector
    below: str
    signature: str
    loose: tuple[Loose, ...] = ()
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A child of a cluster: what it has left by the reckoning of who shows the line, and which device speaks for it.
    signed: one where messages are signed, none otherwise."""

    child: str
    speaker: str
    rest: Vector
    served: Served
    loose: tuple[Loose, ...] = ()
    signed: tuple[Signed, ...] = ()

    @property
    def left(self) -> Left:
        return Left(self.rest, self.loose)


def fared(lines: Iterable[Line]) -> Served:
    """How those have fared that need anything."""
    found = [line.served for line in lines if line.left.needs]
    if not found:
        return NEVER
    worst, many = min(found), sum(max(1, one.many) for one in found)
    later = sum(max(1, one.many) * (one.last - worst.last) + max(0, one.later) for one in found)
    return Served(worst.last, worst.times, many, later)


@dataclass(frozen=True, slots=True)
class Report:
    """A child of a cluster to who speaks for the cluster: what the child has left. The sender speaks for the child.
    number: the sender's own count of its reports. lines: what it is the sum of, where the child is a cluster and
    messages are signed. missed: messages that should have come to the sender or to those below, and have not: where
    there are any, others' reports may be late."""

    cluster: str
    child: str
    day: int
    number: int
    rest: Vector
    served: Served
    loose: tuple[Loose, ...] = ()
    lines: tuple[Line, ...] = ()
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """The answer to a Report."""

    cluster: str
    number: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A child to who spoke for its cluster while a better choice could not be heard: it reports there now. number: of
    the errand, which `Done` ends."""

    number: int
    cluster: str
    child: str


@dataclass(frozen=True, slots=True)
class Inquire:
    """Who speaks for a cluster to who speaks for a child: report again. What the child has told does not fit what was
    arranged for it."""

    cluster: str
    child: str


@dataclass(frozen=True, slots=True)
class Gather:
    """Who speaks for a cluster to who speaks for each of its children: what is left? Answered at once, with a Report,
    by those that can say; so a Report that comes as the answer is not answered again."""

    cluster: str
    day: int


@dataclass(frozen=True, slots=True)
class Board:
    """To the speakers of a cluster's children: what all of them have left. number: of the errand, which `Done` ends."""

    number: int
    cluster: str
    day: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Seek:
    """One cluster's speaker to another's: this much is to be had, who of yours needs it? number: of the errand,
    which `Found` ends. level: where the two clusters met."""

    number: int
    buyer: str
    day: int
    watts: Vector
    level: int


@dataclass(frozen=True, slots=True)
class Target:
    """A child that needs so much, and the device that speaks for it: a device for itself."""

    child: str
    speaker: str
    watts: Vector


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a Seek: which children share it."""

    number: int
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Supply:
    """A cluster's speaker to that of one of its children: give so much to these. number: of the errand, which `Done`
    ends."""

    number: int
    child: str
    day: int
    targets: tuple[Target, ...]
    level: int


@dataclass(frozen=True, slots=True)
class Done:
    """The answer to a Board, a Supply and a Moved."""

    number: int


@dataclass(frozen=True, slots=True)
class Shown:
    """To whom a cluster concerns: what `accused` has said of it to `to`, one report or one board, with its seal's stamp
    and signature (hexadecimal). By these anybody can see that it is a lie."""

    accused: str
    to: str
    stamp: int
    signature: str
    report: tuple[Report, ...]
    board: tuple[Board, ...]


Errand = Board | Seek | Supply | Moved
"""What is repeated until it is answered, and acted on once."""
Message = (
    Announce
    | Metered
    | Propose
    | Accept
    | Confirm
    | Release
    | Decline
    | Report
    | Heard
    | Moved
    | Inquire
    | Gather
    | Board
    | Seek
    | Found
    | Supply
    | Done
    | Shown
)


def schedules(message: Message) -> tuple[Vector, ...]:
    """All that a message holds, so that their length can be looked at before anything else is."""
    match message:
        case Announce():
            return (message.rest, *(one.watts for one in message.loose))
        case Report():
            return (message.rest, *(one.watts for one in message.loose), *_held(message.lines))
        case Metered() | Propose() | Accept() | Seek():
            return (message.watts,)
        case Board():
            return _held(message.lines)
        case Shown():
            return tuple(vector for said in _shown(message) for vector in schedules(said))
        case Found() | Supply():
            return tuple(target.watts for target in message.targets)
        case Confirm() | Release() | Decline() | Heard() | Moved() | Inquire() | Gather() | Done():
            return ()


def arranged(message: Message) -> tuple[Vector, ...]:
    """Of these the schedules that say how much somebody is to give: who gave less than nothing of one proposal would
    have that much more for the next."""
    match message:
        case Seek() | Found() | Supply():
            return schedules(message)
        case _:
            return ()


def movables(message: Message) -> tuple[Movable, ...]:
    """All that a message says can be moved, to be looked at in the same way."""
    match message:
        case Announce():
            return (message.loose,)
        case Report():
            return (message.loose, *_moved(message.lines))
        case Board():
            return _moved(message.lines)
        case Shown():
            return tuple(loose for said in _shown(message) for loose in movables(said))
        case _:
            return ()


def _shown(shown: Shown) -> tuple[Report | Board, ...]:
    return (*shown.report, *shown.board)


def _held(lines: tuple[Line, ...]) -> tuple[Vector, ...]:
    found: list[Vector] = []
    for line in lines:
        found += [line.rest, *(one.watts for one in line.loose)]
        for signed in line.signed:
            found += [signed.rest, *(one.watts for one in signed.loose)]
    return tuple(found)


def _moved(lines: tuple[Line, ...]) -> tuple[Movable, ...]:
    return tuple(loose for line in lines for loose in (line.loose, *(signed.loose for signed in line.signed)))
