"""How a client finds devices: a Probe on every interface, then what each device says of itself.

The command line's side of DPWS: uses the protocols and the network of the devices, is none itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from secrets import randbits
from typing import Any, Final

from gossip_ws.devices.choice import EVERY, Choice, first_of
from gossip_ws.devices.multihome import Multihomed
from gossip_ws.dpws.config import DiscoveryConfig
from gossip_ws.dpws.effects import Effect, Multicast, Unicast
from gossip_ws.dpws.effects import Found as FoundEffect
from gossip_ws.dpws.messages import Generation, Hello, Message, Target
from gossip_ws.dpws.metadata import Metadata
from gossip_ws.dpws.seeker import ProxySilent, Seeker
from gossip_ws.endpoint.courier import by_http, repeated
from gossip_ws.endpoint.server import DEVICE_PATH
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.counts import Counts
from gossip_ws.kernel.effects import SetTimer
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.kernel.homes import Local
from gossip_ws.kernel.names import DEVICE, DeviceId, QName
from gossip_ws.net.clock import LoopClock
from gossip_ws.net.counters import Counters
from gossip_ws.net.http_client import ClientLimits, HttpClient
from gossip_ws.net.interfaces import locate, present
from gossip_ws.net.multicast import Group
from gossip_ws.net.network import DeviceNetwork
from gossip_ws.ports import Request, Respond
from gossip_ws.wire.discovery import decode, encode
from gossip_ws.wire.envelope import Addressing, build, message_id, parse
from gossip_ws.wire.eventing import read_events
from gossip_ws.wire.generation import NAMES
from gossip_ws.wire.metadata import (
    GET_METADATA,
    WSDL,
    get_request,
    read_get_metadata_response,
    read_get_response,
    write_get_metadata,
)
from gossip_ws.wire.wsdl import MAX_WSDL, SUFFIX

WAIT: Final = 3.0
"""Seconds: an answer to a Probe may wait 2.5 s at random (DPWS 1.1 APP_MAX_DELAY)."""
_ASKING: Final = 5.0
"""Seconds that a device has to describe itself."""
_AT_ONCE: Final = 32
_MOST: Final = 2_048
"""Devices that one search finds; whoever hears a Probe may answer it with any number."""


@dataclass(frozen=True, slots=True)
class Service:
    """A hosted service: its portType, its address, and that of its shadow where it has one."""

    type: QName
    address: str
    shadow: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A device. `services` is None when it did not answer a Get."""

    device: DeviceId
    types: tuple[QName, ...]
    scopes: tuple[str, ...]
    addresses: tuple[str, ...]
    services: tuple[Service, ...] | None

    def service(self, type: QName) -> Service | None:
        """The hosted service of a portType."""
        return next((service for service in self.services or () if service.type == type), None)


def probing_addresses(names: Sequence[str]) -> tuple[str, ...]:
    """The addresses to probe from, link-local ones with zone: of interfaces by name the first of each sort, literal
    ones as they are, of all interfaces when none is named. Raises LocalError for what this machine does not have."""
    return tuple(one.zoned for one in _chosen(names))


def probing_hosts(names: Sequence[str]) -> tuple[str, ...]:
    """One of them for each interface, IPv4 where it has that: for what speaks once on each."""
    found = _chosen(names)
    with_ipv4 = {one.index for one in found if not one.is_ipv6}
    return tuple(one.zoned for one in found if not one.is_ipv6 or one.index not in with_ipv4)


def followed(names: Sequence[str]) -> Choice:
    """All of them, for whoever follows what comes and goes: interfaces by name, literal addresses as they are, every
    interface when none is named. Raises LocalError for what this machine does not have now."""
    found = _chosen(names)
    interfaces = {one.interface for one in found}
    literals = tuple(name for name in names if name not in interfaces)
    return Choice(literals, tuple(name for name in names if name in interfaces) or (() if literals else (EVERY,)))


def _chosen(names: Sequence[str]) -> tuple[Local, ...]:
    known = present()
    interfaces = tuple(dict.fromkeys(one.interface for one in known))
    found: list[Local] = []
    for name in names or interfaces:
        literal = locate(name, known)
        if name not in interfaces and literal is None:
            raise LocalError(f"neither an interface nor an address of this machine: {name!r} ({', '.join(interfaces)})")
        found += [literal] if literal is not None else first_of(name, known)
    return tuple(dict.fromkeys(found))


