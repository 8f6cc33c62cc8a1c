"""Random schedules by the thousand: `python -m tests.sim.soak --schedules N --seed S`.

Every schedule has a seed of its own. Exits with 1 at the first that fails: it is shortened, and kept in `kept`, where a
test plays it again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))

from schedules import draw, run
from script import keep, shortened, written


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.soak", description="Random schedules of faults.")
    parser.add_argument("--schedules", type=int, default=20_000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first; they count up (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    say = sys.stdout.write
    for done in range(chosen.schedules):
        seed = chosen.seed + done
        schedule = draw(Random(seed))
        wrong = run(schedule)
        if wrong:
            say(f"\nseed {seed} failed after {done} schedules that held:\n")
            for line in dict.fromkeys(wrong):
                say(f"  {line}\n")
            short = shortened(schedule, lambda one: bool(run(one)))
            file = keep(short, run(short), f"seed-{seed}")
            say(f"shortened, and kept in {file}; a test plays it again from now on:\n{written(short)}")
            return 1
        if sys.stdout.isatty() and done % 20 == 0:
            say(f"\r{done}/{chosen.schedules} ")
            sys.stdout.flush()
    say(f"\r{chosen.schedules} schedules held, from seed {chosen.seed}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
