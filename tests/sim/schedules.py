"""Random schedules of pushes, pulls and faults, and what must hold whatever happens.

A schedule is drawn from one source of chance, which may be hypothesis' own, and then runs in a World of its
own. `run` returns what did not hold, empty when all did.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

from swarms import grid

from gossip_ws.core.account import Lack
from gossip_ws.core.detector import HELPED, LOOKS, OVER
from gossip_ws.core.effects import Answer, Input
from gossip_ws.core.introductions import INTRODUCTIONS
from gossip_ws.core.membership import LOST
from gossip_ws.core.messages import Tally
from gossip_ws.core.peers import Role
from gossip_ws.core.repair import ADVERTISERS, WANTED
from gossip_ws.core.replies import Replies
from gossip_ws.core.request import MAX_COVER
from gossip_ws.core.views import ACTIVE, PASSIVE
from gossip_ws.kernel.errors import Fault, RemoteError
from gossip_ws.kernel.names import GossipId
from gossip_ws.kernel.terms import ALL, Filter, Variant, Wanted
from gossip_ws.sim.device import SimDevice
from gossip_ws.sim.numbers import NOTIFY, READ, READ_REQUEST, NumberService, notify_request, read_response
from gossip_ws.sim.swarm import swarm
from gossip_ws.sim.world import Weather, World

TIMEOUT = 5.0
"""Seconds for which a pull waits."""
QUIET = 150.0
"""Seconds after the last fault by which all must have what any of them holds. A device that was cut off tries to
enrol again after up to 30 s, its parent then knows it; a digest every `pull_period` and loss do the rest."""
STORM = 12.0
"""Seconds over which the acts of a schedule are spread."""
PART = 600
"""Octets of a part: two or three replies, so that every list of some length climbs in parts."""
TIGHT = {"store_limit": 3, "query_limit": 2, "seen_limit": 6}
"""Limits that a schedule runs into at once."""


class Ledger(NumberService):
    """Remembers how often it was given which message, and in which order. One per boot."""

    def __init__(self, value: int, policy=None) -> None:
        super().__init__(value, policy)
        self.heard: Counter[bytes] = Counter()
        self.in_order: list[bytes] = []

    def invoke(self, invocation, done) -> None:
        if invocation.operation.action == NOTIFY:
            self.heard[bytes(invocation.envelope)] += 1
            self.in_order.append(bytes(invocation.envelope))
        super().invoke(invocation, done)


@dataclass(frozen=True)
class Act:
    """What befalls one device, `at` seconds after the start. `kind`: push, replace, pull, crash, restart, cut, heal.
    A replace is a push that supersedes the replaces before it. A cut leaves the devices whose bit is set in `mask` on
    one side."""

    at: float
    kind: str
    device: int = 0
    variant: Variant = Variant.EAGER_PUSH
    mask: int = 0
    filter: str = "sum"
    """Of a pull: the sum, or every single reply."""


@dataclass(frozen=True)
class Schedule:
    """One story. `shape`: (devices,) of a swarm, or (substations, meters of each, appliances of each) of a grid."""

    seed: int
    shape: tuple[int, ...]
    weather: Weather
    acts: tuple[Act, ...]
    tight: bool

    @property
    def size(self) -> int:
        if len(self.shape) == 1:
            return self.shape[0]
        substations, meters, appliances = self.shape
        return 1 + substations * (1 + meters * (1 + appliances))


def draw(dice: Random) -> Schedule:
    """Five to forty devices, up to eight messages and as many faults."""
    if dice.random() < 0.5:
        shape: tuple[int, ...] = (dice.randint(5, 40),)
    else:
        shape = dice.choice([(1, 2, 1), (1, 4, 0), (2, 2, 1), (2, 3, 2), (3, 2, 2), (3, 4, 1), (2, 5, 2), (4, 4, 1)])
    weather = Weather(
        loss=dice.choice([0.0, 0.1, 0.3]),
        twice=dice.choice([0.0, 0.2]),
        held=dice.choice([0.0, 0.2]),
        hold=dice.choice([0.3, 2.0]),
    )
    schedule = Schedule(dice.getrandbits(32), shape, weather, (), dice.random() < 0.15)
    size = schedule.size

    def when() -> float:
        return dice.randint(0, int(STORM * 100)) / 100

    def whom() -> int:
        return dice.randint(0, size - 1)

    acts = [Act(when(), "push", whom(), dice.choice(list(Variant))) for _ in range(dice.randint(0, 4))]
    # Never two in one instant: the same request of one asker at one time is one message, and refused as a duplicate.
    acts += [
        Act(when() + k / 1000, "pull", whom() if dice.random() < 0.5 else 0, filter=dice.choice(["sum", ALL]))
        for k in range(dice.randint(0, 4))
    ]
    for _ in range(dice.randint(0, 4)):
        device, at = whom(), when()
        acts.append(Act(at, "crash", device))
        if dice.random() < 0.6:
            acts.append(Act(at + dice.randint(1, 400) / 100, "restart", device))
    if dice.random() < 0.5:
        at = when()
        acts.append(Act(at, "cut", mask=dice.getrandbits(size)))
        acts.append(Act(at + dice.randint(10, 800) / 100, "heal"))
    replaces = dice.randint(1, 4) if dice.random() < 0.4 else 0
    acts += [Act(when() + k / 1000, "replace", whom(), dice.choice(list(Variant))) for k in range(replaces)]
    return replace(schedule, acts=tuple(sorted(acts, key=lambda act: act.at)))


def run(schedule: Schedule) -> list[str]:
    """What did not hold."""
    return _Story(schedule).told()


@dataclass
class _Boot:
    """One device from one start to its crash."""

    device: SimDevice
    service: Ledger


@dataclass
class _Story:
    schedule: Schedule
    wrong: list[str] = field(default_factory=list)

    def told(self) -> list[str]:
        schedule = self.schedule
        self.world = world = World(schedule.seed)
        settings = dict(
            max_part=PART, pull_period=2.0, lease=20.0, peers_max_age=20.0, **(TIGHT if schedule.tight else {})
        )
        if len(schedule.shape) == 1:
            devices, services = swarm(world, schedule.size, 4, 5, make=Ledger, **settings)
        else:
            devices, services = grid(world, *schedule.shape, make=Ledger, **settings)
        # A sum of distinct powers of two names those who are in it.
        for k, service in enumerate(services):
            service.value = 1 << k
        self.number = {device.config.device: k for k, device in enumerate(devices)}
        self.boots = [[_Boot(*pair)] for pair in zip(devices, services, strict=True)]
        self.pushed: list[bytes] = []
        self.replaced: list[bytes] = []
        world.weather = schedule.weather
        start = world.time
        for act in schedule.acts:
            world.run(until=start + act.at)
            self.do(act)
            self.bounds()
        world.heal()
        if schedule.tight:
            world.run(until=world.time + 20)
        else:
            self.everyone_has_it()
            self.in_force()
            world.run(until=world.time + 3)
            self.once_a_boot()
        self.bounds()
        if world.handler_errors:
            self.wrong.append(f"{world.handler_errors} messages raised through the loop")
        return self.wrong

    # -- acts ----------------------------------------------------------------------------------

    def do(self, act: Act) -> None:
        now = self.boots[act.device][-1]
        host, up = now.device.address.host, self.is_up(act.device)
        match act.kind:
            case "crash" if up:
                self.world.crash(host)
            case "restart" if not up:
                self.restart(act.device)
            case "cut":
                inside = [boots[0].device.address.host for k, boots in enumerate(self.boots) if act.mask >> k & 1]
                self.world.partition(inside)
            case "heal":
                self.world.heal()
            case "push" if up:
                self.push(now, act.variant)
            case "replace" if up:
                self.replace(now, act.variant)
            case "pull" if up:
                self.pull(act.device, act.filter)

    def is_up(self, number: int) -> bool:
        return self.world.is_up(self.boots[number][-1].device.address.host)

    def restart(self, number: int) -> None:
        old = self.boots[number][-1]
        service = Ledger(old.service.value)
        config = replace(old.device.config, incarnation=len(self.boots[number]))
        device = SimDevice(self.world, config, (service,))
        self.boots[number].append(_Boot(device, service))
        if len(self.schedule.shape) == 1:
            for boots in self.boots:
                if boots[-1].device is not device:
                    device.endpoint.peers.put(boots[-1].device.peer, 1e9, proven=True)

    def push(self, origin: _Boot, variant: Variant) -> None:
        self.pushed.append(notify_request(f"news {len(self.pushed)}"))
        origin.device.push(NOTIFY, self.pushed[-1], Wanted(variant=variant))

    def replace(self, origin: _Boot, variant: Variant) -> None:
        endpoint = origin.device.endpoint
        operation = endpoint.hosting.operation(NOTIFY)
        latest = replace(operation, policy=replace(operation.policy, latest=True))
        self.replaced.append(notify_request(f"in force {len(self.replaced)}"))
        endpoint.start(latest, self.replaced[-1], Wanted(variant=variant))

    def pull(self, number: int, chosen: str) -> None:
        device = self.boots[number][-1].device
        operation = device.endpoint.hosting.operation(READ)
        answered: list[GossipId] = []

        def waiting(answer: Answer) -> None:
            answered.append(answer.id)
            self.check_answer(number, answer.value, answer.id, answer.tally)

        try:
            wanted = Wanted(timeout=TIMEOUT, filter=Filter(name=chosen))
            device.endpoint.start(operation, READ_REQUEST, wanted, waiting)
        except RemoteError as error:
            if "Busy" not in error.fault.subcode or not self.schedule.tight:
                self.wrong.append(f"a pull was refused: {error}")
            return

        def overdue() -> None:
            if len(answered) != 1:
                self.wrong.append(f"{len(answered)} answers to one pull")

        # A crash of the asker takes this with it, as it takes the answer.
        self.world.call_later(TIMEOUT + 0.5, overdue, owner=device.address.host)

    # -- what must hold ------------------------------------------------------------------------

    def check_answer(self, root: int, value: bytes | Fault | Replies, id: GossipId, tally: Tally) -> None:
        parts = tally.contributors + tally.missing + tally.failed + tally.late + tally.uncertain
        if parts != tally.expected:
            self.wrong.append(f"the parts are {parts} of {tally}")
        self.check_names(root, id, tally)
        found = self.contributors(root, id)
        # m powers of two have a sum with m bits if and only if they are distinct: nobody is in it twice.
        if len(found) != len(set(found)):
            self.wrong.append(f"counted twice: {sorted(k for k, n in Counter(found).items() if n > 1)}")
        if len(found) != tally.contributors:
            self.wrong.append(f"{len(found)} contributed: {tally}")
        if isinstance(value, Fault):
            if found:
                self.wrong.append(f"a fault in place of {len(found)} values: {value}")
        elif isinstance(value, Replies):
            self.check_replies(value, found, tally)
        elif value != read_response(sum(1 << k for k in set(found))):
            self.wrong.append(f"not the sum over {sorted(found)}: {value!r}")

    def check_names(self, root: int, id: GossipId, tally: Tally) -> None:
        """Each once; none where everyone is counted, and none of the own children that is in the answer."""
        endpoint = self.boots[root][-1].device.endpoint
        told = endpoint.known(id).lacking
        names = [one.device for one in told]
        if len(names) != len(set(names)):
            self.wrong.append(f"named twice: {names}")
        blamed = [one for one in told if one.standing is Lack.MISSING]
        if blamed and tally.contributors == tally.expected:
            self.wrong.append(f"names and nobody is lacking: {told}")
        if set(endpoint.node.taken(id)[1]).intersection(one.device for one in blamed):
            self.wrong.append(f"taken and missing: {told}")

    def check_replies(self, replies: Replies, found: list[int], tally: Tally) -> None:
        """Those that contributed, each once, with its own reply as it gave it; a fault only of one that failed."""
        named = [self.number[reply.device] for reply in replies.singles]
        if len(named) != len(set(named)):
            self.wrong.append(f"replied twice: {sorted(k for k, n in Counter(named).items() if n > 1)}")
        values = {self.number[reply.device]: reply.value for reply in replies.singles if reply.fault is None}
        if values != {k: read_response(1 << k) for k in found}:
            self.wrong.append(f"not the replies of {sorted(found)}: {values}")
        if len(named) - len(values) > tally.failed:
            self.wrong.append(f"{len(named) - len(values)} faults among the replies: {tally}")

    def contributors(self, number: int, id: GossipId) -> list[int]:
        """By the nodes' own state: whose value was read and whose partial was taken, all the way down."""
        held = [
            request
            for boot in self.boots[number]
            if (request := boot.device.endpoint.node._requests._open.get(id)) is not None
        ]
        if len(held) != 1:
            self.wrong.append(f"device {number} joined one request in {len(held)} of its boots")
            return []
        (request,) = held
        found = [number] if isinstance(request.own, Input) else []
        for taken in request.taken.values():
            if taken.tally.contributors:
                found += self.contributors(self.number[taken.device], id)
        return found

    def everyone_has_it(self) -> None:
        """Of those between whom there is a path of live devices, all have what one has. Who went down with the
        only copy took it along."""
        groups = self.connected()

        def lacking() -> list[tuple[int, bytes]]:
            lacks = []
            for group in groups:
                newest = max((self.newest(k) for k in group), default=-1)
                lacks += [(k, self.replaced[newest]) for k in group if self.newest(k) < newest]
                for news in self.pushed:
                    without = [k for k in group if not self.heard(k)[news]]
                    if 0 < len(without) < len(group):
                        lacks += [(k, news) for k in without]
            return lacks

        deadline = self.world.time + QUIET
        while lacking() and self.world.time < deadline:
            self.world.run(until=self.world.time + 1)
        self.wrong += [f"device {k} lacks {news!r}" for k, news in lacking()[:4]]

    def in_force(self) -> None:
        """Nobody was given a message after one that supersedes it."""
        for number, boots in enumerate(self.boots):
            for boot in boots:
                given = self.given(boot)
                if given != sorted(given):
                    self.wrong.append(f"device {number} was given what was superseded: {given}")

    def newest(self, number: int) -> int:
        """Of the messages that supersede one another, which a device has; -1 for none."""
        return max(self.given(self.boots[number][-1]), default=-1)

    def given(self, boot: _Boot) -> list[int]:
        """Those messages by number, in the order in which they were delivered."""
        return [k for envelope in boot.service.in_order for k, body in enumerate(self.replaced) if body in envelope]

    def heard(self, number: int) -> Counter[bytes]:
        texts: Counter[bytes] = Counter()
        for envelope, times in self.boots[number][-1].service.heard.items():
            for news in self.pushed:
                if news in envelope:
                    texts[news] += times
        return texts

    def once_a_boot(self) -> None:
        for number, boots in enumerate(self.boots):
            for boot in boots:
                most = max(boot.service.heard.values(), default=0)
                if most > 1:
                    self.wrong.append(f"device {number} was given one message {most} times")

    def connected(self) -> list[list[int]]:
        """The live devices, by who reaches whom over live ones: all in a swarm, along the branches of a grid."""
        live = [k for k in range(len(self.boots)) if self.is_up(k)]
        if len(self.schedule.shape) == 1:
            return [live]
        by_scope = {self.boots[k][-1].device.config.scopes[0]: k for k in live}
        group = {}
        for k in live:  # Parents come before their children.
            config = self.boots[k][-1].device.config
            above = by_scope.get(config.scopes[0].rpartition("/")[0])
            top = config.role is Role.INFORMATION_SYSTEM or above is None
            group[k] = k if top else group[above]
        return [[k for k in live if group[k] == top] for top in sorted(set(group.values()))]

    def bounds(self) -> None:
        """Nothing that a node remembers is more than its limit."""
        for boots in self.boots:
            node, waiting = boots[-1].device.endpoint.node, boots[-1].device.endpoint._carrier._waiting
            config, served = node.config, node._push._served
            members = node.membership
            detector = members._detector
            wanted, requests = node._repair._wanted, node._requests
            held: list[tuple[str, int, int]] = [
                ("seen", len(node._seen), config.seen_limit),
                ("seen by expiry", len(node._seen._by_expiry), config.seen_limit),
                ("recent", len(node._recent), config.store_limit),
                ("in force", len(node._in_force), config.in_force_limit),
                ("served", len(served), config.store_limit),
                ("served to", max((len(one.waiting) for one in served.values()), default=0), len(self.boots)),
                ("wanted", len(wanted), WANTED),
                ("advertisers", max((len(one.holders) for one in wanted.values()), default=0), ADVERTISERS),
                ("requests", len(requests), config.query_limit),
                ("replies", max((one.inbox.octets for one in requests._open.values()), default=0), config.max_replies),
                ("asked", max((len(one.asked) for one in requests._open.values()), default=0), MAX_COVER),
                ("waiting", len(waiting), config.query_limit),
                ("challenges", len(node._registrar._challenges), config.peer_limit),
                ("pruned", len(node._overlay._pruned), ACTIVE),
                ("lost", len(members._lost), LOST),
                ("introductions", len(members._introductions), INTRODUCTIONS),
                ("looks", len(detector._looks), LOOKS),
                ("looks that are over", len(detector._over), OVER),
                ("helped", len(detector._helped), HELPED),
                ("heard", len(detector._heard), ACTIVE),
            ]
            for view in members.views:
                held += [("active", len(view.active), ACTIVE), ("passive", len(view.passive), PASSIVE)]
                held += [("courted", len(view._courted), ACTIVE + 1)]
            self.wrong += [f"{what}: {size} of {limit}" for what, size, limit in held if size > limit]
