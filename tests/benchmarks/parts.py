"""What the benchmarks share: devices' names, messages as an origin makes them, the endpoint under test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from random import Random

from gossip_ws.core.config import FanoutTable, NodeConfig
from gossip_ws.core.messages import Content
from gossip_ws.core.node import Node
from gossip_ws.core.peers import Peer, Role
from gossip_ws.endpoint.carrier import Hosting, World
from gossip_ws.endpoint.endpoint import Endpoint
from gossip_ws.endpoint.server import SoapServer
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import TARIFF, DeviceId
from gossip_ws.kernel.terms import Budget, Priority, Style, Terms, Tier, Variant
from gossip_ws.ports import Clock, Codec, HostedService, Network, Verifier
from gossip_ws.security.authority import Originator, Trust
from gossip_ws.security.development import UNSIGNED, DevelopmentVerifier
from gossip_ws.security.keys import PrivateKey
from gossip_ws.security.verifier import TrustVerifier
from gossip_ws.services.directory import PeerDirectory
from gossip_ws.sim.numbers import NUMBERS
from gossip_ws.wire.envelope import Envelope
from gossip_ws.wire.gossip import XmlCodec

SET_TARIFF = f"{TARIFF}:SetTariff"
PORT = 3702


class StillClock:
    """The machine's time, and no timers: nothing but the hop itself is to be measured."""

    def now(self) -> Instant:
        return Instant(time.monotonic(), time.time())

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Never."""


class NoDescription:
    """A device that tells nothing of itself: gossip does not ask."""

    def answer(self, path: str, envelope: Envelope, source: Address) -> bytes | None:
        return None

    def at(self, local: str) -> Address:
        return Address(Binding.HTTP, local, 0)

    def document(self, path: str, query: str) -> tuple[bytes, str] | None:
        return None


def device_id(number: int) -> DeviceId:
    return DeviceId(f"urn:uuid:{number:08x}-0000-4000-8000-000000000000")


def host(number: int) -> str:
    """A loopback address of its own for each."""
    return f"127.21.{1 + number // 250}.{1 + number % 250}"


def peer(number: int, udp: Address | None = None) -> Peer:
    """A substation as others hold it."""
    at = udp or Address(Binding.UDP, host(number), PORT, "/gossip")
    return Peer(device_id(number), Role.SUBSTATION, (), ("grid://city",), at, None)


def verifier(key: PrivateKey | None, actions: Iterable[str], clock: Clock) -> Verifier:
    """Of a device that believes `key` alone, or, without one, everybody."""
    if key is None:
        return DevelopmentVerifier()
    return TrustVerifier(Trust((Originator(key.public, frozenset(actions)),)), key, clock)


def server(
    number: int,
    peers: Iterable[Peer],
    network: Network,
    clock: Clock,
    codec: Codec,
    verifier: Verifier,
    services: tuple[HostedService, ...] = (),
    *,
    udp: Address | None = None,
    wide: FanoutTable | None = None,
    pull_period: float = 10.0,
) -> SoapServer:
    """The endpoint of one substation that knows `peers`, behind what a listener calls. It asks for news only after
    `up`."""
    hosting = Hosting(services)
    config = NodeConfig(
        device=device_id(number),
        role=Role.SUBSTATION,
        scopes=("grid://city",),
        udp=udp or Address(Binding.UDP, host(number), PORT, "/gossip"),
        wide=wide or FanoutTable(),
        # A bench sends what no grid does: the cap on new messages is not what is measured.
        max_rate=1e9,
        max_burst=10**9,
        pull_period=pull_period,
    )
    world = World(network, codec, verifier, clock, FilterCombiner(), PeerDirectory())
    node = Node(config, Random(number), clock.now(), hosting.by_action.keys())
    for known in peers:
        if known.device != config.device:
            node.peers.put(known, clock.now().monotonic + 1e6, proven=True)
    return SoapServer(Endpoint(node, hosting, world), NoDescription())


def tariff(version: int, bands: int = 6) -> bytes:
    """A SetTariff element in canonical form."""
    width = 1440 // bands
    written = "".join(
        f"<t:band><t:fromMinute>{band * width}</t:fromMinute><t:toMinute>{band * width + width}</t:toMinute>"
        f"<t:price>0.{20 + band}</t:price></t:band>"
        for band in range(bands)
    )
    return (
        f'<t:SetTariff xmlns:t="{TARIFF}"><t:tariff><t:id>winter</t:id><t:version>{version}</t:version>'
        f"<t:start>2026-01-01T00:00:00+00:00</t:start><t:end>2036-01-01T00:00:00+00:00</t:end>"
        f"{written}</t:tariff></t:SetTariff>"
    ).encode()


def notice(version: int) -> bytes:
    """A Notify element that weighs what a tariff does."""
    return b'<n:Notify xmlns:n="%b">%b</n:Notify>' % (NUMBERS.encode(), tariff(version))


def content(action: str, body: bytes, key: PrivateKey | None, fanout: int, rounds: int) -> Content:
    """A push as its origin makes it, now; unsigned without a `key`."""
    issued = time.time()
    terms = Terms(
        variant=Variant.EAGER_PUSH,
        style=Style.ONE_WAY,
        binding=Binding.UDP,
        priority=Priority.NORMAL,
        budgets=(Budget(Tier.WAN, fanout, rounds), Budget(Tier.FAN, 6, 4), Budget(Tier.HAN, 0, 0)),
        types=(),
        scopes=(),
        originator=key.id if key is not None else UNSIGNED,
        issued=issued,
        expires=issued + 3600,
    )
    return XmlCodec().seal(action, terms, body, verifier(key, (action,), StillClock()).sign)
