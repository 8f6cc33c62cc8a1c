"""The population engine against the same push written without care, and what it takes of memory.

Seconds are of the processor, on one core: NumPy uses no more for this. Memory is the most that a process of its own
ever had resident (VmHWM), the interpreter and NumPy among it; `getrusage` would count its parent's as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from typing import Final

import numpy as np

from gossip_ws.lab.engine import run
from gossip_ws.lab.trial import Trial
from tests.benchmarks.figures import Figure, compare, limited

FANOUT: Final = 7
HOPS: Final = 12
RATIO: Final = 0.7
MEMORY: Final = 1024.0
"""MiB at a million devices."""
_ALONE: Final = """
import json, re, sys, time
from pathlib import Path
from gossip_ws.lab.engine import run
from gossip_ws.lab.trial import Trial
begin = time.process_time()
outcomes = run(Trial(*map(int, sys.argv[1:])), 1, 1)
seconds = time.process_time() - begin
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
print(json.dumps([seconds, peak, float(outcomes.coverage[0])]))
"""


def measure(nodes: int, many: int, rounds: int) -> list[Figure]:
    """`nodes` by turns with the baseline, `rounds` times; `nodes` and `many` once each in a process of its own."""
    ours, bare = partial(_ours, nodes), partial(_bare, nodes)
    both = compare(
        f"{nodes:,} devices, push f={FANOUT}, {HOPS} hops",
        ours,
        bare,
        rounds,
        scale=1.0,
        unit="s",
        most=RATIO,
        note="the baseline draws with replacement, so is not exact, and np.unique finds the newcomers",
    )
    _, peak, coverage = _alone(nodes)
    # The shorter of two runs is measured more often: the machine's own noise is not what is asked for.
    seconds = min(_alone(nodes)[0] for _ in range(rounds))
    long, high, wide = min(_alone(many) for _ in range(max(1, rounds // 2)))
    return [
        both,
        limited(f"{nodes:,} devices, most memory", peak, "MiB", MEMORY, f"{coverage:.4%} reached"),
        limited(f"{many:,} devices, most memory", high, "MiB", MEMORY * many / nodes, f"{wide:.4%} reached"),
        Figure(
            f"{many:,} devices",
            long,
            "s",
            note=f"{long / seconds / (many / nodes):.2f} times as long a device as {nodes:,}",
        ),
    ]


def _ours(nodes: int) -> float:
    begin = time.process_time()
    run(Trial(nodes, FANOUT, HOPS), 1, 1)
    return time.process_time() - begin


def _bare(nodes: int) -> float:
    """The baseline: a vectorised loop as one writes it first."""
    begin = time.process_time()
    rng = np.random.default_rng(1)
    reached = np.zeros(nodes, dtype=bool)
    reached[0] = True
    senders = np.array([0])
    for _ in range(HOPS):
        targets = rng.integers(0, nodes, size=(len(senders), FANOUT))
        senders = np.unique(targets[~reached[targets]])
        reached[senders] = True
    return time.process_time() - begin


def _alone(nodes: int) -> tuple[float, float, float]:
    """(seconds, MiB at most, coverage) of one run in a process of its own."""
    command = [sys.executable, "-c", _ALONE, *map(str, (nodes, FANOUT, HOPS))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak, coverage = json.loads(done.stdout)
    return seconds, peak, coverage
