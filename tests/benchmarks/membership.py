"""What membership costs and how fast it is, in the simulator: `python -m tests.benchmarks.membership --seeds N`.

Each figure is a distribution over seeds, of a thousand equals that each knew sixty-four others at the start. Exit 0
when every bar is met, 1 when one is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from gossip_ws.core.config import FanoutTable, NodeConfig
from gossip_ws.core.peers import Role
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.contract import GossipPolicy
from gossip_ws.kernel.names import DeviceId
from gossip_ws.kernel.terms import Variant, Wanted
from gossip_ws.sim.device import SimDevice
from gossip_ws.sim.numbers import NOTIFY, NumberService, notify_request
from gossip_ws.sim.world import Weather, World
from tests.benchmarks.parts import device_id

KNOWN = 64
"""Others that a Peer Service tells of at once."""
SETTLED = 40.0
"""Seconds after which the views have come to rest."""
PULL_PERIOD = 10.0
WIDE = FanoutTable(((1_000_000, 14, 10),))
"""For a thousand, at 10 % loss: `theory`'s."""


class Town:
    """Equals in one world, settled."""

    def __init__(self, seed: int, size: int, loss: float) -> None:
        self.world = World(seed, Weather(loss=loss))
        self.services = [NumberService(number, GossipPolicy(aggregate="sum")) for number in range(size)]
        self.devices: list[SimDevice] = []
        for number, service in enumerate(self.services):
            address = Address(Binding.UDP, f"n{number}", 3702, "/gossip")
            config = NodeConfig(
                device=device_id(number), role=Role.SUBSTATION, udp=address, wide=WIDE, pull_period=PULL_PERIOD
            )
            self.devices.append(SimDevice(self.world, config, (service,)))
        self.by_id = {device.config.device: device for device in self.devices}
        dice = Random(seed)
        for device in self.devices:
            for other in dice.sample(self.devices, min(KNOWN + 1, size)):
                if other is not device:
                    device.endpoint.peers.put(other.peer, 1e9, proven=True)
        self.world.run(until=SETTLED)

    @property
    def live(self) -> list[SimDevice]:
        return [device for device in self.devices if self.world.is_up(device.address.host)]

    def active(self, device: SimDevice) -> tuple[DeviceId, ...]:
        return device.endpoint.node.membership.active

    def holders(self, device: SimDevice) -> list[SimDevice]:
        """Who has it in an active view."""
        return [other for other in self.live if device.config.device in self.active(other)]

    def lopsided(self) -> int:
        """Links that only one end knows of."""
        active = {device.config.device: self.active(device) for device in self.live}
        return sum(one not in active.get(other, ()) for one in active for other in active[one])

    def is_connected(self) -> bool:
        """Does one reach all live ones over active views?"""
        live = {device.config.device for device in self.live}
        first = next(iter(live))
        seen, ahead = {first}, deque([first])
        while ahead:
            for other in self.active(self.by_id[ahead.popleft()]):
                if other in live and other not in seen:
                    seen.add(other)
                    ahead.append(other)
        return seen == live

    def false_deaths(self) -> int:
        """Live devices that live ones hold for dead."""
        return sum(
            device.endpoint.peers.is_down(other.config.device)
            for device in self.live
            for other in self.live
            if other is not device
        )

    def until(self, reached: Callable[[], bool], limit: float, grain: float = 0.1) -> float:
        """Seconds from now until `reached`, looked at each `grain`; `limit` when it never is."""
        start = self.world.time
        while not reached() and self.world.time - start < limit:
            self.world.run(until=self.world.time + grain)
        return self.world.time - start


def deaths(seed: int, size: int, many: int, loss: float = 0.1) -> list[float]:
    """Seconds from each of `many` crashes, 3 s apart, until all who held the dead in their active view know."""
    town = Town(seed, size, loss)
    open_: dict[int, tuple[float, list[SimDevice]]] = {}
    took: list[float] = []
    victims = town.world.dice.sample(range(size), many)
    following = town.world.time
    while victims or open_:
        if victims and town.world.time >= following:
            victim = victims.pop()
            following += 3.0
            open_[victim] = (town.world.time, town.holders(town.devices[victim]))
            town.world.crash(f"n{victim}")
        town.world.run(until=town.world.time + 0.1)
        for victim, (since, holders) in list(open_.items()):
            dead = town.devices[victim].config.device
            ignorant = [one for one in holders if town.world.is_up(one.address.host) and dead in town.active(one)]
            if not ignorant or town.world.time - since > 60:
                took.append(town.world.time - since)
                del open_[victim]
    return took


def false_deaths(seed: int, size: int, seconds: float = 30.0) -> int:
    """Live devices held for dead after so long at 50 % loss."""
    town = Town(seed, size, 0.1)
    town.world.weather = replace(town.world.weather, loss=0.5)
    town.world.run(until=town.world.time + seconds)
    return town.false_deaths()


def mass_crash(seed: int, size: int, share: float = 0.3) -> tuple[float, float, bool]:
    """(seconds until no live device has a dead neighbour, seconds until a push at once after the crash has reached all
    live ones, are these connected then) when that share crashes at once; 10 % loss."""
    town = Town(seed, size, 0.1)
    for number in town.world.dice.sample(range(1, size), int(share * size)):
        town.world.crash(f"n{number}")
    town.devices[0].push(NOTIFY, notify_request("after the crash"))
    live = {device.config.device for device in town.live}
    heard = {number for number, device in enumerate(town.devices) if device.config.device in live}
    pushed = town.until(lambda: all(town.services[number].notified for number in heard), 120)
    known = pushed + town.until(lambda: all(live.issuperset(town.active(device)) for device in town.live), 60, 0.5)
    town.world.run(until=town.world.time + 10)
    return known, pushed, town.is_connected()


