"""Is a link ever overloaded after tick 30? Random instances of all kinds: `python -m tests.routing.sweep`.

Instance number k is drawn with `Random(k)`: ring, mesh or drawn overlay; all to all, or each to one other; 4 to 30
prosumers (12 at most on rings and meshes) with 35 to 45 kb each. Utilisation is 0.1 to 0.9: the demands as a share of
the capacity (rings and meshes), or what minimum hop uses of it in the mean (overlays). What is not found to fit is
drawn again, so some just fit. One run each, waits of 0 to 5 ticks, one signal in ten lost, the seed of the run is k
too. Exit 1 if a link was overloaded after tick 30.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from random import Random

from gossip_ws.routing.certificate import feasible
from gossip_ws.routing.instance import Instance
from gossip_ws.routing.kinds import Pattern, Topology, made, overlay
from gossip_ws.routing.run import Terms, run

LAST = 30
TICKS = 60


def drawn(number: int) -> tuple[Instance, float]:
    """The instance, and its utilisation."""
    dice = Random(number)
    while True:
        topology = dice.choice((Topology.RING, Topology.MESH, Topology.REGULAR))
        pattern = dice.choice((Pattern.ALL_TO_ALL, Pattern.UNICAST))
        nodes = dice.randint(4, 30 if topology is Topology.REGULAR else 12)
        utilisation = dice.uniform(0.1, 0.9)
        if topology is Topology.REGULAR:
            instance = overlay(nodes, pattern, dice, utilisation)
        else:
            demands = [dice.uniform(35.0, 45.0) for _ in range(nodes)]
            instance = made(topology, pattern, demands, sum(demands) / utilisation, dice=dice)
        if feasible(instance) is True:
            return instance, utilisation


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.routing.sweep", description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="number of the first instance (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=150, help="how many (default: %(default)s)")
    told = parser.parse_args(arguments)
    late, full, by_kind = 0, 0, dict[str, int]()
    for number in range(told.first, told.first + told.runs):
        instance, utilisation = drawn(number)
        outcome = run(instance, Terms(ticks=TICKS), Random(number))
        ticks = [point.tick for point in outcome.trace if point.certificate.overload > 1e-9]
        fullest = outcome.last.certificate.max_utilisation
        by_kind[instance.name.rpartition("/")[0]] = by_kind.get(instance.name.rpartition("/")[0], 0) + 1
        full += fullest > 0.8
        late += max(ticks, default=0) > LAST
        if max(ticks, default=0) > LAST:
            worst = max(point.certificate.overload for point in outcome.trace[LAST + 1 :])
            print(  # noqa: T201
                f"{number}: {instance.name}, utilisation {utilisation:.2f}, overloaded at ticks {ticks}, by {worst:.1%}"
                f" after tick {LAST}; fullest link {fullest:.0%} at the end"
            )
    print(  # noqa: T201
        f"{late} of {told.runs} overloaded after tick {LAST}; {full} end with a link above 80 %; kinds: {by_kind}"
    )
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
