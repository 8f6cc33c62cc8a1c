"""What repair and retries are worth over many seeds: `python -m tests.benchmarks.repair --seeds N`.

A push among a thousand devices of which a fifth are down, and sums over a tree of three tiers, under loss, in the
simulator: seconds here are simulated, so neither the machine nor its load is in a figure.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import ceil

from gossip_ws.core.messages import Gossip
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.terms import Wanted
from gossip_ws.ports import Frame
from gossip_ws.sim.device import SimDevice
from gossip_ws.sim.numbers import NOTIFY, READ, READ_REQUEST, read_response
from gossip_ws.sim.parcels import Parcel
from gossip_ws.sim.swarm import swarm
from gossip_ws.sim.world import Weather, World
from tests.benchmarks.figures import Figure, table
from tests.sim.swarms import PUSH, grid

PERIOD = 10.0
"""The default `pull_period` (s): one round of repair."""
MOST_ROUNDS = 13
"""p99 of the rounds for n = 1000, f = 5, 20 % loss, 20 % crashed: what push with pull alone took in a simulation."""
COMPLETE = 0.9999
DEADLINE = 5.0
GRIDS = 10
PULLS = 5
"""Sums of one grid, each over three tiers."""


class Counting(World):
    """Counts payloads as they are sent."""

    payloads = 0

    def send(self, frame: Frame, source: Address, to: Address) -> None:
        if isinstance(frame, Parcel) and isinstance(frame.content, Gossip):
            self.payloads += 1
        super().send(frame, source, to)


@dataclass(frozen=True)
class Spread:
    """One push: `rounds` of repair until every live device had it, and what it cost until then."""

    rounds: float
    everybody: bool
    by_push: float
    payloads: float


@dataclass(frozen=True)
class Sums:
    """Sums over one grid: devices counted, expected, and answers that were not the sum over those counted."""

    counted: int
    expected: int
    whole: int
    wrong: int


def spread(seed: int, n: int = 1000, fanout: int = 5, loss: float = 0.2, crashed: float = 0.2) -> Spread:
    """Eager push among `n` equals. Who is crashed stays in the others' tables and swallows what it is sent."""
    world = Counting(seed, Weather(loss=loss))
    devices, services = swarm(world, n, fanout, 32, pull_period=PERIOD)
    dead = set(world.dice.sample(range(1, n), round(n * crashed)))
    for number in dead:
        world.crash(devices[number].address.host)
    live = [service for number, service in enumerate(services) if number not in dead]
    devices[0].push(NOTIFY, PUSH)
    world.run(until=2.0)
    by_push = sum(service.notified for service in live) / len(live)
    everybody = world.run_until(lambda: all(service.notified for service in live), 100 * PERIOD)
    return Spread(world.time / PERIOD, everybody, by_push, world.payloads / (len(live) - 1))


def sums(seed: int, substations: int = 4, meters: int = 25, loss: float = 0.1) -> Sums:
    """Pulls of a sum over an information system, its substations and their meters."""
    world = World(seed)
    devices, services = grid(world, substations, meters, 0)
    number = {device.config.device: k for k, device in enumerate(devices)}
    world.weather = Weather(loss=loss)
    told: Counter[str] = Counter()
    for _ in range(PULLS):
        answers = devices[0].pull(READ, READ_REQUEST, Wanted(timeout=DEADLINE))
        id = next(reversed(devices[0].endpoint.node._requests._open))
        world.run_until(lambda got=answers: bool(got), world.time + DEADLINE + 1)
        ((value, tally),) = answers
        found = contributors(devices, number, 0, id)
        right = len(found) == len(set(found)) == tally.contributors
        total = sum(services[k].value for k in found)
        told["wrong"] += not right or value != read_response(total)
        told["counted"] += tally.contributors
        told["expected"] += len(devices)
        told["whole"] += tally.contributors == len(devices)
        world.run(until=world.time + DEADLINE)
    return Sums(told["counted"], told["expected"], told["whole"], told["wrong"])


def contributors(devices: list[SimDevice], number: dict, at: int, id: bytes) -> list[int]:
    """Whose values went in, by what each node itself took."""
    own, children = devices[at].endpoint.node.taken(id)
    found = [at] if own else []
    for child in children:
        found += contributors(devices, number, number[child], id)
    return found


def measure(seeds: int, processes: int, n: int = 1000, meters: int = 25) -> list[Figure]:
    """All figures: of the push over `seeds` independent worlds, of the sums over `GRIDS` times as many."""

    def over(run: Callable, worlds: int, *given: int) -> list:
        with ProcessPoolExecutor(processes) as pool:
            return list(pool.map(run, range(worlds), *([one] * worlds for one in given), chunksize=5))

    spreads = over(spread, seeds, n)
    rounds = sorted(one.rounds for one in spreads)
    payloads = sorted(one.payloads for one in spreads)
    missed = sum(not one.everybody for one in spreads)
    pulled = over(sums, GRIDS * seeds, 4, meters)
    completeness = sum(one.counted for one in pulled) / sum(one.expected for one in pulled)
    wrong = sum(one.wrong for one in pulled)
    answers = GRIDS * seeds * PULLS
    setting = f"{n} devices, f=5, loss 0.2, 20 % crashed"
    return [
        Figure("worlds with a live device unreached", missed, f"of {seeds}", bar="0", met=missed == 0, note=setting),
        Figure("reached by the push alone", 100 * sum(one.by_push for one in spreads) / seeds, "% of the live"),
        Figure("repair rounds to everyone, p50", quantile(rounds, 0.5), "rounds"),
        Figure(
            "repair rounds to everyone, p99",
            quantile(rounds, 0.99),
            "rounds",
            bar=f"<= {MOST_ROUNDS}",
            met=quantile(rounds, 0.99) <= MOST_ROUNDS,
        ),
        Figure("repair rounds to everyone, most", rounds[-1], "rounds"),
        Figure(
            "payloads a delivery, p50", quantile(payloads, 0.5), "", note=f"{payloads[0]:.2f} .. {payloads[-1]:.2f}"
        ),
        Figure(
            "sum over a tree: completeness",
            100 * completeness,
            "%",
            bar=f">= {100 * COMPLETE:g} %",
            met=completeness >= COMPLETE,
            note=f"3 tiers, loss 0.1, {DEADLINE:g} s; {answers} sums of {5 + 4 * meters} devices; "
            f"{sum(one.whole for one in pulled)} whole; {100 * completeness:.4f} %",
        ),
        Figure("sums that are wrong", wrong, f"of {answers}", bar="0", met=wrong == 0),
    ]


def quantile(ordered: list[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed."""
    return ordered[max(ceil(share * len(ordered)) - 1, 0)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.repair", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, default=50, help="of the push, and a tenth of those of the sums (default: %(default)s)"
    )
    parser.add_argument("--processes", type=int, default=2, help="at once (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")
    chosen = parser.parse_args(arguments)
    figures = measure(chosen.seeds, chosen.processes)
    print(json.dumps([figure.as_json() for figure in figures], indent=1) if chosen.json else table(figures))  # noqa: T201
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
