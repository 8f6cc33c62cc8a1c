"""What the city's meters are put through while they balance: an area cut off, a process killed, the information system
dead. Asks the worker processes, pulls as an operator does, and reads the ledgers on disk.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gossip_ws.client import GossipClient, wanted
from gossip_ws.consensus.checker import Cut
from gossip_ws.consensus.log import Log
from gossip_ws.consensus.vector import zero
from gossip_ws.core.peers import Role
from gossip_ws.devices.city_balance import (
    BalancePhase,
    BalancePlan,
    BalanceReport,
    Pulled,
    area_reports,
    broken,
    decided,
    report,
    revoked,
    within_reach,
)
from gossip_ws.devices.city_balancers import ledgers, sent
from gossip_ws.devices.city_moved import REACHED
from gossip_ws.devices.city_standing import is_matched, merged
from gossip_ws.devices.host import role_type
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.names import GOSSIP, qname
from gossip_ws.services.balancing import Residual

LIMIT: Final = 400
"""Rounds that are waited for until nothing is left to do, and"""
SECONDS: Final = 100.0
"""seconds at least: where rounds are short it is the machine that takes its time."""
KILL_AFTER: Final = 3
"""Rounds after which something is killed: in the middle of the first agreements."""
PULLS: Final = 5
"""Times that an area is pulled at most until everybody is in the sum: where datagrams are lost, one may be late."""

_NAMES: Final = ("could", "wanted", "sold", "bought", "soldBeyond", "boughtBeyond", "gives", "needs")

_NOBODY: Final = qname(GOSSIP, "NoContributors")

AskAll = Callable[[str], Awaitable[list[Any]]]
"""Tell every worker process one command; their replies."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What can be done to the city. restart: kill the last process, start it again and tell it these commands.
    enrolled: wait until all are enrolled. kill_top: the information system dies."""

    restart: Callable[..., Awaitable[None]]
    enrolled: Callable[[], Awaitable[None]]
    kill_top: Callable[[], Awaitable[None]]


class BalanceTrial:
    """One run. `folder`: where the ledgers are."""

    def __init__(
        self, plan: BalancePlan, folder: Path, ask: AskAll, faults: Faults, progress: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._ask = ask
        self._faults = faults
        self._progress = progress
        self._cuts: list[Cut] = []
        self._logs: Mapping[str, Log] = {}
        self._gone: Counter[str] = Counter()
        """What processes had counted that were killed."""
        self._counted: Counter[str] = Counter()
        self._decided = 0

    async def run(self, top: str, user: str, password: str) -> BalanceReport:
        """Four days with the same schedules: one without faults; one that begins with an area cut off and in which a
        process is killed and started again, until the area is back; one on which meters change, leave and come back;
        and one in which the information system at `top` is killed.

        Raises GossipError when the information system does not answer while it is there.
        """
        pace = self._plan.pace
        self._counted = await self._count()
        client = await asyncio.to_thread(GossipClient, f"{top}/Balance", user=user, password=password)
        try:
            began = await self._offer(0)
            phases = [await self._phase("all are up", 0, began, client=client)]
            area = next(iter(self._plan.areas.values()))
            island = frozenset(device for device, its in self._plan.areas.items() if its == area)
            await self._ask(f"cut {area}")
            since = time.monotonic()
            began = await self._offer(1)
            await asyncio.sleep(KILL_AFTER * pace.round)
            await self._restart(f"cut {area}", "balance 1")
            what = f"{area} cut off; a process killed and up again"
            self._cuts.append(Cut(since, float("inf"), (island,)))
            phases.append(await self._phase(what, 1, began, cut_off=area))
            self._cuts[-1] = Cut(since, time.monotonic(), (island,))
            await self._ask("heal")
            healed = time.monotonic()
            phases.append(await self._phase("together again", 1, healed, client=client))
            phases += await self._come_and_go(2, client)
        finally:
            client.close()
        began = await self._offer(3)
        await asyncio.sleep(KILL_AFTER * pace.round)
        self._gone.update((await self._ask("counted"))[0])
        await self._faults.kill_top()
        phases.append(await self._phase("information system killed", 3, began))
        return report(self._plan, phases)

    # -- steps ---------------------------------------------------------------------------------

    async def _come_and_go(self, day: int, client: GossipClient) -> list[BalancePhase]:
        """In the middle of a day meters change and leave, and later come back; nobody else is stopped for it."""
        leaving, doubling = map(" ".join, self._plan.restless())
        began = await self._offer(day)
        await asyncio.sleep(2 * KILL_AFTER * self._plan.pace.round)
        await self._ask(f"double {doubling}")
        await self._ask(f"leave {leaving}")
        await self._ask(f"regroup {leaving}")
        what = "a meter of each area leaves, one does twice as much"
        gone = await self._phase(what, day, began, client=client, is_changed=True)
        came = time.monotonic()
        await self._ask(f"join {leaving}")
        return [gone, await self._phase("who left is back", day, came, client=client, is_changed=True)]

    async def _offer(self, day: int) -> float:
        """Everybody begins with a day. When: monotonic s."""
        self._decided = 0
        began = time.monotonic()
        await self._ask(f"balance {day}")
        return began

    async def _restart(self, *commands: str) -> None:
        self._progress("a process is killed")
        before = await self._on_disk()
        self._gone.update((await self._ask("counted"))[-1])
        await self._faults.restart(*commands)
        self._logs = before

    async def _phase(
        self,
        what: str,
        day: int,
        began: float,
        *,
        client: GossipClient | None = None,
        cut_off: str = "",
        is_changed: bool = False,
    ) -> BalancePhase:
        """Wait until nothing is left to do, and judge how it stands."""
        settled = await self._settled(what, cut_off)
        counted = await self._count()
        logs = await self._on_disk()
        pulled: dict[str, list[Pulled]] = {}
        if client is not None:
            await self._faults.enrolled()
            for area, role, devices in self._asked():
                self._progress(f"balancing: pulling {area}")
                told = await asyncio.to_thread(pull, client, area, role, devices, day, self._plan.instance.periods)
                pulled.setdefault(area, []).append(told)
        areas = area_reports(self._plan, logs, day, pulled)
        gone = self._plan.restless()[0] if is_changed else ()
        decisions, watts, last = decided(self._plan, logs, day)
        whole = settled and not cut_off
        spent = counted - self._counted
        phase = BalancePhase(
            what,
            settled,
            round(max(0.0, last - began), 2),
            decisions - self._decided,
            sent(spent.items()),
            watts,
            within_reach(self._plan, logs, day) if is_changed else self._plan.optimum(cut_off),
            round(spent["CPU ms"] / 1000, 1),
            areas,
            revoked(self._logs, logs),
            broken(self._plan, logs, self._cuts, areas, settled=whole, gone=gone),
            REACHED if self._plan.movables is not None else 1.0,
        )
        # What was asked of the areas meanwhile is no part of it.
        self._counted, self._decided = await self._count(), decisions
        self._logs = logs
        return phase

    def _asked(self) -> Iterable[tuple[str, Role, int]]:
        """(area, role, devices of that role in it): who is asked what is left."""
        of = self._plan.movables
        for area, meters in Counter(self._plan.areas[device] for device in self._plan.meters).items():
            yield area, Role.METER, meters
            if of is not None and of.appliances[area]:
                yield area, Role.APPLIANCE, of.appliances[area]

    async def _settled(self, what: str, cut_off: str) -> bool:
        pace = self._plan.pace
        deadline = time.monotonic() + max(SECONDS, LIMIT * pace.round)
        while time.monotonic() < deadline:
            standings = await self._ask("standing")
            busy = sum(one for one, _ in standings)
            if not busy and is_matched(merged(standing for _, standing in standings), {cut_off}):
                return True
            self._progress(f"balancing: {what}; {busy} devices in the middle of an agreement")
            await asyncio.sleep(pace.round / 2)
        return False

    async def _count(self) -> Counter[str]:
        return self._gone + sum(map(Counter, await self._ask("counted")), Counter())

    async def _on_disk(self) -> dict[str, Log]:
        return await asyncio.to_thread(ledgers, self._plan, self._folder)


def pull(client: GossipClient, area: str, role: Role, devices: int, day: int, periods: int) -> Pulled:
    """GetResidual summed over the devices of a role in an area; of nobody where none was in time. Raises GossipError
    when the information system does not answer, or with another fault."""
    asked = wanted(filter="sum", scopes=(area,), types=(role_type(role),))
    pulled = Pulled(0, Residual(*[zero(periods)] * len(_NAMES)))
    for _ in range(PULLS):
        try:
            answer = client.call("GetResidual", day=day, wanted=asked)
        except RemoteError as error:
            # A few devices on a busy machine may all be late.
            if error.fault.subcode != _NOBODY:
                raise
            continue
        rows: Sequence[Any] = answer.value or ()
        sums = [tuple(map(int, getattr(rows[0], name))) if rows else zero(periods) for name in _NAMES]
        pulled = Pulled(answer.report.contributors if answer.report is not None else 0, Residual(*sums))
        if pulled.contributors == devices:
            break
    return pulled
