"""What the city's prosumers are put through while they route energy: a link fails, another one fills, the information
system dies. Asks the worker processes, and pulls as an operator does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from itertools import pairwise
from random import Random
from typing import Any, Final

from gossip_ws.client import GossipClient, wanted
from gossip_ws.devices.city_routing import SCOPE, SETTLED, EnergyPhase, EnergyPlan, EnergyReport, judged
from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.certificate import feasible, load_of
from gossip_ws.routing.graph import Link, Path
from gossip_ws.routing.instance import Instance
from gossip_ws.routing.run import Change, Terms, run

TICKS: Final = 30
"""Between two looks at how it stands."""
STEPS: Final = 60
"""Of the simulation that says what the least cost is: within 0.2 % of it for thirty prosumers."""
NARROWED: Final = 0.7
"""Of its capacity a link keeps when it fills."""
SPARED: Final = 0.1
"""Of all capacities what demands leave, when a link has failed: what only just fits tells of no method."""

AskAll = Callable[[str], Awaitable[list[Any]]]
"""Tell every worker process one command; their replies."""


@dataclass(frozen=True, slots=True)
class _Look:
    """How it stood, so many ticks into a phase, and how many report messages a device had sent in it."""

    ticks: float
    phase: EnergyPhase
    told: float


class Trial:
    """One run. `fanout`: what each tells in a tick."""

    def __init__(self, plan: EnergyPlan, fanout: int, ask: AskAll, progress: Callable[[str], None]) -> None:
        self._plan = plan
        self._fanout = fanout
        self._ask = ask
        self._progress = progress
        self._capacity = dict(plan.instance.capacity)

    async def run(
        self, top: str, user: str, password: str, kill: Callable[[], Awaitable[None]], ticks: int = TICKS
    ) -> EnergyReport:
        """Let them route; fail the fullest link and narrow the next; then `kill` the information system and mend both.

        `top`: the information system's address. Raises GossipError when it does not answer.
        """
        plan = self._plan
        start = await self._look("minimum hop")
        await self._ask("route")
        phases = []
        client = await asyncio.to_thread(GossipClient, f"{top}/Routing", user=user, password=password)
        try:
            phases.append(await self._after(ticks, "all links up", client))
            failed, narrow = await asyncio.to_thread(fullest, plan.instance, load_of(await self._flows()))
            await self._change(failed, 0.0)
            await self._change(narrow, NARROWED * self._capacity[narrow])
            what = f"link {failed[0]}>{failed[1]} failed, {narrow[0]}>{narrow[1]} narrowed to {NARROWED:.0%}"
            phases.append(await self._after(ticks, what, client))
        finally:
            client.close()
        await kill()
        await self._change(failed, plan.instance.capacity[failed])
        await self._change(narrow, plan.instance.capacity[narrow])
        phases.append(await self._after(ticks, "information system dead, both links back", None))
        published = (await self._counted()).get("statements made", 0)
        envelopes = round(sum(phase.envelopes for phase in phases) / len(phases), 2)
        links = len(plan.instance.capacity)
        return EnergyReport(len(plan.nodes), links, plan.tick, self._fanout, start, phases, published, envelopes)

    async def _after(self, ticks: int, what: str, client: GossipClient | None) -> EnergyPhase:
        self._progress(f"routing energy: {what}")
        looks: list[_Look] = []
        before, began = await self._counted(), time.monotonic()
        devices = max(before.get("devices", 0), 1)
        while not looks or looks[-1].ticks < ticks:
            await asyncio.sleep(max(0.0, began + (len(looks) + 1) * self._plan.tick - time.monotonic()))
            now = (time.monotonic() - began) / self._plan.tick
            after = await self._counted()
            told = (after.get("gossips", 0) - before.get("gossips", 0)) / devices
            looks.append(_Look(now, await self._look(what), told))
        phase = looks[-1].phase
        bound = await asyncio.to_thread(_bound, self._plan.instance, dict(self._capacity))
        phase.settled, phase.told = _settled(looks, bound)
        sent = (after.get("envelopes", 0) - before.get("envelopes", 0)) / devices
        phase.envelopes, phase.reports = round(sent / now, 2), round(told / now, 2)
        if client is not None:
            (total,) = await asyncio.to_thread(_gradients, client, "sum")
            phase.pulled_cost, phase.pulled_gap = float(total.cost), float(total.gap)
            stylesheet = (resources.files("gossip_ws.wsdl") / "most-congested.xslt").read_text()
            rows = await asyncio.to_thread(_gradients, client, stylesheet)
            phase.congested = [(row.link, float(row.load), float(row.capacity)) for row in rows]
        return phase

    async def _look(self, what: str) -> EnergyPhase:
        return judged(what, self._plan, self._capacity, await self._flows())

    async def _flows(self) -> dict[Path, float]:
        return {tuple(path): kb for flows in await self._ask("flows") for path, kb in flows}

    async def _change(self, link: Link, capacity: float) -> None:
        self._capacity[link] = capacity
        await self._ask(f"link {link[0]} {link[1]} {capacity!r}")

    async def _counted(self) -> Mapping[str, int]:
        total: dict[str, int] = {}
        for counted in await self._ask("routed"):
            for name, count in counted.items():
                total[name] = total.get(name, 0) + count
        return total


def fullest(instance: Instance, load: Mapping[Link, float]) -> tuple[Link, Link]:
    """The link to fail and the one to narrow: the fullest two, one after the other, without which all demands still fit
    and some room is left. Where no two are, the emptiest."""
    order = sorted(load, key=lambda link: -load[link] / instance.capacity[link])
    for failed, narrow in pairwise(order):
        left = {link: (1 - SPARED) * kb for link, kb in instance.capacity.items() if link != failed}
        left[narrow] *= NARROWED
        try:
            if feasible(replace(instance, capacity=left)):
                return failed, narrow
        except LocalError:
            # A demand has no way left at all.
            continue
    return order[-1], order[-2]


def _bound(instance: Instance, capacity: Mapping[Link, float]) -> float:
    """What no flow over links of this capacity costs less than: found by a simulation in which everybody knows all."""
    changes = tuple(Change(link, 0, kb) for link, kb in capacity.items() if kb != instance.capacity[link])
    terms = Terms(async_max=0, loss=0.0, ticks=STEPS, changes=changes)
    return max(point.certificate.lower_bound for point in run(instance, terms, Random(0)).trace)


def _settled(looks: list[_Look], bound: float) -> tuple[float | None, float | None]:
    """Ticks, and report messages of a device, until the cost stayed near the least that it can be."""
    best = max(bound, *(look.phase.lower_bound for look in looks))
    first = None
    for look in reversed(looks):
        if look.phase.cost > (1 + SETTLED) * best:
            break
        first = look
    return (None, None) if first is None else (round(first.ticks, 1), round(first.told, 1))


def _gradients(client: GossipClient, filter: str) -> list[Any]:
    """Rows of GetGradients over all that route."""
    return list(client.call("GetGradients", wanted=wanted(filter=filter, scopes=(SCOPE,))).value or ())
