"""A message through tiers one below the other: from parents to their rosters, and by push among the equals of a group.

In continuous time, unlike `engine`: what a hop takes differs from tier to tier. Knows nothing of other variants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gossip_ws.lab.draws import CELLS, Cells, distinct, generator
from gossip_ws.lab.levels import Level
from gossip_ws.lab.roster import Seconds, serve
from gossip_ws.lab.trial import Counts, Outcomes
from gossip_ws.theory.traffic import PAYLOAD

_AT_ONCE: Final = 2**17
_FINEST: Final = 1e-3
"""Seconds: who gets it within so short a time of one another is treated as one moment."""


@dataclass(frozen=True, slots=True)
class TierOutcomes:
    """What came of one tier. seconds: of each repetition, when the last of those reached got it, from the beginning.

    Of `outcomes`: rounds are hops among equals; envelopes are those sent to or among the tier's devices, and their
    receipts. In the top tier the origins are among those reached.
    """

    level: Level
    outcomes: Outcomes
    seconds: Seconds


def run_tiers(
    levels: Sequence[Level],
    repeat: int,
    seed: int,
    octets: int = PAYLOAD,
    progress: Callable[[int], None] | None = None,
) -> tuple[TierOutcomes, ...]:
    """`repeat` independent repetitions, from the top tier down; the same for the same arguments.

    Who is reached first sends to `fanout` distinct equals of its group (all of them where it has fewer), `octets` one
    after the other with its tier's bandwidth; a datagram takes its tier's delay, always the same. A parent sends to
    its roster one by one with the lower tier's bandwidth, as `roster.serve`; its timers run from then. Who is off is
    drawn anew in each repetition, parents alike, but never an origin. The groups of a parent that has not got the
    message are not reached. Raises LocalError for numbers out of bounds.
    """
    rng = generator(repeat, seed)
    most = max(1, CELLS // sum(level.segment.nodes for level in levels))
    parts: list[list[tuple[Outcomes, Seconds]]] = [[] for _ in levels]
    for done in range(0, repeat, most):
        some = min(most, repeat - done)
        for part, found in zip(parts, _draw(levels, some, rng, octets), strict=True):
            part.append(found)
        if progress is not None:
            progress(done + some)
    return tuple(
        TierOutcomes(
            level, Outcomes.joined([found for found, _ in part]), np.concatenate([seconds for _, seconds in part])
        )
        for level, part in zip(levels, parts, strict=True)
    )


def total(found: Sequence[TierOutcomes]) -> tuple[Outcomes, Seconds]:
    """All tiers together: their devices, envelopes and hops added up, and when the last device of all got it."""
    parts = [one.outcomes for one in found]
    added = Outcomes(
        *(
            np.sum([getattr(part, name) for part in parts], axis=0)
            for name in ("live", "reached", "rounds", "envelopes", "payloads")
        )
    )
    return added, np.max([one.seconds for one in found], axis=0)


def _draw(
    levels: Sequence[Level], repeat: int, rng: np.random.Generator, octets: int
) -> Iterator[tuple[Outcomes, Seconds]]:
    above: Seconds | None = None
    for level in levels:
        group = _Groups(level, repeat, rng, octets)
        group.enter(above)
        group.spread()
        above = group.times
        yield group.outcomes()


class _Groups:
    """All groups of one tier in several repetitions. `times`: when a device got the message, of shape (repeat, nodes);
    infinite for who did not."""

    def __init__(self, level: Level, repeat: int, rng: np.random.Generator, octets: int) -> None:
        segment = level.segment
        self._level, self._repeat, self._rng, self._nodes = level, repeat, rng, segment.nodes
        self._octet_seconds = octets * 8 / segment.bandwidth
        self._sizes, self._starts, self._groups = level.sizes, level.starts, level.groups
        self.times = np.full((repeat, segment.nodes), np.inf)
        self._on = np.ones((repeat, segment.nodes), np.bool_)
        may_fail = np.arange(segment.nodes) if len(level.parents) else np.delete(np.arange(segment.nodes), self._starts)
        off = min(round(segment.nodes * segment.crashed), len(may_fail))
        for repetition in range(repeat if off else 0):
            self._on[repetition, rng.choice(may_fail, off, replace=False, shuffle=False)] = False
        self._live = segment.nodes - off
        # When a device gets the message as far as is known, and how many hops it has then come among equals.
        self._due = np.full(repeat * segment.nodes, np.inf)
        self._hops = np.zeros(repeat * segment.nodes, np.int16)
        self._envelopes = np.zeros(repeat, np.int64)
        self._payloads = np.zeros(repeat, np.int64)

    def enter(self, above: Seconds | None) -> None:
        """The message comes from the parents, who got it at `above`; or it begins here."""
        if above is None:
            self._due.reshape(self._repeat, -1)[:, self._starts] = 0.0
            return
        level, segment = self._level, self._level.segment
        sent = np.repeat(above[:, level.parents], self._sizes, axis=1) + level.places * self._octet_seconds
        children = np.flatnonzero(np.isfinite(sent))
        service = serve(self._rng, segment.loss, segment.delay, self._on.reshape(-1)[children])
        self._due[children] = sent.reshape(-1)[children] + service.seconds
        copies = self._of_each(children, service.copies)
        self._payloads += copies
        self._envelopes += copies + self._of_each(children, service.receipts)

    def spread(self) -> None:
        """In order of time: nobody who gets it within one flight of the first can be the reason for one of them."""
        flight = max(self._level.segment.delay + self._octet_seconds, _FINEST)
        times = self.times.reshape(-1)
        while np.isfinite(first := self._due.min()):
            now = np.flatnonzero(self._due < first + flight)
            times[now] = self._due[now]
            self._due[now] = np.inf
            senders = now[self._hops[now] < self._level.rounds]
            if self._level.fanout and len(senders):
                self._relay(senders, times)

    def _relay(self, senders: Cells, times: Seconds) -> None:
        """Everyone of `senders` sends to equals of its own group."""
        devices = senders % self._nodes
        groups = self._groups[devices]
        own = devices - self._starts[groups]
        sizes = self._sizes[groups]
        for size in np.unique(sizes):
            fanout = min(self._level.fanout, int(size) - 1)
            if not fanout:
                continue
            alike = np.flatnonzero(sizes == size)
            sent = fanout * self._of_each(senders[alike])
            self._envelopes += sent
            self._payloads += sent
            for start in range(0, len(alike), max(1, _AT_ONCE // fanout)):
                some = alike[start : start + max(1, _AT_ONCE // fanout)]
                targets = distinct(self._rng, int(size), own[some].astype(np.int32), fanout)
                self._arrive(senders[some], (targets + (senders[some] - own[some])).astype(np.int64), times)

    def _arrive(self, senders: Cells, targets: Cells, times: Seconds) -> None:
        """Copies from `senders`, a column of `targets` each. Who has it already takes no notice."""
        segment = self._level.segment
        here = ~np.isfinite(times[targets]) & self._on.reshape(-1)[targets]
        if segment.loss:
            here &= self._rng.random(targets.shape) >= segment.loss
        place, column = np.nonzero(here)
        reached, sender = targets[here], senders[column]
        when = times[sender] + (place + 1) * self._octet_seconds + segment.delay
        np.minimum.at(self._due, reached, when)
        first = when == self._due[reached]
        self._hops[reached[first]] = self._hops[sender[first]] + 1

    def outcomes(self) -> tuple[Outcomes, Seconds]:
        got = np.isfinite(self.times)
        hops = np.where(got, self._hops.reshape(got.shape), 0)
        live = np.full(self._repeat, self._live, np.int64)
        outcomes = Outcomes(live, got.sum(axis=1), hops.max(axis=1).astype(np.int64), self._envelopes, self._payloads)
        return outcomes, np.where(got, self.times, 0.0).max(axis=1)

    def _of_each(self, cells: Cells, weights: Counts | None = None) -> Counts:
        """How many of the cells, or how much of `weights`, each repetition has."""
        return np.bincount(cells // self._nodes, weights, minlength=self._repeat).astype(np.int64)