def healed(seed: int, size: int, apart: float = 60.0) -> tuple[float, bool]:
    """(repair rounds after the end of a partition into halves until all have what was pushed in both, is the graph
    connected half a minute later); 10 % loss."""
    town = Town(seed, size, 0.1)
    inside = set(town.world.dice.sample(range(size), size // 2))
    town.world.partition([f"n{number}" for number in inside])
    town.world.run(until=town.world.time + apart)
    town.devices[next(iter(inside))].push(NOTIFY, notify_request("inside"))
    town.devices[next(number for number in range(size) if number not in inside)].push(NOTIFY, notify_request("outside"))
    town.world.run(until=town.world.time + 20)
    town.world.heal()
    took = town.until(lambda: all(service.notified == 2 for service in town.services), 20 * PULL_PERIOD)
    town.world.run(until=town.world.time + 30)
    return took / PULL_PERIOD, town.is_connected()


def idle(seed: int, size: int, loss: float, seconds: float = 60.0) -> tuple[float, int, Counter[int]]:
    """(datagrams that a device sends in a second, links with one end, devices by the size of their active view)."""
    town = Town(seed, size, loss)
    before = town.world.frames
    town.world.run(until=town.world.time + seconds)
    sizes = Counter(len(town.active(device)) for device in town.devices)
    return (town.world.frames - before) / size / seconds, town.lopsided(), sizes


def redundancy(seed: int, size: int, loss: float, warm: int = 20, more: int = 6) -> tuple[float, float, list[float]]:
    """(RMR of the adaptive variant over `more` messages after `warm` of warm-up, seconds until the first message has
    reached everybody, those of the measured ones). RMR = payloads / (n - 1) - 1 (Plumtree)."""
    town = Town(seed, size, loss)
    surplus: list[int] = []
    took: list[float] = []
    for number in range(warm + more):
        before = sum(device.endpoint.counters["duplicate"] for device in town.devices)
        town.devices[0].push(NOTIFY, notify_request(f"news {number}"), Wanted(variant=Variant.ADAPTIVE))
        everybody = number + 1
        took.append(town.until(lambda all=everybody: all == min(one.notified for one in town.services), 120))
        # What is still on its way belongs to this message.
        town.world.run(until=town.world.time + 3)
        surplus.append(sum(device.endpoint.counters["duplicate"] for device in town.devices) - before)
    return sum(surplus[warm:]) / more / (size - 1), took[0], took[warm:]


def spread(values: Sequence[float]) -> str:
    """p50, p99 and the largest."""
    ordered = sorted(values)
    at = [ordered[min(int(share * len(ordered)), len(ordered) - 1)] for share in (0.5, 0.99)]
    return f"p50 {at[0]:.2f}  p99 {at[1]:.2f}  max {ordered[-1]:.2f}  ({len(ordered)} values)"


def p99(values: Sequence[float]) -> float:
    return sorted(values)[min(int(0.99 * len(values)), len(values) - 1)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.membership", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each part (default: %(default)s)")
    parser.add_argument("--devices", type=int, default=1000, help="in each run (default: %(default)s)")
    parser.add_argument("--deaths", type=int, default=40, help="in each run (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    seeds, size = range(chosen.seeds), chosen.devices
    met: list[bool] = []

    def say(line: str, ok: bool | None = None) -> None:
        sys.stdout.write(line + ("" if ok is None else "  ok" if ok else "  MISSED") + "\n")
        sys.stdout.flush()
        met.append(ok is not False)

    for loss in (0.0, 0.1):
        rates = [idle(seed, size, loss) for seed in seeds]
        sizes = sum((one[2] for one in rates), Counter[int]())
        say(
            f"idle at loss {loss}: {max(one[0] for one in rates):.2f} datagrams a second and device at most, "
            f"{max(one[1] for one in rates)} links with one end, active views {dict(sorted(sizes.items()))}"
        )
    for loss, bar in ((0.0, 0.1), (0.1, 0.3)):
        trees = [redundancy(seed, size, loss) for seed in seeds]
        all_reached = max(max(one[1], *one[2]) for one in trees) < 120
        say(
            f"adaptive, RMR after 20 messages, loss {loss}: {spread([one[0] for one in trees])}  bar < {bar}, all: "
            f"{all_reached}, first message in s: {spread([one[1] for one in trees])}, "
            f"later ones: {spread([took for one in trees for took in one[2]])}",
            all_reached and max(one[0] for one in trees) < bar,
        )
    took = [one for seed in seeds for one in deaths(seed, size, chosen.deaths)]
    say(f"death known to all its neighbours, s, loss 0.1: {spread(took)}  bar p99 < 15", p99(took) < 15)
    wrong = [false_deaths(seed, size) for seed in seeds]
    say(f"false deaths in 30 s at loss 0.5, by seed: {wrong}  bar 0", not any(wrong))
    crashes = [mass_crash(seed, size) for seed in seeds]
    whole = all(one[2] for one in crashes)
    say(
        f"30 % crash: push has reached all live, s: {spread([one[1] for one in crashes])}",
        max(c[1] for c in crashes) < 120,
    )
    say(f"30 % crash: no dead neighbour left, s: {spread([one[0] for one in crashes])}, connected: {whole}", whole)
    heals = [healed(seed, size) for seed in seeds]
    rounds = [one[0] for one in heals]
    whole = all(one[1] for one in heals)
    say(
        f"healed: repair rounds until all have all: {spread(rounds)}  bar < 3, connected: {whole}",
        max(rounds) < 3 and whole,
    )
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
