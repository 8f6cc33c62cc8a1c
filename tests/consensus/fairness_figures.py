"""How evenly equal consumers are served: `python -m tests.consensus.fairness_figures`.

k consumers of the same need, for s of which one producer has enough, in clusters of eight; by how many of them there
are, periods a day, and loss: Jain's index of what each got over six full turns, and how often at most one went without
in a row, beside ceil(k / s) - 1.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from math import ceil
from random import Random

from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.instance import Device, Feeder, Instance
from gossip_ws.consensus.log import agreements
from gossip_ws.consensus.optimum import jain
from gossip_ws.consensus.run import Run

TURNS = 6


def main() -> int:
    for consumers, periods, loss in ((7, 1, 0.0), (7, 3, 0.0), (7, 1, 0.1), (20, 1, 0.0), (20, 3, 0.0), (20, 24, 0.0)):
        found = [played(consumers, served, periods, loss) for served in (1, 2, 3, 5)]
        sys.stdout.write(
            f"{consumers} consumers, {periods} periods, loss {loss:.0%}; 1, 2, 3, 5 served:"
            f" Jain {', '.join(f'{index:.3f}' for index, _, _ in found)};"
            f" without {', '.join(f'{most} ({bound})' for _, most, bound in found)}\n"
        )
    return 0


def played(consumers: int, served: int, periods: int, loss: float) -> tuple[float, int, int]:
    """(Jain's index, the most periods in a row in which one was given nothing, the bound of that)."""
    producer = Device("pv", 1, (100 * served,) * periods)
    names = [f"c{number}" for number in range(consumers)]
    instance = Instance(
        Feeder((0, 0, 1), (0, 10, 10)), (producer, *(Device(name, 2, (-100,) * periods) for name in names)), periods
    )
    days = TURNS * ceil(consumers / served)
    run = Run(instance, build(instance), Conditions(loss=loss), Random(consumers * served), days=days).run()
    times: dict[str, set[int]] = {name: set() for name in names}
    watts = dict.fromkeys(names, 0)
    for one in agreements(run.logs):
        times[one.buyer] |= {one.day * periods + period for period, some in enumerate(one.watts) if some}
        watts[one.buyer] += sum(one.watts)
    longest = 0
    for name in names:
        at = [-1, *sorted(times[name]), days * periods]
        longest = max(longest, *(later - earlier - 1 for earlier, later in pairwise(at)))
    return jain(list(watts.values())), longest, ceil(consumers / served) - 1


if __name__ == "__main__":
    sys.exit(main())
