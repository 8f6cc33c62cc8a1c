"""Who may say what: by signature, and by place in the grid.

A message counts only when its sender is enrolled, has signed it for this receiver, and stands where one stands who
says such a thing. Keys are handed in as functions; where devices stand is the hierarchy, which the utility enrols.
Refuses to know how a signature is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from hashlib import sha256
from typing import Any

from gossip_ws.consensus.clusters import Hierarchy
from gossip_ws.consensus.log import seller_of
from gossip_ws.consensus.messages import (
    Announce,
    Board,
    Found,
    Gather,
    Inquire,
    Line,
    Message,
    Metered,
    Moved,
    Propose,
    Report,
    Seek,
    Supply,
)

Verify = Callable[[bytes, bytes], bool]
"""(signature, statement): is it this key's?"""
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message from `sender` to `to`, signed over both. stamp: microseconds since 1970 by the sender's clock, and no
    two of a sender are the same, so what is said again by another is told from what was said."""

    sender: str
    to: str
    message: Message
    signature: bytes
    stamp: int = 0


def statement(sender: str, to: str, message: Message, stamp: int = 0) -> bytes:
    """What is signed: the same octets for the same message everywhere, and others for any other. Of the lines that a
    report is the sum of, the digest: who shows the report further up need not show them."""
    if isinstance(message, Report):
        return report_statement(sender, to, message, stamp, digest(message.lines))
    return _octets([sender, to, stamp, type(message).__name__, _plain(message)])


def report_statement(sender: str, to: str, report: Report, stamp: int, below: str) -> bytes:
    """The statement of a report whose lines have the digest `below`, whatever lines it has here."""
    told = [report.cluster, report.child, report.day, report.number, report.rest]
    told += [_plain(report.served), _plain(report.loose), report.missed, below]
    return _octets([sender, to, stamp, "Report", told])


def digest(lines: tuple[Line, ...]) -> str:
    """SHA-256 in hexadecimal."""
    return sha256(_octets(_plain(lines))).hexdigest()


def seal(sender: str, to: str, message: Message, sign: Sign, stamp: int = 0) -> Sealed:
    """Sign a message for one receiver: nobody else can be shown it as said to them."""
    return Sealed(sender, to, message, sign(statement(sender, to, message, stamp)), stamp)


class Roll:
    """The enrolled identities, each with its key, and with its bus where that is enrolled too. Who is on it is decided
    by the utility, one identity a device, so a household that invents devices gets no more say. `meters`: the keys of
    the meters that measure devices, where these are not the devices' own."""

    def __init__(
        self,
        keys: Mapping[str, Verify],
        buses: Mapping[str, int] | None = None,
        meters: Mapping[str, Verify] | None = None,
    ) -> None:
        self._keys = dict(keys)
        self._buses = dict(buses or {})
        self._meters = dict(meters or {})

    def __contains__(self, device: str) -> bool:
        return device in self._keys

    def has_said(self, device: str, statement: bytes, signature: bytes) -> bool:
        """Is the signature under the statement that of an enrolled device?"""
        verify = self._keys.get(device)
        return verify is not None and verify(signature, statement)

    def opened(self, sealed: Sealed, receiver: str) -> Message | None:
        """The message, if its sender is enrolled and has signed it for `receiver`; else None. What was metered of a
        device is its meter's to sign, and nothing else is."""
        if sealed.to != receiver or sealed.sender not in self._keys:
            return None
        verify = self._keys[sealed.sender]
        if isinstance(sealed.message, Metered):
            verify = self._meters.get(sealed.sender, verify)
        said = statement(sealed.sender, sealed.to, sealed.message, sealed.stamp)
        return sealed.message if verify(sealed.signature, said) else None

    def is_placed(self, hierarchy: Hierarchy, device: str) -> bool:
        """Does the device stand where it is enrolled, as far as its enrolment says where, and it stands anywhere? Who
        has left still ends what it has begun."""
        enrolled = self._buses.get(device)
        return enrolled is None or hierarchy.bus.get(device, enrolled) == enrolled


def is_meant(hierarchy: Hierarchy, device: str, sealed: Sealed) -> bool:
    """Is it said to this device, announced to its nano grid, metered in a cluster that it is in, or asked of one?
    Nothing else is said to more than one."""
    match sealed.message:
        case Announce() if sealed.to == hierarchy.home.get(device):
            return True
        case Metered() if sealed.to == hierarchy.home.get(sealed.sender):
            return hierarchy.is_below(device, sealed.to)
        case Gather() if sealed.to == sealed.message.cluster:
            return hierarchy.is_below(device, sealed.to)
    return sealed.to == device


def is_in_place(hierarchy: Hierarchy, message: Message, sender: str, receiver: str) -> bool:
    """May one who stands where `sender` does say this to `receiver`? Only a device of a cluster speaks for it, only one
    of the cluster above shares out to it, who seeks is of the cluster in which both met, an agreement bears its
    seller's name, and those who are to agree are in one cluster of the level at which they are said to meet."""
    if sender not in hierarchy.home:
        return False
    match message:
        case Propose():
            return seller_of(message.agreement) == sender and _meet(hierarchy, sender, receiver, message.level)
        case Metered():
            return hierarchy.is_below(receiver, hierarchy.home[sender])
        case Moved():
            return hierarchy.is_below(sender, message.child)
        case Report():
            return hierarchy.is_below(sender, message.child) and _stand(hierarchy, message.lines, message.child)
        case Board():
            return hierarchy.is_below(sender, message.cluster) and _stand(hierarchy, message.lines, message.cluster)
        case Seek():
            return hierarchy.is_below(sender, _ancestor(hierarchy, message.buyer, message.level))
        case Inquire():
            return hierarchy.is_below(sender, message.cluster)
        case Gather():
            return message.cluster in hierarchy.clusters and hierarchy.candidates(message.cluster)[0] == sender
        case Supply():
            above = hierarchy.parent(message.child)
            meets = all(_meet(hierarchy, message.child, one.child, message.level) for one in message.targets)
            return meets and hierarchy.is_below(sender, above) and _speak(hierarchy, message)
        case Found():
            return _speak(hierarchy, message)
        case _:
            return True


def _meet(hierarchy: Hierarchy, one: str, other: str, level: int) -> bool:
    """Are two devices or clusters in one cluster of at most that level, above both?"""
    known = all(child in hierarchy.home or child in hierarchy.clusters for child in (one, other))
    if not known or not max(hierarchy.level(one), hierarchy.level(other)) < level <= hierarchy.depth:
        return False
    met = hierarchy.above(one, level)
    return met != one and met == hierarchy.above(other, level)


def _stand(hierarchy: Hierarchy, lines: tuple[Line, ...], cluster: str) -> bool:
    return all(
        hierarchy.parent(line.child) == cluster and hierarchy.is_below(line.speaker, line.child) for line in lines
    )


def _speak(hierarchy: Hierarchy, message: Supply | Found) -> bool:
    return all(hierarchy.is_below(target.speaker, target.child) for target in message.targets)


def _ancestor(hierarchy: Hierarchy, child: str, level: int) -> str:
    """The cluster of exactly that level in which a device or a cluster is; empty where there is none."""
    here = child
    while here and hierarchy.level(here) < level:
        here = hierarchy.parent(here)
    return here if here != child and hierarchy.level(here) == level else ""


def _plain(value: Any) -> Any:
    """A value of the messages as lists, texts and numbers; of a structure the fields in their order."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        return [_plain(getattr(value, name)) for name in _names(type(value))]
    return value


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _octets(told: Any) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()
