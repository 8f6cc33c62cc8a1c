"""Is what a cluster's speaker has signed a lie? Told from its own words and the enrolments alone, by anybody.

A speaker shows what its cluster's children have left in lines, and each line bears the report that the child's speaker
has signed for it. So two signed statements stand together, and in a lie they cannot both be true. Nobody but the
speaker can bring that about: a line whose signature is none was not put there by the child, and an honest speaker takes
in no such report. To say less than the lines is no lie that shows: it may be what has been arranged since.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gossip_ws.consensus.loose import Movable, together
from gossip_ws.consensus.messages import Board, Line, Report, Shown, fared
from gossip_ws.consensus.trust import Roll, Sealed, report_statement, statement
from gossip_ws.consensus.vector import Vector, total


class Kind(StrEnum):
    """What is wrong with it."""

    TWICE = "a child is there twice"
    LINE = "a line is not what its child has signed"
    MORE = "a line says more than its child has"
    SUM = "the sum is more than its lines"
    SERVED = "the cluster has fared otherwise than its children"


@dataclass(frozen=True, slots=True)
class Lie:
    """Who has told it, of which cluster, and what is wrong with it."""

    liar: str
    cluster: str
    kind: Kind


def check(proof: Shown, roll: Roll) -> Lie | None:
    """The lie that a proof shows; None when it shows none, whoever says so: the accused has not signed it, or it is
    true as far as it can be told."""
    said = sealed_of(proof)
    if said is None:
        return None
    octets = statement(said.sender, said.to, said.message, said.stamp)
    return lie_of(said, roll) if roll.has_said(said.sender, octets, said.signature) else None


def lie_of(said: Sealed, roll: Roll) -> Lie | None:
    """What is wrong with a message that its sender has signed; None for all but reports of clusters and boards."""
    match said.message:
        case Board():
            cluster, lines = said.message.cluster, said.message.lines
            kind = _lines(said, cluster, said.message.day, lines, roll)
        case Report() if said.message.child != said.sender:
            cluster, lines = said.message.child, said.message.lines
            kind = _report(said.message) or _lines(said, cluster, said.message.day, lines, roll)
        case _:
            return None
    return Lie(said.sender, cluster, kind) if kind is not None else None


def shown(said: Sealed) -> Shown:
    """As it is shown to others. Raises ValueError for what cannot be a lie."""
    message = said.message
    if not isinstance(message, Report | Board):
        raise ValueError(f"no lie is told by {type(message).__name__}")
    report, board = ((message,), ()) if isinstance(message, Report) else ((), (message,))
    return Shown(said.sender, said.to, said.stamp, said.signature.hex(), report, board)


def sealed_of(proof: Shown) -> Sealed | None:
    """What the accused has said; None where the proof has not one statement, or no signature."""
    told: tuple[Report | Board, ...] = (*proof.report, *proof.board)
    try:
        signature = bytes.fromhex(proof.signature)
    except ValueError:
        return None
    return Sealed(proof.accused, proof.to, told[0], signature, proof.stamp) if len(told) == 1 else None


def _report(report: Report) -> Kind | None:
    if not _is_part(report.rest, total((line.rest for line in report.lines), len(report.rest))):
        return Kind.SUM
    if not _is_within(report.loose, together((line.loose for line in report.lines), len(report.rest))):
        return Kind.SUM
    if report.served != fared(report.lines):
        return Kind.SERVED
    return None


def _lines(said: Sealed, cluster: str, day: int, lines: tuple[Line, ...], roll: Roll) -> Kind | None:
    if len({line.child for line in lines}) < len(lines):
        return Kind.TWICE
    for line in lines:
        # An enrolment may have ended since the speaker took the report in: of such a line nothing can be told.
        is_told = len(line.signed) == 1 and (
            line.speaker not in roll or _has_signed(said.sender, cluster, day, line, roll)
        )
        if not is_told:
            return Kind.LINE
        told = line.signed[0]
        if not _is_part(line.rest, told.rest) or not _is_within(line.loose, told.loose):
            return Kind.MORE
    return None


def _has_signed(speaker: str, cluster: str, day: int, line: Line, roll: Roll) -> bool:
    """Has the child's speaker signed the line's report, for whoever shows the line?"""
    told = line.signed[0]
    report = Report(cluster, line.child, day, told.number, told.rest, line.served, told.loose, (), told.missed)
    try:
        signature = bytes.fromhex(told.signature)
    except ValueError:
        return False
    octets = report_statement(line.speaker, speaker, report, told.stamp, told.below)
    return roll.has_said(line.speaker, octets, signature)


def _is_part(part: Vector, whole: Vector) -> bool:
    """In no period more than the whole, nor of the other sign?"""
    return len(part) == len(whole) and all(
        min(0, most) <= some <= max(0, most) for some, most in zip(part, whole, strict=True)
    )


def _is_within(part: Movable, whole: Movable) -> bool:
    """Is no bound above the whole's?"""
    bounds = {one.use: one for one in whole}
    return all(
        (most := bounds.get(one.use)) is not None
        and one.total <= most.total
        and len(one.watts) == len(most.watts)
        and all(some <= top for some, top in zip(one.watts, most.watts, strict=True))
        for one in part
    )
