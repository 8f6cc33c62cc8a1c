"""A storm of pushes through the simulator: the real node and endpoint, frames that carry objects.

Counted is each frame that is sent, whether it reaches a device or is lost. The bare loop beside it does nothing but
take the next of as many things from a heap, call a function, and put one more in.
"""

from __future__ import annotations

import gc
import heapq
from collections.abc import Callable
from random import Random
from time import process_time

from gossip_ws.sim.numbers import NOTIFY, notify_request
from gossip_ws.sim.swarm import swarm
from gossip_ws.sim.world import Weather, World
from tests.benchmarks.figures import Figure, compared, limited

FANOUT = 14
ROUNDS = 10
LOSS = 0.1
WAITING = 2_000
BAR = 10.0
"""Microseconds of one core a frame: 100,000 frames a second."""


def measure(devices: int, pushes: int) -> list[Figure]:
    """Pushes and bare loops by turns, in seconds of this process's own time, after a push to warm up."""
    world = World(1, Weather(loss=LOSS))
    swarmed, services = swarm(world, devices, FANOUT, ROUNDS, pull_period=1e9, view_scopes=())
    gc.collect()
    gc.freeze()
    try:
        pairs = []
        for number in range(pushes + 1):
            before = world.frames
            ours = _seconds(lambda number=number: swarmed[0].push(NOTIFY, notify_request(f"news {number}")), world)
            frames = world.frames - before
            pairs.append((ours / frames, _bare(frames) / frames))
        del pairs[0]
    finally:
        gc.unfreeze()
    reached = sum(service.notified for service in services)
    if reached < 0.99 * devices * (pushes + 1):
        raise AssertionError(f"{reached} deliveries of {pushes + 1} pushes to {devices}")
    name = f"a frame of a storm, {devices:,} devices"
    quickest = min(ours for ours, _ in pairs) * 1e6
    return [
        compared(name, pairs, scale=1e6, unit="us", note=f"{1e6 / quickest:,.0f} frames a second in the quickest push"),
        limited("... in the quickest push", quickest, "us", BAR),
    ]


def _seconds(start: Callable[[], None], world: World) -> float:
    begun = process_time()
    start()
    world.run(until=world.time + 2)
    return process_time() - begun


def _bare(steps: int) -> float:
    dice = Random(1)
    due = [(dice.random(), number) for number in range(WAITING)]
    heapq.heapify(due)

    def act(time: float, number: int) -> None:
        heapq.heappush(due, (time + dice.random(), number))

    begun = process_time()
    for _ in range(steps):
        act(*heapq.heappop(due))
    return process_time() - begun
