"""Who of many devices has the message, in several repetitions at once, and what it has cost so far.

In each, device 0 is the origin, and those that are off are the last. Knows nothing of how a message spreads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossip_ws.lab.draws import Cells
from gossip_ws.lab.trial import Counts, Outcomes, Trial


class Crowd:
    """`repeat` repetitions in which the origin alone has the message. `has` is of shape (repeat, nodes): one who is
    off is marked in it from the start, swallows what it is sent, and is never new."""

    def __init__(self, trial: Trial, repeat: int) -> None:
        self.nodes, self.live, self.repeat = trial.nodes, trial.live, repeat
        self.has = np.zeros((repeat, trial.nodes), np.bool_)
        self.has[:, 0] = True
        self.has[:, trial.live :] = True
        self.cells = self.has.reshape(-1)
        self.reached = np.ones(repeat, np.int64)
        self.rounds = np.zeros(repeat, np.int64)
        self.envelopes = np.zeros(repeat, np.int64)
        self.payloads = np.zeros(repeat, np.int64)

    def of_each(self, cells: Cells) -> Counts:
        """How many of the cells are of each repetition."""
        if self.repeat == 1:
            return np.array([len(cells)], np.int64)
        return np.bincount(cells // self.nodes, minlength=self.repeat)

    def is_complete(self, cells: Cells) -> bool:
        """Has everybody the message in the repetitions from the first cell's to the last one's?"""
        return bool(self.has[cells[0] // self.nodes : cells[-1] // self.nodes + 1].all())

    def newcomers(self, before: NDArray[np.bool_], round_: int) -> Cells:
        """Who has it now and did not `before`, in ascending order. They are counted as reached in this round."""
        fresh = self.has != before
        more = np.count_nonzero(fresh, axis=1)
        self.reached += more
        self.rounds[more > 0] = round_
        return np.flatnonzero(fresh)

    def outcomes(self) -> Outcomes:
        live = np.full(self.repeat, self.live, np.int64)
        return Outcomes(live, self.reached, self.rounds, self.envelopes, self.payloads)
