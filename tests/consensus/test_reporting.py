"""Who hears a child's reports, where those that should do not answer, and others leave."""

import sys
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid

from gossip_ws.consensus.clusters import build, regrouped
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.effects import Tell
from gossip_ws.consensus.member import Member
from gossip_ws.consensus.messages import NEVER, Report
from gossip_ws.kernel.effects import SetTimer
from gossip_ws.kernel.instant import Instant

INSTANCE = grid(6, 1, area=3)
HIERARCHY = build(INSTANCE)


class Alone:
    """A device that nobody answers; its timers come when they are due."""

    def __init__(self, device):
        self.member = Member(device, HIERARCHY, Pace())
        self.asked = []
        """Whom it has told of its cluster."""
        self._time = 0.0
        self._due = []
        self._order = count()
        self.carry(self.member.start(0, (5,), Instant(0.0, 0.0)))

    @property
    def now(self):
        return Instant(self._time, self._time)

    def carry(self, effects):
        for effect in effects:
            if isinstance(effect, SetTimer):
                heappush(self._due, (self._time + effect.delay, next(self._order), effect.timer))
            elif isinstance(effect, Tell) and isinstance(effect.message, Report) and effect.message.cluster == "*:0":
                self.asked += effect.to

    def until(self, time):
        while self._due[0][0] < time:
            self._time, _, timer = heappop(self._due)
            self.carry(self.member.due(timer, self.now))


def test_who_speaks_as_the_last_one_left_goes_on_when_there_is_one_less():
    *others, last = HIERARCHY.candidates("*:0")
    (area,) = [cluster for cluster in HIERARCHY.clusters.values() if last in cluster.children]
    alone = Alone(last)
    report = Report(area.id, area.children[0], 0, 1, (-9,), NEVER)
    alone.carry(alone.member.receive(report, area.children[0], alone.now))
    alone.until(60.0)
    assert set(alone.asked) == set(others)
    gone = next(device for device in INSTANCE.devices if device.id not in area.children)
    rest = replace(INSTANCE, devices=tuple(device for device in INSTANCE.devices if device != gone))
    alone.asked.clear()
    after = regrouped(HIERARCHY, rest, [gone.area])
    alone.carry(alone.member.regroup(after, alone.now))
    alone.until(90.0)
    assert after.candidates("*:0")[0] in alone.asked
