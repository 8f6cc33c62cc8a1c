"""What a device that agrees wants done, besides the kernel's effects, and the timers it sets."""

from __future__ import annotations

from dataclasses import dataclass

from gossip_ws.consensus.log import AgreementId, Record
from gossip_ws.consensus.messages import Gather, Message
from gossip_ws.consensus.reliance import Score
from gossip_ws.kernel.effects import Dropped, SetTimer


@dataclass(frozen=True, slots=True)
class Persist:
    """Write this down so that it outlives a crash, before anything that comes after it in the list is done."""

    record: Record


@dataclass(frozen=True, slots=True)
class Believe:
    """Write down how far a neighbour is believed from now on: nobody is believed more for a crash of who believes."""

    score: Score


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a message to devices, each once, best effort."""

    to: tuple[str, ...]
    message: Message


@dataclass(frozen=True, slots=True)
class Spread:
    """Send a message to all others of a nano grid, best effort: it is said once, for the whole cluster. to: the
    others, or those who speak for the cluster where it is larger."""

    cluster: str
    to: tuple[str, ...]
    message: Message


@dataclass(frozen=True, slots=True)
class Pull:
    """Ask all of these at once, best effort: each answers for itself. cluster: whose children they speak for."""

    cluster: str
    to: tuple[str, ...]
    message: Gather


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Timer: has the buyer of a proposal answered?"""

    agreement: AgreementId
    tries: int


@dataclass(frozen=True, slots=True)
class AcceptAgain:
    """Timer: has the seller told what became of a promise? tries: how often it was asked."""

    agreement: AgreementId
    tries: int


@dataclass(frozen=True, slots=True)
class PlanDue:
    """Timer: the announcements of the nano grid are in. number: of the plan."""

    number: int


@dataclass(frozen=True, slots=True)
class MovesDue:
    """Timer: what is on schedule has been served by now where it can be; what can be moved is told. day: of the
    offer."""

    day: int


@dataclass(frozen=True, slots=True)
class ReportDue:
    """Timer: tell one level up what `child` has left, if that is news. number: of the last report that it follows."""

    child: str
    number: int


@dataclass(frozen=True, slots=True)
class ReportAgain:
    """Timer: has the speaker of the cluster above heard?"""

    child: str
    number: int
    tries: int


@dataclass(frozen=True, slots=True)
class PullDue:
    """Timer: ask a cluster's children what they have left, those that have not said it. tries: how often they were
    asked on that day."""

    cluster: str
    day: int
    tries: int


@dataclass(frozen=True, slots=True)
class GatherDue:
    """Timer: the reports of a cluster's children are in. number: of what is waited for."""

    cluster: str
    number: int


@dataclass(frozen=True, slots=True)
class ErrandAgain:
    """Timer: has an errand been answered?"""

    number: int
    tries: int


def copies(tell: Tell, tries: int) -> tuple[Tell, ...]:
    """One more each time that a question is asked again: where messages are lost, four tries are ten copies, and no
    wait is longer. Where none is, there is no second try."""
    return (tell,) * tries


Timer = AskAgain | AcceptAgain | PlanDue | MovesDue | ReportDue | ReportAgain | PullDue | GatherDue | ErrandAgain
Effect = Persist | Believe | Tell | Spread | Pull | SetTimer | Dropped
