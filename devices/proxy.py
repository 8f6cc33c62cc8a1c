"""A discovery proxy, running: its memory, listeners and clock, from Hello to Bye. Knows no command line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from secrets import randbits
from uuid import uuid4

from gossip_ws.devices.addresses import Addresses
from gossip_ws.devices.choice import Choice
from gossip_ws.devices.multihome import Multihomed
from gossip_ws.devices.running import run_until_told
from gossip_ws.devices.single import identity, instance
from gossip_ws.devices.store import SqliteStore
from gossip_ws.devices.versions import metadata_version
from gossip_ws.dpws.config import DiscoveryConfig
from gossip_ws.dpws.messages import Generation, Target
from gossip_ws.dpws.proxy import DiscoveryProxy, ProxyConfig
from gossip_ws.endpoint.courier import LAST_COPY
from gossip_ws.endpoint.proxy import PROXY_PATH, ProxyServer
from gossip_ws.endpoint.told import addresses_of
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.homes import told_to_all
from gossip_ws.kernel.names import DISCOVERY_PROXY, DeviceId
from gossip_ws.net.clock import LoopClock
from gossip_ws.net.interfaces import present
from gossip_ws.net.multicast import Group, Multicast
from gossip_ws.net.network import DeviceNetwork
from gossip_ws.ports import Request, Respond, Response


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """One proxy. `addresses`, `interfaces`, `watch`: as of a device (`HostSettings`); clients ask at the address that
    suits them. Ports of 0 let the system choose. Without a `store` its identity is new at each start, which costs its
    clients a Probe."""

    addresses: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    watch: float = 0.0
    http_port: int = 0
    udp_port: int = 0
    group: Group = field(default_factory=Group)
    scopes: tuple[str, ...] = ()
    store: Path | None = None
    announce: tuple[Generation, ...] = tuple(Generation)
    config: ProxyConfig = field(default_factory=ProxyConfig)


class RunningProxy:
    """`open` it, `close` it, in one event loop's thread."""

    def __init__(self, settings: ProxySettings) -> None:
        self.settings = settings
        self._network = Multihomed(
            lambda host: DeviceNetwork(
                host, udp_port=settings.udp_port, http_port=settings.http_port, group=settings.group
            )
        )
        choice = Choice(settings.addresses, settings.interfaces)
        self._multicast = Multicast([one.zoned for one in choice.of(present())], settings.group)
        stay, follow = not settings.watch, self._multicast.follow
        self._addresses = Addresses(choice, self._network, stay=stay, heard=follow)
        self._store: SqliteStore | None = None
        self._server: ProxyServer | None = None

    @property
    def server(self) -> ProxyServer:
        """Raises LocalError before `open`."""
        if self._server is None:
            raise LocalError("the proxy is not open")
        return self._server

    @property
    def http(self) -> Address:
        """Where it is asked. Raises LocalError before `open`."""
        first = self._network.first
        if first is None or first.http is None:
            raise LocalError("the proxy is not open")
        return first.http.at(PROXY_PATH)

    async def open(self) -> None:
        """Listen, say Hello, ask who is there. Raises LocalError, with nothing left open, when an address or the group
        cannot be had."""
        try:
            await self._open()
        except BaseException:  # cancelled too: no socket or database may be left open
            await self.close()
            raise

    async def close(self) -> None:
        """Say Bye and let go of everything. May be called twice."""
        await self._addresses.close()
        server, self._server = self._server, None
        if server is not None:
            server.stop()
            await asyncio.sleep(LAST_COPY)
        self._multicast.close()
        await self._network.close()
        if self._store is not None:
            self._store.close()
            self._store = None

    async def _open(self) -> None:
        settings, clock, dice = self.settings, LoopClock(), Random(randbits(64))
        store = self._store = SqliteStore(settings.store) if settings.store is not None else None
        await self._addresses.open(self._handle)
        xaddrs = self._xaddrs()
        device = identity(store) if store is not None else DeviceId(uuid4().urn)
        target = Target(device, (DISCOVERY_PROXY,), settings.scopes, xaddrs, self._version(xaddrs))
        proxy = DiscoveryProxy(
            target,
            instance_id=instance(store, clock.now().wall),
            dice=dice,
            config=settings.config,
            discovery=DiscoveryConfig(announce=settings.announce),
        )
        self._server = ProxyServer(proxy, self._network, clock, dice, lambda: self._network.homes)
        self._multicast.open(self._server.receive)
        self._server.start()
        if settings.watch:
            self._addresses.watch(settings.watch, self._moved, self._server.counters)

    def _moved(self) -> None:
        xaddrs = self._xaddrs()
        self._version(xaddrs)
        self.server.moved(xaddrs)

    def _xaddrs(self) -> tuple[str, ...]:
        return addresses_of(told_to_all(self._network.homes), PROXY_PATH)

    def _version(self, xaddrs: tuple[str, ...]) -> int:
        return metadata_version(self._store, repr((self.settings.scopes, xaddrs)).encode())

    def _handle(self, request: Request, respond: Respond) -> None:
        if self._server is None:
            respond(Response(503))
        else:
            self._server.handle(request, respond)


def run(settings: ProxySettings, ready: Callable[[RunningProxy], None]) -> None:
    """Run the proxy until SIGTERM or SIGINT; `ready` is called once it takes messages. Raises LocalError."""
    run_until_told(lambda: RunningProxy(settings), ready)
