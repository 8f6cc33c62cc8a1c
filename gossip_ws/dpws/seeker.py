"""The client side of WS-Discovery: probes, resolves, follows Hello and Bye, and knows what is stale.

Where a discovery proxy answers, it is asked instead of the group, until it says Bye or is silent for DP_MAX_TIMEOUT.
Knows no peer, role or parent: what a found device is good for is for others to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from gossip_ws.dpws.config import DiscoveryConfig
from gossip_ws.dpws.effects import Effect, Found, Lost, Multicast, ProbeEnded, Unicast
from gossip_ws.dpws.known import Known, Record
from gossip_ws.dpws.matching import Criteria, Subject
from gossip_ws.dpws.messages import (
    AppSequence,
    Bye,
    Generation,
    Hello,
    Message,
    Probe,
    ProbeMatches,
    Request,
    Resolve,
    ResolveMatches,
    Target,
    fresh_id,
)
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, SetTimer
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DISCOVERY_PROXY, DeviceId, QName

Opened = TypeVar("Opened", bound="_Open")


@dataclass(frozen=True, slots=True)
class ProbeOver:
    """Stale when that Probe is no longer open."""

    message_id: str


@dataclass(frozen=True, slots=True)
class ResolveOver:
    """Stale when that Resolve is no longer open."""

    message_id: str


@dataclass(frozen=True, slots=True)
class ProxySilent:
    """Stale when the proxy has answered that request, or is no more."""

    message_id: str


Timer = ProbeOver | ResolveOver | ProxySilent


@dataclass(slots=True, kw_only=True)
class _Open:
    """A request that answers are taken for. `at_proxy`: the id under which a proxy was asked, empty when none was;
    `awaited`: it has not answered. `cried`: the group was asked."""

    request: Request
    until: float
    at_proxy: str = ""
    awaited: bool = False
    cried: bool = False


@dataclass(slots=True, kw_only=True)
class _OpenProbe(_Open):
    criteria: Criteria
    answered: dict[DeviceId, None] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class _OpenResolve(_Open):
    device: DeviceId


@dataclass(frozen=True, slots=True)
class _Proxy:
    device: DeviceId
    address: Address


class Seeker:
    """Finds devices. `types` and `scopes` say whose Hello is of interest, by the rule of Probes; nothing given
    means everybody's. Messages about `own` are ignored: multicast comes back to its sender. `proxy`: the address of a
    discovery proxy it was told of, always asked first.

    The memory is bounded by `config.known`. To forget a device because of that is not to lose it: no effect
    says so, and its next message makes it known again.
    """

    __slots__ = (
        "_config",
        "_dice",
        "_interest",
        "_known",
        "_own",
        "_probes",
        "_proxy",
        "_resolves",
        "_told",
        "scopes",
        "types",
    )

    def __init__(
        self,
        *,
        dice: Dice,
        own: DeviceId | None = None,
        types: tuple[QName, ...] = (),
        scopes: tuple[str, ...] = (),
        config: DiscoveryConfig | None = None,
        proxy: Address | None = None,
    ) -> None:
        self.types = types
        self.scopes = scopes
        self._interest = Criteria.of(types, scopes)
        self._config = config or DiscoveryConfig()
        self._dice = dice
        self._own = own
        self._known = Known(self._config)
        # By each id under which it was asked.
        self._probes: dict[str, _OpenProbe] = {}
        self._resolves: dict[str, _OpenResolve] = {}
        self._told = proxy
        self._proxy: _Proxy | None = None

    @property
    def devices(self) -> tuple[Target, ...]:
        """Those that are here and whose addresses are known, the longest unheard of first."""
        return tuple(record.target for record in self._known.here() if record.target.xaddrs)

    def knows(self, device: DeviceId) -> bool:
        """Is anything held of that device, or is it the proxy in use?"""
        return device in self._known or (self._proxy is not None and self._proxy.device == device)

    @property
    def proxy(self) -> Address | None:
        """The discovery proxy that is asked instead of the group."""
        return self._proxy.address if self._proxy is not None else self._told

    @property
    def records(self) -> Iterable[Record]:
        """Of those that are here, the longest unheard of first."""
        return self._known.here()

    def record(self, device: DeviceId) -> Record | None:
        """What is held of a device that is here."""
        return self._known.get(device)

    def forget(self, device: DeviceId) -> None:
        """As if it had never been heard of; an unknown device is no error."""
        self._known.forget(device)

    def probe(
        self,
        now: Instant,
        *,
        types: tuple[QName, ...] = (),
        scopes: tuple[str, ...] = (),
        match_by: str = "",
        to: Address | None = None,
        generation: Generation = Generation.OASIS,
    ) -> list[Effect]:
        """Ask who is there; answers are taken for MATCH_TIMEOUT, then ProbeEnded says who did. With `to`, only that
        address is asked. Raises LocalError for a matching rule that is not ours, or when too many are open."""
        wanted = Criteria.of(types, scopes, match_by)
        if wanted is None:
            raise LocalError(f"no such matching rule here: {match_by}")
        if len(set(map(id, self._probes.values()))) >= self._config.probes:
            raise LocalError(f"{self._config.probes} Probes are open, which is the limit")
        probe = Probe(fresh_id(self._dice), types, scopes, match_by, generation=generation)
        opened = _OpenProbe(request=probe, until=now.monotonic + self._config.match_timeout, criteria=wanted)
        self._probes[probe.message_id] = opened
        asking: list[Effect] = self._ask(opened) if to is None else [Unicast(probe, to)]
        return [*asking, SetTimer(ProbeOver(probe.message_id), self._config.match_timeout)]

    def resolve(self, device: DeviceId, generation: Generation, now: Instant) -> list[Effect]:
        """Ask where a device is; Found says so when it answers within MATCH_TIMEOUT."""
        if any(resolve.device == device for resolve in self._resolves.values()):
            return [Dropped("being resolved")]
        if len(set(map(id, self._resolves.values()))) >= self._config.resolves:
            return [Dropped("too many Resolves open")]
        resolve = Resolve(device, fresh_id(self._dice), generation=generation)
        opened = _OpenResolve(request=resolve, until=now.monotonic + self._config.match_timeout, device=device)
        self._resolves[resolve.message_id] = opened
        return [*self._ask(opened), SetTimer(ResolveOver(resolve.message_id), self._config.match_timeout)]

    def receive(self, message: Message, source: Address, now: Instant) -> list[Effect]:
        """A message, however it came. `source` is not believed in: addresses are those the device names."""
        match message:
            case Hello(target=target):
                if message.relates_to:
                    return self._suppressed(message, source)
                if not self.knows(target.device) and not self.interested(target):
                    return [Dropped("not of interest")]
                return self._news(target, message.app, message.generation, now)
            case Bye():
                return self._bye(message, now)
            case ProbeMatches():
                return self._matches(message, now)
            case ResolveMatches():
                return self._resolved(message, now)
            case _:
                return [Dropped("not for a seeker")]

    def timer(self, timer: Timer, now: Instant) -> list[Effect]:
        """One of our own timers came back."""
        match timer:
            case ProbeOver(message_id=message_id):
                probe = self._probes.get(message_id)
                if probe is None:
                    return [Dropped("stale timer")]
                self._close(self._probes, probe)
                records = (self._known.get(device) for device in probe.answered)
                found = tuple(held.target for held in records if held and held.target.xaddrs)
                return [ProbeEnded(message_id, found)]
            case ResolveOver(message_id=message_id):
                resolve = self._resolves.get(message_id)
                if resolve is None:
                    return [Dropped("stale timer")]
                self._close(self._resolves, resolve)
                return [Dropped("not resolved")]
            case ProxySilent(message_id=message_id):
                waiting = self._probes.get(message_id) or self._resolves.get(message_id)
                if waiting is None or not waiting.awaited or waiting.at_proxy != message_id:
                    return [Dropped("stale timer")]
                return self._lose_proxy()

    def interested(self, target: Target) -> bool:
        """Does it, as far as it says, have what this seeker was made to look for?"""
        return self._interest is not None and self._interest.met_by(Subject.of(target))

    def _matches(self, message: ProbeMatches, now: Instant) -> list[Effect]:
        probe = self._probes.get(message.relates_to)
        if probe is None or now.monotonic > probe.until:
            return [Dropped("match of no open Probe")]
        # The sequence of a proxy says nothing of the devices; several matches are a proxy's whoever was asked.
        from_proxy = self._answered(probe, message.relates_to)
        app = message.app if len(message.matches) == 1 and not from_proxy else None
        effects: list[Effect] = []
        for target in message.matches:
            if not _may_meet(probe.criteria, target):
                effects.append(Dropped("match that does not match"))
                continue
            effects += self._news(target, app, message.generation, now)
            if self._known.get(target.device) is not None and len(probe.answered) < self._config.known:
                probe.answered[target.device] = None
        return effects

    def _resolved(self, message: ResolveMatches, now: Instant) -> list[Effect]:
        resolve = self._resolves.get(message.relates_to)
        if resolve is None or now.monotonic > resolve.until:
            return [Dropped("match of no open Resolve")]
        target = message.match
        from_proxy = self._answered(resolve, message.relates_to)
        if target is None or target.device != resolve.device or not target.xaddrs:
            return [Dropped("resolves nothing")]
        self._close(self._resolves, resolve)
        return self._news(target, None if from_proxy else message.app, message.generation, now)

    def _bye(self, message: Bye, now: Instant) -> list[Effect]:
        if self._proxy is not None and message.device == self._proxy.device:
            # Whoever forges this only sends us back to asking the group.
            return self._lose_proxy()
        if self._known.get(message.device) is None:
            return [Dropped("not known")]
        if not self._known.left(message.device, message.app, message.metadata_version, now):
            return [Dropped("stale")]
        return [Lost(message.device)]

    def _news(self, target: Target, app: AppSequence | None, generation: Generation, now: Instant) -> list[Effect]:
        if target.device == self._own:
            return [Dropped("own")]
        held = self._known.heard(target, app, now)
        if held is None:
            return [Dropped("stale")]
        return [Found(held, generation)] if held.xaddrs else self.resolve(held.device, generation, now)

    # -- the discovery proxy (WS-Discovery 1.1 section 2.2.2) --------------------------------------

    def _ask(self, opened: _Open) -> list[Effect]:
        """The proxy where there is one, else the group."""
        if self.proxy is not None:
            return self._ask_proxy(opened, self.proxy)
        opened.cried = True
        return [Multicast(opened.request)]

    def _ask_proxy(self, opened: _Open, proxy: Address) -> list[Effect]:
        # Under an id of its own: what relates to it is the proxy's answer.
        request = replace(opened.request, message_id=fresh_id(self._dice))
        opened.at_proxy, opened.awaited = request.message_id, True
        if isinstance(opened, _OpenProbe):
            self._probes[request.message_id] = opened
        elif isinstance(opened, _OpenResolve):
            self._resolves[request.message_id] = opened
        silent = SetTimer(ProxySilent(request.message_id), self._config.dp_max_timeout)
        return [Unicast(request, proxy), silent]

    def _suppressed(self, hello: Hello, source: Address) -> list[Effect]:
        """A proxy asks not to multicast: only to who knows the id of an open request of ours is listened."""
        opened = self._probes.get(hello.relates_to) or self._resolves.get(hello.relates_to)
        if opened is None or DISCOVERY_PROXY not in hello.target.types:
            return [Dropped("suppresses nothing")]
        if opened.at_proxy:
            # Asked already, or another proxy was first.
            return [Dropped("own proxy in use")]
        if self._proxy is None:
            self._proxy = _Proxy(hello.target.device, next(iter(hello.target.http), source))
        elif self._proxy.device != hello.target.device:
            return [Dropped("own proxy in use")]
        return self._ask_proxy(opened, self._proxy.address)

    def _answered(self, opened: _Open, message_id: str) -> bool:
        """Is it the proxy that answers?"""
        if message_id != opened.at_proxy:
            return False
        opened.awaited = False
        return True

    def _lose_proxy(self) -> list[Effect]:
        """Back to the group, with all that the proxy has not answered."""
        self._proxy = None
        effects: list[Effect] = []
        for opened in (*self._probes.values(), *self._resolves.values()):
            if opened.awaited:
                opened.awaited = False
                if not opened.cried:
                    opened.cried = True
                    effects.append(Multicast(opened.request))
        return effects

    def _close(self, held: dict[str, Opened], opened: Opened) -> None:
        held.pop(opened.request.message_id, None)
        held.pop(opened.at_proxy, None)


def _may_meet(wanted: Criteria, target: Target) -> bool:
    """Types and scopes are optional in a match: only what is given can speak against it."""
    subject = Subject.of(target)
    types_only = Criteria(wanted.types)
    scopes_only = replace(wanted, types=frozenset())
    return (not target.types or types_only.met_by(subject)) and (not target.scopes or scopes_only.met_by(subject))
