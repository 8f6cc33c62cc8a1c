"""What the city's prosumers are put through while they route energy: a link fails, another one fills, the information
system dies. Asks the worker processes, and pulls as an operator does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any, Final

from gossip_ws.client import GossipClient, wanted
from gossip_ws.devices.city_routing import SCOPE, EnergyPhase, EnergyPlan, EnergyReport, judged
from gossip_ws.routing.certificate import load_of
from gossip_ws.routing.graph import Link, Path

TICKS: Final = 30
"""Between two looks at how it stands."""
NARROWED: Final = 0.7
"""Of its capacity a link keeps when it fills."""

AskAll = Callable[[str], Awaitable[list[Any]]]
"""Tell every worker process one command; their replies."""


class Trial:
    """One run. `top`: the information system's address."""

    def __init__(self, plan: EnergyPlan, ask: AskAll, progress: Callable[[str], None]) -> None:
        self._plan = plan
        self._ask = ask
        self._progress = progress
        self._capacity = dict(plan.instance.capacity)

    async def run(
        self, top: str, user: str, password: str, kill: Callable[[], Awaitable[None]], ticks: int = TICKS
    ) -> EnergyReport:
        """Let them route; fail the fullest link and narrow the next; then `kill` the information system and mend both.

        Raises GossipError when the information system does not answer.
        """
        plan = self._plan
        before = await self._counted()
        start = await self._look("minimum hop")
        await self._ask("route")
        phases = []
        client = await asyncio.to_thread(GossipClient, f"{top}/Routing", user=user, password=password)
        try:
            phases.append(await self._after(ticks, "all links up", client))
            failed, narrow = await self._fullest()
            await self._change(failed, 0.0)
            await self._change(narrow, NARROWED * self._capacity[narrow])
            what = f"link {failed[0]}>{failed[1]} failed, {narrow[0]}>{narrow[1]} narrowed to {NARROWED:.0%}"
            phases.append(await self._after(ticks, what, client))
        finally:
            client.close()
        after = await self._counted()
        await kill()
        await self._change(failed, plan.instance.capacity[failed])
        await self._change(narrow, plan.instance.capacity[narrow])
        phases.append(await self._after(ticks, "information system dead, both links back", None))
        sent = after.get("envelopes", 0) - before.get("envelopes", 0)
        return EnergyReport(
            len(plan.nodes),
            len(plan.instance.capacity),
            plan.tick,
            start,
            phases,
            after.get("reports published", 0),
            round(sent / (2 * ticks) / max(after.get("devices", 0), 1), 2),
        )

    async def _after(self, ticks: int, what: str, client: GossipClient | None) -> EnergyPhase:
        self._progress(f"routing energy: {what}")
        await asyncio.sleep(ticks * self._plan.tick)
        phase = await self._look(what)
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

    async def _fullest(self) -> tuple[Link, Link]:
        load = load_of(await self._flows())
        first, second, *_ = sorted(load, key=lambda link: -load[link] / self._capacity[link])
        return first, second

    async def _change(self, link: Link, capacity: float) -> None:
        self._capacity[link] = capacity
        await self._ask(f"link {link[0]} {link[1]} {capacity!r}")

    async def _counted(self) -> Mapping[str, int]:
        total: dict[str, int] = {}
        for counted in await self._ask("routed"):
            for name, count in counted.items():
                total[name] = total.get(name, 0) + count
        return total


def _gradients(client: GossipClient, filter: str) -> list[Any]:
    """Rows of GetGradients over all that route."""
    return list(client.call("GetGradients", wanted=wanted(filter=filter, scopes=(SCOPE,))).value or ())
