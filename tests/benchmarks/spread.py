"""What gathering by exchange costs and how far off it is: `python -m tests.benchmarks.spread`.

Devices that all know one another, in the simulator, each frame 5 to 50 ms on its way. Rounds are counted in mean
periods from the request to the moment when every device holds the same; messages are all that a device sends for the
request until then, and until everybody rests. The error is that of the answer, over the stated one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

from gossip_ws.core.config import FanoutTable, NodeConfig
from gossip_ws.core.effects import Answer
from gossip_ws.core.peers import Role
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.contract import GossipPolicy
from gossip_ws.kernel.names import DeviceId
from gossip_ws.kernel.terms import Filter, Gathering, Wanted
from gossip_ws.sim.device import SimDevice
from gossip_ws.sim.numbers import READ, READ_REQUEST, NumberService
from gossip_ws.sim.world import Weather, World
from gossip_ws.theory.tables import WIDE_AREA

NEVER = 1e9
TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Run:
    """One request over one seed. `agreed` and `answered` in mean periods; `error`: of an estimate, in deviations."""

    agreed: float
    answered: float
    sent_until_agreed: float
    sent: float
    error: float


def swarm(world: World, size: int, table: FanoutTable) -> list[SimDevice]:
    """Equals that all know one another, with values from 1 to `size`."""
    policy = GossipPolicy(aggregate="sum")
    devices = [
        SimDevice(
            world,
            NodeConfig(
                device=DeviceId(f"urn:uuid:{number:08x}-0000-4000-8000-000000000000"),
                role=Role.SUBSTATION,
                udp=Address(Binding.UDP, f"n{number}", 3702, "/gossip"),
                wide=table,
                pull_period=NEVER,
            ),
            (NumberService(number + 1, policy),),
        )
        for number in range(size)
    ]
    peers = [device.peer for device in devices]
    for device in devices:
        for peer in peers:
            if peer.device != device.config.device:
                device.endpoint.peers.put(peer, NEVER, proven=True)
    return devices


def run(seed: int, size: int, name: str, loss: float) -> Run:
    """One request by `name` over `size` devices."""
    world = World(seed, Weather(loss=loss))
    devices = swarm(world, size, FanoutTable(WIDE_AREA))
    operation = devices[0].endpoint.hosting.operation(READ)
    assert operation is not None
    answered: list[tuple[float, Answer]] = []
    wanted = Wanted(filter=Filter(name=name), gathering=Gathering.SPREAD, timeout=TIMEOUT)
    devices[0].endpoint.start(operation, READ_REQUEST, wanted, lambda answer: answered.append((world.time, answer)))
    period = devices[0].config.spread_period
    step, agreed, until_agreed = period / 4, 0.0, 0
    while world.time < TIMEOUT * 0.99:
        world.run(until=world.time + step)
        held = [state for device in devices for state in device.endpoint.node._spreading._open.values()]
        if not agreed and len(held) == size and len({state.value for state in held}) == 1:
            agreed, until_agreed = world.time, _sent(devices)
        if agreed and answered and all(state.resting for state in held):
            break
    ((when, answer),) = answered
    error = 0.0
    if answer.estimate is not None:
        found = answer.estimate.groups[0].fields[0].sum.value
        error = (found / (size * (size + 1) / 2) - 1) / answer.estimate.error
    elif isinstance(answer.value, bytes) and f">{size}<".encode() not in answer.value:
        error = float("inf")
    return Run(agreed / period, when / period, until_agreed / size, _sent(devices) / size, error)


def table(name: str, size: int, loss: float, runs: Sequence[Run]) -> str:
    """One line."""

    def told(values: Sequence[float]) -> str:
        return f"{fmean(values):.1f} ({min(values):.1f} .. {max(values):.1f})"

    off = sqrt(fmean([one.error**2 for one in runs]))
    return (
        f"{name:9} n={size} loss={loss:<4} rounds until all agree {told([one.agreed for one in runs])}, until the "
        f"answer {told([one.answered for one in runs])}; messages a device until all agree "
        f"{told([one.sent_until_agreed for one in runs])}, in all {told([one.sent for one in runs])}; "
        f"error {off:.2f} deviations (rms)"
    )


def _sent(devices: Sequence[SimDevice]) -> int:
    return sum(device.endpoint.counters["sent"] for device in devices)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.spread", description=__doc__)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--filter", action="append", choices=("max", "estimate"))
    parser.add_argument("--loss", type=float, action="append")
    arguments = parser.parse_args()
    for name in arguments.filter or ("max", "estimate"):
        for loss in arguments.loss or (0.0, 0.2):
            runs = [run(seed, arguments.devices, name, loss) for seed in range(arguments.seeds)]
            print(table(name, arguments.devices, loss, runs), flush=True)  # noqa: T201 - it is what it is for
    return 0


if __name__ == "__main__":
    sys.exit(main())
