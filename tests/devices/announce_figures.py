"""What one announcement costs in a nano grid of eight, and when all members have it, by gossip and directly.

`python tests/devices/announce_figures.py`, for docs/nano-grids.md. A program, not a test: it waits where it measures.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import neighbours
from neighbours import Neighbours, drawn

from gossip_ws.consensus.vector import plus
from gossip_ws.core.peers import Relation
from gossip_ws.devices import announcer
from gossip_ws.devices.balancer import Balancer
from gossip_ws.kernel.terms import Budget, Tier
from gossip_ws.security.keys import PrivateKey

DEVICES = 8
ANNOUNCEMENTS = 64
PATIENCE = 3.0
"""Seconds after which who has not got an announcement is not waited for."""
QUIET = 0.3
"""Seconds without an envelope after which all of them are sent: longer than the wait for a receipt."""
FANOUTS = ((2, 2), (0, 0), (7, 1), (3, 2))
KINDS = ("Gossip", "Receipt", "Fetch", "Advert", "Prune")


@contextmanager
def set_to(budget: tuple[int, int] | None) -> Iterator[None]:
    """Budget among meters; None: directly."""
    held = announcer.BUDGETS, announcer.MAX_ITEMS
    try:
        if budget is None:
            announcer.MAX_ITEMS = 0  # type: ignore[misc]
        else:
            announcer.BUDGETS = (Budget(Tier.WAN, 0, 0), Budget(Tier.FAN, *budget))  # type: ignore[misc]
        yield
    finally:
        announcer.BUDGETS, announcer.MAX_ITEMS = held  # type: ignore[misc]


async def measured(grid: Neighbours, budget: tuple[int, int] | None) -> str:
    """Of announcements, one after the other by each device in turn."""

    def envelopes() -> int:
        counted = (host.endpoint.counters for host in grid.hosts.values())
        sent = sum(counters[f"sent {kind}"] for counters in counted for kind in KINDS)
        return sent + sum(one.counters["sent Announce"] for one in grid.balancers.values())

    loop = asyncio.get_running_loop()
    costs, times, reached = [], [], 0
    devices = list(grid.balancers)
    with set_to(budget):
        for number in range(ANNOUNCEMENTS):
            device = devices[number % DEVICES]
            others = {one: grid.balancers[one] for one in devices if one != device}
            before, had = envelopes(), {one: other.counters["received Announce"] for one, other in others.items()}
            began = loop.time()
            offer = grid.offers[device]
            grid.balancers[device].change(0, plus(offer, (number % 2,) * len(offer)))

            def have(had: dict[str, int] = had, others: dict[str, Balancer] = others) -> int:
                return sum(other.counters["received Announce"] > had[one] for one, other in others.items())

            while have() < DEVICES - 1 and loop.time() < began + PATIENCE:  # noqa: ASYNC110  # it is looked at, not told
                await asyncio.sleep(0.001)
            times.append(loop.time() - began)
            reached += have()
            quiet, last = loop.time(), envelopes()
            while loop.time() < quiet + QUIET:
                await asyncio.sleep(0.01)
                if envelopes() != last:
                    quiet, last = loop.time(), envelopes()
            costs.append(last - before)
    way = "directly" if budget is None else "gossip {},{}".format(*budget)
    share = reached / ANNOUNCEMENTS / (DEVICES - 1)
    late = sorted(times)[int(0.95 * len(times))]
    return f"{way:>11} {sum(costs) / len(costs):9.1f} {1000 * median(times):9.0f} {1000 * late:8.0f} {share:7.3f}"


async def played(loss: float, folder: Path) -> None:
    instance = drawn(DEVICES, 1, 24)
    keys = {device.id: PrivateKey.generate() for device in instance.devices}
    grid = Neighbours(instance, folder, "127.150", loss=loss, keys=keys)
    await grid.open()
    try:
        nodes = [grid.hosts[device].endpoint.node for device in grid.balancers]
        await grid.until(lambda: all(len(node.peers.related(Relation.EQUAL)) == DEVICES - 1 for node in nodes), "known")
        grid.start()
        await grid.until(grid.is_done, "all matched")
        # What was matched last is still being told: what is counted afterwards is of announcements alone.
        await asyncio.sleep(1)
        for budget in (None, *FANOUTS):
            sys.stdout.write(f"{loss:5} {await measured(grid, budget)}\n")
            sys.stdout.flush()
    finally:
        await grid.close()


def main() -> None:
    neighbours.QUIET.update(pull_period=2.0, peers_max_age=1.0)
    sys.stdout.write(" loss         way envelopes median ms  95 % ms reached\n")
    for loss in (0.0, 0.1):
        with TemporaryDirectory() as folder:
            asyncio.run(played(loss, Path(folder)))


if __name__ == "__main__":
    main()
