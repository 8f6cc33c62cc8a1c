"""A discovery proxy (WS-Discovery 1.1): knows who is on a segment, answers for all of them, and quiets the group.

A function of its inputs, like the rest of this room. It stores nothing: after a restart it asks the group, and is told
again by those that know its address.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from gossip_ws.dpws.config import DiscoveryConfig
from gossip_ws.dpws.discovery import HelloDue, MatchDue, RefreshDue, TargetService, judged, octets
from gossip_ws.dpws.duplicates import RecentIds
from gossip_ws.dpws.effects import Check, Effect, Lost, Unicast
from gossip_ws.dpws.known import Record
from gossip_ws.dpws.messages import (
    MAX_MATCHES,
    Bye,
    Hello,
    Message,
    Probe,
    ProbeMatches,
    Request,
    Resolve,
    ResolveMatches,
    Target,
    host_of,
)
from gossip_ws.dpws.seeker import ProbeOver, ProxySilent, ResolveOver, Seeker
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.allowance import Allowance
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import ANONYMOUS, DISCOVERY_PROXY, DeviceId

MAX_ANSWER: Final = 29_000
"""Octets of the matches of one answer, with `_MATCH` for the elements around each: what an envelope of
MAX_ENVELOPE_SIZE (32,767) has room for."""
_MATCH: Final = 450


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """Times are seconds."""

    registered: int = 4_096
    """Devices that are held; those that left are forgotten first, then those unheard of for longest. Choose twice the
    devices of the segment: what strangers make up takes places."""
    per_host: int = 256
    """Devices of one host, once half of the places are taken; as many that name no address yet."""
    suppressions: int = 64
    """Hellos a second that answer multicast requests. A request's source may be forged, so this caps what it draws."""
    check_after: float = 150.0
    """A device unheard of for so long is asked whether it is there. More than `DiscoveryConfig.refresh`."""
    sweep: float = 15.0
    """How often it is looked who that is."""
    checks: int = 16
    """Devices asked at a time."""
    misses: int = 2
    """Checks without an answer after which a device has left; one of several addresses is asked at each of them."""
    lease: float = 600.0
    """A device without an HTTP address cannot be asked: it is held for so long after it was heard of."""

    def __post_init__(self) -> None:
        if min(self.registered, self.per_host, self.suppressions, self.checks, self.misses) < 1:
            raise LocalError("every bound of a discovery proxy is at least 1")
        if min(self.check_after, self.sweep, self.lease) <= 0:
            raise LocalError("every time of a discovery proxy is more than 0")


@dataclass(frozen=True, slots=True)
class SweepDue:
    """Stale when the proxy was stopped since."""

    life: int


Timer = HelloDue | MatchDue | RefreshDue | ProbeOver | ResolveOver | ProxySilent | SweepDue


