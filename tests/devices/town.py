"""Real devices on real sockets in one event loop of its own thread, and what a test needs to call and watch them.

The smallest grid with every tier: one information system, one substation, two meters, one appliance. They are quiet:
no request for news, no refresh, no ping falls into a test, so every frame that leaves one was caused by the test.
"""

from __future__ import annotations

import asyncio
import http.client
import itertools
import socket
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from lxml import etree

from gossip_ws.core.messages import Content, Gossip, Hop, Signature
from gossip_ws.core.peers import Role
from gossip_ws.devices.host import Host, HostSettings, ServiceFactory
from gossip_ws.devices.load import Load
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.filters.runner import AsyncRunner
from gossip_ws.grid.kinds import Kind
from gossip_ws.grid.tasks import Task
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.names import METERING, REPORT, SOAP12, TARIFF, WSA, DeviceId
from gossip_ws.kernel.terms import Budget, Filter, Priority, Style, Terms, Tier, Variant
from gossip_ws.net.clock import LoopClock
from gossip_ws.net.counters import Drop
from gossip_ws.net.multicast import Group
from gossip_ws.ports import Clock, Frame, Network, Store, Verifier
from gossip_ws.security.authority import CallerRule, Originator, Trust
from gossip_ws.security.keys import PrivateKey
from gossip_ws.security.passwords import PasswordHash
from gossip_ws.security.verifier import TrustVerifier
from gossip_ws.services.metering import Measured
from gossip_ws.wire.envelope import Addressing, Envelope, build, message_id, parse
from gossip_ws.wire.gossip import XmlCodec
from gossip_ws.wire.soap import read_fault

T = TypeVar("T")

SET_TARIFF = f"{TARIFF}:SetTariff"
GET_TARIFF = f"{TARIFF}:GetTariff"
GET_DEMAND = f"{METERING}:GetDemand"
GET_MEASUREMENT = f"{METERING}:GetMeasurement"
GET_REPORT = f"{REPORT}:GetReport"
ACTIONS = frozenset({SET_TARIFF, GET_DEMAND, GET_MEASUREMENT, GET_REPORT})
DEADLINE = 5.0
QUIET = {"pull_period": 86_400.0, "lease": 86_400.0, "peers_max_age": 86_400.0, "view_scopes": ()}
USER, PASSWORD = "dispatcher", "open sesame"
NUMBERS = itertools.count(1)

DEMAND_REQUEST = f'<GetDemand xmlns="{METERING}"><day>2026-11-21</day></GetDemand>'.encode()
GET_TARIFF_REQUEST = f'<GetTariff xmlns="{TARIFF}"/>'.encode()


def wait_for(condition: Callable[[], T], what: str = "") -> T:
    """Until it holds. Raises AssertionError after the deadline. It is about devices in a thread of their own, whose
    states tell nobody when they change: the pause between two looks leaves that thread the interpreter."""
    due = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < due, f"not in time: {what or condition}"
        time.sleep(0.002)
    return found


