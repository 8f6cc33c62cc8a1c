"""What peers chosen by the price of their ways are worth, in the simulator: `python -m tests.benchmarks.gradient`.

Sixty equals, a message a second, real envelopes; some devices, or one area, behind narrow links that others' packets
fill to nothing (idle) or six tenths (congested). Each line is the same town twice, by chance alone and by price.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from gossip_ws.core.config import PeerSelection
from gossip_ws.lab.congestion import Place, Town, spread

SHARES = (0.1, 0.25, 0.5)
BUSY = (0.0, 0.6)
SOON = 2.0
"""Seconds within which a message comes that a push brings; the first digests of all come later."""


def at(values: Sequence[float], share: float) -> float:
    """A quantile of ordered values."""
    return values[min(int(share * len(values)), len(values) - 1)]


def row(town: Town, selection: PeerSelection, seeds: range) -> str:
    """One cell of the table, over all seeds."""
    runs = [spread(town, selection, seed) for seed in seeds]
    each = sorted(time for run in runs for time in run.each)
    last = sorted(time for run in runs for time in run.last)
    soon = sum(time < SOON for time in each) / len(each)
    messages = town.messages * len(runs)
    return (
        f"{at(each, 0.5):.3f} {at(each, 0.99):.2f} | {at(last, 0.5):.2f} {at(last, 0.99):.2f} | {soon:.2%} | "
        f"{sum(run.crossed for run in runs) / messages:.0f} {sum(run.dropped for run in runs) / messages:.0f}"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gradient", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each town (default: %(default)s)")
    parser.add_argument("--devices", type=int, default=60, help="in each (default: %(default)s)")
    parser.add_argument("--loss", type=float, default=0.0, help="share of all datagrams (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    sys.stdout.write(
        "place share busy selection | deliveries s: p50 p99 | to all s: p50 p99 | within 2 s | "
        "a message: payloads over narrow links, datagrams dropped\n"
    )
    for place in Place:
        for share in SHARES:
            for busy in BUSY:
                town = Town(chosen.devices, place=place, share=share, busy=busy, loss=chosen.loss)
                for selection in PeerSelection:
                    cell = row(town, selection, range(chosen.seeds))
                    sys.stdout.write(f"{place:8} {share:.2f} {busy:.1f} {selection:8} | {cell}\n")
                    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