class DiscoveryProxy:
    """One proxy. `target` says what it tells of itself: its types hold wsd:DiscoveryProxy, its first HTTP address is
    where it is asked. `instance_id` as of a TargetService, `discovery` as of one and of a Seeker.

    An entry is taken only from a host that the entry itself names, so nobody registers somebody else, and one that is
    held is changed only from a host that it names: a device that has moved is taken once its old address is silent.
    """

    def __init__(
        self,
        target: Target,
        *,
        instance_id: int,
        dice: Dice,
        config: ProxyConfig | None = None,
        discovery: DiscoveryConfig | None = None,
    ) -> None:
        if DISCOVERY_PROXY not in target.types:
            raise LocalError(f"a discovery proxy has the type {DISCOVERY_PROXY}")
        self.config = config or ProxyConfig()
        discovery = discovery or DiscoveryConfig()
        self.service = TargetService(target, instance_id=instance_id, dice=dice, config=discovery)
        known = replace(discovery, known=self.config.registered)
        self.seeker = Seeker(dice=dice, own=target.device, config=known)
        self._dice = dice
        self._recent = RecentIds(discovery.remembered)
        self._life = 0
        self._misses: dict[DeviceId, int] = {}
        self._checking: set[DeviceId] = set()
        self._moving: dict[DeviceId, tuple[Hello, Address]] = {}
        self._suppressions = Allowance(self.config.suppressions, self.config.suppressions)

    def start(self, now: Instant) -> list[Effect]:
        """Join, and ask who is there. Raises LocalError when started."""
        joined = self.service.start()
        self._life += 1
        return [*joined, *self.seeker.probe(now), SetTimer(SweepDue(self._life), self.config.sweep)]

    def moved(self, xaddrs: tuple[str, ...], now: Instant) -> list[Effect]:
        """It is asked at these addresses from now on. Who is there is asked again: its links may be others."""
        try:
            asking = self.seeker.probe(now)
        except LocalError:
            # Addresses that come and go within seconds: what is asked already is as good.
            asking = [Dropped("too many Probes open")]
        return [*self.service.metadata_changed(xaddrs=xaddrs), *asking]

    def stop(self) -> list[Effect]:
        """Leave: Bye sends the clients back to the group."""
        self._life += 1
        return self.service.stop()

    @property
    def registered(self) -> tuple[Target, ...]:
        """Who is held, the longest unheard of first."""
        return tuple(record.target for record in self.seeker.records)

    def receive(self, message: Message, source: Address, now: Instant) -> list[Effect]:
        """A multicast message. Who asks the group is asked to ask here instead; who asks for a proxy is answered."""
        if not isinstance(message, Probe | Resolve):
            return self.hear(message, source, now)
        asks_for_proxy = (
            DISCOVERY_PROXY in message.types if isinstance(message, Probe) else message.device == self.service.device
        )
        if asks_for_proxy:
            return self.service.receive(message, source, now)
        if not self._recent.first_time(message.message_id):
            return [Dropped("duplicate")]
        if message.reply_to not in ("", ANONYMOUS):
            return [Dropped("reply address not anonymous")]
        return self._suppress(message, source, now)

    def hear(self, message: Message, source: Address, now: Instant) -> list[Effect]:
        """Whatever is no request, however it came: news of devices, and answers to what was asked here."""
        if isinstance(message, Hello):
            # Another proxy's suppression of our own Probe: that it is here is all that is heard of it.
            message = replace(message, relates_to="")
        match message:
            case Hello(target=target):
                named: tuple[Target, ...] = (target,)
            case ProbeMatches(matches=matches):
                named = matches
            case ResolveMatches(match=Target() as target):
                named = (target,)
            case Bye(device=device):
                held = self.seeker.record(device)
                named = (held.target,) if held is not None else ()
            case _:
                named = ()
        if not all(_names(target, source) for target in named):
            return [Dropped("not from an address that it names")]
        for target in named:
            held = self.seeker.record(target.device)
            if held is not None and not _names(held.target, source):
                asking = self._check(held)
                if isinstance(message, Hello) and target.device in self._checking:
                    # The last word of who may have moved; as many wait as are asked at a time.
                    self._moving[target.device] = (message, source)
                return [Dropped("held at another address"), *asking]
            if held is None and not target.xaddrs:
                self._make_room()
            elif held is None and self._is_crowded(source):
                return [Dropped("too many devices of one host")]
        return self.seeker.receive(message, source, now)

    def answer(self, request: Request, now: Instant) -> ProbeMatches | ResolveMatches:
        """A request sent here alone: answered for all, at once; with no match when nobody matches. Of more matches than
        one answer holds it names some, by lot: asked again it names others. Raises RemoteError as
        `TargetService.directed` does."""
        wanted, own = judged(request), self.service
        if isinstance(request, Resolve):
            held = self.seeker.record(request.device)
            if request.device == own.device:
                return own.reply(request, (own.target,))
            return own.reply(request, (held.target,) if held is not None and held.target.xaddrs else ())
        held_here = (record for record in self.seeker.records if record.target.xaddrs)
        matching = [record.target for record in held_here if wanted.met_by(record.subject)]
        if wanted.met_by(own.subject):
            matching.append(own.target)
        return own.reply(request, self._as_many_as_fit(matching))

    def asked(self, request: Request, source: Address, now: Instant) -> list[Effect]:
        """`answer` by a datagram: one for all its copies, so many a second, and of a datagram's size or not sent at
        all."""
        dropped = self.service.not_answered(request, now)
        return [dropped] if dropped is not None else [Unicast(self.answer(request, now), source)]

    def checked(self, device: DeviceId, alive: bool, now: Instant) -> list[Effect]:
        """What came of a Check."""
        self._checking.discard(device)
        record = self.seeker.record(device)
        if record is not None and not alive:
            self._misses[device] = self._misses.get(device, 0) + 1
            if self._misses[device] < max(self.config.misses, len(record.target.http)):
                return self._check(record)
        moving = self._moving.pop(device, None)
        self._misses.pop(device, None)
        if record is None:
            return [Dropped("left meanwhile")]
        if alive:
            record.heard = now.monotonic
            return []
        return [*self._forget(device), *(self.hear(*moving, now) if moving is not None else ())]

    def timer(self, timer: Timer, now: Instant) -> list[Effect]:
        """One of our own timers came back."""
        match timer:
            case HelloDue() | MatchDue() | RefreshDue():
                return self.service.timer(timer, now)
            case SweepDue(life=life):
                return self._sweep(now) if life == self._life else [Dropped("stale timer")]
            case _:
                return self.seeker.timer(timer, now)

    def _is_crowded(self, source: Address) -> bool:
        held = tuple(self.seeker.records)
        if 2 * len(held) < self.config.registered:
            return False
        # One that names no address yet is at no host: it counts against nobody's.
        at_host = (record for record in held if record.target.xaddrs and _names(record.target, source))
        return sum(1 for _ in at_host) >= self.config.per_host

    def _make_room(self) -> None:
        """Those without addresses share one host's places: anybody can make them up. A new one takes the place of the
        longest unheard of, as it is only held until it is resolved."""
        held = tuple(self.seeker.records)
        if 2 * len(held) >= self.config.registered:
            nowhere = [record.target.device for record in held if not record.target.xaddrs]
            for device in nowhere[: max(len(nowhere) - self.config.per_host + 1, 0)]:
                self.seeker.forget(device)

    def _suppress(self, request: Request, source: Address, now: Instant) -> list[Effect]:
        if self._suppressions.is_spent(now.monotonic):
            return [Dropped("too many requests to suppress")]
        self._suppressions.spend()
        return [Unicast(self.service.hello_to(request), source)]

    def _as_many_as_fit(self, targets: list[Target]) -> tuple[Target, ...]:
        if len(targets) <= MAX_MATCHES and sum(octets(one) + _MATCH for one in targets) <= MAX_ANSWER:
            return tuple(targets)
        found: list[Target] = []
        room = MAX_ANSWER
        for target in self._dice.sample(targets, min(len(targets), MAX_MATCHES)):
            room -= octets(target) + _MATCH
            if room < 0:
                break
            found.append(target)
        return tuple(found)

    def _sweep(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for record in tuple(self.seeker.records):
            unheard = now.monotonic - record.heard
            if not record.target.http:
                if unheard > self.config.lease:
                    effects += self._forget(record.target.device)
            elif unheard > self.config.check_after:
                effects += self._check(record)
        self._misses = {device: misses for device, misses in self._misses.items() if self.seeker.record(device)}
        return [*effects, SetTimer(SweepDue(self._life), self.config.sweep)]

    def _check(self, record: Record) -> list[Effect]:
        device, addresses = record.target.device, record.target.http
        if not addresses or device in self._checking or len(self._checking) >= self.config.checks:
            return []
        self._checking.add(device)
        return [Check(device, addresses[self._misses.get(device, 0) % len(addresses)])]

    def _forget(self, device: DeviceId) -> list[Effect]:
        self.seeker.forget(device)
        self._misses.pop(device, None)
        return [Lost(device)]


def _names(target: Target, source: Address) -> bool:
    """Is `source` one of the hosts that the target says it is at? One that says nothing yet has to be resolved."""
    host = source.host.partition("%")[0].lower()
    return not target.xaddrs or any(host_of(uri) == host for uri in target.xaddrs)
