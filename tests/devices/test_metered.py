"""What meters say of devices, over real sockets: who announces more than it gives is believed less, and nobody else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from neighbours import Neighbours, drawn

from gossip_ws.consensus.checker import violations
from gossip_ws.consensus.door import Stamps
from gossip_ws.consensus.instance import Device, Feeder, Instance
from gossip_ws.consensus.log import agreements
from gossip_ws.consensus.messages import Metered
from gossip_ws.consensus.reliance import WHOLE, Score
from gossip_ws.consensus.trust import seal
from gossip_ws.security.keys import PrivateKey
from gossip_ws.services.balance_messages import sealed_element
from gossip_ws.services.balancing import action

EXAMPLE = Path(__file__).parents[2] / "docs/examples/street.py"
NAMES = [device.id for device in drawn(6, 1).devices]
LIAR, HONEST, *BUYERS = NAMES
TRUTH = {LIAR: (600, 0), HONEST: (900, 0), **{buyer: (-700, 0) for buyer in BUYERS}}
"""What meters see; the liar announces twice of it."""


def street() -> Instance:
    feeder = Feeder((0,) * (len(NAMES) + 1), (0, *range(100, 100 * len(NAMES) + 1, 100)))
    watts = TRUTH | {LIAR: (1200, 0)}
    devices = (Device(name, bus, watts[name], "grid://town/0") for bus, name in enumerate(NAMES, 1))
    return Instance(feeder, tuple(devices), 2)


def played(neighbours: Neighbours, story: Callable[[Neighbours], Awaitable[None]]) -> None:
    async def whole() -> None:
        try:
            await neighbours.open()
            await story(neighbours)
        finally:
            await neighbours.close()

    asyncio.run(whole())


def scores(neighbours: Neighbours, device: str) -> list[Score]:
    return [neighbours.balancers[one].scores.get(device, Score(device)) for one in NAMES if one != device]


async def evening(neighbours: Neighbours, day: int) -> None:
    for device, balancer in neighbours.balancers.items():
        balancer.metered(day, TRUTH[device])
    await neighbours.until(
        lambda: all(score.day == day for device in NAMES for score in scores(neighbours, device)), f"day {day} metered"
    )


def test_who_announces_more_than_its_meter_sees_is_believed_less_and_sells_less(tmp_path: Path) -> None:
    keys = {name: PrivateKey.generate() for name in NAMES}
    meters = {name: PrivateKey.generate() for name in NAMES}

    async def story(neighbours: Neighbours) -> None:
        neighbours.start()
        for day in range(6):
            for device, balancer in neighbours.balancers.items():
                if day:
                    balancer.change(day, neighbours.offers[device])
            await neighbours.until(lambda day=day: sold(neighbours, day) >= most(day), f"day {day}")  # type: ignore[misc]
            await evening(neighbours, day)
            assert {(score.gives, score.needs) for score in scores(neighbours, HONEST)} == {(WHOLE, WHOLE)}
            assert {score.needs for buyer in BUYERS for score in scores(neighbours, buyer)} == {WHOLE}
        assert {score.gives for score in scores(neighbours, LIAR)} == {believed(6)}
        assert violations(neighbours.logs, hierarchy=neighbours.hierarchy) == []

    def believed(days: int) -> int:
        share = WHOLE
        for _ in range(days):
            share += (500 - share) // 4
        return share

    def most(day: int) -> int:
        """What all believe the liar, and what the honest one has."""
        return 900 + 1200 * believed(day) // WHOLE - len(BUYERS)

    def sold(neighbours: Neighbours, day: int) -> int:
        made = [one for one in agreements(neighbours.logs) if one.day == day]
        of_liar = sum(sum(one.watts) for one in made if one.seller == LIAR)
        # Never more than is believed of it: a buyer takes that share, of whatever is proposed.
        assert of_liar <= 1200 * believed(day) // WHOLE
        return sum(sum(one.watts) for one in made)

    played(Neighbours(street(), tmp_path, "127.173", keys=keys, meters=meters), story)


def test_a_device_cannot_speak_for_its_meter_and_a_crash_forgives_nobody(tmp_path: Path) -> None:
    keys = {name: PrivateKey.generate() for name in NAMES}
    meters = {name: PrivateKey.generate() for name in NAMES}
    buyer = BUYERS[0]

    async def story(neighbours: Neighbours) -> None:
        neighbours.start()
        balancer, stamps = neighbours.balancers[buyer], Stamps()
        home = neighbours.hierarchy.home[LIAR]
        await neighbours.until(lambda: balancer.counters["received Announce"] >= len(NAMES) - 1, "all announced")

        def said(sign: Callable[[bytes], bytes]) -> None:
            """By a push that reaches everybody, as the liar would."""
            sealed = seal(LIAR, home, Metered(0, (1200, 0)), sign, stamps.next(time.time()))
            neighbours.hosts[LIAR].endpoint.tell(
                action(sealed.message),
                sealed_element(sealed),
                [neighbours.hosts[buyer].http.at("/Balance")],
            )

        refused = neighbours.hosts[buyer].endpoint.counters
        for number, sign in enumerate((keys[LIAR].sign, PrivateKey.generate().sign, meters[HONEST].sign), 1):
            said(sign)
            await neighbours.until(lambda number=number: refused["NotBelieved"] == number, "refused")  # type: ignore[misc]
        assert balancer.scores == {}
        await evening(neighbours, 0)
        assert balancer.scores[LIAR] == Score(LIAR, 875, WHOLE, 0)
        await neighbours.until(lambda: len(neighbours.ledgers[buyer].scores()) == len(NAMES) - 1, "kept")
        await neighbours.crash(buyer)
        await neighbours.up(buyer)
        neighbours.balancers[buyer].start(1, neighbours.offers[buyer])
        assert neighbours.balancers[buyer].scores[LIAR] == Score(LIAR, 875, WHOLE, 0)

    played(Neighbours(street(), tmp_path, "127.174", keys=keys, meters=meters), story)


def test_the_example_of_a_street_shows_it() -> None:
    done = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    first, believed, second, less = done.stdout.splitlines()
    assert 1700 < int(first.split()[2]) <= 2000
    assert believed.strip() == "the house believes 0.875 of it"
    assert 1700 < int(second.split()[2]) <= 1750
    assert less.strip() == "the house believes 0.781 of it"
