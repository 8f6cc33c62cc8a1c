"""What stands for the records of a log that are too old to keep: no more than who kept all would still act on.

Knows no log and no promise of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gossip_ws.consensus.log import AgreementId, Kind, Record
from gossip_ws.consensus.messages import NEVER, Served


@dataclass(frozen=True, slots=True)
class Past:
    """number: how many records are gone. before: all that are of an earlier day than this may be. starts: how often the
    device had come up. served: how it had fared. sold: of its agreements as a seller, the last one's start and number:
    one up to that may have been made, or not."""

    number: int = 0
    before: int = -1
    starts: int = 0
    served: Served = NEVER
    sold: tuple[int, int] = (0, -1)

    def with_(self, records: Iterable[Record], before: int) -> Past:
        """These are gone too: the next ones of the log."""
        found = replace(self, before=before)
        for record in records:
            found = replace(found, number=found.number + 1)
            match record.kind:
                case Kind.STARTED:
                    found = replace(found, starts=found.starts + 1)
                case Kind.SETTLED:
                    found = replace(found, served=served_by(found.served, record))
                case Kind.COMMITTED:
                    found = replace(found, sold=max(found.sold, _counted(record.agreement)))
        return found

    def may_hold(self, agreement: AgreementId) -> bool:
        """May it be one that was made, of which the record is gone?"""
        return _counted(agreement) <= self.sold


def served_by(served: Served, settled: Record) -> Served:
    """How a buyer has fared, with one more agreement."""
    periods = [period for period, watts in enumerate(settled.watts) if watts]
    last = settled.day * len(settled.watts) + periods[-1]
    return Served(max(served.last, last), served.times + len(periods))


def _counted(agreement: AgreementId) -> tuple[int, int]:
    """Start and number of an agreement's id; larger than any for what is no id."""
    start, _, number = agreement.rpartition("/")[2].partition(".")
    if not (start.isascii() and start.isdigit() and number.isascii() and number.isdigit()):
        return (1 << 62, 0)
    return int(start[:18]), int(number[:18])
