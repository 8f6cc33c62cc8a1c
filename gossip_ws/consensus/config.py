"""How long devices that agree wait, and how much they keep.

All waits are in rounds: one is the longest that a message usually takes from one device to another.
"""

from __future__ import annotations

from dataclasses import dataclass

from gossip_ws.kernel.errors import LocalError


@dataclass(frozen=True, slots=True)
class Pace:
    """Waits and bounds of a device. Raises LocalError when a wait is none."""

    round: float = 1.0
    """Seconds: the longest usual one-way delay. Too short costs repetitions, too long costs time."""
    answer: float = 2.1
    """Rounds for an answer, before the question is repeated: there and back, and a little."""
    tries: int = 4
    """How often a question is asked: at 20 % loss all of them fail for one in 60."""
    listen: float = 1.05
    """Rounds in which the announcements of a nano grid come in, before the first plan."""
    settle: float = 4.2
    """Rounds until what is left is told one level up: a plan and an agreement have come about by then."""
    ask: float = 1.5
    """Rounds more until it is told unasked: by then who speaks for the cluster above has asked, if it can be heard."""
    gather: float = 0.5
    """Rounds for which a cluster's speaker gathers reports before it lets the children know one another, and"""
    gather_level: float = 0.75
    """rounds more for each level: by so much more the reports from below are apart."""
    level: float = 2.25
    """Rounds that one level takes to report, gather and report on."""
    refresh: float = 2.2
    """Rounds between two reports to a speaker that is not the first choice, so how soon a part is found again that was
    cut off. What such a one was told is forgotten after four."""
    remind: float = 8.0
    """Rounds until what is left is reported again to the first choice; doubled each time, four times as long at most.
    Repairs what was lost on the way down."""
    recent: float = 6.0
    """Rounds after an agreement until a device tells what it has left: more may be on its way."""
    flight: float = 4.5
    """Rounds until a child knows of what its cluster's speaker has arranged: by the board, or by who turns to it."""
    unsettled: float = 10.0
    """Rounds after a child has found another speaker in which others may still reckon with it: what is arranged for it
    is asked for, and what has become of it is told soon."""
    forget: float = 72.0
    """Rounds after which what was reported and not renewed is no longer believed."""
    wait: float = 1.5
    """How long needs that can wait, and storage, do so before anybody is told of them: so many times what it takes to
    report up to the top. By then what is on schedule has been served, in whatever part of the grid can be heard. Needs
    with much choice, and storage, wait two thirds longer (`member.CHOICES`).
    Without, more is served nearby, and less in all; docs/nano-grids.md has both."""
    open: int = 64
    """Proposals that a device has open."""
    a_day: int = 4_096
    """Agreements that a device makes in a day."""
    keep: int = 8
    """Days after which a device lets go of what it has agreed: so long a buyer may be cut off from its seller and still
    learn what became of a promise."""

    def __post_init__(self) -> None:
        waits = (self.round, self.answer, self.listen, self.settle, self.ask, self.gather, self.refresh, self.remind)
        is_wrong = min(*waits, self.recent, self.flight) <= 0 or min(self.wait, self.unsettled) < 0
        bounds = (self.tries, self.open, self.a_day, self.keep)
        if is_wrong or self.forget <= 4 * self.remind or min(bounds) < 1:
            raise LocalError("waits and bounds are positive, and a report outlives the wait for the next")
