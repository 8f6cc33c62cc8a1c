"""A city of devices on this machine: brings them up in several processes, pushes one tariff, pulls the demand.

Whoever pushes and pulls here is a plain SOAP client that knows nothing of gossip.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory
from typing import Any

from gossip_ws.devices.city_assignment import Assignment
from gossip_ws.devices.city_balance import ROUND, BalanceReport
from gossip_ws.devices.city_balance import draw as balance_plan
from gossip_ws.devices.city_balance import population as dealt_out
from gossip_ws.devices.city_balance_trial import BalanceTrial, Faults
from gossip_ws.devices.city_balancers import prepare
from gossip_ws.devices.city_energy import Trial
from gossip_ws.devices.city_metering import MeteringReport, MeteringTrial
from gossip_ws.devices.city_process import CityError, CityProcess
from gossip_ws.devices.city_routing import EnergyReport, draw, key_file
from gossip_ws.devices.legacy import LegacyClient, Pulled
from gossip_ws.grid.faults import Fate, contributions
from gossip_ws.grid.population import Population, choose, load
from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.rumours import FANOUT
from gossip_ws.security.keys import PrivateKey
from gossip_ws.security.passwords import PasswordHash

PERIODS = ("00-08", "08-16", "16-24")
PRICES = ("0.12", "0.30", "0.38")
"""EUR/kWh of the three periods in the tariff that is pushed: the night is cheap."""
TIERS = {"InformationSystem": "IS", "SubstationController": "SSC", "SmartMeter": "SM", "Appliance": "IED"}
USER = "operator"
ENROL_LIMIT = 120.0
PUSH_LIMIT = 60.0
"""Seconds; waited for, then reported as it is."""
DAYS = 6
"""On which some overstate."""
MOST_DAYS = 100
SETTLE = 0.5
"""Seconds after everyone was reached, for the last duplicates to be counted."""

GRID = "1-MVLV-rural-all-2-sw"
DAY = "2016-01-19"


@dataclass(frozen=True, slots=True)
class CityPlan:
    """What city to build. `processes`: for the substations; the information system has one of its own. `loss`: of
    each datagram, at random. `crash`: the share of devices, the information system apart, that goes down between the
    first pull and the push. `prosumers`: meters that route energy afterwards, none without; each wakes up every `tick`
    s in the mean, and may then send `fanout` envelopes. `balance`: meters agree afterwards who gives what to
    whom, messages taking `round` s at most; the meters are those of several areas then. `flexible`: so do the
    appliances that can wait or store. `overstate`: instead of anything else that happens while they agree, so large a
    share of those that give anything announces more, on so many `days`.

    Raises LocalError when loss or crash is no share below 1, two of routing, balancing and a crash are wanted, or
    something is to be moved or overstated where nobody balances."""

    meters: int = 540
    seed: int = 1
    grid: str = GRID
    day: str = DAY
    processes: int = 2
    loss: float = 0.0
    crash: float = 0.0
    prosumers: int = 0
    tick: float = 1.0
    fanout: int = FANOUT
    balance: bool = False
    flexible: bool = False
    round: float = ROUND
    overstate: float = 0.0
    days: int = DAYS

    def __post_init__(self) -> None:
        for name, share in (("loss", self.loss), ("crash", self.crash)):
            if not 0 <= share < 1:
                raise LocalError(f"{name} is a share from 0 to below 1: {share}")
        if bool(self.prosumers) + bool(self.crash) + self.balance > 1:
            raise LocalError(
                "routing and balancing have faults of their own: neither the other nor a crash beside them"
            )
        if (self.flexible or self.overstate) and not self.balance:
            raise LocalError("what is flexible is moved, and what is overstated is, where devices balance: say so too")
        if self.overstate and (self.flexible or not 0 < self.overstate <= 1):
            raise LocalError(f"a share from 0 to 1 of fixed schedules is overstated: {self.overstate:g}")
        if not 1 <= self.days <= MOST_DAYS:
            raise LocalError(f"1 to {MOST_DAYS} days, not {self.days}")
        if not 0.1 <= self.tick <= 60:
            raise LocalError(f"a tick lasts 0.1 to 60 s: {self.tick:g}")
        if not 1 <= self.fanout <= 64:
            raise LocalError(f"1 to 64 envelopes of a tick, not {self.fanout}")

    def population(self) -> Population:
        """Raises LocalError for a grid, a number of meters or a day that is not there."""
        population = dealt_out(self.grid, self.meters, self.seed) if self.balance else self._drawn()
        if self.day not in population.profiles.days:
            days = population.profiles.days
            raise LocalError(f"no profiles for {self.day!r}; there are {days[0]} to {days[-1]}, one week a season")
        return population

    def _drawn(self) -> Population:
        return choose(load(self.grid), self.meters, self.seed)


@dataclass(slots=True)
class PushReport:
    """`live`: devices that are live and have nothing but live ones above; `reached`: those of them that hold the
    tariff. `seconds_half` and `seconds_all` are None when not reached within `PUSH_LIMIT`."""

    live: int
    reached: int
    seconds_half: float | None
    seconds_all: float | None
    envelopes: int
    duplicates: int


@dataclass(slots=True)
class PullReport:
    """Values and truth are whole Wh of the three periods; the value is None when there was no answer. `truth_wh` is
    the sum over the `counted` devices whose own value went into the answer, by what the devices say of themselves."""

    periods: tuple[str, ...]
    value_wh: list[int] | None
    truth_wh: list[int]
    contributors: int
    expected: int
    missing: int
    failed: int
    uncertain: int
    late: int
    counted: int
    seconds: float

    @property
    def is_exact(self) -> bool:
        """Is the value the sum over as many as it claims, and everyone who was expected accounted for?"""
        accounted = self.contributors + self.missing + self.failed + self.uncertain + self.late
        return self.value_wh == self.truth_wh and self.contributors == self.counted and accounted == self.expected


@dataclass(slots=True)
class CityReport:
    devices: dict[str, int]
    """By tier; where faults were asked for, also how many of all are `crashed` and `unreachable`."""
    faults: dict[str, float]
    """The shares that were asked for: `loss` and `crash`."""
    pull_before: PullReport
    push: PushReport
    pull: PullReport
    legacy: dict[str, bool] = field(default_factory=dict)
    """By tier: does a plain client find the new tariff at a device's original address?"""
    energy: EnergyReport | None = None
    balance: BalanceReport | None = None
    metering: MeteringReport | None = None

    @property
    def total(self) -> int:
        return sum(self.devices[tier] for tier in TIERS.values())

    @property
    def is_good(self) -> bool:
        """Everyone who can have the tariff has it, and every sum is exact; without faults, over everybody."""
        pulls = (self.pull_before, self.pull)
        return (
            self.push.reached == self.push.live
            and all(pull.is_exact for pull in pulls)
            and (any(self.faults.values()) or all(pull.contributors == self.total for pull in pulls))
            and all(self.legacy.values())
            and (self.energy is None or self.energy.is_good)
            and (self.balance is None or self.balance.is_good)
            and (self.metering is None or self.metering.is_good)
        )


