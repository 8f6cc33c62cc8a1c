"""One device without sockets: the real server, endpoint, node and services; network and clock are in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from gossip_ws.core.config import FanoutTable, NodeConfig
from gossip_ws.core.messages import Content, Gossip, Hop, Signature
from gossip_ws.core.node import Node
from gossip_ws.core.peers import Peer, Role
from gossip_ws.dpws.metadata import Text, ThisDevice, ThisModel
from gossip_ws.endpoint.carrier import Hosting, World
from gossip_ws.endpoint.description import DeviceDescription
from gossip_ws.endpoint.endpoint import Endpoint
from gossip_ws.endpoint.server import SoapServer
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DEVICE, GRID, DeviceId, qname
from gossip_ws.kernel.terms import Budget, Filter, Priority, Style, Terms, Tier, Variant
from gossip_ws.ports import Caller, Frame, Request, Response, Verifier
from gossip_ws.security.authority import CallerRule, Originator, Trust
from gossip_ws.security.keys import PrivateKey
from gossip_ws.security.passwords import PasswordHash
from gossip_ws.security.verifier import TrustVerifier
from gossip_ws.services.directory import PeerDirectory
from gossip_ws.services.metering import Measured, metering_service
from gossip_ws.services.peering import peer_service
from gossip_ws.services.tariff import TariffStore, tariff_service
from gossip_ws.wire.gossip import XmlCodec

SET_TARIFF = "urn:gossip-ws:2026:tariff:SetTariff"
GET_TARIFF = "urn:gossip-ws:2026:tariff:GetTariff"
GET_DEMAND = "urn:gossip-ws:2026:metering:GetDemand"
REGISTER = "urn:gossip-ws:2026:peers:Register"
KEY = PrivateKey.generate()
USER, PASSWORD = "dispatcher", "open sesame"
_RULE = CallerRule(frozenset({SET_TARIFF, GET_DEMAND}), USER, PasswordHash.of(PASSWORD))
HOST = "10.0.0.1"
CHILD = Address(Binding.UDP, "10.0.0.2", 3702, "/gossip")


@dataclass
class Memory:
    """A Network: what was sent, and what was asked."""

    sent: list[tuple[Frame, Address]] = field(default_factory=list)
    asked: list[tuple[Frame, Address, Callable[[Frame | None], None]]] = field(default_factory=list)
    behind: dict[Priority, float] = field(default_factory=dict)

    def backlog(self, priority: Priority) -> float:
        return self.behind.get(priority, 0.0)

    def send(self, frame: Frame, to: Address) -> None:
        self.sent.append((frame, to))

    def multicast(self, frame: Frame) -> None:
        raise AssertionError("nothing here multicasts")

    def request(self, frame: Frame, to: Address, timeout: float, done: Callable[[Frame | None], None]) -> None:
        self.asked.append((frame, to, done))


class Hands:
    """A Clock that a test turns. Starts at the present: what is signed is compared with it."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.start = time.time()
        self.numbers = count()
        self.timers: list[tuple[float, int, Callable[[], None]]] = []

    def now(self) -> Instant:
        return Instant(1_000.0 + self.passed, self.start + self.passed)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.timers.append((self.passed + delay, next(self.numbers), callback))

    def turn(self, seconds: float) -> None:
        """Let time pass; what is due by then is called, in order."""
        until = self.passed + seconds
        while due := [timer for timer in self.timers if timer[0] <= until]:
            first = min(due)
            self.timers.remove(first)
            self.passed = max(self.passed, first[0])
            first[2]()
        self.passed = until


class Meter:
    """`MeterState` of 5 Wh a period."""

    def demand(self, day: object) -> list[tuple[str, tuple[int, int, int]]]:
        return [("household", (5, 5, 5))]

    def measurement(self) -> list[Measured]:
        return [Measured(230.0, 0.0, 10.0)]


