"""A device as a whole: listeners, node, hosted services and their shadows, discovery. The composition root."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from secrets import randbits
from typing import Any

from gossip_ws.core.config import FanoutTable, NodeConfig
from gossip_ws.core.node import Node
from gossip_ws.core.peers import Role
from gossip_ws.devices.addresses import Addresses
from gossip_ws.devices.choice import Choice
from gossip_ws.devices.events import TARIFF_CHANGED, DemandWatch, tariff_changed
from gossip_ws.devices.load import Load
from gossip_ws.devices.multihome import Multihomed
from gossip_ws.devices.versions import metadata_version
from gossip_ws.dpws.config import DiscoveryConfig
from gossip_ws.dpws.discovery import TargetService
from gossip_ws.dpws.messages import Generation, Target
from gossip_ws.dpws.metadata import Text, ThisDevice, ThisModel
from gossip_ws.endpoint.carrier import Hosting, World
from gossip_ws.endpoint.courier import LAST_COPY
from gossip_ws.endpoint.description import DeviceDescription
from gossip_ws.endpoint.discovery import Discovery, Listener, Wish
from gossip_ws.endpoint.endpoint import Endpoint
from gossip_ws.endpoint.server import GOSSIP_PATH, SoapServer
from gossip_ws.endpoint.told import addresses_of
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.homes import Home, Local, told_to_all
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DEVICE, GRID, DeviceId, QName, qname
from gossip_ws.net.clock import LoopClock
from gossip_ws.net.loss import Lossy
from gossip_ws.net.multicast import Group
from gossip_ws.net.network import DeviceNetwork
from gossip_ws.ports import (
    Clock,
    Codec,
    Combiner,
    Gossip,
    HostedService,
    Network,
    Request,
    Respond,
    Response,
    Store,
    Verifier,
)
from gossip_ws.services.directory import PeerDirectory
from gossip_ws.services.metering import metering_service
from gossip_ws.services.peering import peer_service
from gossip_ws.services.reporting import report_service
from gossip_ws.services.tariff import TariffStore, tariff_service
from gossip_ws.theory.tables import FIELD_AREA, WIDE_AREA
from gossip_ws.wire.gossip import XmlCodec

WIDE = FanoutTable(WIDE_AREA)
"""Where sampling alone has to reach everyone: with probability 0.999 at 10 % loss and 10 % crashed."""
FIELD = FanoutTable(FIELD_AREA)
"""Where the parent serves its whole roster: sampling that would reach half by itself is insurance enough."""

PARENT_ROLE = {Role.METER: Role.SUBSTATION, Role.APPLIANCE: Role.METER}
ServiceFactory = Callable[[Gossip], HostedService]
"""Makes a vendor's own hosted service for a device, given what it may ask of gossip."""