class City:
    """The processes of one city. `async with` it."""

    def __init__(self, plan: CityPlan, progress: Callable[[str], None]) -> None:
        self._plan = plan
        self._progress = progress
        self._population = plan.population()
        self._fate = Fate.draw(self._population, plan.crash, plan.seed)
        self._energy = None
        if plan.prosumers:
            self._energy = draw(self._population, plan.prosumers, plan.seed, plan.tick)
        self._balance = None
        if plan.balance:
            self._balance = balance_plan(
                self._population,
                plan.day,
                plan.seed,
                plan.round,
                flexible=plan.flexible,
                overstate=plan.overstate,
            )
        self._workers: list[CityProcess] = []
        self._folder = TemporaryDirectory(prefix="gossip-ws-city-")
        self._password = token_urlsafe(16)

    @property
    def devices(self) -> dict[str, int]:
        counts = self._population.counts()
        tiers = {
            "IS": counts.information_systems,
            "SSC": counts.substations,
            "SM": counts.meters,
            "IED": counts.appliances,
        }
        if not (self._plan.loss or self._plan.crash):
            return tiers
        return {**tiers, "crashed": len(self._fate.crashed), "unreachable": len(self._fate.unreachable)}

    async def __aenter__(self) -> City:
        try:
            await self._open()
        except BaseException:  # cancelled or interrupted too: no worker process may be left behind
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await asyncio.gather(*(worker.close() for worker in self._workers))
        self._folder.cleanup()

    async def run(self) -> CityReport:
        """Pull, crash some, push, pull again, and ask some devices as a stranger would."""
        addresses = await self._top.ask("addresses")
        top = addresses["InformationSystem"]
        operator = LegacyClient(USER, self._password)
        before = await self._pull(operator, top)
        if self._fate.crashed:
            self._progress(f"{len(self._fate.crashed)} devices go down")
            await asyncio.gather(*(worker.ask("crash") for worker in self._workers))
        push = await self._push(operator, top)
        after = await self._pull(operator, top)
        self._progress("asking single devices for their tariff")
        legacy = {}
        for role, address in {**addresses, **await self._workers[-1].ask("addresses")}.items():
            held = await asyncio.to_thread(LegacyClient().tariff, f"{address}/Tariff")
            legacy[TIERS[role]] = held == (self._tariff_id, 1)
        energy = None
        if self._energy is not None:
            trial = Trial(self._energy, self._plan.fanout, self._ask_all, self._progress)
            energy = await trial.run(top, USER, self._password, self._kill_top)
        balance = metering = None
        if self._balance is not None and self._plan.overstate:
            metered = MeteringTrial(self._balance, Path(self._folder.name), self._ask_all, self._progress)
            metering = await metered.run(self._plan.days)
        elif self._balance is not None:
            faults_of = Faults(self._restart_last, self._enrolled, self._kill_top)
            balancing = BalanceTrial(self._balance, Path(self._folder.name), self._ask_all, faults_of, self._progress)
            balance = await balancing.run(top, USER, self._password)
        faults = {"loss": self._plan.loss, "crash": self._plan.crash}
        return CityReport(self.devices, faults, before, push, after, legacy, energy, balance, metering)

    # -- steps ---------------------------------------------------------------------------------

    @property
    def _top(self) -> CityProcess:
        return self._workers[0]

    @property
    def _tariff_id(self) -> str:
        return f"city-{self._plan.seed}"

    async def _open(self) -> None:
        plan, population = self._plan, self._population
        key = PrivateKey.generate()
        key_file = Path(self._folder.name) / "information-system.pem"
        key.save(key_file)
        # Own network and own multicast port: several cities on one machine must not hear each other.
        pid = os.getpid()
        common: dict[str, Any] = {
            "grid": plan.grid,
            "meters": plan.meters,
            "seed": plan.seed,
            "day": plan.day,
            "network": f"127.{64 + pid % 128}",
            "port": 10_000 + pid % 10_000 if plan.balance else 0,
            "group_port": 20_000 + pid % 10_000,
            "public_key": key.public.pem().decode(),
            "loss": plan.loss,
            "crash": plan.crash,
            "prosumers": plan.prosumers,
            "tick": plan.tick,
        }
        if plan.prosumers:
            common |= self._energy_keys(self._folder.name)
        if self._balance is not None:
            prepare(self._balance, Path(self._folder.name), key)
            common |= {"balance": True, "flexible": plan.flexible, "round": plan.round, "folder": self._folder.name}
            common["overstate"] = plan.overstate
        total = population.counts().total
        self._progress(f"starting {total} devices")
        top = Assignment(
            **common, key_file=str(key_file), user=USER, password_hash=str(PasswordHash.of(self._password))
        )
        self._workers.append(await CityProcess.start(top))
        await self._top.opened()
        seed = (await self._top.ask("addresses"))["InformationSystem"] + "/Peers"
        processes = max(1, min(plan.processes, len(population.substations)))
        for number in range(processes):
            areas = tuple(range(number, len(population.substations), processes))
            self._workers.append(await CityProcess.start(Assignment(**common, areas=areas, seed_address=seed)))
        for worker in self._workers[1:]:
            await worker.opened()
        await self._enrolled()

    async def _enrolled(self) -> None:
        """Until everybody stands in the books of everybody above. Raises CityError when that takes too long."""
        total = self._population.counts().total
        deadline = time.monotonic() + ENROL_LIMIT
        while (known := await self._top.ask("known")) != total - 1 or not await self._are_told():
            self._progress(f"discovered and enrolled: {known + 1} of {total}")
            if time.monotonic() > deadline:
                raise CityError(f"only {known + 1} of {total} devices enrolled within {ENROL_LIMIT:g} s")
            await asyncio.sleep(0.1)

    def _energy_keys(self, folder: str) -> dict[str, Any]:
        keys = [PrivateKey.generate() for _ in range(self._plan.prosumers)]
        for node, key in enumerate(keys):
            key.save(key_file(folder, node))
        PrivateKey.generate().save(key_file(folder))
        public = tuple(key.public.raw.hex() for key in keys)
        return {"fanout": self._plan.fanout, "energy_folder": folder, "energy_keys": public}

    async def _are_told(self) -> bool:
        """One that registered twice, since the first did not answer in time, is known twice until it has left that one.
        While somebody registers anew, the sum above may be right by chance."""
        return all([await worker.ask("told") for worker in self._workers[1:]])

    async def _push(self, operator: LegacyClient, top: str) -> PushReport:
        self._progress("pushing a tariff")
        total = self._population.counts().total - len(self._fate.crashed) - len(self._fate.unreachable)
        before = await self._counters()
        started = time.monotonic()
        await asyncio.to_thread(operator.push, f"{top}/Tariff", self._tariff_id, 1, PRICES)
        while (reached := len(await self._accepted())) < total and time.monotonic() < started + PUSH_LIMIT:
            self._progress(f"tariff held by {reached} of {total}")
            await asyncio.sleep(0.05)
        await asyncio.sleep(SETTLE)
        times = [at - started for at in await self._accepted()]
        after = await self._counters()
        return PushReport(
            live=total,
            reached=len(times),
            seconds_half=round(times[(total - 1) // 2], 4) if len(times) > (total - 1) // 2 else None,
            seconds_all=round(times[-1], 4) if len(times) == total else None,
            envelopes=after["sent"] - before["sent"],
            duplicates=after["duplicate"] - before["duplicate"],
        )

    async def _pull(self, operator: LegacyClient, top: str) -> PullReport:
        self._progress("pulling the demand")
        started = time.monotonic()
        pulled: Pulled = await asyncio.to_thread(operator.pull, f"{top}/Metering", self._plan.day)
        seconds = time.monotonic() - started
        own: dict[int, tuple[list[int] | None, list[int]]] = {}
        if pulled.id:
            for worker in self._workers:
                said = await worker.ask(f"contributed {pulled.id.hex()}")
                own |= {int(number): (value, children) for number, (value, children) in said.items()}
        values = contributions(own).values()
        truth = [sum(value[period] for value in values) for period in range(len(PERIODS))]
        tally = pulled.tally
        return PullReport(
            PERIODS,
            pulled.energy,
            truth,
            tally.contributors,
            tally.expected,
            tally.missing,
            tally.failed,
            tally.uncertain,
            tally.late,
            len(values),
            round(seconds, 4),
        )

    async def _ask_all(self, command: str) -> list[Any]:
        return list(await asyncio.gather(*(worker.ask(command) for worker in self._workers)))

    async def _restart_last(self, *commands: str) -> None:
        """The last process dies at once, and comes up again; then it is told commands."""
        await self._workers[-1].kill()
        again = await CityProcess.start(self._workers[-1].assignment)
        self._workers[-1] = again
        await again.opened()
        for command in commands:
            await again.ask(command)

    async def _kill_top(self) -> None:
        """The information system dies: its process, at once."""
        await self._workers.pop(0).kill()

    async def _accepted(self) -> list[float]:
        times: list[float] = []
        for worker in self._workers:
            times += await worker.ask("accepted")
        return sorted(times)

    async def _counters(self) -> dict[str, int]:
        total = {"sent": 0, "duplicate": 0}
        for worker in self._workers:
            counters = await worker.ask("counters")
            for name in total:
                total[name] += counters.get(name, 0)
        return total
