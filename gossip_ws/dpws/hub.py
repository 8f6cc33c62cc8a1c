"""One multicast listener for many devices: a message is parsed once and goes only where it can matter.

Hundreds of devices in a process, each reading every Probe of every other, cost minutes. Here a Probe for one
substation's area touches that area's devices alone, and a Hello the seekers that look there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from gossip_ws.dpws.config import DiscoveryConfig
from gossip_ws.dpws.discovery import TargetService
from gossip_ws.dpws.duplicates import RecentIds
from gossip_ws.dpws.effects import Effect, For
from gossip_ws.dpws.matching import Criteria, criteria
from gossip_ws.dpws.messages import Bye, Hello, Message, Probe, Resolve, Target
from gossip_ws.dpws.seeker import Seeker
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.effects import Dropped
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId, QName
from gossip_ws.kernel.scopes import ScopePath, scope_path

K = TypeVar("K")
# Prefixes are looked up to this depth, the rest compared one by one: a scope of a thousand segments costs little.
_DEPTH = 32
_NOBODY: dict[DeviceId, None] = {}


class DiscoveryHub:
    """Target services and seekers behind one listener, by owner: a device's id, or a client's own.

    The hub recognises copies for all of them, so they spend no memory on it. `receive` returns effects with their
    owner; timers go back to the target service or the seeker itself, as do unicast answers and directed
    requests, which reach one device's own socket.
    """

    def __init__(self, config: DiscoveryConfig | None = None) -> None:
        self._recent = RecentIds((config or DiscoveryConfig()).remembered)
        self._services: dict[DeviceId, TargetService] = {}
        self._seekers: dict[DeviceId, Seeker] = {}
        self._by_type: _Index[QName] = _Index()
        self._by_scope: _Index[str] = _Index()
        self._by_prefix: _Index[ScopePath] = _Index()
        self._seeking_everywhere: dict[DeviceId, None] = {}
        self._seeking_below: _Index[ScopePath] = _Index()

    def add(self, service: TargetService) -> None:
        """Let a target service hear multicast. Raises LocalError when that device is there already."""
        device = service.device
        if device in self._services:
            raise LocalError(f"already behind this listener: {device}")
        self._services[device] = service
        self._enter(device, service)

    def follow(self, owner: DeviceId, seeker: Seeker) -> None:
        """Let a seeker hear Hello and Bye. Raises LocalError when the owner has one already."""
        if owner in self._seekers:
            raise LocalError(f"already seeking behind this listener: {owner}")
        self._seekers[owner] = seeker
        path = scope_path(seeker.scopes[0]) if seeker.scopes else None
        if path is None:
            self._seeking_everywhere[owner] = None
        else:
            # One scope narrows enough; the seeker itself looks at all of them.
            self._seeking_below.add(path[:_DEPTH], owner)

    def remove(self, owner: DeviceId) -> None:
        """Forget the owner's target service and seeker; unknown owners are no error."""
        service = self._services.pop(owner, None)
        if service is not None:
            self._leave(owner)
        if self._seekers.pop(owner, None) is not None:
            self._seeking_everywhere.pop(owner, None)
            self._seeking_below.discard(owner)

    def metadata_changed(
        self,
        device: DeviceId,
        *,
        types: tuple[QName, ...] | None = None,
        scopes: tuple[str, ...] | None = None,
        xaddrs: tuple[str, ...] | None = None,
    ) -> list[Effect]:
        """`TargetService.metadata_changed` for one that is behind this listener: by this way only, or Probes for what
        is new would pass it by. Raises LocalError, also for an unknown device."""
        service = self._services.get(device)
        if service is None:
            raise LocalError(f"not behind this listener: {device}")
        effects = service.metadata_changed(types=types, scopes=scopes, xaddrs=xaddrs)
        self._leave(device)
        self._enter(device, service)
        return effects

    def receive(self, message: Message, source: Address, now: Instant) -> list[For | Dropped]:
        """A multicast message, once for all. Those it cannot matter to are not asked."""
        if not self._recent.first_time(message.message_id):
            return [Dropped("duplicate")]
        match message:
            case Probe():
                wanted = criteria(message)
                if wanted is None:
                    return [Dropped("matching rule not supported")]
                return self._answer(self._matching(wanted), message, source, now)
            case Resolve():
                service = self._services.get(message.device)
                return self._answer([service] if service else [], message, source, now)
            case Hello():
                return self._tell(self._following(message.target), message, source, now)
            case Bye():
                knowing = [owner for owner, seeker in self._seekers.items() if seeker.knows(message.device)]
                return self._tell(knowing, message, source, now)
            case _:
                return [Dropped("an answer is not multicast")]

    def _answer(
        self, services: Iterable[TargetService], request: Probe | Resolve, source: Address, now: Instant
    ) -> list[For | Dropped]:
        return [For(one.device, effect) for one in services for effect in one.answer(request, source, now)]

    def _tell(
        self, owners: Iterable[DeviceId], message: Hello | Bye, source: Address, now: Instant
    ) -> list[For | Dropped]:
        return [
            For(owner, effect)
            for owner in owners
            for effect in self._seekers[owner].receive(message, source, now)
            if not isinstance(effect, Dropped)
        ]

    def _matching(self, wanted: Criteria) -> Iterator[TargetService]:
        """Those that meet the criteria, looked for among the rarest thing asked for."""
        holders = [self._by_type.get(name) for name in wanted.types]
        holders += [self._by_scope.get(scope) for scope in wanted.exact]
        if wanted.reading is scope_path:
            holders += [self._by_prefix.get(path[:_DEPTH]) if path else _NOBODY for path in wanted.paths]
        for device in min(holders, key=len) if holders else tuple(self._services):
            service = self._services[device]
            if wanted.met_by(service.subject):
                yield service

    def _following(self, target: Target) -> list[DeviceId]:
        """Seekers that look where the target is, or knew it before it moved."""
        owners = dict(self._seeking_everywhere)
        for prefix in _prefixes(target.scopes):
            owners.update(self._seeking_below.get(prefix))
        owners.update((owner, None) for owner, seeker in self._seekers.items() if seeker.knows(target.device))
        return list(owners)

    def _enter(self, device: DeviceId, service: TargetService) -> None:
        for name in service.subject.types:
            self._by_type.add(name, device)
        for scope in service.subject.scopes:
            self._by_scope.add(scope, device)
        for prefix in _prefixes(service.target.scopes):
            self._by_prefix.add(prefix, device)

    def _leave(self, device: DeviceId) -> None:
        self._by_type.discard(device)
        self._by_scope.discard(device)
        self._by_prefix.discard(device)


class _Index(Generic[K]):
    """Who stands under which keys, in order of arrival, and the keys of each for taking it out again."""

    def __init__(self) -> None:
        self._holders: dict[K, dict[DeviceId, None]] = {}
        self._keys: dict[DeviceId, list[K]] = {}

    def get(self, key: K) -> dict[DeviceId, None]:
        return self._holders.get(key, _NOBODY)

    def add(self, key: K, owner: DeviceId) -> None:
        self._holders.setdefault(key, {})[owner] = None
        self._keys.setdefault(owner, []).append(key)

    def discard(self, owner: DeviceId) -> None:
        for key in self._keys.pop(owner, ()):
            holders = self._holders.get(key)
            if holders is not None:
                holders.pop(owner, None)
                if not holders:
                    del self._holders[key]


def _prefixes(scopes: tuple[str, ...]) -> set[ScopePath]:
    """What covers one of the scopes, from scheme and authority down to `_DEPTH`."""
    paths = (path for path in map(scope_path, scopes) if path is not None)
    return {path[:length] for path in paths for length in range(2, min(len(path), _DEPTH) + 1)}
