"""What reports by gossip reach, and what fewer of them, or later ones, cost: `python -m tests.routing.gossiped`.

Instance and run number k are drawn with `Random(k)`: an overlay of so many prosumers, all to all. Each row: median and
95th percentile of the ticks after which the cost stays within 1 % of the optimum, a convex solver's, and 61 for never;
the most that it is above the optimum after tick 30, and the fullest link then; runs with an overloaded link then; and
the median of the messages that a node has sent by the time that the cost stays within 1 %.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from random import Random
from typing import Final

from gossip_ws.routing.kinds import Pattern, overlay
from gossip_ws.routing.method import Reports
from gossip_ws.routing.rumours import ROOM
from gossip_ws.routing.run import Terms, run

# The helpers beside this file: the folder is no package.
sys.path.insert(0, str(Path(__file__).parent))
from figures import settled
from solver import optimum

USUAL: Final = Terms(ticks=60, reports=Reports.GOSSIP)
LATE: Final = replace(USUAL, loss=0.17, lag=1.5)
"""As on a machine with much other work."""
ROWS: Final[Mapping[str, Terms]] = {
    "as devices do": USUAL,
    "fanout 3": replace(USUAL, fanout=3),
    "fanout 2": replace(USUAL, fanout=2),
    "half the room": replace(USUAL, room=ROOM // 2),
    "wait": replace(USUAL, async_max=5),
    "late": LATE,
    "late, fanout 2": replace(LATE, fanout=2),
    "late, wait": replace(LATE, async_max=5),
    "later": replace(LATE, lag=4.0),
}
STEADY: Final = 30
"""Tick after which the cost is watched."""


@dataclass(frozen=True)
class Row:
    """above: share of the optimum. fullest: share of its capacity. The rest as the module says."""

    median: int
    p95: int
    above: float
    fullest: float
    overloaded: int
    messages: float


def measure(nodes: int, terms: Terms, seeds: Sequence[int], least: dict[int, float]) -> Row:
    """least: the optimum of each instance, as far as it is known already."""
    ticks, above, fullest, messages = [], [], [], []
    for seed in seeds:
        instance = overlay(nodes, Pattern.ALL_TO_ALL, Random(seed))
        if seed not in least:
            least[seed] = optimum(instance)
        outcome = run(instance, terms, Random(seed))
        reached = settled(outcome, least[seed], 0.01)
        late = [point.certificate for point in outcome.trace[STEADY + 1 :]]
        ticks.append(reached)
        above.append(max(one.cost for one in late) / least[seed] - 1)
        fullest.append(max(one.max_utilisation for one in late))
        messages.append(outcome.trace[min(reached, terms.ticks)].sent / nodes)
    ticks.sort()
    messages.sort()
    middle, most = len(ticks) // 2, ceil(0.95 * len(ticks)) - 1
    overloaded = sum(one > 1 + 1e-9 for one in fullest)
    return Row(ticks[middle], ticks[most], max(above), max(fullest), overloaded, messages[middle])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.routing.gossiped", description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[8, 16, 30], help="prosumers (default: 8 16 30)")
    parser.add_argument("--seeds", type=int, default=30, help="runs of each row (default: %(default)s)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="only these (default: all)")
    told = parser.parse_args(arguments)
    print(f"{'':4}{'':16}{'median':>8}{'p95':>6}{'above':>10}{'fullest':>9}{'overloaded':>12}{'messages':>10}")  # noqa: T201
    for nodes in told.nodes:
        least: dict[int, float] = {}
        for name in told.rows:
            row = measure(nodes, ROWS[name], range(told.seeds), least)
            print(  # noqa: T201
                f"{nodes:<4}{name:16}{row.median:8}{row.p95:6}{row.above:10.2%}{row.fullest:9.0%}{row.overloaded:12}"
                f"{row.messages:10.0f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
