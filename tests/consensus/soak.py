"""Random schedules of faults by the thousand: `python -m tests.consensus.soak --schedules N --seed S`.

Every schedule has a seed of its own, so one that fails is played again with `--schedules 1 --seed` and its number.
Exits with 1 at the first that fails.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))

from quarrels import draw, wrong


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.consensus.soak", description="Random schedules of faults.")
    parser.add_argument("--schedules", type=int, default=20_000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first; they count up (default: %(default)s)")
    parser.add_argument("--signed", action="store_true", help="with real keys: no honest device is ever shown to lie")
    chosen = parser.parse_args(arguments)
    say = sys.stdout.write
    for done in range(chosen.schedules):
        seed = chosen.seed + done
        schedule = draw(Random(seed), seed)
        found = wrong(schedule, chosen.signed)
        if found:
            say(f"\nseed {seed} failed after {done} schedules that held: {schedule.conditions}\n")
            for line in dict.fromkeys(found):
                say(f"  {line}\n")
            return 1
        if sys.stdout.isatty() and done % 20 == 0:
            say(f"\r{done}/{chosen.schedules} ")
            sys.stdout.flush()
    say(f"\r{chosen.schedules} schedules of nano grids held, from seed {chosen.seed}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