class Bench:
    """A substation with one meter below it, at rest."""

    def __init__(self, verifier: Verifier | None = None, *, children: int = 1) -> None:
        self.network = Memory()
        self.clock = Hands()
        self.tariffs = TariffStore()
        self.codec = XmlCodec()
        config = NodeConfig(
            device=DeviceId("urn:uuid:00000000-0000-4000-8000-000000000001"),
            role=Role.SUBSTATION,
            types=(DEVICE, qname(GRID, "SubstationController")),
            scopes=("grid://t/1",),
            udp=Address(Binding.UDP, HOST, 3702, "/gossip"),
            http=Address(Binding.HTTP, HOST, 8080, "/gossip"),
            wide=FanoutTable(((1, 2, 2),)),
            field=FanoutTable(((1, 2, 2),)),
        )
        trust = Trust((Originator(KEY.public, frozenset({SET_TARIFF, GET_DEMAND})),), (_RULE,))
        judge = verifier or TrustVerifier(trust, KEY, self.clock)
        hosting = Hosting((tariff_service(self.tariffs), metering_service(Meter())))
        node = Node(config, Random(7), self.clock.now(), hosting.by_action.keys())
        world = World(self.network, self.codec, judge, self.clock, FilterCombiner(), PeerDirectory())
        self.endpoint = Endpoint(node, hosting, world)
        hosting.add(peer_service(self.endpoint))
        description = DeviceDescription(
            config.device,
            config.types,
            ThisModel((Text("maker", "en"),), (Text("model", "en"),)),
            ThisDevice((Text("bench", "en"),)),
            Address(Binding.HTTP, HOST, 8080),
            tuple(hosting.services),
            None,
        )
        self.server = SoapServer(self.endpoint, description)
        for number in range(children):
            node.peers.put(child(number), 1e9, proven=True)

    def take(self, request: Request) -> list[Response]:
        """All that is answered at once."""
        answers: list[Response] = []
        self.server.handle(request, answers.append)
        return answers

    def post(self, path: str, frame: Frame, *, operator: bool = False, content_type: str = "") -> Response:
        who = (USER, PASSWORD) if operator else ("", "")
        caller = Caller(Address(Binding.HTTP, "10.0.0.9", 50_000), HOST, *who)
        (answer,) = self.take(Request(frame, caller, "POST", path, content_type=content_type))
        return answer

    def datagram(self, frame: Frame, source: Address = CHILD) -> list[Response]:
        return self.take(Request(frame, Caller(source, HOST)))


def child(number: int) -> Peer:
    host = f"10.0.{number // 200}.{number % 200 + 2}"
    return Peer(
        DeviceId(f"urn:uuid:{number:08x}-0000-4000-8000-000000000002"),
        Role.METER,
        (qname(GRID, "SmartMeter"),),
        (f"grid://t/1/{number}",),
        Address(Binding.UDP, host, 3702, "/gossip"),
        Address(Binding.HTTP, host, 8080, "/gossip"),
    )


def tariff(version: int) -> bytes:
    return (
        '<t:SetTariff xmlns:t="urn:gossip-ws:2026:tariff"><t:tariff><t:id>winter</t:id>'
        f"<t:version>{version}</t:version>"
        "<t:start>2026-01-01T00:00:00Z</t:start><t:end>2126-01-01T00:00:00Z</t:end><t:band>"
        "<t:fromMinute>0</t:fromMinute><t:toMinute>1440</t:toMinute><t:price>0.1</t:price></t:band></t:tariff>"
        "</t:SetTariff>"
    ).encode()


def content(bench: Bench, action: str, body: bytes, style: Style = Style.ONE_WAY) -> Content:
    """Signed by the one key that may."""
    now = bench.clock.now().wall
    request = style is Style.REQUEST_RESPONSE
    terms = Terms(
        variant=Variant.EAGER_PUSH,
        style=style,
        binding=Binding.UDP,
        priority=Priority.NORMAL,
        budgets=(Budget(Tier.WAN, 2, 2), Budget(Tier.FAN, 2, 2)),
        types=(),
        scopes=(),
        originator=KEY.id,
        issued=now,
        expires=now + 600,
        filter=Filter(name="sum") if request else None,
        timeout=5.0 if request else 0.0,
    )
    return XmlCodec().seal(action, terms, body, lambda id: Signature(KEY.id, KEY.sign(id)))


def from_child(bench: Bench, sealed: Content) -> Frame:
    """As the first child would send it on."""
    return bench.codec.encode(Gossip(sealed, Hop(child(0).device, Tier.FAN, 1, 1, 0.0, receipt=True)))
