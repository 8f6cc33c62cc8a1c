"""What the city makes of devices that announce more than they give: day after day, from the ledgers, the meters and the
scores that neighbours keep.

Asks the worker processes and reads the ledgers on disk. Knows no socket.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gossip_ws.consensus.checker import violations
from gossip_ws.consensus.deviance import given
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.reliance import WHOLE
from gossip_ws.devices.city_balance import BalancePlan, made_on
from gossip_ws.devices.city_balancers import ledgers

QUIET: Final = 16
"""Rounds without a change after which a day is over: what is left then is what nobody believes in."""
LIMIT: Final = 400
"""Rounds of a day at most, and"""
SECONDS: Final = 100.0
"""seconds at least."""
HEARD: Final = 60.0
"""Seconds at most until all neighbours have heard a meter."""

AskAll = Callable[[str], Awaitable[list[Any]]]
"""Tell every worker process one command; their replies."""


@dataclass(frozen=True, slots=True)
class MeteredDay:
    """agreed, given: W summed over hours, of what was sold. believed: the mean share that neighbours believe, after
    the day, of what those give who overstate; others: the smallest of anything that anybody else gives or needs. heard:
    neighbours that have judged somebody by this day's meters."""

    agreed: int
    given: int
    believed: float
    others: float
    heard: int


@dataclass(slots=True)
class MeteringReport:
    """overstating: of `meters`. optimum: W summed over hours, the most that could be given. unnoticed: who overstates,
    and no neighbour doubts it."""

    meters: int
    overstating: int
    optimum: int
    days: list[MeteredDay]
    unnoticed: list[str]
    violations: list[str]

    @property
    def is_good(self) -> bool:
        """No ledger breaks a promise to the other side, who overstates is noticed and nobody else, and less is promised
        in vain on the last day than on the first."""
        first, last = self.days[0], self.days[-1]
        return (
            not self.violations
            and not self.unnoticed
            and all(day.others == 1.0 for day in self.days)
            and (len(self.days) == 1 or last.agreed - last.given < max(1, first.agreed - first.given))
        )


class MeteringTrial:
    """One run. `folder`: where the ledgers are."""

    def __init__(self, plan: BalancePlan, folder: Path, ask: AskAll, progress: Callable[[str], None]) -> None:
        self._plan = plan
        self._folder = folder
        self._ask = ask
        self._progress = progress

    async def run(self, days: int) -> MeteringReport:
        """The same schedules on so many days; each evening the meters tell."""
        found, scores = [], []
        for day in range(days):
            await self._ask(f"balance {day}")
            await self._over(day)
            await self._ask(f"metered {day}")
            scores = await self._heard(day)
            logs = await asyncio.to_thread(ledgers, self._plan, self._folder)
            made = made_on(logs, day)
            found.append(
                MeteredDay(
                    sum(sum(one.watts) for one in made),
                    given(self._plan.instance, made),
                    self._believed(scores),
                    min((min(gives, needs) for _, gives, needs in self._of_others(scores)), default=WHOLE) / WHOLE,
                    sum(last == day for _, last, _, _ in scores),
                )
            )
        false = self._plan.overstating
        noticed = {device for device, _, gives, _ in scores if device in false and gives < WHOLE}
        return MeteringReport(
            len(self._plan.meters),
            len(false),
            matched(self._plan.instance),
            found,
            sorted(false - noticed),
            [f"{one.rule}: {one.what}" for one in violations(logs, hierarchy=self._plan.hierarchy)],
        )

    async def _over(self, day: int) -> None:
        """Until nobody has promised or decided anything for a while: who is doubted goes on offering, in vain."""
        pace = self._plan.pace.round
        deadline = time.monotonic() + max(SECONDS, LIMIT * pace)
        before, since = -1, time.monotonic()
        while time.monotonic() < min(deadline, since + QUIET * pace):
            self._progress(f"metering: day {day + 1}")
            await asyncio.sleep(pace)
            written = sum(await self._ask("written"))
            if written != before:
                before, since = written, time.monotonic()

    async def _heard(self, day: int) -> list[tuple[str, int, int, int]]:
        """The scores, once no more are coming."""
        deadline = time.monotonic() + HEARD
        before, since = -1, time.monotonic()
        while True:
            scores = [tuple(score) for told in await self._ask("scores") for score in told]
            heard = sum(last == day for _, last, _, _ in scores)
            if heard != before:
                before, since = heard, time.monotonic()
            if time.monotonic() > min(deadline, since + QUIET * self._plan.pace.round):
                return scores
            self._progress(f"metering: day {day + 1}, {heard} have judged a neighbour")
            await asyncio.sleep(self._plan.pace.round)

    def _believed(self, scores: Iterable[tuple[str, int, int, int]]) -> float:
        shares = [gives for device, _, gives, _ in scores if device in self._plan.overstating]
        return round(sum(shares) / len(shares) / WHOLE, 3) if shares else 1.0

    def _of_others(self, scores: Iterable[tuple[str, int, int, int]]) -> list[tuple[str, int, int]]:
        return [(device, gives, needs) for device, _, gives, needs in scores if device not in self._plan.overstating]


def lines(report: MeteringReport) -> Iterable[str]:
    """For a person."""
    yield (
        f"metering   {report.overstating} of {report.meters} meters announce twice what they give; at most"
        f" {report.optimum / 1000:,.1f} kWh can be given"
    )
    yield f"           {'agreed kWh':>11} {'given':>8} {'in vain':>8}   believed of them   of all others"
    for number, day in enumerate(report.days, 1):
        vain = (day.agreed - day.given) / 1000
        yield (
            f"           {day.agreed / 1000:11,.1f} {day.given / 1000:8,.1f} {vain:8,.1f} {day.believed:18.3f}"
            f" {day.others:15.3f}   day {number}, {day.heard} neighbours have judged"
        )
    yield from (f"           NOT NOTICED {device}" for device in report.unnoticed)
    yield from (f"           VIOLATED {what}" for what in report.violations)