async def discover(
    addresses: Sequence[str],
    group: Group,
    *,
    types: tuple[QName, ...] = (),
    scopes: tuple[str, ...] = (),
    within: float = WAIT,
    proxy: Address | None = None,
) -> tuple[Found, ...]:
    """Who answers a Probe for `types` and `scopes` `within` seconds, in either generation of WS-Discovery, and
    describes itself afterwards, in the order of their first scopes. Without types it is for devices. A discovery
    `proxy` is asked first, and instead of the group while it answers; one that suppresses the Probe is asked too.
    Raises LocalError when it cannot multicast from any of `addresses`."""
    outward = Multihomed(lambda host: DeviceNetwork(host, http_port=None, group=group))
    probe = _Search(outward, within, proxy)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def described(target: Target, generation: Generation) -> Found:
        async with gate:
            found = await _describe(outward, target.device, target.xaddrs, generation)
        services = _services(found) if found is not None else None
        return Found(target.device, target.types, target.scopes, target.xaddrs, services)

    try:
        known = present()
        await outward.open((), [one for host in addresses if (one := locate(host, known))], probe.received)
        # Every device of DPWS has that type (1.1 R1020), and there are some that ignore a Probe without types.
        targets = await probe.run(types or (DEVICE,), scopes)
        found = await asyncio.gather(*(described(*one) for one in targets))
    finally:
        await outward.close(grace=0)
    return tuple(sorted(found, key=lambda one: (one.scopes, one.device)))


async def find_service(url: str, type: QName) -> str:
    """Where the hosted service of a portType is, given a device's address or the service's own. Raises LocalError
    for an address that is none, or a device that does not answer or has no such service."""
    bare = url.partition("?")[0]
    address = Address.parse(bare)
    if address.binding is not Binding.HTTP:
        raise LocalError(f"a device is asked by http: {url!r}")
    if address.path not in ("", "/", DEVICE_PATH):
        return bare
    client = HttpClient("", Counters())
    try:
        # Whoever answers at a transport address may be meant by it (WS-Transfer; DPWS 1.1 section 4).
        metadata = await _describe(client, "", (str(address.at(DEVICE_PATH)),))
    finally:
        await client.close()
    if metadata is None:
        raise LocalError(f"no device answers at {address.at(DEVICE_PATH)}")
    for service in _services(metadata):
        if service.type == type:
            return service.address
    raise LocalError(f"the device at {url} has no {type}")


@dataclass(frozen=True, slots=True)
class EventSource:
    """A hosted service that can be subscribed to. `events`: name -> action. `shadow`: where it is told of the events
    of others, empty where there is none. `device`: whose it is; empty when a hosted service was asked by itself."""

    address: str
    shadow: str
    events: dict[str, str]
    device: str = ""


async def find_events(url: str, names: Sequence[str]) -> tuple[EventSource, ...]:
    """The event sources that have events of these `names`, and of those only these (none: all), given a device's
    address or a hosted service's own. Raises LocalError when a name is not there, or the device does not answer."""
    address = Address.parse(url.partition("?")[0])
    if address.binding is not Binding.HTTP:
        raise LocalError(f"a device is asked by http: {url!r}")
    client = HttpClient("", Counters(), ClientLimits(body=MAX_WSDL))
    try:
        whole = address.at(DEVICE_PATH) if address.path in ("", "/") else address
        # Another stack's device may be at any path, as a hosted service may.
        metadata = await _describe(client, "", (str(whole),))
        if metadata is None and whole.path == DEVICE_PATH:
            raise LocalError(f"no device answers at {whole}")
        services = (Service(QName(""), str(address)),) if metadata is None else _services(metadata)
        # Several portTypes may be at one address.
        places = {one.address: one.shadow for one in services}
        host = metadata.relationship.host if metadata is not None and metadata.relationship is not None else None
        device = host.device if host is not None else ""
        found = [EventSource(place, shadow, await _events(client, place), device) for place, shadow in places.items()]
    finally:
        await client.close()
    known = {name for source in found for name in source.events}
    missing = sorted(set(names) - known)
    if missing or not known:
        there = ", ".join(sorted(known)) or "none"
        raise LocalError(f"no event {missing[0] if missing else ''} at {url}; there are {there}".replace("  ", " "))
    chosen = (replace(one, events={n: a for n, a in one.events.items() if not names or n in names}) for one in found)
    return tuple(one for one in chosen if one.events)


async def find_again(source: EventSource, url: str, host: str) -> EventSource:
    """Where an event source is now that was found at `url`: there, or where its device says that it is when it is
    asked for by multicast from `host`. Another device that has got its address is not it. Raises LocalError."""
    places = [url]
    for place in places:
        try:
            found = await find_events(place, tuple(source.events))
        except LocalError:
            found = ()
        for one in found:
            if (one.device, one.events) == (source.device, source.events):
                return one
        if place is url:
            places += await _resolved(DeviceId(source.device), host)
    raise LocalError(f"{source.device} is not found")


async def _resolved(device: DeviceId, host: str) -> tuple[str, ...]:
    """The transport addresses that a device tells of now."""
    outward = Multihomed(lambda host: DeviceNetwork(host, http_port=None))
    search = _Search(outward, WAIT, None)
    try:
        local = locate(host, present())
        await outward.open((), (local,) if local is not None else (), search.received)
        return await search.resolve(device)
    finally:
        await outward.close(grace=0)


async def _events(client: HttpClient, address: str) -> dict[str, str]:
    """What the WSDL in a hosted service's metadata says; nothing where there is none, or it is none."""
    frame = build(Addressing(GET_METADATA, message_id(), address), write_get_metadata(WSDL))
    answered = await _ask(client, address, frame)
    try:
        told = read_get_metadata_response(parse(answered, MAX_WSDL).payload) if answered else None
        if told is None:
            return {}
        wsdl = told.wsdl or (await client.get(told.wsdl_location) or b"" if told.wsdl_location else b"")
        return read_events(wsdl)
    except (RemoteError, LocalError):
        return {}