def tariff(version: int, *, id: str = "winter", days: Sequence[int] = (-1, 30), bands: int = 3) -> bytes:
    """A SetTariff element; `days` from now: its start and end."""
    start, end = (
        datetime.fromtimestamp(time.time() + day * 86_400, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        for day in days
    )
    length = 1440 // bands
    rows = "".join(
        f"<t:band><t:fromMinute>{n * length}</t:fromMinute><t:toMinute>{(n + 1) * length}</t:toMinute>"
        f"<t:price>0.{n + 10}</t:price></t:band>"
        for n in range(bands)
    )
    return (
        f'<t:SetTariff xmlns:t="{TARIFF}"><t:tariff><t:id>{id}</t:id><t:version>{version}</t:version>'
        f"<t:start>{start}</t:start><t:end>{end}</t:end>{rows}</t:tariff></t:SetTariff>"
    ).encode()


def plain(action: str, body: bytes, blocks: bytes = b"", **addressing: Any) -> Frame:
    """A request with WS-Addressing, as any client sends it."""
    return build(Addressing(action, addressing.pop("message_id", message_id()), **addressing), body, blocks)


def operator(user: str = USER, password: str = PASSWORD) -> dict[str, str]:
    """The HTTP Basic credentials of one that may originate."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def terms(style: Style = Style.ONE_WAY, **given: Any) -> Terms:
    """What an originator asks for: everybody, by datagram."""
    now = time.time()
    request = style is Style.REQUEST_RESPONSE
    whole = Terms(
        variant=Variant.EAGER_PUSH,
        style=style,
        binding=Binding.UDP,
        priority=Priority.NORMAL,
        budgets=(Budget(Tier.WAN, 3, 2), Budget(Tier.FAN, 2, 2)),
        types=(),
        scopes=(),
        originator="",
        issued=now,
        expires=now + 60,
        filter=Filter(name="sum") if request else None,
        timeout=3.0 if request else 0.0,
    )
    return replace(whole, **given)


def signed(
    key: PrivateKey, action: str, body: bytes, on: Terms | None = None, signer: PrivateKey | None = None
) -> Content:
    """Sealed in the name of `key`, by `signer` if that is another one."""
    by = signer or key
    on = on or terms()
    given = replace(on, originator=on.originator or key.id)
    return XmlCodec().seal(action, given, body, lambda id: Signature(key.id, by.sign(id)))


def as_entry(content: Content) -> Frame:
    """The frame of a client that is no device: without a `g:Hop`."""
    return _around(content, f"<wsa:MessageID>{message_id()}</wsa:MessageID>")


def as_hop(content: Content, sender: str, **given: Any) -> Frame:
    """The frame that the device `sender` would send on."""
    budget = content.terms.budgets[0]
    hop = Hop(DeviceId(sender), given.pop("tier", budget.tier), given.pop("rounds", 1), 1, 0.0, **given)
    return XmlCodec().encode(Gossip(content, hop))


def _around(content: Content, headers: str) -> Frame:
    start = f'<s12:Envelope xmlns:s12="{SOAP12}" xmlns:wsa="{WSA}" xmlns:wsd="{_WSD}"><s12:Header>{headers}'
    return start.encode() + content.sealed


_WSD = "http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01"


@dataclass(frozen=True)
class Reply:
    """An HTTP response."""

    status: int
    body: bytes

    @property
    def envelope(self) -> Envelope:
        return parse(self.body)

    @property
    def payload(self) -> etree._Element:
        payload = self.envelope.payload
        assert payload is not None
        return payload

    def fault(self) -> tuple[int, str, str]:
        """(HTTP status, SOAP code, subcode)."""
        found = read_fault(self.envelope)
        assert found is not None, self.body
        return self.status, found.code.value, str(found.subcode)

    @property
    def subsubcode(self) -> str:
        found = read_fault(self.envelope)
        assert found is not None, self.body
        return found.subsubcode or ""

    @property
    def relates_to(self) -> str:
        ((kind, related),) = self.envelope.addressing.relates_to
        assert kind == f"{WSA}/reply"
        return related


class Watched:
    """A device's Network that counts what leaves it."""

    def __init__(self, inner: Network) -> None:
        self.inner = inner
        self.sent: list[tuple[Frame, Address]] = []

    def send(self, frame: Frame, to: Address) -> None:
        self.sent.append((frame, to))
        self.inner.send(frame, to)

    def backlog(self, priority: Priority) -> float:
        return self.inner.backlog(priority)

    def multicast(self, frame: Frame) -> None:
        self.inner.multicast(frame)

    def request(self, frame: Frame, to: Address, timeout: float, done: Callable[[Frame | None], None]) -> None:
        self.sent.append((frame, to))
        self.inner.request(frame, to, timeout, done)


class Remembering(XmlCodec):
    """A codec that keeps what it read, so that a test can compare octets."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: dict[bytes, bytes] = {}

    def _remember(self, content: Content) -> None:
        super()._remember(content)
        self.bodies[content.id] = content.body


@dataclass
class Device:
    """One running host and how to reach it from outside."""

    host: Host
    network: Watched
    codec: Remembering
    turn: Callable[[], None]
    """Waits until the devices' loop has done what it is at."""
    datagrams: int = 0
    """Sent by the test, less the answers to it."""

    @property
    def id(self) -> DeviceId:
        return self.host.settings.device

    @property
    def udp(self) -> Address:
        assert self.host.network.udp is not None
        return self.host.network.udp

    @property
    def counters(self) -> Counter[str]:
        return self.host.endpoint.counters

    @property
    def version(self) -> int:
        """Of the tariff it holds; 0 for none."""
        held = self.host.tariffs.current
        return held.version if held is not None else 0

    def url(self, path: str) -> str:
        return str(self.host.http.at(path))

    def post(
        self,
        path: str,
        frame: bytes,
        *,
        content_type: str = "application/soap+xml; charset=utf-8",
        source: str = "127.0.0.1",
        **headers: str,
    ) -> Reply:
        address = self.host.http
        connection = http.client.HTTPConnection(address.host, address.port, DEADLINE, (source, 0))
        given = {"Content-Type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
        try:
            connection.request("POST", path, frame, given)
            response = connection.getresponse()
            return Reply(response.status, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Reply:
        connection = http.client.HTTPConnection(self.host.http.host, self.host.http.port, timeout=DEADLINE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return Reply(response.status, response.read())
        finally:
            connection.close()

    def datagram(self, frame: bytes, source: str = "127.0.0.1", answered: bool = False) -> bytes:
        """Send one, and wait until the device has handled it; its answer, if one is waited for."""
        counters = self.host.network.counters
        # An answer is one that leaves, and no device hears.
        self.datagrams += bool(frame) - answered
        before = counters.udp_received + counters.dropped.get(Drop.EMPTY, 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((source, 0))
            sock.settimeout(DEADLINE)
            sock.sendto(frame, (self.udp.host, self.udp.port))
            if answered:
                return sock.recv(65_535)
            wait_for(lambda: counters.udp_received + counters.dropped.get(Drop.EMPTY, 0) > before, "a datagram")
            self.turn()
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(65_535)
        return b""


class Town:
    """Devices in one loop. `operator` may originate everything, `client` too but is no device, `stranger` nothing."""

    operator = PrivateKey.generate()
    client = PrivateKey.generate()
    stranger = PrivateKey.generate()
    _password = PasswordHash.of(PASSWORD)

    def __init__(self, actions: frozenset[str] = ACTIONS) -> None:
        self.actions = actions
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.network = f"127.{80 + next(NUMBERS)}"
        self._hosts = itertools.count(1)
        self.devices: list[Device] = []
        self.errors: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self.runner = self.run(self._make_runner)

    async def _make_runner(self) -> AsyncRunner:
        return AsyncRunner(timeout=0.3, back_off=0.01)

    def run(self, make: Callable[[], Any]) -> Any:
        """A coroutine in the devices' loop, to its end."""
        return asyncio.run_coroutine_threadsafe(make(), self.loop).result(DEADLINE)

    @staticmethod
    def later(call: Callable[[], Any]) -> threading.Thread:
        """Call in a thread of its own: a client that waits while the test goes on."""
        thread = threading.Thread(target=call)
        thread.start()
        return thread

    def turn(self) -> None:
        """Until the loop has done what it is at."""
        self.run(partial(asyncio.sleep, 0))

    def open(
        self,
        role: Role,
        scope: str,
        parent: Device | None = None,
        *,
        key: PrivateKey | None = None,
        verifier: Callable[[Clock], Verifier] | None = None,
        tasks: Sequence[Task] = (),
        store: Store | None = None,
        device: str = "",
        services: tuple[ServiceFactory, ...] = (),
        node: dict[str, Any] | None = None,
        wait: bool = True,
        discover: bool = False,
        again: HostSettings | None = None,
        limit: int | None = None,
    ) -> Device:
        """One more device, registered with `parent` when this returns; or one that went down, up `again`."""
        known = self.operator, self.client
        trust = Trust(
            originators=tuple(Originator(one.public, self.actions) for one in known),
            callers=(CallerRule(self.actions, USER, self._password),) if key is not None else (),
        )
        settings = HostSettings(
            device=DeviceId(device or f"urn:uuid:{uuid4()}"),
            role=role,
            scopes=(scope,),
            host=f"{self.network}.0.{next(self._hosts)}",
            # Nobody listens there: a Hello must not reach what else runs on this machine.
            group=Group(port=9),
            seeds=(parent.host.http.at("/Peers"),) if parent is not None else (),
            discover=discover,
            node={**QUIET, **(node or {})},
            demand_limit=limit,
        )
        settings = again or settings
        load = Load(role.value, lambda day: tuple(tasks), Measured(230.0, 1.0, 100.0))
        codec = Remembering()
        watched: list[Watched] = []

        def wrap(network: Network) -> Network:
            watched.append(Watched(self.wrapped(network)))
            return watched[0]

        async def make() -> Host:
            clock = LoopClock()
            judge = verifier(clock) if verifier is not None else TrustVerifier(trust, key, clock)
            combiner = FilterCombiner(self.runner)
            made = Host(settings, load, judge, combiner, store=store, codec=codec, services=services, wrap=wrap)
            await made.open()
            return made

        opened = Device(self.run(make), watched[0], codec, self.turn)
        self.devices.append(opened)
        if parent is not None and wait:
            wait_for(lambda: parent.host.endpoint.peers.get(opened.id) is not None, f"{scope} registered")
            wait_for(lambda: opened.host.endpoint.node.is_enrolled, f"{scope} enrolled")
        return opened

    def wrapped(self, network: Network) -> Network:
        """Each device's network, as it was opened: a place for loss."""
        return network

    def shut(self, device: Device) -> None:
        self.devices.remove(device)
        self.run(device.host.close)

    def settled(self) -> int:
        """Wait until every datagram that was sent has been handled: what answers one is sent in the same breath.
        Returns how many frames have left the devices, answers to HTTP requests not counted."""
        counters = [device.host.network.counters for device in self.devices]

        async def quiet() -> bool:
            said = sum(device.datagrams for device in self.devices) + sum(one.udp_sent for one in counters)
            waiting = any(device.host.network.waiting for device in self.devices)
            return not waiting and said == sum(one.udp_received for one in counters)

        wait_for(lambda: self.run(quiet), "all datagrams handled")
        return sum(len(device.network.sent) for device in self.devices)

    def crash(self, device: Device) -> HostSettings:
        """Its power fails. Returns what it is when the power comes back: the same device at the same addresses."""
        settings = device.host.settings
        up_again = replace(
            settings,
            udp_port=device.udp.port,
            http_port=device.host.http.port,
            incarnation=settings.incarnation + 1,
        )
        self.devices.remove(device)
        self.run(device.host.crash)
        return up_again

    def close(self) -> None:
        for device in reversed(self.devices):
            self.run(device.host.close)

        async def end() -> None:
            self.runner.close()
            await asyncio.sleep(0)

        self.run(end)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(DEADLINE)
        self.loop.close()
        assert self.errors == []


class Grid(Town):
    """The five."""

    def __init__(self) -> None:
        super().__init__()
        self.top = self.open(Role.INFORMATION_SYSTEM, "grid://town", key=self.operator)
        self.substation = self.open(Role.SUBSTATION, "grid://town/1", self.top)
        self.meter = self.open(Role.METER, "grid://town/1/1", self.substation)
        self.other_meter = self.open(Role.METER, "grid://town/1/2", self.substation)
        # It runs in the afternoon unless a tariff makes another period cheaper.
        task = Task(Kind.HEAT_PUMP, 900, 3600, (0, 900, 0))
        self.appliance = self.open(Role.APPLIANCE, "grid://town/1/1/1", self.meter, tasks=(task,))
        wait_for(lambda: self.top.host.endpoint.peers.get(self.substation.id).subtree == 4, "subtrees")  # type: ignore[union-attr]
        self._versions = itertools.count(1)

    def next_version(self) -> int:
        return next(self._versions)

    def versions(self) -> list[int]:
        """Of the tariffs that the devices hold, from whomever accepted last."""
        return [device.version for device in self.devices]

    def push(self) -> int:
        """A tariff that reaches everybody; its version."""
        version = self.next_version()
        reply = self.top.post("/Tariff/gossip", plain(SET_TARIFF, tariff(version)), **operator())
        assert (reply.status, reply.body) == (202, b"")
        wait_for(lambda: self.versions() == [version] * len(self.devices), f"version {version} everywhere")
        self.settled()
        return version


def grid() -> Iterator[Grid]:
    made = Grid()
    yield made
    made.close()


town = pytest.fixture(grid, scope="session", name="town")
