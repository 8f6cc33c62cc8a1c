"""`python -m tests.benchmarks`: every figure as a ratio or against a bar, measured in one run.

Exit 0 when every bar is met, 1 when one is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from tests.benchmarks import hop, swarm
from tests.benchmarks.figures import table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")
    arguments = parser.parse_args()
    figures = [*hop.measure(12, 400), *asyncio.run(swarm.measure(1000, 5, 3))]
    print(json.dumps([figure.as_json() for figure in figures], indent=1) if arguments.json else table(figures))  # noqa: T201
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