def role_type(role: Role) -> QName:
    """The DPWS device type of a role."""
    return qname(GRID, role.value)


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What one device is. `host` is the address it listens at, a link-local one with its zone; ports of 0 let the
    system choose. `also`: further addresses. `interfaces`: by name, or "*", with the addresses that they have; then
    `host` may be empty. `watch`: seconds between two looks at what addresses there are, which cost a millisecond; 0 is
    for an address that stays.

    `scopes`: its place in the grid, from which its parent's follows. `seeds`: Peer Services to enrol with.
    `discover`: say Hello, answer Probes, and look for the parent by multicast when there are no seeds.
    `node`: fields of NodeConfig that differ from the defaults. `demand_limit`: Wh of one 8-hour period above which the
    device raises a DemandAlarm; without one, never.
    `announce`: in which generations of WS-Discovery it says Hello and Bye; it answers in both. `proxy`: a discovery
    proxy that is told as well, and asked first.
    """

    device: DeviceId
    role: Role
    scopes: tuple[str, ...]
    host: str
    also: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    watch: float = 0.0
    udp_port: int = 0
    http_port: int = 0
    group: Group = field(default_factory=Group)
    seeds: tuple[Address, ...] = ()
    peer_service: Address | None = None
    discover: bool = True
    incarnation: int = 0
    friendly_name: str = ""
    announce: tuple[Generation, ...] = (Generation.OASIS,)
    proxy: Address | None = None
    node: dict[str, Any] = field(default_factory=dict)
    demand_limit: int | None = None


class _Alarms:
    """A clock whose callbacks stay away once it is `stopped`."""

    def __init__(self, clock: Clock) -> None:
        self.stopped = False
        self._clock = clock

    def now(self) -> Instant:
        return self._clock.now()

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self._clock.call_later(delay, lambda: None if self.stopped else callback())


class Host:
    """One device on real sockets. Build it, `open` it, `close` it; all in one event loop's thread.

    `heard` is told of every look at the addresses which of them are the device's: where multicast is to be heard.
    """

    def __init__(
        self,
        settings: HostSettings,
        load: Load,
        verifier: Verifier,
        combiner: Combiner,
        *,
        listener: Listener | None = None,
        store: Store | None = None,
        codec: Codec | None = None,
        services: tuple[ServiceFactory, ...] = (),
        wrap: Callable[[Network], Network] | None = None,
        heard: Callable[[Sequence[Local]], None] | None = None,
    ) -> None:
        self.settings = settings
        self.load = load
        self.tariffs = TariffStore(store)
        self.tariffs.listeners.append(load.adapt)
        if self.tariffs.current is not None:
            load.adapt(self.tariffs.current)
        self.outward = Multihomed(
            lambda host: DeviceNetwork(
                host, udp_port=settings.udp_port, http_port=settings.http_port, group=settings.group
            )
        )
        """Speaks for the device, from whatever addresses it has."""
        choice = Choice((settings.host, *settings.also) if settings.host else (), settings.interfaces)
        self._addresses = Addresses(choice, self.outward, stay=not settings.watch, heard=heard)
        self._store = store
        self._verifier = verifier
        self._combiner = combiner
        self._listener = listener
        self._codec = codec or XmlCodec()
        self._extra = services
        self._wrap = wrap or (lambda network: network)
        self._clock: _Alarms | None = None
        self._server: SoapServer | None = None
        self._endpoint: Endpoint | None = None
        self._discovery: Discovery | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Raises LocalError before `open`."""
        if self._endpoint is None:
            raise LocalError(f"not open: {self.settings.host}")
        return self._endpoint

    @property
    def http(self) -> Address:
        """Where HTTP is taken, without path. Raises LocalError before `open`."""
        http = self.network.http
        if http is None:
            raise LocalError(f"not open: {self.settings.host}")
        return http

    @property
    def network(self) -> DeviceNetwork:
        """At the first address. Raises LocalError before `open`, and while the device has none."""
        first = self.outward.first
        if first is None:
            raise LocalError(f"not open: {self.settings.host}")
        return first

    async def open(self) -> None:
        """Listen, announce, enrol. Raises LocalError when an address cannot be had."""
        settings = self.settings
        network = self._wrap(self.outward)
        # What a handler responds with goes out by the socket that it came in on: past a wrapper of the network.
        handle = network.handling(self._handle) if isinstance(network, Lossy) else self._handle
        await self._addresses.open(handle)
        clock, dice = _Alarms(LoopClock()), Random(randbits(64))
        self._clock = clock
        hosting = Hosting((tariff_service(self.tariffs), metering_service(self.load)))
        types = (DEVICE, role_type(settings.role))
        udp, http = self.network.udp, self.network.http
        config = NodeConfig(
            device=settings.device,
            role=settings.role,
            types=types,
            scopes=settings.scopes,
            udp=udp.at(GOSSIP_PATH) if udp else None,
            http=http.at(GOSSIP_PATH) if http else None,
            homes=self._gossiping(),
            incarnation=settings.incarnation,
            key=self._verifier.key,
            seeds=settings.seeds,
            peer_service=settings.peer_service,
            wide=WIDE,
            field=FIELD,
        )
        given = World(network, self._codec, self._verifier, clock, self._combiner, PeerDirectory())
        node = Node(replace(config, **settings.node), dice, clock.now(), hosting.by_action.keys())
        endpoint = Endpoint(node, hosting, given)
        hosting.add(peer_service(endpoint))
        hosting.add(report_service(endpoint))
        for make in self._extra:
            hosting.add(make(endpoint))
        self._endpoint = endpoint
        if settings.discover:
            self._discovery = self._announce(types, network, clock, dice, endpoint)
        description = DeviceDescription(
            settings.device,
            types,
            ThisModel((Text("gossip_ws", "en"),), (Text(settings.role.value, "en"),)),
            ThisDevice((Text(settings.friendly_name or settings.scopes[0], "en"),)),
            self.http,
            tuple(hosting.services),
            self._discovery,
            lambda: self.outward.homes,
        )
        self._server = SoapServer(endpoint, description)
        self._speak(endpoint, clock)
        endpoint.up()
        if self._discovery is not None:
            self._discovery.start()
        if settings.watch:
            self._addresses.watch(settings.watch, self._moved, endpoint.counters)

    async def close(self, *, leave: bool = True) -> None:
        """Say Bye, unregister unless `leave` is False (when all go together), stop listening."""
        await self._addresses.close()
        if leave and self._endpoint is not None:
            left = asyncio.Event()
            self._endpoint.down(left.set)
            await left.wait()
        if self._discovery is not None:
            self._discovery.stop()
            if self._listener is not None:
                self._listener.remove(self.settings.device)
            if leave:
                await asyncio.sleep(LAST_COPY)
        await self.outward.close()
        if self._clock is not None:
            self._clock.stopped = True

    async def crash(self) -> None:
        """Gone at once, as when the power fails: no Bye, nobody told, no timer goes off, requests in hand dropped."""
        if self._clock is not None:
            self._clock.stopped = True
        if self._listener is not None:
            self._listener.remove(self.settings.device)
        await self._addresses.close()
        await self.outward.close(grace=0)

    def _speak(self, endpoint: Endpoint, clock: Clock) -> None:
        """What happens on this device is told to whoever subscribed to it."""
        device, limit = self.settings.device, self.settings.demand_limit
        self.tariffs.listeners.append(lambda held: endpoint.notify(TARIFF_CHANGED, tariff_changed(device, held)))
        if limit is not None:
            watch = DemandWatch(device, self.load, limit, clock, endpoint.notify)
            self.tariffs.listeners.append(lambda _: watch.look())
            watch.start()

    def _announce(
        self, types: tuple[QName, ...], network: Network, clock: Clock, dice: Random, endpoint: Endpoint
    ) -> Discovery:
        settings = self.settings
        xaddrs = addresses_of(told_to_all(self.outward.homes))
        target = Target(settings.device, types, settings.scopes, xaddrs, self._version(endpoint, types, xaddrs))
        discovery = Discovery(
            TargetService(
                target,
                instance_id=settings.incarnation,
                dice=dice,
                config=DiscoveryConfig(announce=settings.announce),
                proxy=settings.proxy,
            ),
            network,
            clock,
            dice,
            parent=None if settings.seeds else parent_wish(settings.role, settings.scopes),
            enrol=endpoint.service_found,
            is_enrolled=lambda: endpoint.node.is_enrolled,
            homes=lambda: self.outward.homes,
            proxy=settings.proxy,
        )
        if self._listener is not None:
            self._listener.add(discovery)
        return discovery

    def _version(self, endpoint: Endpoint, types: tuple[QName, ...], xaddrs: tuple[str, ...]) -> int:
        settings = self.settings
        hosted = endpoint.hosting.services
        services = [(one.service_id, one.path, one.port_type, sorted(one.operations)) for one in hosted]
        told = repr((types, settings.scopes, xaddrs, settings.friendly_name, services)).encode()
        return metadata_version(self._store, told)

    # -- addresses that come and go -----------------------------------------------------------

    def _gossiping(self) -> tuple[Home, ...]:
        return tuple(
            replace(home, udp=home.udp and home.udp.at(GOSSIP_PATH), http=home.http and home.http.at(GOSSIP_PATH))
            for home in self.outward.homes
        )

    def _moved(self) -> None:
        """The device is at home elsewhere: tell whoever has to know."""
        endpoint = self.endpoint
        endpoint.moved(self._gossiping())
        if self._discovery is not None:
            xaddrs = addresses_of(told_to_all(self.outward.homes))
            self._version(endpoint, self._discovery.target.target.types, xaddrs)
            self._discovery.moved(xaddrs)

    def _handle(self, request: Request, respond: Respond) -> None:
        if self._server is None:
            respond(Response(503))
        else:
            self._server.handle(request, respond)


def parent_wish(role: Role, scopes: tuple[str, ...]) -> Wish | None:
    """Whom a device of this role in this place belongs to: the next tier's device of the scope above its own."""
    if role not in PARENT_ROLE or not scopes:
        return None
    above = scopes[0].rpartition("/")[0]
    return Wish((role_type(PARENT_ROLE[role]),), (above,)) if "//" in above else None