class _Search:
    """One Probe out of every address, or one Resolve, and what comes back."""

    def __init__(self, outward: Multihomed, within: float, proxy: Address | None) -> None:
        self._dice = Random(randbits(64))
        self._outward = outward
        self._clock = LoopClock()
        self._counters = Counts()
        self._seeker = Seeker(
            dice=self._dice,
            # A shorter wait finds only those whose random delay was short.
            config=DiscoveryConfig(
                app_max_delay=min(2.5, within / 2), match_timeout=within, dp_max_timeout=min(5.0, within / 3)
            ),
            proxy=proxy,
        )
        self._within = within
        self._targets: dict[DeviceId, tuple[Target, Generation]] = {}

    async def run(self, types: tuple[QName, ...], scopes: tuple[str, ...]) -> tuple[tuple[Target, Generation], ...]:
        """What was found; `outward` is open."""
        for generation in Generation:
            now = self._clock.now()
            self._carry_out(self._seeker.probe(now, types=types, scopes=scopes, generation=generation))
        await asyncio.sleep(self._within)
        return tuple(self._targets.values())

    async def resolve(self, device: DeviceId) -> tuple[str, ...]:
        """The addresses of one device, none where it does not answer; `outward` is open."""
        self._carry_out(self._seeker.resolve(device, Generation.OASIS, self._clock.now()))
        await asyncio.sleep(self._within)
        target, _ = self._targets.get(device, (None, None))
        return target.xaddrs if target is not None else ()

    def received(self, request: Request, respond: Respond) -> None:
        try:
            message = decode(request.frame)
        except RemoteError:
            return
        # A Hello that answers nothing is nobody's answer: it would be found whatever was asked for.
        if message is not None and not (isinstance(message, Hello) and not message.relates_to):
            self._hear(message, request.caller.source)

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Multicast(message=message):
                    frame = encode(message)
                    repeated(lambda frame=frame: self._outward.multicast(frame), self._clock, self._dice)  # type: ignore[misc]
                case Unicast(message=message, to=to):
                    self._ask(message, to)
                case SetTimer(timer=timer, delay=delay):
                    self._clock.call_later(delay, lambda timer=timer: self._expired(timer))  # type: ignore[misc]
                case FoundEffect(target=target, generation=generation):
                    held = self._targets.get(target.device)
                    if held is not None and held[1] is Generation.OASIS:
                        # It speaks both, and says more in the later one.
                        generation = Generation.OASIS
                    if held is not None or len(self._targets) < _MOST:
                        self._targets[target.device] = (target, generation)

    def _ask(self, message: Message, to: Address) -> None:
        """A discovery proxy: what it knows is enough."""
        if to.binding is Binding.HTTP:
            by_http(self._outward, message, to, lambda answer: self._answered(message, answer, to), self._counters)
        else:
            self._outward.send(encode(message), to)

    def _answered(self, asked: Message, answer: Message | None, source: Address) -> None:
        if answer is None:
            # Nobody is there: no need to wait for DP_MAX_TIMEOUT.
            self._expired(ProxySilent(asked.message_id))
        else:
            self._hear(answer, source)

    def _hear(self, message: Message, source: Address) -> None:
        self._carry_out(self._seeker.receive(message, source, self._clock.now()))

    def _expired(self, timer: Any) -> None:
        self._carry_out(self._seeker.timer(timer, self._clock.now()))


async def _describe(
    client: HttpClient | Multihomed, device: str, addresses: Sequence[str], generation: Generation = Generation.OASIS
) -> Metadata | None:
    """What a device answers to a Get at the first of its addresses that does."""
    for uri in addresses:
        answered = await _ask(client, uri, get_request(device or uri, NAMES[generation]))
        if answered is not None:
            try:
                return read_get_response(parse(answered).payload)
            except RemoteError:
                continue
    return None


async def _ask(client: HttpClient | Multihomed, uri: str, frame: bytes) -> bytes | None:
    """The envelope that answers; None where there is none, or no way to `uri`."""
    reply: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    def done(answer: bytes | None) -> None:
        # Whoever has given up is told no more.
        if not reply.done():
            reply.set_result(answer)

    try:
        client.request(frame, Address.parse(uri), _ASKING, done)
    except LocalError:
        return None
    return await reply


def _services(metadata: Metadata) -> tuple[Service, ...]:
    """Hosted services with their shadows: the shadow's portType is the original's, `Gossip` appended."""
    hosted = metadata.relationship.hosted if metadata.relationship is not None else ()
    by_type = {type: one.addresses[0] for one in hosted for type in one.types if one.addresses}
    shadows = {type for type in by_type if type + SUFFIX in by_type}
    return tuple(
        Service(type, address, by_type.get(QName(type + SUFFIX), ""))
        for type, address in by_type.items()
        if type in shadows or type.removesuffix(SUFFIX) not in shadows
    )
