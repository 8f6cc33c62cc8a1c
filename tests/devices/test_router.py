"""Prosumers that route: what each publishes and when; several together, with a clock and a network of their own."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from lxml import etree

from gossip_ws.devices.router import GRADIENTS, KEEP, Router
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import ROUTING, qname
from gossip_ws.routing.certificate import certify, load_of
from gossip_ws.routing.graph import Link, Path, links_of
from gossip_ws.routing.kinds import Pattern, overlay
from gossip_ws.routing.peer import GradientReport

SCOPE = "energy://test"
WALL = 1_800_000_000.0


class Clock:
    """Time goes on when nothing else is left to do."""

    def __init__(self) -> None:
        self.time = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def now(self) -> Instant:
        return Instant(self.time, WALL + self.time)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.time + delay, len(self._due) + id(callback), callback))

    def run(self, until: float) -> None:
        while self._due and self._due[0][0] <= until:
            self.time, _, callback = heapq.heappop(self._due)
            callback()
        self.time = until


class Wires:
    """Links for all nodes at once: what was sent last is what they carry."""

    def __init__(self, capacity: dict[Link, float]) -> None:
        self.capacity = capacity
        self.flows: dict[Path, float] = {}

    def send(self, path: Path, kb: float) -> None:
        self.flows[path] = kb

    def load(self, link: Link) -> float:
        return sum(kb for path, kb in self.flows.items() if link in links_of(path))

    def sources(self, link: Link) -> int:
        return len({path[0] for path, kb in self.flows.items() if kb and link in links_of(path)})


def read(body: bytes) -> list[GradientReport]:
    def value(one: Any, field: str) -> str:
        return one.findtext(qname(ROUTING, field)) or ""

    return [
        GradientReport(
            (int(value(one, "origin")), int(value(one, "to"))),
            int(value(one, "seq")),
            *(float(value(one, field)) for field in ("at", "capacity", "load")),
            int(value(one, "sources")),
        )
        for one in etree.fromstring(body).iter(qname(ROUTING, "report"))
    ]


class Air:
    """A Gossip for each router: what one originates, the others hear, each with a probability."""

    def __init__(self, dice: Random, loss: float = 0.0) -> None:
        self.routers: list[Router] = []
        self.sent: list[tuple[Router, list[GradientReport]]] = []
        self._dice = dice
        self._loss = loss

    def join(self, router: Router) -> None:
        self.routers.append(router)
        port: Any = _Port(self, router)
        router.service(port)

    def originate(self, router: Router, body: bytes) -> None:
        reports = read(body)
        self.sent.append((router, reports))
        for other in self.routers:
            if other is not router and self._dice.random() >= self._loss:
                other.heard(reports)


class _Port:
    def __init__(self, air: Air, router: Router) -> None:
        self._air = air
        self._router = router

    def originate(self, action: str, body: bytes, wanted: Any) -> None:
        assert (action, wanted.scopes) == (GRADIENTS, (SCOPE,))
        self._air.originate(self._router, body)


def built(nodes: int, loss: float, clock: Clock) -> tuple[Any, Wires, Air]:
    dice = Random(5)
    instance = overlay(nodes, Pattern.ALL_TO_ALL, dice)
    wires = Wires(dict(instance.capacity))
    air = Air(dice, loss)
    for node in range(nodes):
        demands = {one.target: one.demand for one in instance.commodities if one.source == node}
        plane: Any = wires
        router = Router(node, instance.capacity, demands, plane, scope=SCOPE, tick=1.0, clock=clock, dice=Random(node))
        air.join(router)
        router.start()
    return instance, wires, air


def test_together_they_come_near_the_optimum_and_leave_a_failed_link() -> None:
    clock = Clock()
    instance, wires, air = built(8, 0.1, clock)

    def stands() -> Any:
        flows = {path: kb for router in air.routers for path, kb in router.flows.items()}
        return certify(instance, wires.capacity, load_of(flows))

    start = stands()
    clock.run(30.0)
    settled = stands()
    assert settled.gap < 0.01 * settled.cost < 0.01 * start.cost
    failed = max(wires.capacity, key=wires.load)
    air.routers[failed[0]].change(failed, 0.0)
    clock.run(70.0)
    for one in instance.commodities:
        sent = [kb for path, kb in air.routers[one.source].flows.items() if path[-1] == one.target]
        assert sum(sent) == pytest.approx(one.demand)
    assert wires.load(failed) == 0.0
    after = stands()
    assert after.gap < 0.01 * after.cost
    assert after.max_utilisation < 1


def test_what_has_not_changed_is_published_now_and_then() -> None:
    clock = Clock()
    _, _, air = built(6, 0.0, clock)
    clock.run(60.0)
    air.sent.clear()
    clock.run(60.0 + 3 * KEEP)
    ticks = 3 * KEEP * len(air.routers)
    # Settled: each link some three times in thirty ticks.
    links = len(air.routers[0].links())
    published = sum(len(reports) for _, reports in air.sent)
    assert 2 * links * len(air.routers) <= published <= 5 * links * len(air.routers) < ticks * links


def test_a_refused_report_is_counted_and_the_next_tick_goes_on() -> None:
    clock = Clock()
    _, _, air = built(6, 0.0, clock)

    def busy(router: Router, body: bytes) -> None:
        raise sender_fault("Busy", "too many")

    air.originate = busy  # type: ignore[method-assign]
    clock.run(5.0)
    assert all(router.counters["reports refused"] >= 2 for router in air.routers)


def test_own_links_and_unknown_ones_are_not_taken_from_others() -> None:
    clock = Clock()
    _, _, air = built(6, 0.0, clock)
    router = air.routers[0]
    own, *_ = router.links()
    router.heard([GradientReport(own[0], 9, WALL, 1.0, 1.0, 1), GradientReport((900, 901), 9, WALL, 1.0, 1.0, 1)])
    assert router.counters == {"reports known or of no link": 2}


def test_a_path_that_is_left_is_told_to_carry_nothing() -> None:
    clock = Clock()
    instance, wires, air = built(8, 0.0, clock)
    clock.run(100.0)
    flows = {path: kb for router in air.routers for path, kb in router.flows.items()}
    assert {path: kb for path, kb in wires.flows.items() if kb} == flows
    assert len(wires.flows) > len(flows) >= len(instance.commodities)
