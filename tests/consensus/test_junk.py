"""Whatever devices of the grid say to one of them, in whatever order: it does not fail, and promises no more than it
has."""

import sys
from collections import Counter
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from random import Random
from typing import get_args, get_type_hints

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid

from gossip_ws.consensus import messages
from gossip_ws.consensus.ability import RIGID, Ability, Need, Storage
from gossip_ws.consensus.checker import violations
from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import Persist, Tell
from gossip_ws.consensus.log import AgreementId
from gossip_ws.consensus.loose import USES, Loose, movable
from gossip_ws.consensus.member import Member
from gossip_ws.consensus.messages import (
    Accept,
    Confirm,
    Decline,
    Done,
    Found,
    Heard,
    Line,
    Propose,
    Release,
    Report,
    Seek,
    Served,
    Target,
)
from gossip_ws.consensus.vector import Vector
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.instant import Instant

KINDS = get_args(messages.Message)
PERIODS = 3
HIERARCHY = build(grid(64, 1, PERIODS), 4)
DEVICE = next(
    HIERARCHY.candidates(cluster.id)[0]
    for cluster in HIERARCHY.clusters.values()
    if cluster.level == 1 and HIERARCHY.level(cluster.parent) == 2
)
"""It speaks for its nano grid."""
DEVICES = sorted(HIERARCHY.home)
PLACES = [*DEVICES, *HIERARCHY.clusters, "nowhere"]
MOST = (1 << 63) - 1


class Gossips:
    """Makes messages by chance, of every kind: most by who stands where one may say so, about the device and those
    around it; some of nothing but chance."""

    def __init__(self, dice, device):
        self._dice = dice
        self._device = device
        self._above = []
        while above := HIERARCHY.parent(self._above[-1] if self._above else device):
            self._above.append(above)
        self.numbers = [0, 1]
        """Of errands and reports that the device has told of."""
        self.day = 0
        self._told = {}

    def hear(self, tell):
        """The device has said this: some of it is answered, sooner or later or more than once."""
        if (number := getattr(tell.message, "number", None)) is not None:
            self.numbers = [*self.numbers[-9:], number]
        kind = type(tell.message)
        self._told[kind] = [*self._told.get(kind, ())[-3:], (self._dice.choice(tell.to), tell.message)]

    def message(self):
        """The sender, and what it says."""
        if self._told and self._dice.random() < 0.3:
            kind = Propose if Propose in self._told and self._dice.random() < 0.5 else self._dice.choice([*self._told])
            to, told = self._dice.choice(self._told[kind])
            return to, self._answer(told)
        cluster = self._dice.choice([self._above[0]] * 5 + self._above)
        sender = self._dice.choice(HIERARCHY.leaves(cluster) if self._dice.random() < 0.95 else DEVICES)
        return sender, self._made(self._dice.choice(KINDS), sender, cluster)

    def _answer(self, told):
        dice = self._dice
        match told:
            case Propose():
                return Accept(told.agreement, told.watts, 1) if dice.random() < 0.7 else Decline(told.agreement)
            case Accept():
                return Confirm(told.agreement, 1) if dice.random() < 0.7 else Release(told.agreement)
            case Seek():
                return Found(told.number, self._several(Target, "", told.buyer))
            case Report():
                return Heard(told.cluster, told.number)
            case _:
                return Done(self._dice.choice(self.numbers))

    def _made(self, kind, sender, cluster):
        """Said by `sender` about a cluster in which it and the device are."""
        told = {name: self._value(name, hint, sender, cluster) for name, hint in get_type_hints(kind).items()}
        if "child" in told and self._dice.random() < 0.9:
            of = sender if kind in (Report, messages.Moved) else self._device
            told["child"] = HIERARCHY.above(of, HIERARCHY.level(cluster) - 1)
            if "lines" in told:
                told["lines"] = self._several(Line, sender, told["child"])
        return kind(**told)

    def _value(self, name, hint, sender, cluster):
        dice = self._dice
        if hint is int:
            if name == "level" and dice.random() < 0.9:
                return HIERARCHY.level(cluster)
            if name == "number" and dice.random() < 0.7:
                return dice.randrange(1 << 20)
            often = [self.day] * 40 if name == "day" else self.numbers
            return dice.choice([0, 1, 2, -1, MOST, *often])
        if hint is AgreementId:
            return AgreementId(
                f"{dice.choice([sender, sender, self._device])}/{dice.choice([0, 1, MOST])}.{dice.randrange(9)}"
            )
        if hint is str:
            if name in ("cluster", "buyer") and dice.random() < 0.9:
                return cluster if name == "cluster" else HIERARCHY.above(self._device, HIERARCHY.level(cluster) - 1)
            return dice.choice([sender, self._device, dice.choice(PLACES)])
        if hint == Vector:
            return self._watts(-1 if name == "rest" or dice.random() < 0.2 else 0)
        if hint is Served:
            return Served(dice.choice([-1, 0, MOST]), dice.choice([-1, 0, MOST]))
        return self._several(get_args(hint)[0], sender, cluster)

    def _watts(self, least):
        most = self._dice.choice([1, 500, 10**9])
        length = PERIODS if self._dice.random() < 0.99 else self._dice.randrange(1, 5)
        return tuple(self._dice.randrange(least * most, most + 1) for _ in range(length))

    def _several(self, kind, sender, cluster):
        dice = self._dice
        if kind is Loose:
            uses = dice.sample(USES, dice.choice([0, 0, 1, 2, 4]))
            return movable(*(Loose(use, self._watts(0), dice.choice([5, 10**9])) for use in uses))
        if kind not in (Line, Target) or dice.random() < 0.05:
            return tuple(self._made(kind, sender, cluster) for _ in range(dice.choice([0, 1, 1, 2])))
        found = []
        children = HIERARCHY.clusters[cluster].children if cluster in HIERARCHY.clusters else ()
        for child in dice.sample(children, dice.randrange(len(children) + 1)):
            speaker, rest = (
                dice.choice(HIERARCHY.leaves(child)),
                self._watts(-1 if kind is Line or dice.random() < 0.2 else 0),
            )
            if HIERARCHY.is_below(self._device, child) and dice.random() < 0.8:
                speaker = self._device
            loose = (Served(), self._several(Loose, sender, cluster)) if kind is Line else ()
            found.append(kind(child, speaker, rest, *loose))
        return tuple(found)


