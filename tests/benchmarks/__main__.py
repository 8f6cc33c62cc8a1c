"""Every figure as a ratio or against a bar, measured in one run. Exit 0 when every bar is met, 1 when one is missed."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from tests.benchmarks import burst, core, hop, population, process, swarm
from tests.benchmarks.figures import Figure, table

PARTS = ("hop", "core", "swarm", "process", "burst", "population")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be given again")
    parser.add_argument("--devices", type=int, default=1000, help="of the swarm (default: %(default)s)")
    parser.add_argument(
        "--crowd", type=int, default=200, help="devices of the burst (default: %(default)s; 1000 take ten minutes)"
    )
    arguments = parser.parse_args()
    figures: list[Figure] = []
    for part in arguments.only or PARTS:
        if part == "process":
            figures += process.measure(starts=7)
        elif part == "hop":
            figures += hop.measure(rounds=12, messages=400)
        elif part == "core":
            figures += core.measure(1000, pushes=20)
        elif part == "population":
            figures += population.measure(1_000_000, 10_000_000, rounds=5)
        elif part == "burst":
            figures += asyncio.run(burst.measure(arguments.crowd, messages=100))
        else:
            figures += asyncio.run(swarm.measure(arguments.devices, rounds=5, pulls=3))
    print(json.dumps([figure.as_json() for figure in figures], indent=1) if arguments.json else table(figures))  # noqa: T201
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
