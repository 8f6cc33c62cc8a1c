"""What is served where some devices can wait and some are storage: `python -m tests.consensus.moved_figures`.

Grids of 64 devices and 8 periods, twelve seeds each: matched/optimum of all and of the worst, rounds, messages a
decision, transport.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from statistics import mean, median

sys.path.insert(0, str(Path(__file__).parent))

from grids import grid, moved

from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.outcome import Scheme, balance

SEEDS = 12


def main() -> int:
    for waiting, storing, loss in (
        (0.1, 0.0, 0.0),
        (0.3, 0.0, 0.0),
        (0.25, 0.15, 0.0),
        (0.0, 0.2, 0.0),
        (0.25, 0.15, 0.1),
    ):
        found = []
        for seed in range(SEEDS):
            instance = moved(grid(64, seed, 8), seed, waiting, storing)
            found.append(balance(Scheme.PAIRWISE, instance, build(instance), Conditions(loss=loss), Random(seed)))
        shares = [one.matched / one.optimum for one in found]
        whole = sum(one.matched for one in found) / sum(one.optimum for one in found)
        sys.stdout.write(
            f"waiting {waiting:.0%} storing {storing:.0%} loss {loss:.0%}:"
            f" matched {whole:.4f}, worst {min(shares):.4f};"
            f" rounds {median(one.rounds for one in found):.0f}, at most {max(one.rounds for one in found)};"
            f" messages a decision {mean(one.messages_per_agreement for one in found):.1f};"
            f" transport {mean(one.transport_ratio for one in found):.3f};"
            f" violations {sum(len(one.violations) for one in found)}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
