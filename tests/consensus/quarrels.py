"""Random schedules of faults for small grids, and what may never come of one."""

from dataclasses import dataclass
from random import Random

from grids import grid, moved
from keyrings import keyring

from gossip_ws.consensus.checker import Cut, violations
from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.log import agreements
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.outcome import delivered
from gossip_ws.consensus.post import Post
from gossip_ws.consensus.run import Run


@dataclass(frozen=True)
class Schedule:
    seed: int
    instance: Instance
    size: int
    conditions: Conditions


def draw(dice: Random, seed: int) -> Schedule:
    """Loss of 10 to 20 %, doubled and late messages, crashes, and up to two cuts, by devices or by feeders. In every
    other grid some devices can wait, and some are storage."""
    instance = grid(dice.randrange(4, 40), seed, dice.randrange(1, 4), area=dice.choice([8, 16, 32]))
    names = [device.id for device in instance.devices]
    cuts = []
    for _ in range(dice.randrange(3)):
        since = dice.uniform(0.0, 30.0)
        if dice.random() < 0.5:
            start = dice.randrange(len(names))
            islands = [frozenset(names[start : start + dice.randrange(1, 16)])]
        else:
            ways = dice.randrange(2, 4)
            where = [dice.randrange(ways) for _ in names]
            islands = [frozenset(n for n, at in zip(names, where, strict=True) if at == way) for way in range(ways)]
        cuts.append(Cut(since, since + dice.uniform(1.0, 40.0), tuple(islands)))
    conditions = Conditions(
        loss=dice.uniform(0.1, 0.2),
        twice=dice.uniform(0.0, 0.2),
        held=dice.uniform(0.0, 0.2),
        crashes=dice.uniform(0.0, 0.5),
        cuts=tuple(cuts),
        patience=1500.0,
    )
    if dice.random() < 0.5:
        instance = moved(instance, seed)
    return Schedule(seed, instance, dice.randrange(2, 10), conditions)


def wrong(schedule: Schedule, signed: bool = False) -> list[str]:
    """What is violated, or left undone in the end; where messages are `signed`, also who is shown to lie."""
    hierarchy = build(schedule.instance, schedule.size)
    post = Post(keyring(schedule.instance), None, {}) if signed else None
    trace = Run(schedule.instance, hierarchy, schedule.conditions, Random(schedule.seed), post=post).run()
    found = violations(
        trace.logs,
        cuts=schedule.conditions.cuts,
        hierarchy=hierarchy,
        claimed=trace.claimed,
        settled=trace.settled,
    )
    said = [f"{violation.rule}: {violation.what}" for violation in found]
    best = matched(schedule.instance)
    reached = delivered(schedule.instance, agreements(trace.logs))
    # Who serves those nearby first does not always find the best periods for all.
    if not trace.settled or reached > best or (reached < best and not schedule.instance.is_movable):
        said.append(f"undone: {reached} of {best} W")
    if post is not None:
        said += [f"shown: {lie}" for audit in post.audits.values() for lie in audit.liars.values()]
    return said