ABLE = {
    "gives": ((300, 200, 9), RIGID),
    "needs": ((-300, 0, -9), RIGID),
    "waits": ((0, -50, 0), Ability((Need(200, 150, 0, 2), Need(90, 60, 1, 3)))),
    "stores": ((0, 0, 0), Ability((), Storage(400, 300, 200, 100))),
}


@pytest.mark.parametrize(("watts", "ability"), ABLE.values(), ids=ABLE)
def test_what_is_made_up_neither_stops_a_device_nor_makes_it_promise_what_it_has_not(watts, ability):
    acted, promised = Counter(), 0
    for seed in range(3):
        dice, order = Random(seed), count()
        gossips, one = Gossips(dice, DEVICE), Member(DEVICE, HIERARCHY, Pace(wait=0.0))
        due, log, time = [], [], 0.0
        effects = one.start(0, watts, Instant(0.0, 0.0), ability)
        for step in range(1500):
            for effect in effects:
                if isinstance(effect, Persist):
                    log.append(effect.record)
                elif isinstance(effect, SetTimer):
                    heappush(due, (time + effect.delay, next(order), effect.timer))
                elif isinstance(effect, Tell):
                    gossips.hear(effect)
            if step % 50 == 49:
                gossips.day += 1
                effects = one.change(gossips.day, watts, Instant(time, time), ability)
                continue
            if due and dice.random() < 0.2:
                time, _, timer = heappop(due)
                effects = one.due(timer, Instant(time, time))
                continue
            sender, message = gossips.message()
            effects = one.receive(message, sender, Instant(time, time))
            acted[type(message)] += not any(isinstance(effect, Dropped) for effect in effects)
        assert [found for found in violations({DEVICE: tuple(log)}) if found.rule in ("log", "over-commitment")] == []
        promised += sum(bool(record.agreement) for record in log)
    assert promised
    # Of all kinds that need no question before them.
    assert all(acted[kind] > 9 for kind in (Propose, Report, Seek, messages.Board, messages.Supply, messages.Moved))
